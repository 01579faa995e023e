"""Which files of a tree take part in a copy. Pure: no I/O."""

from __future__ import annotations

import copy
import fnmatch
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ...durations import in_seconds
from ...exceptions import StorageValueError
from ...sizes import in_bytes
from .gitignore import GitIgnore

if TYPE_CHECKING:
    from ...info import FileInfo

__all__ = ["Age", "Filters", "Patterns", "Predicate", "Size"]

Patterns = str | Sequence[str] | None
#: Bytes, or a text such as ``"10M"``.
Size = int | str | None
#: Seconds, or a text such as ``"2d"``.
Age = float | str | timedelta | None
Predicate = Callable[["FileInfo", str], object]

_Rule = Callable[["FileInfo"], str | None]
# Seconds; far beyond what any storage knows, and what a float can hold exactly.
_FARTHEST = 2**53


class Filters:
    """Which files take part: what is asked first is named first, and gives the reason.

    ``include`` and ``exclude`` are patterns of ``fnmatch`` on the whole path relative to the
    source, case-sensitive, and ``*`` also matches ``/``. ``patterns`` are lines of a ``.gitignore``
    (or its text): the last that matches decides, ``!`` takes back, and what is in a directory that
    is left out is left out (needs the extra ``filters``). ``min_size`` and ``max_size`` in bytes
    or as ``"10M"``; ``min_age`` and ``max_age`` in seconds or as ``"2d"``, counted back from
    ``now`` (seconds since the epoch; by default when the filters are made). A file that is just as
    large or old as a bound passes; one whose size or time is not known does not. The ``predicate``
    is asked last. Directories pass, except for ``patterns``. None, ``""`` and an empty list mean
    "no filter".

    >>> from genro_storage.info import FileInfo
    >>> filters = Filters(include="*.py", exclude=["__pycache__/*"], max_size="1K")
    >>> filters.reason(FileInfo("d/x.py", "file", 100), "d/x.py")
    >>> filters.reason(FileInfo("a.txt", "file", 100), "a.txt")
    'not matching include patterns'
    >>> filters.reason(FileInfo("b.py", "file", 5000), "b.py")
    'larger than 1024 bytes'
    """

    __slots__ = ("_exclude", "_git", "_include", "_prefixes", "_swallows", "_values", "predicate")

    def __init__(
        self,
        include: Patterns = None,
        exclude: Patterns = None,
        predicate: Predicate | None = None,
        *,
        patterns: Patterns = None,
        min_size: Size = None,
        max_size: Size = None,
        min_age: Age = None,
        max_age: Age = None,
        now: float | None = None,
    ) -> None:
        wanted = _patterns(include, "include")
        unwanted = _patterns(exclude, "exclude")
        # One alternation answers "does any match"; which one matched is needed only for exclude.
        self._include = (
            re.compile("|".join(map(fnmatch.translate, wanted))).match if wanted else None
        )
        self._exclude = [
            (re.compile(fnmatch.translate(pattern)).match, pattern) for pattern in unwanted
        ]
        self._git = GitIgnore(() if patterns is None else patterns) or None
        self._values: list[_Rule] = [
            *_size_rules(_size(min_size, "min_size"), _size(max_size, "max_size")),
            *_age_rules(_age(min_age, "min_age"), _age(max_age, "max_age"), _now(now)),
        ]
        self.predicate: Predicate | None = predicate
        # What is said of whole directories: where an include pattern can begin to match, and
        # which exclude patterns, ending in "*", take in everything below what they match.
        self._prefixes = [re.split(r"[*?\[]", pattern, maxsplit=1)[0] for pattern in wanted]
        self._swallows = [match for match, pattern in self._exclude if pattern.endswith("*")]

    def __bool__(self) -> bool:
        """Whether anything can be filtered out at all."""
        return bool(
            self._include
            or self._exclude
            or self._git
            or self._values
            or self.predicate is not None
        )

    def with_predicate(self, predicate: Predicate | None) -> Filters:
        """The same with another function."""
        twin = copy.copy(self)
        twin.predicate = predicate
        return twin

    def keeps_directory(self, relpath: str) -> bool:
        """Whether the directory itself takes part, also where no file in it does.

        Only ``patterns`` speak of directories.

        >>> Filters(patterns="build/").keeps_directory("a/build")
        False
        >>> Filters(exclude="build/*").keeps_directory("build")
        True
        """
        return self._git is None or self._git.excluding_directory(relpath) is None

    def may_hold(self, relpath: str) -> bool:
        """Whether some file below this directory could take part, judged by the patterns alone.

        >>> filters = Filters(include="docs/*.md", exclude="*/drafts/*")
        >>> filters.may_hold("docs"), filters.may_hold("src"), filters.may_hold("docs/drafts")
        (True, False, False)
        """
        below = relpath + "/"
        if self._prefixes and not any(
            below.startswith(prefix) or prefix.startswith(below) for prefix in self._prefixes
        ):
            return False
        if any(match(below) for match in self._swallows):
            return False
        return self.keeps_directory(relpath)

    def leaves_out(self, relpath: str) -> bool:
        """Whether the patterns alone leave out the file of that path.

        >>> filters = Filters(exclude="*.zip", predicate=lambda info, relpath: False)
        >>> filters.leaves_out("a.zip"), filters.leaves_out("a.txt")
        (True, False)
        """
        return self._by_patterns(relpath) is not None

    def reason(self, info: FileInfo, relpath: str) -> str | None:
        """Why the file is left out, or None where it takes part.

        A function that raises leaves the file out (``filter error: …``), as it always did.
        """
        why = self._by_patterns(relpath)
        if why is None and self._values:
            why = next((found for rule in self._values if (found := rule(info))), None)
        if why is None and self.predicate is not None:
            try:
                kept = self.predicate(info, relpath)
            except Exception as error:  # noqa: BLE001 - whatever it raises means "leave it out"
                return f"filter error: {error}"
            if not kept:
                return "filtered by custom function"
        return why

    def _by_patterns(self, relpath: str) -> str | None:
        if self._include is not None and not self._include(relpath):
            return "not matching include patterns"
        for match, pattern in self._exclude:
            if match(relpath):
                return f"matching exclude pattern '{pattern}'"
        if self._git is not None and (line := self._git.excluding(relpath)) is not None:
            return f"matching pattern '{line}'"
        return None


