"""Carrying out a whole plan: who does it, who hears of it, what is removed at its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Generator
from concurrent import futures
from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import StorageError
from ..hearing import hearing_gone, hearing_left_out, hearing_retries
from ..paths import join, order_key
from ..strategy import SkipStrategy
from .events import Event, FileDone, FileFailed, FileSkipped, Finished, Retried, Started
from .execution.execute import Stopped
from .execution.executors import Executor, SerialExecutor, ThreadedExecutor
from .execution.mirroring import remove_extras
from .execution.pools import executor_of
from .planning.actions import CompareFile, CopyFile, DeleteDirectory, DeleteFile, Filtered, SkipFile
from .planning.collisions import require_no_collisions
from .report import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..info import FileInfo
    from .copying import CopyPlan
    from .events import Reporter
    from .execution.execute import Done, Transfer
    from .planning.actions import Action
    from .report import TransferReport
    from .reporting.progress import OnFile, OnSkip, Progress
    from .terms import Terms

_OF_FILES = (CopyFile, SkipFile, CompareFile)
_OF_EXTRAS = (DeleteFile, DeleteDirectory)
#: Files that a note names.
_NAMED = 10

__all__ = [
    "Application",
    "Told",
    "executor_for",
    "refuse_collisions",
    "rehearsed",
]


class Told(NamedTuple):
    """Who hears of a copy; all are called in the thread that started it."""

    progress: Progress | None = None
    on_file: OnFile | None = None
    on_skip: OnSkip | None = None
    reporter: Reporter | None = None


class Application:
    """One run of a plan."""

    def __init__(self, plan: CopyPlan, terms: Terms, told: Told) -> None:
        self._plan = plan
        self._terms = terms
        self._progress, self._on_file, self._on_skip, self._reporter = told
        self._needs_totals = self._progress is not None or (
            self._reporter is not None and getattr(self._reporter, "needs_totals", True)
        )
        self._tally = Tally()
        self._deletes: list[DeleteFile | DeleteDirectory] = []
        self._failure: Exception | None = None
        self._untold: Collection[Done] = ()  # what is done, and was to be told next
        self._left: list[str] = []  # what is under way when the copy is given up
        self._gone: list[str] = []

    def run(
        self,
        look: Callable[[], CopyPlan],
        executor: Executor | futures.Executor | None,
        concurrency: int | None,
        started: float,
    ) -> TransferReport:
        """Look at both places, act, and report; the first error is raised if so asked."""
        tally = self._tally
        self._report(Started())
        try:
            # What is listed, looked at or removed is no single file's: "".
            with (
                hearing_retries(self._hear),
                hearing_gone(self._gone.append),
                hearing_left_out(self._tally.leave_out),
            ):
                while names := self._plan.left_out():
                    self._tally.leave_out(names.pop())
                while heard := self._plan.heard():
                    self._hear(heard.pop(0))
                self._plan = plan = look()
                transfer = plan.transfer(self._terms)
                self._left, self._untold = transfer.left_behind, transfer.untold
                self._copy(transfer, executor_for(plan, transfer, executor, concurrency))
                if self._failure is not None:
                    raise self._failure
                self._remove()
        except BaseException as error:  # passes on, with a note of how far the copy came
            for done in self._untold:
                tally.count(done)
            if isinstance(error, Exception) and error is not self._failure:
                tally.fail("", error)
            report = tally.report(time.perf_counter() - started)
            error.add_note(f"copying {self._plan.source} to {self._plan.target} stopped: {report}")
            if self._left:
                error.add_note(self._may_arrive())
            self._report(Finished(report))
            raise
        report = tally.report(time.perf_counter() - started)
        self._report(Finished(report))
        return report

    def _may_arrive(self) -> str:
        target = self._plan.target
        names = [target.mount.label(join(target.path, each)) for each in sorted(self._left)]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"nobody waited for what was still under way; may still arrive: {', '.join(names[:_NAMED])}{more}"

    def _hear(self, error: BaseException) -> None:
        self._tally.retry("", (error,))
        self._report(Retried("", error))

    def _report(self, event: Event) -> None:
        if self._reporter is not None:
            self._reporter(event)

    # -- copying ------------------------------------------------------------------------------

    def _copy(self, transfer: Transfer, executor: Executor) -> None:
        plan = self._plan
        kept: list[FileInfo] | None = None
        total = 1
        if plan.given is not None:
            files = [each for each in plan.given if isinstance(each, _OF_FILES)]
            total = len(files)
            self._report(Started(total, sum(each.source.size or 0 for each in files)))
        elif (
            plan.info.type == "directory"
            and not plan.same
            and (self._needs_totals or (self._on_skip is not None and plan.filters))
        ):
            kept, total, size = self._keep()
            self._report(Started(total, size))
        elif plan.info.type != "directory":
            self._report(Started(1, plan.info.size))
        if plan.info.type == "directory" and not plan.same:
            refuse_collisions(plan, kept)
        current = 0
        if getattr(self._reporter, "follows_files", True):
            transfer.listener = self._reporter
        heard = self._on_file, self._on_skip, self._progress
        transfer.is_followed = any(each is not None for each in heard)
        running = executor.run(self._copies(kept), transfer)
        with contextlib.ExitStack() as stack:
            if isinstance(running, Generator):
                stack.callback(running.close)  # at once, also where a callback raises
            for done in running:
                current = self._take(done, transfer, current, total)

    def _take(self, done: Done, transfer: Transfer, current: int, total: int) -> int:
        """Count and tell; how many files are done."""
        if isinstance(done.error, Stopped):
            return current  # it was under way when another one failed
        self._tally.count(done)
        if done.error is not None:
            self._report(FileFailed(done.action.relpath, done.error))
            # Where the trees overlap, what was not copied must not be replaced by what comes next.
            if self._failure is None and (
                self._terms.on_error == "raise" or self._plan.overlapping
            ):
                self._failure = done.error
                transfer.stop()
        else:
            self._tell(done)
            if self._progress is not None and isinstance(done.action, CopyFile | SkipFile):
                current += 1
                self._progress(current, total)
        return current

    def _tell(self, done: Done) -> None:
        action = done.action
        if isinstance(action, CopyFile):
            if self._reporter is not None and done.result is not None:
                self._reporter(FileDone(action.relpath, done.result.bytes))
            if self._on_file is not None:
                self._on_file(action)
        elif isinstance(action, SkipFile):
            if self._reporter is not None:
                self._reporter(FileSkipped(action.relpath, action.source.size, action.reason))
            if self._on_skip is not None:
                self._on_skip(action)

    def _copies(self, kept: list[FileInfo] | None) -> Iterator[Action]:
        """What is to be copied; what is to be removed is kept for the end, when all has arrived."""
        is_told = kept is not None  # of what was filtered out
        for action in self._plan.actions(kept, pruned=self._on_skip is None):
            if isinstance(action, _OF_EXTRAS):
                self._deletes.append(action)
            elif not (is_told and isinstance(action, Filtered)):
                yield action

    def _keep(self) -> tuple[list[FileInfo], int, int]:
        """What takes part, and how many files and bytes that are; the rest is reported at once.

        A mirror is told of the rest too: what the source has is not removed at the target.
        """
        plan = self._plan
        kept: list[FileInfo] = []
        count = size = 0
        start = len(plan.source.path) + 1 if plan.source.path else 0
        for info in plan.source_listing(pruned=self._on_skip is None):
            if info.type == "directory":
                kept.append(info)
                continue
            relpath = info.path[start:]
            reason = plan.filters.reason(info, relpath) if plan.filters else None
            if reason is None:
                count += 1
                size += info.size or 0
            else:
                self._tally.filtered += 1
                if self._on_skip is not None:
                    self._on_skip(Filtered(relpath, info, reason))
            if reason is None or plan.delete:
                kept.append(info)
        return kept, count, size

    # -- removing -----------------------------------------------------------------------------

    def _remove(self) -> None:
        """Make the target a mirror: only when everything was listed, and copied."""
        if not self._deletes or self._tally.failed:
            return  # what is missing there may be all that is left of a file; the report tells
        if self._gone:
            label = str(self._plan.source)
            raise StorageError(
                f"{label}: the directory {self._gone[0]!r} was there and then not, while it was listed; "
                "nothing was removed, since what was listed may not be all. Run it again",
                node=label,
            )
        go_on = self._terms.on_error == "collect"
        remove_extras(self._plan, self._deletes, self._tally, go_on=go_on)


def refuse_collisions(plan: CopyPlan, kept: list[FileInfo] | None = None) -> None:
    """``StorageCollisionError`` where files would become one; ``kept`` is the source's listing."""
    if plan.given is not None:
        _refuse_given(plan, plan.given)
        return
    is_filtered = kept is not None and not plan.delete

    def wanted() -> Iterable[FileInfo]:
        return plan.new_listing(plan.source) if kept is None else kept

    # What is there under another spelling would be removed by a mirror, and not be compared.
    decides = plan.delete or plan.strategy is not SkipStrategy.NEVER
    require_no_collisions(
        wanted,
        plan.source,
        plan.target,
        filters=None if is_filtered else plan.filters,
        existing=(lambda: plan.new_listing(plan.target))
        if decides and plan.target_info is not None
        else None,
    )


