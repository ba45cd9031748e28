"""Sequences that a model says most about, and the smallest changes after which it says something else.

>>> from sciexplain.domains.genomics import design
>>> found = design.maximize(model, target=0, length=100, gc=(0.4, 0.6), forbidden=["GAATTC"])  # doctest: +SKIP
>>> design.known_sites(found, "jaspar.meme")  # doctest: +SKIP
>>> design.counterfactual(model, ["ACGT" * 25])  # doctest: +SKIP
"""

from sciexplain.domains.genomics.design.constraints import Constraints
from sciexplain.domains.genomics.design.counterfactual import Counterfactual, Counterfactuals, counterfactual
from sciexplain.domains.genomics.design.figure import draw_designs
from sciexplain.domains.genomics.design.known import known_sites
from sciexplain.domains.genomics.design.maximize import Progress, maximize
from sciexplain.domains.genomics.design.result import Design, Designs, Edit
from sciexplain.domains.genomics.design.shared import shared_site

__all__ = [
    "Constraints",
    "Counterfactual",
    "Counterfactuals",
    "Design",
    "Designs",
    "Edit",
    "Progress",
    "counterfactual",
    "draw_designs",
    "known_sites",
    "maximize",
    "shared_site",
]
