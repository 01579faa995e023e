"""What a backend may know about the mount that it is built for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ..capabilities import BackendCapabilities
    from ..info import FileInfo
    from .base import WriteHandle

__all__ = ["BuildContext", "Keep", "Place"]

T = TypeVar("T")


class Keep(Protocol):
    """Return the object kept under ``key``, made by ``factory`` the first time."""

    def __call__(self, key: Hashable, factory: Callable[[], T], /) -> T:
        """Look ``key`` up, or keep what ``factory()`` returns."""
        ...


class Place(Protocol):
    """One file somewhere else that a backend keeps its content in, as an archive does.

    Every call goes to where the file is now. Its errors are those of that place: ours, and about
    its own ``mount:path``, where it is a node of another mount.
    """

    @property
    def label(self) -> str:
        """The place as it was written, for messages."""
        ...

    @property
    def capabilities(self) -> BackendCapabilities:
        """What whoever keeps the file can do, as far as the rights allow; known without asking."""
        ...

    @property
    def writable(self) -> bool:
        """Whether ``open_write`` and ``upload`` may be called, and are whole or not at all."""
        ...

    def stat(self) -> FileInfo:
        """What is there; ``FileNotFoundError`` where nothing is."""
        ...

    def open_read(self) -> BinaryIO:
        """A binary stream from the start of the file."""
        ...

    def read_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to, not including, ``end``; a ranged request where remote."""
        ...

    def download(self, target: Path) -> None:
        """Copy the whole file into a local one."""
        ...

    def upload(self, source: str | os.PathLike[str]) -> None:
        """Replace the whole file by a local one."""
        ...

    def open_write(self, *, if_absent: bool = False) -> WriteHandle:
        """A handle whose ``close()`` replaces the whole file, and whose ``abort()`` forgets it.

        ``if_absent``: ``FileExistsError``, here or by ``close()``, where there is a file.
        """
        ...

    def local_path(self) -> str | None:
        """Where the file is on this machine, existing or not; None where it is elsewhere."""
        ...

    def address(self) -> tuple[object, str] | None:
        """As ``Backend.address``."""
        ...


def _no_mounts(text: str) -> Place:
    from ..exceptions import StorageConfigError

    raise StorageConfigError(f"{text!r} names another mount, and without a manager there is none")


def _keep_nothing(_key: Hashable, factory: Callable[[], T]) -> T:
    return factory()


def _forget(_step: Callable[[], object]) -> None:
    """Without a manager nothing is undone."""


@dataclass(frozen=True)
class BuildContext:
    """Handed to the ``build`` function of a ``BackendType``.

    ``mount`` is the mount's name, for error messages. ``base`` is the directory of the
    configuration file, which relative local paths resolve against; None for a configuration
    given in code. ``keep(key, factory)`` returns an object that lives as long as the manager, so
    that configuring a name again finds what was there; without a manager nothing is kept.
    ``undo(step)`` notes what takes back a change that ``build`` has made outside, for a
    configuration that fails later. ``place("mount:path")`` is a file on another mount of the
    manager, which must be configured already (``StorageConfigError``); it is looked up by name
    at each use, so that it follows a mount that is replaced.
    """

    mount: str
    base: Path | None = None
    keep: Keep = field(default=_keep_nothing, repr=False)
    undo: Callable[[Callable[[], object]], object] = field(default=_forget, repr=False)
    place: Callable[[str], Place] = field(default=_no_mounts, repr=False)

    def local_path(self, path: str) -> str:
        """A path of this machine as it was meant, in its one spelling for messages.

        In a file, a relative one starts at the file's directory, and ``~`` is the home directory.
        """
        if self.base is not None:
            path = os.path.join(os.path.abspath(self.base), os.path.expanduser(path))
        return str(Path(path))  # without "." and "//"; what ".." leads to depends on links
