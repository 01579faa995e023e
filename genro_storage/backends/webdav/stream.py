"""Reading a file of a WebDAV server: streamed, by ranges, and never a mixture of two contents."""

from __future__ import annotations

import errno
import io
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ..content_ranges import content_range, unsatisfied_size
from ..fsspec_info import moment
from ..http.answers import is_stored_encoding
from ..positioned import PositionedStream
from ..remote import is_transient, repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from .http import WebdavConnection

__all__ = ["WebdavStream"]

#: How often a content that does not fit what the server says of it is asked for again.
_ATTEMPTS = 20
#: How often a refusal to give what the server says is there.
_REFUSALS = 8
_PAUSE = 0.05
_CHUNK = 256 * 1024
#: Bytes that are read and dropped rather than asked for anew when a stream moves on.
_NEAR = 256 * 1024


class _Voice(NamedTuple):
    """What a server says about the state of a file; None where it says nothing."""

    etag: str | None
    mtime: float | None
    size: str | None

    def contradicts(self, other: _Voice) -> bool:
        """Whether the two surely speak of different contents."""
        if self.etag is not None and other.etag is not None:
            return self.etag != other.etag
        pairs = zip(self, other, strict=True)
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _voice_of_answer(answer: httpx.Response) -> _Voice:
    size = answer.headers.get("Content-Length")
    if answer.status_code != 200:
        given = content_range(answer.headers)
        size = str(given[2]) if given is not None and given[2] is not None else None
    etag = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
    return _Voice(etag or None, moment(answer.headers.get("Last-Modified")), size)


def _voice_of_look(info: dict[str, Any]) -> _Voice:
    etag = (info["etag"] or "").strip('"')
    return _Voice(etag or None, moment(info["modified"]), info["size"])


def _is_the_end(answer: httpx.Response, info: dict[str, Any], position: int) -> bool:
    """Whether a refused range (416) begins where the file ends."""
    size = info["size"]
    if size is None or not size.isdecimal():
        size = unsatisfied_size(answer.headers)
    return size is not None and position >= int(size)


