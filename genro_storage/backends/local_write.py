"""How the local backend writes: a temporary file beside the target, then one rename.

A temporary file is named after its target (``.genro-tmp-<digest>-<slot>``) and locked while its
writer lives. The kernel drops the lock when the process dies, so the next write to the same name
finds what a killed writer left, knows that nobody uses it, and removes it. Concurrent writers of
one name take further slots; the last rename wins, whole. Where several of them were killed at
once, the next write finds the slots up to the first free one, and ``cleanup`` the others: looking
further would cost every write more than the write itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

from ..exceptions import SourceChangedError
from ..hearing import note_bytes
from .base import COPY_CHUNK, WriteHandle
from .local_links import publish_exclusively
from .local_sizes import may_be_untold
from .temporary_names import numbered_name

if TYPE_CHECKING:
    from ..info import Attributes

if sys.platform == "win32":

    def _flock(descriptor: int) -> None:
        raise OSError(errno.ENOSYS, "no advisory locks")

    def unlock(descriptor: int) -> None:
        """Give the lock back."""

else:
    import fcntl

    def _flock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(descriptor: int) -> None:
        """Give the lock back, also where a forked process has the descriptor too."""
        # Where there are no locks, none was taken.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


__all__ = [
    "CAN_LINK",
    "NEW",
    "PLAIN",
    "AtomicFile",
    "copy_content",
    "copy_unchanged",
    "is_at",
    "link",
    "lock",
    "mode_of_new",
    "remove_stale",
    "unlock",
]

# Some flags exist on some systems only.
PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | PLAIN
#: Bytes that the kernel copies in one step, so that somebody can hear of it in between.
_STEP = 64 * 1024 * 1024
CAN_LINK = hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")


def _temporary_path(directory: str, name: str, slot: int) -> str:
    return f"{directory}/{numbered_name(name, slot)}"


def lock(descriptor: int) -> bool | None:
    """Take the writer's lock; False where somebody alive holds it, None where there are no locks.

    Without locks ``O_EXCL`` alone keeps writers apart, and nothing tells a living writer's file
    from a dead one's.
    """
    try:
        _flock(descriptor)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            return None
        raise
    return True


def is_at(descriptor: int, path: str) -> bool:
    """Whether ``path`` still names the open file: another process may have unlinked it."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return here.st_ino == there.st_ino and here.st_dev == there.st_dev


