"""Carrying out what a plan says: one file at a time, by the cheapest way the two mounts offer."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ...exceptions import (
    StorageChangedError,
    StorageError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StoragePathError,
    StorageUnsupportedError,
    StorageValueError,
)
from ...hearing import note_bytes
from ..events import FileStarted
from ..place import Place
from ..planning.actions import Action, CompareFile, Conflict, CopyFile, MakeDirectory
from ..planning.rules import UNCOMPARED
from ..terms import Terms
from .ahead import Ahead
from .attempting import Done, Stopped, attempt
from .offering import joined, offered
from .verifying import require_arrived

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from ...batch import MountBatch
    from ...info import Attributes, FileInfo
    from ...mount import Mount
    from ..events import Event
    from ..planning.compare import Comparison
    from ..planning.rules import Decide
    from .attempting import Begun

__all__ = ["CHUNK", "CopyResult", "Done", "Stopped", "Transfer", "copy_file"]

CHUNK = 1024 * 1024

#: Bytes of the files that are worth the threads of ``BinaryWriter.fill``.
_LARGE = 8 * CHUNK
#: Bytes up to which a file is read and written in two calls, without streams in between.
_SMALL = CHUNK

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
        #: Whether somebody is told of each file, who may want it before the next is begun.
        self.is_followed: bool = False
        #: Relative paths of the files that nobody waited for any longer when the copy was given up.
        self.left_behind: list[str] = []
        #: How many calls in a row, each for several files, have made none.
        self.in_vain: int = 0
        #: What was done, and whoever iterates over it has not taken yet: where he is interrupted,
        #: the report finds it here.
        self.untold: deque[Done] = deque()
        self.source: Place = source
        self.target: Place = target
        self.terms: Terms = terms
        self._settle = settle
        self._comparison = comparison
        self._prefix = target.path + "/" if target.path else ""
        self._in_store = terms.version is None and source.mount.can_copy_to(target.mount)
        #: Whether the source is read without waiting for anybody but this machine.
        self.begins_here: bool = (
            terms.version is None and source.mount.local_path(source.path) is not None
        )
        self._is_into_local = target.mount.local_path(target.path) is not None
        self._both_local = self.begins_here and self._is_into_local
        if self._both_local and terms.bandwidth:
            self._in_store = False  # there is no store that copies, it is this machine
        self._block = CHUNK if terms.bandwidth is None else terms.bandwidth.block(CHUNK)
        self._stopping = threading.Event()
        #: The contents of small files that are wanted next.
        self.ahead: Ahead = Ahead(
            source.mount,
            fetches=not (self._in_store or self._both_local or terms.version or terms.bandwidth),
        )

    @property
    def concurrency(self) -> int:
        """How many transfers at a time pay between the two places."""
        source, target = self.source.mount, self.target.mount
        return target.concurrency if self._in_store else max(source.concurrency, target.concurrency)

    @property
    def may_copy_together(self) -> bool:
        """Whether several files can be copied by one call, and nobody asks for each."""
        is_followed = self.is_followed or self.listener is not None
        return self._both_local and self._is_plain and not is_followed

    @property
    def may_write_together(self) -> bool:
        """As ``may_copy_together``, of what has come, by a thread that nobody follows.

        A store replaces what is there.
        """
        is_bound = self.terms.if_absent or self.terms.as_planned
        return self._is_plain and self.listener is None and (self._is_into_local or not is_bound)

    @property
    def ends_here(self) -> bool:
        """Whether what has come is at its end when it was written, on this machine."""
        return self._is_into_local and self.terms.verify is None

    @property
    def _is_plain(self) -> bool:
        terms = self.terms
        return not (terms.resume or terms.bandwidth or terms.verify or terms.version)

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

    def attempt(self, action: Action, begun: Begun | None = None) -> Done:
        """Carry out one action, and say what has come of it; raises only what is no ``Exception``.

        A file that changed while it was read, or whose transfer the network broke, is tried again.
        ``begun`` tells of a first attempt that was made already.
        """
        return attempt(self, action, begun)

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
            target_path = self.target_path(action.relpath)
            if self.listener is not None:
                self.listener(FileStarted(action.relpath, action.source.size))
            result = self._copy_action(action, target_path)
            if self.terms.verify is None:
                return result
            return self._verified(action.source, result, target_path)
        if isinstance(action, MakeDirectory):
            return self._make_directory(self.target_path(action.relpath))
        if isinstance(action, CompareFile):
            return self.perform(self.decided(action))
        if isinstance(action, Conflict):
            label = self.target.mount.label(self.target_path(action.relpath))
            raise _CONFLICTS[action.kind](f"{label}: {action.message}", node=label)
        return None

    def is_exclusive(self, action: Action) -> bool:
        """Whether nothing may be in the place of this file when it is written.

        A plan that was read from a file says so of each that was missing when it was made; not where
        nobody looked (``skip="never"``), nor where the path is the content.
        """
        if self.terms.if_absent or not self.terms.as_planned:
            return self.terms.if_absent
        return (
            isinstance(action, CopyFile)
            and action.target is None
            and action.reason != UNCOMPARED
            and not self.target.mount.capabilities.path_is_content
        )

    def _copy_action(self, action: CopyFile, target_path: str) -> CopyResult:
        if_absent = self.is_exclusive(action)
        try:
            return self.copy(action.source, target_path, if_absent=if_absent)
        except StorageExistsError as error:
            if self.terms.if_absent or not if_absent:
                raise
            label = self.target.mount.label(target_path)
            raise StorageExistsError(
                f"{label}: came after the plan was made (or an earlier run of it has made it), and was not "
                "replaced; make the plan again",
                node=label,
            ) from error

    def target_path(self, relpath: str) -> str:
        """The path in the target's mount."""
        return self._prefix + relpath if relpath else self.target.path

    # -- one file -----------------------------------------------------------------------------

    def copy(self, info: FileInfo, target_path: str, *, if_absent: bool = False) -> CopyResult:
        """Copy one file of the source's mount to a path of the target's; see ``copy_file``."""
        if_absent = if_absent or self.terms.if_absent
        try:
            if self._in_store and self._copies_inside(info, target_path, if_absent):
                return CopyResult(None, info.size or 0)
            if self.terms.resume:
                found = self._resumed(info, target_path, if_absent)
                if found is not None:
                    return found
            is_small = info.size is not None and 0 < info.size <= min(_SMALL, self._block)
            limited = bool(self.terms.bandwidth)  # then each block passes through here
            if self.begins_here and (self._both_local or not is_small) and not limited:
                sent = self._upload(info, target_path, if_absent)
                if sent is not None:
                    return sent
        except StorageChangedError as error:
            raise self._changed(info, "while it was read") from error
        except StorageError:
            # The target's mount can name only the target; where the source is what cannot be
            # read, reading it says so in its own words.
            self.source.mount.open_read(info.path).close()
            raise
        if is_small and self.terms.version is None:
            return self._at_once(info, target_path, if_absent)
        return self._stream(info, target_path, if_absent)

    def _resumed(self, info: FileInfo, target_path: str, if_absent: bool) -> CopyResult | None:
        """Copy a large file from where an earlier run was interrupted; None to copy it as usual."""
        from .resuming import resumable_copy

        if self.terms.version is not None:
            return None
        return resumable_copy(
            Place(self.source.mount, info.path),
            info,
            Place(self.target.mount, target_path),
            attributes=offered(info),
            if_absent=if_absent,
            take=self._take,
        )

    def _copies_inside(self, info: FileInfo, target_path: str, if_absent: bool) -> bool:
        """Whether the store has copied it; not where it cannot on the condition that is asked for."""
        source, target = self.source.mount, self.target.mount
        if not if_absent:
            source.copy_listed(info, target, target_path)
            return True
        target.require_write(target_path, "copying")
        try:
            source.copy(info.path, target, target_path, if_absent=True)
        except StorageUnsupportedError:
            return False
        return True

    def _upload(self, info: FileInfo, target_path: str, if_absent: bool) -> CopyResult | None:
        """Copy a file of this machine as a whole; None where it is none after all."""
        # Opened by its own mount: what a listing has found may be a pipe by now, or a link that
        # leads out.
        descriptor = self.source.mount.open_local(info.path)
        if descriptor is None:
            return None
        try:
            new_path, count = self.target.mount.upload_open(
                descriptor,
                target_path,
                if_absent=if_absent,
                attributes=offered(info, os.fstat(descriptor).st_mtime),
            )
        finally:
            os.close(descriptor)
        return CopyResult(new_path, count)

    def _at_once(self, info: FileInfo, target_path: str, if_absent: bool) -> CopyResult:
        data, kept, told = self.ahead.load(info.path)
        if (len(data) if told is None else told) != info.size:
            raise self._changed(info, f"{len(data)} bytes read, {info.size} expected")
        if self.terms.bandwidth:
            self._take(len(data))
        new_path = self.target.mount.write_bytes(
            target_path, data, if_absent=if_absent, attributes=joined(info, kept)
        )
        return CopyResult(new_path, len(data))

    def _stream(self, info: FileInfo, target_path: str, if_absent: bool) -> CopyResult:
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
                if_absent=if_absent,
                attributes=self._kept(info, reader),
            ) as writer,
        ):
            filled = writer.fill(reader) if is_large and not self.terms.bandwidth else None
            count = self._pump(reader, writer) if filled is None else filled
            if expected is not None and count != expected:
                # Raised inside the block, so that the writer leaves the target as it was.
                raise self._changed(info, f"{count} bytes read, {expected} expected")
        return CopyResult(writer.new_path, count)

    def _kept(self, info: FileInfo, reader: io.BufferedReader) -> Attributes:
        """What goes along with a stream: what opening it has told, or a look where it could not."""
        kept: Attributes | None = getattr(reader.raw, "kept", None)
        if kept is None:
            return offered(info)
        # Of an empty object no range begins anywhere: services answer with an error, or no headers.
        is_untold = (kept.metadata is None and info.metadata is None) or (
            kept.mtime is None and info.size == 0
        )
        if is_untold and self.terms.version is None and self.target.mount.keeps_metadata:
            found = self.source.mount.descriptor(info.path)
            kept = kept._replace(
                mtime=found.mtime if kept.mtime is None else kept.mtime,
                content_type=found.content_type,
                metadata=found.metadata,
            )
        return joined(info, kept)

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
        if self._comparison is None or self.terms.verify is None:
            raise StorageValueError("there is nothing to verify by")
        require_arrived(
            Place(self.source.mount, info.path),
            info,
            Place(self.target.mount, result.new_path or target_path),
            self.terms,
            result.bytes,
            self._comparison,
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