class WebdavStream(PositionedStream):
    """A file from ``start`` up to ``end``, as a readable and seekable stream.

    ``look`` is the filesystem's ``info``: it is asked after the content has begun to come. A
    server that replaces files at once may still read the length and the tag of the old content
    and then open the new one (Apache does, for an instant): what it says afterwards must be what
    came with the content, or the content is asked for again. That look also tells a collection,
    for which servers send pages of HTML. A ``lazy`` stream looks at once and asks for the content at
    its first read, so that a reader who seeks first gets only what it reads; where the connection
    breaks, it goes on with another one. Whoever makes one that is not repeats the whole of it.
    """

    def __init__(
        self,
        server: WebdavConnection,
        look: Callable[[str], dict[str, Any]],
        path: str,
        start: int = 0,
        end: int | None = None,
        *,
        lazy: bool = False,
    ) -> None:
        super().__init__(start)
        self._server = server
        self._look = look
        self._path = path
        self._stop = end
        self._lazy = lazy
        self._answer: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._rest = b""
        self._offset: int | None = None  # where in the file the rest begins, once it comes
        self._skips = False  # whether the server ignores ranges
        self._whole = False  # whether it is asked for none, since it refuses them
        self._last: int | None = None  # where the answer ends, where it does not show it itself
        self._is_part = False
        self._inherited: list[httpx.Response] = []
        self._voice: _Voice | None = None
        self.size: int | None = None
        if lazy:
            self._note_size(_voice_of_look(self._look_at_file()).size)
        else:
            self._begin(start)

    # -- asking -------------------------------------------------------------------------------

    def _begin(self, position: int) -> None:
        """Ask for the content from ``position`` on, until answer and look agree."""
        before: tuple[_Voice, _Voice] | None = None
        refusals = 0
        for attempt in range(1, _ATTEMPTS + 1):
            answer = self._ask(position)
            try:
                info = self._look_after(answer)
                if answer.status_code not in (200, 206, 416):
                    # While somebody replaces the file, a server may find it, and then not.
                    refusals += 1
                    if refusals == _REFUSALS:
                        raise self._server.refusal(answer, self._path)
                    time.sleep(_PAUSE)
                    continue
                if answer.status_code == 416 and not _is_the_end(answer, info, position):
                    # It gives no part of what is there, or there was less a moment ago.
                    if self._whole:
                        raise OSError(errno.EIO, "the server refuses a range that nobody asked for")
                    self._server.leave(answer)
                    self._whole = True
                    continue
                said = _voice_of_answer(answer), _voice_of_look(info)
                # One that always says different things in the two places is believed in the end.
                if not said[0].contradicts(said[1]) or said == before or attempt == _ATTEMPTS:
                    self._take(answer, said, position)
                    return
                before = said
                self._server.leave(answer)
            except BaseException:
                answer.close()
                raise
        raise ConnectionError("the file is being replaced all the time")

    def _ask(self, position: int) -> httpx.Response:
        headers: dict[str, str] = {}
        if (position or self._stop is not None) and not self._whole:
            last = "" if self._stop is None else max(self._stop - 1, position)
            headers["Range"] = f"bytes={position}-{last}"
        return self._server.stream(self._path, headers)

    def _look_after(self, answer: httpx.Response) -> dict[str, Any]:
        """What is there now; raises where it is no file."""
        if answer.status_code not in (200, 206, 416):
            self._server.leave(answer)
        if answer.status_code == 401:
            raise self._server.refusal(answer, self._path)
        return self._look_at_file()

    def _look_at_file(self) -> dict[str, Any]:
        info = self._look(self._path)
        if info["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        return info

    def _take(self, answer: httpx.Response, said: tuple[_Voice, _Voice], position: int) -> None:
        """Go on with this answer."""
        voice, look = said
        if self._voice is not None and self._voice.contradicts(voice):
            raise OSError(errno.ESTALE, "it was replaced while it was read; open it again")
        self._require_plain(answer, said)
        self._voice = self._voice or voice
        self._note_size(look.size or voice.size)
        self._answer = answer
        self._rest = b""
        self._offset = position
        self._last, self._is_part = None, answer.status_code == 206
        if answer.status_code == 416:
            self._server.leave(answer)
            self._chunks = iter(())
            return
        # Raw: what a server calls the encoding of a file belongs to it (x.tar.gz).
        self._chunks = answer.iter_raw(_CHUNK)
        if answer.status_code == 206:
            given = content_range(answer.headers)
            if given is None or given[0] != position:
                raise OSError(errno.EIO, "the server sent another range than it was asked for")
            self._last = self.size
        else:
            self._skips = self._skips or bool(position)
            self._offset = 0
            if not {"content-length", "transfer-encoding"} & set(answer.headers):
                self._last = self.size

    def _require_plain(self, answer: httpx.Response, said: tuple[_Voice, _Voice]) -> None:
        """Refuse what was compressed on the way, of which the bytes are not those of the file."""
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity") or is_stored_encoding(encoding, self._path):
            return
        if said[0].size is None or said[0].size != said[1].size:
            raise OSError(
                errno.EIO,
                f"the server compresses what it sends ({encoding!r}) although it was asked not to; "
                "switch that off for these files",
            )

    def _note_size(self, size: str | None) -> None:
        self.size = int(size) if size is not None and size.isdecimal() else None

    # -- reading ------------------------------------------------------------------------------

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, all of them where there are as many; the rest where negative."""
        self._require_open()
        if self._stop is not None:
            left = max(self._stop - self._position, 0)
            size = left if size < 0 else min(size, left)
        if size == 0:
            return b""
        if not self._lazy:
            return self._read(size)
        return repeated(
            self._server.settings.bounds,
            lambda _: self._read(size),
            lambda error: is_transient(self._server.explained(error)),
        )

    def _read(self, size: int) -> bytes:
        try:
            data = self._next(size)
        except BaseException:
            # Nothing has been handed out yet: the next attempt asks from the position on.
            self._drop()
            raise
        self._position = self._offset = self._position + len(data)
        return data

    def _next(self, size: int) -> bytes:
        self._reach()
        parts: list[bytes] = []
        wanted = size
        reached, asked = self._position, -1
        while wanted:
            chunk = self._rest or next(self._chunks, b"")
            if not chunk:
                if self._last is None or reached >= min(self._last, self._stop or self._last):
                    break
                if not self._is_part or reached == asked:
                    raise ConnectionError(errno.ECONNRESET, "the server ended it too early")
                # A server may give less of a range than it was asked for.
                self._drop()
                self._begin(reached)
                asked = reached
                continue
            part = chunk if wanted < 0 else chunk[:wanted]
            self._rest = chunk[len(part) :]
            parts.append(part)
            reached += len(part)
            wanted -= len(part) if wanted > 0 else 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _reach(self) -> None:
        """Have the rest begin at the position: by reading on where it is near, else anew."""
        if self._is_inherited:
            if self._answer is not None:
                self._inherited.append(self._answer)
            self._answer = None
            self._adopt()
            self._drop()
        offset, far = self._offset, not self._skips
        if offset is None or offset > self._position or (far and self._position - offset > _NEAR):
            self._drop()
            self._begin(self._position)
            offset = self._offset or 0
        while offset < self._position:
            chunk = self._rest or next(self._chunks, b"")
            passed = min(len(chunk), self._position - offset)
            if not passed:  # the position is beyond the end
                break
            self._rest = chunk[passed:]
            offset += passed
        self._offset = self._position

    def _end(self) -> int:
        if self.size is None:
            raise io.UnsupportedOperation("the server does not tell where the file ends")
        return self.size

    def _drop(self) -> None:
        answer, self._answer = self._answer, None
        self._chunks, self._rest, self._offset = iter(()), b"", None
        if answer is not None and not self._is_inherited:
            answer.close()

    def close(self) -> None:
        """Give the connection back, or up where content is left on it."""
        if not self.closed:
            super().close()
            self._drop()
