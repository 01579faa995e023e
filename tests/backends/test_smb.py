"""What is particular to shares: sessions, refusals in words, bounds, contents."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import sys
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from genro_storage import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageFullError,
    StorageManager,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
)
from tests.services.base import running
from tests.services.cable import Cable
from tests.services.interrupted import InterruptedTransfers, within
from tests.services.smb import PASSWORD, Samba

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def place(samba):
    """A fresh directory of the server, by its name."""
    name = f"here-{uuid.uuid4().hex}"
    (samba.data / name).mkdir()
    return name


@pytest.fixture
def node(samba, storage, place):
    """A file of a mount of that directory."""
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    return storage.node("mine:file.bin")


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """A server that tests may stop."""
    yield from running(Samba, tmp_path_factory)


def files_of(node) -> Any:
    """The filesystem under a node's mount."""
    backend, _ = node._mount.bind()._at("")
    return backend._remote._opened.get()


def refused(kind: type[StorageError], step, *words: str) -> None:
    """Exactly this class, with these words, and no secret in all that is printed."""
    with pytest.raises(StorageError) as caught:
        step()
    assert type(caught.value) is kind, repr(caught.value)
    for word in words:
        assert word in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown
    assert "wrong secret" not in shown


# -- configuring ----------------------------------------------------------------------------------


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_CONFIGURE = """
import sys
{before}
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{{"name": "m", "type": "smb", "host": "192.0.2.1", "share": "s"}}])
assert storage.node("m:").capabilities.append_mode
{after}
"""


def test_configuring_connects_to_nothing_and_imports_no_client():
    after = "print([name for name in sys.modules if name.split('.')[0] in "
    after += "('smbprotocol', 'smbclient', 'spnego', 'cryptography')])"
    assert run(_CONFIGURE.format(before="", after=after)) == "[]"
    code = "import genro_storage.backends.smb, sys; print('fsspec' in sys.modules)"
    assert run(code) == "False"


def test_a_missing_extra_is_named_at_the_first_use():
    after = """
try:
    storage.node("m:x").read_bytes()
except Exception as error:
    print(type(error).__name__, error)
"""
    said = run(_CONFIGURE.format(before="sys.modules['smbprotocol'] = None", after=after))
    assert said.startswith("StorageMissingExtraError mount 'm' (smb): ")
    assert said.endswith('install it with: pip install "genro-storage[smb]"')


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": "a/b"}, "'share'"),
        ({"host": "smb://nas"}, "'host'"),
        ({"host": "a..b"}, "'host'"),
        ({"path": "a/../b"}, "'path'"),
        ({"path": "a/what?"}, "'?'"),
        ({"path": "a", "base_path": "b"}, "'base_path'"),
        ({"password": "wrong secret"}, "'username'"),
        ({"domain": "d"}, "'username'"),
        ({"username": "d\\u", "domain": "d"}, "'domain'"),
        ({"port": 0}, "'port'"),
        ({"timeout": 0}, "'timeout'"),
        ({"user": "me"}, "username"),
        ({"share": ""}, "'share'"),
    ],
)
def test_options_that_cannot_be_meant(storage, options, words):
    mount = {"name": "m", "type": "smb", "host": "h", "share": "s", **options}
    with pytest.raises(StorageConfigError) as caught:
        storage.add_mount(mount)
    assert words in str(caught.value)
    assert "wrong secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["path", "base_path"])
def test_a_root_may_be_spelled_in_several_ways(samba, storage, place, key):
    (samba.data / place / "sub").mkdir()
    for number, spelling in enumerate((f"{place}/sub", f"\\{place}\\sub\\", f"/{place}//sub/")):
        storage.add_mount({"name": f"m{number}", **samba.mount(**{key: spelling})})
        storage.node(f"m{number}:n{number}").write_bytes(b"x")
    assert sorted(os.listdir(samba.data / place / "sub")) == ["n0", "n1", "n2"]


def test_two_mounts_of_one_place_are_recognised(samba, storage, place):
    (samba.data / place / "d").mkdir()
    storage.add_mount({"name": "outer", **samba.mount(path=place)})
    storage.add_mount({"name": "inner", **samba.mount(share="SHARE", path=f"{place}/d")})
    storage.add_mount({"name": "other", **samba.mount(share="other")})
    assert storage.node("outer:d/f").samefile("inner:f")
    assert not storage.node("outer:f").samefile("inner:f")
    assert not storage.node("other:f").samefile("inner:f")


