"""Plans that are carried out by threads: the same outcome, whatever fails on the way."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage.backends.memory import MemoryBackend
from genro_storage.exceptions import (
    StorageChangedError,
    StorageConnectionError,
    StorageIOError,
    StoragePermissionError,
    StorageValueError,
)
from genro_storage.hearing import note_retry
from genro_storage.mount import Mount
from genro_storage.transfer import (
    Place,
    SerialExecutor,
    ThreadedExecutor,
    Transfer,
    plan_copy,
)
from genro_storage.transfer.execution import crew
from tests.support.trees import Streaming, content, fill, make

MANY = {f"d{number % 7}/f{number}.txt": b"%d" % number for number in range(200)}


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "genro-storage-copy"]


@pytest.fixture(params=[1, 2, 8])
def concurrency(request):
    return request.param


def mounts(kind=MemoryBackend):
    return Mount("src", kind()), Mount("dst", kind())


def copied(source, target, **options):
    return plan_copy(Place(source, ""), Place(target, "out")).apply(**options)


# -- what is done ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"), [("local", "local"), ("local", "memory"), ("streaming", "local")]
)
def test_a_tree_arrives_as_it_is_with_any_number_of_threads(first, second, tmp_path, concurrency):
    source, target = make(first, "src", tmp_path), make(second, "dst", tmp_path)
    fill(source, "", MANY)
    report = copied(source, target, concurrency=concurrency)
    assert content(target, "out") == MANY
    assert (report.copied, report.bytes_copied) == (200, sum(map(len, MANY.values())))
    assert (report.failed, report.retried, threads()) == (0, 0, [])
    again = plan_copy(Place(source, ""), Place(target, "out"), skip="hash").apply(
        concurrency=concurrency
    )
    assert str(again) == "0 copied, 200 skipped (same content)"


def test_callbacks_run_in_the_thread_that_started_the_copy():
    source, target = mounts()
    fill(source, "", MANY)
    here, seen = threading.get_ident(), set()
    heard = []

    def note(*_):
        seen.add(threading.get_ident())

    copied(
        source, target, concurrency=4, on_file=note, on_skip=note,
        progress=lambda current, total: heard.append((current, total)),
    )  # fmt: skip
    assert seen == {here}
    assert heard == [(number, 200) for number in range(1, 201)]


class Busy(Streaming):
    """Knows how many write to it at one time; the first ones wait for so many as are ``awaited``."""

    def __init__(self, awaited=1):
        super().__init__()
        self.now = self.most = 0
        self.awaited = awaited
        self.changed = threading.Condition()

    def write_bytes(self, path, data, **options):
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            if not self.changed.wait_for(lambda: self.most >= self.awaited, 30):
                self.awaited = 0  # they do not come: the others need not wait
        time.sleep(0.002)
        with self.changed:
            self.now -= 1
        return super().write_bytes(path, data, **options)


def test_no_more_files_are_under_way_than_asked_for(concurrency):
    source, target = Mount("src", Streaming()), Mount("dst", Busy(concurrency))
    fill(source, "", {f"f{number}": b"x" for number in range(60)})
    copied(source, target, concurrency=concurrency)
    assert target.backend.most == concurrency


@pytest.mark.parametrize("value", [0, -1])
def test_no_threads_at_all_are_refused(value):
    source, target = mounts()
    with pytest.raises(StorageValueError, match="at least 1"):
        copied(source, target, concurrency=value)


@pytest.fixture
def few_threads(monkeypatch):
    """So many threads can be started, and no more."""
    start = threading.Thread.start
    left = [0]

    def refused(self):
        if self.name == "genro-storage-copy":
            if not left[0]:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refused)
    return left


@pytest.mark.parametrize("count", [1, 3])
def test_a_system_with_few_threads_copies_with_those(few_threads, count):
    few_threads[0] = count
    source, target = Mount("src", Streaming()), Mount("dst", Busy())
    fill(source, "", MANY)
    assert copied(source, target, concurrency=8).copied == 200
    assert (target.backend.most, threads()) == (count, [])


def test_where_no_thread_can_be_started_nobody_waits(few_threads):
    source, target = mounts(Streaming)
    fill(source, "", MANY)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        copied(source, target, concurrency=8)


# -- what fails -----------------------------------------------------------------------------------


class Refusing(Streaming):
    """Takes no file whose name ends so."""

    bad = "3.txt"

    def write_bytes(self, path, data, **options):
        if path.endswith(self.bad):
            raise PermissionError(13, "not this one", path)
        return super().write_bytes(path, data, **options)


def test_the_first_error_ends_the_copy_and_what_has_arrived_stays(concurrency):
    source, target = Mount("src", Streaming()), Mount("dst", Refusing())
    fill(source, "", MANY)
    with pytest.raises(StoragePermissionError, match=r"dst:out/d\d/f\d*3.txt: ") as caught:
        copied(source, target, concurrency=concurrency)
    there = content(target, "out")
    assert there.items() < MANY.items()
    assert f"stopped: {len(there)} copied, 0 skipped" in str(caught.value.__notes__)
    assert threads() == []


def test_collected_errors_stop_nobody_else_and_are_all_in_the_report(concurrency):
    source, target = Mount("src", Streaming()), Mount("dst", Refusing())
    fill(source, "", MANY)
    bad = {relpath for relpath in MANY if relpath.endswith("3.txt")}
    report = copied(source, target, concurrency=concurrency, on_error="collect")
    assert content(target, "out") == {name: data for name, data in MANY.items() if name not in bad}
    assert (report.copied, report.failed) == (180, 20)
    assert {each.relpath for each in report.failures} == bad
    assert all(isinstance(each.error, StoragePermissionError) for each in report.failures)
    assert report.to_dict()["failures"][0]["kind"] == "StoragePermissionError"


def test_a_listing_that_breaks_off_ends_the_copy_and_counts_what_has_arrived(concurrency):
    class Breaking(Streaming):
        def find(self, path, **options):
            for number, info in enumerate(super().find(path, **options)):
                if number == 60:
                    raise ConnectionResetError("the listing broke off")
                yield info

    source, target = Mount("src", Breaking()), Mount("dst", Streaming())
    fill(source, "", MANY)
    with pytest.raises(StorageConnectionError, match="src:") as caught:
        copied(source, target, concurrency=concurrency, on_error="collect")
    there = [info for info in target.find("out") if info.is_file]
    assert f"stopped: {len(there)} copied" in str(caught.value.__notes__)
    assert 0 < len(there) < 60
    assert threads() == []


class Shaky(Streaming):
    """Every so many requests the connection breaks."""

    def __init__(self, every):
        super().__init__()
        self.every, self.count, self.lock = every, 0, threading.Lock()

    def write_bytes(self, path, data, **options):
        with self.lock:
            self.count += 1
            broken = self.count % self.every == 0
        if broken:
            raise ConnectionResetError("reset by peer")
        return super().write_bytes(path, data, **options)


def test_a_broken_connection_costs_another_attempt_which_the_report_tells(concurrency, monkeypatch):
    monkeypatch.setattr("genro_storage.transfer.execution.attempting._PAUSE", 0.001)
    source, target = Mount("src", Streaming()), Mount("dst", Shaky(10))
    fill(source, "", MANY)
    report = copied(source, target, concurrency=concurrency)
    assert content(target, "out") == MANY
    assert (report.copied, report.failed, report.retried) == (200, 0, 22)
    assert all(each.relpath in MANY and "reset by peer" in each.error for each in report.retries)


def test_a_connection_that_stays_broken_is_given_up(monkeypatch):
    monkeypatch.setattr("genro_storage.transfer.execution.attempting._PAUSE", 0.001)
    source, target = Mount("src", Streaming()), Mount("dst", Shaky(1))
    fill(source, "", {"a": b"1"})
    report = copied(source, target, on_error="collect", retries=2)
    assert (report.failed, report.retried, target.backend.count) == (1, 2, 3)


def test_what_a_backend_has_repeated_by_itself_is_in_the_report_too():
    class Noting(Streaming):
        def write_bytes(self, path, data, **options):
            note_retry(TimeoutError("slow"))
            return super().write_bytes(path, data, **options)

    source, target = Mount("src", Streaming()), Mount("dst", Noting())
    fill(source, "", {"a": b"1", "b": b"2"})
    report = copied(source, target, concurrency=2)
    assert sorted((each.relpath, each.error) for each in report.retries) == [
        ("a", "TimeoutError: slow"),
        ("b", "TimeoutError: slow"),
    ]


class Growing(Streaming):
    """A file that is written to between the listing and the reading, so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = Counter({"a": times})

    def load(self, path):
        if self.times[path] > 0:
            self.times[path] -= 1
            self.write_bytes(path, self.read_bytes(path) + b"+")
        return super().load(path)