@dataclass(frozen=True, slots=True)
class _SizeRule:
    least: int | None
    most: int | None

    def __call__(self, info: FileInfo) -> str | None:
        if info.size is None:
            return "size unknown"
        if self.least is not None and info.size < self.least:
            return f"smaller than {self.least} bytes"
        if self.most is not None and info.size > self.most:
            return f"larger than {self.most} bytes"
        return None


@dataclass(frozen=True, slots=True)
class _AgeRule:
    least: float | None
    most: float | None
    now: float

    def __call__(self, info: FileInfo) -> str | None:
        if info.mtime is None:
            return "age unknown"
        age = self.now - info.mtime
        if self.least is not None and age < self.least:
            return f"younger than {_told(self.least)} seconds"
        if self.most is not None and age > self.most:
            return f"older than {_told(self.most)} seconds"
        return None


def _size_rules(least: int | None, most: int | None) -> list[_Rule]:
    if least is None and most is None:
        return []
    _refuse_crossed(least, most, "size")
    return [_SizeRule(least, most)]


def _age_rules(least: float | None, most: float | None, now: float) -> list[_Rule]:
    if least is None and most is None:
        return []
    _refuse_crossed(least, most, "age")
    return [_AgeRule(least, most, now)]


def _refuse_crossed(least: float | None, most: float | None, what: str) -> None:
    if least is not None and most is not None and least > most:
        raise StorageValueError(
            f"min_{what}= is {_told(least)} and max_{what}= is {_told(most)}: no file can be both"
        )


def _told(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _size(given: Size, argument: str) -> int | None:
    if given is None or given == "":
        return None
    try:
        return in_bytes(given, f"{argument}=")
    except ValueError as error:
        raise StorageValueError(str(error)) from None


def _age(given: Age, argument: str) -> float | None:
    if given is None or given == "":
        return None
    try:
        found = in_seconds(given, f"{argument}=")
    except ValueError as error:
        raise StorageValueError(str(error)) from None
    if not _is_number(found) or found < 0:
        raise StorageValueError(
            f"{argument}= is {given!r}; an age is a number of seconds, or a text such as 1h 30m"
        )
    return float(found)


def _now(given: float | None) -> float:
    if given is None:
        return time.time()
    if not _is_number(given):
        raise StorageValueError(f"now= takes seconds since the epoch, not {given!r}")
    return float(given)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # No comparison fails, however many digits a number has; not-a-number is on neither side.
    return -_FARTHEST <= value <= _FARTHEST


def _patterns(given: Patterns, argument: str) -> list[str]:
    if given is not None and not isinstance(given, str | list | tuple | set | frozenset):
        raise StorageValueError(
            f"{argument}= takes a pattern or a list of patterns as text, not {given!r}"
        )
    patterns = [given] if isinstance(given, str) else list(given or ())
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise StorageValueError(
                f"{argument}= takes a pattern or a list of patterns as text, not {pattern!r}"
            )
    return [pattern for pattern in patterns if pattern]
