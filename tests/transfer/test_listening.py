"""Who hears of a copy, when, and in which thread; what bytes of large files are told while they move."""

from __future__ import annotations

import threading

import pytest

from genro_storage import StorageManager
from genro_storage.transfer import BytesMoved, FileDone, FileStarted, Finished, Started

MIB = 1024 * 1024


class Ears:
    """A reporter that keeps everything, and who told it."""

    def __init__(self, *, from_any_thread=False, needs_totals=True):
        self.from_any_thread = from_any_thread
        self.needs_totals = needs_totals
        self.events = []
        self.threads = set()

    def __call__(self, event):
        self.events.append(event)
        self.threads.add(threading.get_ident())

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def moved(self):
        return [event.count for event in self.of(BytesMoved)]


@pytest.fixture
def storage(tmp_path):
    found = StorageManager()
    found.configure(
        [
            {"name": "a", "type": "local", "path": str(tmp_path / "a"), "create": True},
            {"name": "b", "type": "local", "path": str(tmp_path / "b"), "create": True},
            {"name": "m", "type": "memory"},
        ]
    )
    with found:
        yield found


@pytest.mark.parametrize("target", ["a:copy", "b:copy"])
def test_a_local_copy_is_told_in_steps(storage, tmp_path, target):
    with (tmp_path / "a" / "large").open("wb") as stream:
        stream.truncate(70 * MIB)
    ears = Ears()
    storage.node("a:large").copy_to(target, reporter=ears)
    assert ears.moved == [64 * MIB, 6 * MIB]
    assert ears.threads == {threading.get_ident()}


def test_a_narrow_bandwidth_shows_in_small_steps(storage):
    storage.node("a:x").write_bytes(bytes(100_000))
    ears = Ears()
    storage.node("a:x").copy_to("a:y", reporter=ears, bandwidth=200_000)
    assert (ears.moved, storage.node("a:y").size) == ([50_000, 50_000], 100_000)


@pytest.mark.services
@pytest.mark.parametrize("from_any_thread", [False, True])
def test_parts_are_told_as_they_go_to_s3_and_come_from_there(
    storage, moto_server, tmp_path, from_any_thread
):
    storage.configure([{"name": "s3", **moto_server.mount()}])
    with (tmp_path / "a" / "large").open("wb") as stream:
        stream.truncate(40 * MIB)
    for source, target, least in (("a:large", "s3:large", 5), ("s3:large", "b:large", 2)):
        ears = Ears(from_any_thread=from_any_thread)
        storage.node(source).copy_to(target, reporter=ears)
        assert sum(ears.moved) == 40 * MIB
        assert len(ears.moved) >= least
        kinds = [type(event) for event in ears.events]
        assert kinds.index(FileStarted) < kinds.index(BytesMoved) < kinds.index(FileDone)
        if not from_any_thread:
            assert ears.threads == {threading.get_ident()}
    assert (tmp_path / "b" / "large").stat().st_size == 40 * MIB


@pytest.mark.services
@pytest.mark.parametrize("from_any_thread", [False, True])
def test_what_a_reporter_raises_ends_the_copy_whoever_told_it(
    storage, moto_server, tmp_path, from_any_thread
):
    storage.configure([{"name": "s3", **moto_server.mount()}])
    with (tmp_path / "a" / "large").open("wb") as stream:
        stream.truncate(40 * MIB)

    def refuse(event):
        if event.event == "bytes_moved":
            raise LookupError("no more")

    refuse.from_any_thread = from_any_thread
    with pytest.raises(LookupError, match="no more"):
        storage.node("a:large").copy_to("s3:large", reporter=refuse)


@pytest.mark.parametrize("needs_totals", [True, False])
def test_who_needs_no_totals_is_not_told_them_and_nothing_is_held(storage, needs_totals):
    for name in ("x", "y"):
        storage.node("m:from", name).write_bytes(b"12")
    ears = Ears(needs_totals=needs_totals)
    storage.node("m:from").copy_to("m:to", reporter=ears)
    totals = [(event.files, event.bytes) for event in ears.of(Started)]
    assert totals == [(None, None), (2, 4)][: 1 + needs_totals]
    assert [event.relpath for event in ears.of(FileDone)] == ["x", "y"]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_who_does_not_follow_files_hears_what_has_become_of_each(storage, concurrency):
    for name in ("x", "y"):
        storage.node("m:from", name).write_bytes(b"12")
    ears = Ears()
    ears.follows_files = False
    storage.node("m:from").copy_to("m:to", reporter=ears, concurrency=concurrency)
    told = [event for event in ears.events if not isinstance(event, Started | Finished)]
    assert sorted(event.to_dict()["relpath"] for event in told) == ["x", "y"]
    assert {type(event) for event in told} == {FileDone}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_report_of_an_interrupted_copy_counts_all_that_has_arrived(storage, error):
    for number in range(200):
        storage.node("m:from", f"{number:03}").write_bytes(b"x")
    started = reports = 0

    def interrupt(event):
        nonlocal started, reports
        if isinstance(event, FileStarted):
            started += 1
            if started == 20:
                raise error
        elif isinstance(event, Finished):
            reports = event.report.copied

    with pytest.raises(error):
        storage.node("m:from").copy_to("m:to", reporter=interrupt, concurrency=4)
    assert reports == len(storage.node("m:to").children()) < 200
