"""Packing a file or a tree into a zip archive."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .. import paths
from ..content import ZipEntry, zip_stream
from ..exceptions import StorageIsDirectoryError
from .contents import NodeContents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..info import FileInfo
    from ..mount import Mount

__all__ = ["NodePacking"]

_log = logging.getLogger("genro_storage")


class NodePacking(NodeContents):
    """Archives are made while the files are read, so memory stays bounded."""

    __slots__ = ()

    def zip(self) -> bytes:
        """This file, or this directory's files with their relative names, as a zip archive.

        The archive is made in memory; :meth:`iter_zip` streams it.
        """
        return b"".join(self.iter_zip())

    def iter_zip(self) -> Iterator[bytes]:
        """The zip archive in chunks, made while the files are read; memory stays bounded.

        Names are made safe and unique. Links that lead nowhere or out of the mount are left out
        with a logged warning.
        """
        return zip_stream(self._zip_entries())

    def _zip_entries(self) -> Iterator[ZipEntry]:
        here = self._bound()
        info, mount = here.stat(), here._mount
        version = self._version_id()
        if info.type != "directory":
            yield _zip_entry(self.name or "file", info, mount, version)
            return
        for found in mount.find(self._path):
            name = paths.relative_to(found.path, self._path)
            if found.type == "directory":
                yield ZipEntry(f"{name}/", _nothing, found.mtime)
            elif found.type == "file":
                yield _zip_entry(name, found, mount, None)
            else:
                _log.warning(
                    "%s: left out of the archive (%s)", mount.label(found.path), found.type
                )


def _zip_entry(name: str, info: FileInfo, mount: Mount, version: str | None) -> ZipEntry:
    def opened() -> Any:
        return mount.open_read(info.path, version=version)

    return ZipEntry(name, opened, info.mtime, info.size)


def _nothing() -> Any:
    raise StorageIsDirectoryError("a directory has no content")
