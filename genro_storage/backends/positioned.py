"""What all streams for reading have in common that keep their position themselves."""

from __future__ import annotations

import io
import os
from typing import Any

__all__ = ["PositionedStream"]


class PositionedStream(io.RawIOBase):
    """A stream for reading in any order, whose position is a number: seeking asks nobody.

    A subclass has ``read`` or ``readinto`` read from ``_position`` on and move it, and ``_end`` say
    where the content ends. ``_move`` is what happens when somebody goes elsewhere.
    """

    def __init__(self, position: int = 0) -> None:
        super().__init__()
        self._position = position
        self._process = os.getpid()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read in any order: it can."""
        return True

    def tell(self) -> int:
        """The position in bytes; ``ValueError`` after closing."""
        self._require_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, which may be beyond the end, and return it.

        Raises ``ValueError`` for one before the start, for another ``whence`` and after closing;
        ``io.UnsupportedOperation`` where it is counted from an end that nobody knows.
        """
        self._require_open()
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            offset += self._end()
        elif whence != os.SEEK_SET:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        if offset < 0:
            raise ValueError(f"{offset} is a position before the start of the file")
        if offset != self._position:
            self._move(offset)
        return offset

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as one read can; the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view)) or b""
        view[: len(data)] = data
        return len(data)

    def _end(self) -> int:
        """Bytes of the whole content."""
        raise io.UnsupportedOperation("it is not known where the file ends")

    def _move(self, position: int) -> None:
        self._position = position

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    # -- forks --------------------------------------------------------------------------------

    @property
    def _is_inherited(self) -> bool:
        """Whether what is under way belongs to the process that this one was forked from."""
        return self._process != os.getpid()

    def _adopt(self) -> None:
        """From now on this process is the one that reads."""
        self._process = os.getpid()
