"""A store that keeps every version of every file, in memory: what S3 with versioning does.

Enough to exercise everything above the backends that deals with versions, without a server.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from genro_storage.backends.base import Backend, WriteHandle
from genro_storage.backends.options import BackendOptions
from genro_storage.capabilities import BackendCapabilities
from genro_storage.info import Attributes, Checksum, FileInfo, FileVersion
from genro_storage.registry import BackendType, BuildContext, get, register

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genro_storage.backends.dynamic import DynamicRoot

__all__ = ["VersionedStore", "register_versioned"]

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Version:
    """One content of one key."""

    key: str
    version_id: str
    content: bytes
    when: datetime
    metadata: dict[str, str]


class _Writer(WriteHandle):
    def __init__(self, store: VersionedStore, path: str, if_absent: bool) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._if_absent = if_absent
        self._buffer = io.BytesIO()

    def write(self, data: Any) -> int:
        return self._buffer.write(data)

    def _commit(self) -> None:
        if self._if_absent and self._store.current(self._path) is not None:
            raise FileExistsError(self._path)
        self._store.put(self._path, self._buffer.getvalue())

    def _abort(self) -> None:
        self._buffer.close()


class VersionedStore(Backend):
    """Keys without real directories; each write adds a version, deleting removes them all.

    ``now`` is the clock: tests set it, or leave it, so that versions share a second. ``log``
    records each request as (verb, key).
    """

    capabilities = BackendCapabilities(
        versioning=True,
        version_listing=True,
        version_access=True,
        metadata=True,
        copy_optimization=True,
        hash_on_metadata=True,
    )

    def __init__(self) -> None:
        self.kept: list[Version] = []
        self.now = START
        self.log: list[tuple[str, str]] = []
        self.undeletable: set[str] = set()
        self._count = 0

    def tick(self, seconds: float = 60) -> datetime:
        """Move the clock on; returns the time that it showed."""
        before = self.now
        self.now += timedelta(seconds=seconds)
        return before

    def put(self, path: str, content: bytes, metadata: Mapping[str, str] | None = None) -> None:
        self.log.append(("put", path))
        self._count += 1
        # Ids that sort in no useful order, as a real store's do.
        name = hashlib.sha1(str(self._count).encode(), usedforsecurity=False).hexdigest()[:8]
        self.kept.append(Version(path, name, bytes(content), self.now, dict(metadata or {})))

    def current(self, path: str) -> Version | None:
        found = [version for version in self.kept if version.key == path]
        return found[-1] if found else None

    def _version(self, path: str, version: str | None = None) -> Version:
        for each in reversed(self.kept):
            if each.key == path and version in (None, each.version_id):
                return each
        if version is None and self._is_directory(path):
            raise IsADirectoryError(path)
        raise FileNotFoundError(path)

    def _is_directory(self, path: str) -> bool:
        return not path or any(each.key.startswith(path + "/") for each in self.kept)

    def stat(self, path: str) -> FileInfo:
        self.log.append(("stat", path))
        return self._info(path)

    def _info(self, path: str) -> FileInfo:
        if self.current(path) is None and self._is_directory(path):
            return FileInfo(path, "directory")
        found = self._version(path)
        digest = hashlib.md5(found.content, usedforsecurity=False).hexdigest()
        return FileInfo(
            path,
            "file",
            len(found.content),
            found.when.timestamp(),
            etag=digest,
            checksum=Checksum("md5", digest),
            metadata=found.metadata,
        )

    def scan(self, path: str) -> Iterator[FileInfo]:
        if not self._is_directory(path):
            if self.current(path) is not None:
                raise NotADirectoryError(path)
            raise FileNotFoundError(path)
        self.log.append(("list", path))
        prefix = f"{path}/" if path else ""
        names = {
            each.key[len(prefix) :].split("/")[0]
            for each in self.kept
            if each.key.startswith(prefix)
        }
        return iter([self._info(prefix + name) for name in sorted(names)])

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self.log.append(("get", path))
        return io.BytesIO(self._version(path, version).content)

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        return _Writer(self, path, if_absent)

    def mkdir(self, path: str) -> None:
        """Directories come with the keys below them."""

    def make_parents(self, path: str) -> None:
        """As ``mkdir``."""

    def remove(self, path: str) -> None:
        self.log.append(("remove", path))
        if self.current(path) is None:
            if self._is_directory(path):
                return
            raise FileNotFoundError(path)
        self.kept = [version for version in self.kept if version.key != path]

    def copy(self, source: str, target: str) -> None:
        found = self._version(source)
        self.put(target, found.content, found.metadata)

    def move(self, source: str, target: str) -> None:
        found = self._version(source)
        self.put(target, found.content, found.metadata)
        self.remove(source)

    def versions(self, path: str) -> list[FileVersion]:
        self.log.append(("versions", path))
        mine = [version for version in self.kept if version.key == path]
        if not mine:
            raise FileNotFoundError(path)
        return [
            FileVersion(
                each.version_id,
                each is mine[-1],
                each.when,
                len(each.content),
                hashlib.md5(each.content, usedforsecurity=False).hexdigest(),
            )
            for each in mine
        ]

    def delete_version(self, path: str, version: str) -> None:
        if version in self.undeletable:
            raise PermissionError(version)
        found = self._version(path, version)
        self.kept = [each for each in self.kept if each is not found]

    def restore_version(self, path: str, version: str) -> None:
        found = self._version(path, version)
        if found is not self.current(path):
            self.put(path, found.content, found.metadata)

    def get_metadata(self, path: str) -> dict[str, str]:
        return dict(self._version(path).metadata)

    def set_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        found = self._version(path)
        position = self.kept.index(found)
        self.kept[position] = replace(found, metadata=dict(metadata))


class _Options(BackendOptions):
    """The store is made by the test; there is nothing to say."""


def _build(options: _Options, context: BuildContext) -> Backend | DynamicRoot:
    return context.keep("versioned", VersionedStore)


def register_versioned() -> BackendType:
    """Make ``type: versioned`` known to this process, as a package's author would."""
    row = BackendType("versioned", _Options, _build, "Every version, in memory")
    register(row, replace=True)
    return get("versioned")
