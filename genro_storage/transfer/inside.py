"""A directory does not go into itself, and why it would where an archive hides that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import StorageNotFoundError, StorageValueError
from ..paths import join

if TYPE_CHECKING:
    from typing import Literal

    from .filters import Filters
    from .place import Place

__all__ = ["refuse_into_itself"]


def refuse_into_itself(
    source: Place,
    target: Place,
    verb: Literal["copy", "move"] = "copy",
    filters: Filters | None = None,
) -> None:
    """``StorageValueError`` where the target lies inside the source.

    With ``filters`` whose patterns leave out the archive that the target is in, it does not:
    nothing that is written there is read.
    """
    if not source.mount.contains(source.path, target.mount, target.path):
        return
    why = ""
    archive = _archive_inside(source, target)
    if archive is not None:
        label, relpath = archive
        directly = _may_be_file(source, relpath)
        if directly and filters is not None and filters.leaves_out(relpath):
            return
        advice = f"leave out {relpath!r}, or " if directly and filters is not None else ""
        why = (
            f", because the archive of {target.mount.label('')} is {label!r}; {advice}keep the "
            "archive elsewhere"
        )
    raise StorageValueError(
        f"cannot {verb} {source} into itself: {target} is inside it{why}", node=str(target)
    )


def _archive_inside(source: Place, target: Place) -> tuple[str, str] | None:
    """The archive that the target is in and its path below the source, where it lies there."""
    holder = target.mount.holder
    here = source.address()
    there = None if holder is None else holder.address()
    if holder is None or here is None or there is None or here[0] != there[0]:
        return None
    start = here[1].rstrip("/") + "/" if here[1] else ""
    if not there[1].startswith(start):
        return None  # both are in the archive
    return holder.label, there[1][len(start) :]


def _may_be_file(source: Place, relpath: str) -> bool:
    """Whether that is a file of the source, or could become one; no for an archive in another."""
    parts = relpath.split("/")
    for end in range(1, len(parts) + 1):
        try:
            found = source.mount.stat(join(source.path, "/".join(parts[:end]))).type
        except StorageNotFoundError:
            return True
        if found == "file":
            return end == len(parts)
    return False
