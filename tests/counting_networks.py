"""Models whose answers can be counted by hand."""

from __future__ import annotations

import torch
from rdkit import Chem
from torch import nn
from torch_geometric.data import Data


def graph(mol):
    """Atomic numbers, charges, and which atoms are nitrogens of nitro groups."""
    nitro = {match[0] for match in mol.GetSubstructMatches(Chem.MolFromSmarts("[N+](=O)[O-]"))}
    rows = [[a.GetAtomicNum() == 8, a.GetAtomicNum() == 7, a.GetIdx() in nitro, 1.0] for a in mol.GetAtoms()]
    edges = [p for b in mol.GetBonds() for p in ((b.GetBeginAtomIdx(), b.GetEndAtomIdx()),)]
    both = [(i, j) for pair in edges for i, j in (pair, pair[::-1])]
    return Data(
        x=torch.tensor(rows, dtype=torch.float32),
        edge_index=torch.tensor(both, dtype=torch.long).reshape(-1, 2).T,
    )


class Counting(nn.Module):
    """Sums, for each output, of a weight for each oxygen, nitrogen, nitro group and atom, and a bias."""

    unit = "points"
    featurizer = staticmethod(graph)

    def __init__(self, *rows, bias=None):
        super().__init__()
        self.linear = nn.Linear(4, len(rows), bias=False)
        self.linear.weight.data = torch.tensor(rows, dtype=torch.float32)
        self.bias = nn.Parameter(torch.zeros(len(rows)) if bias is None else torch.tensor(bias))
        self.dropout = nn.Dropout(0.9)

    def forward(self, x, batch):
        each = self.linear(self.dropout(x))
        molecules = int(batch.max()) + 1
        return torch.zeros(molecules, each.shape[1]).index_add(0, batch, each) + self.bias


OXYGENS = (1.0, 0.0, 0.0, 0.0)
NITROS = (0.0, 0.0, 1.0, 0.0)
EFFICIENT = (1.0, 0.5, 0.0, -0.25)
