"""Medians of contestants that take turns in one run, and their ratios to the first.

These machines are noisy: only ratios within one run mean anything, and each contestant runs in
every round, in an order that rotates, so that a slow minute hurts all of them.

A ``Contestant`` is a child process, so that nobody's threads and memory are another's; ``obey`` is
the other end of it.
"""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

__all__ = ["MIB", "Contestant", "compare", "machine", "obey"]

MIB = 1024 * 1024
#: What a child says instead of its memory.
_FAILED = "failed"


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


class Contestant:
    """A child process that does what it is told, and says how much memory it has taken.

    ``command`` ends in a call of ``obey``; its first step, ``hello``, is done by now.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.peak = 0.0  #: MiB, from its beginning
        self.do("hello")

    def do(self, step: str, **arguments: Any) -> None:
        """One step of its worker; raises where it fails."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([step, arguments]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line.strip().removeprefix(_FAILED):
            raise RuntimeError(f"{self.name} has failed in {step}; why stands above")
        self.peak = float(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def obey(worker: object, *, whose: int = resource.RUSAGE_SELF) -> None:
    """The body of a child: steps from the standard input, peaks of memory to the output.

    ``whose`` memory: that of the process, or of the largest one that it has started and awaited.
    """
    # KiB on Linux, bytes on macOS.
    unit = MIB if sys.platform == "darwin" else 1024
    for line in sys.stdin:
        step, arguments = json.loads(line)
        try:
            getattr(worker, step)(**arguments)
        except Exception:  # noqa: BLE001 - whoever has asked raises
            traceback.print_exc()
            print(_FAILED, flush=True)
            continue
        print(resource.getrusage(whose).ru_maxrss / unit, flush=True)
