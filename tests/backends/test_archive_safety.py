"""What could lose an archive unseen: an index that is too old, locks of forked processes, data
behind an end mark."""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
import threading

import pytest

from genro_storage import StorageConnectionError, StorageError, StorageManager, StorageNotFoundError
from genro_storage.backends.archives import turns as archive_turns
from genro_storage.backends.archives.file import ArchiveFile, Kept, State
from genro_storage.backends.archives.places import LocalPlace
from tests.services.base import free_port
from tests.support.archives import faraway, pack_tar

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


# -- the index ----------------------------------------------------------------------------------


def test_what_was_read_too_early_stays_doubtful():
    # A change right after the reading may bear the same size and time, and nobody looks until the
    # file has been quiet for hours.
    kept = Kept()
    assert kept.make(State("token", 1, blur=2.0), lambda: "old") == "old"
    quiet = State("token", 1, blur=0.0)
    assert kept.find(quiet) is None
    assert kept.make(quiet, lambda: "new") == "new"
    assert kept.find(quiet) == "new"


def test_what_has_no_time_is_never_trusted():
    kept = Kept()
    state = State("token", 1, blur=None)
    kept.make(state, lambda: "old")
    assert kept.find(state) is None


# -- an archive that is said not to be there ----------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_seemed_missing_is_not_replaced(storage, tmp_path, kind, monkeypatch):
    # As where two programs make it at the same time, or a storage says "missing" for "not now".
    with faraway(tmp_path):
        storage.add_mount({"name": "far", "type": "faraway", "path": str(tmp_path)})
        storage.add_mount({"name": "one", "type": kind, "file": f"far:a.{kind}", "mode": "a"})
        storage.add_mount({"name": "two", "type": kind, "file": f"far:a.{kind}", "mode": "a"})
        storage.node("one:old.txt").write_bytes(b"old")
        before = (tmp_path / f"a.{kind}").read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(ArchiveFile, "state", lambda _self: None)
            with pytest.raises(StorageError):
                storage.node("two:new.txt").write_bytes(b"new")
        assert (tmp_path / f"a.{kind}").read_bytes() == before
        storage.node("two:new.txt").write_bytes(b"new")
        assert sorted(each.basename for each in storage.node("one:").children()) == [
            "new.txt",
            "old.txt",
        ]


def test_an_archive_on_a_dead_web_server_is_not_missing(storage):
    url = f"http://user:hidden@127.0.0.1:{free_port()}/a.zip"
    storage.add_mount({"name": "web", "type": "zip", "file": url})
    (health,) = storage.check("web")
    assert health.state == "unreachable"
    assert "hidden" not in health.reason
    with pytest.raises(StorageConnectionError) as caught:
        _ = storage.node("web:a.txt").exists
    assert "hidden" not in str(caught.value)


# -- data behind the end mark -------------------------------------------------------------------


def _file(name):
    info = tarfile.TarInfo(name)
    info.size = len(name)
    return info


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_archives_one_behind_another_are_not_cut(storage, tmp_path, packed):
    one, two = (
        pack_tar(tmp_path / f"{name}.tar", [(_file(name), name.encode())]).read_bytes()
        for name in ("a.txt", "b.txt")
    )
    both = tmp_path / "both.tar"
    both.write_bytes(packed(one + two))
    before = both.read_bytes()
    storage.add_mount({"name": "tar", "type": "tar", "file": str(both), "mode": "a"})
    assert storage.node("tar:a.txt").read_bytes() == b"a.txt"
    with pytest.raises(StorageError, match="follows the end mark"):
        storage.node("tar:c.txt").write_bytes(b"c")
    assert both.read_bytes() == before


# -- forked processes ---------------------------------------------------------------------------

_FORKING = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def _in_child(step):
    """Run ``step`` in a forked child; its process id. The child ends without pytest's clean-up."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            step()
            code = 0
        finally:
            os._exit(code)
    return child


@needs_fork
@_FORKING
def test_a_child_forked_while_somebody_publishes_keeps_no_lock(tmp_path):
    local = str(tmp_path / "a.zip")
    reading, writing = os.pipe()
    with archive_turns.publishing(local):
        child = _in_child(lambda: (os.close(writing), os.read(reading, 1)))
    try:
        other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert archive_turns.lock(other) is True
        finally:
            os.close(other)
    finally:
        os.close(writing)
        os.close(reading)
        assert os.waitpid(child, 0)[1] == 0


@needs_fork
@_FORKING
def test_a_child_forked_while_a_thread_writes_may_write(tmp_path):
    place = LocalPlace(str(tmp_path / "a.zip"))
    inside, over = threading.Event(), threading.Event()

    def write():
        with archive_turns.turn_of(place):
            inside.set()
            over.wait(60)

    def write_in_child():
        import faulthandler

        faulthandler.dump_traceback_later(20, exit=True, file=sys.__stderr__)
        with archive_turns.turn_of(place):
            pass

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert inside.wait(60)
        assert os.waitpid(_in_child(write_in_child), 0)[1] == 0
    finally:
        over.set()
        thread.join()


def test_an_archive_in_a_place_that_is_missing_is_not_an_empty_one(tmp_path):
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "holder", "type": "zip", "file": str(tmp_path / "no.zip"), "mode": "r"},
                {"name": "inner", "type": "zip", "file": "holder:inner.zip", "mode": "r"},
                {"name": "tarred", "type": "tar", "file": "holder:inner.tar"},
            ]
        )
        for name in ("inner", "tarred"):
            with pytest.raises(StorageNotFoundError, match=r"holder:inner\..*no\.zip"):
                list(storage.node(name, "").children())
            (health,) = storage.check(name)
            assert health.state == "missing"
            assert "no.zip" in health.reason
