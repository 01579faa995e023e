"""Reading a file of a web server: at any place, through breaks, and never two contents as one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from ...temporary_files import SpooledFile
from ..base import COPY_CHUNK
from ..content_ranges import content_range
from ..positioned import PositionedStream
from .answers import Facts, FinalError

if TYPE_CHECKING:
    from .client import Answer, Client

__all__ = ["Download", "HttpStream"]

#: A gap this small is read rather than left out by a new request.
_SMALL_GAP = 128 * 1024
#: Bytes of a file that is read again and again which are kept in memory, not on the disk.
_SPOOL = 8 * 1024 * 1024


class Download:
    """The content of one file, read forwards from any position; a break is mended in silence.

    Each further request is compared with the first: where the file has changed meanwhile, or
    where nothing shows that it has not, an error is raised. ``stop`` is where the caller will
    stop at the latest.
    """

    def __init__(self, client: Client, path: str, start: int = 0, stop: int | None = None) -> None:
        self._client = client
        self._path = path
        self._stop = stop
        self._whole = False
        self._body: Answer | None = None
        self._position = 0
        self._asked = 0
        self._process = os.getpid()
        self._inherited: list[Answer] = []
        #: What the first answer said.
        self.facts: Facts | None = None
        client.repeat(lambda: self._move_to(start))

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, as far as it is known."""
        return None if self.facts is None else self.facts.size

    def read_at(self, position: int, size: int) -> bytes:
        """At most ``size`` bytes from there; b"" at the end of the file, or of what was asked."""
        return self._client.repeat(lambda: self._read_once(position, size), self._may_go_on)

    def close(self) -> None:
        """Give the connection back."""
        body, self._body = self._body, None
        if body is not None and self._process == os.getpid():
            body.close()

    def _may_go_on(self, _: BaseException) -> bool:
        return self.facts is None or self.facts.is_versioned

    def _read_once(self, position: int, size: int) -> bytes:
        if self._process != os.getpid():
            # What is under way belongs to the process that this one was forked from.
            if self._body is not None:
                self._inherited.append(self._body)
            self._body, self._process = None, os.getpid()
        end = min((each for each in (self.size, self._stop) if each is not None), default=None)
        if end is not None and position >= end:
            return b""
        try:
            self._move_to(position)
            data = self._take(size)
            if not data and end is not None and position < end and self._asked < position:
                # Less than was asked for, which a server may give: ask for the rest.
                self.close()
                self._move_to(position)
                data = self._take(size)
            if not data and self.size is not None and position < self.size:
                raise ConnectionError(errno.ECONNRESET, "the server ended the file too early")
            return data
        except BaseException:
            # Whatever is left of the answer belongs to no position that is known.
            self.close()
            raise

    def _take(self, size: int) -> bytes:
        if self._body is None:
            return b""
        data = self._body.read(size)
        self._position += len(data)
        return data

    def _move_to(self, position: int) -> None:
        """Have a body that goes on at ``position``."""
        gap = position - self._position
        # Without ranges a new answer would only begin from the start.
        if gap < 0 or (gap > _SMALL_GAP and self.facts is not None and self.facts.ranges):
            self.close()
        if self._body is None:
            self._request(position)
        while self._body is not None and self._position < position:
            if not self._take(min(position - self._position, COPY_CHUNK)):
                self.close()

    def _request(self, position: int) -> None:
        wanted: dict[str, str] = {}
        ranged = (position > 0 or self._stop is not None) and not self._whole
        if ranged:
            last = "" if self._stop is None else str(max(self._stop, position + 1) - 1)
            wanted["Range"] = f"bytes={position}-{last}"
        answer = self._client.send("GET", self._path, headers=wanted, accept=(416,))
        try:
            if answer.is_slash:
                raise IsADirectoryError(errno.EISDIR, "is a directory", self._path)
            answer.require_readable()
            if ranged and _is_no_part(answer, position):
                answer.close()
                self._whole = True
                self._request(position)
                return
            self._compare(answer.facts)
            self._position = self._first_byte(answer, position, ranged)
        except BaseException:
            answer.close()
            raise
        self._asked = position
        if answer.status == 416:
            answer.close()
        else:
            self._body = answer

    def _compare(self, facts: Facts) -> None:
        if self.facts is None:
            self.facts = facts
        elif self.facts.contradicts(facts):
            raise OSError(
                errno.ESTALE,
                "the file has changed on the server while it was read (or its answers do not tell "
                "whether it has)",
            )

    def _first_byte(self, answer: Answer, position: int, ranged: bool) -> int:
        if answer.status == 416:
            if not ranged:
                raise FinalError(
                    errno.EIO, "the server refuses a range that nobody asked for (416)"
                )
            return position
        if answer.status != 206:
            return 0
        found = content_range(answer.headers)
        if not ranged or found is None or found[0] != position:
            raise FinalError(
                errno.EIO, "the server answers a request for a range with another one (206)"
            )
        if answer.length is not None and answer.length != found[1] - found[0]:
            raise FinalError(errno.EIO, "the server's answer is not as long as its range says")
        return position


def _is_no_part(answer: Answer, position: int) -> bool:
    """Whether only the whole file will do.

    A part of what was compressed on the way is a part of nothing, and a refused range is the end
    of the file only where the server says so.
    """
    if answer.status == 416:
        size = answer.facts.size
        return size is None or position < size
    return answer.status == 206 and answer.is_encoded


class HttpStream(PositionedStream):
    """A file of a web server as a stream that can seek.

    Where the server serves ranges, seeking is free and reading elsewhere is a new request. Where
    it does not, or where nothing in its answers would show that the file has changed, what
    somebody goes back to is kept in a temporary file of this machine.
    """

    def __init__(self, client: Client, path: str) -> None:
        super().__init__()
        self._spool: SpooledFile | None = None
        self._download: Download | None = None
        self._download = Download(client, path)
        #: Where reading forwards has come to.
        self._reached = 0
        facts = self._download.facts
        self._is_free = facts is not None and facts.ranges and facts.is_versioned
        if facts is None or not facts.is_versioned:
            self._start_spool()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        parts: list[bytes] = []
        while part := self._read(COPY_CHUNK):
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._download is not None:
                self._download.close()
        finally:
            if self._spool is not None:
                self._spool.close()
            super().close()

    def _source(self) -> Download:
        if self.closed or self._download is None:
            raise ValueError("I/O operation on closed file")
        return self._download

    def _read(self, size: int) -> bytes:
        download = self._source()
        if size <= 0:
            return b""
        if self._spool is None and self._position < self._reached and not self._is_free:
            self._start_spool()
        if self._spool is None:
            data = download.read_at(self._position, size)
        else:
            self._fill(self._position + size)
            self._spool.seek(self._position)
            data = self._spool.read(size)
        self._position += len(data)
        self._reached = max(self._reached, self._position)
        return data

    def _end(self) -> int:
        size = self._source().size
        if size is not None:
            return size
        if self._spool is None:
            self._start_spool()
        return self._fill(None)

    def _start_spool(self) -> None:
        """From now on everything comes out of one answer, which is kept."""
        self._spool = SpooledFile(_SPOOL)

    def _fill(self, end: int | None) -> int:
        """Keep everything up to ``end``, or to the end of the file; how much there is."""
        assert self._spool is not None
        kept = self._spool.seek(0, os.SEEK_END)
        while end is None or kept < end:
            part = self._source().read_at(kept, COPY_CHUNK)
            if not part:
                break
            self._spool.write(part)
            kept += len(part)
        return kept
