"""How the bytes of a large content are brought by several connections, and digested meanwhile."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genro_storage import Checksum
from genro_storage.backends.object_stores import downloads, verifying
from genro_storage.backends.object_stores.downloads import MemorySink, download
from genro_storage.backends.object_stores.engine import Unfit
from genro_storage.backends.object_stores.verifying import Known, VerifyingSink, verifier_for
from genro_storage.backends.remote import Bounds
from genro_storage.hearing import hearing_retries

if TYPE_CHECKING:
    from collections.abc import Callable

_KIB = 1024
BOUNDS = Bounds(retries=3)


class Server:
    """A content, and what is asked for; ``pace`` is called before each step with its lane's number."""

    step = 4 * _KIB

    def __init__(self, size: int, pace: Callable[[], None] = lambda: None) -> None:
        self.data = random.Random(size).randbytes(size)
        self.asked: list[tuple[int, int]] = []
        self.pace = pace
        self.open_now = self.most_open = 0
        self.lock = threading.Lock()

    def again(self, start: int, end: int | None, etag: str | None) -> Body:
        assert etag == '"1"'
        stop = len(self.data) if end is None else end
        with self.lock:
            self.asked.append((start, stop))
        self.refuse(start, stop)
        return Body(self, start, stop)

    def refuse(self, start: int, stop: int) -> None:
        """Raise where this request is to fail."""

    def break_off(self, at: int) -> None:
        """The same for a body in its middle."""


class Body:
    etag = '"1"'

    def __init__(self, server: Server, start: int, stop: int) -> None:
        self.server, self.start, self.stop, self.at = server, start, stop, start
        self.is_closed = False
        with server.lock:
            server.open_now += 1
            server.most_open = max(server.most_open, server.open_now)

    def next(self) -> bytes:
        assert not self.is_closed
        self.server.pace()
        self.server.break_off(self.at)
        data = self.server.data[self.at : min(self.at + self.server.step, self.stop)]
        self.at += len(data)
        return data

    def close(self) -> None:
        with self.server.lock:
            self.server.open_now -= not self.is_closed
        self.is_closed = True


@pytest.fixture
def small(monkeypatch):
    """Everything a thousand times smaller, and looked at a hundred times as often."""
    for name, value in {
        "WINDOW": 64 * _KIB,
        "_SHARED": 16 * _KIB,
        "_SMALLEST": 4 * _KIB,
        "_WORTH": 16 * _KIB,
        "_FAST": 160 * _KIB,
        "_LOOK": 0.01,
        "_SOON": 0.04,
        "_PAUSE": 0.001,
    }.items():
        monkeypatch.setattr(downloads, name, value)


def fetched(server: Server, first: int | None = None, start: int = 0) -> bytes:
    sink, size = MemorySink(), len(server.data)
    body = Body(server, start, size if first is None else min(start + first, size))
    download(body, server.again, sink, BOUNDS, stop=size)
    until = time.monotonic() + 5
    while server.open_now and time.monotonic() < until:
        time.sleep(0.001)  # whoever was late closes what it has opened
    assert server.open_now == 0
    return sink.value()


@pytest.mark.usefixtures("small")
def test_one_connection_asks_for_one_window_after_the_other():
    server = Server(200 * _KIB)
    assert fetched(server, 64 * _KIB) == server.data
    window = 64 * _KIB
    assert server.asked == [
        (window, 2 * window),
        (2 * window, 3 * window),
        (3 * window, 200 * _KIB),
    ]
    assert server.most_open == 1


@pytest.mark.usefixtures("small")
def test_what_begins_in_the_middle_goes_on_to_its_end():
    server = Server(200 * _KIB)
    assert fetched(server, 10 * _KIB, start=100 * _KIB) == server.data[100 * _KIB :]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("first", [64 * _KIB, None], ids=["windows", "halves"])
def test_connections_that_are_slow_get_company(first, monkeypatch):
    monkeypatch.setattr(downloads, "_FAST", 1e12)
    monkeypatch.setattr(downloads, "_GAIN", 0.0)
    server = Server(600 * _KIB, lambda: time.sleep(0.04))
    assert fetched(server, first) == server.data
    assert server.most_open > 2


