"""Small files that come before the first of them is written: each is still a file of its own."""

from __future__ import annotations

import functools
import threading

import pytest

from genro_storage.backends.local import LocalBackend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.exceptions import StorageChangedError, StoragePermissionError
from genro_storage.mount import Mount
from genro_storage.transfer import CopyFile, Place, ThreadedExecutor, plan_copy
from genro_storage.transfer.execution import crew
from genro_storage.transfer.execution.ahead import Ahead
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
        return [self._fetched(path) for path in paths]

    def _fetched(self, path):
        try:
            if path in self.broken:
                raise PermissionError(13, "not this one")
            found = super().load(path)
        except OSError as error:
            failure = error

            def fail():
                raise failure

            return fail
        return lambda: found

    def load(self, path):
        self.alone.append(path)
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
    ahead = Ahead(source, fetches=True, into_local=False)
    actions = [CopyFile(info.path, info, None, "missing") for info in source.find("")]
    assert ahead.fetch(actions) is False
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
    first, second = backend.load_each(["a", "missing"])
    assert first().data == b"1"
    with pytest.raises(FileNotFoundError):
        second()


def test_without_anything_better_each_is_loaded_when_it_is_its_turn():
    backend = MemoryBackend()
    backend.write_bytes("a", b"1")
    (end,) = backend.load_each(["a"])
    assert isinstance(end, functools.partial)
    backend.write_bytes("a", b"2")
    assert end().data == b"2"


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