# -- who is let in --------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_beside_a_mount_that_is_in(samba, storage, node):
    node.write_bytes(b"x")
    storage.add_mount({"name": "wrong", **samba.mount(password="wrong secret")})
    wrong = storage.node("wrong:file.bin")
    for step in (wrong.read_bytes, lambda: wrong.exists, lambda: wrong.write_bytes(b"y")):
        refused(StoragePermissionError, step, "wrong:", "'username' and 'password'")
    refused(StoragePermissionError, storage.node("wrong:")._mount.check, "wrong:", "'password'")
    assert node.read_bytes() == b"x"


def test_an_unknown_user_is_refused(samba, storage):
    storage.add_mount({"name": "who", **samba.mount(username="no-such-user")})
    refused(StoragePermissionError, lambda: storage.node("who:a").exists, "who:", "'username'")


def test_nobody_without_credentials(samba, storage):
    mount = samba.mount()
    del mount["username"], mount["password"]
    storage.add_mount({"name": "anyone", **mount})
    refused(StoragePermissionError, storage.node("anyone:a").read_bytes, "'username'")


def test_a_domain_goes_with_the_user(samba, storage):
    storage.add_mount({"name": "mine", **samba.mount(domain="WORKGROUP")})
    assert storage.node("mine:no-such-file").exists is False


def test_a_share_that_does_not_exist(samba, storage):
    storage.add_mount({"name": "lost", **samba.mount(share="no-such-share")})
    node = storage.node("lost:d/a.txt")
    for step in (node.read_bytes, lambda: node.write_bytes(b"x"), node._mount.check):
        refused(StorageNotFoundError, step, "lost:", "'no-such-share'", "'share'")


def test_a_root_that_does_not_exist(samba, storage, place):
    storage.add_mount({"name": "lost", **samba.mount(path=f"{place}/no/such")})
    node = storage.node("lost:d/a.txt")
    steps = (
        node.read_bytes,
        lambda: node.write_bytes(b"x"),
        lambda: storage.node("lost:a.txt").write_bytes(b"x"),
        storage.node("lost:new").mkdir,
        lambda: storage.node("lost:").children(),
        lambda: node.open("ab").close(),
        node._mount.check,
    )
    for step in steps:
        refused(StorageNotFoundError, step, "lost:", f"'{place}/no/such'", "'path'")
    assert os.listdir(samba.data / place) == []
    (samba.data / place / "no/such").mkdir(parents=True)
    node.write_bytes(b"x")
    assert node.read_bytes() == b"x"


def test_a_root_that_is_a_file(samba, storage, place):
    (samba.data / place / "f").write_bytes(b"x")
    storage.add_mount({"name": "odd", **samba.mount(path=f"{place}/f")})
    refused(StorageNotDirectoryError, storage.node("odd:")._mount.check, "odd:")


def test_a_read_only_share_can_be_read(samba, storage, place):
    (samba.data / place / "a.txt").write_bytes(b"there")
    storage.add_mount({"name": "locked", **samba.mount(share="locked", path=place)})
    node = storage.node("locked:a.txt")
    assert node.read_bytes() == b"there"
    for step in (
        lambda: node.write_bytes(b"x"),
        node.delete,
        storage.node("locked:d").mkdir,
        lambda: storage.node("locked:d/e/f").write_bytes(b"x"),
        lambda: node.move_to("locked:b.txt"),
    ):
        refused(StoragePermissionError, step, "locked:", "read-only")
    assert os.listdir(samba.data / place) == ["a.txt"]
    assert node.read_bytes() == b"there"


def test_a_share_for_others(samba, storage):
    storage.add_mount({"name": "private", **samba.mount(share="private")})
    refused(StoragePermissionError, lambda: storage.node("private:a").exists, "'private'")


@pytest.fixture
def other(samba):
    """What the share ``other`` shows."""
    if getpass.getuser() != "root":
        pytest.skip("only root has another user at hand")
    samba.other.mkdir()
    samba.other.chmod(0o777)
    yield samba.other
    shutil.rmtree(samba.other)


