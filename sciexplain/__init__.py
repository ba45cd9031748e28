"""sciexplain: why a trained PyTorch model decides as it does, in the terms of its field.

>>> import torch, sciexplain as sx
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
>>> e = sx.explain(model, torch.randn(2, 4), composite="epsilon")
>>> e.relevance.shape, e.score.shape
(torch.Size([2, 4]), torch.Size([2]))
"""

from typing import TYPE_CHECKING, Any

from . import audit, composites, concepts, evaluate, maximization, mend, records, rules
from .composites import Composite
from .counterfactual import Counterfactual, counterfactual
from .engine import LRP
from .engine.ledger import Ledger
from .errors import (
    DataError,
    InputError,
    MissingDependencyError,
    ModelError,
    NonFiniteOutputError,
    RuleError,
    SciExplainError,
    TargetError,
    UnknownOperationError,
)
from .explain import explain
from .explanation import Explanation, load
from .limits import Limits, prototype_limits
from .linearize import Linearization, linearize
from .maximization import Maximization
from .maximize import maximize
from .methods import METHODS
from .methods.bilrp import bilrp
from .methods.weights import weight_relevance
from .prototypes import Prototypes, prototypes

if TYPE_CHECKING:
    from .runs import open_run

__version__ = "0.1.0"

__all__ = [
    "LRP",
    "METHODS",
    "Composite",
    "Counterfactual",
    "DataError",
    "Explanation",
    "InputError",
    "Ledger",
    "Limits",
    "Linearization",
    "Maximization",
    "MissingDependencyError",
    "ModelError",
    "NonFiniteOutputError",
    "Prototypes",
    "RuleError",
    "SciExplainError",
    "TargetError",
    "UnknownOperationError",
    "audit",
    "bilrp",
    "composites",
    "concepts",
    "counterfactual",
    "evaluate",
    "explain",
    "linearize",
    "load",
    "maximization",
    "maximize",
    "mend",
    "open_run",
    "prototype_limits",
    "prototypes",
    "records",
    "rules",
    "weight_relevance",
]


def __getattr__(name: str) -> Any:
    """What needs more than torch and numpy is imported when it is asked for."""
    if name == "open_run":
        from .runs import open_run

        return open_run
    raise AttributeError(f"module 'sciexplain' has no attribute {name!r}")
