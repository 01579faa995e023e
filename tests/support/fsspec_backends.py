"""Backends over fsspec's local files, and over filesystems that are nasty on purpose."""

from __future__ import annotations

import errno
import io
import time
from pathlib import Path
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

from genro_storage.backends.fsspec import FsspecBackend, backend_for


def local(root: str | Path) -> FsspecBackend:
    """A backend over fsspec's own local files."""
    return backend_for(fsspec.filesystem("file", skip_instance_cache=True), str(root))


def names(backend: FsspecBackend, path: str = "") -> list[str]:
    """The sorted paths of what a directory holds."""
    return sorted(info.path for info in backend.scan(path))


class NastyFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no annotations
    """What filesystems were seen to do, all in one."""

    protocol = "nasty"
    root_marker = "/"
    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.files: dict[str, bytes] = {}
        self.directories = {"", "/top"}
        self.extra: dict[str, list[dict[str, Any]]] = {}  # raw entries that listings get
        self.forbidden: set[str] = set()
        self.break_puts = False
        self.busy = 0
        self.overlaps = 0

    def _enter(self) -> None:
        self.busy += 1
        if self.busy > 1:
            self.overlaps += 1
        time.sleep(0.0005)
        self.busy -= 1

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        self._enter()
        path = self._strip_protocol(path)
        if path in self.forbidden:
            raise PermissionError(errno.EACCES, "403")
        if path in self.files:
            return {"name": path, "type": "file", "size": len(self.files[path])}
        if path in self.directories:
            return {"name": path + "/", "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[dict[str, Any]]:
        self._enter()
        path = self._strip_protocol(path)
        if path in self.forbidden:
            raise PermissionError(errno.EACCES, "403")
        if path in self.files:
            return [self.info(path)]
        below = path + "/"
        found = [
            self.info(name)
            for name in [*self.directories, *self.files]
            if name.startswith(below) and "/" not in name[len(below) :]
        ]
        return found + self.extra.get(path, [])  # and [] for what is missing

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> io.BytesIO:
        path = self._strip_protocol(path)
        if mode == "rb":
            return io.BytesIO(self.files.get(path, b""))  # a directory is an empty file
        if mode == "ab":
            raise AssertionError("no appending was declared")
        raise NotImplementedError(mode)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self._enter()
        self.files[path] = value
        if self.break_puts:
            self.files[path] = value[: len(value) // 2]
            raise ConnectionResetError("the line broke")

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        data = self.files[path]
        if start is not None and start >= len(data):
            raise OSError("416 range not satisfiable")
        return data[start:end]

    def rm_file(self, path: str) -> None:
        del self.files[path]

    def rm(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a bulk call")

    copy = mv = glob = expand_path = get = put = exists = rm

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        assert not create_parents
        self.directories.add(path)

    def rmdir(self, path: str) -> None:
        self.directories.remove(path)


class RenamingFileSystem(NastyFileSystem):
    """The nasty one, with a rename of its own."""

    protocol = "renaming"

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.files[path2] = self.files.pop(path1)


class StoreFileSystem(NastyFileSystem):
    """Keys only: a directory is whatever a key has before a slash."""

    protocol = "store"

    def _implied(self) -> set[str]:
        parts = [key.split("/") for key in self.files]
        return {"/".join(p[:n]) for p in parts for n in range(1, len(p))}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        self.directories = self._implied()
        return super().info(path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[dict[str, Any]]:
        self.directories = self._implied()
        return super().ls(path)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        raise AssertionError("would make a bucket")

    rmdir = mkdir
