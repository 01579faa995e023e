"""A directory does not go into itself, and why it would where an archive hides that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...exceptions import StorageNotFoundError, StorageValueError
from ...paths import join

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from ...info import FileInfo
    from ...mount import Mount
    from ..place import Place
    from .actions import Action
    from .filters import Filters

__all__ = ["leads_around", "outermost_first", "refuse_into_itself"]


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


def leads_around(
    source: Mount, target: Place, filters: Filters
) -> Callable[[FileInfo, str], str | None]:
    """What to say of a link to a directory that is the target's or holds it; None of another one.

    What is copied from there would turn up in what is still being listed, without end. Nothing is
    said (``""``) of what the filters leave out.
    """

    def said(info: FileInfo, relpath: str) -> str | None:
        mount, path = target.mount, target.path
        if not (
            source.same_place(info.path, mount, path) or source.contains(info.path, mount, path)
        ):
            return None
        if filters and not filters.may_hold(relpath):
            return ""
        below = f"{relpath}/*"
        return (
            f"the link {source.label(info.path)} leads to a directory that this is in, which cannot "
            f"be copied into itself; leave out {below!r}"
        )

    return said


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


def outermost_first(
    actions: list[Action], listing: list[FileInfo], source: Place, target: Place
) -> list[Action]:
    """Order the copy of a directory onto one above it so that no file is replaced unread.

    With the source at ``target/p``, copying ``p/x`` writes over the source of ``x``: so what
    stands outside ``p`` goes first, then what is once inside, then twice.
    """
    start = len(source.path) + 1 if source.path else 0
    for info in listing:
        inner = info.path[start:]
        if info.type == "directory" and target.mount.same_place(
            join(target.path, inner), source.mount, source.path
        ):
            break
    else:
        return actions

    def depth(action: Action) -> int:
        rest, count = action.relpath, 0
        while rest.startswith(inner + "/"):
            rest, count = rest[len(inner) + 1 :], count + 1
        return count

    return sorted(actions, key=depth)
