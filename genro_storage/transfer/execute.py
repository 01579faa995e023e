"""Carrying out what a plan says: one file at a time, by the cheapest way the two mounts offer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from ..exceptions import (
    StorageError,
    StorageExistsError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StoragePathError,
    StorageUnsupportedError,
    StorageValueError,
)
from ..info import Attributes, Checksum
from .plan import Action, Conflict, CopyFile, MakeDirectory

if TYPE_CHECKING:
    from ..batch import MountBatch
    from ..info import FileInfo
    from ..mount import Mount

__all__ = [
    "CHUNK",
    "CopyResult",
    "Done",
    "Executor",
    "Place",
    "SerialExecutor",
    "Transfer",
    "copy_file",
    "same_content",
]

CHUNK = 1024 * 1024

#: Bytes of the files that are worth the threads of ``BinaryWriter.fill``.
_LARGE = 8 * CHUNK

_CONFLICTS: dict[str, type[StorageError]] = {
    "is_directory": StorageIsDirectoryError,
    "not_directory": StorageNotDirectoryError,
    "incomparable": StorageValueError,
    "path": StoragePathError,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A path on a mount: where a copy starts or ends."""

    mount: Mount
    path: str

    def __str__(self) -> str:
        return self.mount.label(self.path)

    def address(self) -> tuple[object, str] | None:
        """A value that is equal for the same place through whatever mounts, where one is known."""
        return self.mount._address(self.path)


class CopyResult(NamedTuple):
    """``new_path`` where the content decides the path (base64); ``bytes``: how many there were."""

    new_path: str | None
    bytes: int


class Done(NamedTuple):
    """An action that was carried out; ``result`` is None where there was nothing to do."""

    action: Action
    result: CopyResult | None


