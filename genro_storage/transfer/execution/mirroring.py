"""Removing what only the target of a mirror has: at the very end, and looked at once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...exceptions import (
    StorageError,
    StorageNotDirectoryError,
    StorageNotEmptyError,
    StorageNotFoundError,
    StorageValueError,
)
from ...paths import join
from ..planning.actions import DeleteDirectory, DeleteFile, SkipFile
from ..planning.plan import plan_tree
from ..planning.rules import UNCOPYABLE

if TYPE_CHECKING:
    from ...info import FileInfo
    from ..copying import CopyPlan
    from ..place import Place
    from ..report import Tally

__all__ = ["refusal_to_remove", "refuse_mirror_of_itself", "remove_extras"]

#: How many files are removed before it is counted how many have gone.
_AT_ONCE = 1000


def refuse_mirror_of_itself(source: Place, target: Place) -> None:
    """``StorageValueError`` where a mirror could remove its own source.

    That is so where the source lies inside the target, and also where nobody can tell: one bucket
    that is reached by two keys, or by two names of its server.
    """
    if target.mount.contains(target.path, source.mount, source.path):
        why = f"cannot become a mirror of {source}, which is inside it"
    elif _may_be_one(source, target):
        why = (
            f"may be one place with {source}: both lead to a storage of the same name, by different "
            "keys or names of a server. Use one mount for both: it cannot be told apart otherwise"
        )
    else:
        return
    raise StorageValueError(
        f"{target}: {why}; the mirror would remove its source", node=str(target)
    )


def _may_be_one(source: Place, target: Place) -> bool:
    if source.mount.can_compare_places(source.path, target.mount, target.path):
        return False
    ours, theirs = source.address(), target.address()
    if ours is None or theirs is None:
        return False
    here, there = ours[0], theirs[0]
    if isinstance(here, tuple) and isinstance(there, tuple):
        # What kind of store it is comes first, and last which of those of a server.
        if here[0] != there[0] or here[-1] != there[-1]:
            return False
        return _overlap(ours[1], theirs[1])
    return type(here) is type(there)


def _overlap(one: str, other: str) -> bool:
    first, second = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return one == "" or other == "" or first.startswith(second) or second.startswith(first)


def refusal_to_remove(plan: CopyPlan, files: int, *, is_empty: bool) -> StorageError | None:
    """The error of a mirror that is to remove so many files and may not; None where it may.

    ``is_empty``: the source has no file that takes part.
    """
    label = str(plan.target)
    if plan.max_delete is not None and files > plan.max_delete:
        return StorageError(
            f"{label}: {files} files are not in {plan.source}, and max_delete allows to "
            f"remove {plan.max_delete}; nothing was removed. Look at the plan, and raise it",
            node=label,
        )
    if plan.max_delete is None and is_empty and files:
        return StorageError(
            f"{label}: {plan.source} has no files, so that a mirror of it would remove all "
            f"{files} here; nothing was removed. If that is meant, say max_delete={files}",
            node=label,
        )
    return None


def remove_extras(
    plan: CopyPlan, extras: list[DeleteFile | DeleteDirectory], tally: Tally, *, go_on: bool
) -> None:
    """Remove them, unless the source has something of that name by now, or they have changed.

    With ``go_on`` what cannot be removed is a failure in the report, else it is raised.
    """
    files = [each for each in extras if isinstance(each, DeleteFile)]
    found = tally.copied + sum(
        count for reason, count in tally.reasons.items() if reason not in UNCOPYABLE.values()
    )
    refusal = refusal_to_remove(plan, len(files), is_empty=not found)
    if refusal is not None:
        raise refusal
    still = _still_extra(plan, extras)
    mount, above = plan.target.mount, plan.target.path
    wanted = [join(above, each.relpath) for each in files if each.relpath in still]
    tally.spared += len(files) - len(wanted)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        try:
            mount.remove_many(part)
        except StorageError as error:
            if not go_on:
                raise
            tally.fail("", error)
        else:
            tally.deleted += len(part)
    for each in reversed(extras):
        if isinstance(each, DeleteDirectory) and each.relpath in still:
            try:
                mount.remove(join(above, each.relpath))
            except (StorageNotEmptyError, StorageNotFoundError):
                continue  # what the filters spare is in it; or it ended with its last file
            except StorageError as error:
                if not go_on:
                    raise
                tally.fail(each.relpath, error)
            else:
                tally.deleted += 1


def _still_extra(plan: CopyPlan, extras: list[DeleteFile | DeleteDirectory]) -> set[str]:
    """The relative paths of those of which nothing has changed while the copy ran, which may have taken hours."""
    if plan.given is not None:
        return {each.relpath for each in extras if _is_still_extra(plan, each)}
    listed = plan_tree(
        plan.new_listing(plan.source),
        plan.new_listing(plan.target),
        lambda relpath, ours, theirs: SkipFile(relpath, ours, theirs, ""),
        filters=plan.filters,
        extra_filters=plan.extra_filters,
        source_root=plan.source.path,
        target_root=plan.target.path,
        delete=True,
    )
    again = {
        each.relpath: each for each in listed if isinstance(each, DeleteFile | DeleteDirectory)
    }
    return {
        each.relpath
        for each in extras
        if (now := again.get(each.relpath)) is not None and _is_same(each.target, now.target)
    }


def _is_still_extra(plan: CopyPlan, extra: DeleteFile | DeleteDirectory) -> bool:
    if plan.source.mount.exists(join(plan.source.path, extra.relpath)):
        return False
    try:
        now = plan.target.mount.stat(join(plan.target.path, extra.relpath))
    except (StorageNotFoundError, StorageNotDirectoryError):
        return False
    return _is_same(extra.target, now)


def _is_same(before: FileInfo, now: FileInfo) -> bool:
    if before.type == now.type == "directory":
        return before.symlink == now.symlink
    return (before.type, before.symlink) == (now.type, now.symlink) and all(
        one is None or other is None or one == other
        for one, other in (
            (before.size, now.size),
            (before.mtime, now.mtime),
            (before.etag, now.etag),
        )
    )
