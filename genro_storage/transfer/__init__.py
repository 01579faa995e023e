"""Copying files and trees between any two mounts.

What decides is pure and separate from what acts: ``filters`` and ``plan`` take listings and
return actions, ``execute`` carries actions out, ``copying`` joins the two::

    plan = plan_copy(Place(uploads, "2026"), Place(backup, "2026"), skip="hash")
    for action in plan: ...          # a dry run
    report = plan.apply(progress=bar)
"""

from __future__ import annotations

from .copying import CopyPlan, plan_copy
from .execute import CopyResult, Done, Executor, Place, SerialExecutor, Transfer, copy_file
from .filters import Filters
from .plan import Action, Conflict, CopyFile, Filtered, MakeDirectory, SkipFile
from .progress import Callbacks, RichProgress
from .report import PlanSummary, TransferReport

__all__ = [
    "Action",
    "Callbacks",
    "Conflict",
    "CopyFile",
    "CopyPlan",
    "CopyResult",
    "Done",
    "Executor",
    "Filtered",
    "Filters",
    "MakeDirectory",
    "Place",
    "PlanSummary",
    "RichProgress",
    "SerialExecutor",
    "SkipFile",
    "Transfer",
    "TransferReport",
    "copy_file",
    "plan_copy",
]
