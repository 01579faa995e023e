"""Where bytes could go wrong: forks, slow lines, readers beside those who replace a file."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import StorageError, StorageManager, StorageNotFoundError
from tests.services.cable import Cable
from tests.services.webdav import PASSWORD, USER

pytestmark = pytest.mark.services


@pytest.fixture
def opened():
    with StorageManager() as storage:

        def open_mount(config, **more):
            storage.configure([{"name": "w", **config, **more}])
            return storage.node("w:")

        yield open_mount


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_leaves_the_connections_alone(opened, apache):
    root = opened(apache.mount(secrets.token_hex(8)), retries=0)
    size = 4_000_000
    for name in "abc":
        (root / name).write_bytes(name.encode() * size)
    stream = (root / "a").open("rb")  # has a connection under way
    assert stream.read(10) == b"a" * 10
    children = []
    for name in "bc":
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                # Both find the same idle connection in what they have inherited.
                whole = all((root / name).read_bytes() == name.encode() * size for _ in range(10))
                rest = stream.read() if name == "b" else b"a" * (size - 10)
                status = 0 if whole and rest == b"a" * (size - 10) else 2
            os._exit(status)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert statuses == [0, 0]
    assert stream.read() == b"a" * (size - 10)
    stream.close()
    assert (root / "b").read_bytes() == b"b" * size


@pytest.mark.slow
@pytest.mark.parametrize("step", ["write", "copy", "move"])
def test_what_is_replaced_at_once_is_never_missing(opened, apache, step):
    """``atomic_operations`` is said of every way to write to a file."""
    root = opened(apache.mount(secrets.token_hex(8)), commit="put")
    assert root.capabilities.atomic_operations
    contents = [b"A" * 30_000, b"B" * 20_001]
    node = root / "t.bin"
    node.write_bytes(contents[0])
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            assert node.read_bytes() in contents

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for turn in range(60):
                if step == "write":
                    node.write_bytes(contents[turn % 2])
                    continue
                other = root / "other.bin"
                other.write_bytes(contents[turn % 2])
                if step == "copy":
                    other.copy_to(node)
                else:
                    other.move_to(node)
                    with pytest.raises(StorageNotFoundError):
                        (root / "other.bin").read_bytes()
        finally:
            done.set()
        for each in readers:
            each.result()
    assert node.read_bytes() == contents[1]
    assert len(os.listdir(apache.data / root._mount.bind()._at("")[0]._settings.url[-16:])) <= 2


def test_a_turn_that_is_fresh_again_is_not_taken_away(opened, apache, monkeypatch):
    """Between the look at one that was left behind and its removal others may have begun theirs."""
    from genro_storage.backends.webdav import turns as webdav_turns

    name = secrets.token_hex(8)
    root = opened(apache.mount(name))
    place = apache.data / name / webdav_turns._turn_of("once")
    place.mkdir()
    apache.own(place)
    os.utime(place, (0, 0))
    backend = root._mount.bind()._at("")[0]
    unique_name = webdav_turns.unique_name

    def slowly(full):
        os.utime(place)  # as if somebody had removed it and made another
        return unique_name(full)

    monkeypatch.setattr(webdav_turns, "unique_name", slowly)
    webdav_turns._take_away_if_stale(backend._remote, webdav_turns._turn_of("once"))
    assert place.is_dir()
    os.utime(place, (0, 0))
    monkeypatch.setattr(webdav_turns, "unique_name", unique_name)
    webdav_turns._take_away_if_stale(backend._remote, webdav_turns._turn_of("once"))
    assert os.listdir(apache.data / name) == []


@pytest.mark.parametrize("commit", ["move", "put"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("a.txt", "A.txt"), ("Sub/a.txt", "sub/A.TXT"), ("Sub/a.txt", "sub/a.txt")],
)
def test_a_name_in_other_letters_is_no_other_file(opened, caseless, commit, before, after):
    """To make room for a MOVE such a server would remove what is to be moved."""
    name = secrets.token_hex(8)
    root = opened(caseless.mount(name), commit=commit)
    (root / before).write_bytes(b"all there is")
    (root / before).move_to(root / after)
    assert (root / after).read_bytes() == b"all there is"
    [found] = [each for each in (caseless.data / name).rglob("*") if each.is_file()]
    assert found.name == after.rpartition("/")[2]


@pytest.mark.parametrize("commit", ["move", "put"])
def test_a_name_in_other_letters_is_another_file_where_both_are_there(opened, apache, commit):
    name = secrets.token_hex(8)
    root = opened(apache.mount(name), commit=commit)
    (root / "a.txt").write_bytes(b"moved")
    (root / "A.txt").write_bytes(b"replaced")
    (root / "a.txt").move_to(root / "A.txt")
    assert os.listdir(apache.data / name) == ["A.txt"]
    assert (root / "A.txt").read_bytes() == b"moved"


@pytest.mark.parametrize("removed", [True, False])
def test_a_name_in_other_letters_that_fails_keeps_the_file(opened, caseless, monkeypatch, removed):
    name = secrets.token_hex(8)
    root = opened(caseless.mount(name))
    (root / "a.txt").write_bytes(b"all there is")

    def fail(*_):
        if removed:  # as a server does first
            (caseless.data / name / "a.txt").unlink()
        raise OSError("and then it failed")

    monkeypatch.setattr(root._mount.bind()._at("")[0], "_take_name", fail)
    with pytest.raises(StorageError, match="and then it failed"):
        (root / "a.txt").move_to(root / "A.txt")
    assert os.listdir(caseless.data / name) == ["a.txt"]
    assert (root / "a.txt").read_bytes() == b"all there is"


def test_a_server_that_gets_its_own_address_wrong_is_understood(opened, apache):
    """It redirects to https://cloud.example.org/…/ where a slash is missing."""
    name = secrets.token_hex(8)
    config = {**apache.mount(name), "commit": "put"}
    url = config["url"].replace(f":{apache.port}/", f":{apache.inner_port}/")
    root = opened(config, url=url, retries=0)
    (root / "d/e").mkdir(parents=True)
    (root / "d/a.txt").write_bytes(b"x")
    assert (root / "d").isdir
    assert [node.path for node in root.rglob("*")] == ["d", "d/a.txt", "d/e"]
    with pytest.raises(StorageError, match="rewrite the header 'Destination'"):
        (root / "d/a.txt").copy_to(root / "d/b.txt")


