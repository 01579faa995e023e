"""Copies of large files that go on where an earlier run was interrupted, in whatever process.

An upload goes on from the parts that the server has, a download from the ranges that a hidden
file beside the target has. ``journal`` holds what is to be known of them.
"""

from __future__ import annotations

import errno
import functools
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...draining import TargetFailedError
from ...exceptions import (
    StorageChangedError,
    StorageConnectionError,
    StorageExistsError,
    StorageIOError,
    StorageTimeoutError,
)
from ...open_files import path_of_open
from .journal import open_entry
from .ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from ...draining import DescriptorSink
    from ...info import Attributes, FileInfo
    from ...mount_resuming import PartialWriter
    from ..place import Place
    from .execute import CopyResult
    from .journal import Entry

__all__ = ["RESUMABLE_DOWNLOAD", "RESUMABLE_UPLOAD", "resumable_copy"]

_MIB = 1024 * 1024
#: Bytes from which on a file is worth it. Up to there an upload is one request, which arrives whole
#: or not at all; of a download as much as is noted below can be kept, and the rest is little.
RESUMABLE_UPLOAD = 32 * _MIB
RESUMABLE_DOWNLOAD = 8 * _MIB
#: Bytes after which it is noted what has arrived: so many may come again after a kill.
_NOTED = 4 * _MIB
#: The source is not what it was when the transfer began.
_CHANGED = (errno.EBUSY, errno.ESTALE)


def resumable_copy(
    source: Place,
    info: FileInfo,
    target: Place,
    *,
    attributes: Attributes | None = None,
    if_absent: bool = False,
    take: Callable[[int], object] | None = None,
) -> CopyResult | None:
    """Copy a large file; what an interruption leaves behind is used by the next call.

    ``take`` is called in any thread with the number of bytes that are to be moved next. It may wait,
    or raise, which ends the copy for the next run to go on.

    None, and nothing has happened, where these two places cannot do that, where the file is too
    small to be worth it, where another process is at this very copy, or where nothing can be noted
    on this machine: then copy it as usual. Raises what a copy raises.
    """
    if info.size is None or info.size <= RESUMABLE_DOWNLOAD:
        return None
    here, there = source.mount, target.mount
    is_local = there.resumes_uploads and here.local_path(source.path) is not None
    if is_local and info.size <= RESUMABLE_UPLOAD:
        return None
    if not is_local and not (here.resumes_downloads and there.keeps_partial_files):
        return None
    origin, place = here.lasting_address(source.path), there.lasting_address(target.path)
    if origin is None or place is None:
        return None
    about = {"source": str(source), "target": str(target), "size": info.size}
    entry = open_entry(origin, place, about)
    if entry is None:
        return None
    share = _Share(take)
    with entry, share:
        if is_local:
            return _upload(source, target, entry, if_absent, attributes, share)
        with _Download(source, target, entry, info.size, if_absent, attributes, share) as download:
            return download.run()


class _Share:
    """``take``; what it raises leaves the block as it is, whatever the storage makes of it."""

    def __init__(self, take: Callable[[int], object] | None) -> None:
        self._take = take
        self.ended: Exception | None = None

    def __call__(self, count: int) -> None:
        if self._take is None:
            return
        try:
            self._take(count)
        except Exception as error:
            self.ended = error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        ended, self.ended = self.ended, None
        if ended is not None and isinstance(error, Exception) and error is not ended:
            raise ended from error


def _upload(
    source: Place,
    target: Place,
    entry: Entry,
    if_absent: bool,
    attributes: Attributes | None,
    share: _Share,
) -> CopyResult | None:
    from .execute import CopyResult

    # Opened by its own mount: what a listing has found may be a pipe by now, or a link that leads
    # out. Where no path leads to an open file, it is looked at just before it is opened again.
    descriptor = source.mount.open_local(source.path)
    if descriptor is None:
        return None
    try:
        local = path_of_open(descriptor) or source.mount.local_path(source.path)
        if local is None:
            return None
        new_path = target.mount.resume_upload(
            local, target.path, entry, if_absent=if_absent, attributes=attributes, take=share
        )
        count = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    entry.forget()
    return CopyResult(new_path, count)


