"""Medians of contestants that take turns in one run, and their ratios to the first.

These machines are noisy: only ratios within one run mean anything, and each contestant runs in
every round, in an order that rotates, so that a slow minute hurts all of them.
"""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compare", "machine"]


def machine() -> str:
    """What the figures were taken on."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.release()}"


def compare(
    title: str,
    contestants: dict[str, Callable[[], object]],
    *,
    rounds: int = 5,
    before: Callable[[], object] | None = None,
    warm: bool = True,
) -> dict[str, float]:
    """Run every contestant ``rounds`` times after one warm-up and print medians and ratios.

    Without ``warm`` there is no warm-up: where each run has nothing left of the one before.

    ``before`` prepares each single run and is not timed. Returns the medians in seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(0 if warm else 1, rounds + 1):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            if before is not None:
                before()
            started = time.perf_counter()
            contestants[name]()
            took = time.perf_counter() - started
            if turn:  # the first round warms caches
                seconds[name].append(took)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    reference = names[0]
    print(f"\n{title}  (median of {rounds}, ratio to {reference})")
    for name, median in medians.items():
        low, high = min(seconds[name]), max(seconds[name])
        print(
            f"  {name:<34} {median * 1000:9.1f} ms   {median / medians[reference]:6.2f} x"
            f"   ({low * 1000:.1f} to {high * 1000:.1f})"
        )
    return medians