def test_a_file_that_the_user_may_not_see_is_not_missing(samba, storage, other):
    storage.add_mount({"name": "other", **samba.mount(share="other")})
    secret = other / "secret"
    secret.mkdir(mode=0o700)
    (secret / "a.txt").write_bytes(b"x")
    (other / "b.txt").write_bytes(b"x")
    (other / "b.txt").chmod(0o600)
    for node in (storage.node("other:secret/a.txt"), storage.node("other:b.txt")):
        refused(StoragePermissionError, node.read_bytes, node.fullpath)
    refused(StoragePermissionError, lambda: storage.node("other:secret/a.txt").exists)
    refused(StoragePermissionError, lambda: storage.node("other:secret").children())


def test_a_plain_user_replaces_a_plain_file(samba, storage, other):
    # Others (smbclient) open what they replace for execution, which plain files forbid.
    storage.add_mount({"name": "other", **samba.mount(share="other")})
    node = storage.node("other:plain.txt")
    node.write_bytes(b"old")
    (other / "plain.txt").chmod(0o644)
    node.write_bytes(b"new")
    assert node.read_bytes() == b"new"


# -- encryption -----------------------------------------------------------------------------------


class _Plain(Samba):
    more: ClassVar[str] = "smb encrypt = off"


def test_what_is_to_be_encrypted_is(samba, storage, place):
    (samba.data / place / "a.txt").write_bytes(b"secret")
    for name, encrypt in (("open", False), ("sealed", True)):
        storage.add_mount({"name": name, **samba.mount(path=place, encrypt=encrypt)})
        node = storage.node(f"{name}:a.txt")
        assert node.read_bytes() == b"secret"
        with node.open("rb") as stream:
            assert stream.read() == b"secret"
        links = files_of(node)._links.values()
        assert [link._session.encrypt_data for link in links] == [encrypt, encrypt]


def test_a_server_without_encryption_is_refused(tmp_path_factory, storage):
    with contextlib.contextmanager(running)(_Plain, tmp_path_factory) as server:
        storage.add_mount({"name": "sealed", **server.mount(encrypt=True)})
        refused(StoragePermissionError, lambda: storage.node("sealed:a").exists, "'encrypt'")


# -- other servers --------------------------------------------------------------------------------


class _Middle(Samba):
    more: ClassVar[str] = "server max protocol = SMB2_10\nsmb2 max credits = 16"


class _Three(Samba):
    more: ClassVar[str] = "server max protocol = SMB3_00"


class _Small(Samba):
    more: ClassVar[str] = "smb2 max read = 65536\nsmb2 max write = 65536\nsmb2 max trans = 65536"


class _Guests(Samba):
    more: ClassVar[str] = "map to guest = bad user"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [_Middle, _Three, _Small])
def test_older_and_smaller_servers(tmp_path_factory, storage, kind):
    data = os.urandom(3 * MIB + 1)
    with contextlib.contextmanager(running)(kind, tmp_path_factory) as server:
        storage.add_mount({"name": "mine", **server.mount(timeout=10)})

        def work(number: int) -> None:
            node = storage.node(f"mine:d/t{number}.bin")
            node.write_bytes(data)
            assert node.read_bytes() == data
            with node.open("rb") as stream:
                assert stream.read() == data
            node.copy_to(f"mine:d/c{number}.bin")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(storage.node("mine:d").children()) == 16
        assert storage.node("mine:d/c3.bin").read_bytes() == data
        storage.close()


def test_a_guest_is_not_let_in(tmp_path_factory, storage):
    with contextlib.contextmanager(running)(_Guests, tmp_path_factory) as server:
        storage.add_mount({"name": "guest", **server.mount(username="no-such-user")})
        refused(StoragePermissionError, lambda: storage.node("guest:a").exists, "guest")


# -- contents -------------------------------------------------------------------------------------


def test_a_range_is_all_that_is_fetched(samba, storage, place):
    data = os.urandom(8 * MIB)
    (samba.data / place / "big.bin").write_bytes(data)
    with Cable(samba.port) as cable:
        storage.add_mount({"name": "wired", **samba.mount(path=place, port=cable.port)})
        node = storage.node("wired:big.bin")
        assert node.exists
        before = cable.passed
        assert node._mount.read_bytes("big.bin", 5 * MIB, 5 * MIB + 10) == data[5 * MIB :][:10]
        assert cable.passed - before < 20_000
        before = cable.passed
        with node.open("rb") as stream:
            stream.seek(-100, os.SEEK_END)
            assert stream.read(10) == data[-100:-90]
        assert cable.passed - before < 300_000
        storage.close()