class _Download:
    """One file on its way to a hidden file beside its target; whatever ends it, that is settled."""

    def __init__(
        self,
        source: Place,
        target: Place,
        entry: Entry,
        size: int,
        if_absent: bool,
        attributes: Attributes | None,
        share: _Share,
    ) -> None:
        self._source = source
        self._share = share
        self._entry = entry
        self._size = size
        begun: Mapping[str, Any] = next(iter(entry.lines()), {})
        named = begun.get("file")
        try:
            self._writer = target.mount.open_partial(
                target.path,
                named if isinstance(named, str) else None,
                if_absent=if_absent,
                attributes=attributes,
                noted=lambda name: entry.begin(file=name),
            )
        except StorageExistsError:
            entry.forget()  # nobody will go on with it
            raise
        except Exception:
            if not begun:
                entry.forget()  # there is no such file
            raise
        self._arriving: _Arriving | None = None

    def __enter__(self) -> Self:
        return self

    def run(self) -> CopyResult:
        """Fetch what is missing, and put it in the target's place."""
        from .execute import CopyResult

        mount, path = self._source.mount, self._source.path
        try:
            with self._writer.sink() as sink:
                arriving = _Arriving(self._writer, sink, self._entry, self._size, self._share)
                self._arriving = arriving
                try:
                    mtime = mount.resume_download(path, arriving)
                finally:
                    arriving.note()
        except StorageIOError as error:
            if error.errno not in _CHANGED:
                raise
            raise self._changed(error.message) from error
        except _OtherSizeError as error:
            raise self._changed(f"{error} bytes, {self._size} expected") from None
        except TargetFailedError as error:
            raise self._writer.failed(error) from error.error
        self._writer.publish(mtime)
        self._entry.forget()
        return CopyResult(None, self._size)

    def _changed(self, how: str) -> StorageChangedError:
        label = str(self._source)
        how = how.removeprefix(f"{label}: ")
        return StorageChangedError(
            f"{label}: changed while it was being copied ({how}); the destination is as it was. "
            "Copy it again",
            node=label,
        )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if self._is_worth_keeping(error):
            self._writer.keep()
        else:
            self._writer.abort()
            self._entry.forget()

    def _is_worth_keeping(self, error: BaseException) -> bool:
        """Whether the next run can go on: where only the connection was lost, say."""
        arriving = self._arriving
        if arriving is None or not self._entry.are_kept:
            return False
        if not (arriving.is_begun or self._writer.is_reopened):
            return False  # there is nothing, and no note of it
        if not isinstance(error, Exception) or self._share.ended is not None:
            return True  # an interrupt
        if isinstance(error, StorageChangedError):
            return False
        if isinstance(error, StorageIOError):
            # All has come, and it is not what was stored?
            return bool(arriving.missing())
        # Not where the disk is full, which it would keep full.
        return isinstance(error, StorageConnectionError | StorageTimeoutError | PermissionError)


class _OtherSizeError(Exception):
    """The source is as long as the text says, and not as it was when the copy began."""


@functools.cache
def _boot() -> str:
    """What tells this start of this machine from others, which may have lost what was written."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _noted_ranges(lines: Iterable[Mapping[str, Any]]) -> Ranges:
    """Those of the last line that has some."""
    found = Ranges()
    for line in lines:
        found = Ranges((int(start), int(end)) for start, end in line.get("ranges", ()))
    return found


class _Arriving:
    """What has come of a content, noted now and then: ``Missing``, as backends call it."""

    def __init__(
        self,
        writer: PartialWriter,
        sink: DescriptorSink,
        entry: Entry,
        size: int,
        share: _Share,
    ) -> None:
        self._writer = writer
        self._sink = sink
        self._entry = entry
        self._size = size
        self._share = share
        self._pin: str | None = None
        self._there = Ranges()
        self._noted = 0
        self._count = 0
        self._lock = threading.Lock()

    @property
    def is_begun(self) -> bool:
        """Whether it is known which content is coming."""
        return self._pin is not None

    def begin(self, pin: str, size: int) -> None:
        """What is to come is this content."""
        if self._pin == pin:
            return  # another client goes on with it
        if size != self._size:
            raise _OtherSizeError(size)
        facts: dict[str, Any] = {
            "file": self._writer.name,
            "pin": pin,
            "bytes": size,
            "boot": _boot(),
        }
        lines = self._entry.lines()
        if self._writer.is_reopened and lines and dict(lines[0]) == facts:
            self._there = _noted_ranges(lines[1:]).within(min(size, self._sink.size()))
        else:
            if self._writer.is_reopened:
                self._writer.empty()
            self._there = Ranges()
            self._entry.begin(**facts)
        self._noted = self._count = self._there.total
        self._pin = pin

    def missing(self) -> list[tuple[int, int]]:
        """The ranges that are still to be written."""
        return self._there.missing(self._size)

    def write(self, at: int, data: bytes) -> None:
        """All of ``data``, from the byte ``at`` on."""
        self._share(len(data))
        self._sink.write(at, data)
        with self._lock:
            self._there.add(at, at + len(data))
            self._count += len(data)
            if self._count - self._noted >= _NOTED:
                self.note()

    def note(self) -> None:
        """What was written so far outlives this process."""
        if not self.is_begun:
            return
        if not _boot():  # nobody could tell later whether the machine has lost it meanwhile
            self._sink.force()
        self._noted = self._count
        self._entry.add(ranges=[list(each) for each in self._there])

    def read(self, start: int, end: int) -> bytes:
        """What was written there."""
        return self._sink.read(start, end)
