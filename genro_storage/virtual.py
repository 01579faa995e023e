"""What virtual nodes read: streams one after the other, and the diff of two texts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

from .content import decode_text, unified_diff_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ConcatenatedReader", "diff_text"]


class ConcatenatedReader(io.RawIOBase, BinaryIO):
    """Several streams as one; each is opened when its turn comes and closed after it."""

    def __init__(self, streams: Callable[[], Iterable[Any]]) -> None:
        super().__init__()
        self._streams = iter(streams())
        self._current: Any = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the stream whose turn it is."""
        while True:
            if self._current is None:
                self._current = next(self._streams, None)
                if self._current is None:
                    return 0
            count: int = self._current.readinto(buffer)
            if count:
                return count
            self._current.close()
            self._current = None

    def close(self) -> None:
        """Close the stream that is open, and take no further one."""
        if self._current is not None:
            self._current.close()
            self._current = None
        super().close()


def diff_text(first: bytes, second: bytes, from_name: str, to_name: str) -> str:
    """The unified diff of two contents, empty for equal ones.

    Raises ``StorageValueError`` where one of them is not UTF-8 text.
    """
    return "".join(
        unified_diff_lines(
            decode_text(first, from_name), decode_text(second, to_name), from_name, to_name
        )
    )
