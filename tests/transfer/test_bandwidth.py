"""A limit on bytes per second, on a clock that moves when somebody sleeps."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genro_storage.exceptions import StorageValueError
from genro_storage.transfer.execution.bandwidth import Bandwidth


class Time:
    """A clock for one thread: sleeping moves it on."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 1000.0
        self.late = late
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float, stop: threading.Event | None) -> None:
        self.slept.append(seconds)
        self.now += seconds + self.late

    def bandwidth(self, rate: object) -> Bandwidth:
        return Bandwidth(rate, clock=self.clock, sleep=self.sleep)  # type: ignore[arg-type]


def test_a_second_is_worth_its_bytes_and_the_first_one_is_there_at_once():
    when = Time()
    bandwidth = when.bandwidth(1000)
    for _ in range(10):
        assert bandwidth.take(100)
    assert when.slept == []
    for _ in range(50):
        bandwidth.take(100)
    assert when.now == pytest.approx(1005.0)


@settings(deadline=None)  # the machine may be busy
@given(
    rate=st.integers(1, 10**9),
    counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    idle=st.lists(st.floats(0, 5), min_size=20, max_size=20),
)
def test_no_stretch_of_time_sees_more_than_its_worth_and_a_second(rate, counts, idle):
    when = Time()
    bandwidth = when.bandwidth(rate)
    counts = [min(count, rate * 30) for count in counts]
    taken: list[tuple[float, float, int]] = []
    for count, pause in zip(counts, idle, strict=False):
        before = when.now
        bandwidth.take(count)
        taken.append((before, when.now, count))
        when.now += pause
    for first, (begun, _, _) in enumerate(taken):
        total = 0
        for _, ended, count in taken[first:]:
            total += count
            assert total <= rate * (ended - begun + 1.002) + 1


def test_sleeping_too_long_is_made_up_for():
    when = Time(late=0.01)
    bandwidth = when.bandwidth(1_000_000)
    for _ in range(2000):
        bandwidth.take(10_000)
    assert when.now == pytest.approx(1019.0, abs=0.05)


def test_what_was_not_used_is_kept_for_a_second_and_no_longer():
    when = Time()
    bandwidth = when.bandwidth(1000)
    bandwidth.take(1000)
    when.now += 3600
    bandwidth.take(1000)
    assert when.slept == []
    bandwidth.take(500)
    assert sum(when.slept) == pytest.approx(0.5)


def test_a_large_block_waits_in_turns_so_that_others_come_in_between():
    when = Time()
    bandwidth = when.bandwidth(1000)
    bandwidth.take(11_000)
    assert max(when.slept) == pytest.approx(0.25)
    assert when.now == pytest.approx(1010.0)


class Together:
    """A clock for several threads: when all of them sleep, the first to wake is woken."""

    def __init__(self) -> None:
        self.now = 0.0
        self.changed = threading.Condition()
        self.sleepers: list[tuple[float, threading.Event]] = []
        self.active = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float, stop: threading.Event | None) -> None:
        woken = threading.Event()
        with self.changed:
            self.sleepers.append((self.now + seconds, woken))
            self.changed.notify_all()
        assert woken.wait(60)

    def run(self, *works: Callable[[], None]) -> list[float]:
        """Do all at once; when each was over."""
        ends = [0.0] * len(works)

        def do(number: int) -> None:
            works[number]()
            with self.changed:
                ends[number] = self.now
                self.active -= 1
                self.changed.notify_all()

        self.active = len(works)
        threads = [threading.Thread(target=do, args=(number,)) for number in range(len(works))]
        for thread in threads:
            thread.start()
        while True:
            with self.changed:
                assert self.changed.wait_for(lambda: len(self.sleepers) == self.active, timeout=60)
                if not self.active:
                    break
                first = min(self.sleepers, key=lambda each: each[0])
                self.sleepers.remove(first)
                self.now = first[0]
            first[1].set()
        for thread in threads:
            thread.join(60)
        return ends


def test_threads_share_one_budget_and_a_large_block_does_not_shut_out_small_ones():
    when = Together()
    bandwidth = Bandwidth(1000, clock=when.clock, sleep=when.sleep)
    bandwidth.take(1000)

    def small() -> None:
        for _ in range(4):
            bandwidth.take(100)

    ends = when.run(lambda: bandwidth.take(20_000), small)
    assert ends[0] == pytest.approx(20.4)
    # Before each of its four turns stands one of the other's, at most.
    assert ends[1] <= 4 * (0.1 + 0.25) + 0.001


def test_threads_that_want_the_same_get_the_same():
    when = Together()
    bandwidth = Bandwidth(1000, clock=when.clock, sleep=when.sleep)
    bandwidth.take(1000)

    def work() -> None:
        for _ in range(50):
            bandwidth.take(100)

    ends = when.run(*[work] * 4)
    assert max(ends) == pytest.approx(20.0)
    assert min(ends) >= 20.0 - 4 * 0.1 - 0.001


def test_a_wait_ends_when_the_copy_is_stopped():
    stop = threading.Event()
    slept: list[float] = []

    def sleep(seconds: float, given: threading.Event | None) -> None:
        slept.append(seconds)
        assert given is stop
        stop.set()

    bandwidth = Bandwidth(10, clock=lambda: 0.0, sleep=sleep)
    assert bandwidth.take(10, stop)
    assert not bandwidth.take(1_000_000, stop)
    assert len(slept) == 1
    assert not bandwidth.take(0, stop)
    assert not Bandwidth(None).take(5, stop)


def test_a_thread_that_really_sleeps_is_woken_by_the_stop():
    stop = threading.Event()
    bandwidth = Bandwidth(1)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(bandwidth.take(1_000_000, stop)))
    thread.start()
    stop.set()
    thread.join(60)
    assert answers == [False]


def test_no_limit_asks_no_clock():
    def never(*_: object) -> float:
        raise AssertionError

    bandwidth = Bandwidth(None)
    bandwidth._clock = bandwidth._sleep = never
    assert bandwidth.take(10**12)
    assert not bandwidth


@pytest.mark.parametrize(
    ("given", "rate"),
    [(None, None), (1, 1), (2.0, 2), ("10M", 10 * 2**20), ("1.5 MB/s", 1_500_000)],
)
def test_a_rate_is_a_number_or_a_text(given, rate):
    assert Bandwidth(given).bytes_per_second == rate
    assert Bandwidth.of(given).bytes_per_second == rate
    assert pickle.loads(pickle.dumps(Bandwidth(given))).bytes_per_second == rate


def test_what_is_a_bandwidth_already_is_shared():
    bandwidth = Bandwidth("1M", clock=time.monotonic)
    assert Bandwidth.of(bandwidth) is bandwidth


@pytest.mark.parametrize(
    "given", [0, -1, 0.5, "", "fast", "0", "10 M/h", True, float("nan"), [], b"1M"]
)
def test_what_is_no_rate_is_refused(given):
    with pytest.raises(StorageValueError, match=r"^the bandwidth is .* bytes per second above 0"):
        Bandwidth(given)
