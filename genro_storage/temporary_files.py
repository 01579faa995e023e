"""Temporary files of this machine, whose failures say that they are no storage's."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exceptions import TemporaryFileError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["SpooledFile", "TemporaryFile", "naming_tempdir", "tempdir_failure"]

_FD = Path("/proc/self/fd")


def tempdir_failure(error: OSError) -> TemporaryFileError:
    """What to raise where a temporary file could not be made or written."""
    # Where none can be used at all the standard library says so, and has chosen none.
    here = tempfile.tempdir
    reason = error.strerror or str(error)
    if here is None:
        text = f"no directory for temporary files can be used ({reason}); name one in TMPDIR"
    else:
        text = (
            f"a temporary file of this machine, in {os.fspath(here)!r}, cannot be written "
            f"({reason}); make room there, or name another directory in TMPDIR"
        )
    return TemporaryFileError(error.errno, text)


@contextlib.contextmanager
def naming_tempdir() -> Generator[None]:
    """Only for what touches nothing but temporary files: whatever fails is said to be theirs."""
    try:
        yield
    except TemporaryFileError:
        raise
    except OSError as error:
        raise tempdir_failure(error) from error


class TemporaryFile(io.FileIO):
    """A file without a name, so that a kill leaves none; nothing of it waits in a buffer.

    ``path`` opens it once more all the same, as long as it is open. Where the system has no such
    path, and one is asked for (``named``), it has a name.
    """

    def __init__(self, *, named: bool = False) -> None:
        self._holder: Any = None
        with naming_tempdir():
            if named and not _FD.is_dir():
                self._holder = tempfile.NamedTemporaryFile(prefix="genro-", buffering=0)  # noqa: SIM115
                super().__init__(os.dup(self._holder.fileno()), "r+b")
            else:
                with tempfile.TemporaryFile(prefix="genro-", buffering=0) as file:
                    super().__init__(os.dup(file.fileno()), "r+b")

    @property
    def path(self) -> Path:
        """A path by which it can be opened."""
        return _FD / str(self.fileno()) if self._holder is None else Path(self._holder.name)

    def write(self, data: Any) -> int:
        """All of it: the system may take a part only."""
        written = 0
        # Let go of, or what is written could not be closed where the traceback is kept.
        with naming_tempdir(), memoryview(data) as given, given.cast("B") as view:
            while written < len(view):
                written += super().write(view[written:])
        return written

    def truncate(self, size: int | None = None) -> int:
        """As files do it."""
        with naming_tempdir():
            return super().truncate(size)

    def close(self) -> None:
        """Let it go."""
        super().close()
        if self._holder is not None:
            self._holder.close()


class SpooledFile:
    """Bytes in memory, and from ``limit`` on in a temporary file."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._file: io.BytesIO | TemporaryFile = io.BytesIO()

    def write(self, data: Any) -> int:
        """Write at the position."""
        view = memoryview(data).cast("B")
        memory = self._file
        if isinstance(memory, io.BytesIO) and memory.tell() + len(view) > self._limit:
            file = TemporaryFile()
            try:
                with memory.getbuffer() as held:
                    file.write(held)
                file.seek(memory.tell())
            except BaseException:
                file.close()
                raise
            self._file = file
        return self._file.write(view)

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes from the position on."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As files do it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def close(self) -> None:
        """Forget everything."""
        self._file.close()
