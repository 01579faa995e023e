"""The rules by which a file is left alone that is at the destination already. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Literal

from ...exceptions import StorageValueError
from ...strategy import SkipStrategy
from .actions import CompareFile, Conflict, CopyFile, SkipFile

if TYPE_CHECKING:
    from ...info import Checksum, FileInfo

__all__ = [
    "MISSING",
    "UNCOMPARED",
    "UNCOPYABLE",
    "UNDECIDED",
    "Decide",
    "Same",
    "SameTime",
    "SkipFunction",
    "Undecided",
    "are_times_equal",
    "decide_by",
]


class Undecided(Enum):
    """The one value that says: what the listings tell is not enough."""

    UNDECIDED = "undecided"


UNDECIDED = Undecided.UNDECIDED

Decide = Callable[[str, "FileInfo", "FileInfo"], CopyFile | SkipFile | Conflict | CompareFile]
#: The checksum that both have; None where they differ.
Same = Callable[["FileInfo", "FileInfo"], "Checksum | Literal[Undecided.UNDECIDED] | None"]
#: Whether both are of one time; None where one of them is of no known time.
SameTime = Callable[["FileInfo", "FileInfo"], "bool | Literal[Undecided.UNDECIDED] | None"]
SkipFunction = Callable[["FileInfo", "FileInfo"], object]

MISSING = "destination missing"
UNCOMPARED = "skip is 'never'"
UNCOPYABLE = {
    "link": "symbolic link that leads nowhere or out of the mount",
    "other": "not a regular file",
}


def decide_by(
    strategy: SkipStrategy,
    *,
    same: Same | None = None,
    same_time: SameTime | None = None,
    skip_fn: SkipFunction | None = None,
) -> Decide:
    """The rule for a file that is at the destination already.

    ``same(source, target)`` returns the checksum that both have, or None where they differ
    (needed by ``hash``); ``same_time(source, target)`` says whether both were modified at one time
    (needed by ``mtime``); where either answers ``UNDECIDED``, so does the rule, by ``CompareFile``.
    ``skip_fn(source, target)`` is the user's (needed by ``custom``). What they raise passes
    through: a comparison that fails is no reason to overwrite.
    """
    if strategy is SkipStrategy.NEVER:
        return lambda relpath, source, target: CopyFile(relpath, source, target, UNCOMPARED)
    if strategy is SkipStrategy.EXISTS:
        return lambda relpath, source, target: SkipFile(
            relpath, source, target, "destination exists"
        )
    if strategy is SkipStrategy.SIZE:
        compare: Decide = _by_size
    elif strategy is SkipStrategy.MTIME:
        if same_time is None:
            raise StorageValueError("skip='mtime' requires something that compares times")
        compare = _by_time(same_time)
    elif strategy is SkipStrategy.HASH:
        if same is None:
            raise StorageValueError("skip='hash' requires something that compares content")
        compare = _by_content(same)
    else:
        if skip_fn is None:
            raise StorageValueError("skip='custom' requires skip_fn")
        compare = _by_function(skip_fn)

    def decide(
        relpath: str, source: FileInfo, target: FileInfo
    ) -> CopyFile | SkipFile | Conflict | CompareFile:
        if target.type != "file":
            why = UNCOPYABLE.get(target.type, target.type)
            return Conflict(relpath, f"the destination cannot be compared: {why}", "incomparable")
        return compare(relpath, source, target)

    return decide


def _by_size(relpath: str, source: FileInfo, target: FileInfo) -> CopyFile | SkipFile | Conflict:
    if source.size is None or target.size is None:
        side = "source" if source.size is None else "destination"
        message = f"the {side} does not say its size; compare with skip='hash'"
        return Conflict(relpath, message, "incomparable")
    if source.size == target.size:
        return SkipFile(relpath, source, target, f"same size ({source.size} bytes)")
    return CopyFile(relpath, source, target, "size differs")


def _by_time(same_time: SameTime) -> Decide:
    def compare(
        relpath: str, source: FileInfo, target: FileInfo
    ) -> CopyFile | SkipFile | Conflict | CompareFile:
        found = _by_size(relpath, source, target)
        if not isinstance(found, SkipFile):
            return found
        same = same_time(source, target)
        if same is UNDECIDED:
            return CompareFile(relpath, source, target)
        if same is None:
            message = "one side does not say when it was modified; compare with skip='hash'"
            return Conflict(relpath, message, "incomparable")
        if same:
            return SkipFile(relpath, source, target, f"same size and time ({source.size} bytes)")
        return CopyFile(relpath, source, target, "time differs")

    return compare


def are_times_equal(source: float, target: float) -> bool:
    """Whether two times of modification, in seconds (UTC), are one as far as both can say it.

    Many storages keep whole seconds only, and floats lose what is below a microsecond.

    >>> are_times_equal(1.75, 1.75), are_times_equal(1.75, 1.0), are_times_equal(1.75, 1.5)
    (True, True, False)
    """
    # Whole numbers may come as int, whatever the annotation says.
    if source % 1 == 0 or target % 1 == 0:
        return abs(source - target) < 1.0
    return abs(source - target) < 2e-6


def _by_content(same: Same) -> Decide:
    def compare(
        relpath: str, source: FileInfo, target: FileInfo
    ) -> CopyFile | SkipFile | CompareFile:
        found = same(source, target)
        if found is UNDECIDED:
            return CompareFile(relpath, source, target)
        if found is None:
            return CopyFile(relpath, source, target, "content differs")
        reason = f"same content ({found.algorithm.upper()}: {found.hexdigest[:8]}...)"
        return SkipFile(relpath, source, target, reason)

    return compare


def _by_function(skip_fn: SkipFunction) -> Decide:
    def compare(relpath: str, source: FileInfo, target: FileInfo) -> CopyFile | SkipFile:
        if skip_fn(source, target):
            return SkipFile(relpath, source, target, "custom function returned True")
        return CopyFile(relpath, source, target, "custom function returned False")

    return compare
