"""Carrying out what a plan says: one file at a time, by the cheapest way the two mounts offer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..exceptions import (
    StorageChangedError,
    StorageError,
    StorageExistsError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StoragePathError,
    StorageUnsupportedError,
    StorageValueError,
)
from ..info import Attributes
from ..retries import note_bytes
from .actions import Action, CompareFile, Conflict, CopyFile, MakeDirectory
from .attempting import Done, Stopped, attempt
from .events import FileStarted
from .place import Place
from .terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..batch import MountBatch
    from ..info import FileInfo
    from ..mount import Mount
    from .compare import Comparison
    from .events import Event
    from .rules import Decide

__all__ = ["CHUNK", "CopyResult", "Done", "Stopped", "Transfer", "copy_file"]

CHUNK = 1024 * 1024

#: Bytes of the files that are worth the threads of ``BinaryWriter.fill``.
_LARGE = 8 * CHUNK
#: Bytes up to which a file is read and written in two calls, without streams in between.
_SMALL = CHUNK
#: Bytes of the smallest block, however narrow the bandwidth.
_LEAST = 4096

_CONFLICTS: dict[str, type[StorageError]] = {
    "is_directory": StorageIsDirectoryError,
    "not_directory": StorageNotDirectoryError,
    "incomparable": StorageValueError,
    "path": StoragePathError,
}


class CopyResult(NamedTuple):
    """``new_path`` where the content decides the path (base64); ``bytes``: how many there were.

    ``verified``: the destination was compared with the source after it was written.
    """

    new_path: str | None
    bytes: int
    verified: bool = False


class Transfer:
    """Everything that carrying out one action needs; safe to use from several threads.

    The way the bytes go is chosen once: inside the store where both mounts share one that
    copies by itself, else from a local file as a whole, else by reading and writing all of a small
    file at once and a large one as a stream in blocks.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        *,
        terms: Terms = Terms(),  # noqa: B008 - a frozen value
        settle: Decide | None = None,
        comparison: Comparison | None = None,
    ) -> None:
        """``settle`` decides about a ``CompareFile``, by whatever requests and reading it takes."""
        #: Who hears what happens to a file under way; called in whatever thread copies it.
        self.listener: Callable[[Event], object] | None = None
        self.source: Place = source
        self.target: Place = target
        self.terms: Terms = terms
        self._settle = settle
        self._comparison = comparison
        self._prefix = target.path + "/" if target.path else ""
        self._directory: tuple[str | None, str | None] = None, None
        self._in_store = terms.version is None and source.mount.can_copy_to(target.mount)
        self._local = terms.version is None and source.mount.local_path(source.path) is not None
        self._both_local = self._local and target.mount.local_path(target.path) is not None
        if self._both_local and terms.bandwidth:
            self._in_store = False  # there is no store that copies, it is this machine
        rate = terms.bandwidth.bytes_per_second if terms.bandwidth else None
        # What goes slowly goes in steps, of which one can see each.
        self._block = CHUNK if rate is None else min(CHUNK, max(rate // 4, _LEAST))
        self._stopping = threading.Event()

    @property
    def concurrency(self) -> int:
        """How many transfers at a time pay between the two places."""
        source, target = self.source.mount, self.target.mount
        return target.concurrency if self._in_store else max(source.concurrency, target.concurrency)

    def stop(self) -> None:
        """Begin nothing more: what is under way ends, or is given up where it can be."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has said ``stop``."""
        return self._stopping.is_set()

    def begin_batch(self) -> MountBatch | None:
        """A batch of the target, where that is the cheaper way to write many files."""
        return None if self._in_store else self.target.mount.begin_batch()

    def to(self, mount: Mount) -> Transfer:
        """The same into the same path of another mount."""
        twin = Transfer(
            self.source,
            Place(mount, self.target.path),
            terms=self.terms,
            settle=self._settle,
            comparison=self._comparison,
        )
        twin.listener, twin._stopping = self.listener, self._stopping
        return twin

    # -- actions ------------------------------------------------------------------------------

    def attempt(self, action: Action) -> Done:
        """Carry out one action, and say what has come of it; raises only what is no ``Exception``.

        A file that changed while it was read, or whose transfer the network broke, is tried again.
        """
        return attempt(self, action)

    def wait(self, seconds: float) -> bool:
        """Wait; at once and True where the copy is given up meanwhile."""
        return self._stopping.wait(seconds)

    def decided(self, action: Action) -> Action:
        """What is to be done, where the plan has left it open."""
        if not isinstance(action, CompareFile):
            return action
        if self._settle is None:
            raise StorageValueError(f"{action.relpath}: there is nothing to compare it by")
        return self._settle(action.relpath, action.source, action.target)

    def perform(self, action: Action) -> CopyResult | None:
        """Carry out one action, once; a ``Conflict`` is raised as an error that names the node.

        Returns None where nothing had to be done (skipped, or a directory already there).
        """
        if isinstance(action, CopyFile):
            target_path = self._target_path(action.relpath)
            if self.listener is not None:
                self.listener(FileStarted(action.relpath, action.source.size))
            result = self.copy(action.source, target_path)
            if self.terms.verify is None:
                return result
            return self._verified(action.source, result, target_path)
        if isinstance(action, MakeDirectory):
            return self._make_directory(self._target_path(action.relpath))
        if isinstance(action, CompareFile):
            return self.perform(self.decided(action))
        if isinstance(action, Conflict):
            label = self.target.mount.label(self._target_path(action.relpath))
            raise _CONFLICTS[action.kind](f"{label}: {action.message}", node=label)
        return None

    def _target_path(self, relpath: str) -> str:
        return self._prefix + relpath if relpath else self.target.path

    # -- one file -----------------------------------------------------------------------------

    def copy(self, info: FileInfo, target_path: str) -> CopyResult:
        """Copy one file of the source's mount to a path of the target's; see ``copy_file``."""
        target = self.target.mount
        try:
            if self._in_store and self._copies_inside(info, target_path):
                return CopyResult(None, info.size or 0)
            if self.terms.resume and (found := self._resumed(info, target_path)) is not None:
                return found
            is_small = info.size is not None and 0 < info.size <= min(_SMALL, self._block)
            limited = bool(self.terms.bandwidth)  # then each block passes through here
            if self._local and (self._both_local or not is_small) and not limited:
                local = self._local_path(info.path)
                if local is not None:
                    new_path = target.upload(
                        local,
                        target_path,
                        if_absent=self.terms.if_absent,
                        attributes=_attributes(info),
                    )
                    return CopyResult(new_path, info.size or 0)
        except StorageChangedError as error:
            raise self._changed(info, "while it was read") from error
        except StorageError:
            # The target's mount can name only the target; where the source is what cannot be
            # read, reading it says so in its own words.
            self.source.mount.open_read(info.path).close()
            raise
        if is_small and self.terms.version is None:
            return self._at_once(info, target_path)
        return self._stream(info, target_path)

    def _resumed(self, info: FileInfo, target_path: str) -> CopyResult | None:
        """Copy a large file from where an earlier run was interrupted; None to copy it as usual."""
        from .resuming import resumable_copy

        if self.terms.version is not None:
            return None
        return resumable_copy(
            Place(self.source.mount, info.path),
            info,
            Place(self.target.mount, target_path),
            attributes=_attributes(info),
            if_absent=self.terms.if_absent,
            take=self._take,
        )

    def _copies_inside(self, info: FileInfo, target_path: str) -> bool:
        """Whether the store has copied it; not where it cannot on the condition that is asked for."""
        source, target = self.source.mount, self.target.mount
        if not self.terms.if_absent:
            source.copy_listed(info, target, target_path)
            return True
        target.require_write(target_path, "copying")
        try:
            source.copy(info.path, target, target_path, if_absent=True)
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

    def _at_once(self, info: FileInfo, target_path: str) -> CopyResult:
        data, kept, told = self.source.mount.load(info.path)
        if (len(data) if told is None else told) != info.size:
            raise self._changed(info, f"{len(data)} bytes read, {info.size} expected")
        if self.terms.bandwidth:
            self._take(len(data))
        new_path = self.target.mount.write_bytes(
            target_path, data, if_absent=self.terms.if_absent, attributes=_joined(info, kept)
        )
        return CopyResult(new_path, len(data))

    def _stream(self, info: FileInfo, target_path: str) -> CopyResult:
        mount, expected, version = self.source.mount, info.size, self.terms.version
        is_large = version is None and expected is not None and expected > _LARGE
        with (
            (
                mount.open_whole(info.path)
                if is_large
                else mount.open_read(info.path, version=version)
            ) as reader,
            self.target.mount.open_write(
                target_path,
                if_absent=self.terms.if_absent,
                attributes=_attributes(info, getattr(reader.raw, "kept_mtime", None)),
            ) as writer,
        ):
            filled = writer.fill(reader) if is_large and not self.terms.bandwidth else None
            count = self._pump(reader, writer) if filled is None else filled
            if expected is not None and count != expected:
                # Raised inside the block, so that the writer leaves the target as it was.
                raise self._changed(info, f"{count} bytes read, {expected} expected")
        return CopyResult(writer.new_path, count)

    def _pump(self, reader: BinaryIO, writer: BinaryIO) -> int:
        """The whole content, block by block; how many bytes."""
        count = 0
        while chunk := reader.read(self._block):
            self._take(len(chunk))
            writer.write(chunk)
            count += len(chunk)
            note_bytes(len(chunk))
        return count

    def _take(self, count: int) -> None:
        """Wait for one's share of the bandwidth; ``Stopped`` where the copy is given up meanwhile."""
        bandwidth = self.terms.bandwidth
        if self._stopping.is_set() or not (
            bandwidth is None or bandwidth.take(count, self._stopping)
        ):
            raise Stopped

    def _changed(self, info: FileInfo, how: str) -> StorageChangedError:
        label = self.source.mount.label(info.path)
        return StorageChangedError(
            f"{label}: changed while it was being copied ({how}); the destination is as it was. "
            "Copy it again",
            node=label,
        )

    def _verified(self, info: FileInfo, result: CopyResult, target_path: str) -> CopyResult:
        """Compare what has arrived as ``verify`` asks; ``StorageIOError`` where it is another."""
        verify = self.terms.verify
        path = result.new_path or target_path
        if self._comparison is None:
            raise StorageValueError("there is nothing to verify by")
        target = self.target.mount
        found = target.stat(path)
        label = target.label(path)
        if verify == "checksum":
            same = self._comparison.same(info, found) is not None
        else:
            same = found.size is not None and found.size == result.bytes
        if not same:
            raise StorageIOError(
                f"{label}: is not what was copied from {self.source.mount.label(info.path)} "
                f"(compared by {verify}): the source changed meanwhile, or the storage has lost "
                "something. Copy it again",
                node=label,
            )
        return result._replace(verified=True)

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


def copy_file(
    source: Place, info: FileInfo, target: Place, *, version: str | None = None
) -> CopyResult:
    """Copy the file that ``info`` describes to ``target``, replacing what is there, whole or not.

    The modification time, the content type and the user metadata go along as far as the target
    keeps them. ``StorageIOError`` where the source changed meanwhile, ``StorageNotFoundError``
    where it went away.
    """
    return Transfer(source, target, terms=Terms(version=version)).copy(info, target.path)


def _attributes(info: FileInfo, kept_mtime: float | None = None) -> Attributes:
    mtime = info.mtime if kept_mtime is None else kept_mtime
    return Attributes(mtime, None, info.content_type, info.metadata, offered=True)


def _joined(info: FileInfo, kept: Attributes) -> Attributes:
    """What was kept with a file, and where that says nothing, what its listing says."""
    return Attributes(
        info.mtime if kept.mtime is None else kept.mtime,
        None,
        kept.content_type or info.content_type,
        kept.metadata if kept.metadata is not None else info.metadata,
        offered=True,
    )
