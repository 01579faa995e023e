"""A whole content from a reader into a writer, by as many threads as the reader likes.

The reader's stream may have ``drain(sink)``, the writer's handle a ``random_access()``. What fails
is told as the fault of the side that has failed, and after the end nobody writes any more.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol

from .hearing import note_bytes

if TYPE_CHECKING:
    from typing import Self

__all__ = ["DescriptorSink", "Drained", "TargetFailedError"]


class TargetFailedError(Exception):
    """Writing has failed, not reading. No ``OSError``: nobody must take it for the network's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error: OSError = error


class Drained(Protocol):
    """A stream for reading that can bring all of its content at once."""

    def drain(self, sink: DescriptorSink, /) -> bool:
        """All of the content into the sink; False where it is to be read instead."""
        ...


class DescriptorSink:
    """An open file, written to at any position by several threads at once, until it is closed.

    It has a descriptor of its own. Whoever comes late, after a caller who was interrupted even
    while closing it, writes into the file that was given up or gets ``ValueError``, and never into
    what has the number of the descriptor by then.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = -1
        self._is_over = False
        self._lock = threading.Lock()
        self._descriptor = os.dup(descriptor)

    def write(self, at: int, data: bytes) -> None:
        """All of ``data``, from the byte ``at`` on; ``TargetFailedError``."""
        view = memoryview(data)
        with self._lock:
            while view:
                self._require_open()
                try:
                    written = os.pwrite(self._descriptor, view, at)
                except OSError as error:
                    raise TargetFailedError(error) from error
                view, at = view[written:], at + written
        note_bytes(len(data))

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, as far as they were written."""
        with self._lock:
            self._require_open()
            try:
                return os.pread(self._descriptor, end - start, start)
            except OSError as error:
                raise TargetFailedError(error) from error

    def force(self) -> None:
        """Have what was written survive a power failure; ``TargetFailedError``."""
        with self._lock:
            self._require_open()
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                raise TargetFailedError(error) from error

    def size(self) -> int:
        """Bytes of the file, up to the last that was written."""
        return os.fstat(self._descriptor).st_size

    def _require_open(self) -> None:
        if self._is_over:
            raise ValueError("the transfer is over")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True  # known also to who holds the lock
        with self._lock:
            self._close()

    def __del__(self) -> None:
        # Where somebody was interrupted twice; by now nobody writes.
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
