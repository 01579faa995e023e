"""A file in the making that outlives its process, for downloads that go on later."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, ClassVar

from .base import Backend
from .local_tree import make_directories
from .local_write import NEW, PLAIN, AtomicFile, is_at, lock, mode_of_new, remove_stale
from .temporary_names import is_temporary, unique_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..info import Attributes

__all__ = ["PartialFile", "PartialFiles"]


class PartialFile(AtomicFile):
    """As its base, and ``keep()`` leaves what was written for another ``PartialFile``.

    It has a name that no other writer makes, so that it is surely this content's; it is hidden as
    all temporary files are, locked while it is in use, and ``cleanup`` removes it later. So no
    write to the same target takes it away.
    """

    def __init__(
        self,
        target: str,
        replaced: os.stat_result | None,
        name: str | None,
        *,
        if_absent: bool = False,
        fsync: bool = False,
        attributes: Attributes | None = None,
        noted: Callable[[str], object] | None = None,
    ) -> None:
        self._wanted = name
        self._noted = noted
        self.name: str = ""
        self.is_reopened: bool = False
        super().__init__(target, replaced, if_absent=if_absent, fsync=fsync, attributes=attributes)

    def _make(self, replaced: os.stat_result | None) -> int:
        wanted = self._wanted
        if wanted is not None and is_temporary(wanted):
            descriptor = _reopened(f"{self._directory}/{wanted}")
            if descriptor is not None:
                self.is_reopened = True
                return self._named_as(wanted, descriptor)
        while True:
            name = unique_name(self._name)
            if self._noted is not None:
                self._noted(name)  # before it is there: a kill in between must not make it a stray
            path = f"{self._directory}/{name}"
            descriptor = os.open(path, NEW, mode_of_new(replaced))
            # Between creating and locking, `cleanup` may have taken the file for a stale one.
            if lock(descriptor) is not False and is_at(descriptor, path):
                return self._named_as(name, descriptor)
            os.close(descriptor)

    def _named_as(self, name: str, descriptor: int) -> int:
        self.name, self._path = name, f"{self._directory}/{name}"
        return descriptor

    def random_access(self) -> int:
        """A descriptor that any thread may write to, at any position."""
        return self._descriptor

    def set_mtime(self, mtime: float) -> None:
        """Give the file this time of modification when it is published."""
        self._mtime = mtime

    def keep(self) -> None:
        """Leave it as it is, for another run."""
        if not self._done:
            self._path = None
            self.abort()


def _reopened(path: str) -> int | None:
    """A partial file that is nobody's now; None where it is not there, or not to be had."""
    try:
        descriptor = os.open(path, os.O_RDWR | PLAIN)
    except OSError:
        return None  # gone, or another user's: then it is no loss but of time
    is_ours = stat.S_ISREG(os.fstat(descriptor).st_mode) and lock(descriptor) is not False
    if is_ours and is_at(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


class PartialFiles(Backend):
    """The verb of the local backend for them."""

    keeps_partial_files: ClassVar[bool] = True
    _fsync: bool

    def _target(self, path: str) -> tuple[str, os.stat_result | None]:
        """Where a write to ``path`` goes, and the regular file that it will replace."""
        raise NotImplementedError

    def open_partial(
        self,
        path: str,
        name: str | None,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        noted: Callable[[str], object] | None = None,
    ) -> PartialFile:
        full, replaced = self._target(path)
        if if_absent and replaced is not None:
            if name is not None and is_temporary(name):
                remove_stale(f"{os.path.dirname(full)}/{name}")
            raise FileExistsError(errno.EEXIST, "already exists")
        make_directories(os.path.dirname(full))
        return PartialFile(
            full,
            replaced,
            name,
            if_absent=if_absent,
            fsync=self._fsync,
            attributes=attributes,
            noted=noted,
        )
