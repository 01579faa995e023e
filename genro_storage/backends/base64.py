"""Files whose path is their content, encoded in base64 (RFC 4648 §4).

Nothing is stored anywhere: writing gives the node a new path. Such a path is never normalised as
a path, because ``/`` is a digit of the alphabet. Spaces and newlines are ignored.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import io
import re
import time
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from ..capabilities import BackendCapabilities
from ..info import Checksum, FileInfo
from .base import Backend
from .collected import CollectedWrite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..info import Attributes
    from .base import WriteHandle

__all__ = ["Base64Backend"]

_BLANK = re.compile(r"\s+")


class _Encoder(CollectedWrite):
    def _publish(self, content: bytes) -> None:
        self.new_path = base64.b64encode(content).decode("ascii")


class Base64Backend(Backend):
    """Inline data. ``readonly`` because nothing can be stored *at* a path."""

    capabilities: BackendCapabilities = BackendCapabilities(
        write=False,
        delete=False,
        mkdir=False,
        list_dir=False,
        public_urls=True,
        readonly=True,
        path_is_content=True,
    )
    opaque_paths: ClassVar[bool] = True

    def __init__(self) -> None:
        self._created = time.time()

    @staticmethod
    def _decode(path: str) -> bytes:
        text = _BLANK.sub("", path)
        if not text:
            raise FileNotFoundError(errno.ENOENT, "a base64 path cannot be empty")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise FileNotFoundError(
                errno.ENOENT, "Invalid base64: the path must be the encoded content"
            ) from None

    def stat(self, path: str) -> FileInfo:
        size = len(self._decode(path))
        return FileInfo(path, "file", size, self._created)

    def scan(self, path: str) -> Iterator[FileInfo]:
        raise io.UnsupportedOperation("base64 content has no directory structure")

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        if version is not None:
            raise self._unsupported("versioning")
        return io.BytesIO(self._decode(path))

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        if append:
            raise self._unsupported("appending; read, join and write instead")
        if if_absent:
            with contextlib.suppress(FileNotFoundError):
                self._decode(path)
                raise FileExistsError(errno.EEXIST, "the path holds a content already")
        return _Encoder()

    def check(self) -> None:
        """There is nothing that could be out of reach."""

    def mkdir(self, path: str) -> None:
        raise self._read_only("make directories")

    def remove(self, path: str) -> None:
        raise self._read_only("delete")

    def remove_tree(self, path: str) -> None:
        self.remove(path)

    def make_parents(self, path: str) -> None:
        """Nothing to make: content has no parents."""

    @staticmethod
    def _read_only(what: str) -> io.UnsupportedOperation:
        return io.UnsupportedOperation(f"cannot {what}: base64 paths are read-only data")

    def checksum(self, info: FileInfo) -> Checksum | None:
        from ..content import digest

        return Checksum("md5", digest(io.BytesIO(self._decode(info.path))))

    def url(self, path: str, *, expires_in: int = 3600, **options: Any) -> str | None:
        """A ``data:`` URL (RFC 2397); it never expires."""
        encoded = base64.b64encode(self._decode(path)).decode("ascii")
        return f"data:application/octet-stream;base64,{encoded}"
