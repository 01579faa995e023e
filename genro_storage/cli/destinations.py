"""What ``cp`` and ``mv`` are given: sources, and for each of them the place that it goes to."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import StorageExistsError
from .streams import is_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..info import FileInfo
    from ..node import StorageNode
    from .targets import Session

__all__ = ["Sources", "Target", "destinations"]

Sources = Annotated[list[str], typer.Argument(metavar="SOURCE", help="Files or directories.")]
Target = Annotated[str, typer.Argument(metavar="DEST", help="Where to.")]


def destinations(
    session: Session,
    sources: list[str],
    dest: str,
    *,
    merging: Callable[[FileInfo], bool] | None,
) -> Iterator[tuple[StorageNode, StorageNode]]:
    """Each source with its target; a source that cannot be had is reported and left out.

    DEST itself is the target, unless there are several sources, DEST ends in ``/``, or the
    source is a file and DEST a directory: then it is the source's name inside DEST. A source
    without a name (a mount's root, ``.``) is merged onto DEST; of what is in it, ``merging`` says
    what goes (None: nothing ever does). Of several sources, the first has a name to itself.
    """
    target = session.resolve(dest)
    inside = len(sources) > 1 or dest.endswith("/")
    taken = _Taken(target) if len(sources) > 1 else None
    for text in sources:
        found = None
        with session.attempt():
            node = session.resolve(text)
            info = node._look()
            there = target
            if node.name and (inside or (not info.is_dir and is_directory(target))):
                there = target.child(node.name)
            elif not (target.name or info.is_dir):
                target._mount.check()  # which says what is missing: a root is a directory
            if taken is not None:
                taken.refuse(node, _names(node, info, merging))
            found = node, there
        if found is not None:
            yield found


def _names(
    node: StorageNode, info: FileInfo, merging: Callable[[FileInfo], bool] | None
) -> dict[str, str]:
    """What a source gives to the directory DEST: each name, and the place that it comes from."""
    if node.name:
        return {node.name: node.fullpath}
    if merging is None or not info.is_dir:
        return {}
    entries = filter(merging, node._mount.scan(node._path))
    return {entry.name: node._mount.fullpath(entry.path) for entry in entries}


class _Taken:
    """The names in DEST that sources have gone to, so that no other source replaces one."""

    def __init__(self, target: StorageNode) -> None:
        self._target = target
        self._origins: dict[str, str] = {}
        self._spellings: dict[str, set[str]] = {}

    def refuse(self, node: StorageNode, names: dict[str, str]) -> None:
        """``StorageExistsError`` where a name is taken; else all of them are, from now on."""
        for name in sorted(names):
            first = self._origin(name)
            if first is not None:
                left = (
                    "it is not replaced" if node.name else f"nothing of {node.fullpath} goes there"
                )
                raise StorageExistsError(
                    f"{names[name]}: {first} has just gone to "
                    f"{self._target.child(name).fullpath}; {left}",
                    node=names[name],
                )
        for name, origin in names.items():
            self._origins[name] = origin
            self._spellings.setdefault(_folded(name), set()).add(name)

    def _origin(self, name: str) -> str | None:
        """Where the name came from, also in another spelling that is the same to the storage."""
        if name in self._origins:
            return self._origins[name]
        others = sorted(self._spellings.get(_folded(name), ()))
        child = self._target.child
        if not others or not child(name).exists:
            return None
        listed = {entry.name for entry in self._target._mount.scan(self._target._path)}
        for other in others:
            if not {name, other} <= listed and child(other).exists:
                return self._origins[other]
        return None


def _folded(name: str) -> str:
    """What the spellings have in common that some storage takes for one name."""
    return unicodedata.normalize("NFC", name).casefold()
