"""What is told while a copy runs, and what is made of it: counts, speed, the time that is left."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
from typing import Any, ClassVar, get_args

import pytest

from genro_storage.transfer.events import (
    BytesMoved,
    Event,
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    Retried,
    Started,
)
from genro_storage.transfer.report import TransferReport
from genro_storage.transfer.reporting.meter import Meter
from genro_storage.transfer.reporting.progress import JsonLines

EXAMPLES: dict[Event, dict[str, Any]] = {
    Started(): {"event": "started", "files": None, "bytes": None},
    Started(3, 40): {"event": "started", "files": 3, "bytes": 40},
    FileStarted("a", None): {"event": "file_started", "relpath": "a", "size": None},
    BytesMoved("a", 7): {"event": "bytes_moved", "relpath": "a", "count": 7},
    FileDone("a", 7): {"event": "file_done", "relpath": "a", "size": 7},
    FileSkipped("a", 7, "same size (7 bytes)"): {
        "event": "file_skipped",
        "relpath": "a",
        "size": 7,
        "reason": "same size (7 bytes)",
    },
    FileFailed("a", OSError("no room")): {
        "event": "file_failed",
        "relpath": "a",
        "error": "no room",
        "error_type": "OSError",
    },
    Retried("a", TimeoutError("no answer")): {
        "event": "retried",
        "relpath": "a",
        "error": "no answer",
        "error_type": "TimeoutError",
    },
}


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_events_are_values_that_machines_read(event):
    assert event.to_dict() == EXAMPLES[event]
    assert json.loads(json.dumps(event.to_dict())) == EXAMPLES[event]
    assert not hasattr(event, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[0].name, "b")
    assert type(pickle.loads(pickle.dumps(event))) is type(event)


def test_every_event_has_an_example_and_a_name_of_its_own():
    kinds = set(get_args(Event))
    assert {type(event) for event in EXAMPLES} | {Finished} == kinds
    assert len({kind.event for kind in kinds}) == len(kinds)


def test_the_end_holds_the_report():
    report = TransferReport(copied=2, skip_reasons={"same size": 1})
    assert Finished(report).to_dict() == {"event": "finished", "report": report.to_dict()}


def test_json_lines_are_written_at_once_one_for_each_event():
    class Stream(io.StringIO):
        seen: ClassVar[list[str]] = []

        def flush(self) -> None:
            self.seen.append(self.getvalue())

    stream = Stream()
    with JsonLines(stream) as report:
        for event in EXAMPLES:
            report(event)
            assert stream.seen[-1].endswith("}\n")
        report(FileDone("line\nend \udcff é", 1))
    lines = stream.getvalue().splitlines()
    assert [json.loads(line) for line in lines[:-1]] == list(EXAMPLES.values())
    assert lines[-1].isascii()
    assert json.loads(lines[-1])["relpath"] == "line\nend \udcff é"


# -- the meter -------------------------------------------------------------------------------------------


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(clock):
    return Meter(clock=clock)


def hear(meter: Meter, *events: Event) -> None:
    for event in events:
        meter(event)


@pytest.mark.parametrize(
    ("events", "done", "moved"),
    [
        ([FileStarted("a", 10), BytesMoved("a", 4)], 4, 4),
        ([FileStarted("a", 10), BytesMoved("a", 4), FileDone("a", 10)], 10, 10),
        # sent again: it has gone, and the file is no longer for that
        ([FileStarted("a", 10), BytesMoved("a", 8), BytesMoved("a", 8)], 10, 16),
        ([FileStarted("a", 10), *[BytesMoved("a", 8)] * 2, FileDone("a", 10)], 10, 16),
        # of unknown size, and shorter or longer than listed
        ([FileStarted("a", None), BytesMoved("a", 8), FileDone("a", 8)], 8, 8),
        ([FileStarted("a", 10), BytesMoved("a", 3), FileDone("a", 3)], 3, 3),
        ([FileStarted("a", 2), BytesMoved("a", 3), FileDone("a", 3)], 3, 3),
        # told in one event, out of nothing
        ([FileDone("a", 10)], 10, 10),
        ([BytesMoved("a", 4), FileDone("a", 10)], 10, 10),
        ([FileSkipped("a", 10, "same"), FileSkipped("b", None, "link")], 10, 0),
        ([FileStarted("a", 10), BytesMoved("a", 4), FileFailed("a", OSError())], 10, 4),
        ([FileFailed("a", OSError())], 0, 0),
    ],
)
def test_what_is_settled_is_counted_once_and_what_has_gone_as_often_as_it_went(
    meter, events, done, moved
):
    hear(meter, *events)
    assert (meter.bytes_done, meter.bytes_moved) == (done, moved)


def test_files_are_counted_by_what_became_of_them(meter):
    hear(
        meter,
        Started(4, 40),
        *(FileStarted(name, 10) for name in "abc"),
        *(FileDone("a", 10), FileFailed("b", OSError()), FileSkipped("d", 10, "same")),
        Retried("c", TimeoutError()),
    )
    assert (meter.files_done, meter.skipped, meter.failed, meter.retried) == (3, 1, 1, 1)
    assert (list(meter.running), meter.fraction()) == (["c"], 0.75)
    meter(Finished(TransferReport()))
    assert (meter.running, meter.finished) == ({}, True)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], None),
        ([Started(None, None), FileDone("a", 10)], None),
        ([Started(4, None), FileDone("a", 10)], 0.25),
        ([Started(4, 100), FileDone("a", 10)], 0.1),
        ([Started(4, 0), FileDone("a", 0)], 0.25),
        ([Started(1, 100), FileDone("a", 200)], 1.0),
        ([Started(0, 0)], 0.0),
        ([Started(0, 0), Finished(TransferReport())], 1.0),
        ([Started(), Started(2, 20), FileDone("a", 10)], 0.5),
    ],
)
def test_progress_is_by_bytes_where_their_sum_is_known_else_by_files(meter, events, expected):
    hear(meter, *events)
    assert meter.fraction() == expected


def test_speed_and_time_left_are_those_of_what_moves_and_not_of_what_is_skipped(meter, clock):
    hear(meter, Started(101, 10_000), FileSkipped("old", 5_000, "same"))
    assert (meter.rate(), meter.seconds_left()) == (None, None)
    clock.now += 2
    hear(meter, FileStarted("new", 5_000), BytesMoved("new", 1_000))
    assert (meter.rate(), meter.seconds_left()) == (500.0, 8.0)
    clock.now += 8
    hear(meter, BytesMoved("new", 4_000), FileDone("new", 5_000))
    assert meter.seconds_left() == 0.0


def test_speed_is_that_of_the_last_seconds_and_at_the_end_of_all(meter, clock):
    meter(Started(1, 100_000))
    for speed in [100] * 60 + [500] * 30:
        clock.now += 1
        meter(BytesMoved("a", speed))
    assert meter.rate() == 500.0
    assert len(meter._samples) < 100
    clock.now += 10
    meter(Finished(TransferReport()))
    clock.now += 1000
    assert (meter.rate(), meter.elapsed(), meter.seconds_left()) == (210.0, 100.0, None)


def test_where_no_bytes_are_known_the_time_left_is_by_files(meter, clock):
    meter(Started(10, None))
    clock.now += 4
    hear(meter, FileDone("a", 10), FileDone("b", 10_000))
    assert meter.seconds_left() == 16.0
    meter.count_files(8, 10)
    assert meter.seconds_left() == 1.0
