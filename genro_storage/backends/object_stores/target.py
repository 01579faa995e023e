"""Where a download goes: a local file, written to from any thread, and by nobody once it is closed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

__all__ = ["Target"]


class Target:
    """A file that is written piece by piece. ``write`` may be called by several threads at once.

    A caller who is interrupted twice does not wait for them. Whoever comes after it was closed
    gets ``ValueError``, and never writes into what has the number of its descriptor by then, nor
    into what another attempt makes of the same file.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("w+b", buffering=0)

    def write(self, at: int, data: bytes) -> None:
        """All of ``data``, from the byte ``at`` on."""
        view = memoryview(data)
        with self._lock:
            while view:
                written = os.pwrite(self._file.fileno(), view, at)
                view, at = view[written:], at + written

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, as far as they were written."""
        with self._lock:
            return os.pread(self._file.fileno(), end - start, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()
