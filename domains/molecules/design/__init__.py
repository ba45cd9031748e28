"""What a molecular model thinks a class looks like: real molecules that maximise it, and counterfactuals."""

from sciexplain.domains.molecules.design.changes import Change, change
from sciexplain.domains.molecules.design.chemistry import UNSTABLE
from sciexplain.domains.molecules.design.counterfactual import counterfactual
from sciexplain.domains.molecules.design.counterfactuals import Counterfactual, Counterfactuals
from sciexplain.domains.molecules.design.figure import beside, traces
from sciexplain.domains.molecules.design.groups import GROUPS
from sciexplain.domains.molecules.design.prior import Prior, learn_prior
from sciexplain.domains.molecules.design.result import Design, Designed, Generation
from sciexplain.domains.molecules.design.search import maximize

__all__ = [
    "GROUPS",
    "UNSTABLE",
    "Change",
    "Counterfactual",
    "Counterfactuals",
    "Design",
    "Designed",
    "Generation",
    "Prior",
    "beside",
    "change",
    "counterfactual",
    "learn_prior",
    "maximize",
    "traces",
]