def test_a_copy_inside_the_share_does_not_pass_through(samba, storage, place):
    data = os.urandom(20 * MIB + 7)
    (samba.data / place / "big.bin").write_bytes(data)
    with Cable(samba.port) as cable:
        storage.add_mount({"name": "wired", **samba.mount(path=place, port=cable.port)})
        storage.node("wired:big.bin").copy_to("wired:d/copy.bin")
        assert (samba.data / place / "d/copy.bin").read_bytes() == data
        assert cable.passed < 100_000
        storage.close()


def test_seeking_anywhere_gives_what_is_there(samba, node):
    data = os.urandom(9 * MIB + 13)
    node.write_bytes(data)
    with node.open("rb") as stream:
        places = (0, 3 * MIB, 3 * MIB + 5, 100, 9 * MIB, 2 * MIB, 2 * MIB + 3 * MIB, 0)
        for position in places:
            stream.seek(position)
            for _ in range(3):
                here = stream.tell()
                assert stream.read(700_001) == data[here : here + 700_001]
        stream.seek(0)
        assert stream.read() == data


def test_a_stream_that_is_left_early_leaves_nothing_behind(node):
    node.write_bytes(bytes(9 * MIB))
    stream = node.open("rb")
    for _ in range(3):
        stream.read(MIB)
    stream.close()
    dropped = node._mount.open_read("file.bin")
    dropped.read(10)
    del dropped
    link = files_of(node)._links[True]
    assert link._connection.outstanding_requests == {}
    assert link._session.open_table == {}


def test_a_failed_call_leaves_nothing_open(samba, storage, node):
    node.write_bytes(b"x")
    storage.node("mine:d").mkdir()
    for step in (
        lambda: node._mount.write_bytes("file.bin", b"y", if_absent=True),
        lambda: storage.node("mine:d").read_bytes(),
        lambda: storage.node("mine:missing").read_bytes(),
        lambda: files_of(node).rename("file.bin", "d", replace=False),
        lambda: files_of(node).rmdir("file.bin"),
    ):
        with pytest.raises(Exception):  # noqa: B017 - some are the client library's own
            step()
    link = files_of(node)._links[False]
    assert link._connection.outstanding_requests == {}
    assert link._session.open_table == {}
    assert not (samba.data / node._mount.bind()._at("")[0]._options.path / "d/file.bin").exists()


_MEMORY = """
import sys
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([
    {{"name": "far", **{mount!r}}},
    {{"name": "near", "type": "local", "path": {local!r}}},
])
storage.node("far:small").write_bytes(b"x")
storage.node("near:big").copy_to("far:big")
storage.node("far:big").copy_to("near:back")
with storage.node("far:big").open("rb") as stream, storage.node("far:again").open("wb") as sink:
    while piece := stream.read(1 << 20):
        sink.write(piece)
storage.close()
print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]))
"""


