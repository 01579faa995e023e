"""What the project has set itself, beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Goals"]


class Goals:
    """Collects them row by row; ``say`` prints them all, each ``reached`` or ``missed``."""

    def __init__(self, ours: str) -> None:
        self.ours = ours
        self._rows: list[tuple[str, str, bool]] = []

    def ratio(
        self,
        title: str,
        medians: Mapping[str, float],
        others: Sequence[str],
        limit: float,
        *,
        allowance: float = 0.0,
    ) -> None:
        """At most ``limit`` times the best of ``others``, and ``allowance`` seconds.

        Nothing where none of them has run.
        """
        there = [name for name in others if name in medians]
        if not there:
            return
        best = min(there, key=medians.__getitem__)
        ours, theirs = medians[self.ours], medians[best]
        extra = f" and {allowance} s" if allowance else ""
        said = f"ours/{best} {ours / theirs:.2f} (≤ {limit:.2f}{extra}"
        self._rows.append((title, said, ours <= limit * theirs + allowance))

    def most(self, title: str, found: float, limit: float) -> None:
        """At most so much of something."""
        self._rows.append((title, f"{found:,.0f} (≤ {limit:,}", found <= limit))

    def least(self, title: str, found: float, limit: float) -> None:
        """At least so much of something."""
        self._rows.append((title, f"{found:,.0f} (≥ {limit:,}", found >= limit))

    def say(self) -> None:
        """Print them."""
        print("\nwhat was to be reached")
        for title, said, reached in self._rows:
            print(f"  {title:<62} {said}: {'reached' if reached else 'missed'})")
