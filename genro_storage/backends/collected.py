"""A write that is collected in memory and published in one step."""

from __future__ import annotations

import io
from abc import abstractmethod

from .base import WriteHandle

__all__ = ["CollectedWrite"]


class CollectedWrite(WriteHandle):
    """For a storage that takes a content as a whole: a subclass writes ``_publish``."""

    def __init__(self, *, seekable: bool = True) -> None:
        super().__init__()
        self._buffer = io.BytesIO()
        self._seekable = seekable

    @abstractmethod
    def _publish(self, content: bytes) -> None:
        """Make this content visible, whole."""

    def write(self, data: object) -> int:
        """Collect ``data``."""
        return self._buffer.write(data)  # type: ignore[arg-type]

    def seekable(self) -> bool:
        """Whether what was written can be gone back to."""
        return self._seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, also beyond the end."""
        return self._buffer.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._buffer.tell()

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen (with zeros, which ``BytesIO`` does not); the position stays."""
        if not self._seekable:
            raise io.UnsupportedOperation("truncate: what is appended to cannot be cut")
        here = self._buffer.tell()
        length = here if size is None else size
        missing = length - self._buffer.seek(0, io.SEEK_END)
        if missing > 0:
            self._buffer.write(bytes(missing))
        else:
            self._buffer.truncate(length)
        self._buffer.seek(here)
        return length

    def _commit(self) -> None:
        self._publish(self._buffer.getvalue())

    def _abort(self) -> None:
        self._buffer.close()
