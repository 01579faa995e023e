"""The entry: ``plan_copy`` checks what can be checked at once, ``CopyPlan`` lists, shows, acts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..exceptions import (
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
)
from ..info import FileInfo
from ..paths import join, parent_of
from ..strategy import SkipStrategy, parse_strategy
from .collisions import require_no_collisions
from .execute import Executor, Place, SerialExecutor, Transfer, same_content
from .filters import Filters, Patterns, Predicate
from .inside import refuse_into_itself
from .plan import (
    Action,
    CopyFile,
    Decide,
    Filtered,
    MakeDirectory,
    SkipFile,
    decide_by,
    plan_file,
    plan_tree,
)
from .progress import Callbacks, OnFile, OnSkip, Progress
from .report import PlanSummary, Tally, TransferReport, reason_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CopyPlan", "SkipFunction", "plan_copy"]

SkipFunction = Callable[[FileInfo, FileInfo], object]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CopyPlan:
    """A copy that has been decided on and not carried out: a value to look at, or to apply.

    Iterating lists both sides and yields the actions without changing anything (each time
    anew, in constant memory); ``apply()`` carries them out. Neither lists a directory that no
    file can pass.
    """

    source: Place
    target: Place
    info: FileInfo
    target_info: FileInfo | None
    filters: Filters
    strategy: SkipStrategy
    decide: Decide
    version: str | None = None
    same: bool = False
    """Source and target are one place: there is nothing to do."""
    overlapping: bool = False
    """The source lies inside the target, so that copying writes among what is being copied."""
    if_absent: bool = False
    """A file that is at the destination by the time it is written is an error."""

    def __iter__(self) -> Iterator[Action]:
        return self._as_of_now()._actions(pruned=True)

    def _as_of_now(self) -> CopyPlan:
        """The same plan for what stands at both places now: time may have passed."""
        if self.same:
            return self
        info = _source_info(self.source, self.version)
        return replace(self, info=info, target_info=_target_info(self.target, info, self.strategy))

    def __repr__(self) -> str:
        return f"CopyPlan({str(self.source)!r}, {str(self.target)!r}, skip={self.strategy.value!r})"

    def count(self) -> int:
        """How many actions there are, directories to be made included (no ``len()``: that would list twice in ``list(plan)``)."""
        return sum(1 for _ in self)

    def summary(self) -> PlanSummary:
        """What would be done, in numbers; both sides are listed, nothing is changed."""
        return PlanSummary.of(self)

    def apply(
        self,
        progress: Progress | None = None,
        on_file: OnFile | None = None,
        on_skip: OnSkip | None = None,
        *,
        executor: Executor | None = None,
        fresh: bool = False,
    ) -> TransferReport:
        """Carry the plan out; ``Callbacks`` says who is told what.

        What stands at both places is looked at anew, since time may have passed; not where the
        plan is ``fresh``, made in the line before.

        The first error stops it; what was copied until then stays and is noted on the error.
        Directories that no file can pass are not listed, unless ``on_skip`` wants to hear of what
        is in them. The files are held as a list only where ``progress`` needs their number beforehand, or
        ``on_skip`` is to hear of the filtered ones before the first copy.
        """
        started = time.perf_counter()
        tally = Tally()
        callbacks = Callbacks(progress, on_file, on_skip)
        try:
            plan = self if fresh else self._as_of_now()
            plan._apply(tally, callbacks, executor or SerialExecutor())
        except Exception as error:  # passes on, with a note of how far the copy came
            tally.failed += 1
            error.add_note(
                f"copying {self.source} to {self.target} stopped: "
                f"{tally.report(time.perf_counter() - started)}"
            )
            raise
        return tally.report(time.perf_counter() - started)

    def _apply(self, tally: Tally, callbacks: Callbacks, executor: Executor) -> None:
        progress, on_file, on_skip = callbacks
        kept: list[FileInfo] | None = None
        total = 1
        if (
            self.info.type == "directory"
            and not self.same
            and (progress is not None or (on_skip is not None and self.filters))
        ):
            kept = self._keep(tally, on_skip)
            total = sum(1 for info in kept if info.type != "directory")
        if self.info.type == "directory" and not self.same:
            require_no_collisions(
                lambda: self.source_listing() if kept is None else kept,
                self.source,
                self.target,
                filters=self.filters if kept is None else None,
            )
        current = 0
        transfer = Transfer(
            self.source, self.target, version=self.version, if_absent=self.if_absent
        )
        actions = self._actions(kept, pruned=on_skip is None)
        for action, result in executor.run(actions, transfer):
            kind = action.__class__
            if kind is CopyFile:
                tally.copied += 1
                if result is not None:
                    tally.bytes_copied += result.bytes
                    tally.new_path = result.new_path
                if on_file is not None:
                    on_file(action)  # type: ignore[arg-type]
            elif isinstance(action, SkipFile):
                tally.skipped += 1
                tally.reasons[reason_kind(action.reason)] += 1
                if on_skip is not None:
                    on_skip(action)
            elif kind is MakeDirectory:
                if result is not None:
                    tally.directories += 1
                continue
            elif isinstance(action, Filtered):
                tally.filtered += 1  # whoever listens has heard of it while they were collected
                continue
            if progress is not None:
                current += 1
                progress(current, total)

    def _keep(self, tally: Tally, on_skip: OnSkip | None) -> list[FileInfo]:
        """What takes part; the rest is reported at once."""
        kept: list[FileInfo] = []
        start = len(self.source.path) + 1 if self.source.path else 0
        for info in self.source_listing(pruned=on_skip is None):
            if info.type != "directory" and self.filters:
                relpath = info.path[start:]
                reason = self.filters.reason(info, relpath)
                if reason is not None:
                    tally.filtered += 1
                    if on_skip is not None:
                        on_skip(Filtered(relpath, info, reason))
                    continue
            kept.append(info)
        return kept

    def source_listing(self, *, pruned: bool = True) -> Iterator[FileInfo]:
        """The source's tree; ``pruned`` of what no file can pass, where nobody asks about it."""
        find, path, filters = self.source.mount.find, self.source.path, self.filters
        if not filters:
            return find(path)
        start = len(path) + 1 if path else 0

        def may_hold(directory: str) -> bool:
            return len(directory) < start or filters.may_hold(directory[start:])

        if pruned:
            return find(path, enter=lambda info: may_hold(info.path))
        # The same tree for those who listen: what is given up is named, and not made.
        return (
            info
            for info in find(path)
            if info.type != "directory" or may_hold(parent_of(info.path))
        )

    def _actions(
        self, kept: list[FileInfo] | None = None, *, pruned: bool = False
    ) -> Iterator[Action]:
        if self.same:
            return iter(())
        if self.info.type != "directory":
            return iter((plan_file(self.info, self.target_info, self.decide),))
        return self._tree_actions(kept, pruned=pruned)

    def _tree_actions(self, kept: list[FileInfo] | None, *, pruned: bool) -> Iterator[Action]:
        listing: Iterable[FileInfo] = (
            kept if kept is not None else self.source_listing(pruned=pruned)
        )
        source, target = self.source, self.target
        sure = source.mount.can_compare_places(source.path, target.mount, target.path)
        if self.overlapping or not sure:
            # What is copied must not turn up in what is still being listed, which two stores
            # that do not know of each other cannot exclude.
            listing = list(listing)
        there: Iterable[FileInfo] | None
        if self.target_info is None:
            there = ()
            if self.target.path:
                yield MakeDirectory("")
        elif self.strategy is SkipStrategy.NEVER:
            there = None
        else:
            there = self.target.mount.find(self.target.path)
        actions = plan_tree(
            listing,
            there,
            self.decide,
            filters=None if kept is not None else self.filters,
            source_root=self.source.path,
            target_root=self.target.path,
        )
        if isinstance(listing, list) and self.overlapping:
            yield from _outermost_first(list(actions), listing, self.source, self.target)
        else:
            yield from actions


