"""The file that an archive lies in, as a ``Place``: local, on another mount, or at a URL."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from ...capabilities import BackendCapabilities
from ...exceptions import StorageConfigError, StorageError
from ..errors import RootNotFoundError
from ..remote import Opened

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from ...info import FileInfo
    from ..base import Backend, WriteHandle
    from ..context import BuildContext, Place

__all__ = ["BackendPlace", "LocalPlace", "place_of"]

_LOCAL = ("file", "local")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class BackendPlace:
    """One file of a backend that no mount stands in front of.

    ``find`` is called at the first use, for the backend and the path in it. Errors name the archive
    as it was written.
    """

    def __init__(
        self,
        find: Callable[[], tuple[Backend, str]],
        label: str,
        capabilities: BackendCapabilities,
    ) -> None:
        self._found: Opened[tuple[Backend, str]] = Opened(find)
        self._label = label
        self._capabilities = capabilities

    def __repr__(self) -> str:
        return f"<BackendPlace {self._label}>"

    @property
    def label(self) -> str:
        return self._label

    @property
    def capabilities(self) -> BackendCapabilities:
        return self._capabilities

    @property
    def writable(self) -> bool:
        return self._capabilities.write

    @contextlib.contextmanager
    def _use(self) -> Generator[tuple[Backend, str]]:
        """Errors of the system in the words of whoever wrote the configuration."""
        try:
            yield self._found.get()
        except (StorageError, RootNotFoundError):
            raise
        except OSError as error:
            if error.errno is None:
                raise
            # OSError chooses the subclass by the number.
            text = f"the archive {self._label!r}: {error.strerror or error}"
            raise OSError(error.errno, text) from error

    def stat(self) -> FileInfo:
        with self._use() as (backend, path):
            return backend.stat(path)

    def open_read(self) -> BinaryIO:
        with self._use() as (backend, path):
            return backend.open_read(path)

    def read_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        with self._use() as (backend, path):
            return backend.read_bytes(path, start, end)

    def download(self, target: Path) -> None:
        with self._use() as (backend, path):
            backend.download(path, target)

    def upload(self, source: str | os.PathLike[str]) -> None:
        with self._use() as (backend, path):
            backend.upload(source, path)

    def open_write(self, *, if_absent: bool = False) -> WriteHandle:
        with self._use() as (backend, path):
            return backend.open_write(path, if_absent=if_absent)

    def local_path(self) -> str | None:
        with self._use() as (backend, path):
            return backend.local_path(path)

    def address(self) -> tuple[object, str] | None:
        with self._use() as (backend, path):
            return backend.address(path)

    def close(self) -> None:
        """Close the backend if it was opened."""
        found = self._found.take()
        if found is not None:
            found[0].close()


class LocalPlace(BackendPlace):
    """A file of this machine, in a directory that must exist: a slip of the pen makes no tree."""

    def __init__(self, path: str) -> None:
        from ..local import LocalBackend

        # Rooted at the top, so that links may lead anywhere: a person has named this very file.
        drive, rest = os.path.splitdrive(path)
        backend = LocalBackend(drive + os.sep)
        super().__init__(lambda: (backend, rest.lstrip(os.sep)), path, LocalBackend.capabilities)
        self._full = path

    def stat(self) -> FileInfo:
        try:
            return super().stat()
        except FileNotFoundError:
            self._require_directory()
            raise

    def open_write(self, *, if_absent: bool = False) -> WriteHandle:
        self._require_directory()
        return super().open_write(if_absent=if_absent)

    def upload(self, source: str | os.PathLike[str]) -> None:
        self._require_directory()
        super().upload(source)

    def _require_directory(self) -> None:
        directory = os.path.dirname(self._full)
        if not os.path.isdir(directory):
            raise RootNotFoundError(
                f"the directory {directory!r} of the archive does not exist; make it, or correct "
                "'file'"
            )


def place_of(
    file: str, protocol: str | None, options: Mapping[str, Any], context: BuildContext, label: str
) -> Place:
    """The place that ``file`` means; ``label`` starts the messages. Connects to nothing.

    Raises ``StorageConfigError`` where the path is not absolute (in code), where the mount of a
    node is not configured, and for chained URLs.
    """
    written = _URL.match(file)
    if written is not None and protocol is not None and written[1] != protocol:
        raise StorageConfigError(
            f"{label}: 'file' starts with {written[1]}:// and 'target_protocol' is {protocol!r}; "
            "keep one of them",
            node=context.mount,
        )
    if protocol is None and written is not None:
        protocol = written[1]
    if protocol in _LOCAL:
        return _local(file.partition("://")[2] if written else file, context, label)
    if protocol is not None:
        return _remote(file, protocol, options, context, label)
    if options:
        raise StorageConfigError(
            f"{label}: 'target_options' are for a URL; add 'target_protocol', or leave them out",
            node=context.mount,
        )
    before, colon, _ = file.partition(":")
    if colon and not _DRIVE.match(file) and not before.startswith("~") and "/" not in before:
        return context.place(file)
    return _local(file, context, label)


def _local(path: str, context: BuildContext, label: str) -> Place:
    if context.base is None and not os.path.isabs(path):
        raise StorageConfigError(
            f"{label}: the file {path!r} is not absolute; in code, write for instance "
            "Path(...).resolve() (relative paths and '~' are for configuration files), "
            "or 'mount:path' for a file of another mount",
            node=context.mount,
        )
    if not os.path.basename(path):
        raise StorageConfigError(
            f"{label}: {path!r} is a directory; name the archive's file", node=context.mount
        )
    return LocalPlace(context.local_path(path))


class _Named:
    """As much of a filesystem as ``profile_of`` looks at."""

    def __init__(self, protocol: str) -> None:
        self.protocol: str | tuple[str, ...] = protocol


def _remote(
    file: str, protocol: str, options: Mapping[str, Any], context: BuildContext, label: str
) -> Place:
    from ..fsspec_info import profile_of

    if "::" in file:
        raise StorageConfigError(
            f"{label}: chained URLs ('::') are not supported; mount the outer archive, and name "
            "this one as 'mount:path'",
            node=context.mount,
        )
    shown = _shown(file, protocol)
    known: Any = _Named(protocol)
    profile = profile_of(known)
    capabilities = BackendCapabilities(
        atomic_operations=profile.commit in ("rename", "put"), temporary=profile.temporary
    )
    if profile.readonly:
        capabilities = capabilities.without_writing()

    def connect() -> tuple[Backend, str]:
        from ..fsspec import open_filesystem
        from ..fsspec_kinds import backend_for

        filesystem = open_filesystem(protocol, options, label, context.mount)
        full = filesystem._strip_protocol(file)
        directory, slash, name = full.rpartition("/")
        return backend_for(filesystem, directory or slash, profile=profile), name

    if file.endswith("/"):
        raise StorageConfigError(
            f"{label}: {shown!r} is a directory; name the archive's file", node=context.mount
        )
    return BackendPlace(connect, shown, capabilities)


def _shown(file: str, protocol: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    if "://" not in file:
        return f"{protocol}://{file.lstrip('/')}"
    parts = urlsplit(file)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
