"""Carrying out a whole plan: who does it, who hears of it, what is removed at its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from concurrent import futures
from typing import TYPE_CHECKING

from ..exceptions import StorageError, StorageNotEmptyError, StorageNotFoundError
from ..paths import join
from .actions import CopyFile, DeleteDirectory, DeleteFile, Filtered, SkipFile
from .executors import Executor, SerialExecutor, ThreadedExecutor
from .pools import executor_of
from .report import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..info import FileInfo
    from .actions import Action
    from .copying import CopyPlan
    from .execute import Done, Transfer
    from .progress import OnFile, OnSkip, Progress
    from .report import TransferReport
    from .terms import Terms

__all__ = ["Application", "executor_for", "rehearsed"]


class Application:
    """One run of a plan."""

    def __init__(
        self,
        plan: CopyPlan,
        terms: Terms,
        progress: Progress | None,
        on_file: OnFile | None,
        on_skip: OnSkip | None,
    ) -> None:
        self._plan = plan
        self._terms = terms
        self._progress = progress
        self._on_file = on_file
        self._on_skip = on_skip
        self._tally = Tally()
        self._deletes: list[DeleteFile | DeleteDirectory] = []
        self._failure: Exception | None = None

    def run(
        self,
        look: Callable[[], CopyPlan],
        executor: Executor | futures.Executor | None,
        concurrency: int | None,
        started: float,
    ) -> TransferReport:
        """Look at both places, act, and report; the first error is raised if so asked."""
        tally = self._tally
        try:
            self._plan = plan = look()
            transfer = plan.transfer(self._terms)
            self._copy(transfer, executor_for(plan, transfer, executor, concurrency))
            if self._failure is not None:
                raise self._failure
            self._remove()
        except Exception as error:  # passes on, with a note of how far the copy came
            if error is not self._failure:
                tally.fail("", error)
            error.add_note(
                f"copying {self._plan.source} to {self._plan.target} stopped: "
                f"{tally.report(time.perf_counter() - started)}"
            )
            raise
        return tally.report(time.perf_counter() - started)

    # -- copying ------------------------------------------------------------------------------

    def _copy(self, transfer: Transfer, executor: Executor) -> None:
        plan = self._plan
        kept: list[FileInfo] | None = None
        total = 1
        if (
            plan.info.type == "directory"
            and not plan.same
            and (self._progress is not None or (self._on_skip is not None and plan.filters))
        ):
            kept, total = self._keep()
        current = 0
        running = executor.run(self._copies(kept), transfer)
        with contextlib.ExitStack() as stack:
            if isinstance(running, Generator):
                stack.callback(running.close)  # at once, also where a callback raises
            for done in running:
                current = self._take(done, transfer, current, total)

    def _take(self, done: Done, transfer: Transfer, current: int, total: int) -> int:
        """Count and tell; how many files are done."""
        self._tally.count(done)
        if done.error is not None:
            if self._failure is None and self._terms.on_error == "raise":
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
            if self._on_file is not None:
                self._on_file(action)
        elif isinstance(action, SkipFile) and self._on_skip is not None:
            self._on_skip(action)

    def _copies(self, kept: list[FileInfo] | None) -> Iterator[Action]:
        """What is to be copied; what is to be removed is kept for the end, when all has arrived."""
        is_told = kept is not None  # of what was filtered out
        for action in self._plan.actions(kept, pruned=self._on_skip is None):
            if isinstance(action, DeleteFile | DeleteDirectory):
                self._deletes.append(action)
            elif not (is_told and isinstance(action, Filtered)):
                yield action

    def _keep(self) -> tuple[list[FileInfo], int]:
        """What takes part, and how many files that are; the rest is reported at once.

        A mirror is told of the rest too: what the source has is not removed at the target.
        """
        plan = self._plan
        kept: list[FileInfo] = []
        count = 0
        start = len(plan.source.path) + 1 if plan.source.path else 0
        for info in plan.source_listing(pruned=self._on_skip is None):
            if info.type == "directory":
                kept.append(info)
                continue
            relpath = info.path[start:]
            reason = plan.filters.reason(info, relpath) if plan.filters else None
            if reason is None:
                count += 1
            else:
                self._tally.filtered += 1
                if self._on_skip is not None:
                    self._on_skip(Filtered(relpath, info, reason))
            if reason is None or plan.delete:
                kept.append(info)
        return kept, count

    # -- removing -----------------------------------------------------------------------------

    def _remove(self) -> None:
        """Make the target a mirror: only when everything was listed, and copied."""
        plan, tally = self._plan, self._tally
        if not self._deletes:
            return
        if tally.failed:
            return  # what is missing there may be all that is left of a file; the report tells
        label = str(plan.target)
        files = [each for each in self._deletes if isinstance(each, DeleteFile)]
        if plan.max_delete is not None and len(files) > plan.max_delete:
            raise StorageError(
                f"{label}: {len(files)} files are not in {plan.source}, and max_delete allows to "
                f"remove {plan.max_delete}; nothing was removed. Look at the plan, and raise it",
                node=label,
            )
        if plan.max_delete is None and not (tally.copied or tally.skipped or tally.directories):
            raise StorageError(
                f"{label}: {plan.source} has no files, so that a mirror of it would remove all "
                f"{len(files)} here; nothing was removed. If that is meant, say "
                f"max_delete={len(files)}",
                node=label,
            )
        mount, above = plan.target.mount, plan.target.path
        mount.remove_many(join(above, each.relpath) for each in files)
        tally.deleted += len(files)
        for each in reversed(self._deletes):
            if isinstance(each, DeleteDirectory):
                try:
                    mount.remove(join(above, each.relpath))
                except (StorageNotEmptyError, StorageNotFoundError):
                    continue  # what the filters spare is in it; or it ended with its last file
                tally.deleted += 1


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
    if isinstance(given, futures.Executor) and not plan.overlapping:
        return executor_of(given, concurrency)
    if given is not None and not isinstance(given, futures.Executor):
        return given
    if plan.info.type != "directory" or plan.overlapping:
        return SerialExecutor()
    wanted = transfer.concurrency if concurrency is None else concurrency
    return SerialExecutor() if wanted == 1 else ThreadedExecutor(wanted)
