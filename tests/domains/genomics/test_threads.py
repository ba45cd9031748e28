"""Torch has as many threads after other libraries as before."""

import numpy as np
import torch

from sciexplain.domains.genomics import Motif, match_motifs
from sciexplain.domains.genomics.threads import threads_kept


def test_kept():
    before = torch.get_num_threads()
    with threads_kept():
        torch.set_num_threads(before + 2)
    assert torch.get_num_threads() == before


def test_kept_by_tomtom():
    rng = np.random.default_rng(0)
    motifs = [Motif(f"m{i}", rng.dirichlet(np.ones(4), 8)) for i in range(60)]
    before = torch.get_num_threads()
    match_motifs(motifs[:2], motifs)
    assert torch.get_num_threads() == before
