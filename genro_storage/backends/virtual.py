"""One read-only file that exists only while somebody reads it (iternode, diffnode)."""

from __future__ import annotations

import errno
import io
from typing import TYPE_CHECKING, BinaryIO

from ..capabilities import BackendCapabilities
from ..info import FileInfo
from .base import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..info import Attributes
    from .base import WriteHandle

__all__ = ["VirtualBackend"]


class VirtualBackend(Backend):
    """A store whose root is a single file, produced by ``source`` at each reading.

    ``size`` says how many bytes that would be, None where only reading can tell, and raises what
    reading would raise at once. Looking at the file reads nothing.
    """

    capabilities: BackendCapabilities = BackendCapabilities(
        write=False,
        delete=False,
        mkdir=False,
        list_dir=False,
        seek_support=False,
        readonly=True,
        temporary=True,
    )

    def __init__(
        self, source: Callable[[], BinaryIO], size: Callable[[], int | None] | None = None
    ) -> None:
        self._source = source
        self._size = size

    def stat(self, path: str) -> FileInfo:
        if path:
            raise FileNotFoundError(errno.ENOENT, "a virtual node has nothing below it")
        return FileInfo(path, "file", None if self._size is None else self._size())

    def scan(self, path: str) -> Iterator[FileInfo]:
        raise NotADirectoryError(errno.ENOTDIR, "a virtual node has no directory structure")

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        if version is not None:
            raise self._unsupported("versioning")
        return self._source()

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        raise self._read_only()

    def mkdir(self, path: str) -> None:
        raise self._read_only()

    def remove(self, path: str) -> None:
        raise self._read_only()

    @staticmethod
    def _read_only() -> io.UnsupportedOperation:
        return io.UnsupportedOperation("Cannot write to a virtual node: it has no path of its own")
