"""Which configuration a mount comes from, so that another process can read the same.

A reference holds names and paths only: the keys stay in the file, and in the environment of
whoever reads it.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exceptions import StorageConfigError, StorageValueError
from .places import parents_first

if TYPE_CHECKING:
    from .config import MountSpec
    from .manager import StorageManager
    from .mount import Mount

__all__ = ["Home", "MountOrigin", "MountReference", "origin_of"]

_FACTORY = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_FIX = (
    "define it in a configuration file that the other processes can read, or name a function that "
    "makes the manager there: storage.reference = 'package.module:function'"
)


@dataclass(slots=True)
class Home:
    """What all mounts of one manager share: the function that makes the same manager elsewhere."""

    factory: str | None = None


@dataclass(frozen=True, slots=True)
class MountOrigin:
    """Where a mount was configured. ``files`` are the mounts that it needs, itself last, and the
    files that define them; None where code does.
    """

    home: Home
    name: str
    files: tuple[tuple[str, str | None], ...]

    def reference(self) -> MountReference:
        """What leads another process to the mount; ``LookupError`` where nothing does."""
        factory = self.home.factory
        if factory is not None:
            imported(factory)
            return MountReference(self.name, factory=factory)
        files: list[tuple[str, str]] = []
        for name, file in self.files:
            if file is None:
                which = "it" if name == self.name else f"the mount {name!r}, which it needs,"
                raise LookupError(f"{which} was configured in code, which may hold keys; {_FIX}")
            files.append((name, file))
        return MountReference(self.name, tuple(files))


def origin_of(
    name: str,
    home: Home,
    origins: Mapping[str, Path | Mapping[str, Any]],
    specs: Mapping[str, MountSpec],
    holders: Mapping[str, tuple[str, ...]],
    table: Mapping[str, Mount],
) -> MountOrigin:
    """Where the mount of this name, and those that it needs, were configured."""
    needed = parents_first(table, specs, holders, only=(name,))
    found = [(each, origins.get(each)) for each in needed]
    return MountOrigin(
        home, name, tuple((each, str(at) if isinstance(at, Path) else None) for each, at in found)
    )


@dataclass(frozen=True, slots=True)
class MountReference:
    """A mount by its name, and by the files, or the function, that define it."""

    name: str
    files: tuple[tuple[str, str], ...] = ()
    factory: str | None = field(default=None)

    def open(self) -> Mount:
        """The mount as this process knows it; its manager is kept for the next time.

        ``StorageNotFoundError`` where a file is missing here, ``StorageConfigError`` where it says
        something else here, or needs what is not here.
        """
        with _lock:
            if self.factory is not None:
                manager = _made(self.factory)
            else:
                # A file that was written anew holds other keys: it is read again.
                signs = tuple(_sign(file) for file in dict(self.files).values())
                manager = _configured(self.files, signs)
        return manager._mount(self.name)


# A user's function may open mounts itself.
_lock = threading.RLock()


@functools.lru_cache(maxsize=16)
def _configured(files: tuple[tuple[str, str], ...], signs: tuple[object, ...]) -> StorageManager:
    from .manager import StorageManager

    del signs  # which only tell one state of the files from another
    manager = StorageManager()
    manager.__setstate__({"origins": [(name, Path(file)) for name, file in files]})
    return manager


def _sign(file: str) -> object:
    try:
        found = os.stat(file)
    except OSError:
        return None  # reading it says what is wrong
    return found.st_mtime_ns, found.st_size, found.st_ino


@functools.lru_cache(maxsize=16)
def _made(factory: str) -> StorageManager:
    from .manager import StorageManager

    manager = imported(factory)()
    if not isinstance(manager, StorageManager):
        raise StorageConfigError(
            f"{factory} returned a {type(manager).__name__}; the function that "
            "storage.reference names returns a StorageManager"
        )
    return manager


def imported(factory: str) -> Any:
    """The function of that name; ``StorageConfigError`` where it cannot be imported."""
    module, _, attribute = factory.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise StorageConfigError(
            f"the function {factory!r}, which storage.reference names, cannot be imported: {error}"
        ) from error
    if not callable(found):
        raise StorageConfigError(f"{factory!r}, which storage.reference names, is no function")
    return found


def checked_factory(value: object) -> str | None:
    """``StorageValueError`` for what is not written ``package.module:function``."""
    if value is None:
        return None
    if not isinstance(value, str) or not _FACTORY.fullmatch(value):
        raise StorageValueError(
            f"storage.reference is written 'package.module:function', not {value!r}"
        )
    if value.startswith("__main__:"):
        raise StorageValueError(
            "storage.reference: no other process can import '__main__', which is the program that "
            "was started; put the function into a module"
        )
    return value
