"""The content of one entry as a stream: nothing is called whole that was not checked."""

from __future__ import annotations

import errno
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from ..positioned import PositionedStream
from .tree import BrokenArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sources import Source

__all__ = ["Decoder", "EntryStream"]

_SKIP = 1024 * 1024


class Decoder(Protocol):
    """The content from its start, in order."""

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes, none at the end."""
        ...


class EntryStream(PositionedStream):
    """One entry. ``decode`` starts at its first byte again; a raw part of the source may seek.

    ``owned``: closing closes the source too. ``encrypted``: what is wrong may be the password.
    Where the whole content passes in order, its length and CRC are compared before the last bytes
    are given away.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        size: int,
        decode: Callable[[], Decoder] | None,
        *,
        offset: int = 0,
        crc: int | None = None,
        owned: bool = True,
        encrypted: bool = False,
    ) -> None:
        super().__init__()
        self._source = source
        self._owned = owned
        self._encrypted = encrypted
        self._name = name
        self._size = size
        self._decode = decode
        self._offset = offset
        self._crc = crc
        self._decoder: Decoder | None = None
        self._decoded = 0  # how far the decoder is
        self._sum: int | None = 0  # of everything before _decoded; None once a part was jumped over
        self._failed: OSError | None = None

    def _end(self) -> int:
        return self._size

    def readinto(self, buffer: Any) -> int:
        self._require_open()
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        self._require_open()
        parts: list[bytes] = []
        while data := self._read(_SKIP):
            parts.append(data)
        return b"".join(parts)

    def _read(self, count: int) -> bytes:
        if self._failed is not None:
            raise self._failed
        count = min(count, self._size - self._position)
        if count <= 0:
            # An empty entry is compared too, and so is whatever an entry holds beyond its size.
            if self._size == 0 and self._decoded == 0 and self._position == 0:
                self._advance(0)
            return b""
        if self._decode is None:
            if self._position != self._decoded:
                self._sum, self._decoded = (0, 0) if self._position == 0 else (None, self._position)
        else:
            if self._decoder is None or self._position < self._decoded:
                self._decoder, self._decoded, self._sum = self._decode(), 0, 0
            while self._decoded < self._position:
                self._advance(min(self._position - self._decoded, _SKIP))
        data = self._advance(count)
        self._position += len(data)
        return data

    def _advance(self, count: int) -> bytes:
        """The next bytes in order; the last ones only where all of them are right."""
        if self._decode is None:
            start = self._offset + self._decoded
            data = self._source.read_at(start, count, self._offset + self._size)
        else:
            if self._decoder is None:
                self._decoder = self._decode()
            try:
                data = self._decoder.read(count) if count else b""  # a decoder may give more
            except BrokenArchiveError as error:
                if not self._encrypted:
                    raise
                raise self._broken("cannot be read") from error
        if count and not data:
            raise self._broken("is cut short")
        self._decoded += len(data)
        if self._sum is not None:
            self._sum = zlib.crc32(data, self._sum)
        if self._decoded == self._size:
            if self._decoder is not None and self._decoder.read(1):
                raise self._broken("is damaged: it is larger than the archive says")
            if self._crc is not None and self._sum is not None and self._sum != self._crc:
                raise self._broken("is damaged: its checksum (CRC) is wrong")
        return data

    def _broken(self, what: str) -> OSError:
        # A second attempt must not get past the check.
        if self._encrypted:
            # One wrong password of 256 passes what is looked at before.
            self._failed = PermissionError(
                errno.EACCES,
                f"the entry {self._name!r} is encrypted with another password, or it {what}; "
                "check 'password'",
            )
        else:
            self._failed = BrokenArchiveError(f"the entry {self._name!r} {what}")
        return self._failed

    def close(self) -> None:
        if not self.closed:
            try:
                if self._owned:
                    self._source.close()
            finally:
                super().close()
