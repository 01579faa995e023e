"""Where bytes could go wrong on a share: what is carried out late, or whose answer is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import uuid
from pathlib import Path

import pytest

from genro_storage import (
    StorageConnectionError,
    StorageManager,
    StorageNotEmptyError,
    StoragePermissionError,
    StorageValueError,
)
from tests.services.cable import Cable
from tests.services.smb import PASSWORD

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
        options = {"path": place, "port": cable.port, "timeout": 4, "retries": 2}
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
        options = {"path": place, "port": cable.port, "timeout": 4, "retries": 0}
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
        options = {"path": place, "port": cable.port, "timeout": 4, "retries": 0}
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


# -- deleted, and open elsewhere --------------------------------------------------------------------


def _appended(node) -> None:
    with node.open("ab") as stream:
        stream.write(b"new")


_WAYS = {
    "write": lambda node, other: node.write_bytes(b"new"),
    "create": lambda node, other: node._mount.write_bytes(node.path, b"new", if_absent=True),
    "append": lambda node, other: _appended(node),
    "copy": lambda node, other: other.copy_to(node),
    "move": lambda node, other: other.move_to(node),
}


@pytest.mark.parametrize("reader", ["mine", "theirs"])
@pytest.mark.parametrize("way", _WAYS)
def test_what_takes_the_name_of_a_deleted_file_stays_when_its_reader_goes(
    samba, storage, place, way, reader
):
    """Samba keeps the name of a file that is open, and in the end removes whatever has it."""
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    storage.add_mount({"name": "theirs", **samba.mount(path=place)})
    node, other = storage.node("mine:a.txt"), storage.node("mine:b.txt")
    node.write_bytes(b"old content")
    other.write_bytes(b"new")
    with storage.node(f"{reader}:a.txt").open("rb") as stream:
        assert stream.read(4) == b"old "
        node.delete()
        assert not node.exists
        assert [child.name for child in storage.node("mine:").children()] == ["b.txt"]
        _WAYS[way](node, other)
        assert node.read_bytes() == b"new"
        assert stream.read() == b"content"
    storage.close()
    assert (samba.data / place / "a.txt").read_bytes() == b"new"
    assert set(os.listdir(samba.data / place)) - {"b.txt"} == {"a.txt"}


def test_a_directory_waits_for_the_reader_of_what_was_deleted_in_it(samba, storage, place):
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:d/a.txt")
    node.write_bytes(b"old content")
    with node.open("rb") as stream:
        stream.read(1)
        node.delete()
        assert node.parent.children() == []
        for step in (node.parent.rmdir, node.parent.delete):
            with pytest.raises(StorageNotEmptyError, match="still open elsewhere"):
                step()
    node.parent.rmdir()
    assert os.listdir(samba.data / place) == []


@contextlib.contextmanager
def being_deleted(samba, path):
    """Another program has deleted it while somebody reads it; yields what ends the reading."""
    from genro_storage.backends.remote import Bounds
    from genro_storage.backends.smb.client import NO_DIRECTORY, READ, Link
    from genro_storage.backends.smb.files import _delete

    name = path.replace("/", "\\")
    link = Link(
        "127.0.0.1", samba.port, "share", samba.user, PASSWORD, encrypt=False, bounds=Bounds()
    )
    try:
        opened, _ = link.open(name, READ, keep=True)
        _delete(link, name, NO_DIRECTORY)
        yield lambda: link.close_file(opened)
    finally:
        link.close()


@pytest.mark.parametrize("way", _WAYS)
def test_a_file_that_others_are_deleting_is_not_replaced_meanwhile(samba, storage, place, way):
    storage.add_mount({"name": "mine", **samba.mount(path=place, timeout=0.5)})
    node, other = storage.node("mine:a.txt"), storage.node("mine:b.txt")
    node.write_bytes(b"old")
    other.write_bytes(b"new")
    with being_deleted(samba, f"{place}/a.txt"):
        assert not node.exists
        with pytest.raises(StoragePermissionError, match=r"mine:a\.txt: .*being deleted"):
            _WAYS[way](node, other)
    assert other.read_bytes() == b"new"
    assert os.listdir(samba.data / place) == ["b.txt"]
    storage.add_mount({"name": "mine", **samba.mount(path=place, timeout=5)})
    node, other = storage.node("mine:a.txt"), storage.node("mine:b.txt")
    node.write_bytes(b"old")
    with being_deleted(samba, f"{place}/a.txt") as release:
        threading.Timer(0.3, release).start()
        _WAYS[way](node, other)
    assert (samba.data / place / "a.txt").read_bytes() == b"new"


def test_a_file_that_others_keep_replacing_is_found(samba, storage, place):
    """Samba looks it up and opens it in two steps, and says of one in some hundred: not found."""
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node, there = storage.node("mine:a.txt"), samba.data / place / "a.txt"
    there.write_bytes(b"0")
    over = threading.Event()

    def replace():
        aside = there.with_name("aside")
        while not over.wait(0.0003):
            aside.write_bytes(b"x")
            aside.replace(there)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for _ in range(60):
            assert node.read_bytes() in (b"0", b"x")
            with node.open("rb") as stream:
                assert stream.read() in (b"0", b"x")
            assert node.exists
            node.copy_to(storage.node("mine:copied.txt"))
    finally:
        over.set()
        replacing.join()


def test_what_is_not_found_is_asked_for_once_more(samba, storage, place, monkeypatch):
    from smbprotocol.exceptions import ObjectNameNotFound, SMB2HeaderResponse

    from genro_storage.backends.smb.client import Link

    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node, other = storage.node("mine:a.txt"), storage.node("mine:b.txt")
    node.write_bytes(b"x")
    opened, asked = Link.open, []

    def lose_each_second(self, path, access, *actions, **how):
        if path.endswith("a.txt"):
            asked.append(path)
            if len(asked) % 2:
                raise ObjectNameNotFound(SMB2HeaderResponse())
        return opened(self, path, access, *actions, **how)

    monkeypatch.setattr(Link, "open", lose_each_second)
    for step in (
        node.read_bytes,
        lambda: node.open("rb").close(),
        lambda: node.size,
        lambda: node.copy_to(other),
    ):
        before = len(asked)
        step()
        assert len(asked) >= before + 2
        assert not len(asked) % 2


def test_a_file_that_shows_once_more_before_it_is_removed_is_gone(
    samba, storage, place, monkeypatch
):
    """So Samba has it on a busy machine, between the last reader's going and the removal."""
    from genro_storage.backends.smb.share import SmbShare

    storage.add_mount({"name": "mine", **samba.mount(path=place, timeout=5)})
    node = storage.node("mine:a.txt")
    node.write_bytes(b"old")
    asked, shown = [], SmbShare.info(node._mount.bind()._at("")[0]._remote._opened.get(), "a.txt")
    look = SmbShare.info

    def info(self, path, **how):
        if path != "a.txt" or len(asked) == 2:
            return look(self, path, **how)
        asked.append(path)
        if len(asked) == 1:
            return look(self, path, **how)  # which says that it is being deleted
        release()
        return shown

    monkeypatch.setattr(SmbShare, "info", info)
    with being_deleted(samba, f"{place}/a.txt") as release:
        node._mount.write_bytes("a.txt", b"new", if_absent=True)
    assert len(asked) == 2
    assert (samba.data / place / "a.txt").read_bytes() == b"new"