def test_a_source_that_has_changed_is_looked_at_and_copied_again():
    source, target = Mount("src", Growing(2)), Mount("dst", Streaming())
    fill(source, "", {"a": b"1", "b": b"2"})
    report = copied(source, target)
    assert content(target, "out") == {"a": b"1++", "b": b"2"}
    assert (report.copied, report.retried) == (2, 2)


def test_a_source_that_never_rests_is_an_error_and_the_old_content_stays():
    source, target = Mount("src", Growing(99)), Mount("dst", Streaming())
    fill(source, "", {"a": b"1", "b": b"2"})
    fill(target, "out", {"a": b"old"})
    with pytest.raises(StorageChangedError, match="src:a: changed while it was being copied"):
        copied(source, target)
    assert target.read_bytes("out/a") == b"old"


def test_an_interrupt_ends_the_threads_and_is_raised():
    source, target = Mount("src", Streaming()), Mount("dst", Busy())
    fill(source, "", MANY)

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copied(source, target, concurrency=4, on_file=interrupted)
    assert threads() == []
    assert content(target, "out").items() <= MANY.items()


def test_what_is_no_error_but_the_end_of_the_program_leaves_a_thread_too():
    class Exiting(Streaming):
        def write_bytes(self, path, data, **options):
            raise SystemExit(7)

    source, target = Mount("src", Streaming()), Mount("dst", Exiting())
    fill(source, "", {"a": b"1", "b": b"2"})
    with pytest.raises(SystemExit):
        copied(source, target, concurrency=2)


