"""How many bytes of larger files are under way at a time, and what goes beside what."""

from __future__ import annotations

import random
import threading
import time
from typing import ClassVar

import pytest

from genro_storage.info import FileInfo
from genro_storage.mount import Mount
from genro_storage.transfer import Place, plan_copy
from genro_storage.transfer.execution import weighed
from genro_storage.transfer.execution.weighed import Weighed
from genro_storage.transfer.planning.actions import CopyFile, MakeDirectory
from tests.support.trees import Streaming, content, fill

KIB, MIB = 1024, 1024 * 1024


def test_what_is_under_way_where_nothing_else_is_said():
    assert weighed._USUAL == (2, 32 * MIB, 128 * MIB, MIB, 0)
    assert weighed._RESUMED == (1, 20 * MIB, 20 * MIB, 128 * KIB, 4 * MIB)


# -- by itself --------------------------------------------------------------------------------------


def file(size: int) -> CopyFile:
    return CopyFile(f"f{size}", FileInfo(f"f{size}", "file", size), None, "")


class Desk:
    """What waits and what is under way, by sizes in MiB."""

    def __init__(self, *, to_resume: bool, sizes: list[float]) -> None:
        self.weighed = Weighed(to_resume=to_resume)
        for size in sizes:
            action = file(int(size * MIB))
            self.weighed.add(action, self.weighed.weight(action))

    def begin(self) -> list[float]:
        """All that may begin now."""
        found = []
        while self.weighed.has_next:
            taken = self.weighed.take()
            assert taken is not None
            found.append(taken[1] / MIB)
        assert self.weighed.take() is None
        return found

    def end(self, *sizes: float) -> list[float]:
        """These have ended; what begins instead."""
        for size in sizes:
            self.weighed.has_ended(int(size * MIB))
        return self.begin()


@pytest.mark.parametrize(
    ("to_resume", "size", "weight"),
    [
        (False, MIB, 0),
        (False, MIB + 1, MIB + 1),
        (True, 128 * KIB, 0),
        (True, 128 * KIB + 1, 128 * KIB + 1),
        (True, 0, 0),
    ],
)
def test_small_files_are_not_weighed(to_resume, size, weight):
    assert Weighed(to_resume=to_resume).weight(file(size)) == weight
    assert Weighed(to_resume=to_resume).weight(MakeDirectory("d")) == 0


@pytest.mark.parametrize(
    ("to_resume", "sizes", "begun"),
    [
        (False, [100, 90, 80, 3], [100, 90, 3]),
        (False, [40] * 5 + [20] * 9, [40, 40, 20, 20, 20]),
        (False, [30] * 5, [30] * 4),
        (True, [100, 90], [100]),
        (True, [100, 90, 5, 4], [100, 5]),
        (True, [10] * 5, [10] * 2),
        (True, [30, 3], [30]),
        (True, [0.5] * 20, [0.5] * 8),
    ],
    ids=str,
)
def test_so_many_bytes_are_under_way(to_resume, sizes, begun):
    assert Desk(to_resume=to_resume, sizes=sizes).begin() == begun


def test_one_goes_beside_a_big_one_whatever_it_weighs_and_light_ones_beside_all():
    desk = Desk(to_resume=True, sizes=[500, 30, 9, 8, *[0.5] * 40])
    assert desk.begin() == [500, 30, *[0.5] * 8]
    assert desk.end(30) == [9]
    assert desk.end(9) == [8]
    assert desk.end(*[0.5] * 8) == [0.5] * 8
    assert desk.weighed.waiting == 24


def test_a_big_one_is_not_kept_waiting_by_those_that_came_before():
    desk = Desk(to_resume=True, sizes=[9] * 9)
    assert desk.begin() == [9, 9]
    action = file(100 * MIB)
    desk.weighed.add(action, desk.weighed.weight(action))
    assert desk.end(9) == []
    assert desk.end(9) == [100, 9]