class Transfer:
    """Everything that carrying out one action needs; safe to use from several threads.

    The way the bytes go is chosen once: inside the store where both mounts share one that
    copies by itself, else from a local file as a whole, else as a stream in blocks.
    """

    __slots__ = (
        "_directory",
        "_if_absent",
        "_in_store",
        "_local",
        "_prefix",
        "_resume",
        "_version",
        "source",
        "target",
    )

    def __init__(
        self,
        source: Place,
        target: Place,
        *,
        version: str | None = None,
        if_absent: bool = False,
        resume: bool = False,
    ) -> None:
        self._resume = resume and version is None
        self.source: Place = source
        self.target: Place = target
        self._version = version
        self._if_absent = if_absent
        self._prefix = target.path + "/" if target.path else ""
        self._directory: tuple[str | None, str | None] = None, None
        self._in_store = version is None and source.mount.can_copy_to(target.mount)
        self._local = version is None and source.mount.local_path(source.path) is not None

    def begin_batch(self) -> MountBatch | None:
        """A batch of the target, where that is the cheaper way to write many files."""
        return None if self._in_store else self.target.mount.begin_batch()

    def to(self, mount: Mount) -> Transfer:
        """The same into the same path of another mount."""
        place = Place(mount, self.target.path)
        return Transfer(
            self.source,
            place,
            version=self._version,
            if_absent=self._if_absent,
            resume=self._resume,
        )

    def perform(self, action: Action) -> CopyResult | None:
        """Carry out one action; a ``Conflict`` is raised as an error that names the node.

        Returns None where nothing had to be done (skipped, or a directory already there).
        """
        kind = action.__class__
        if kind is CopyFile:
            return self.copy(action.source, self._target_path(action.relpath))  # type: ignore[union-attr]
        if kind is MakeDirectory:
            return self._make_directory(self._target_path(action.relpath))
        if isinstance(action, Conflict):
            label = self.target.mount.label(self._target_path(action.relpath))
            raise _CONFLICTS[action.kind](f"{label}: {action.message}", node=label)
        return None

    def _target_path(self, relpath: str) -> str:
        return self._prefix + relpath if relpath else self.target.path

    def copy(self, info: FileInfo, target_path: str) -> CopyResult:
        """Copy one file of the source's mount to a path of the target's; see ``copy_file``."""
        source, target = self.source.mount, self.target.mount
        try:
            if self._in_store and self._copies_inside(info.path, target_path):
                return CopyResult(None, info.size or 0)
            if self._resume and (found := self._copy_resuming(info, target_path)) is not None:
                return found
            if self._local:
                local = self._local_path(info.path)
                if local is not None:
                    new_path = target.upload(
                        local,
                        target_path,
                        if_absent=self._if_absent,
                        attributes=_attributes(info),
                    )
                    return CopyResult(new_path, info.size or 0)
        except StorageError:
            # The target's mount can name only the target; where the source is what cannot be
            # read, reading it says so in its own words.
            source.open_read(info.path).close()
            raise
        return self._stream(info, target_path)

    def _copy_resuming(self, info: FileInfo, target_path: str) -> CopyResult | None:
        """Copy a large file from where an earlier run was interrupted; None to copy it as usual."""
        from .resuming import resumable_copy

        return resumable_copy(
            Place(self.source.mount, info.path),
            info,
            Place(self.target.mount, target_path),
            attributes=_attributes(info),
            if_absent=self._if_absent,
        )

    def _copies_inside(self, path: str, target_path: str) -> bool:
        """Whether the store has copied it; not where it cannot on the condition that is asked for."""
        source, target = self.source.mount, self.target.mount
        if not self._if_absent:
            source.copy(path, target, target_path)
            return True
        target.require_write(target_path, "copying")
        try:
            source.copy(path, target, target_path, if_absent=True)
        except StorageUnsupportedError:
            return False
        return True

    def _local_path(self, path: str) -> str | None:
        # A listing comes directory by directory, and finding out where one really is costs a
        # look at every directory above it: once is enough.
        directory, slash, name = path.rpartition("/")
        if not slash:
            return self.source.mount.local_path(path)
        known, local = self._directory
        if known != directory:
            local = self.source.mount.local_path(directory)
            self._directory = directory, local
        return None if local is None else f"{local}/{name}"

    def _stream(self, info: FileInfo, target_path: str) -> CopyResult:
        mount, expected = self.source.mount, info.size
        is_large = self._version is None and expected is not None and expected > _LARGE
        with (
            (
                mount.open_whole(info.path)
                if is_large
                else mount.open_read(info.path, version=self._version)
            ) as reader,
            self.target.mount.open_write(
                target_path,
                if_absent=self._if_absent,
                attributes=_attributes(info, getattr(reader.raw, "kept_mtime", None)),
            ) as writer,
        ):
            filled = writer.fill(reader) if is_large else None
            count = _pump(reader, writer) if filled is None else filled
            if expected is not None and count != expected:
                # Raised inside the block, so that the writer leaves the target as it was.
                label = mount.label(info.path)
                raise StorageIOError(
                    f"{label}: changed while it was being copied ({count} bytes read, "
                    f"{expected} expected); the destination is as it was. Copy it again",
                    node=label,
                )
        return CopyResult(writer.new_path, count)

    def _make_directory(self, path: str) -> CopyResult | None:
        mount = self.target.mount
        if not path or not mount.capabilities.mkdir:
            # A root is there; a store without directories has nothing to make.
            return None
        try:
            mount.make_parents(path)
            mount.mkdir(path)
        except StorageExistsError as error:
            if mount.stat(path).type != "directory":
                label = mount.label(path)
                raise StorageNotDirectoryError(
                    f"{label}: a file is where a directory should go", node=label
                ) from error
            return None
        return CopyResult(None, 0)


def _pump(reader: BinaryIO, writer: BinaryIO) -> int:
    """The whole content, block by block; how many bytes."""
    count = 0
    while chunk := reader.read(CHUNK):
        writer.write(chunk)
        count += len(chunk)
    return count


class Executor(Protocol):
    """Decides where and when actions are carried out; what to do is the plan's business.

    ``run`` takes the actions lazily, calls ``transfer.perform`` for each (in any order: writing
    makes missing parents), and yields what is done in the thread that iterates, so that
    callbacks never run anywhere else. What ``perform`` raises leaves ``run``.
    """

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """Carry out the actions."""
        ...


class SerialExecutor:
    """One action after the other, in the caller's thread."""

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """Carry out the actions in their order."""
        batch = transfer.begin_batch()
        if batch is not None:
            yield from _run_in_batches(actions, transfer.to(batch.mount), batch)
            return
        perform = transfer.perform
        for action in actions:
            yield Done(action, perform(action))


def _run_in_batches(
    actions: Iterable[Action], transfer: Transfer, batch: MountBatch
) -> Iterator[Done]:
    """Carry out the actions in their order; what is yielded as done is visible."""
    waiting: list[Done] = []
    failure: Exception | None = None
    try:
        for done in _until_failure(actions, transfer):
            if isinstance(done, Exception):
                failure = done
                break
            waiting.append(done)
            if batch.is_due:
                batch.publish()
            if batch.is_empty:
                yield from waiting
                waiting = []
        _publish_last(batch, failure)
        yield from waiting
    finally:
        batch.discard()
    if failure is not None:
        raise failure