# -- verifying ------------------------------------------------------------------------------------


class Lossy(Streaming):
    """Stores other bytes than it is given: one changed, or one less."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def write_bytes(self, path, data, **options):
        if path.endswith("b"):
            data = data[:-1] if self.how == "short" else data[:-1] + b"?"
        return super().write_bytes(path, data, **options)


@pytest.mark.parametrize(
    ("verify", "how", "found"),
    [
        (None, "short", False),
        ("size", "short", True),
        ("size", "changed", False),
        ("checksum", "changed", True),
        ("checksum", "short", True),
    ],
)
def test_what_has_arrived_is_compared_as_asked(verify, how, found):
    source, target = Mount("src", Streaming()), Mount("dst", Lossy(how))
    fill(source, "", {"a": b"one", "b": b"two"})
    report = copied(source, target, verify=verify, on_error="collect")
    assert [each.relpath for each in report.failures] == (["b"] if found else [])
    assert report.verified == (0 if verify is None else 2 - found)
    if found:
        assert isinstance(report.failures[0].error, StorageIOError)
        assert "dst:out/b: is not what was copied from src:b" in str(report.failures[0].error)


@pytest.mark.parametrize(("option", "value"), [("verify", "md5"), ("on_error", "ignore")])
def test_what_is_no_way_to_verify_or_fail_is_refused(option, value):
    source, target = mounts()
    with pytest.raises(StorageValueError, match=f"{option}= takes "):
        copied(source, target, **{option: value})


@pytest.mark.parametrize("executor", [SerialExecutor(), ThreadedExecutor(3)])
def test_an_executor_of_ours_may_be_named(executor):
    source, target = mounts()
    fill(source, "", MANY)
    assert copied(source, target, executor=executor).copied == 200


# -- files that are to be compared first ----------------------------------------------------------


class Read(Streaming):
    """Takes ``pause`` seconds for each reading, and knows who has read."""

    def __init__(self, pause=0.0):
        super().__init__()
        self.pause, self.who, self.now, self.most = pause, Counter(), 0, 0
        self.lock = threading.Lock()

    def read_bytes(self, path, *arguments, **options):
        with self.lock:
            self.who[threading.get_ident()] += 1
            self.now += 1
            self.most = max(self.most, self.now)
        if self.pause:
            time.sleep(self.pause)
        with self.lock:
            self.now -= 1
        return super().read_bytes(path, *arguments, **options)


def compared(pause, **options):
    source, target = Mount("src", Read(pause)), Mount("dst", Streaming())
    for mount, path in ((source, ""), (target, "out")):
        fill(mount, path, MANY)
    fill(target, "out", {"d0/f0.txt": b"!", "d3/f10.txt": b"!!"})  # as long, and other contents
    report = plan_copy(Place(source, ""), Place(target, "out"), skip="hash").apply(**options)
    assert (report.copied, report.skipped, report.failed) == (2, len(MANY) - 2, 0)
    assert content(target, "out") == MANY
    return source.backend


@pytest.mark.parametrize(
    ("portions", "comparers"),
    [
        ([(0.001, 0.0001)], 0),  # as after a change of processes
        ([(0.1, 0.08)] * 9, 0),
        ([(0.01, 0.001, 0.0099)] * 9, 0),  # a listing was read meanwhile, by another thread
        ([(0.01, 0.001, 0.0099)] * 40, 5),  # it is always so: others of the process are busy
        ([(0.01, 0.001, 0.0099), (0.001, 0.001, 0.001)] * 40, 0),
        ([(0.01, 0.001, 0.004)], 2),
        ([(0.01, 0.001)], 2),
        ([(0.01, 0.001), (0.01, 0.001)], 4),
        ([(0.01, 0.001), (0.01, 0.004)], 2),  # in each other's way
        ([(0.01, 0.0001)] * 9, 5),
    ],
)
def test_what_is_at_hand_is_compared_by_the_thread_that_plans(portions, comparers):
    transfer = Transfer(Place(Mount("src", Streaming()), ""), Place(Mount("dst", Streaming()), ""))
    team = crew.Crew(5, transfer)
    for times in portions:
        team._comparing = team._under_way = 1
        team._take_in(crew._Portion([], crew._Task([], "compared"), *times))
    assert team._comparers == comparers


def test_what_was_found_out_is_told_while_the_listing_goes_on():
    listed, told = [], []

    class Listing(Read):
        def find(self, path, *, enter=None):
            for info in super().find(path, enter=enter):
                time.sleep(0.002)
                listed.append(info)
                yield info

    source, target = Mount("src", Listing(0.005)), Mount("dst", Streaming())
    for mount, path in ((source, ""), (target, "out")):
        fill(mount, path, MANY)
    plan = plan_copy(Place(source, ""), Place(target, "out"), skip="hash")
    plan.apply(concurrency=4, on_skip=lambda *_: told.append(len(listed)))
    assert len(told) == len(MANY)
    assert told[0] < 50
    assert told[50] < 150


def test_the_thread_that_plans_begins():
    assert compared(0.0, concurrency=4).who[threading.get_ident()] > 0


@pytest.mark.parametrize("how", ["threads", "pool"])
def test_what_takes_its_time_is_compared_by_all_threads(how):
    if how == "threads":
        read = compared(0.01, concurrency=4)
    else:
        with ThreadPoolExecutor(4) as pool:
            read = compared(0.01, executor=pool)
        assert read.who[threading.get_ident()] == 0
    assert read.most == 4


def test_an_error_while_comparing_is_that_file_s_and_an_interrupt_ends_it():
    class Broken(Read):
        def read_bytes(self, path, *arguments, **options):
            if path == "d0/f7.txt":
                raise self.error
            return super().read_bytes(path, *arguments, **options)

    for error in (PermissionError(13, "not this"), KeyboardInterrupt()):
        source, target = Mount("src", Broken()), Mount("dst", Streaming())
        source.backend.error = error
        for mount, path in ((source, ""), (target, "out")):
            fill(mount, path, MANY)
        plan = plan_copy(Place(source, ""), Place(target, "out"), skip="hash")
        if isinstance(error, KeyboardInterrupt):
            with pytest.raises(KeyboardInterrupt):
                plan.apply(concurrency=4)
            assert threads() == []
            continue
        report = plan.apply(concurrency=4, on_error="collect")
        assert [each.relpath for each in report.failures] == ["d0/f7.txt"]
        assert report.skipped == len(MANY) - 1
