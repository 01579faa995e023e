"""Which files of a tree take part in a copy. Pure: no I/O."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..exceptions import StorageValueError

if TYPE_CHECKING:
    from ..info import FileInfo

__all__ = ["Filters", "Patterns", "Predicate"]

Patterns = str | Sequence[str] | None
Predicate = Callable[["FileInfo", str], object]


class Filters:
    """Include patterns, then exclude patterns, then a function; directories always pass.

    Patterns are those of ``fnmatch`` on the whole path relative to the source, case-sensitive,
    and ``*`` also matches ``/``. None, ``""`` and an empty list mean "no filter".

    >>> from genro_storage.info import FileInfo
    >>> filters = Filters(include="*.py", exclude=["__pycache__/*"])
    >>> filters.reason(FileInfo("d/x.py", "file"), "d/x.py")
    >>> filters.reason(FileInfo("a.txt", "file"), "a.txt")
    'not matching include patterns'
    """

    __slots__ = ("_exclude", "_include", "_prefixes", "_swallows", "predicate")

    def __init__(
        self,
        include: Patterns = None,
        exclude: Patterns = None,
        predicate: Predicate | None = None,
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
        self.predicate: Predicate | None = predicate
        # What is said of whole directories: where an include pattern can begin to match, and
        # which exclude patterns, ending in "*", take in everything below what they match.
        self._prefixes = [re.split(r"[*?\[]", pattern, maxsplit=1)[0] for pattern in wanted]
        self._swallows = [match for match, pattern in self._exclude if pattern.endswith("*")]

    def __bool__(self) -> bool:
        """Whether anything can be filtered out at all."""
        return bool(self._include or self._exclude or self.predicate is not None)

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
        return not any(match(below) for match in self._swallows)

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
        return None


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
