"""Explaining a whole data set: what a run folder holds, and the model it was made with."""

from sciexplain.runs.classes import Decision, decisions
from sciexplain.runs.format import Failure, Row, Run, RunWriter, open_run
from sciexplain.runs.models import load_model
from sciexplain.runs.provenance import describe_files, describe_model, describe_versions
from sciexplain.runs.tables import Tables

__all__ = [
    "Decision",
    "Failure",
    "Row",
    "Run",
    "RunWriter",
    "Tables",
    "decisions",
    "describe_files",
    "describe_model",
    "describe_versions",
    "load_model",
    "open_run",
]
