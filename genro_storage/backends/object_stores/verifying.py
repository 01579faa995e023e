"""Whether what arrived is what was stored: a digest of the whole, fed while it comes.

MD5 does some hundred MiB a second on one core; it runs beside the network and lets other threads
run. Only whole contents are compared: a digest says nothing about a part.
"""

from __future__ import annotations

import errno
import hashlib
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ...info import Attributes
from ..fsspec_write import GuardedReader

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ...info import Checksum

__all__ = [
    "Known",
    "VerifiedReader",
    "Verifier",
    "VerifyingSink",
    "Written",
    "damaged",
    "verifier_for",
]

_BLOCK = 1024 * 1024
#: Pieces that wait for their digest at most, and seconds that it waits for the next.
_AHEAD = 8
_LINGER = 0.25
_HASHES = ("md5", "sha1", "sha256")


class Known(NamedTuple):
    """What an answer says of the whole object: a digest of it, and what was kept with it.

    ``confirm`` is for a digest that may be none: it is asked where the content has another one,
    which it is given, and says whether that is damage. ``is_kept``: the digest is what an uploader
    has put among the metadata, for which the service does not answer. ``metadata`` are a user's
    own, None where the answer does not tell them as they are.
    """

    checksum: Checksum | None = None
    mtime: float | None = None
    confirm: Callable[[str], bool] | None = None
    is_kept: bool = False
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def kept(self) -> Attributes:
        """What a copy takes along of it."""
        return Attributes(self.mtime, None, self.content_type, self.metadata, offered=True)


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes | memoryview) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class _Crc32c:
    def __init__(self) -> None:
        import google_crc32c

        kind: Any = google_crc32c.Checksum
        self._crc = kind()

    def update(self, data: bytes | memoryview) -> None:
        self._crc.update(bytes(data))

    def hexdigest(self) -> str:
        found: bytes = self._crc.digest()
        return found.hex()


def _new_digest(algorithm: str) -> Any:
    if algorithm in _HASHES:
        return hashlib.new(algorithm, usedforsecurity=False)
    if algorithm == "crc32":
        return _Crc32()
    if algorithm == "crc32c" and find_spec("google_crc32c") is not None:
        return _Crc32c()
    return None


def damaged() -> OSError:
    """The error for a content that has another digest than the store says."""
    return OSError(errno.EIO, "what arrived is not what was stored; try again")


def doubtful(found: str, kept: str) -> OSError:
    """The same where it may be the digest that is wrong: both MD5s, which tell the two apart."""
    return OSError(
        errno.EIO,
        "what arrived is not what was stored, or another program has left the MD5 of another "
        f"content with it: what arrived has {found}, its metadata ('md5chksum') say {kept}. Try "
        "again; if the same arrives, write the file anew, or read it by a mount with "
        "'store_checksums: never', which does not believe such an MD5",
    )


def verifier_for(known: Known, size: int) -> Verifier | None:
    """A verifier, where a digest is known that can be computed here.

    >>> from genro_storage import Checksum
    >>> verifier = verifier_for(Known(Checksum("crc32", "352441c2")), 3)
    >>> verifier.feed(0, b"abc")
    >>> verifier.finish()
    True
    """
    if known.checksum is None:
        return None
    made = _new_digest(known.checksum.algorithm)
    if made is None:
        return None
    return Verifier(known.checksum, size, made, known.confirm, is_kept=known.is_kept)


class Verifier:
    """Digests a content in its order. ``feed`` may be called by several threads.

    What comes before its turn is left out: ``finish`` reads it back from where it went.
    """

    def __init__(
        self,
        expected: Checksum,
        size: int,
        digest: Any,
        confirm: Callable[[str], bool] | None = None,
        *,
        is_kept: bool = False,
    ) -> None:
        self._expected = expected
        self._is_kept = is_kept
        self._size = size
        self._digest: Any = digest
        self._confirm = confirm
        self._lock = threading.Lock()
        #: How many bytes were seen, from the first on.
        self.position: int = 0

    def fresh(self) -> Verifier:
        """Another one for the same content, that has seen nothing of it."""
        made = _new_digest(self._expected.algorithm)
        return Verifier(self._expected, self._size, made, self._confirm, is_kept=self._is_kept)

    def feed(self, at: int, data: bytes | memoryview) -> None:
        """The bytes from ``at`` on."""
        if at > self.position:
            return
        with self._lock:
            fresh = at + len(data) - self.position
            if at <= self.position and fresh > 0:
                self._digest.update(memoryview(data)[len(data) - fresh :])
                self.position += fresh

    def finish(self, read: Callable[[int, int], bytes] | None = None) -> bool:
        """Compare: ``OSError`` where it is another content, False where not all of it was seen.

        ``read(start, end)`` gives what has arrived and was not fed in its turn.
        """
        while read is not None and self.position < self._size:
            data = read(self.position, min(self.position + _BLOCK, self._size))
            if not data:
                break
            self.feed(self.position, data)
        if self.position < self._size:
            return False
        if self.position > self._size:
            raise damaged()
        found, expected = self._digest.hexdigest(), self._expected.hexdigest
        if found != expected and (self._confirm is None or self._confirm(found)):
            raise doubtful(found, expected) if self._is_kept else damaged()
        return True


