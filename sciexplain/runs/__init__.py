"""Explaining a whole data set: what a run folder holds, how it is filled, and the model it was made with."""

from sciexplain.runs.classes import Decision, decisions
from sciexplain.runs.folder import RunFolder
from sciexplain.runs.format import Failure, Run, open_run
from sciexplain.runs.local import Done
from sciexplain.runs.models import load_model
from sciexplain.runs.processes import Processes
from sciexplain.runs.provenance import describe_files, describe_model, describe_versions
from sciexplain.runs.run import Engine, Local, Watch, explain_all
from sciexplain.runs.work import Answer, Attempt, Explained, Finding, Sample, Work

__all__ = [
    "Answer",
    "Attempt",
    "Decision",
    "Done",
    "Engine",
    "Explained",
    "Failure",
    "Finding",
    "Local",
    "Processes",
    "Run",
    "RunFolder",
    "Sample",
    "Watch",
    "Work",
    "decisions",
    "describe_files",
    "describe_model",
    "describe_versions",
    "explain_all",
    "load_model",
    "open_run",
]
