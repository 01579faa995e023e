"""How many threads copy: a few where these are busy, all of them where they mostly wait."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

import pytest

from genro_storage.mount import Mount
from genro_storage.transfer import Place, plan_copy
from genro_storage.transfer.execution import crew, load
from genro_storage.transfer.execution.execute import Transfer
from tests.support.trees import Streaming, fill

SIZE = 16


class Far(Streaming):
    """Takes ``pause`` seconds for each file, and knows how many were asked for at once."""

    concurrency: ClassVar[int] = SIZE

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause, self.now, self.most = pause, 0, 0
        self.lock = threading.Lock()

    def load(self, path):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.pause)
        with self.lock:
            self.now -= 1
        return super().load(path)


def copied(pause: float, count: int, **options) -> Far:
    files = {f"f{number:04}": b"x" for number in range(count)}
    far = Far(pause)
    source, target = Mount("src", far), Mount("dst", Streaming())
    fill(source, "", files)
    report = plan_copy(Place(source, ""), Place(target, "out")).apply(**options)
    assert report.copied == count
    return far


def test_a_copy_that_waits_gets_all_threads():
    assert copied(0.02, 400).most > 2 * crew.FEW


def test_it_begins_with_a_few(monkeypatch):
    monkeypatch.setattr(load, "LOOK", 60.0)  # and looks no more
    monkeypatch.setattr(crew, "LOOK", 60.0)
    assert copied(0.1, crew.FEW + 4).most == crew.FEW


def test_more_follow_before_the_first_file_has_come():
    assert copied(1.0, 4 * SIZE).most == SIZE


@pytest.mark.parametrize("count", [2, crew.FEW + 4, SIZE])
def test_a_number_that_was_given_is_what_begins(count):
    assert copied(0.2, 3 * count, concurrency=count).most == count


class Clock:
    """Seconds that pass, and of them what this thread and the process work."""

    def __init__(self) -> None:
        self.at = self.own = self.process = 100.0

    def perf_counter(self) -> float:
        return self.at

    def thread_time(self) -> float:
        return self.own

    def process_time(self) -> float:
        return self.process


@pytest.mark.parametrize(
    ("looks", "active"),
    [
        ([(0.0, 0.0)] * 1, SIZE),  # all of them wait
        ([(0.9, 1.0)] * 9, crew.FEW),  # they have a core for themselves
        ([(0.9, 1.0), (0.05, 1.0), (2.0, 1.0)] * 3, crew.FEW),  # counted when portions end
        ([(0.9, 0.5)] * 1, 2 * crew.FEW),  # it was idle half of the time
        ([(0.0, 1.0)] * 9, SIZE),  # somebody else is busy, in the same process
        ([(0.9, 1.0)] * 5 + [(0.0, 0.5)], 2 * crew.FEW),  # now they wait
    ],
)
def test_threads_follow_where_they_find_something_to_do(looks, active, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(load, "time", clock)
    transfer = Transfer(Place(Mount("src", Streaming()), ""), Place(Mount("dst", Streaming()), ""))
    team = crew.Crew(SIZE, transfer, begin_with=crew.FEW)

    def take_in(worked: float) -> None:
        team._under_way = 1
        team._take_in(crew._Portion([], crew._Task([]), 0.01, worked))

    clock.at += 5.0  # nobody has had anything to do by then
    team._load.begin()
    take_in(0.0)
    assert team._active == crew.FEW
    for worked, process in looks:
        clock.at += 2 * load.LOOK
        clock.process += process * 2 * load.LOOK
        take_in(worked * 2 * load.LOOK)
    assert team._active == active


def test_what_was_done_before_an_end_of_all_is_told_whatever_the_same_thread_does_next():
    """A thread of ours may have the identity of one that has ended; one of a pool works on."""

    class Exiting(Streaming):
        def write_bytes(self, path, data, **options):
            if path.endswith("c"):
                raise SystemExit(7)
            return super().write_bytes(path, data, **options)

    source, target = Mount("src", Streaming()), Mount("dst", Exiting())
    fill(source, "", dict.fromkeys("abcdef", b"x"))
    _, *actions = plan_copy(Place(source, ""), Place(target, "out"))  # the first: a directory
    transfer = Transfer(Place(source, ""), Place(target, "out"))
    team = crew.Crew(2, transfer)
    team._carry_out(crew._Task(actions[:3]))
    transfer._stopping.clear()  # as where the other has begun before
    team._carry_out(crew._Task(actions[3:]))
    told = [each.action.relpath for each in team.leftovers()]
    assert sorted(told) == ["a", "b", "d", "e", "f"]
    assert list(team.leftovers()) == []


def test_after_an_end_of_all_nothing_that_was_handed_out_is_begun():
    written = []

    class Exiting(Streaming):
        def write_bytes(self, path, data, **options):
            written.append(path)
            raise SystemExit(7)

    source, target = Mount("src", Streaming()), Mount("dst", Exiting())
    fill(source, "", dict.fromkeys("abcdef", b"x"))
    _, *actions = plan_copy(Place(source, ""), Place(target, "out"))
    team = crew.Crew(1, Transfer(Place(source, ""), Place(target, "out")))
    for each in actions:
        team._carry_out(crew._Task([each]))
    assert written == ["out/a"]