def test_a_deletion_that_fails_gives_the_name_back(samba, storage, place):
    from smbprotocol.file_info import FileAttributes, FileBasicInformation

    from genro_storage.backends.smb.client import SET_ATTRIBUTES
    from genro_storage.backends.smb.messages import setting

    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    node.write_bytes(b"kept")
    fs = node._mount.bind()._at("")[0]._remote._opened.get()

    def mark(attributes: int) -> None:
        info = FileBasicInformation()
        for field in ("creation_time", "last_access_time", "last_write_time", "change_time"):
            info[field] = 0
        info["file_attributes"] = attributes
        fs._do("a.txt", lambda link, name: link.open(name, SET_ATTRIBUTES, setting(info, link)))

    mark(FileAttributes.FILE_ATTRIBUTE_READONLY)
    with node.open("rb") as stream:
        stream.read(1)
        with pytest.raises(StoragePermissionError, match="marked read-only"):
            node.delete()
    assert os.listdir(samba.data / place) == ["a.txt"]
    assert node.read_bytes() == b"kept"
    mark(FileAttributes.FILE_ATTRIBUTE_NORMAL)
    node.delete()
    assert os.listdir(samba.data / place) == []


# -- times ------------------------------------------------------------------------------------------


def test_a_copy_inside_the_share_keeps_the_time(samba, storage, place):
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    node.write_bytes(b"x")
    node._mount.set_mtime("a.txt", 1_000_000_000.25)
    assert node.copy_to("mine:d/b.txt").mtime == 1_000_000_000.25


@pytest.mark.parametrize("moment", [-2e10, -11_644_473_600.0, 1e18, float("inf"), float("nan")])
def test_a_time_that_no_share_can_keep(samba, storage, place, moment):
    from genro_storage.info import Attributes

    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    # Of what is copied the content matters more, and is not refused for it.
    node._mount.write_bytes("a.txt", b"x", attributes=Attributes(mtime=moment, offered=True))
    assert abs(node.mtime - time.time()) < 60
    with pytest.raises(StorageValueError, match="1601"):
        node._mount.set_mtime("a.txt", moment)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be changed here")
def test_a_year_beyond_all_calendars_is_no_error(monkeypatch):
    from smbprotocol.structure import DateTimeField

    from genro_storage.backends.smb.share import written_of

    field = DateTimeField(size=8)
    field.set_value(1 << 62)

    class Opened:
        last_write_time = field.get_value()

    # East of Greenwich, where it would be the year after.
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert written_of(Opened) is None
    finally:
        monkeypatch.undo()
        time.tzset()
