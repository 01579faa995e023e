"""Which bytes of a content are there: ranges, joined where they touch. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Ranges"]


class Ranges:
    """Bytes from and up to, in order; none of them touch.

    >>> there = Ranges([(0, 4), (8, 10)])
    >>> there.add(4, 6)
    >>> list(there), there.total, there.missing(12)
    ([(0, 6), (8, 10)], 8, [(6, 8), (10, 12)])
    """

    def __init__(self, found: Iterable[tuple[int, int]] = ()) -> None:
        self._found: list[tuple[int, int]] = []
        for start, end in found:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._found)

    @property
    def total(self) -> int:
        """How many bytes these are."""
        return sum(end - start for start, end in self._found)

    def add(self, start: int, end: int) -> None:
        """These are there as well."""
        if start >= end:
            return
        apart: list[tuple[int, int]] = []
        for here in self._found:
            if here[1] < start or here[0] > end:
                apart.append(here)
            else:
                start, end = min(start, here[0]), max(end, here[1])
        self._found = sorted([*apart, (start, end)])

    def within(self, end: int) -> Ranges:
        """Those before ``end``."""
        return Ranges((first, min(last, end)) for first, last in self._found if first < end)

    def missing(self, size: int) -> list[tuple[int, int]]:
        """What is not there, of so many bytes."""
        found: list[tuple[int, int]] = []
        at = 0
        for start, end in self._found:
            if start >= size:
                break
            if at < start:
                found.append((at, start))
            at = end
        if at < size:
            found.append((at, size))
        return found
