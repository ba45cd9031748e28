import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

from sciexplain.datasets.drugs import drugs
from sciexplain.datasets.splits import hold_out, random_split, scaffold_split
from sciexplain.domains import molecules


@given(groups=st.lists(st.integers(0, 8), min_size=1, max_size=60), seed=st.integers(0, 5))
def test_random_parts_cover_all_once_and_keep_groups_together(groups, seed):
    parts = random_split(len(groups), seed=seed, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    found = [{groups[i] for i in part} for part in parts]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


def test_random_split_stays_as_it_was_published():
    # Test errors that users keep refer to these indices.
    assert [part.tolist() for part in random_split(12)] == [[0, 2, 3, 4, 5, 6, 7, 9, 11], [10], [1, 8]]


def test_no_scaffold_is_in_two_parts():
    found = drugs()
    parts = scaffold_split(found)
    assert sorted(np.concatenate(parts)) == list(range(len(found)))
    scaffolds = [{MurckoScaffoldSmiles(mol=found[i].mol) for i in part} for part in parts]
    assert not (scaffolds[0] & scaffolds[1] or scaffolds[0] & scaffolds[2] or scaffolds[1] & scaffolds[2])
    assert len(parts[0]) == 420


def test_hold_out():
    left, out = hold_out(np.arange(10, 30), 0.1)
    assert (len(left), len(out)) == (18, 2)
    assert sorted([*left, *out]) == list(range(10, 30))


def test_of_equally_large_scaffolds_the_first_are_for_the_test():
    """As MoleculeNet's: files such as BBBP are sorted by class, and the other way round their test part has one."""
    rings = [molecules.read_one("C1" + "C" * n + "C1") for n in range(1, 11)]
    train, valid, test = scaffold_split(rings)
    assert (test.tolist(), valid.tolist(), train.tolist()) == ([0], [1], list(range(2, 10)))
