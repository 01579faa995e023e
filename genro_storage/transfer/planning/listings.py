"""Listings that do not come from the storage itself, as a plan takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...exceptions import StorageValueError
from ...paths import parent_of
from ..place import Place
from .inventory import Inventory

if TYPE_CHECKING:
    from ...info import FileInfo
    from .filters import Filters

__all__ = ["refuse_listing", "refuse_other_bucket", "within"]


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


def refuse_other_bucket(source: Place, listing: Iterable[FileInfo] | None) -> None:
    """``StorageValueError`` where an inventory is of another bucket, or begins elsewhere in it.

    Only S3 tells where a mount is; what another source's listing is of, its caller knows.
    """
    if not isinstance(listing, Inventory):
        return
    address = Place(source.mount, "").address()
    if address is None or not isinstance(address[0], tuple) or address[0][0] != "s3":
        return
    bucket, prefix = address[0][-1], address[1].strip("/")
    why = ""
    if bucket != listing.bucket:
        why = f"is in the bucket {bucket!r}, and listing= is the inventory of {listing.bucket!r}"
    elif prefix != listing.prefix:
        why = (
            f"its mount begins at {prefix!r}, and the paths of listing= at {listing.prefix!r}: make "
            f"it with Inventory(…, prefix={prefix!r})"
        )
    if why:
        raise StorageValueError(f"{source}: {why}", node=str(source))


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