def remove_stale(path: str, *, by_age: bool = False) -> bool:
    """Remove a temporary file that no living writer holds; whether it is gone.

    ``by_age``: the caller knows it to be old, which must do where there are no locks.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False  # somebody's own of that name
        descriptor = os.open(path, os.O_RDWR | PLAIN)
    except FileNotFoundError:
        return True
    except OSError as error:
        # Another user's, or a link or directory since now: not ours to judge.
        if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ETXTBSY):
            return False
        raise
    try:
        locked = lock(descriptor)
        if not (locked or (locked is None and by_age)):
            return False
        if is_at(descriptor, path):
            os.unlink(path)
        return True
    finally:
        os.close(descriptor)


def mode_of_new(replaced: os.stat_result | None) -> int:
    """With which mode a file is made: one that replaces a private one must not be readable."""
    return 0o666 if replaced is None else 0o600


def _begin(directory: str, name: str, mode: int) -> tuple[int, str]:
    """Create and lock a temporary file for ``directory/name``: (descriptor, path)."""
    slot = 0
    while True:
        path = _temporary_path(directory, name, slot)
        try:
            descriptor = os.open(path, NEW, mode)
        except FileExistsError:
            if not remove_stale(path):
                slot += 1
            continue
        except KeyboardInterrupt:
            # It may come when the file is there and its descriptor is not known yet.
            remove_stale(path)
            raise
        try:
            # Between creating and locking, another writer may have taken the file for a stale one.
            if lock(descriptor) is not False and is_at(descriptor, path):
                if slot == 0:
                    _sweep(directory, name)
                return descriptor, path
        except BaseException:
            if is_at(descriptor, path):
                os.unlink(path)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sweep(directory: str, name: str) -> None:
    """Remove what killed concurrent writers of this name left in the further slots."""
    slot = 1
    while os.path.lexists(path := _temporary_path(directory, name, slot)):
        remove_stale(path)
        slot += 1


def unnamed(directory: str) -> int | None:
    """A file that has no name yet, or None where the file system or the kernel has no such."""
    if not CAN_LINK:
        return None
    try:
        return os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # EISDIR: a kernel that takes the flag for an attempt to write to the directory.
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS):
            return None
        raise


def link(descriptor: int, path: str) -> None:
    """Name an unnamed file (open(2), the example of ``O_TMPFILE``)."""
    # Any descriptor for src_dir_fd makes Python call linkat(2), which link(2) cannot replace here.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)


def sync_directory(directory: str) -> None:
    """Make a rename in ``directory`` survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AtomicFile(WriteHandle):
    """A new content for ``target`` in the making.

    ``replaced`` is the stat of the regular file that stands there now, whose mode, owner and
    extended attributes the new content keeps; without it the umask decides. A content for a new
    name needs no temporary name at all where the kernel knows ``O_TMPFILE`` (Linux): a killed
    writer then leaves nothing behind.
    """

    def __init__(
        self,
        target: str,
        replaced: os.stat_result | None,
        *,
        if_absent: bool = False,
        fsync: bool = False,
        attributes: Attributes | None = None,
    ) -> None:
        super().__init__()
        self._done = True  # nothing to abort until the temporary file is there
        self._target = target
        self._if_absent = if_absent
        self._fsync = fsync
        self._process = os.getpid()
        self._mtime = attributes.mtime if attributes is not None else None
        directory, _, self._name = target.rpartition("/")
        self._directory = directory or "/"
        self._path: str | None = None
        self._descriptor = self._make(replaced)
        self._done = False
        try:
            if replaced is not None:
                _inherit(self._descriptor, target, replaced)
            elif attributes is not None and attributes.mode is not None:
                os.fchmod(self._descriptor, attributes.mode & 0o777)
        except BaseException:
            self.abort()
            raise

    def _make(self, replaced: os.stat_result | None) -> int:
        """The descriptor of the file to write to; ``_path`` is its name, if it has one."""
        descriptor = unnamed(self._directory) if replaced is None else None
        if descriptor is None:
            descriptor, self._path = _begin(self._directory, self._name, mode_of_new(replaced))
        return descriptor

    def write(self, data: object) -> int:
        return os.write(self._descriptor, data)  # type: ignore[arg-type]

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def truncate(self, size: int | None = None) -> int:
        length = self.tell() if size is None else size
        os.ftruncate(self._descriptor, length)
        return length

    def fileno(self) -> int:
        return self._descriptor

    def random_access(self) -> int | None:
        return self._descriptor if hasattr(os, "pwrite") else None

    def set_mtime_ns(self, mtime_ns: int) -> None:
        """Give the file this time of modification when it is published."""
        os.utime(self._descriptor, ns=(mtime_ns, mtime_ns))
        self._mtime = None

    def _commit(self) -> None:
        if self._mtime is not None:
            nanoseconds = int(self._mtime * 1e9)
            os.utime(self._descriptor, ns=(nanoseconds, nanoseconds))
        if self._fsync:
            os.fsync(self._descriptor)
        if self._path is None:
            self._publish_unnamed()
        elif self._if_absent:
            publish_exclusively(self._path, self._target)
        else:
            os.replace(self._path, self._target)
        self._close()
        if self._fsync:
            sync_directory(self._directory)

    def _publish_unnamed(self) -> None:
        """Give the file its first name; where that is taken by now, replace what took it."""
        try:
            link(self._descriptor, self._target)
        except FileExistsError:
            if self._if_absent:
                raise
            # Locked before it gets a temporary name, so that nobody takes it for a stale one.
            lock(self._descriptor)
            os.replace(self._named(), self._target)

    def _named(self) -> str:
        """Give the unnamed file a temporary name."""
        slot = 0
        while True:
            # Known before it is there, so that whatever comes next, abort removes it.
            self._path = _temporary_path(self._directory, self._name, slot)
            try:
                link(self._descriptor, self._path)
            except FileExistsError:
                if not remove_stale(self._path):
                    slot += 1
            else:
                return self._path

    def _abort(self) -> None:
        if self._descriptor < 0:
            return
        # A forked child that drops its copy of the handle must not end its parent's write.
        if self._path is not None and os.getpid() == self._process:
            # An interrupt while a name is sought may leave that of another writer's file here.
            with contextlib.suppress(FileNotFoundError):
                if is_at(self._descriptor, self._path):
                    os.unlink(self._path)
        self._close()

    def _close(self) -> None:
        # Forgotten before it is closed: an interrupt in between must not make anybody close the
        # number again, which may be another file by then.
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


def _inherit(descriptor: int, target: str, replaced: os.stat_result) -> None:
    """Give the new file what belongs to the name rather than to the content."""
    if hasattr(os, "fchown"):
        mine = os.fstat(descriptor)
        if (mine.st_uid, mine.st_gid) != (replaced.st_uid, replaced.st_gid):
            # Only root may give files away; an ordinary user's replacement is the user's own.
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
    if hasattr(os, "listxattr"):
        names: list[str] = []
        with contextlib.suppress(OSError):  # a file system without extended attributes
            names = os.listxattr(target, follow_symlinks=False)
        for name in names:
            # One that only root may set (security.*, trusted.*) must not cost the others.
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(target, name, follow_symlinks=False))
    os.fchmod(descriptor, stat.S_IMODE(replaced.st_mode))


def copy_unchanged(source: int, before: os.stat_result, target: int) -> int:
    """Copy the content, and raise where the source changed meanwhile; bytes copied."""
    copied = copy_content(source, target, before.st_size)
    after = os.fstat(source)
    # Where the system does not tell the size, only that it says something else shows a change.
    length = before.st_size if may_be_untold(before) else copied
    if length != after.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise SourceChangedError("the source changed while it was being copied")
    return copied


def copy_content(source: int, target: int, size: int) -> int:
    """Copy all of one open file into another, inside the kernel where it can; bytes copied.

    ``copy_file_range`` shares the blocks (reflink) on file systems that can.
    """
    copied = 0
    if hasattr(os, "copy_file_range"):
        try:
            while copied < size:
                count = os.copy_file_range(source, target, min(size - copied, _STEP))
                if not count:
                    break
                copied += count
                if size > _STEP:
                    note_bytes(count)
        except OSError as error:
            if copied or error.errno not in (
                errno.EXDEV,
                errno.EINVAL,
                errno.ENOSYS,
                errno.EOPNOTSUPP,
                errno.EBADF,
                errno.EPERM,
                errno.ETXTBSY,
            ):
                raise
        if copied >= size > 0:
            return copied
    while chunk := os.read(source, COPY_CHUNK):
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
        copied += len(chunk)
        note_bytes(len(chunk))
    return copied
