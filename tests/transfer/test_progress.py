"""What the reporters draw, at several widths, by the real rich and tqdm."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest

from genro_storage.exceptions import StorageMissingExtraError
from genro_storage.transfer.events import (
    BytesMoved,
    Event,
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    Started,
)
from genro_storage.transfer.report import TransferReport
from genro_storage.transfer.reporting.meter import Meter
from genro_storage.transfer.reporting.progress import RichProgress, TqdmProgress

MIB = 1024 * 1024
LONG = "a/very/long/directory/name/日本語/" + "x" * 30 + ".bin"


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def begin() -> list[Event]:
    return [
        Started(1200, 3072 * MIB),
        FileSkipped("old", 50 * MIB, "same size"),
        FileStarted(LONG, 200 * MIB),
        FileStarted("evil\x1b[2J\n[red]x", None),
        *(FileStarted(f"more{number}", 10) for number in range(3)),
    ]


MOVED: list[Event] = [BytesMoved(LONG, 80 * MIB), BytesMoved("evil\x1b[2J\n[red]x", 2 * MIB)]
END: list[Event] = [FileDone(LONG, 200 * MIB), FileFailed("more0", OSError("no"))]


class Screen:
    """What a person sees of a rich progress in a terminal of some width, line by line."""

    def __init__(self, width: int, **options: Any) -> None:
        from rich.console import Console

        self.console = Console(width=width, height=30, file=io.StringIO(), force_terminal=True)
        self.clock = Clock()
        self.bar = RichProgress("photos [red]", console=self.console, names=3, **options)
        self.bar._meter = Meter(clock=self.clock)
        self.bar._screen._meter = self.bar._meter

    def lines(self, *events: Event) -> list[str]:
        for event in events:
            self.bar(event)
        with self.console.capture() as capture:
            self.console.print(self.bar._screen)
        return [
            line.rstrip()
            for line in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", capture.get()).split("\n")
        ][:-1]


rich = pytest.importorskip("rich")


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (
            40,
            [
                r"photos \[red\]  [━╺╸]+    4%",
                r"1/1200 files  132 MiB/3.0 GiB  41 MiB/s",
                r"  …x+\.bin  40% of 200 MiB",
                r"  evil\\x1b\[2J\\n\[red\]x  2\.0 MiB",
                r"  more0  0% of 10 B",
                r"  and 2 more",
            ],
        ),
        (
            80,
            [
                r"photos \[red\]  [━╺╸]{40}    4%",
                r"1/1200 files  132 MiB/3\.0 GiB  41 MiB/s  1:12 left",
                r"  …long/directory/name/日本語/x{30}\.bin  40% of 200 MiB",
                r"  evil\\x1b\[2J\\n\[red\]x  2\.0 MiB",
                r"  more0  0% of 10 B",
                r"  and 2 more",
            ],
        ),
        (
            200,
            [
                r"photos \[red\]  [━╺╸]{40}  1/1200 files  132 MiB/3\.0 GiB  41 MiB/s  1:12 left",
                rf"  {LONG}  40% of 200 MiB",
                r"  evil\\x1b\[2J\\n\[red\]x  2\.0 MiB",
                r"  more0  0% of 10 B",
                r"  and 2 more",
            ],
        ),
    ],
)
def test_rich_shows_files_bytes_speed_time_and_names_in_the_room_there_is(width, expected):
    from rich.cells import cell_len

    screen = Screen(width)
    screen.lines(*begin())
    screen.clock.now = 2.0
    lines = screen.lines(*MOVED)
    assert len(lines) == len(expected), lines
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line
        assert cell_len(line) <= width


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 33, 79, 80, 99, 100, 101])
def test_rich_draws_no_line_that_is_wider_than_the_terminal(width):
    from rich.cells import cell_len

    screen = Screen(width)
    for events in ([], begin(), MOVED, END, [Finished(TransferReport())]):
        screen.clock.now += 1
        assert all(cell_len(line) <= width for line in screen.lines(*events))


def test_rich_shows_at_the_end_how_long_it_took_and_what_has_failed():
    screen = Screen(120)
    screen.lines(*begin())
    screen.clock.now = 3725.0
    (line,) = screen.lines(*END, Finished(TransferReport()))
    assert line.endswith("3/1200 files  1 failed  250 MiB/3.0 GiB  55 KiB/s  1:02:05")


def test_rich_shows_what_is_done_where_nobody_knows_how_much_it_is():
    screen = Screen(120)
    screen.lines(Started(), FileDone("a", 5 * MIB))
    screen.clock.now = 5.0
    (line,) = screen.lines()
    assert line.endswith("1 files  5.0 MiB  1.0 MiB/s")


def test_rich_does_not_name_a_single_file_twice():
    lines = Screen(80).lines(Started(1, 10), FileStarted("", 10), BytesMoved("", 5))
    assert [line.split("  ")[0] for line in lines] == ["photos [red]", "0/1 files"]


@pytest.mark.parametrize("terminal", [True, False])
def test_rich_leaves_the_last_state_behind_unless_it_is_transient(terminal):
    from rich.console import Console

    for transient in (False, True):
        console = Console(width=80, file=io.StringIO(), force_terminal=terminal, record=True)
        with RichProgress("photos", console=console, transient=transient) as progress:
            for event in (Started(1, MIB), FileStarted("name", MIB), FileDone("name", MIB)):
                progress(event)
        last = console.export_text().rpartition("photos")[2]
        assert "1/1 files  1.0 MiB/1.0 MiB" in last or (transient and not terminal), last
        assert "name" not in last


def tqdm_lines(options: dict[str, Any], *told: Event | tuple[int, int]) -> list[str]:
    stream = io.StringIO()
    with TqdmProgress("photos\n", file=stream, ascii=True, mininterval=0, **options) as progress:
        for each in told:
            progress(*each) if isinstance(each, tuple) else progress(each)
    return [line.strip() for line in stream.getvalue().split("\r") if line.strip()]


@pytest.fixture
def tqdm():
    return pytest.importorskip("tqdm")


@pytest.mark.parametrize(("width", "bar"), [(40, 0), (80, 1), (200, 30)])
def test_tqdm_shows_bytes_and_files_in_the_room_there_is(tqdm, width, bar):
    lines = tqdm_lines({"ncols": width}, *begin(), *MOVED, *END, Finished(TransferReport()))
    assert all(len(line) <= width for line in lines)
    assert re.match(rf"photos\\n:   8%\|[# \d]{{{bar},}}\| 252M/3\.00G \[00:00", lines[-1])
    assert width < 200 or "3/1200 files, 1 failed]" in lines[-1]


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ([Started(4, None), FileDone("a", 5)], r"photos\\n:  25%\|#+\d? *\| 1/4 \["),
        ([(1, 4), (2, 4)], r"photos\\n:  50%\|#+\d? *\| 2/4 \["),
        ([(0, 0)], r"photos\\n:.*0/"),
        ([Started(), FileDone("a", 5)], r"photos\\n: \|.*\| 1/\? \["),
        ([Started(1, 10), FileDone("a", 20)], r"photos\\n: 100%\|#+\| 10\.0/10\.0 \["),
    ],
)
def test_tqdm_counts_files_where_no_bytes_are_known(tqdm, told, last):
    assert re.match(last, tqdm_lines({"ncols": 80}, *told)[-1])


def test_tqdm_draws_nothing_where_nothing_was_told(tqdm):
    assert tqdm_lines({}) == []


def test_without_tqdm_the_fix_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(StorageMissingExtraError, match=r'pip install "genro-storage\[progress\]"'):
        TqdmProgress()
