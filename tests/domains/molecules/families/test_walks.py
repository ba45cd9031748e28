"""Walks, bonds and pairs of chemprop's and SchNetPack's models, against masks."""

import pytest
import torch

from sciexplain.domains import molecules

SMILES = ["CCO", "c1ccccc1O", "C"]


def _chemprop(kind):
    pytest.importorskip("chemprop")
    from chemprop import models, nn

    passing = getattr(nn, kind)(d_h=12, depth=3)
    return models.MPNN(passing, nn.SumAggregation(), nn.RegressionFFN(input_dim=12, hidden_dim=8)), SMILES


def _schnetpack(kind):
    pytest.importorskip("ase")
    from sciexplain.domains.molecules.families.schnetpack import library

    library()
    import schnetpack
    import schnetpack.atomistic
    import schnetpack.representation

    made = getattr(schnetpack.representation, kind)(
        n_atom_basis=12,
        n_interactions=2,
        radial_basis=schnetpack.nn.GaussianRBF(8, 5.0),
        cutoff_fn=schnetpack.nn.CosineCutoff(5.0),
    )
    energy = schnetpack.atomistic.Atomwise(n_in=12, output_key="energy")
    model = schnetpack.model.NeuralNetworkPotential(made, [schnetpack.atomistic.PairwiseDistances()], [energy])
    return model, [molecules.embed(molecules.read_one(s)) for s in ("O", "CO")]


@pytest.mark.parametrize(
    ("make", "kind", "depth"),
    [
        (_chemprop, "BondMessagePassing", 3),
        (_chemprop, "AtomMessagePassing", 3),
        (_schnetpack, "SchNet", 2),
        (_schnetpack, "PaiNN", 2),
    ],
)
def test_every_view_is_a_sum_of_walks(make, kind, depth):
    torch.manual_seed(0)
    model, given = make(kind)
    for a in molecules.explain(model.double().eval(), given):
        assert a.depth == depth and a.unknown == ()
        walks, relevance = zip(*a.walks(None), strict=True)
        keep = torch.zeros(len(walks), depth + 1, len(a), dtype=torch.bool)
        for row, walk in enumerate(walks):
            keep[row, torch.arange(depth + 1), list(walk)] = True
        assert a.adjoints.masked(keep).sum(1).tolist() == pytest.approx(list(relevance), abs=1e-12)
        total = float(a.atoms.sum())
        assert sum(relevance) == pytest.approx(total, abs=1e-12)
        assert sum(a.bonds.values()) == pytest.approx(total, abs=1e-12)
        assert a.pairs().sum(1).tolist() == pytest.approx(a.atoms.tolist(), abs=1e-12)
        assert total + sum(map(float, a.ledger.absorbed.values())) == pytest.approx(a.score, abs=1e-9)
