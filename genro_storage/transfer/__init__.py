"""Copying files and trees between any two mounts.

What decides is pure and separate from what acts: ``filters`` and ``plan`` take listings and
return actions, ``execute`` carries actions out, ``copying`` joins the two::

    plan = plan_copy(Place(uploads, "2026"), Place(backup, "2026"), skip="hash")
    for action in plan: ...          # a dry run
    report = plan.apply(progress=bar)
"""

from __future__ import annotations

from .checking import CheckReport, Compared
from .copying import CopyPlan, plan_copy
from .errors import StorageTransferError
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
from .execution.bandwidth import Bandwidth
from .execution.execute import CopyResult, Done, Transfer, copy_file
from .execution.executors import Executor, SerialExecutor, ThreadedExecutor
from .execution.pools import ShardedExecutor
from .place import Place
from .planning.actions import (
    Action,
    CompareFile,
    Conflict,
    CopyFile,
    DeleteDirectory,
    DeleteFile,
    Filtered,
    MakeDirectory,
    SkipFile,
)
from .planning.checksums import ChecksumCache
from .planning.filters import Filters
from .planning.inventory import Inventory
from .report import Failure, PlanSummary, Retry, TransferReport
from .reporting.progress import Callbacks, JsonLines, RichProgress, TqdmProgress

__all__ = [
    "Action",
    "Bandwidth",
    "BytesMoved",
    "Callbacks",
    "CheckReport",
    "ChecksumCache",
    "CompareFile",
    "Compared",
    "Conflict",
    "CopyFile",
    "CopyPlan",
    "CopyResult",
    "DeleteDirectory",
    "DeleteFile",
    "Done",
    "Event",
    "Executor",
    "Failure",
    "FileDone",
    "FileFailed",
    "FileSkipped",
    "FileStarted",
    "Filtered",
    "Filters",
    "Finished",
    "Inventory",
    "JsonLines",
    "MakeDirectory",
    "Place",
    "PlanSummary",
    "Reporter",
    "Retried",
    "Retry",
    "RichProgress",
    "SerialExecutor",
    "ShardedExecutor",
    "SkipFile",
    "Started",
    "StorageTransferError",
    "ThreadedExecutor",
    "TqdmProgress",
    "Transfer",
    "TransferReport",
    "copy_file",
    "plan_copy",
]
