"""What is peculiar to SFTP: shared sessions, links, odd servers, attributes, bounds."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import (
    StorageConfigError,
    StorageConnectionError,
    StorageExistsError,
    StorageFullError,
    StorageManager,
    StorageNotDirectoryError,
    StorageNotEmptyError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from tests.services.base import running
from tests.services.cable import Cable
from tests.services.interrupted import within
from tests.services.sftp import Sshd, mounted

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def here(tmp_path):
    """The directory that the mount shows, as this machine sees it."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def far(sshd, here):
    with StorageManager() as storage:
        storage.configure([{"name": "far", **sshd.mount(here)}])
        yield storage.node("far:")


def files_of(node):
    """The client below a mount, which has connected."""
    return node._mount.backend._files._opened.get()


def in_another_process(code, *arguments):
    """What the code prints; it must end by itself, with nothing on its standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


# -- configuring ----------------------------------------------------------------------------------


def test_configuring_imports_no_client_and_connects_to_nothing():
    said = in_another_process("""
        import sys
        from genro_storage import StorageManager
        storage = StorageManager()
        storage.configure([{"name": "far", "type": "sftp", "host": "sftp.invalid", "username": "u"}])
        assert storage.node("far:a.txt").capabilities.write
        assert not {"paramiko", "cryptography", "tenacity"} & set(sys.modules), sys.modules
        print("lazy")
    """)
    assert said == "lazy"


def test_a_missing_client_says_what_to_install():
    said = in_another_process("""
        import sys
        sys.modules["paramiko"] = None
        from genro_storage import StorageManager, StorageMissingExtraError
        storage = StorageManager()
        storage.configure([{"name": "far", "type": "ssh", "host": "sftp.invalid"}])
        try:
            storage.node("far:a.txt").exists
        except StorageMissingExtraError as error:
            print(error)
    """)
    assert said == (
        "mount 'far' (sftp): the module 'paramiko' is not installed; "
        'install it with: pip install "genro-storage[sftp]"'
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "host"),
        ({"host": "u@example.org"}, "'username'"),
        ({"host": "sftp://example.org"}, "a name or an address alone"),
        ({"host": "example.org", "port": 0}, "port"),
        ({"host": "example.org", "pasword": "word-of-mouth"}, "'pasword'.*'password'"),
        ({"host": "example.org", "path": "../secret"}, r"'\.\.'"),
        ({"host": "example.org", "timeout": 0}, "timeout"),
        ({"host": "example.org", "host_key_checking": "maybe"}, "host_key_checking"),
        ({"host": "h", "known_hosts": "f", "host_key_checking": "ignore"}, "keep one"),
        (
            {"host": "h", "known_hosts": "f", "host_key": "SHA256:" + 43 * "A"},
            "'host_key' and 'known_hosts'",
        ),
        (
            {"host": "h", "host_key": "SHA256:" + 43 * "A", "host_key_checking": "ignore"},
            "keep one",
        ),
        ({"host": "h", "path": "/a", "base_path": "/b"}, "two names of one option"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with (
        pytest.raises(StorageConfigError, match=rf"(?s)'far'.*{words}") as caught,
        mounted({"type": "sftp", **options}),
    ):
        pass
    assert "word-of-mouth" not in str(caught.value)


def test_keys_of_former_versions_are_taken():
    config = {
        "type": "sftp",
        "host": "example.org",
        "username": "u",
        "base_path": "/srv",
        "password": "p",
        "port": 2222,
        "key_filename": "~/.ssh/id",
        "passphrase": "x",
        "timeout": 10,
    }
    with mounted(config) as node:
        assert node.capabilities.append_mode


def test_two_mounts_of_one_login_know_it(sshd, here):
    (here / "d").mkdir()
    config = sshd.mount(here)
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "a", **config},
                {"name": "b", **config, "path": f"{here}/d/"},
                {"name": "c", **config, "username": "other"},
            ]
        )
        node = storage.node("a:d/f.txt")
        node.write_bytes(b"precious")
        a, b, c = (storage.node(f"{name}:")._mount for name in "abc")
        assert a.same_place("d/f.txt", b, "f.txt")
        assert not a.same_place("d/f.txt", c, "d/f.txt")
        node.copy_to(storage.node("b:f.txt"))
        assert node.read_bytes() == b"precious"
        assert "open" not in repr(a.backend)


# -- roots ----------------------------------------------------------------------------------------


def test_a_missing_root_is_said_for_every_verb(sshd, here):
    with mounted(sshd.mount(here / "gone")) as node:
        child = node / "a.txt"
        assert not child.exists
        for step in (
            child.read_bytes,
            lambda: child.write_bytes(b"x"),
            node.children,
            node._mount.check,
        ):
            with pytest.raises(StorageNotFoundError, match=r"far:.*gone' does not exist.*'path'"):
                list(step() or ())
        assert not (here / "gone").exists()
        (here / "gone").mkdir()
        child.write_bytes(b"x")
        assert child.read_bytes() == b"x"


def test_a_root_that_is_a_file(sshd, here):
    (here / "file").write_bytes(b"x")
    with (
        mounted(sshd.mount(here / "file")) as node,
        pytest.raises(StorageNotFoundError, match="is not a directory on the server"),
    ):
        node._mount.check()


@pytest.mark.parametrize("path", ["", "~", "."])
def test_an_empty_root_is_where_the_login_begins(rclone_sftp, path):
    with mounted(rclone_sftp.mount(path)) as node, mounted(rclone_sftp.mount("/")) as top:
        (top / "begun here.txt").write_bytes(b"x")
        assert (node / "begun here.txt").read_bytes() == b"x"


def test_a_relative_root_begins_there_too(rclone_sftp):
    with mounted(rclone_sftp.mount("/")) as top, mounted(rclone_sftp.mount("~/rel")) as node:
        (top / "rel/a.txt").write_bytes(b"x")
        assert (node / "a.txt").read_bytes() == b"x"


def test_checking_asks_the_server(sshd, here, far):
    far._mount.check()
    assert files_of(far)


# -- threads, sessions, processes -----------------------------------------------------------------


def test_threads_share_one_mount(far):
    data = os.urandom(300_000)

    def work(number):
        for turn in range(5):
            node = far / f"d{number}/{turn}.bin"
            node.write_bytes(data)
            assert node.read_bytes() == data
            with node.open("rb") as stream:
                stream.seek(1000 * number)
                assert stream.read(10) == data[1000 * number : 1000 * number + 10]
        return len(list((far / f"d{number}").children()))

    with within(60), ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == [5] * 16
    assert len(files_of(far)._pool._state.users) <= 8


def test_more_streams_may_be_open_than_there_are_sessions(sshd, here):
    with (
        mounted(sshd.mount(here), max_sessions=2) as node,
        within(60),
        contextlib.ExitStack() as stack,
    ):
        data = os.urandom(200_000)
        (node / "f.bin").write_bytes(data)
        streams = [stack.enter_context((node / "f.bin").open("rb")) for _ in range(20)]
        for at in range(0, 200_000, 50_000):
            for stream in streams:
                assert stream.read(50_000) == data[at : at + 50_000]
        (node / "g.bin").write_bytes(data)
        assert len(files_of(node)._pool._state.users) == 2


def test_sessions_are_used_again(sshd, here):
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        (node / "a.txt").write_bytes(b"x")
        connecting = cable.passed
        for _ in range(20):
            assert (node / "a.txt").read_bytes() == b"x"
        assert cable.passed - connecting < 20 * 2000
        assert len(files_of(node)._pool._state.users) == 1


def test_a_connection_that_ended_while_idle_is_not_asked(sshd, here):
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port, retries=0) as node:
        (node / "a.txt").write_bytes(b"x")
        session = next(iter(files_of(node)._pool._state.users))
        cable.cut()
        cable.mend()
        with within(20):
            while not session.is_broken:
                time.sleep(0.01)
        # Neither of them may be repeated, so that a dead connection must be known for dead.
        with (node / "b.txt").open("xb") as stream:
            stream.write(b"new")
        with (node / "a.txt").open("ab") as stream:
            stream.write(b"y")
    assert (here / "a.txt").read_bytes() == b"xy"
    assert (here / "b.txt").read_bytes() == b"new"


def test_closing_ends_the_threads_and_the_connection(sshd, here):
    before = set(threading.enumerate())
    with mounted(sshd.mount(here)) as node:
        stream = (node / "a.txt").open("wb")
        stream.write(b"never published")
        (node / "b.txt").write_bytes(b"x")
        reader = (node / "b.txt").open("rb")
    with within(20):
        while set(threading.enumerate()) - before:
            time.sleep(0.01)
    with pytest.raises(StorageConnectionError, match=r"far:b\.txt"):
        reader.read()
    reader.close()
    stream.abort()
    assert os.listdir(here) == ["b.txt"]


def test_a_mount_that_nobody_closes_ends_too(sshd, here):
    before = set(threading.enumerate())
    storage = StorageManager()
    storage.configure([{"name": "far", **sshd.mount(here)}])
    assert storage.node("far:").exists
    assert set(threading.enumerate()) - before
    del storage
    with within(20):
        while set(threading.enumerate()) - before:
            gc.collect()
            time.sleep(0.01)


def test_a_process_ends_although_nothing_was_closed(sshd, here):
    said = in_another_process(
        """
        import json, sys
        from genro_storage import StorageManager
        storage = StorageManager()
        storage.configure([{"name": "far", **json.loads(sys.argv[1])}])
        storage.node("far:a.txt").write_bytes(b"x" * 100_000)
        stream = storage.node("far:a.txt").open("rb")
        print(len(stream.read(10)))
        """,
        json.dumps(sshd.mount(here)),
    )
    assert said == "10"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own(far):
    (far / "a.txt").write_bytes(b"parent")
    child = os.fork()
    if child == 0:
        try:
            (far / "b.txt").write_bytes((far / "a.txt").read_bytes() + b" and child")
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (far / "b.txt").read_bytes() == b"parent and child"
    (far / "a.txt").write_bytes(b"still")
    assert (far / "a.txt").read_bytes() == b"still"


# -- bytes ----------------------------------------------------------------------------------------


def test_a_range_moves_no_more_than_the_range(sshd, here):
    (here / "big.bin").write_bytes(os.urandom(8 * MIB))
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        big = node / "big.bin"
        assert big.exists
        before = cable.passed
        assert big._mount.read_bytes("big.bin", 4 * MIB, 4 * MIB + 1000)
        assert cable.passed - before < 10_000
        with big.open("rb") as stream:
            stream.seek(5 * MIB)
            stream.read(100)
        assert cable.passed - before < 2 * MIB


def test_a_stream_that_is_dropped_leaves_nothing_open(sshd, here):
    (here / "f.bin").write_bytes(b"x" * 100_000)
    with mounted(sshd.mount(here), max_sessions=1) as node:
        # An OpenSSH session holds no more than its file descriptors: often 1024.
        for _ in range(1500):
            stream = (node / "f.bin")._mount.backend.open_read("f.bin")
            stream.read(1)
            del stream
        assert (node / "f.bin").size == 100_000


@pytest.mark.slow
def test_big_files_pass_in_little_memory(sshd, here, tmp_path):
    (here / "big.bin").write_bytes(os.urandom(MIB) * 200)
    said = in_another_process(
        """
        import json, sys
        from pathlib import Path
        from genro_storage import StorageManager
        with StorageManager() as storage:
            storage.configure([
                {"name": "far", **json.loads(sys.argv[1])},
                {"name": "disk", "type": "local", "path": sys.argv[2]},
            ])
            far, disk = storage.node("far:"), storage.node("disk:")
            (far / "small").write_bytes(b"x")
            before = int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
            (far / "big.bin").copy_to(disk / "big.bin")
            (disk / "big.bin").copy_to(far / "again.bin")
            with (far / "again.bin").open("rb") as stream, (far / "third.bin").open("wb") as sink:
                while piece := stream.read(1 << 20):
                    sink.write(piece)
            print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before)
        """,
        json.dumps(sshd.mount(here)),
        tmp_path,
    )
    assert int(said) < 60 * 1024, "kilobytes"
    for name in ("again.bin", "third.bin"):
        assert (here / name).read_bytes() == (here / "big.bin").read_bytes()


# -- attributes -----------------------------------------------------------------------------------


def test_times_are_seconds(here, far):
    (here / "f.txt").write_bytes(b"x")
    os.utime(here / "f.txt", (1_600_000_000.75, 1_600_000_000.75))
    assert (far / "f.txt").stat().mtime == 1_600_000_000.0
    far._mount.set_mtime("f.txt", 1_234_567_890.9)
    assert os.stat(here / "f.txt").st_mtime == 1_234_567_890
    for impossible in (-1.0, 2.0**32):
        with pytest.raises(StorageValueError, match="1970 to 2106"):
            far._mount.set_mtime("f.txt", impossible)


def test_a_time_that_sftp_cannot_express_hinders_no_copy(far, tmp_path):
    (tmp_path / "old.txt").write_bytes(b"x")
    os.utime(tmp_path / "old.txt", (-1000, -1000))
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        storage.node("disk:old.txt").copy_to(far / "old.txt")
    assert (far / "old.txt").read_bytes() == b"x"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_what_replaces_a_file_has_its_permissions(here, far, mode):
    (here / "f.txt").write_bytes(b"old")
    (here / "f.txt").chmod(mode)
    (far / "f.txt").write_bytes(b"new")
    assert stat.S_IMODE((here / "f.txt").stat().st_mode) == mode
    with (far / "f.txt").open("ab") as stream:
        stream.write(b"er")
    assert (here / "f.txt").read_bytes() == b"newer"
    assert stat.S_IMODE((here / "f.txt").stat().st_mode) == mode


def test_the_server_copies_by_itself(sshd, here):
    data = os.urandom(3 * MIB)
    (here / "a.bin").write_bytes(data)
    (here / "a.bin").chmod(0o640)
    os.utime(here / "a.bin", (1_600_000_000, 1_600_000_000))
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        assert not node.capabilities.copy_optimization, "nobody has asked the server yet"
        assert node.exists
        assert node.capabilities.copy_optimization
        before = cable.passed
        (node / "a.bin").copy_to(node / "d/b.bin")
        assert cable.passed - before < 20_000
        (node / "empty").write_bytes(b"")
        (node / "empty").copy_to(node / "d/empty")
    assert (here / "d/b.bin").read_bytes() == data
    assert stat.S_IMODE((here / "d/b.bin").stat().st_mode) == 0o640
    assert (here / "d/b.bin").stat().st_mtime == 1_600_000_000
    assert (here / "d/empty").read_bytes() == b""


# -- servers that cannot do everything ------------------------------------------------------------


@pytest.fixture(scope="module")
def plain_sshd(tmp_path_factory):
    class Plain(Sshd):
        """A server that knows the protocol and no extension that helps."""

        arguments = "-P posix-rename,hardlink,copy-data,statvfs"

    yield from running(Plain, tmp_path_factory)


def test_where_nothing_can_be_replaced_in_one_step_it_is_refused(plain_sshd, here):
    with mounted(plain_sshd.mount(here)) as node:
        assert node.capabilities.atomic_operations
        (node / "a.txt").write_bytes(b"new files are no problem")
        for step in (
            lambda: (node / "a.txt").write_bytes(b"x"),
            lambda: (node / "b.txt").move_to(node / "a.txt"),
        ):
            (node / "b.txt").delete()
            (node / "b.txt").write_bytes(b"b")
            with pytest.raises(StorageUnsupportedError, match="'atomic: false'"):
                step()
        assert (node / "a.txt").read_bytes() == b"new files are no problem"
        assert sorted(os.listdir(here)) == ["a.txt", "b.txt"]
        assert not node.capabilities.copy_optimization
        (node / "a.txt").copy_to(node / "c.txt")
        assert (node / "c.txt").read_bytes() == b"new files are no problem"


def test_it_may_be_replaced_in_two_steps(plain_sshd, here):
    with mounted(plain_sshd.mount(here), atomic=False) as node:
        assert not node.capabilities.atomic_operations
        for data in (b"one", b"two", b"three"):
            (node / "a.txt").write_bytes(data)
            assert (node / "a.txt").read_bytes() == data
        (node / "b.txt").write_bytes(b"b")
        (node / "b.txt").move_to(node / "a.txt")
        assert os.listdir(here) == ["a.txt"]
        assert (node / "a.txt").read_bytes() == b"b"


@pytest.mark.parametrize("which", ["sshd", "plain_sshd"])
def test_only_one_of_many_creates_a_file(which, request, here):
    server = request.getfixturevalue(which)
    with mounted(server.mount(here)) as node:
        for turn in range(5):

            def work(number, turn=turn):
                try:
                    node._mount.write_bytes(f"{turn}.txt", b"%d" % number, if_absent=True)
                except StorageExistsError:
                    return None
                return b"%d" % number

            with ThreadPoolExecutor(8) as pool:
                winners = [found for found in pool.map(work, range(8)) if found is not None]
            assert winners == [(here / f"{turn}.txt").read_bytes()]
    assert len(os.listdir(here)) == 5


@pytest.fixture(scope="module")
def read_only_sshd(tmp_path_factory):
    class ReadOnly(Sshd):
        arguments = "-R"

    yield from running(ReadOnly, tmp_path_factory)


def test_a_server_that_only_lets_read(read_only_sshd, here):
    (here / "a.txt").write_bytes(b"kept")
    with mounted(read_only_sshd.mount(here)) as node:
        child = node / "a.txt"
        assert child.read_bytes() == b"kept"
        for step in (
            lambda: child.write_bytes(b"x"),
            lambda: (node / "new.txt").write_bytes(b"x"),
            lambda: (node / "d").mkdir(),
            child.delete,
            lambda: child.move_to(node / "b.txt"),
            lambda: node._mount.set_mtime("a.txt", 1.0),
        ):
            with pytest.raises(StoragePermissionError, match=r"far:.*permission denied"):
                step()
        with pytest.raises(StoragePermissionError, match=r"far:a\.txt"), child.open("ab") as stream:
            stream.write(b"x")
    assert os.listdir(here) == ["a.txt"]
    assert (here / "a.txt").read_bytes() == b"kept"


@pytest.fixture
def small_disk(here):
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(here)],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip("this user may not mount a file system")
    yield here
    subprocess.run(["umount", "-l", str(here)], check=True)


def test_a_full_disk_is_said(sshd, small_disk):
    with mounted(sshd.mount(small_disk)) as node:
        (node / "a.bin").write_bytes(b"a" * 600_000)
        for step in (
            lambda: (node / "b.bin").write_bytes(b"b" * 600_000),
            lambda: (node / "a.bin").write_bytes(b"b" * 600_000),
            lambda: (node / "a.bin").copy_to(node / "c.bin"),
        ):
            with pytest.raises(StorageFullError, match="far:") as caught:
                step()
            assert caught.value.errno == errno.ENOSPC
        with pytest.raises(StorageFullError), (node / "a.bin").open("ab") as stream:
            stream.write(b"c" * 600_000)
        with pytest.raises(StorageFullError), (node / "new.log").open("ab") as stream:
            stream.write(b"d" * 600_000)
        assert os.listdir(small_disk) == ["a.bin"]
        assert (small_disk / "a.bin").read_bytes() == b"a" * 600_000


def test_a_reason_is_found_where_the_server_gives_none(here, far):
    (here / "d").mkdir()
    (here / "d/a.txt").write_bytes(b"x")
    (here / "e").mkdir()
    (here / "f.txt").write_bytes(b"x")
    with pytest.raises(StorageNotDirectoryError):
        (far / "e").move_to(far / "f.txt/below")
    with pytest.raises(StorageNotEmptyError, match="far:e"):
        far._mount.move("e", far._mount, "d")
    assert sorted(os.listdir(here)) == ["d", "e", "f.txt"]


def test_an_exception_in_the_block_leaves_the_old_content(here, far):
    (far / "a.txt").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), (far / "a.txt").open("wb") as stream:
        stream.write(b"x" * 100_000)
        raise ZeroDivisionError
    assert (far / "a.txt").read_bytes() == b"old"
    assert os.listdir(here) == ["a.txt"]


def test_a_whole_directory_goes_in_few_round_trips(sshd, here):
    with mounted(sshd.mount(here)) as node:
        for number in range(3):
            (here / f"d/{number}").mkdir(parents=True)
            for name in range(300):
                (here / f"d/{number}/{name}.txt").write_bytes(b"")
        asked = []
        files = files_of(node) if node.exists else None
        plain = files.rm_file
        files.rm_file = lambda path: asked.append(path) or plain(path)
        (node / "d").delete()
        assert asked == []
    assert os.listdir(here) == []
