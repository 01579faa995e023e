"""How a copy under way looks on a terminal: the drawing of ``RichProgress``. Needs ``rich``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...paths import printable
from ...sizes import size_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from .meter import Meter, Moving

__all__ = ["RichScreen"]

_LEAST_BAR = 10
_MOST_BAR = 40
_ROOMY = 100
_BETWEEN = "  "


class RichScreen:
    """A line with a bar, the numbers (below it where there is no room beside), and names.

    rich draws in a thread of its own: ``lock`` is held there, and is to be held where the meter
    is changed.
    """

    def __init__(
        self, description: str, *, console: Console | None, names: int, transient: bool
    ) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._description = description
        self._names = names
        self._meter: Meter | None = None
        self._live = Live(
            self, console=console, refresh_per_second=10, transient=transient, auto_refresh=True
        )

    def start(self, meter: Meter) -> None:
        """Begin to draw what the meter says."""
        self._meter = meter
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Draw the end of it."""
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All lines, for the width that there is now."""
        meter = self._meter
        if meter is None:
            return
        with self.lock:
            lines = self._lines(meter, options.max_width)
        yield from lines

    def _lines(self, meter: Meter, width: int) -> list[RenderableType]:
        numbers = _numbers(meter)
        lines: list[RenderableType] = []
        title = _fitting(self._description, max(width // 3, 8))
        beside = _BETWEEN.join(numbers)
        room = width - cell_len(title) - cell_len(beside) - 2 * len(_BETWEEN)
        # Numbers grow and shrink: that must not throw them from one line to the other.
        roomy = width >= _ROOMY or not (meter.bytes_total or meter.bytes_done)
        if roomy and room >= _LEAST_BAR:
            lines.append(_line(title, _bar(meter, room), beside))
        else:
            share = meter.fraction()
            percent = "" if share is None else f"{share:4.0%}"
            room = width - cell_len(title) - cell_len(percent) - 2 * len(_BETWEEN)
            while len(numbers) > 1 and cell_len(_BETWEEN.join(numbers)) > width:
                numbers.pop()
            lines.append(_line(title, _bar(meter, room), percent))
            lines.append(Text(_fitting(_BETWEEN.join(numbers), width), no_wrap=True))
        # A single file is named above; there is nothing below it to name.
        running = [each for each in meter.running.items() if each[0]]
        lines += [_running(*each, width=width) for each in running[: self._names]]
        if len(running) > self._names > 0:
            more = f"  and {len(running) - self._names} more"
            lines.append(Text(_fitting(more, width), style="dim", no_wrap=True))
        return lines


def _numbers(meter: Meter) -> list[str]:
    """What is said beside the bar; what can be spared first stands last."""
    total = "" if meter.files_total is None else f"/{meter.files_total}"
    found = [f"{meter.files_done}{total} files"]
    if meter.bytes_total or meter.bytes_done:
        total = "" if meter.bytes_total is None else f"/{size_text(meter.bytes_total)}"
        found.append(f"{size_text(meter.bytes_done)}{total}")
    if meter.failed:
        found.insert(1, f"{meter.failed} failed")
    rate, left = meter.rate(), meter.seconds_left()
    if rate is not None:
        found.append(f"{size_text(rate)}/s")
    if meter.finished:
        found.append(_clock(meter.elapsed()))
    elif left is not None:
        found.append(f"{_clock(left)} left")
    return found


def _line(title: str, bar: ProgressBar, numbers: str) -> Table:
    line = Table.grid(padding=0)
    for _ in range(3):
        line.add_column(no_wrap=True)
    line.add_row(Text(title + _BETWEEN), bar, Text(_BETWEEN + numbers))
    return line


def _bar(meter: Meter, room: int) -> ProgressBar:
    share = meter.fraction()
    if share is None and meter.finished:
        share = 1.0
    return ProgressBar(
        total=None if share is None else 1.0,
        completed=share or 0.0,
        width=max(min(room, _MOST_BAR), 1),
        pulse=share is None,
    )


def _running(relpath: str, file: Moving, *, width: int) -> Text:
    moved = size_text(file.settled)
    if file.size:
        moved = f"{file.settled / file.size:.0%} of {size_text(file.size)}"
    indent, end = "  ", _BETWEEN + moved
    room = width - cell_len(indent) - cell_len(end)
    name = _fitting(printable(relpath), max(room, 1), keep_end=True)
    return Text(_fitting(indent + name + end, width), style="dim", no_wrap=True)


def _fitting(text: str, width: int, *, keep_end: bool = False) -> str:
    """The text where it fits in so many cells, else the beginning or the end of it."""
    if cell_len(text) <= width:
        return text
    kept: list[str] = []
    room = width - 1
    for character in reversed(text) if keep_end else text:
        room -= cell_len(character)
        if room < 0:
            break
        kept.append(character)
    return "…" + "".join(reversed(kept)) if keep_end else "".join(kept) + "…"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