def _refuse_given(plan: CopyPlan, given: Iterable[Action]) -> None:
    """The same by what the plan says of both places; what its filters left out is not in it."""
    wanted = [each.source for each in given if isinstance(each, _OF_FILES)]
    existing = [
        each.target
        for each in given
        if isinstance(each, _OF_FILES + _OF_EXTRAS) and each.target is not None
    ]
    wanted.sort(key=order_key)
    existing.sort(key=order_key)
    require_no_collisions(lambda: wanted, plan.source, plan.target, existing=lambda: existing)


def rehearsed(
    actions: Iterable[Action],
    progress: Progress | None,
    on_file: OnFile | None,
    on_skip: OnSkip | None,
) -> Iterator[Action]:
    """The actions, of which everybody is told as if they were carried out."""
    current = total = 0
    if progress is not None:
        actions = list(actions)
        total = sum(isinstance(each, CopyFile | SkipFile) for each in actions)
    for action in actions:
        if isinstance(action, CopyFile) and on_file is not None:
            on_file(action)
        elif isinstance(action, SkipFile | Filtered) and on_skip is not None:
            on_skip(action)
        if isinstance(action, CopyFile | SkipFile) and progress is not None:
            current += 1
            progress(current, total)
        yield action


def executor_for(
    plan: CopyPlan,
    transfer: Transfer,
    given: Executor | futures.Executor | None = None,
    concurrency: int | None = None,
) -> Executor:
    """Who carries the plan out: whoever is given, else as many threads as pay."""
    if plan.overlapping:  # what is copied first must not be replaced before
        return (
            SerialExecutor()
            if isinstance(given, futures.Executor | None) or not _keeps_order(given)
            else given
        )
    if isinstance(given, futures.Executor):
        return executor_of(given, concurrency)
    if given is not None:
        return given
    if plan.info.type != "directory":
        return SerialExecutor()
    wanted = transfer.concurrency if concurrency is None else concurrency
    if wanted == 1:
        return SerialExecutor()
    return ThreadedExecutor(wanted, adapts=concurrency is None)


def _keeps_order(executor: Executor) -> bool:
    return bool(getattr(executor, "keeps_order", False))
