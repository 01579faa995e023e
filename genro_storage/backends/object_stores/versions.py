"""The versions of objects in the stores that name each content they have had."""

from __future__ import annotations

import contextlib
import errno
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Protocol, TypeVar, cast

from ..errors import RootNotFoundError
from .attributes import with_kept
from .client import ObjectClient, in_parallel
from .reader import FIRST, PIECE, Chunk, ObjectReader
from .store import ObjectStoreBackend, PublicStoreBackend
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from ...capabilities import BackendCapabilities
    from ...info import Descriptor, FileInfo, FileVersion
    from .tags import TagClient

__all__ = ["PublicVersionedStoreBackend", "VersionClient", "VersionedStoreBackend", "no_version"]

T = TypeVar("T")


class VersionClient(ObjectClient, Protocol):
    """The requests about versions of one service.

    ``FileNotFoundError`` where there is no such version. What a version holds never changes.
    """

    def versions(self, key: str) -> list[FileVersion]:
        """Those of exactly this key, oldest first; none where there never was one."""
        ...

    def head_version(self, key: str, version: str) -> FileInfo:
        """What one version is."""
        ...

    def read_version(self, key: str, version: str, start: int, end: int) -> Chunk:
        """At most these bytes of one version, fewer at its end."""
        ...

    def delete_version(self, key: str, version: str) -> None:
        """Remove one that is not the current one."""
        ...

    def restore_version(self, key: str, version: str) -> None:
        """Make one the current one, with what belongs to it."""
        ...

    def version_descriptor(self, key: str, version: str) -> Descriptor:
        """All that one request tells of one version."""
        ...

    def is_current(self, key: str, version: str) -> bool:
        """Whether this is the version that is read without naming one."""
        ...

    def why_no_versions(self, key: str) -> str | None:
        """Why none are kept, and the fix; None where some are, or nobody may ask."""
        ...


class VersionedStoreBackend(ObjectStoreBackend):
    """A bucket whose objects may have versions.

    In one that keeps none, the current content is the one version of a file. The current version
    is the file itself, so that it is not deleted by its id.
    """

    latest_version_is_fixed: ClassVar[bool] = True

    def __init__(self, *args: Any, versioned: bool = True, **options: Any) -> None:
        """``versioned`` False: a service that is known to have no versions."""
        super().__init__(*args, **options)
        if versioned:
            self.capabilities: BackendCapabilities = replace(
                self.capabilities, versioning=True, version_listing=True, version_access=True
            )

    def _ask_versions(self, step: Callable[[VersionClient], T]) -> T:
        return self._ask(lambda client: step(cast("VersionClient", client)))

    def _about(self, path: str, version: str, step: Callable[[VersionClient], T]) -> T:
        """A step on one version, whose absence is said to be that."""
        if not self.capabilities.version_access:
            raise self._unsupported("versioning")
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        with _finding(version):
            return self._ask_versions(step)

    # -- looking ------------------------------------------------------------------------------

    def require_versions(self, path: str) -> None:
        super().require_versions(path)
        reason = self._ask_versions(lambda client: client.why_no_versions(self._full(path)))
        if reason is not None:
            raise io.UnsupportedOperation(reason)

    def versions(self, path: str) -> list[FileVersion]:
        if not self.capabilities.version_listing:
            raise self._unsupported("versioning")
        found = self._ask_versions(lambda client: client.versions(self._full(path))) if path else []
        if not found:
            self._require_file(path)  # raises, except for a file that has come meanwhile
            raise FileNotFoundError(errno.ENOENT, "not found", path)
        return found

    def stat_version(self, path: str, version: str) -> FileInfo | None:
        found = self._about(
            path, version, lambda client: client.head_version(self._full(path), version)
        )
        return found._replace(path=path, version=version)

    def version_descriptor(self, path: str, version: str) -> Descriptor:
        full = self._full(path)
        found = self._about(path, version, lambda client: client.version_descriptor(full, version))
        return replace(with_kept(found), path=path, version=version)

    def get_tags(self, path: str, *, version: str | None = None) -> dict[str, str]:
        if version is None:
            return super().get_tags(path)
        full = self._full(path)
        return self._about(
            path, version, lambda client: cast("TagClient", client).get_tags(full, version)
        )

    # -- reading ------------------------------------------------------------------------------

    def _piece(self, path: str, version: str, start: int, end: int) -> Chunk:
        def step(client: VersionClient) -> Chunk:
            found = client.read_version(self._full(path), version, start, end)
            if len(found.data) < min(end, found.size) - start:
                raise ConnectionError(errno.ECONNRESET, "the answer ended too early")
            return found

        return self._about(path, version, step)

    def _pieces(
        self,
        path: str,
        version: str,
        start: int,
        end: int | None,
        put: Callable[[int, bytes], object],
    ) -> None:
        """Hand a range to ``put``, some pieces at a time, each with its place in the range."""
        limit = start + PIECE if end is None else min(end, start + PIECE)
        first = self._piece(path, version, start, limit)
        put(0, first.data)
        last = first.size if end is None else min(end, first.size)

        def one(at: int) -> None:
            put(at - start, self._piece(path, version, at, min(at + PIECE, last)).data)

        in_parallel(one, range(limit, last, PIECE))

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        if version is None:
            return super().open_read(path)
        first = self._piece(path, version, 0, FIRST)
        reader = ObjectReader(first, lambda start, end: self._piece(path, version, start, end).data)
        return cast("BinaryIO", reader)

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        if version is None:
            return super().read_bytes(path, start, end)
        if end is not None and end <= start:
            self.stat_version(path, version)
            return b""
        pieces: dict[int, bytes] = {}
        self._pieces(path, version, start, end, pieces.__setitem__)
        return b"".join(pieces[at] for at in sorted(pieces))

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        if version is None:
            super().download(path, target)
            return
        with Target(target) as sink:
            self._pieces(path, version, 0, None, sink.write)

    # -- changing -----------------------------------------------------------------------------

    def delete_version(self, path: str, version: str) -> None:
        full = self._full(path)
        if self._about(path, version, lambda client: client.is_current(full, version)):
            self.require_versions(path)
            raise io.UnsupportedOperation(
                f"version {version!r} is the current one, which is the file itself: delete the "
                "file, or restore another version first"
            )
        with _finding(version):
            self._remote.call_until_done(
                lambda client: cast("VersionClient", client).delete_version(full, version),
                FileNotFoundError,
            )

    def restore_version(self, path: str, version: str) -> None:
        self._require_write(path, False)
        full = self._full(path)
        if not self._about(path, version, lambda client: client.is_current(full, version)):
            self._about(path, version, lambda client: client.restore_version(full, version))


class PublicVersionedStoreBackend(VersionedStoreBackend, PublicStoreBackend):
    """The same at the one address of its public service."""


@contextlib.contextmanager
def _finding(version: str) -> Generator[None]:
    """Says of what is not found that it is this version."""
    try:
        yield
    except RootNotFoundError:
        raise
    except FileNotFoundError as error:
        raise no_version(version) from error


def no_version(version: str) -> FileNotFoundError:
    """The error for an id that nothing has."""
    return FileNotFoundError(errno.ENOENT, f"there is no version {version!r} of it")
