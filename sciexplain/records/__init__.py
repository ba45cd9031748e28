"""A record for every decision: what was decided, why, by which model, and whether it can be had again.

>>> import torch, sciexplain as sx
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
>>> x = torch.randn(5, 4)
>>> record = sx.explain(model, x).record(2)
>>> record.verify(model, x[2:3]).identical
True
"""

from .answer import Answer, Case
from .caveats import caveats
from .make import record
from .record import Record, check_files, load
from .verify import Check, Verification, verify

__all__ = ["Answer", "Case", "Check", "Record", "Verification", "caveats", "check_files", "load", "record", "verify"]