def test_a_file_that_is_written_into_is_not_uploaded(opened, apache, tmp_path, monkeypatch):
    from genro_storage.backends.webdav import http as webdav_http

    name = secrets.token_hex(8)
    root = opened(apache.mount(name), commit="put")
    (root / "a.bin").write_bytes(b"old")
    local = tmp_path / "local"
    for change in (b"longer" * 100_000, b"shorter", b"y" * 300_000):
        local.write_bytes(b"x" * 300_000)
        os.utime(local, (0, 0))
        state = webdav_http.LocalFile._state

        def changing(self, change=change, state=state):
            before = state(self)
            local.write_bytes(change)
            return before

        with monkeypatch.context() as patched:
            patched.setattr(webdav_http.LocalFile, "_state", changing)
            with pytest.raises(StorageError, match="changed while it was uploaded"):
                root._mount.upload(local, "a.bin")
        assert (root / "a.bin").read_bytes() == b"old"
        assert os.listdir(apache.data / name) == ["a.bin"]


class _SlowLine(Cable):
    """Some 500 KiB a second towards the server, with small buffers on the way."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)

    def _forward(self, source, sink) -> None:
        towards = source.getsockname()[1] == self.port
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                if towards:
                    time.sleep(0.03)
                sink.sendall(data)
        for each in (source, sink):
            each.close()


@pytest.mark.slow
@pytest.mark.parametrize(("secured", "how"), [(False, "file"), (True, "bytes")])
def test_a_line_that_is_slow_is_not_silent(opened, apache, tmp_path, secured, how):
    name = secrets.token_hex(8)
    apache.fresh(name)
    data = os.urandom(1_600_000)
    (tmp_path / "local").write_bytes(data)
    with _SlowLine(apache.secure_port if secured else apache.port) as cable:
        url = f"{'https' if secured else 'http'}://127.0.0.1:{cable.port}/{name}"
        root = opened(
            {"type": "webdav", "url": url, "username": USER, "password": PASSWORD},
            **({"verify_ssl": str(apache.directory / "authority.pem")} if secured else {}),
            timeout=2,
            retries=0,
        )
        started = time.monotonic()
        if how == "bytes":
            (root / "a.bin").write_bytes(data)
        else:
            root._mount.upload(tmp_path / "local", "a.bin")
        assert time.monotonic() - started > 2, "the line was to be slow"
        assert (root / "a.bin").read_bytes() == data


def test_a_name_that_the_server_cannot_take_is_thought_of(wsgidav):
    """wsgidav hangs up on what is no UTF-8, and says nothing."""
    with StorageManager() as storage:
        storage.add_mount({"name": "w", **wsgidav.mount(secrets.token_hex(4)), "retries": 0})
        with pytest.raises(StorageError, match="take a name like this"):
            storage.node("w:caf\udce9.txt").write_bytes(b"x")