@pytest.mark.slow
def test_a_large_file_needs_little_memory(samba, place, tmp_path):
    size = 320 * MIB
    with open(tmp_path / "big", "wb") as file:
        file.writelines(bytes([number % 251]) * MIB for number in range(size // MIB))
    mount = samba.mount(path=place)
    peak = int(run(_MEMORY.format(mount=mount, local=str(tmp_path)))) * 1024
    assert peak < 256 * MIB
    for copy in (tmp_path / "back", samba.data / place / "again"):
        done = subprocess.run(["cmp", tmp_path / "big", copy], check=False)
        assert done.returncode == 0


def test_eight_threads_share_the_connections(samba, storage, node):
    data = [os.urandom(3 * MIB + number) for number in range(8)]

    def work(number: int) -> None:
        mine = storage.node(f"mine:t{number}.bin")
        for _ in range(3):
            mine.write_bytes(data[number])
            assert mine.read_bytes() == data[number]
            with mine.open("rb") as stream:
                parts = list(iter(lambda: stream.read(500_000), b""))
            assert b"".join(parts) == data[number]
            assert mine.size == len(data[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(files_of(node)._links) == 2


def test_a_time_is_kept_to_the_microsecond(node):
    node.write_bytes(b"x")
    for moment in (1_000_000_000.123456, 0.5, 4_000_000_000.0):
        node._mount.set_mtime("file.bin", moment)
        assert node.stat().mtime == pytest.approx(moment, abs=2e-6)
        assert node.parent.children()[0].stat().mtime == node.stat().mtime


def test_what_others_change_is_seen_at_once(samba, place, node, storage):
    node.write_bytes(b"ours")
    path = samba.data / place / "file.bin"
    assert node.size == 4
    path.write_bytes(b"somebody's")
    assert (node.read_bytes(), storage.node("mine:file.bin").size) == (b"somebody's", 10)
    path.unlink()
    assert not storage.node("mine:file.bin").exists
    assert storage.node("mine:").children() == []


def test_a_large_directory_is_listed_in_several_answers(samba, place, node, storage):
    (samba.data / place / "many").mkdir()
    expected = [f"a rather long name for a file, number {number:05}" for number in range(4000)]
    for name in expected:
        (samba.data / place / "many" / name).touch()
    assert [child.name for child in storage.node("mine:many").children()] == expected


# -- files that are open elsewhere ----------------------------------------------------------------


def test_a_reader_keeps_what_it_began_to_read(node):
    old, new = b"old" * MIB, b"new" * MIB
    node.write_bytes(old)
    with node.open("rb") as stream:
        begun = stream.read(10)
        node.write_bytes(new)
        assert begun + stream.read() == old
    assert node.read_bytes() == new
    with node.open("rb") as stream:
        begun = stream.read(10)
        node.delete()
        assert not node.exists
        assert begun + stream.read() == new


@contextlib.contextmanager
def held(server: Samba, path: str, *, sharing: int):
    """Another program with the file open, which lets others do only what ``sharing`` says."""
    from genro_storage.backends.remote import Bounds
    from genro_storage.backends.smb.client import READ, Link

    link = Link(
        "127.0.0.1", server.port, "share", server.user, PASSWORD, encrypt=False, bounds=Bounds()
    )
    try:
        opened, _ = link.open(path.replace("/", "\\"), READ, sharing=sharing, keep=True)
        yield
        link.close_file(opened)
    finally:
        link.close()


def test_a_file_that_another_program_keeps_for_itself(samba, storage, place):
    (samba.data / place / "a.txt").write_bytes(b"x")
    storage.add_mount({"name": "mine", **samba.mount(path=place, timeout=4, retries=0)})
    node = storage.node("mine:a.txt")
    with held(samba, f"{place}/a.txt", sharing=0), within(30):
        refused(StoragePermissionError, node.read_bytes, "mine:a.txt", "another program")
        refused(StoragePermissionError, node.delete, "mine:a.txt", "another program")
    assert node.read_bytes() == b"x"


def test_a_file_that_another_program_has_for_a_moment_is_waited_for(samba, place, node):
    node.write_bytes(b"x")
    with ThreadPoolExecutor(1) as pool:
        with held(samba, f"{place}/file.bin", sharing=0):
            reading = pool.submit(node.read_bytes)
            time.sleep(0.3)
            assert not reading.done()
        assert reading.result(30) == b"x"


# -- the network ----------------------------------------------------------------------------------


@pytest.mark.slow
class TestSmbInterrupted(InterruptedTransfers):
    @pytest.fixture
    def service(self, mortal):
        return mortal

    def config(self, service, port):
        return service.mount(port=port)


def test_a_port_where_nobody_listens(storage, samba):
    from tests.services.base import free_port

    storage.add_mount({"name": "dead", **samba.mount(port=free_port(), retries=0)})
    refused(StorageConnectionError, storage.node("dead:a").read_bytes, "dead:a", "'host'")


@pytest.mark.parametrize("verb", ["stream", "download", "upload", "append", "list"])
def test_silence_in_the_middle_is_an_error(samba, storage, place, tmp_path, verb):
    data = bytes(12 * MIB)
    (samba.data / place / "big.bin").write_bytes(data)
    for number in range(2000):
        (samba.data / place / f"a name that takes its place {number}").touch()
    (tmp_path / "local").write_bytes(data)
    with Cable(samba.port) as cable:
        options = {"path": place, "port": cable.port, "timeout": 3, "retries": 0}
        storage.add_mount({"name": "wired", **samba.mount(**options)})
        node = storage.node("wired:big.bin")
        assert node.exists

        def stream() -> None:
            with node.open("rb") as stream:
                while stream.read(MIB):
                    pass

        def append() -> None:
            with node.open("ab") as stream:
                stream.write(data)

        steps = {
            "stream": stream,
            "download": lambda: node._mount.download("big.bin", tmp_path / "copy"),
            "upload": lambda: node._mount.upload(tmp_path / "local", "new.bin"),
            "append": append,
            "list": lambda: storage.node("wired:").children(),
        }
        cable.after(100_000 if verb == "list" else 3 * MIB, cable.mute)
        with within(20):
            refused(StorageTimeoutError, steps[verb], "wired:", "does not answer")
        with within(20):
            storage.close()


class _SlowLine(Cable):
    """Some 250 KiB a second."""

    def _forward(self, source, sink) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                time.sleep(0.06)
                sink.sendall(data)
        for each in (source, sink):
            each.close()


@pytest.mark.slow
def test_a_line_that_is_slow_is_not_silent(samba, storage, place):
    data = os.urandom(2 * MIB)
    (samba.data / place / "big.bin").write_bytes(data)
    with _SlowLine(samba.port) as cable:
        options = {"path": place, "port": cable.port, "timeout": 2, "retries": 0}
        storage.add_mount({"name": "wired", **samba.mount(**options)})
        node = storage.node("wired:big.bin")
        started = time.monotonic()
        with node.open("rb") as stream:
            assert stream.read() == data
        assert time.monotonic() - started > 3 * options["timeout"]
        storage.close()


@pytest.mark.slow
def test_nothing_waits_longer_for_a_frozen_server_than_it_should(mortal, storage):
    # Long enough for a busy machine to connect, and short beside what 24 would wait one by one.
    storage.add_mount({"name": "mine", **mortal.mount(timeout=5, retries=0)})
    node = storage.node("mine:big.bin")
    node.write_bytes(b"x")
    stream = node.open("rb")
    assert stream.read(1) == b"x"
    with mortal.frozen():
        # More than all buffers on the way hold, so that the sending itself comes to a stand.
        with within(60):
            refused(StorageTimeoutError, lambda: node.write_bytes(bytes(40 * MIB)), "mine:big.bin")
        with within(60):
            stream.close()
        # Together, not one after another.
        with within(60), ThreadPoolExecutor(24) as pool:
            waiting = [pool.submit(node.read_bytes) for _ in range(24)]
            for each in waiting:
                assert isinstance(each.exception(), StorageTimeoutError | StorageConnectionError)
    assert node.read_bytes() == b"x"
    with mortal.frozen(), within(60):
        storage.close()


def test_an_addition_finds_a_server_that_was_restarted(mortal, storage):
    # It is not repeated, since half of it could have arrived: so the dead connection must be seen.
    storage.add_mount({"name": "mine", **mortal.mount(retries=0)})
    node = storage.node(f"mine:{uuid.uuid4().hex}.txt")
    node.write_bytes(b"one,")
    mortal.stop()
    mortal.start()
    with node.open("ab") as stream:
        stream.write(b"two")
    assert node.read_bytes() == b"one,two"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_leaves_the_connection_alone(node):
    node.write_bytes(b"parent")
    stream = node.open("rb")
    stream.read(1)
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            if node.read_bytes() == b"parent":
                node.parent.child("child.txt").write_bytes(b"child")
                status = 0
        os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert stream.read() == b"arent"
    stream.close()
    assert node.parent.child("child.txt").read_bytes() == b"child"


@pytest.fixture
def small_disk(samba, place):
    """A directory of the server with four MiB."""
    path = samba.data / place / "small"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(path)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("only root can mount a small disk")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_leaves_what_was_there(samba, storage, place, small_disk):
    storage.add_mount({"name": "mine", **samba.mount(path=f"{place}/small")})
    node = storage.node("mine:a.txt")
    node.write_bytes(b"old")
    refused(StorageFullError, lambda: node.write_bytes(bytes(6 * MIB)), "mine:a.txt")

    def append() -> None:
        with node.open("ab") as stream:
            stream.write(bytes(6 * MIB))

    refused(StorageFullError, append, "mine:a.txt")
    assert node.read_bytes() == b"old"
    assert os.listdir(small_disk) == ["a.txt"]
    node.write_bytes(b"new")
    storage.close()
