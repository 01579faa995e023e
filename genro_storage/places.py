"""Files on other mounts in which a mount keeps its content, as an archive does.

``file: "backups:2026.zip"`` names a node. It is looked up by its mount's name whenever it is
used, so that it follows a mount that is replaced, and keeps to the rights of that mount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from . import paths
from .exceptions import MountNotFoundError, StorageConfigError, StoragePathError, translating

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from .backends.base import WriteHandle
    from .backends.context import Place
    from .capabilities import BackendCapabilities
    from .config import MountSpec
    from .info import FileInfo
    from .mount import Mount

__all__ = ["MountPlace", "PlaceFinder", "not_there_yet", "parents_first", "refuse_circles"]


class MountPlace:
    """A file of another mount, behind that mount's door."""

    def __init__(self, find: Callable[[str], Mount], name: str, path: str, declared: Mount) -> None:
        self._find = find
        self._name = name
        self._path = path
        self._declared = declared.capabilities

    def __repr__(self) -> str:
        return f"<MountPlace {self.label}>"

    @property
    def _mount(self) -> Mount:
        return self._find(self._name)

    @property
    def label(self) -> str:
        return f"{self._name}:{self._path}"

    @property
    def capabilities(self) -> BackendCapabilities:
        try:
            return self._mount.capabilities
        except MountNotFoundError:
            # It is being configured together with the mount that asks, or was deleted.
            return self._declared

    @property
    def writable(self) -> bool:
        return self.capabilities.write

    def stat(self) -> FileInfo:
        return self._mount.stat(self._path)

    def open_read(self) -> BinaryIO:
        return cast("BinaryIO", self._mount.open_read(self._path))

    def read_bytes(self, start: int = 0, end: int | None = None) -> bytes:
        return self._mount.read_bytes(self._path, start, end)

    def download(self, target: Path) -> None:
        self._mount.download(self._path, target)

    def upload(self, source: str | os.PathLike[str]) -> None:
        self._mount.upload(source, self._path)

    def open_write(self, *, if_absent: bool = False) -> WriteHandle:
        # A BinaryWriter has close() and abort() with the same meaning.
        handle: Any = self._mount.open_write(self._path, if_absent=if_absent)
        return cast("WriteHandle", handle)

    def local_path(self) -> str | None:
        return self._mount.local_path(self._path)

    def address(self) -> tuple[object, str] | None:
        return self._mount._address(self._path)


def not_there_yet(mount: Mount) -> str:
    """What is to be known of a mount whose archive is still to be made; ``""`` of any other."""
    place = mount.holder
    if place is None or not mount.declared.write:
        return ""
    with translating(mount.label(""), "looking for its archive"):
        try:
            place.stat()
        except FileNotFoundError:
            then = "; the first file makes it" if mount.capabilities.write else ""
            return f"its archive {place.label!r} is not there yet{then}"
    return ""


class PlaceFinder:
    """Makes the places of one mount that is being built, and notes the mounts they are on."""

    def __init__(
        self,
        mount: str,
        table: Mapping[str, Mount],
        later: set[str],
        find: Callable[[str], Mount],
    ) -> None:
        self._mount = mount
        self._table = table
        self._later = later
        self._find = find
        self.used: tuple[str, ...] = ()

    def __call__(self, text: str) -> Place:
        """The place ``mount:path``; ``StorageConfigError`` where there is no such mount."""
        name, colon, path = text.partition(":")
        if not colon:
            raise StorageConfigError(
                f"mount {self._mount!r}: {text!r} is no node; one is written 'mount:path'",
                node=self._mount,
            )
        holder = self._table.get(name)
        if holder is None or name in self._later or name == self._mount:
            fix = "define it before this mount" if name in self._later else "configure it first"
            raise StorageConfigError(
                f"mount {self._mount!r}: the mount {name!r} of {text!r} is not configured; {fix}",
                node=self._mount,
            )
        try:
            place = paths.physical(holder.normalise(path))
        except StoragePathError as error:
            raise StorageConfigError(
                f"mount {self._mount!r}: {error.message}", node=self._mount
            ) from error
        if not place:
            raise StorageConfigError(
                f"mount {self._mount!r}: {text!r} is a whole mount; name a file in it",
                node=self._mount,
            )
        self.used = (*self.used, name)
        return MountPlace(self._find, name, place, holder)


def refuse_circles(
    table: Mapping[str, Mount],
    specs: Mapping[str, MountSpec],
    holders: Mapping[str, tuple[str, ...]],
) -> None:
    """``StorageConfigError`` where a mount's content would be in a file of its own."""
    settled: set[str] = set()
    for name in table:
        above: list[tuple[str, int]] = [(name, 0)]
        while above:
            here, position = above.pop()
            needed = _needed(here, specs, holders)
            if here in settled or position == len(needed):
                settled.add(here)
                continue
            above.append((here, position + 1))
            further = needed[position]
            if any(further == seen for seen, _ in above):
                raise StorageConfigError(
                    f"mount {further!r}: its content would be in a file of its own, by way of "
                    f"{here!r}; break the circle",
                    node=further,
                )
            if further in table:
                above.append((further, 0))


def parents_first(
    table: Mapping[str, Mount],
    specs: Mapping[str, MountSpec],
    holders: Mapping[str, tuple[str, ...]],
    *,
    only: Iterable[str] | None = None,
) -> list[str]:
    """The names in an order in which they can be configured again.

    ``only`` these, and what they need.
    """
    ordered: dict[str, None] = {}
    for name in table if only is None else only:
        pending = [name]
        while pending:
            here = pending[-1]
            missing = [
                other
                for other in _needed(here, specs, holders)
                if other in table and other not in ordered
            ]
            if missing:
                pending += missing
            else:
                ordered[pending.pop()] = None
    return list(ordered)


def _needed(
    name: str, specs: Mapping[str, MountSpec], holders: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The mounts without which this one cannot be configured."""
    relative = specs[name].relative if name in specs else None
    return holders.get(name, ()) if relative is None else (relative.parent,)