class Written(Protocol):
    """A sink that can say what was written to it."""

    def write(self, at: int, data: bytes, /) -> None: ...
    def read(self, start: int, end: int, /) -> bytes: ...


class VerifyingSink:
    """A sink in front of another one, whose content is compared by ``finish``.

    The digest is made by a thread of its own, since those that bring the content would wait for it.
    What comes before its turn is read back when that has come. Nobody need end the thread: it ends
    where nothing comes any more.
    """

    def __init__(self, sink: Written, verifier: Verifier) -> None:
        self._sink = sink
        self._verifier = verifier
        self._changed = threading.Condition()
        #: Up to where the thread has been given the content, and what it has not yet digested.
        self._given = verifier.position
        self._waiting: deque[tuple[int, bytes]] = deque()
        #: What was written and not given: stops by starts, and starts by stops.
        self._later: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._has_kept_waiting = False
        self._is_running = False
        self._is_ending = False
        self._failure: Exception | None = None

    def write(self, at: int, data: bytes) -> None:
        """All of ``data``, from the byte ``at`` on."""
        self._sink.write(at, data)
        stop = at + len(data)
        with self._changed:
            if at < self._given:  # somebody brings it again
                data, at = data[self._given - at :], self._given
                if not data:
                    return
            if at == self._given:
                # In a hurry it would only be read back later, and all wait for it in the end.
                self._has_kept_waiting |= len(self._waiting) >= _AHEAD
                self._changed.wait_for(lambda: len(self._waiting) < _AHEAD or self._failure)
            if self._failure is not None:
                return
            if at == self._given:
                self._waiting.append((at, data))
                self._given = stop
            else:
                start = self._starts.pop(at, at)
                self._later[start], self._starts[stop] = stop, start
                if start != self._given:
                    return
            self._changed.notify_all()
            if self._is_running:
                return
            self._is_running = True
        try:
            threading.Thread(target=self._run, name="genro-storage-digest", daemon=True).start()
        except RuntimeError:  # the system has no more of them
            self._run(linger=0.0)

    def is_behind(self) -> bool:
        """Whether somebody had to wait for the digest since this was asked last."""
        with self._changed:
            found, self._has_kept_waiting = self._has_kept_waiting, False
            return found

    def _run(self, linger: float | None = None) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(self._has_more, _LINGER if linger is None else linger)
                    found = self._take()
                    if found is None:
                        self._is_running = False
                        self._changed.notify_all()
                        return
                    self._changed.notify_all()
                start, stop, data = found
                self._verifier.feed(start, self._sink.read(start, stop) if data is None else data)
        except Exception as error:  # noqa: BLE001 - raised where somebody waits for the result
            with self._changed:
                self._failure = error
                self._is_running = False
                self._changed.notify_all()

    def _has_more(self) -> bool:
        return bool(self._waiting) or self._given in self._later or self._is_ending

    def _take(self) -> tuple[int, int, bytes | None] | None:
        """What is next to be digested, None for the content where it is to be read back."""
        if self._waiting:
            at, data = self._waiting.popleft()
            return at, at + len(data), data
        start = self._given
        stop = self._later.pop(start, None)
        if stop is None:
            return None
        self._given = min(start + _BLOCK, stop)
        if self._given == stop:
            self._starts.pop(stop, None)  # two may have ended there
        else:
            self._later[self._given], self._starts[stop] = stop, self._given
        return start, self._given, None

    def finish(self) -> None:
        """``OSError`` where it is another content than was stored."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._is_running)
            if self._failure is not None:
                raise self._failure
        self._verifier.finish(self._sink.read)


class VerifiedReader(GuardedReader):
    """A stream that is compared where somebody reads it from its start to its end.

    The last bytes are not given where it is another content. ``kept`` is what the answer has told
    of the object besides: the time that its uploader has kept, the content type, the metadata.
    """

    def __init__(
        self,
        stream: Any,
        guard: AbstractContextManager[Any],
        verifier: Verifier | None,
        kept: Attributes,
    ) -> None:
        super().__init__(stream, guard)
        self._verifier = verifier
        self.kept = kept

    def readinto(self, buffer: Any) -> int:
        if self._verifier is None:
            return super().readinto(buffer)
        at = self.tell()
        count = super().readinto(buffer)
        self._check(at, memoryview(buffer).cast("B")[:count])
        return count

    def readall(self) -> bytes:
        if self._verifier is None:
            return super().readall()
        at = self.tell()
        data = super().readall()
        self._check(at, data)
        return data

    def drain(self, sink: Written) -> bool:
        """All of the content into ``sink``, compared; False where it is to be read instead.

        ``OSError`` where it is another content: what is in the sink is then not to be used.
        """
        self._require_open()
        drain: Callable[[object], bool] | None = getattr(self._stream, "drain", None)
        if drain is None:
            return False
        if self._verifier is None:
            with self._guard:
                return drain(sink)
        # Not the reader's own, which would have seen what the stream does not bring after all.
        verifying = VerifyingSink(sink, self._verifier.fresh())
        with self._guard:
            if not drain(verifying):
                return False
        verifying.finish()
        return True

    def _check(self, at: int, data: bytes | memoryview) -> None:
        verifier = self._verifier
        assert verifier is not None
        verifier.feed(at, data)
        if verifier.finish():
            self._verifier = None  # reading it again needs no proof
