"""Whether explanations of molecules are stable, and whether they depend on what was learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sciexplain import evaluate
from sciexplain.domains.molecules.adjoints import as_function, linearize
from sciexplain.domains.molecules.attributed import target_of
from sciexplain.domains.molecules.explain import explain
from sciexplain.domains.molecules.explanation import MoleculeExplanation
from sciexplain.errors import InputError, ModelError, NonFiniteOutputError
from sciexplain.evaluate.randomization import LayerOrder, Weights
from sciexplain.evaluate.sanity import Sanity, histogram_entropy
from sciexplain.inputs import Inputs


def max_sensitivity(
    explained: Sequence[MoleculeExplanation], *, radius: float = 0.02, draws: int = 10, seed: int = 0
) -> Tensor | None:
    """The largest relative change of the atoms' relevance under a little noise on the features, (N,) float64.

    As :func:`sciexplain.evaluate.max_sensitivity`, for all molecules at once: uniform noise of at most ``radius`` times
    the range of each molecule's features. None where all features are categories, which take none.
    """
    if radius <= 0 or draws < 1:
        raise InputError(f"radius={radius}, draws={draws}: expected a positive radius, and 1 draw or more.")
    questions = [a.question for a in explained]
    graphs = questions[0].family.collate([q.graph for q in questions])
    noisy = [name for name in graphs.places if graphs.tensors[name].is_floating_point()]
    if not noisy:
        return None
    sizes, target = graphs.sizes.tolist(), target_of(explained)
    generators = [torch.Generator().manual_seed(2**32 * seed + i) for i in range(len(sizes))]
    of_atom = torch.arange(len(sizes)).repeat_interleave(graphs.sizes.cpu())
    here = [a.atoms.detach().double().cpu() for a in explained]
    length = torch.stack([r.norm() for r in here])
    changes = []
    for _ in range(draws):
        tensors = dict(graphs.tensors)
        for name in noisy:
            rows = torch.bincount(of_atom[graphs.places[name].cpu()], minlength=len(sizes)).tolist()
            tensors[name] = torch.cat(
                [
                    values + (radius * _range(values) * (2 * _uniform(values, generator) - 1)).to(values)
                    for values, generator in zip(tensors[name].split(rows), generators, strict=True)
                ]
            )
        composite = questions[0].composite
        lin = linearize(replace(graphs, tensors=tensors), target, composite, on_unknown="gradient", keep=False)
        now = lin.at(0).detach().double().cpu().split(sizes)
        changes.append(torch.stack([(a - b).norm() for a, b in zip(now, here, strict=True)]))
    return torch.stack(changes).amax(0) / torch.where(length > 0, length, torch.nan)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=torch.float64).to(like.device)


def _range(values: Tensor) -> Tensor:
    return (values.amax() - values.amin()).double() if values.numel() else torch.zeros(()).double()


def sanity(
    explained: Sequence[MoleculeExplanation],
    *,
    order: LayerOrder = "top_down",
    weights: Weights = "initial",
    efficient: bool = False,
    bins: int = 20,
    seed: int = 0,
) -> Sanity:
    """How alike explanations stay as the network's layers become random; they should not.

    Parameters
    ----------
    explained
        Molecules, of one model, which is left as it is.
    order, weights, seed
        As for :func:`sciexplain.evaluate.randomized`.
    efficient
        Compare with the wholly random network alone.
    bins
        Of the histograms; molecules have few atoms.

    Returns
    -------
    Sanity
        By the rank correlation of the atoms' relevance; its entropy is of histograms with ``bins``.

    Raises
    ------
    ModelError
        The model is no module with parameters, or says nothing finite with random ones.

    References
    ----------
    Adebayo et al. 2018, *Sanity checks for saliency maps*, NeurIPS; see :func:`sciexplain.evaluate.sanity`.
    """
    questions = [a.question for a in explained]
    graphs, target = [q.graph for q in questions], target_of(explained)
    trained = [a.atoms.detach().double().cpu() for a in explained]
    whole = _OnGraphs(questions[0].family, graphs[:1])
    explained_inputs = Inputs.of(as_function(questions[0].copies(1))[1])

    def again(network: Any) -> list[Tensor]:
        try:
            found = explain(network.family, graphs, target, questions[0].composite, on_unknown="gradient")
        except NonFiniteOutputError as error:
            raise ModelError(f"With random weights the output is not finite ({error})") from error
        return [a.atoms.detach().double().cpu() for a in found]

    names, similarity, entropy = [], [], [histogram_entropy(trained, bins)]
    for name, network in evaluate.randomized(whole, explained_inputs, order=order, weights=weights, seed=seed):
        if not efficient:
            names.append(name.removeprefix("network."))
            found = again(network)
            similarity.append(evaluate.agreement(trained, found).spearman)
            entropy.append(histogram_entropy(found, bins))
    if efficient:
        names, found = ["all"], again(network)
        similarity.append(evaluate.agreement(trained, found).spearman)
        entropy.append(histogram_entropy(found, bins))
    return Sanity(tuple(names), torch.stack(similarity), torch.stack(entropy), order)


class _OnGraphs(nn.Module):
    """A family's model as a module of what is explained, so that a copy has a family of its own."""

    def __init__(self, family: Any, graphs: list[Any]) -> None:
        super().__init__()
        if not isinstance(family.model, nn.Module):
            raise ModelError(f"The model is {type(family.model).__name__}, which has no weights to make random.")
        self.network, self.family, self._graphs = family.model, family, graphs

    def forward(self, **tensors: Tensor) -> Any:
        graphs = self.family.collate(self._graphs)
        return graphs.call({**graphs.tensors, **tensors})
