"""Relevance of a batch's inputs at its atoms."""

import torch

from sciexplain.domains.molecules.graphs import Graphs

SIZES = torch.tensor([2, 1])


def graphs(edges):
    tensors = {"V": torch.zeros(3, 2), "Z": torch.zeros(3), "E": torch.zeros(edges.shape[1], 2)}
    places = {"V": torch.arange(3), "Z": torch.arange(3), "E": edges[0]}
    return Graphs(tensors, places, SIZES, lambda given: given, edges, frozenset({"E"}))


def test_bonds_count_where_they_start():
    relevance = {
        "V": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        "Z": torch.tensor([0.1, 0.2, 0.3]),
        "E": torch.tensor([[10.0, 20.0], [30.0, 40.0]], requires_grad=True),
    }
    found = graphs(torch.tensor([[0, 1], [1, 0]])).by_atom(relevance)
    torch.testing.assert_close(found, torch.tensor([33.1, 77.2, 11.3], dtype=torch.float64))


def test_atoms_without_bonds():
    relevance = {"V": torch.ones(3, 2), "Z": torch.zeros(3), "E": torch.zeros(0, 2)}
    assert graphs(torch.zeros(2, 0, dtype=torch.long)).by_atom(relevance).tolist() == [2.0, 2.0, 2.0]
