"""Small files that come before the first of them is written: each is still a file of its own."""

from __future__ import annotations

import functools
import gc
import threading
import time
from types import FrameType

import pytest

from genro_storage import StorageManager
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.exceptions import (
    StorageChangedError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
)
from genro_storage.info import Coming
from genro_storage.mount import Mount
from genro_storage.transfer import CopyFile, Place, ThreadedExecutor, Transfer, plan_copy
from genro_storage.transfer.execution import crew, load
from genro_storage.transfer.execution.ahead import Ahead
from genro_storage.transfer.terms import Terms
from tests.services.proxy import Proxy
from tests.support.trees import Streaming, content, fill

MANY = {f"d{number % 3}/f{number:03}": b"%d" % number for number in range(150)}


@pytest.fixture(autouse=True)
def whole_portions(monkeypatch):
    """As where this process is busy, which a test cannot rely on."""
    monkeypatch.setattr(crew, "_SECONDS", 3600.0)


class Eager(Streaming):
    """Fetches what it is asked for at once, and remembers which; the paths in ``broken`` fail."""

    def __init__(self):
        super().__init__()
        self.broken, self.together, self.alone = set(), [], []

    def load_each(self, paths):
        self.together.append(list(paths))
        return Coming([self._fetched(path) for path in paths], True)

    def _fetched(self, path):
        try:
            found = self._brought(path)
        except OSError as error:
            failure = error

            def fail():
                raise failure

            return fail
        return lambda: found

    def load(self, path):
        self.alone.append(path)
        return self._brought(path)

    def _brought(self, path):
        if path in self.broken:
            raise PermissionError(13, "not this one")
        return super().load(path)