def _until_failure(actions: Iterable[Action], transfer: Transfer) -> Iterator[Done | Exception]:
    """What is done, and last what went wrong, if anything did."""
    try:
        for action in actions:
            yield Done(action, transfer.perform(action))
    except Exception as error:  # noqa: BLE001 - raised by who asked, when all else is settled
        yield error


def _publish_last(batch: MountBatch, failure: Exception | None) -> None:
    """What was copied before an error stays, as everywhere; the first error is the one to tell."""
    try:
        batch.publish()
    except Exception as error:
        if failure is None:
            raise
        failure.add_note(f"what was copied before it could not be written either: {error}")
        raise failure from error


def copy_file(
    source: Place, info: FileInfo, target: Place, *, version: str | None = None
) -> CopyResult:
    """Copy the file that ``info`` describes to ``target``, replacing what is there, whole or not.

    The modification time, the content type and the user metadata go along as far as the target
    keeps them. ``StorageIOError`` where the source changed meanwhile, ``StorageNotFoundError``
    where it went away.
    """
    return Transfer(source, target, version=version).copy(info, target.path)


def _attributes(info: FileInfo, kept_mtime: float | None = None) -> Attributes:
    mtime = info.mtime if kept_mtime is None else kept_mtime
    return Attributes(mtime, None, info.content_type, info.metadata, offered=True)


def same_content(
    source: Place,
    source_info: FileInfo,
    target: Place,
    target_info: FileInfo,
    *,
    version: str | None = None,
) -> Checksum | None:
    """The checksum that both files have, or None where they differ.

    Sizes first, then what both storages know without reading (the same algorithm), then reading:
    only the side that needs it. A file that cannot be read raises: it is not "different".
    """
    left, right = source_info.size, target_info.size
    if left is not None and right is not None and left != right:
        return None
    # Asking the storage would ask about the current content, not about this version's.
    ours = source_info.checksum if version else source.mount.checksum(source_info)
    theirs = target.mount.checksum(target_info)
    if (
        version is None
        and (ours is None or theirs is None)
        and source.mount.has_content_of(source_info, target.mount, target_info)
    ):
        return Checksum("etag", source_info.etag or target_info.etag or "")
    if ours is None and theirs is None:
        return _same_when_read(source.mount, source_info, target.mount, target_info, version)
    if ours is not None and theirs is not None and ours.algorithm == theirs.algorithm:
        algorithm = ours.algorithm
    else:
        known = [each.algorithm for each in (ours, theirs) if each is not None]
        readable = [each for each in known if each in hashlib.algorithms_available]
        algorithm = "md5" if "md5" in readable or not readable else readable[0]
    if ours is None or ours.algorithm != algorithm:
        ours = _digest(source.mount, source_info, algorithm, version)
    if theirs is None or theirs.algorithm != algorithm:
        theirs = _digest(target.mount, target_info, algorithm, None)
    return ours if ours.hexdigest == theirs.hexdigest else None


def _same_when_read(
    source: Mount, source_info: FileInfo, target: Mount, target_info: FileInfo, version: str | None
) -> Checksum | None:
    """Compare block by block: it ends at the first difference, and only one side is hashed."""
    left, right = source_info.size, target_info.size
    if left is not None and left == right and left <= CHUNK:
        content = source.read_bytes(source_info.path, version=version)
        if content != target.read_bytes(target_info.path):
            return None
        return Checksum("md5", hashlib.md5(content, usedforsecurity=False).hexdigest())
    digest = hashlib.md5(usedforsecurity=False)
    with (
        source.open_read(source_info.path, version=version) as ours,
        target.open_read(target_info.path) as theirs,
    ):
        while True:
            block = ours.read(CHUNK)
            if block != theirs.read(CHUNK):
                return None
            if not block:
                return Checksum("md5", digest.hexdigest())
            digest.update(block)


def _digest(mount: Mount, info: FileInfo, algorithm: str, version: str | None) -> Checksum:
    if info.size is not None and info.size <= CHUNK:
        content = mount.read_bytes(info.path, version=version)
        digest = hashlib.new(algorithm, content, usedforsecurity=False)
    else:
        digest = hashlib.new(algorithm, usedforsecurity=False)
        with mount.open_read(info.path, version=version) as reader:
            while chunk := reader.read(CHUNK):
                digest.update(chunk)
    return Checksum(algorithm, digest.hexdigest())