def plan_copy(
    source: Place,
    target: Place,
    *,
    include: Patterns = None,
    exclude: Patterns = None,
    filter: Predicate | None = None,
    skip: str | SkipStrategy = SkipStrategy.NEVER,
    skip_fn: SkipFunction | None = None,
    version: str | None = None,
    if_absent: bool = False,
) -> CopyPlan:
    """Decide how to copy a file or directory onto ``target``; nothing is written yet.

    A directory's content merges into the target directory. ``filter(info, relpath)`` and the
    patterns choose files of a directory (a single file is always chosen); ``skip`` says when
    one that is there already is left alone, ``skip_fn(source, target)`` decides for ``custom``;
    with ``if_absent`` nothing that is there, or comes meanwhile, is replaced.
    Raised at once: unknown values, a target that may not be written, a missing source, a file
    in a directory's place or the reverse, a directory copied into itself.
    """
    strategy = parse_strategy(skip)
    filters = Filters(include, exclude, filter)
    source = Place(source.mount.bind(), source.path)
    target = Place(target.mount.bind(), target.path)
    decide = decide_by(
        strategy,
        same=lambda ours, theirs: same_content(source, ours, target, theirs, version=version),
        skip_fn=None if skip_fn is None else _naming(skip_fn, source),
    )
    target.mount.require_write(target.path, "copying to it")
    info = _source_info(source, version)
    same = version is None and target.mount.same_place(target.path, source.mount, source.path)
    overlapping = False
    target_info: FileInfo | None = None
    if not same:
        if info.type == "directory":
            refuse_into_itself(source, target, filters=filters)
            overlapping = target.mount.contains(target.path, source.mount, source.path)
        target_info = _target_info(target, info, strategy)
    return CopyPlan(
        source,
        target,
        info,
        target_info,
        filters,
        strategy,
        decide,
        version,
        same,
        overlapping,
        if_absent,
    )