def copied(source, target, **options):
    return plan_copy(Place(source, ""), Place(target, "out")).apply(**options)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_small_files_come_together_and_each_once(concurrency, tmp_path):
    source, target = Mount("src", Eager()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", MANY)
    report = copied(source, target, executor=ThreadedExecutor(concurrency))
    assert content(target, "out") == MANY
    assert report.copied == len(MANY)
    asked = [path for paths in source.backend.together for path in paths]
    assert sorted([*asked, *source.backend.alone]) == sorted(MANY)
    assert max(map(len, source.backend.together)) > 10
    # The first ones, which are handed out one by one; not those beside a directory to be made.
    assert len(source.backend.alone) < 20


def test_one_that_fails_is_told_of_itself_and_the_others_arrive(tmp_path):
    source, target = Mount("src", Eager()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", MANY)
    source.backend.broken = {"d0/f030", "d1/f100"}
    report = copied(source, target, concurrency=4, on_error="collect")
    assert sorted(each.relpath for each in report.failures) == ["d0/f030", "d1/f100"]
    for each in report.failures:
        assert str(each.error).startswith(f"src:{each.relpath}: ")
        assert isinstance(each.error, StoragePermissionError)
    assert content(target, "out") == {
        name: data for name, data in MANY.items() if name not in source.backend.broken
    }


def test_what_has_changed_since_it_was_listed_is_asked_for_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("genro_storage.transfer.execution.attempting._PAUSE", 0.001)
    source, target = Mount("src", Eager()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", MANY)
    plan = plan_copy(Place(source, ""), Place(target, "out"))
    actions = list(plan)
    fill(source, "", {"d0/f030": b"longer than it was"})
    report = plan.apply(concurrency=2, fresh=True)
    assert len([each for each in actions if isinstance(each, CopyFile)]) == len(MANY)
    assert report.failures == ()
    assert target.read_bytes("out/d0/f030") == b"longer than it was"


def test_another_attempt_does_not_use_what_had_come():
    source = Mount("src", Eager())
    fill(source, "", {"a": b"old", "b": b"other"})
    ahead = Ahead(source, fetches=True)
    actions = [CopyFile(info.path, info, None, "missing") for info in source.find("")]
    assert ahead.fetch(actions) is True
    fill(source, "", {"a": b"new"})
    assert (ahead.load("a").data, ahead.load("a").data) == (b"old", b"new")
    ahead.forget(actions)
    assert ahead.load("b").data == b"other"
    assert source.backend.alone == ["a", "b"]


def test_large_ones_are_not_held(tmp_path):
    source, target = Mount("src", Eager()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", {f"f{number}": bytes(40_000) for number in range(40)})
    assert copied(source, target, concurrency=2).copied == 40
    assert source.backend.together == []


def test_local_files_are_read_together_and_sent_as_they_were(tmp_path):
    loads = []

    class Local(LocalBackend):
        def load_each(self, paths):
            loads.append(threading.get_ident())
            return super().load_each(paths)

    source, target = Mount("src", Local(tmp_path)), Mount("dst", Streaming())
    fill(source, "", MANY)
    (tmp_path / "d0" / "f030").unlink()
    plan = plan_copy(Place(source, ""), Place(target, "out"))
    assert list(plan)
    report = plan.apply(concurrency=2)
    assert report.copied == len(MANY) - 1
    assert content(target, "out") == {k: v for k, v in MANY.items() if k != "d0/f030"}
    assert loads


def test_a_local_file_that_cannot_be_read_is_told_when_it_is_its_turn(tmp_path):
    backend = LocalBackend(tmp_path)
    (tmp_path / "a").write_bytes(b"1")
    (first, second), have_come = backend.load_each(["a", "missing"])
    assert have_come
    assert first().data == b"1"
    with pytest.raises(FileNotFoundError):
        second()


class Slow(Streaming):
    """Each reading takes its time; how many were under way at once."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self.lock = 0, 0, threading.Lock()

    def load(self, path):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.005)
        with self.lock:
            self.now -= 1
        return super().load(path)


class SlowEnds(Slow):
    def load_each(self, paths):
        return Coming([functools.partial(self.load, path) for path in paths], False)


@pytest.mark.parametrize("kind", [Slow, SlowEnds])
def test_what_has_not_come_is_waited_for_by_all_threads_at_once(kind, tmp_path, monkeypatch):
    """Only what is left to do here is done by one at a time, where the crew is busy."""
    monkeypatch.setattr(load, "LOOK", 0.0)
    monkeypatch.setattr(load, "_BUSY", 0.0)
    source, target = Mount("src", kind()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", MANY)
    assert copied(source, target, concurrency=4).copied == len(MANY)
    assert source.backend.most == 4


def test_what_is_compared_afterwards_is_not_kept_waiting(tmp_path, monkeypatch):
    assert Ahead(Mount("src", Eager()), fetches=True).fetch([]) is False
    source, target = Mount("src", Eager()), Mount("dst", LocalBackend(tmp_path))
    for verify, ends in ((None, True), ("checksum", False)):
        transfer = Transfer(Place(source, ""), Place(target, ""), terms=Terms(verify=verify))
        fill(source, "", {"a": b"1", "b": b"2"})
        actions = [CopyFile(info.path, info, None, "missing") for info in source.find("")]
        assert (transfer.ahead.fetch(actions), transfer.ends_here) == (True, ends)


def test_where_asking_for_several_fails_each_says_so_itself(tmp_path):
    class Refusing(Eager):
        def load_each(self, paths):
            raise OSError(5, "not several")

        def load(self, path):
            if path == "d0/f030":
                raise PermissionError(13, "not this one")
            return super().load(path)

    source, target = Mount("src", Refusing()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", MANY)
    report = copied(source, target, concurrency=4, on_error="collect")
    assert [each.relpath for each in report.failures] == ["d0/f030"]
    assert report.copied == len(MANY) - 1


def test_a_copy_that_is_given_up_asks_for_nothing_more(tmp_path):
    source, target = Mount("src", Eager()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", {"a": b"1", "b": b"2"})
    transfer = Transfer(Place(source, ""), Place(target, ""))
    transfer.stop()
    actions = [CopyFile(info.path, info, None, "missing") for info in source.find("")]
    team = crew.Crew(2, transfer)
    team._carry_out(crew._Task(actions))
    assert source.backend.together == []
    assert team._results.wait().done == []


def test_without_anything_better_there_is_none():
    assert MemoryBackend().load_each(["a"]) is None
    assert Mount("m", MemoryBackend()).load_each(["a"]) is None
    assert Mount("m", MemoryBackend()).load_each([]) is None


@pytest.mark.services
def test_a_server_that_falls_silent_is_waited_for_once(moto_server):
    """Not for each file in turn, before anybody hears of it."""
    config = {**moto_server.mount(), "timeout": 4, "retries": 0}
    with Proxy(moto_server.port) as proxy, StorageManager() as storage:
        storage.add_mount({"name": "far", **config, "endpoint_url": proxy.url})
        paths = [f"f{number}" for number in range(9)]
        for path in paths:
            storage.node(f"far:{path}").write_bytes(path.encode())
        found = []

        def ask():
            found.append(storage.node("far:")._mount.load_each(paths))

        def run():
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
            return found.pop()

        come = run()
        assert come.have_come
        assert [end().data for end in come.ends] == [path.encode() for path in paths]
        storage.node("far:f2").delete()
        proxy.gate = lambda asked: time.sleep(9) if asked.path.endswith("f4") else None
        with proxy.counting() as asked:
            come = run()
        assert not come.have_come
        assert len([each for each in asked if each.operation == "GET"]) == 5
        assert [end is not None for end in come.ends] == [True] * 5 + [False] * 4
        assert come.ends[1]().data == b"f1"
        with pytest.raises(StorageNotFoundError, match="far:f2"):
            come.ends[2]()
        proxy.gate = None
        with pytest.raises(StorageTimeoutError, match="far:f4"):
            come.ends[4]()


@pytest.mark.services
def test_one_that_is_missing_does_not_hold_what_has_come_of_the_others(moto_server):
    """By its traceback it would, until the garbage collector comes."""
    with StorageManager() as storage:
        storage.add_mount({"name": "far", **moto_server.mount(), "retries": 0})
        storage.node("far:there").write_bytes(b"content")
        found = []

        def ask():
            come = storage.node("far:")._mount.load_each(["there", "gone", "there"])
            found.append(come.ends[0]().data)
            with pytest.raises(StorageNotFoundError):
                come.ends[1]()

        gc.collect()
        gc.disable()
        try:
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
            assert found == [b"content"]
            frames = [each for each in gc.get_objects() if isinstance(each, FrameType)]
            assert [each for each in frames if each.f_code.co_name == "read_each"] == []
        finally:
            gc.enable()


def test_a_source_that_never_rests_is_still_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("genro_storage.transfer.execution.attempting._PAUSE", 0.001)

    class Growing(Eager):
        def load(self, path):
            found = super().load(path)
            return found._replace(data=found.data + b"!")

    source, target = Mount("src", Growing()), Mount("dst", LocalBackend(tmp_path))
    fill(source, "", {"a": b"1"})
    with pytest.raises(StorageChangedError, match="src:a"):
        copied(source, target, concurrency=2, retries=1)
