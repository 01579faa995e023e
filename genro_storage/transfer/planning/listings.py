"""Listings that do not come from the storage itself, as a plan takes them."""

from __future__ import annotations

import itertools
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...exceptions import StorageValueError
from ...paths import parent_of
from ..place import Place
from .inventory import Inventory

if TYPE_CHECKING:
    from ...info import FileInfo
    from .filters import Filters

__all__ = ["complete", "refuse_listing", "refuse_other_bucket", "within"]

#: Entries that are held in memory; more of them in a file without a name, in such portions.
_IN_MEMORY = 5_000
_PORTION = 500


class _Stored:
    """Entries, and those after them in a file; to be read once."""

    def __init__(self, first: list[FileInfo], rest: Iterator[FileInfo]) -> None:
        self._first = first
        self._file = tempfile.TemporaryFile(prefix="genro-storage-")  # noqa: SIM115 - see `__del__`
        while portion := list(itertools.islice(rest, _PORTION)):
            pickle.dump(portion, self._file, pickle.HIGHEST_PROTOCOL)
        self._file.seek(0)

    def __iter__(self) -> Iterator[FileInfo]:
        yield from self._first
        while self._file.peek(1):
            yield from pickle.load(self._file)  # noqa: S301 - what was written above

    def __del__(self) -> None:
        self._file.close()


def complete(listing: Iterable[FileInfo]) -> Iterable[FileInfo]:
    """All of a listing, which has ended before the first of it is used; to be read once."""
    rest = iter(listing)
    first = list(itertools.islice(rest, _IN_MEMORY))
    return first if len(first) < _IN_MEMORY else _Stored(first, rest)


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
