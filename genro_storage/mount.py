"""The only door to a backend.

A mount is a frozen value: name, backend, prefix, permissions. It checks the permission and the
capability, joins the prefix, and translates whatever the backend raises into our exceptions, in
the words the user used. A relative mount is ``narrow`` of its parent, so rights only shrink.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import paths
from .backends.dynamic import DynamicRoot
from .backends.fsspec_write import SpooledWrite
from .batch import MountBatch
from .exceptions import (
    StorageError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    translate,
    translating,
)
from .handles import BinaryWriter, open_reader
from .hearing import note_left_out
from .info import CleanupCount, FileInfo
from .mount_transfers import MountTransfers
from .rights import Permissions

if TYPE_CHECKING:
    import io
    import os
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .backends.base import Backend
    from .info import Attributes, Checksum

__all__ = ["Mount", "Permissions"]

_log = logging.getLogger("genro_storage")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mount(MountTransfers):
    """The verbs of a mount: the only calls of a backend in the library."""

    # -- places -------------------------------------------------------------------------------

    def bind(self) -> Mount:
        """This mount with its callable root evaluated for the rest of one operation."""
        if isinstance(self.backend, DynamicRoot):
            return replace(self, backend=self._evaluate(self.backend.pinned))
        return self

    def is_bound_as(self, bound: Mount) -> bool:
        """Whether ``bound`` is what ``bind`` has made of this very mount."""
        return (
            isinstance(bound.backend, DynamicRoot)
            and bound.backend.is_of(self.backend)
            and (bound.prefix, bound.permissions) == (self.prefix, self.permissions)
        )

    @property
    def depends_on_path(self) -> bool:
        """Whether the storage itself depends on the path (a switched mount's root has none)."""
        return self._is_switched() and not self.prefix

    def can_copy_to(self, target: Mount) -> bool:
        """Whether ``copy`` works between the two: one service that copies on its own side."""
        here, there = self.backend, target.backend
        if isinstance(here, DynamicRoot) or isinstance(there, DynamicRoot):
            return False
        if not (here.capabilities.copy_optimization and there.capabilities.copy_optimization):
            return False
        if here is there:
            return True
        with translating(target.label(""), "copying"):
            return there.copies_from(here)

    def same_place(self, path: str, other: Mount, other_path: str) -> bool:
        """Whether both name one file or directory, through whatever mounts."""
        here, there = self._address(path), other._address(other_path)
        return here is not None and here == there

    def contains(self, path: str, other: Mount, other_path: str) -> bool:
        """Whether the other place lies below this directory."""
        here, there = self._address(path), other._address(other_path)
        if here is None or there is None or here[0] != there[0] or here == there:
            return False
        return here[1] == "" or there[1].startswith(here[1].rstrip("/") + "/")

    def can_compare_places(self, path: str, other: Mount, other_path: str) -> bool:
        """Whether ``same_place`` is to be believed when it says no."""
        here, there = self._address(path), other._address(other_path)
        if here is None or there is None or here[0] == there[0]:
            return True
        return self._at(path)[0].address_is_sure and other._at(other_path)[0].address_is_sure

    def _address(self, path: str) -> tuple[object, str] | None:
        """What two mounts can be compared by: the real local path, or backend and path."""
        if self.backend.capabilities.path_is_content:
            return None
        backend, real = self._at(path)
        # The physical path with links resolved: two local mounts may overlap.
        with translating(self.label(path), "finding its place"):
            physical = backend.address(real)
        return physical if physical is not None else (id(backend), real)

    def _list(
        self, path: str, verb: str, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        self._require("list_dir", path, "directories (it has no directory structure)")
        backend, real = self._at(path)

        def relabelled(info: FileInfo) -> FileInfo:
            below = info.path[len(real) + 1 :] if real else info.path
            return info._replace(path=paths.join(path, below))

        options: dict[str, Any] = {}
        if enter is not None:
            options["enter"] = enter if real == path else lambda info: enter(relabelled(info))
        with self._naming_below(path, {real: path}, "listing"):
            for info in getattr(backend, verb)(real, **options):
                if not paths.is_addressable(info.path):
                    note_left_out(info.path)
                    _log.warning(
                        "%s: left out the entry %r, whose name no path can express",
                        self.label(path) if path else self.label("").removesuffix(":"),
                        info.path,
                    )
                elif real == path:
                    yield info
                else:
                    yield relabelled(info)

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        """What is at ``path``; ``StorageNotFoundError`` where nothing is."""
        if not path and not self.prefix and self._is_switched():
            return FileInfo("", "directory")
        backend, real = self._at(path)
        # What is done most often spares itself the steps of `translating`.
        try:
            info = backend.stat(real)
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(path), action="looking at it") from error
        return info if real == path else info._replace(path=path)

    def exists(self, path: str) -> bool:
        """Whether something is there; an unreachable storage raises, it is not "no"."""
        if not path and not self.prefix and self._is_switched():
            return True
        try:
            backend, real = self._at(path)
            try:
                return backend.exists(real)
            except StorageError:
                raise
            except Exception as error:
                raise translate(error, node=self.label(path), action="looking at it") from error
        except (StorageNotFoundError, StorageNotDirectoryError):
            return False

    def scan(self, path: str) -> Iterator[FileInfo]:
        """The entries of a directory, one level, in any order."""
        return self._list(path, "scan")

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """Everything below a directory, directories included, in key order.

        A directory for which ``enter`` says no is yielded and not listed.
        """
        return self._list(path, "find", enter)

    def find_tree(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """As ``find``, of what may be a file: ``StorageNotDirectoryError`` by the first step."""
        return self._list(path, "find_tree", enter)

    def checksum(self, info: FileInfo) -> Checksum | None:
        """A content digest known without reading the file."""
        backend, real = self._at(info.path)
        inner = info if real == info.path else info._replace(path=real)
        with translating(self.label(info.path), "hashing"):
            return backend.checksum(inner)

    def local_path(self, path: str) -> str | None:
        """The real path on this machine, existing or not; None where there is none."""
        found: str | None = self._run(path, "finding the local path", "local_path")
        return found

    # -- reading ------------------------------------------------------------------------------

    def open_read(self, path: str, *, version: str | None = None) -> io.BufferedReader:
        """A buffered binary stream whose errors name the node."""
        if version is not None:
            self._require("version_access", path, "versioning")
        stream = self._run(path, "opening for reading", "open_read", version=version)
        return open_reader(stream, self.label(path))

    def open_whole(self, path: str) -> io.BufferedReader:
        """As ``open_read``, for whoever will read all of a large file, from its start on."""
        stream = self._run(path, "opening for reading", "open_whole")
        return open_reader(stream, self.label(path))

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``."""
        if version is not None:
            self._require("version_access", path, "versioning")
        backend, real = self._at(path)
        try:
            return backend.read_bytes(real, start, end, version=version)
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(path), action="reading") from error

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        """Copy the content into a local file that the caller owns."""
        if version is not None:
            self._require("version_access", path, "versioning")
        self._run(path, "downloading", "download", target, version=version)

    # -- writing ------------------------------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        on_commit: Callable[[str | None], None] | None = None,
    ) -> BinaryWriter:
        """A handle whose ``close()`` makes the content visible whole."""
        self.require_write(path, "appending" if append else "writing")
        if append:
            self._require("append_mode", path, "appending; read, join and write instead")
        self.require_attributes(path, attributes)
        handle = self._run(
            path,
            "opening for writing",
            "open_write",
            append=append,
            if_absent=if_absent,
            attributes=attributes,
        )
        return BinaryWriter(handle, self.label(path), on_commit)

    def open_write_if_match(
        self,
        path: str,
        etag: str,
        *,
        attributes: Attributes | None = None,
        on_commit: Callable[[str | None], None] | None = None,
    ) -> BinaryWriter:
        """As ``open_write``, and ``close()`` is bound to the file's ETag (``write_if_match``)."""
        self.require_write(path)
        self._require("conditional_writes", path, "writing on the condition of an ETag")
        self.require_attributes(path, attributes)
        backend, real = self._at(path)
        handle = SpooledWrite(
            lambda content: backend.write_if_match(real, content, etag, attributes=attributes)
        )
        return BinaryWriter(handle, self.label(path), on_commit)

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        """Replace the whole content; the new path where the content decides it."""
        self.require_write(path)
        self.require_attributes(path, attributes)
        backend, real = self._at(path)
        try:
            return backend.write_bytes(real, data, if_absent=if_absent, attributes=attributes)
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(path), action="writing") from error

    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        """Copy a local file to ``path``; returns what ``write_bytes`` returns."""
        self.require_write(path)
        self.require_attributes(path, attributes)
        backend, real = self._at(path)
        with translating(lambda: self.label(path), "writing"):
            return backend.upload(source, real, if_absent=if_absent, attributes=attributes)

    def begin_batch(self) -> MountBatch | None:
        """A way to write many files that is cheaper than one by one; None where there is none."""
        self.require_write("")
        if isinstance(self.backend, DynamicRoot):
            return None  # its files may go to several places
        with translating(self.label(""), "writing"):
            batch = self.backend.begin_batch()
        return None if batch is None else MountBatch(replace(self, backend=batch), batch)

    def copy(self, path: str, target: Mount, target_path: str, *, if_absent: bool = False) -> None:
        """Copy one file to another place of the same service, on its own side."""
        target.require_write(target_path, "copying")
        backend, real = self._at(path)
        there, target_real = target._at(target_path)
        if not self.can_copy_to(target):
            raise self._unsupported(path, f"cannot be copied directly to {target.label('')}")
        if if_absent and backend is not there:
            raise self._unsupported(path, "cannot be copied on a condition to another bucket")
        with translating(lambda: self._way(path, target, target_path), "copying"):
            if backend is not there:
                there.copy_from(backend, real, target_real)
            elif if_absent:
                backend.copy_if_absent(real, target_real)
            else:
                backend.copy(real, target_real)

    def move(self, path: str, target: Mount, target_path: str) -> None:
        """Rename one file or directory inside the same store."""
        self.require_delete(path, "moving")
        target.require_write(target_path, "moving")
        backend, real = self._at(path)
        there, target_real = target._at(target_path)
        if backend is not there:
            raise self._unsupported(path, f"cannot be renamed to {target.label(target_path)}")
        with translating(lambda: self._way(path, target, target_path), "moving"):
            backend.move(real, target_real)

    def mkdir(self, path: str) -> None:
        """Make one directory."""
        self.require_write(path, "making a directory")
        why = "it has none of its own; a file makes those above it"
        if not self.capabilities.write:
            why = "it is read-only"
        self._require("mkdir", path, f"making directories: {why}")
        self._run(path, "making a directory", "mkdir")

    def make_parents(self, path: str) -> None:
        """Make the directories above ``path`` that are missing."""
        self.require_write(path, "making directories")
        self._run(path, "making directories", "make_parents")

    def set_mtime(self, path: str, mtime: float) -> None:
        """Set the time of the last modification (seconds since the epoch, UTC)."""
        self.require_write(path, "setting the modification time")
        self._run(path, "setting the modification time", "set_mtime", mtime)

    # -- removing -----------------------------------------------------------------------------

    def remove(self, path: str) -> None:
        """Remove one file, link or empty directory."""
        self.require_delete(path)
        self.require_below_root(path)
        self._run(path, "deleting", "remove")

    def remove_tree(self, path: str) -> None:
        """Remove a file, a link, or a directory with everything below it."""
        self.require_delete(path)
        self.require_below_root(path)
        backend, real = self._at(path)
        with self._naming_below(path, {real: path}, "deleting"):
            backend.remove_tree(real)

    def remove_many(self, names: Iterable[str]) -> None:
        """Remove several files; one that is gone already is no error."""
        listed = list(names)
        for path in listed:
            self.require_delete(path)
            self.require_below_root(path)
        bound = self.bind()
        by_backend: dict[int, tuple[Backend, dict[str, str]]] = {}
        for path in listed:
            backend, real = bound._at(path)
            by_backend.setdefault(id(backend), (backend, {}))[1][real] = path
        one = listed[0] if len(listed) == 1 else ""
        for backend, places in by_backend.values():
            with self._naming_below(one, places, "deleting files"):
                backend.remove_many(list(places))

    def clear(self) -> None:
        """Remove everything in the mount and keep its root."""
        self.require_delete("", "emptying the mount")
        bound = self.bind()
        for info in list(bound.scan("")):
            bound.remove_tree(info.path)

    def check(self) -> None:
        """Ask the storage whether it is there and lets us in; raises ours where it does not.

        The whole storage, whatever directory of it this mount begins at.
        """
        backend = self._at("")[0]
        with translating(self.label(""), "checking the mount"):
            backend.check()

    def cleanup(self, path: str, older_than: float) -> CleanupCount:
        """Remove what killed writers left below ``path`` that long ago (seconds); how many."""
        self.require_delete(path, "cleaning up")
        backend, real = self._at(path)
        with self._naming_below(path, {real: path}, "cleaning up"):
            removed = backend.cleanup(real, older_than)
        found = removed if isinstance(removed, CleanupCount) else CleanupCount(removed or 0)
        return found.below(real, path)

    def close(self) -> None:
        """Close the backend; the manager does so when no mount uses it any more."""
        if not isinstance(self.backend, DynamicRoot):
            with translating(self.label(""), "closing"):
                self.backend.close()
