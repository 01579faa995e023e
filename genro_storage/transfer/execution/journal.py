"""What interrupted transfers of large files leave for their next run, in any process.

One small file for each pair of places, in ``transfers`` of the state directory (``state_directory``):
lines, each with its checksum, only ever added, so that a kill can tear no more than the last one.
It is locked while the transfer lives. No secret is in it, and where it cannot be written nothing
fails: then nothing is resumed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

__all__ = ["Entry", "open_entry", "state_directory"]

_log = logging.getLogger("genro_storage")

_VERSION = 1
#: Seconds after which nobody comes back for an entry: servers drop unfinished uploads, or charge.
_OLD = 30 * 24 * 3600.0
_MOST_BYTES = 16 * 1024 * 1024
_PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = os.O_RDWR | os.O_CREAT | _PLAIN
_swept: set[str] = set()
_told: set[str] = set()

if sys.platform == "win32":
    import msvcrt

    # A lock keeps others from reading, too: it lies where nobody reads.
    _LOCKED_AT = 1 << 30

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return True


def state_directory() -> Path:
    """Where the library keeps what one run leaves for the next: ``GENRO_STORAGE_STATE``.

    Without it ``genro-storage`` in the system's place for such: ``XDG_STATE_HOME``, else
    ``~/.local/state``; ``LOCALAPPDATA`` on Windows, ``~/Library/Application Support`` on macOS.
    """
    named = os.environ.get("GENRO_STORAGE_STATE")
    if named:
        return Path(named)
    # A relative path there is to be ignored (XDG Base Directory Specification).
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base, "genro-storage")
    if sys.platform == "win32":
        return Path.home() / "AppData" / "Local" / "genro-storage"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "genro-storage"
    return Path.home() / ".local" / "state" / "genro-storage"


def open_entry(source: str, target: str, about: Mapping[str, Any]) -> Entry | None:
    """The notes of the transfer between two places, which texts name; locked until it is closed.

    None where somebody is at this transfer already, or where nothing can be noted. ``about`` is
    written into a new one, for whoever looks into it.
    """
    try:
        directory = state_directory() / "transfers"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(directory)
        digest = hashlib.sha256(json.dumps([source, target]).encode()).hexdigest()
        path = directory / digest
        descriptor = _opened(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        _tell(error)
        return None
    return None if descriptor is None else Entry(path, descriptor, {**about, "version": _VERSION})


def _tell(error: Exception) -> None:
    """Once for each reason: the transfer goes on without."""
    text = str(error)
    if text not in _told:
        _told.add(text)
        _log.info("interrupted transfers will not be resumed, as nothing can be noted: %s", text)


def _opened(path: Path) -> int | None:
    """The locked file of this name; None where another transfer holds it."""
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            if not _lock(descriptor):
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever held it has removed it meanwhile


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _sweep(directory: Path) -> None:
    """Once in a process: remove the entries that nobody came back for."""
    if str(directory) in _swept:
        return
    _swept.add(str(directory))
    limit = time.time() - _OLD
    with os.scandir(directory) as entries:
        old = [Path(each.path) for each in entries if each.stat().st_mtime < limit]
    for path in old:
        with contextlib.suppress(OSError):
            descriptor = _opened(path)
            if descriptor is not None:
                _remove(path, descriptor)


def _remove(path: Path, descriptor: int) -> None:
    """Remove a file that this process has locked, and close it."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # Windows removes no file that is open
        os.close(descriptor)
        path.unlink(missing_ok=True)
    else:
        os.close(descriptor)


def _encoded(line: Mapping[str, Any]) -> bytes:
    text = json.dumps(line, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _decoded(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The lines up to the first that is torn or damaged, and where that begins.

    Each line is true without those after it.
    """
    found: list[dict[str, Any]] = []
    end = 0
    for line in data.splitlines(keepends=True):
        digest, _, text = line.rstrip(b"\n").partition(b" ")
        if not line.endswith(b"\n") or digest != b"%08x" % zlib.crc32(text):
            break
        try:
            made = json.loads(text)
        except ValueError:
            break
        if not isinstance(made, dict):
            break
        found.append(made)
        end += len(line)
    return found, end


class Entry:
    """``Notes`` of one transfer. Thread-safe as far as one transfer at a time uses it."""

    def __init__(self, path: Path, descriptor: int, about: Mapping[str, Any]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._about = dict(about)
        self._lines: list[dict[str, Any]] = []
        self._end = 0
        self.are_kept: bool = True
        self._read()

    def _read(self) -> None:
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            data = os.read(self._descriptor, _MOST_BYTES)
        except OSError as error:
            self._give_up(error)
            return
        lines, end = _decoded(data)
        if lines and lines[0].get("version") == _VERSION:
            self._lines, self._end = lines[1:], end

    def lines(self) -> Sequence[Mapping[str, Any]]:
        """What was noted, the oldest first."""
        return list(self._lines)

    def begin(self, **facts: Any) -> None:
        """Forget all that was noted, and note this."""
        self._lines = [facts]
        self._write(0, _encoded(self._about) + _encoded(facts))

    def add(self, **facts: Any) -> None:
        """Note this, too."""
        self._lines.append(facts)
        self._write(self._end, _encoded(facts))

    def _write(self, at: int, data: bytes) -> None:
        if not self.are_kept:
            return
        try:
            # What was torn goes as well.
            os.ftruncate(self._descriptor, at)
            os.lseek(self._descriptor, at, os.SEEK_SET)
            if os.write(self._descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, "no space is left for notes", str(self._path))
        except OSError as error:
            self._give_up(error)
        else:
            self._end = at + len(data)

    def _give_up(self, error: OSError) -> None:
        self.are_kept = False
        _tell(error)

    def forget(self) -> None:
        """There is nothing to go on with."""
        self._lines = []
        if self.are_kept:
            try:
                os.ftruncate(self._descriptor, 0)
            except OSError as error:
                self._give_up(error)
            self._end = 0

    def close(self) -> None:
        """Give it back; gone where nothing is noted."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if self._lines and self.are_kept:
            os.close(descriptor)
            return
        try:
            _remove(self._path, descriptor)
        except OSError as error:
            _tell(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
