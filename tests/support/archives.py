"""What the tests of archives share: a holder that counts and fails, and hand-made archives."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

from genro_storage import registry
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.options import BackendOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from genro_storage.backends.base import WriteHandle
    from genro_storage.info import Attributes, FileInfo

__all__ = ["Faraway", "faraway", "pack_tar", "pack_zip", "replace_whole"]


class _FarawayOptions(BackendOptions):
    path: str


class Faraway(LocalBackend):
    """A directory that behaves as if it were behind a network: no local paths, counted requests.

    ``fail_after`` bytes of a write, the storage is full.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.requests: list[tuple[int, int]] = []
        self.looks = 0
        self.fail_after: int | None = None

    @property
    def fetched(self) -> int:
        """Bytes that were asked for."""
        return sum(end - start for start, end in self.requests)

    def local_path(self, path: str) -> str | None:
        return None

    def stat(self, path: str) -> FileInfo:
        self.looks += 1
        return super().stat(path)

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        raise AssertionError("an archive elsewhere is read by ranges")

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        data = super().read_bytes(path, start, end)
        self.requests.append((start, start + len(data)))
        return data

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        handle: Any = super().open_write(path, append=append, if_absent=if_absent)
        limit = self.fail_after
        if limit is not None:
            written, write = 0, handle.write

            def failing(data: Any) -> int:
                nonlocal written
                written += len(data)
                if written > limit:
                    raise OSError(errno.ENOSPC, "no space left")
                return int(write(data))

            handle.write = failing
        return handle  # type: ignore[no-any-return]


@contextlib.contextmanager
def faraway(root: Path) -> Iterator[list[Faraway]]:
    """The type ``faraway`` for the block; every backend that it builds, in order."""
    built: list[Faraway] = []

    def build(options: _FarawayOptions, context: object) -> Faraway:
        built.append(Faraway(options.path))
        return built[-1]

    registry.register(registry.BackendType("faraway", _FarawayOptions, build))
    try:
        yield built
    finally:
        registry.unregister("faraway")


def pack_zip(path: Path, contents: dict[str, bytes], **options: Any) -> Path:
    """A zip archive by Python's own module."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in contents.items():
            info = zipfile.ZipInfo(name, time.localtime()[:6])
            archive.writestr(info, data, compress_type=archive.compression)
    return path


def pack_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    """A tar archive by Python's own module."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def replace_whole(path: Path, data: bytes) -> None:
    """As another program would: beside it, then renamed."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    os.replace(beside, path)
