"""Where bytes could go wrong on a share: what is carried out late, or whose answer is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from genro_storage import StorageConnectionError, StorageManager
from tests.services.cable import Cable

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def place(samba):
    name = f"here-{uuid.uuid4().hex}"
    (samba.data / name).mkdir()
    return name


@contextlib.contextmanager
def asleep(samba, before):
    """The processes that serve what was connected since ``before`` sleep, and end afterwards."""
    mine = set(samba._children()) - set(before)
    assert mine
    for pid in mine:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in mine:
            os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in mine & set(samba._children())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("verb", ["upload", "small", "copy"])
def test_a_write_that_is_carried_out_late_does_no_harm(samba, storage, place, tmp_path, verb):
    """A process of the server that wakes up carries out what the client has given up and repeated."""
    data = os.urandom(3 * MIB) if verb != "small" else b"small"
    (tmp_path / "local").write_bytes(data)
    (samba.data / place / "source").write_bytes(data)
    before = samba._children()
    storage.add_mount({"name": "mine", **samba.mount(path=place, timeout=1, retries=2)})
    assert storage.node("mine:source").size == len(data)  # connects
    fs = storage.node("mine:")._mount.bind()._at("")[0]._fs
    with asleep(samba, before):
        if verb == "upload":
            fs.put_file(str(tmp_path / "local"), "made")
        elif verb == "small":
            fs.pipe_file("made", data)
        else:
            fs.cp_file("source", "made")
        assert (samba.data / place / "made").read_bytes() == data
    assert (samba.data / place / "made").read_bytes() == data


def test_what_was_longer_is_cut(samba, storage, place, tmp_path):
    """Also where nothing is cut at the beginning."""
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    assert not storage.node("mine:made").exists
    fs = storage.node("mine:")._mount.bind()._at("")[0]._fs
    longer, shorter = os.urandom(2 * MIB), os.urandom(MIB + 1)
    (tmp_path / "local").write_bytes(shorter)
    (samba.data / place / "source").write_bytes(shorter)
    for step in (
        lambda: fs.put_file(str(tmp_path / "local"), "made"),
        lambda: fs.pipe_file("made", shorter),
        lambda: fs.cp_file("source", "made"),
    ):
        (samba.data / place / "made").write_bytes(longer)
        step()
        assert (samba.data / place / "made").read_bytes() == shorter
    for small in (b"x", b""):
        fs.pipe_file("made", small)
        assert (samba.data / place / "made").read_bytes() == small


def test_a_rename_whose_answer_is_lost_is_done(samba, storage, place):
    """The content is there once, under its name, and nothing beside it."""
    with Cable(samba.port) as cable:
        options = {"path": place, "port": cable.port, "timeout": 1, "retries": 2}
        storage.add_mount({"name": "wired", **samba.mount(**options)})
        node = storage.node("wired:a.txt")
        node.write_bytes(b"old")
        backend = node._mount.bind()._at("")[0]
        rename = backend._rename

        def lossy(source: str, target: str) -> None:
            # The request and its answer are some hundred bytes each.
            cable.after(300, cut)
            rename(source, target)

        def cut() -> None:
            deadline = time.monotonic() + 10
            while (samba.data / place / "a.txt").read_bytes() == b"old":
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            cable.cut()
            cable.mend()

        backend._rename = lossy
        node.write_bytes(b"new")
        assert not cable.is_due
        assert node.read_bytes() == b"new"
        assert os.listdir(samba.data / place) == ["a.txt"]
        storage.close()


def test_an_addition_that_fails_leaves_no_file_that_was_not_there(samba, storage, place):
    with Cable(samba.port) as cable:
        options = {"path": place, "port": cable.port, "timeout": 1, "retries": 0}
        storage.add_mount({"name": "wired", **samba.mount(**options)})
        backend = storage.node("wired:")._mount.bind()._at("")[0]
        assert not storage.node("wired:new.txt").exists

        def broken():
            yield b"begun"
            raise ValueError("the source has failed")

        with pytest.raises(ValueError, match="the source"):
            backend._call(lambda fs: fs.append("new.txt", broken), repeat=False)
        assert os.listdir(samba.data / place) == []
        (samba.data / place / "old.txt").write_bytes(b"old")
        with pytest.raises(ValueError, match="the source"):
            backend._call(lambda fs: fs.append("old.txt", broken), repeat=False)
        assert (samba.data / place / "old.txt").read_bytes() == b"old"
        storage.close()


def test_a_close_that_nobody_confirms_is_no_success(samba, storage, place, tmp_path):
    """Only after it the server has surely taken all that was written."""
    (tmp_path / "local").write_bytes(bytes(MIB + 1))
    with Cable(samba.port) as cable:
        options = {"path": place, "port": cable.port, "timeout": 1, "retries": 0}
        storage.add_mount({"name": "wired", **samba.mount(**options)})
        node = storage.node("wired:a.bin")
        assert not node.exists
        fs = node._mount.bind()._at("")[0]._remote._opened.get()
        link = fs._links[False]
        close = link.close_written

        def late(opened) -> None:
            cable.cut()
            cable.mend()
            close(opened)

        link.close_written = late
        with pytest.raises(StorageConnectionError):
            node._mount.upload(tmp_path / "local", "a.bin")
        assert not (samba.data / place / "a.bin").exists()
        storage.close()
