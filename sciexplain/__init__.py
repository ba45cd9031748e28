"""sciexplain: why a trained PyTorch model decides as it does, in the terms of its field.

>>> import torch, sciexplain as sx
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
>>> e = sx.explain(model, torch.randn(2, 4), composite="epsilon")
>>> e.relevance.shape, e.score.shape
(torch.Size([2, 4]), torch.Size([2]))
"""

from . import composites, rules
from .composites import Composite
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
from .linearize import Linearization, linearize
from .methods import METHODS
from .methods.bilrp import bilrp
from .methods.weights import weight_relevance

__version__ = "0.1.0"

__all__ = [
    "LRP",
    "METHODS",
    "Composite",
    "DataError",
    "Explanation",
    "InputError",
    "Ledger",
    "Linearization",
    "MissingDependencyError",
    "ModelError",
    "NonFiniteOutputError",
    "RuleError",
    "SciExplainError",
    "TargetError",
    "UnknownOperationError",
    "bilrp",
    "composites",
    "explain",
    "linearize",
    "load",
    "rules",
    "weight_relevance",
]