@pytest.mark.usefixtures("small")
def test_where_the_second_brings_little_there_is_no_third(monkeypatch):
    monkeypatch.setattr(downloads, "_FAST", 1e12)
    monkeypatch.setattr(downloads, "_GAIN", 1e6)
    monkeypatch.setattr(downloads, "_LOOK", 0.25)  # by which time something has come
    server = Server(400 * _KIB, lambda: time.sleep(0.02))
    assert fetched(server, 64 * _KIB) == server.data
    assert server.most_open == 2


@pytest.mark.usefixtures("small")
def test_a_connection_that_is_as_fast_as_the_machine_stays_alone(monkeypatch):
    monkeypatch.setattr(downloads, "_FAST", 1.0)
    monkeypatch.setattr(downloads, "_LOOK", 0.25)
    server = Server(400 * _KIB, lambda: time.sleep(0.02))
    assert fetched(server, 64 * _KIB) == server.data
    assert server.most_open == 1


@pytest.mark.usefixtures("small")
def test_the_last_windows_are_small():
    server = Server(600 * _KIB, lambda: time.sleep(0.04))
    assert fetched(server, 64 * _KIB) == server.data
    sizes = [stop - start for start, stop in server.asked]
    assert max(sizes) == 16 * _KIB
    assert max(sizes[-4:]) < 16 * _KIB


class Refusing(Server):
    """Refuses every second connection, or all of some place."""

    where: int | None = None
    error: type[Exception] = ConnectionResetError

    def refuse(self, start: int, stop: int) -> None:
        if self.where is None:
            if len(self.asked) % 2:
                raise self.error("refused")
        elif stop > self.where:
            raise self.error("refused")


@pytest.mark.usefixtures("small")
def test_a_window_that_could_not_be_opened_is_brought_by_somebody():
    heard: list[BaseException] = []
    server = Refusing(600 * _KIB, lambda: time.sleep(0.01))
    with hearing_retries(heard.append):
        assert fetched(server, 64 * _KIB) == server.data
    assert heard


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("where", [64 * _KIB, 500 * _KIB, 600 * _KIB - 1])
@pytest.mark.parametrize("error", [ConnectionResetError, Unfit])
def test_what_nobody_can_bring_is_an_error(where, error):
    server = Refusing(600 * _KIB, lambda: time.sleep(0.01))
    server.where, server.error = where, error
    with pytest.raises(error):
        fetched(server, 64 * _KIB)


