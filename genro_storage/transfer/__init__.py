"""Copying files and trees between any two mounts.

What decides is pure and separate from what acts: ``filters`` and ``plan`` take listings and
return actions, ``execute`` carries actions out, ``copying`` joins the two::

    plan = plan_copy(Place(uploads, "2026"), Place(backup, "2026"), skip="hash")
    for action in plan: ...          # a dry run
    report = plan.apply(progress=bar)
"""

from __future__ import annotations

from .bandwidth import Bandwidth
from .copying import CopyPlan, plan_copy
from .events import (
    BytesMoved,
    Event,
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    Reporter,
    Retried,
    Started,
)
from .execute import CopyResult, Done, Executor, Place, SerialExecutor, Transfer, copy_file
from .filters import Filters
from .plan import Action, Conflict, CopyFile, Filtered, MakeDirectory, SkipFile
from .progress import Callbacks, JsonLines, RichProgress, TqdmProgress
from .report import PlanSummary, TransferReport

__all__ = [
    "Action",
    "Bandwidth",
    "BytesMoved",
    "Callbacks",
    "Conflict",
    "CopyFile",
    "CopyPlan",
    "CopyResult",
    "Done",
    "Event",
    "Executor",
    "FileDone",
    "FileFailed",
    "FileSkipped",
    "FileStarted",
    "Filtered",
    "Filters",
    "Finished",
    "JsonLines",
    "MakeDirectory",
    "Place",
    "PlanSummary",
    "Reporter",
    "Retried",
    "RichProgress",
    "SerialExecutor",
    "SkipFile",
    "Started",
    "TqdmProgress",
    "Transfer",
    "TransferReport",
    "copy_file",
    "plan_copy",
]