def _source_info(source: Place, version: str | None) -> FileInfo:
    if version is not None:
        return _version_info(source, version)
    try:
        info = source.mount.stat(source.path)
    except StorageNotFoundError as error:
        raise StorageNotFoundError(f"Source not found: {source}", node=str(source)) from error
    if info.type == "link":
        raise StorageNotFoundError(
            f"Source not found: {source} is a symbolic link that leads nowhere or out of the mount",
            node=str(source),
        )
    if info.type == "other":
        raise StorageValueError(
            f"{source}: not a regular file (a device, socket or pipe); nothing to copy",
            node=str(source),
        )
    return info


def _version_info(source: Place, version: str) -> FileInfo:
    """What is known about one version: never the size or time of the current content."""
    info = source.mount.stat_version(source.path, version)
    if info is not None:
        return info
    if not source.mount.capabilities.version_listing:
        return FileInfo(source.path, "file", version=version)
    for each in source.mount.versions(source.path):
        if each.version_id == version:
            return FileInfo(
                source.path,
                "file",
                size=each.size,
                mtime=each.last_modified.timestamp(),
                etag=each.etag,
                version=version,
            )
    raise StorageVersionError(f"{source}: no version {version!r}", node=str(source))


def _target_info(target: Place, info: FileInfo, strategy: SkipStrategy) -> FileInfo | None:
    """What stands at the target, None for nothing; an error where the kinds do not fit.

    Who may write a file and not look, writes it, unless what is there decides.
    """
    mount, label = target.mount, str(target)
    if mount.capabilities.path_is_content:
        if info.type == "directory":
            raise StorageUnsupportedError(
                f"{label}: a directory cannot be copied to a mount whose paths are the content",
                node=label,
            )
        return None
    try:
        found = mount.stat(target.path)
    except StorageNotFoundError:
        return None
    except StoragePermissionError:
        if info.type == "directory" or strategy is not SkipStrategy.NEVER:
            raise
        return None
    if info.type == "directory" and found.type != "directory":
        raise StorageNotDirectoryError(
            f"{label}: a directory cannot be copied onto a file", node=label
        )
    if info.type != "directory" and found.type == "directory":
        raise StorageIsDirectoryError(
            f"{label}: a file cannot be copied onto a directory; name the file inside it",
            node=label,
        )
    return found


def _naming(skip_fn: SkipFunction, source: Place) -> SkipFunction:
    def compare(ours: FileInfo, theirs: FileInfo) -> object:
        try:
            return skip_fn(ours, theirs)
        except Exception as error:  # the user's own, with a note
            error.add_note(f"skip_fn failed for {source.mount.label(ours.path)}; it was not copied")
            raise

    return compare


def _outermost_first(
    actions: list[Action], listing: list[FileInfo], source: Place, target: Place
) -> list[Action]:
    """Order the copy of a directory onto one above it so that no file is replaced unread.

    With the source at ``target/p``, copying ``p/x`` writes over the source of ``x``: so what
    stands outside ``p`` goes first, then what is once inside, then twice.
    """
    start = len(source.path) + 1 if source.path else 0
    for info in listing:
        inner = info.path[start:]
        if info.type == "directory" and target.mount.same_place(
            join(target.path, inner), source.mount, source.path
        ):
            break
    else:
        return actions

    def depth(action: Action) -> int:
        rest, count = action.relpath, 0
        while rest.startswith(inner + "/"):
            rest, count = rest[len(inner) + 1 :], count + 1
        return count

    return sorted(actions, key=depth)
