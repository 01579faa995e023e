"""Glob patterns over a tree, as pathlib reads them. Decides names only; a lister is passed in."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from ..exceptions import StorageValueError
from ..paths import order_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..info import FileInfo

__all__ = ["glob"]

_MAGIC = re.compile(r"[*?\[]")


def glob(
    pattern: str,
    root: FileInfo,
    scan: Callable[[FileInfo], list[FileInfo]],
    find: Callable[[FileInfo, str], FileInfo | None],
    below: Callable[[FileInfo], Iterable[FileInfo]],
) -> Iterator[FileInfo]:
    """The entries below ``root`` that match: ``*``, ``?``, ``[a-z]``, and ``**`` for any depth.

    Case-sensitive; a name with a leading dot is nothing special, as in pathlib. Only directories
    that can hold a match are listed. ``scan`` lists one level, ``find`` looks up one name, ``below``
    lists everything below a directory (for ``**``, so that no depth is too deep).
    """
    if not pattern or pattern.startswith("/"):
        raise StorageValueError(f"{pattern!r}: a glob pattern must be relative and not empty")
    parts = [part for part in pattern.split("/") if part and part != "."]
    if ".." in parts:
        raise StorageValueError(f"{pattern!r}: a glob pattern cannot contain '..'")
    # "**/**" means "**"; keeping both would yield everything twice.
    wanted = [p for i, p in enumerate(parts) if not (p == "**" and i and parts[i - 1] == "**")]
    seen: set[str] = set()
    for info in _select(wanted, root, scan, find, below):
        if info.path not in seen:
            # Only "**" can reach one entry twice, so nothing else needs the memory.
            if "**" in wanted:
                seen.add(info.path)
            yield info


def _select(
    parts: list[str],
    here: FileInfo,
    scan: Callable[[FileInfo], list[FileInfo]],
    find: Callable[[FileInfo, str], FileInfo | None],
    below: Callable[[FileInfo], Iterable[FileInfo]],
) -> Iterator[FileInfo]:
    if not parts:
        yield here
        return
    if here.type != "directory":
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _at_any_depth(rest, here, scan, find, below)
    elif _MAGIC.search(first):
        matches = re.compile(fnmatch.translate(first)).match
        for info in sorted(scan(here), key=order_key):
            if matches(info.name):
                yield from _select(rest, info, scan, find, below)
    else:
        found = find(here, first)
        if found is not None:
            yield from _select(rest, found, scan, find, below)


def _at_any_depth(
    rest: list[str],
    here: FileInfo,
    scan: Callable[[FileInfo], list[FileInfo]],
    find: Callable[[FileInfo, str], FileInfo | None],
    below: Callable[[FileInfo], Iterable[FileInfo]],
) -> Iterator[FileInfo]:
    if len(rest) == 1 and rest[0] != "**":
        # The commonest kind, "**/*.txt": each entry is looked at once and listed once.
        matches = re.compile(fnmatch.translate(rest[0])).match
        yield from (info for info in below(here) if matches(info.name))
        return
    yield from _select(rest, here, scan, find, below)
    for info in below(here):
        # As in pathlib, a final "**" means directories.
        if info.type == "directory":
            yield from _select(rest, info, scan, find, below)
