"""LRP with conditions on a chain of dense layers, written from the papers; convolutions are matrices."""

import torch

EPSILON = 1e-6


def affine(module, shape):
    """(matrix, bias) of an affine module on one sample of ``shape``, and the shape of its output."""
    size = int(torch.tensor(shape).prod())
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    bias = module(zero)
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    return (module(basis) - bias).flatten(1).T, bias.flatten(), tuple(bias.shape[1:])


def stabilized(z, epsilon):
    return z + epsilon * torch.where(z >= 0, 1.0, -1.0)


class Chain:
    """Affine layers with a ReLU behind each but the last; conditions are linear maps of relevance over activation."""

    def __init__(self, modules, shape, rules):
        self.rules, self.layers, self.shapes = rules, [], []
        for module in modules:
            with torch.no_grad():
                w, b, shape = affine(module, shape)
            self.layers.append((w, b))
            self.shapes.append(shape)

    def explain(self, x, target, conditions=()):
        """Relevance of one input; ``conditions`` are {(layer, "before" or "after" its ReLU): matrix}."""
        conditions = dict(conditions)
        inputs, outputs, a = [], [], x.flatten()
        for place, (w, b) in enumerate(self.layers):
            inputs.append(a)
            z = w @ a + b
            outputs.append(z)
            a = z.clamp(min=0) if place < len(self.layers) - 1 else z
        c = torch.zeros_like(a)  # relevance over activation, which dead units have too
        c[target] = 1
        passed = {}
        for place in reversed(range(len(self.layers))):
            (w, b), x, z = self.layers[place], inputs[place], outputs[place]
            if (projection := conditions.get((place, "after"))) is not None:
                c = projection @ c
            if place < len(self.layers) - 1:
                c = c * (z > 0)
            if (projection := conditions.get((place, "before"))) is not None:
                c = projection @ c
            passed[place] = z * c
            if self.rules[place] == "epsilon":
                c = w.T @ (z * c / stabilized(z, EPSILON))
            else:  # z⁺ for inputs ≥ 0
                positive = w.clamp(min=0)
                c = positive.T @ (z * c / stabilized(positive @ x + b.clamp(min=0), 1e-9))
        return x * c, passed


def onto_channels(shape, channels):
    """The projection onto some of the first dimension, as a matrix over all entries."""
    mask = torch.zeros(shape, dtype=torch.float64)
    mask[list(channels)] = 1
    return torch.diag(mask.flatten())


def onto_subspace(shape, basis):
    """The projection onto the span of columns (channels, dimensions), at every position."""
    q, _ = torch.linalg.qr(basis)
    positions = int(torch.tensor(shape[1:]).prod()) if len(shape) > 1 else 1
    return torch.kron(q @ q.T, torch.eye(positions, dtype=torch.float64))