class Chance(Server):
    """Breaks off, refuses and stalls, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        pause = self.random.choice((0.0, 0.0005, 0.002))
        super().__init__(self.random.randrange(1, 500 * _KIB), lambda: time.sleep(pause))
        self.chance = self.random.choice((0.0, 0.02, 0.2))
        self.broken: Counter[int] = Counter()

    def fails(self, at: int) -> bool:
        with self.lock:
            if self.random.random() >= self.chance or self.broken[at] >= BOUNDS.retries:
                return False
            self.broken[at] += 1
            return True

    def refuse(self, start: int, stop: int) -> None:
        if self.fails(start):
            raise ConnectionResetError("refused")

    def break_off(self, at: int) -> None:
        if self.fails(at):
            raise ConnectionResetError("broken off")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_all_of_it_comes_or_it_is_an_error(seed):
    server = Chance(seed)
    first = random.Random(seed).choice((None, 64 * _KIB, 1))
    try:
        found = fetched(server, first)
    except ConnectionResetError:
        assert server.chance
    else:
        assert found == server.data


# -- the digest that is made meanwhile ----------------------------------------------------------


class File(MemorySink):
    """A sink that says what was written."""

    def read(self, start: int, end: int) -> bytes:
        return self.value()[start:end]


def verifying_sink(data: bytes, sink: File) -> VerifyingSink:
    verifier = verifier_for(Known(Checksum("md5", hashlib.md5(data).hexdigest())), len(data))
    assert verifier is not None
    return VerifyingSink(sink, verifier)


def digesting() -> int:
    return sum(each.name == "genro-storage-digest" for each in threading.enumerate())


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=40), order=st.randoms())
def test_pieces_are_compared_in_whatever_order_they_come(sizes, order):
    data = random.Random(1).randbytes(sum(sizes))
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    pieces = list(zip(starts, sizes, strict=True))
    order.shuffle(pieces)
    sink, damaged = File(), File()
    good, bad = verifying_sink(data, sink), verifying_sink(b"x" + data[1:] + b"y", damaged)
    for start, size in pieces:
        good.write(start, data[start : start + size])
        bad.write(start, data[start : start + size])
    good.finish()
    assert sink.value() == data
    bad.write(len(data), b"z")
    with pytest.raises(OSError, match="what arrived is not what was stored"):
        bad.finish()


def test_several_threads_bring_their_parts_at_once(monkeypatch):
    monkeypatch.setattr(verifying, "_BLOCK", 1000)
    data = random.Random(2).randbytes(400_000)
    sink = File()
    verifying_one = verifying_sink(data, sink)

    def bring(start: int, stop: int) -> None:
        for at in range(start, stop, 700):
            verifying_one.write(at, data[at : min(at + 700, stop)])

    lanes = [
        threading.Thread(target=bring, args=(at, at + 50_000)) for at in range(0, 400_000, 50_000)
    ]
    for lane in reversed(lanes):
        lane.start()
    for lane in lanes:
        lane.join()
    verifying_one.finish()


def test_whoever_is_faster_than_the_digest_waits_for_it(monkeypatch):
    data = bytes(40_000)
    sink = File()
    slow = verifying_sink(data, sink)
    feed = slow._verifier.feed
    held = threading.Event()

    def feeding(at: int, piece: bytes) -> None:
        held.wait(10)
        feed(at, piece)

    monkeypatch.setattr(slow._verifier, "feed", feeding)
    writer = threading.Thread(
        target=lambda: [slow.write(at, data[at : at + 1000]) for at in range(0, 40_000, 1000)]
    )
    writer.start()
    time.sleep(0.1)
    assert len(slow._waiting) <= verifying._AHEAD
    assert writer.is_alive()
    assert slow.is_behind()
    held.set()
    writer.join(10)
    slow.finish()


def test_a_failure_to_read_back_is_told_and_keeps_nobody_waiting():
    class Lost(File):
        def read(self, start: int, end: int) -> bytes:
            raise OSError(5, "the disk is gone")

    data = bytes(30_000)
    sink = verifying_sink(data, Lost())
    sink.write(1000, data[1000:2000])
    for at in (0, *range(2000, 30_000, 1000)):
        sink.write(at, data[at : at + 1000])
    with pytest.raises(OSError, match="the disk is gone"):
        sink.finish()


def test_the_thread_of_a_digest_ends_by_itself(monkeypatch):
    monkeypatch.setattr(verifying, "_LINGER", 0.01)
    sink = verifying_sink(bytes(2000), File())
    sink.write(0, bytes(1000))
    until = time.monotonic() + 5
    while digesting() and time.monotonic() < until:
        time.sleep(0.01)
    assert not digesting()
    sink.write(1000, bytes(1000))  # and another one goes on
    sink.finish()


def test_without_threads_it_is_digested_all_the_same(monkeypatch):
    monkeypatch.setattr(verifying, "_LINGER", 0.01)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    sink = verifying_sink(bytes(20_000), File())
    for at in range(0, 20_000, 1000):
        sink.write(at, bytes(1000))
    sink.finish()


def test_what_is_written_twice_is_digested_once():
    """As by a connection that was bringing what another one was given."""
    data = random.Random(3).randbytes(4000)
    sink = verifying_sink(data, File())
    for start, stop in (
        (1000, 2000),
        (1500, 2000),
        (2000, 3000),
        (0, 1000),
        (500, 2500),
        (3000, 4000),
    ):
        sink.write(start, data[start:stop])
    sink.finish()


@pytest.mark.usefixtures("small")
def test_without_more_threads_one_connection_brings_it(monkeypatch):
    begin = threading.Thread.start
    begun: list[str] = []

    def start(thread: threading.Thread) -> None:
        begun.append(thread.name)
        if begun.count(thread.name) > 1:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    server = Server(300 * _KIB, lambda: time.sleep(0.02))
    assert fetched(server, 64 * _KIB) == server.data
    assert server.most_open == 1
    assert begun.count("genro-storage-download") == 2