@pytest.mark.parametrize("to_resume", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_sizes_all_of_them_go(to_resume, seed):
    numbers = random.Random(seed)
    sizes = [numbers.choice([0.2, 0.9, 1.5, 9, 15, 31, 33, 400]) for _ in range(200)]
    desk = Desk(to_resume=to_resume, sizes=sizes)
    # Without resuming, light ones are not weighed: the crew hands them out together.
    expected = sorted(size for size in sizes if to_resume or size > 1)
    if not to_resume:
        desk = Desk(to_resume=False, sizes=expected)
    under_way = desk.begin()
    gone = list(under_way)
    while under_way:
        ended = under_way.pop(numbers.randrange(len(under_way)))
        more = desk.end(ended)
        under_way += more
        gone += more
    assert [round(size, 3) for size in sorted(gone)] == expected
    assert desk.weighed.waiting == 0


# -- in a copy --------------------------------------------------------------------------------------


class Weighing(Streaming):
    """Knows how many bytes of weighed files are on their way to it at one time."""

    least: ClassVar[int] = 10

    def __init__(self):
        super().__init__()
        self.now = self.most = self.small = 0
        self.most_files = self.files = 0
        self.lock = threading.Lock()

    def _count(self, size, sign):
        with self.lock:
            if size > self.least:
                self.now += sign * min(size, 32)
                self.files += sign
                self.most = max(self.most, self.now)
                self.most_files = max(self.most_files, self.files)
            elif sign > 0 and self.now:
                self.small += 1

    def write_bytes(self, path, data, **options):
        self._count(len(data), 1)
        time.sleep(0.002)
        self._count(len(data), -1)
        return super().write_bytes(path, data, **options)


def copied(source, target, **options):
    return plan_copy(Place(source, ""), Place(target, "out")).apply(**options)


@pytest.fixture
def small_sizes(monkeypatch):
    """Bytes for MiB, but that a file is light up to ten."""
    monkeypatch.setattr(weighed, "HEAVY", 10)
    monkeypatch.setattr(weighed, "_BIG", 32)
    monkeypatch.setattr(weighed, "_USUAL", weighed._Room(2, 32, 128, 10, 0))


def trees(sizes, count=60):
    source, target = Mount("src", Streaming()), Mount("dst", Weighing())
    tree = {f"f{number:02}": b"x" * sizes[number % len(sizes)] for number in range(count)}
    fill(source, "", tree)
    return source, target, tree


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize(
    ("sizes", "files"),
    [([30], 4), ([12], 8), ([30, 40, 100], 4), ([200], 2), ([11, 30, 5], 8)],
    ids=str,
)
def test_the_bytes_of_heavy_files_under_way_are_bounded(sizes, files):
    source, target, tree = trees(sizes)
    assert copied(source, target, concurrency=8).copied == 60
    assert content(target, "out") == tree
    assert target.backend.most <= 128
    assert 1 < target.backend.most_files <= files


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize(
    ("sizes", "most", "files"), [([30], 30, 1), ([12], 24, 2), ([9], 16, 2), ([3], 0, 0)], ids=str
)
def test_fewer_are_where_a_kill_is_to_be_made_good(monkeypatch, sizes, most, files):
    monkeypatch.setattr(weighed, "_RESUMED", weighed._Room(1, 20, 28, 8, 16))
    monkeypatch.setattr(Weighing, "least", 8)
    source, target, tree = trees(sizes)
    assert copied(source, target, concurrency=8, resume=True).copied == 60
    assert content(target, "out") == tree
    assert target.backend.most_files == files
    assert target.backend.most <= max(most, files * sizes[0])


def test_a_heavy_file_that_is_more_than_all_may_be_goes_alone(monkeypatch, small_sizes):
    monkeypatch.setattr(weighed, "_BIG", 100)
    monkeypatch.setattr(weighed, "_USUAL", weighed._Room(2, 32, 20, 10, 0))
    source, target, _ = trees([50], 9)
    assert copied(source, target, concurrency=8).copied == 9
    assert target.backend.most_files == 1


def test_small_files_flow_beside_heavy_ones_that_wait(monkeypatch, small_sizes):
    monkeypatch.setattr(weighed, "_BIG", 100)
    monkeypatch.setattr(weighed, "_USUAL", weighed._Room(2, 32, 50, 10, 0))
    source, target, _ = trees([50], 9)
    fill(source, "", {f"b{number:03}": b"x" for number in range(100)})
    assert copied(source, target, concurrency=4).copied == 109
    assert target.backend.most_files == 1
    assert target.backend.small > 0


class Gated(Streaming):
    """Its big file arrives when all others have."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.left = others
        self.all_are_there = threading.Event()
        self.lock = threading.Lock()

    def write_bytes(self, path, data, **options):
        if len(data) > 32:
            assert self.all_are_there.wait(60), f"{self.left} files wait for the big one"
            return super().write_bytes(path, data, **options)
        made = super().write_bytes(path, data, **options)
        with self.lock:
            self.left -= 1
            if not self.left:
                self.all_are_there.set()
        return made


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("heavy", [[], [9], [31], [31, 31, 9, 9, 31]], ids=str)
def test_nothing_waits_for_a_big_file_to_arrive(monkeypatch, small_sizes, resume, heavy):
    """More light files than may wait, behind heavy ones that do not fit beside the big one."""
    monkeypatch.setattr(weighed, "HEAVY", 8)
    monkeypatch.setattr(weighed, "_RESUMED", weighed._Room(1, 20, 28, 2, 8))
    monkeypatch.setattr(weighed, "_USUAL", weighed._Room(1, 20, 28, 8, 0))
    tree = {"a": b"x" * 400}
    tree |= {f"b{number}": b"x" * size for number, size in enumerate(heavy)}
    tree |= {f"c{number:04}": b"xxx" for number in range(1100)}
    tree |= {f"d{number:04}": b"x" for number in range(300)}
    source, target = Mount("src", Streaming()), Mount("dst", Gated(len(tree) - 1))
    fill(source, "", tree)
    assert copied(source, target, concurrency=4, resume=resume).copied == len(tree)
    assert content(target, "out") == tree
