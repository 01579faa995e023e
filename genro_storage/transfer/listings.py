"""Listings that do not come from the storage itself, as a plan takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..exceptions import StorageValueError
from ..paths import parent_of

if TYPE_CHECKING:
    from ..info import FileInfo
    from .filters import Filters
    from .place import Place

__all__ = ["refuse_listing", "within"]


def within(listing: Iterable[FileInfo], root: str, filters: Filters) -> Iterator[FileInfo]:
    """What of a listing is below ``root``, without the directories that no file can be in.

    Files are left to whoever names the reason for which one takes no part.
    """
    below = root + "/" if root else ""
    start = len(below)
    for info in listing:
        if not info.path.startswith(below):
            continue
        if info.type == "directory" and filters:
            above = parent_of(info.path)
            if len(above) >= start and not filters.may_hold(above[start:]):
                continue
        yield info


def refuse_listing(
    source: Place, info: FileInfo, listing: Iterable[FileInfo], *, delete: bool
) -> None:
    """``StorageValueError`` for a listing that a plan cannot go by."""
    label = str(source)
    why = ""
    if info.type != "directory":
        why = "is a single file; listing= is for directories"
    elif delete:
        # What came since it was made would be removed at the target.
        why = "a mirror must know what is there now; delete= goes without listing="
    elif isinstance(listing, Iterator):
        # The second time it would be empty, as if there were no files.
        why = "listing= is gone through more than once; give a list, or an Inventory"
    if why:
        raise StorageValueError(f"{label}: {why}", node=label)
