"""Glob patterns over a tree, as pathlib reads them. Decides names only; a lister is passed in."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from ..exceptions import StorageValueError
from ..paths import order_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..info import FileInfo

__all__ = ["glob"]

_MAGIC = re.compile(r"[*?\[]")


def glob(
    pattern: str,
    root: FileInfo,
    scan: Callable[[FileInfo], list[FileInfo]],
    find: Callable[[FileInfo, str], FileInfo | None],
) -> Iterator[FileInfo]:
    """The entries below ``root`` that match: ``*``, ``?``, ``[a-z]``, and ``**`` for any depth.

    Case-sensitive; a name with a leading dot is nothing special, as in pathlib. Only directories
    that can hold a match are listed. ``scan`` lists one level, ``find`` looks up one name.
    """
    if not pattern or pattern.startswith("/"):
        raise StorageValueError(f"{pattern!r}: a glob pattern must be relative and not empty")
    parts = [part for part in pattern.split("/") if part and part != "."]
    if ".." in parts:
        raise StorageValueError(f"{pattern!r}: a glob pattern cannot contain '..'")
    # "**/**" means "**"; keeping both would yield everything twice.
    wanted = [p for i, p in enumerate(parts) if not (p == "**" and i and parts[i - 1] == "**")]
    seen: set[str] = set()
    for info in _select(wanted, root, scan, find):
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
) -> Iterator[FileInfo]:
    if not parts:
        yield here
        return
    if here.type != "directory":
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _select(rest, here, scan, find)
        for info in sorted(scan(here), key=order_key):
            if info.type == "directory":
                yield from _select(parts, info, scan, find)
            elif not rest:
                continue  # as in pathlib, a final "**" means directories
    elif _MAGIC.search(first):
        matches = re.compile(fnmatch.translate(first)).match
        for info in sorted(scan(here), key=order_key):
            if matches(info.name):
                yield from _select(rest, info, scan, find)
    else:
        found = find(here, first)
        if found is not None:
            yield from _select(rest, found, scan, find)
