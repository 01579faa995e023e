"""Writing through fsspec: spool everything aside first, publish it at ``close()`` in one call.

No fsspec writer is exception-safe: leaving its ``with`` block by an exception publishes the part
that was written, or has truncated the old file already. So nothing of the storage is touched
before the content is complete.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..temporary_files import TemporaryFile
from .base import WriteHandle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["SPOOL", "Content", "GuardedReader", "SpooledWrite"]

#: Bytes that a write holds in memory before it goes to a temporary file of this machine.
SPOOL = 8 * 1024 * 1024

#: What is published: the bytes themselves, or the local file that holds them.
Content = bytes | Path


class SpooledWrite(WriteHandle):
    """Content in the making, on this machine; ``close()`` hands it to ``publish``."""

    def __init__(self, publish: Callable[[Content], None], *, seekable: bool = True) -> None:
        super().__init__()
        self._publish = publish
        self._seekable = seekable
        self._spool: BinaryIO = io.BytesIO()
        self._path: Path | None = None

    def seekable(self) -> bool:
        return self._seekable

    def write(self, data: Any) -> int:
        self._require_open()
        view = memoryview(data).cast("B")
        try:
            if self._path is None and self._spool.tell() + len(view) > SPOOL:
                self._spill()
            return self._spool.write(view)
        except BaseException:
            self.fail()
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._require_open()
        if not self._seekable:
            raise io.UnsupportedOperation("an addition cannot seek: it goes to the end")
        return self._spool.seek(offset, whence)

    def tell(self) -> int:
        self._require_open()
        return self._spool.tell()

    def truncate(self, size: int | None = None) -> int:
        self._require_open()
        wanted = self.tell() if size is None else size
        here = self._spool.tell()
        length = self._spool.seek(0, os.SEEK_END)
        # BytesIO cannot grow by truncating, and a file of the system can: be one thing.
        if wanted > length:
            self._spool.seek(here)
            self._grow(wanted)
        else:
            self._spool.truncate(wanted)
        self._spool.seek(here)
        return wanted

    def _grow(self, size: int) -> None:
        if self._path is None and size > SPOOL:
            self._spill()
        self._spool.seek(size - 1)
        self._spool.write(b"\0")

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def _spill(self) -> None:
        """Go on in a file, which has no name where the system allows, so that a kill leaves none.

        It must still be openable by name, because ``put_file`` takes one.
        """
        here = self._spool.tell()
        spool = TemporaryFile(named=True)
        try:
            with self._spool.getbuffer() as held:  # type: ignore[attr-defined]
                spool.write(held)
            spool.seek(here)
        except BaseException:
            spool.close()
            raise
        self._spool = cast("BinaryIO", spool)
        self._path = spool.path

    def _commit(self) -> None:
        if self._path is None:
            content: Content = self._spool.getvalue()  # type: ignore[attr-defined]
        else:
            content = self._path
        self._publish(content)
        self._spool.close()

    def _abort(self) -> None:
        self._spool.close()


class GuardedReader(io.RawIOBase):
    """A stream of a filesystem, as the standard library expects one.

    The filesystem's calls take turns where it is not thread-safe, and so do the reads of its
    streams, which often share one connection or one archive.
    """

    def __init__(self, stream: Any, guard: AbstractContextManager[Any]) -> None:
        super().__init__()
        self._stream = stream
        self._guard = guard

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def readinto(self, buffer: Any) -> int:
        self._require_open()
        view = memoryview(buffer).cast("B")
        with self._guard:
            data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        self._require_open()
        with self._guard:
            data: bytes = self._stream.read()
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._require_open()
        with self._guard:
            self._stream.seek(offset, whence)
            return int(self._stream.tell())

    def tell(self) -> int:
        self._require_open()
        with self._guard:
            return int(self._stream.tell())

    def close(self) -> None:
        if not self.closed:
            try:
                with self._guard:
                    self._stream.close()
            finally:
                super().close()

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
