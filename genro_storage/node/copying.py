"""Copying, mirroring and comparing: what a node does with its whole tree and another place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from ..exceptions import StorageValueError
from .core import no_node
from .packing import NodePacking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from ..info import FileInfo
    from ..strategy import SkipStrategy
    from ..transfer import (
        CheckReport,
        ChecksumCache,
        CopyFile,
        CopyPlan,
        Filtered,
        Place,
        PlanSummary,
        SkipFile,
        TransferReport,
    )
    from ..transfer.options import CopyOptions, LimitOptions, PlanOptions, SyncOptions
    from .storage_node import StorageNode

    Patterns = str | Sequence[str] | None

__all__ = ["NodeCopying"]


class NodeCopying(NodePacking):
    """The copying part of :class:`~genro_storage.StorageNode`."""

    __slots__ = ()

    def _resolve(self, target: StorageNode | str) -> StorageNode:
        if isinstance(target, str):
            return self._manager.node(target)
        if not isinstance(target, NodeCopying):
            raise no_node(f"{self._label}: a target is a node or text, 'mount:path'", target)
        return target

    def plan_copy(
        self,
        dest: StorageNode | str,
        *,
        include: Patterns = None,
        exclude: Patterns = None,
        filter: Callable[[Self, str], object] | None = None,
        skip: str | SkipStrategy = "never",
        skip_fn: Callable[[Self, StorageNode], object] | None = None,
        **options: Unpack[PlanOptions],
    ) -> CopyPlan:
        """What :meth:`copy_to` would do, as a value: iterate over it, or ``apply()`` it."""
        from ..transfer.options import PlanOptions, require_known

        require_known(options, PlanOptions, self._label, "plan_copy")
        self._resolve(dest)._refuse_snapshot()
        return self._planned(
            dest,
            include=include,
            exclude=exclude,
            filter=filter,
            skip=skip,
            skip_fn=skip_fn,
            **options,
        )

    def _planned(
        self,
        dest: StorageNode | str,
        *,
        filter: Callable[[Self, str], object] | None = None,
        skip_fn: Callable[[Self, StorageNode], object] | None = None,
        **options: Any,
    ) -> CopyPlan:
        # Loading the transfer modules costs more than most programs' nodes do.
        from ..transfer import Place, plan_copy

        target = self._resolve(dest)
        # A function that gives the root is asked once, where both sides are on its mount.
        here = self._bound()
        there = target._bound(here)

        def predicate(info: FileInfo, relpath: str) -> object:
            assert filter is not None
            return filter(self._derive(info.path, info), relpath)

        def extra(info: FileInfo, relpath: str) -> object:
            assert filter is not None
            return filter(there._derive(info.path, info), relpath)  # type: ignore[arg-type]

        def compare(ours: FileInfo, theirs: FileInfo) -> object:
            assert skip_fn is not None
            return skip_fn(self._source_node(ours), target._derive(theirs.path, theirs))

        return plan_copy(
            Place(here._mount, here._path),
            Place(there._mount, there._path),
            filter=None if filter is None else predicate,
            extra_filter=None if filter is None else extra,
            skip_fn=None if skip_fn is None else compare,
            version=self._version_id(),
            **options,
        )

    def _source_node(self, info: FileInfo) -> Self:
        """The node of a file that is being copied: itself where it is a single one."""
        return self if info.path == self._path else self._derive(info.path, info)

    def copy_to(
        self,
        dest: StorageNode | str,
        include: Patterns = None,
        exclude: Patterns = None,
        filter: Callable[[Self, str], object] | None = None,
        skip: str | SkipStrategy = "never",
        skip_fn: Callable[[Self, StorageNode], object] | None = None,
        progress: Callable[[int, int], object] | None = None,
        on_file: Callable[[Self], object] | None = None,
        on_skip: Callable[[Self, str], object] | None = None,
        **options: Unpack[CopyOptions],
    ) -> StorageNode:
        """Copy this file or tree onto ``dest``, a node or ``"mount:path"``; returns its node.

        A directory merges into what is there; each file arrives whole or not at all. ``include``,
        ``exclude`` (fnmatch patterns on the path below this directory; ``*`` matches ``/`` too)
        and ``filter(node, relpath)`` choose files. ``skip`` leaves a file alone that is there
        already: ``never``, ``exists``, ``size``, ``mtime``, ``hash``, or ``custom`` with
        ``skip_fn(source, dest)``. A comparison that fails raises, it never overwrites. With
        ``if_absent`` no file is replaced: ``StorageExistsError`` where one is there, or comes meanwhile.
        ``progress(current, total)`` counts files, ``on_file(node)`` follows each copy,
        ``on_skip(node, reason)`` each file left out. More ``options``: those of ``CopyPlan.apply``
        (``concurrency``, ``verify``, ``on_error`` …), of mirrors (``delete``, ``max_delete``), limits
        (``min_size``, ``patterns`` …), and ``dry_run``, which writes nothing.

        Raises ``StorageNotFoundError`` for a missing source, ``StoragePermissionError`` where
        ``dest`` may not be written, ``StorageValueError`` for a directory copied into itself.
        The first error stops the copy, and what has arrived stays; with ``on_error="collect"`` all
        other files are copied first, and ``StorageTransferError`` has the report.
        """
        from ..transfer.options import CopyOptions, require_known

        require_known(options, CopyOptions, self._label, "copy_to")
        target = self._resolve(dest)
        report = self._carry_out(
            target,
            {
                **options,
                "include": include,
                "exclude": exclude,
                "filter": filter,
                "skip": skip,
                "skip_fn": skip_fn,
                "progress": progress,
                "on_file": on_file,
                "on_skip": on_skip,
            },
        )
        from ..transfer import StorageTransferError, TransferReport

        if isinstance(report, TransferReport) and report.failed:
            raise StorageTransferError.of(report, self._place(), target._place())
        return target

    copy = copy_to

    def _place(self) -> Place:
        from ..transfer import Place

        return Place(self._mount, self._path)

    def _carry_out(
        self, target: StorageNode, options: dict[str, Any]
    ) -> TransferReport | PlanSummary:
        """Plan and apply, or only rehearse."""
        from ..transfer.options import ApplyOptions
        from ..transfer.terms import require_flags

        dry_run = options.pop("dry_run", False)
        require_flags(dry_run=dry_run)
        progress = options.pop("progress", None)
        on_file, on_skip = options.pop("on_file", None), options.pop("on_skip", None)
        apply = {
            name: options.pop(name) for name in ApplyOptions.__annotations__ if name in options
        }
        plan = self.plan_copy(target, **options)

        def copied(action: CopyFile) -> None:
            on_file(self._source_node(action.source))

        def skipped(action: SkipFile | Filtered) -> None:
            on_skip(self._source_node(action.source), action.reason)

        told = (
            progress,
            None if on_file is None else copied,
            None if on_skip is None else skipped,
        )
        if dry_run:
            return plan.rehearse(*told)
        report = plan.apply(*told, fresh=True, **apply)
        target._changed(report.new_path)
        return report

    def sync(
        self,
        dest: StorageNode | str,
        *,
        skip: str | SkipStrategy = "mtime",
        **options: Unpack[SyncOptions],
    ) -> TransferReport | PlanSummary:
        """Bring ``dest`` up to date with this directory; returns the report.

        As :meth:`copy_to`, which by default leaves alone what has the same size and time. What only
        ``dest`` has stays, unless ``delete=True`` makes it a mirror: then it is removed after
        everything has arrived, but nothing of what the filters leave out, and nothing at all where
        something failed, or where more than ``max_delete`` files would go. An empty source is
        mirrored only with ``max_delete``. With ``dry_run=True`` nothing is changed, and the summary
        says what would be. Failures with ``on_error="collect"`` are in the report, and not raised.
        """
        from ..transfer.options import SyncOptions, require_known

        require_known(options, SyncOptions, self._label, "sync")
        return self._carry_out(self._resolve(dest), {**options, "skip": skip})

    def check(
        self,
        dest: StorageNode | str,
        *,
        by: Literal["size", "mtime", "hash"] = "hash",
        one_way: bool = False,
        include: Patterns = None,
        exclude: Patterns = None,
        filter: Callable[[Self, str], object] | None = None,
        checksums: ChecksumCache | None = None,
        **limits: Unpack[LimitOptions],
    ) -> CheckReport:
        """Compare this file or tree with ``dest``; nothing is changed, and no rights are needed.

        ``by`` says what makes two files the same. With ``one_way`` nobody asks what only ``dest``
        has. A file that cannot be compared is ``unknown``, never ``same``.

        >>> from genro_storage import StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{"name": "m", "type": "memory"}])
        >>> storage.node("m:a/x.txt").write_text("x"), storage.node("m:b/y.txt").write_text("y")
        (True, True)
        >>> print(storage.node("m:a").check("m:b"))
        0 same, 1 missing, 1 extra
        """
        from ..transfer.checking import CheckReport, compared
        from ..transfer.options import LimitOptions, require_known

        require_known(limits, LimitOptions, self._label, "check")
        if by not in ("size", "mtime", "hash"):
            raise StorageValueError(f"by= takes 'size', 'mtime' or 'hash', not {by!r}")
        plan = self._planned(
            self._resolve(dest),
            include=include,
            exclude=exclude,
            filter=filter,
            skip=by,
            delete=not one_way and self.isdir,
            checksums=checksums,
            writes=False,
            **limits,
        )
        return CheckReport.of(compared(plan))
