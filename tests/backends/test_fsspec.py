"""The generic fsspec backend: on fsspec's own filesystems, and on one that is nasty on purpose."""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genro_storage.backends.context import BuildContext
from genro_storage.backends.fsspec import FsspecBackend, FsspecOptions, build
from genro_storage.backends.fsspec_info import (
    Profile,
    calls_may_overlap,
    file_info,
    moment,
    profile_of,
)
from genro_storage.backends.fsspec_kinds import LocalFsspecBackend, MemoryFsspecBackend
from genro_storage.backends.fsspec_write import SPOOL, is_temporary, temporary_name
from genro_storage.exceptions import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageMissingExtraError,
    StorageNotFoundError,
)
from genro_storage.info import Attributes

AWKWARD = [
    "data[1].txt",
    "star*.txt",
    "what?.txt",
    "a#b c.txt",
    "100%.txt",
    "100%25.txt",
    "a+b.txt",
    "~home",
    " leading and trailing ",
    ".hidden",
    "back\\slash",
    "a:b::c.txt",
    "{x,y}",
    "new\nline",
    unicodedata.normalize("NFC", "caffè.txt"),
    unicodedata.normalize("NFD", "caffè.txt"),
    "日本語",
    "x" * 255,
]


def local(root):
    return FsspecBackend(fsspec.filesystem("file", skip_instance_cache=True), str(root))


@pytest.fixture(params=["local", "memory", "nasty"])
def backend(request, tmp_path):
    if request.param == "local":
        yield local(tmp_path)
        return
    if request.param == "nasty":
        yield FsspecBackend(NastyFileSystem(), "/top")
        return
    root = f"/{tmp_path.name}-{os.getpid()}"
    fs = fsspec.filesystem("memory", skip_instance_cache=True)
    yield FsspecBackend(fs, root)
    if fs.exists(root):
        fs.rm(root, recursive=True)


def names(backend, path=""):
    return sorted(info.path for info in backend.scan(path))


class NastyFileSystem(AbstractFileSystem):
    """What filesystems were seen to do, all in one."""

    protocol = "nasty"
    root_marker = "/"
    cachable = False

    def __init__(self, **options):
        super().__init__(**options)
        self.files = {}
        self.directories = {"", "/top"}
        self.extra = {}  # raw entries that listings get
        self.forbidden = set()
        self.break_puts = False
        self.busy = 0
        self.overlaps = 0

    def _enter(self):
        self.busy += 1
        if self.busy > 1:
            self.overlaps += 1
        time.sleep(0.0005)
        self.busy -= 1

    def info(self, path, **kwargs):
        self._enter()
        path = self._strip_protocol(path)
        if path in self.forbidden:
            raise PermissionError(errno.EACCES, "403")
        if path in self.files:
            return {"name": path, "type": "file", "size": len(self.files[path])}
        if path in self.directories:
            return {"name": path + "/", "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path, detail=True, **kwargs):
        self._enter()
        path = self._strip_protocol(path)
        if path in self.forbidden:
            raise PermissionError(errno.EACCES, "403")
        if path in self.files:
            return [self.info(path)]
        below = path + "/"
        found = [
            self.info(name)
            for name in [*self.directories, *self.files]
            if name.startswith(below) and "/" not in name[len(below) :]
        ]
        return found + self.extra.get(path, [])  # and [] for what is missing

    def _open(self, path, mode="rb", **kwargs):
        path = self._strip_protocol(path)
        if mode == "rb":
            return io.BytesIO(self.files.get(path, b""))  # a directory is an empty file
        if mode == "ab":
            raise AssertionError("no appending was declared")
        raise NotImplementedError(mode)

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self._enter()
        self.files[path] = value
        if self.break_puts:
            self.files[path] = value[: len(value) // 2]
            raise ConnectionResetError("the line broke")

    def put_file(self, lpath, rpath, **kwargs):
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def cat_file(self, path, start=None, end=None, **kwargs):
        data = self.files[path]
        if start is not None and start >= len(data):
            raise OSError("416 range not satisfiable")
        return data[start:end]

    def rm_file(self, path):
        del self.files[path]

    def rm(self, *args, **kwargs):
        raise AssertionError("a bulk call")

    copy = mv = glob = expand_path = get = put = exists = rm

    def mkdir(self, path, create_parents=True, **kwargs):
        assert not create_parents
        self.directories.add(path)

    def rmdir(self, path):
        self.directories.remove(path)


class RenamingFileSystem(NastyFileSystem):
    protocol = "renaming"

    def mv(self, path1, path2, **kwargs):
        self.files[path2] = self.files.pop(path1)


class StoreFileSystem(NastyFileSystem):
    """Keys only: a directory is whatever a key has before a slash."""

    protocol = "store"

    def _implied(self):
        parts = [key.split("/") for key in self.files]
        return {"/".join(p[:n]) for p in parts for n in range(1, len(p))}

    def info(self, path, **kwargs):
        self.directories = self._implied()
        return super().info(path)

    def ls(self, path, detail=True, **kwargs):
        self.directories = self._implied()
        return super().ls(path)

    def mkdir(self, path, create_parents=True, **kwargs):
        raise AssertionError("would make a bucket")

    rmdir = mkdir


# -- the contract on every filesystem ---------------------------------------------------------


@pytest.mark.parametrize("name", AWKWARD, ids=lambda name: ascii(name[:20]))
def test_an_awkward_name_is_one_name_and_removing_it_leaves_the_others(backend, name):
    others = ["data1.txt", "starry.txt", "whats.txt", "x", "y"]
    for other in others:
        backend.write_bytes(f"dir/{other}", b"other")
    backend.write_bytes(f"dir/{name}", b"content")
    assert backend.read_bytes(f"dir/{name}") == b"content"
    assert backend.stat(f"dir/{name}").size == 7
    assert names(backend, "dir") == sorted(f"dir/{n}" for n in [*others, name])
    backend.remove(f"dir/{name}")
    assert names(backend, "dir") == sorted(f"dir/{n}" for n in others)


def test_a_directory_with_an_awkward_name_is_removed_alone(backend):
    for directory in ("d[1]", "d1", "d*", "d?"):
        backend.write_bytes(f"{directory}/f", b"x")
    backend.remove_tree("d[1]")
    backend.remove_tree("d*")
    assert names(backend) == ["d1", "d?"]


def test_an_exception_inside_with_leaves_the_old_content(backend):
    backend.write_bytes("a/f", b"old")
    with pytest.raises(RuntimeError), backend.open_write("a/f") as handle:
        handle.write(b"half of the new")
        raise RuntimeError
    with pytest.raises(RuntimeError), backend.open_write("a/g") as handle:
        handle.write(b"new")
        raise RuntimeError
    assert backend.read_bytes("a/f") == b"old"
    assert names(backend, "a") == ["a/f"]


def test_a_dropped_handle_publishes_nothing(backend):
    backend.write_bytes("f", b"old")
    handle = backend.open_write("f")
    handle.write(b"new")
    del handle
    assert backend.read_bytes("f") == b"old"


def test_nothing_is_visible_before_close(backend):
    with backend.open_write("d/f") as handle:
        handle.write(b"x" * 10)
        assert names(backend) == []
    assert backend.stat("d/f").size == 10


@pytest.mark.parametrize("size", [0, 1, SPOOL - 1, SPOOL, SPOOL + 1, 3 * SPOOL])
def test_content_of_any_size_arrives_in_memory_or_spilled(backend, size):
    data = random.Random(size).randbytes(size)
    with backend.open_write("f") as handle:
        for start in range(0, size, 1_000_000):
            handle.write(data[start : start + 1_000_000])
    assert backend.read_bytes("f") == data
    assert backend.stat("f").size == size


@pytest.mark.parametrize("base", [0, SPOOL])
def test_a_handle_seeks_and_truncates_alike_in_memory_and_on_disk(backend, base):
    with backend.open_write("f") as handle:
        handle.write(b"a" * base + b"0123456789")
        handle.seek(base + 2)
        handle.write(b"XY")
        assert handle.tell() == base + 4
        handle.truncate(base + 6)
        handle.truncate(base + 8)
        assert handle.tell() == base + 4
    assert backend.read_bytes("f", base) == b"01XY45\0\0"


def test_upload_and_download_carry_the_whole_file(backend, tmp_path_factory):
    here = tmp_path_factory.mktemp("here")
    data = random.Random(1).randbytes(3_000_000)
    (here / "in").write_bytes(data)
    backend.upload(here / "in", "a/b")
    backend.download("a/b", here / "out")
    assert (here / "out").read_bytes() == data
    with pytest.raises(IsADirectoryError):
        backend.upload(here, "c")
    with pytest.raises(FileNotFoundError):
        backend.upload(here / "none", "c")
    with pytest.raises(IsADirectoryError):
        backend.download("a", here / "out")
    assert names(backend) == ["a"]


def test_ranges_end_where_the_file_ends(backend):
    backend.write_bytes("f", b"0123456789")
    assert backend.read_bytes("f", 3) == b"3456789"
    assert backend.read_bytes("f", 3, 5) == b"34"
    assert backend.read_bytes("f", 8, 50) == b"89"
    assert backend.read_bytes("f", 10, 20) == b""
    assert backend.read_bytes("f", 50) == b""
    assert backend.read_bytes("f", 5, 3) == b""
    assert backend.read_bytes("f", 0, 0) == b""


def test_two_readers_of_one_file_have_their_own_position(backend):
    backend.write_bytes("f", b"0123456789")
    with backend.open_read("f") as one, backend.open_read("f") as two:
        assert one.read(4) == b"0123"
        assert two.read(2) == b"01"
        assert one.read(2) == b"45"
        two.seek(8)
        assert two.read() == b"89"


def test_wrong_kinds_of_thing_raise_their_own_errors(backend):
    backend.write_bytes("d/f", b"x")
    for call in (backend.open_read, backend.read_bytes, backend.open_write):
        with pytest.raises(IsADirectoryError):
            call("d")
    with pytest.raises(IsADirectoryError):
        backend.open_write("")
    with pytest.raises(NotADirectoryError):
        list(backend.scan("d/f"))
    with pytest.raises(NotADirectoryError):
        backend.write_bytes("d/f/g", b"")
    with pytest.raises(NotADirectoryError):
        backend.mkdir("d/f/g")
    for call in (backend.stat, backend.open_read, backend.read_bytes, backend.remove):
        with pytest.raises(FileNotFoundError):
            call("d/none")
        with pytest.raises(FileNotFoundError):
            call("d/f/none")
    with pytest.raises(FileNotFoundError):
        list(backend.scan("none"))
    with pytest.raises(io.UnsupportedOperation):
        backend.open_read("d/f", version="1")


def test_mkdir_makes_one_level_and_remove_takes_only_an_empty_one(backend):
    backend.mkdir("d")
    with pytest.raises(FileExistsError):
        backend.mkdir("d")
    with pytest.raises(FileExistsError):
        backend.mkdir("")
    with pytest.raises(FileNotFoundError):
        backend.mkdir("x/y")
    assert list(backend.scan("d")) == []
    backend.write_bytes("d/f", b"")
    with pytest.raises(OSError, match="not empty") as caught:
        backend.remove("d")
    assert caught.value.errno == errno.ENOTEMPTY
    backend.remove("d/f")
    backend.remove("d")
    assert names(backend) == []
    with pytest.raises(PermissionError):
        backend.remove("")
    with pytest.raises(PermissionError):
        backend.remove_tree("")


def test_find_gives_everything_in_key_order(backend):
    for name in ("a-b", "a/x/1", "a0", "a/y"):
        backend.write_bytes(name, b"")
    assert [i.path for i in backend.find("")] == ["a-b", "a", "a/x", "a/x/1", "a/y", "a0"]


def test_if_absent_never_replaces(backend):
    backend.write_bytes("f", b"old")
    with pytest.raises(FileExistsError):
        backend.write_bytes("f", b"new", if_absent=True)
    with backend.open_write("g", if_absent=True) as handle:
        handle.write(b"mine")
        backend.write_bytes("g", b"theirs")
        with pytest.raises(FileExistsError):
            handle.close()
    assert backend.read_bytes("f") == b"old"
    assert backend.read_bytes("g") == b"theirs"
    assert names(backend) == ["f", "g"]


def test_appending_works_where_declared_and_raises_elsewhere(backend):
    backend.write_bytes("f", b"one")
    if not backend.capabilities.append_mode:
        with pytest.raises(io.UnsupportedOperation):
            backend.open_write("f", append=True)
        return
    with backend.open_write("f", append=True) as handle:
        handle.write(b" two")
        assert backend.read_bytes("f") == b"one"
    with backend.open_write("new/g", append=True) as handle:
        handle.write(b"x" * (SPOOL + 1))
    with pytest.raises(RuntimeError), backend.open_write("f", append=True) as handle:
        handle.write(b" three")
        raise RuntimeError
    assert backend.read_bytes("f") == b"one two"
    assert backend.stat("new/g").size == SPOOL + 1


def test_copying_inside_the_store_works_where_declared_and_raises_elsewhere(backend):
    backend.write_bytes("a[1]", b"content")
    if not backend.capabilities.copy_optimization:
        with pytest.raises(io.UnsupportedOperation):
            backend.copy("a[1]", "b")
        return
    backend.copy("a[1]", "d/b*")
    backend.copy("a[1]", "a[1]")
    assert backend.read_bytes("d/b*") == backend.read_bytes("a[1]") == b"content"
    with pytest.raises(IsADirectoryError):
        backend.copy("d", "e")
    with pytest.raises(IsADirectoryError):
        backend.copy("a[1]", "d")
    assert names(backend) == ["a[1]", "d"]


def test_eight_threads_read_what_they_wrote(backend):
    errors = []

    def work(number):
        try:
            for turn in range(12):
                path = f"t{number}/f{turn % 3}"
                data = f"{number}-{turn}".encode() * 1000
                backend.write_bytes(path, data)
                assert backend.read_bytes(path) == data
                with backend.open_read(path) as stream:
                    assert stream.read() == data
                assert path in {i.path for i in backend.find(f"t{number}")}
                backend.write_bytes("shared", data)
                assert backend.read_bytes("shared")[:1].isdigit()
            backend.remove_tree(f"t{number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert names(backend) == ["shared"]


def test_a_failed_commit_leaves_no_temporary_file(backend, monkeypatch):
    backend.write_bytes("f", b"old")

    def broken(content, full, options):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(backend, "_put", broken)
    with pytest.raises(OSError, match="full"), backend.open_write("f") as handle:
        handle.write(b"new")
    assert backend.read_bytes("f") == b"old"
    assert [i.name for i in backend._entries("")] == ["f"]


def test_a_deep_tree_is_removed_without_recursion(backend):
    path = "/".join(["d"] * 300)
    backend.write_bytes(f"{path}/f", b"")
    backend.remove_tree("d")
    assert names(backend) == []


def test_a_read_only_mount_declares_and_refuses(tmp_path):
    backend = FsspecBackend(fsspec.filesystem("file"), str(tmp_path), readonly=True)
    (tmp_path / "f").write_bytes(b"x")
    assert backend.capabilities.readonly
    assert not backend.capabilities.write
    assert backend.read_bytes("f") == b"x"
    for call in (backend.mkdir, backend.remove, backend.remove_tree, backend.open_write):
        with pytest.raises(io.UnsupportedOperation):
            call("f")
    for copying in (backend.copy, backend.move):
        with pytest.raises(io.UnsupportedOperation):
            copying("f", "g")
    assert [file.name for file in tmp_path.iterdir()] == ["f"]


# -- local ------------------------------------------------------------------------------------


def test_the_classes_of_known_filesystems_are_chosen(tmp_path):
    assert isinstance(local(tmp_path), LocalFsspecBackend)
    assert type(FsspecBackend(fsspec.filesystem("memory"), "/x")) is MemoryFsspecBackend
    assert type(FsspecBackend(NastyFileSystem())) is FsspecBackend


def test_local_keeps_the_mode_of_what_it_replaces_and_honours_attributes(tmp_path):
    backend = local(tmp_path)
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o640)
    backend.write_bytes("f", b"new", attributes=Attributes(mtime=1_000_000_000.5))
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640
    assert backend.stat("f").mtime == 1_000_000_000.5
    backend.write_bytes("g", b"new", attributes=Attributes(mode=0o600))
    assert (tmp_path / "g").stat().st_mode & 0o777 == 0o600
    backend.set_mtime("g", 5.0)
    backend.copy("g", "h")
    assert backend.stat("h").mtime == 5.0
    assert (tmp_path / "h").stat().st_mode & 0o777 == 0o600


def test_local_moves_files_and_directories_by_renaming(tmp_path):
    backend = local(tmp_path)
    backend.write_bytes("d[1]/f", b"1")
    backend.write_bytes("g", b"2")
    inode = (tmp_path / "g").stat().st_ino
    backend.move("g", "d[1]/f")
    assert (tmp_path / "d[1]/f").stat().st_ino == inode
    backend.move("d[1]", "x/e*")
    backend.move("x/e*/f", "x/e*/f")
    assert backend.read_bytes("x/e*/f") == b"2"
    with pytest.raises(IsADirectoryError):
        backend.move("x/e*/f", "x")
    with pytest.raises(FileNotFoundError):
        backend.move("none", "y")


def test_local_links_are_followed_inside_and_never_out(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d/f").write_bytes(b"inside")
    (root / "in").symlink_to("d/f")
    (root / "out").symlink_to(outside)
    (root / "leak").symlink_to(outside / "secret")
    (root / "nowhere").symlink_to("none")
    (root / "loop").symlink_to("loop")
    (root / "d/up").symlink_to("..")
    backend = local(root)
    kinds = {info.path: info.type for info in backend.find("")}
    assert kinds["in"] == "file"
    assert all(kinds[name] == "link" for name in ("out", "leak", "nowhere", "loop", "d/up"))
    assert backend.read_bytes("in") == b"inside"
    assert backend.stat("nowhere").type == "link"
    for path in ("out/secret", "leak"):
        with pytest.raises(PermissionError):
            backend.read_bytes(path)
        with pytest.raises(PermissionError):
            backend.write_bytes(path, b"x")
    with pytest.raises(PermissionError):
        list(backend.scan("out"))
    backend.write_bytes("in", b"through the link")
    assert (root / "in").is_symlink()
    assert (root / "d/f").read_bytes() == b"through the link"
    for name in ("out", "leak", "nowhere", "loop"):
        backend.remove(name)
    (root / "in").unlink()
    (root / "dirlink").symlink_to("d")
    backend.remove_tree("dirlink")
    assert (root / "d/f").exists()
    assert (outside / "secret").read_bytes() == b"secret"
    assert backend.cleanup("", 0) == 0


def test_local_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    backend = local(tmp_path)
    assert backend.stat("pipe").type == "other"
    with pytest.raises(PermissionError):
        backend.open_read("pipe")
    with pytest.raises(PermissionError):
        backend.write_bytes("pipe", b"")
    backend.remove("pipe")


def test_local_address_is_the_real_place(tmp_path):
    (tmp_path / "d").mkdir()
    assert local(tmp_path).address("d/f") == local(tmp_path / "d").address("f")
    assert local(tmp_path).local_path("a/b") == f"{tmp_path}/a/b"


_WRITER = """
import sys, fsspec
from genro_storage.backends.fsspec import FsspecBackend
backend = FsspecBackend(fsspec.filesystem("file"), sys.argv[1])
print("ready", flush=True)
turn = 0
while True:
    turn += 1
    with backend.open_write("f") as handle:
        for _ in range(20):
            handle.write(bytes([65 + turn % 26]) * 20_000)
"""


def test_a_killed_writer_leaves_the_old_content_or_the_new(tmp_path):
    backend = local(tmp_path)
    pause = random.Random(7)
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(pause.uniform(0, 0.03))
            writer.send_signal(signal.SIGKILL)
        if (tmp_path / "f").exists():
            data = backend.read_bytes("f")
            assert len(data) == 400_000
            assert len(set(data)) == 1
        assert set(names(backend)) <= {"f"}
    backend.cleanup("", 0)
    assert {file.name for file in tmp_path.iterdir()} <= {"f"}


def test_cleanup_takes_only_old_temporary_files(tmp_path):
    backend = local(tmp_path)
    (tmp_path / "d").mkdir()
    stale, young = tmp_path / "d" / temporary_name("a"), tmp_path / temporary_name("b")
    kept = tmp_path / ".genro-tmp-notes.txt"
    for file in (stale, young, kept):
        file.write_bytes(b"part")
    os.utime(stale, (1, 1))
    assert names(backend, "d") == []
    assert backend.cleanup("", 3600) == 1
    assert not stale.exists()
    assert backend.cleanup("", 0) == 1
    assert kept.exists()
    (tmp_path / "d" / temporary_name("a")).write_bytes(b"")
    backend.remove("d")
    assert names(backend) == [kept.name]


def test_temporary_names_fit_whatever_the_target_is_called():
    for name in ("a", "x" * 255, "日" * 85):
        made = temporary_name(name)
        assert len(os.fsencode(made)) <= 255
        assert is_temporary(made)
    assert not is_temporary(".genro-tmp-")
    assert is_temporary(".genro-tmp-0123456789abcdef0123-0")  # the local backend's


# -- memory -----------------------------------------------------------------------------------


def test_memory_tells_the_time_of_writing_and_not_of_asking(tmp_path):
    backend = FsspecBackend(fsspec.filesystem("memory"), f"/{tmp_path.name}-mtime")
    before = time.time()
    backend.write_bytes("f", b"")
    after = time.time()
    time.sleep(0.02)
    mtime = backend.stat("f").mtime
    assert before <= mtime <= after
    assert next(backend.scan("")).mtime == mtime
    backend.remove_tree("f")


def test_memory_mounts_of_different_names_do_not_share_files(tmp_path):
    options = FsspecOptions(filesystem="memory")
    one = build(options, BuildContext(mount=f"{tmp_path.name}-one"))
    two = build(options, BuildContext(mount=f"{tmp_path.name}-two"))
    one.write_bytes("f", b"1")
    assert names(two) == []
    assert two.stat("").type == "directory"
    one.remove("f")


# -- the nasty one ----------------------------------------------------------------------------


def test_a_refused_request_is_not_a_missing_file():
    fs = NastyFileSystem()
    fs.files["/top/f"] = b"x"
    fs.forbidden |= {"/top/f", "/top/d"}
    backend = FsspecBackend(fs, "/top")
    for call in (backend.stat, backend.open_read, backend.remove, backend.open_write):
        with pytest.raises(PermissionError):
            call("f")
    with pytest.raises(PermissionError):
        list(backend.scan("d"))
    with pytest.raises(PermissionError):
        backend.write_bytes("f", b"new", if_absent=True)
    assert fs.files == {"/top/f": b"x"}


def test_an_unknown_filesystem_is_trusted_with_little():
    known = FsspecBackend(NastyFileSystem()).capabilities
    assert known.read
    assert known.write
    assert known.delete
    assert known.mkdir
    assert known.list_dir
    assert not known.atomic_operations
    assert not known.append_mode
    assert not known.copy_optimization
    assert not known.readonly


def test_a_filesystem_that_is_not_thread_safe_is_called_in_turns():
    fs = NastyFileSystem()
    backend = FsspecBackend(fs, "/top")

    def work(number):
        for _ in range(10):
            backend.write_bytes(f"f{number}", b"x")
            list(backend.scan(""))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fs.overlaps == 0


def test_a_put_that_breaks_off_damages_nothing_where_it_can_be_renamed():
    fs = RenamingFileSystem()
    backend = FsspecBackend(fs, "/top", commit="rename")
    assert backend.capabilities.atomic_operations
    backend.write_bytes("f", b"old content")
    fs.break_puts = True
    with pytest.raises(ConnectionResetError), backend.open_write("f") as handle:
        handle.write(b"the new content")
    assert fs.files == {"/top/f": b"old content"}


def test_temporary_names_stay_beside_a_target_at_a_root_without_a_name():
    class Rootless(RenamingFileSystem):
        root_marker = ""
        puts = ()

        def pipe_file(self, path, value, **kwargs):
            self.puts += (path,)
            super().pipe_file(path, value)

    fs = Rootless()
    FsspecBackend(fs, commit="rename").write_bytes("f", b"x")
    assert fs.files == {"f": b"x"}
    assert [is_temporary(path) for path in fs.puts] == [True]


def test_a_missing_file_is_named_as_the_caller_named_it(backend):
    for call in (backend.stat, backend.read_bytes, backend.scan):
        with pytest.raises(FileNotFoundError) as caught:
            call("a/none")
        assert caught.value.filename == "a/none"


def test_a_put_that_breaks_off_in_place_is_declared_as_not_atomic():
    fs = NastyFileSystem()
    backend = FsspecBackend(fs, "/top")
    assert not backend.capabilities.atomic_operations
    fs.break_puts = True
    with pytest.raises(ConnectionResetError):
        backend.write_bytes("f", b"the new content")


def test_renaming_is_refused_where_the_filesystem_only_copies():
    class Copying(AbstractFileSystem):
        protocol = "copying"

    with pytest.raises(ValueError, match="cannot rename"):
        FsspecBackend(Copying(), commit="rename")
    with pytest.raises(io.UnsupportedOperation):
        FsspecBackend(Copying()).move("a", "b")


def test_listings_leave_out_markers_duplicates_and_names_that_no_node_has(caplog):
    fs = NastyFileSystem()
    fs.directories.add("/top/d")
    fs.extra["/top/d"] = [
        {"name": "/top/d/", "type": "file", "size": 0},  # the directory's own marker
        {"name": "/top/d/sub/", "type": "file", "size": 0},  # a marker of another one
        {"name": "/top/d/sub", "type": "directory", "size": 0},
        {"name": "/top/d/both", "type": "directory", "size": 0},
        {"name": "/top/d/both", "type": "file", "size": 4},
        {"name": "/top/d/..", "type": "directory", "size": 0},
        {"name": "/top/d/../evil.txt", "type": "file", "size": 4},
        {"name": "/elsewhere/evil.txt", "type": "file", "size": 4},
        {"name": "relative", "type": "file", "size": 1},
    ]
    backend = FsspecBackend(fs, "/top")
    assert {i.path: i.type for i in backend.scan("d")} == {
        "d/sub": "directory",
        "d/both": "file",
        "d/relative": "file",
    }
    assert "d/.." in caplog.text


def test_a_store_without_directories_shows_them_while_they_hold_files():
    fs = StoreFileSystem()
    backend = FsspecBackend(
        fs, "/bucket/pre", profile=Profile(commit="put", implicit_directories=True)
    )
    assert not backend.capabilities.mkdir
    assert backend.stat("").type == "directory"
    assert list(backend.find("")) == []
    backend.mkdir("d")
    backend.make_parents("x/y")
    assert fs.files == {}
    backend.write_bytes("d/e/f", b"1")
    backend.write_bytes("d/g", b"2")
    with pytest.raises(FileExistsError):
        backend.mkdir("d")
    with pytest.raises(FileExistsError):
        backend.write_bytes("d/g", b"3", if_absent=True)
    with pytest.raises(IsADirectoryError):
        backend.read_bytes("d")
    assert [i.path for i in backend.find("")] == ["d", "d/e", "d/e/f", "d/g"]
    with pytest.raises(OSError, match="not empty"):
        backend.remove("d")
    backend.remove_tree("d")
    assert fs.files == {}
    assert list(backend.scan("")) == []


def test_a_filesystem_that_wraps_another_works_with_the_careful_profile(tmp_path):
    inner = fsspec.filesystem("file", skip_instance_cache=True)
    backend = FsspecBackend(DirFileSystem(str(tmp_path), fs=inner, skip_instance_cache=True))
    backend.write_bytes("d[1]/f", b"x")
    with backend.open_write("d[1]/g") as handle:
        handle.write(b"y" * (SPOOL + 1))
    assert [(i.path, i.size) for i in backend.find("")] == [
        ("d[1]", None),
        ("d[1]/f", 1),
        ("d[1]/g", SPOOL + 1),
    ]
    assert not backend.capabilities.atomic_operations
    assert not calls_may_overlap(backend._fs)  # it calls itself asynchronous, the inner is not
    with backend.open_read("d[1]/f") as stream:
        assert stream.read() == b"x"
    backend.remove_tree("d[1]")
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_told_and_not_followed():
    fs = NastyFileSystem()
    fs.extra["/top"] = [{"name": "/top/l", "type": "link", "size": 3, "mtime": 5}]
    assert [(i.type, i.mtime) for i in FsspecBackend(fs, "/top").scan("")] == [("link", 5.0)]


# -- the normaliser ---------------------------------------------------------------------------

_AT = 1_700_000_000.0


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("LastModified", datetime.fromtimestamp(_AT, UTC), _AT),
        ("mtime", _AT, _AT),
        ("mtime", int(_AT), _AT),
        ("updated", "2023-11-14T22:13:20Z", _AT),
        ("updated", "2023-11-14T22:13:20.000+00:00", _AT),
        ("last_modified", datetime.fromtimestamp(_AT, timezone(timedelta(hours=5))), _AT),
        ("modified", datetime.fromtimestamp(_AT, UTC).replace(tzinfo=None), _AT),
        ("modified", "Tue, 14 Nov 2023 22:13:20 GMT", _AT),
        ("modify", "20231114221320", _AT),
        ("created", _AT, None),
        ("mtime", None, None),
        ("mtime", float("nan"), None),
        ("mtime", True, None),
        ("mtime", "yesterday", None),
        ("mtime", (2023, 11, 14), None),
    ],
)
def test_every_notation_of_a_time_becomes_seconds_or_none(key, value, expected):
    assert file_info("f", {"type": "file", "size": 1, key: value}).mtime == expected


def test_an_unreadable_time_gives_way_to_a_readable_one():
    assert file_info("f", {"type": "file", "LastModified": "", "mtime": 3}).mtime == 3.0
    assert moment(datetime(1970, 1, 1)) == 0.0  # noqa: DTZ001 - the case in question


_JUNK = st.one_of(
    st.text(), st.binary(), st.integers(), st.floats(), st.datetimes(), st.booleans(), st.none()
)


# The first example of a process builds hypothesis's character tables, which takes a second.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=st.dictionaries(st.sampled_from(["type", "size", "mtime", "updated", "ETag"]), _JUNK))
def test_no_answer_of_a_filesystem_breaks_the_normaliser(raw):
    info = file_info("f", raw)
    assert info.mtime is None or isinstance(info.mtime, float)
    assert info.size is None or isinstance(info.size, int)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(at=st.datetimes(timezones=st.timezones()))
def test_a_time_means_the_same_as_datetime_and_as_text(at):
    assert moment(at) == at.timestamp()
    assert abs(moment(at.isoformat()) - at.timestamp()) < 1e-3


def test_sizes_etags_and_types_are_normalised():
    info = file_info(
        "f", {"type": "file", "Size": "12", "ETag": '"abc-2"', "ContentType": "text/plain"}
    )
    assert (info.size, info.etag, info.content_type) == (12, "abc-2", "text/plain")
    assert info.checksum is None
    assert file_info("d", {"type": "directory", "size": 0}).size is None
    assert file_info("p", {"type": "fifo"}).type == "other"
    assert file_info("f", {"type": "file", "size": None}).size is None


@pytest.mark.parametrize("protocol", ["http", "git", "tar"])
def test_filesystems_that_can_only_be_read_are_known(protocol):
    class Pretending(AbstractFileSystem):
        pass

    Pretending.protocol = protocol
    assert profile_of(Pretending()).readonly
    assert FsspecBackend(Pretending()).capabilities.readonly


def test_a_zip_file_is_a_read_only_mount(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/f.txt", b"zipped")
        archive.writestr("d/e/", b"")
    options = FsspecOptions(filesystem="zip", options={"fo": str(tmp_path / "a.zip")})
    backend = build(options, BuildContext(mount="z"))
    assert backend.capabilities.readonly
    assert [i.path for i in backend.find("")] == ["d", "d/e", "d/f.txt"]
    assert backend.read_bytes("d/f.txt", 1, 3) == b"ip"
    with backend.open_read("d/f.txt") as one, backend.open_read("d/f.txt") as two:
        assert one.read(3) + two.read() + one.read() == b"zipzippedped"
    with pytest.raises(io.UnsupportedOperation):
        backend.write_bytes("x", b"")
    backend.close()


# -- options ----------------------------------------------------------------------------------


def test_a_filesystem_is_opened_at_a_root_that_exists_or_is_made(tmp_path):
    context = BuildContext(mount="m")
    missing = FsspecOptions(filesystem="file", path=str(tmp_path / "new"))
    with pytest.raises(StorageNotFoundError, match="create: true"):
        build(missing, context)
    backend = build(missing.model_copy(update={"create": True}), context)
    backend.write_bytes("f", b"x")
    assert (tmp_path / "new/f").read_bytes() == b"x"
    with pytest.raises(StorageConfigError, match="not absolute"):
        build(FsspecOptions(filesystem="file", path="new"), context)
    in_file = BuildContext(mount="m", base=tmp_path)
    assert build(FsspecOptions(filesystem="local", path="new"), in_file).read_bytes("f") == b"x"


def test_no_instance_or_listing_is_shared_through_caches(tmp_path):
    options = FsspecOptions(filesystem="file", path=str(tmp_path))
    one, two = (build(options, BuildContext(mount="m")) for _ in range(2))
    assert one._fs is not two._fs
    assert one._fs.dircache.use_listings_cache is False


def test_an_unknown_filesystem_is_an_error_with_the_nearest_name():
    with pytest.raises(StorageConfigError, match=r"mount 'm' \(fsspec: memry\).*'memory'"):
        build(FsspecOptions(filesystem="memry"), BuildContext(mount="m"))


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    from fsspec.registry import _registry

    monkeypatch.delitem(_registry, "sftp", raising=False)
    with pytest.raises(StorageMissingExtraError, match=r'paramiko.*"genro-storage\[sftp\]"'):
        build(FsspecOptions(filesystem="sftp"), BuildContext(mount="m"))


class Picky(AbstractFileSystem):
    protocol = "picky"
    cachable = False

    def __init__(self, host, password="", port=1):
        super().__init__()
        if port == 0:
            raise ValueError(f"bad port for {password[:3]}")
        if port == 2:
            raise ConnectionError(f"cannot log in with {password}")
        if port == 3:
            raise ConnectionError("cannot reach the host")
        int(password or 0)


@pytest.mark.parametrize(
    ("options", "kind", "expected"),
    [
        ({"hots": "x", "password": "geheim"}, StorageConfigError, "did you mean 'host'"),
        ({"password": "geheim"}, StorageConfigError, "lacks 'host'"),
        ({"host": "h", "password": ["geheim"]}, StorageConfigError, "host, password"),
        ({"host": "h", "password": "geheim"}, StorageConfigError, "host, password"),
        ({"host": "h", "password": "geheim", "port": 0}, StorageConfigError, "host, pass"),
        ({"host": "h", "password": "geheim", "port": 2}, StorageConnectionError, "left out"),
        ({"host": "xxx", "password": "geheim", "port": 3}, StorageConnectionError, "reach"),
    ],
)
def test_refused_options_are_named_and_their_values_never_shown(options, kind, expected):
    import traceback

    fsspec.register_implementation("picky", Picky, clobber=True)
    wanted = FsspecOptions(filesystem="picky", options=options)
    with pytest.raises(StorageError, match=expected) as caught:
        build(wanted, BuildContext(mount="m"))
    assert type(caught.value) is kind
    assert "mount 'm' (fsspec: picky)" in str(caught.value)
    shown = str(caught.value) + repr(wanted)
    shown += "".join(traceback.format_exception(caught.value)).replace('["geheim"]', "")
    assert "geh" not in shown


@pytest.mark.parametrize("key", ["asynchronous", "skip_instance_cache", "use_listings_cache"])
def test_options_that_the_library_decides_are_refused(key):
    with pytest.raises(ValueError, match=key):
        FsspecOptions(filesystem="memory", options={key: True})


def test_a_commit_that_cannot_work_is_a_configuration_error():
    with pytest.raises(StorageConfigError, match="cannot rename"):
        build(FsspecOptions(filesystem="memory", commit="rename"), BuildContext(mount="m"))


def test_what_can_only_be_read_is_not_configured_for_writing(tmp_path):
    import zipfile

    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    given = {"filesystem": "zip", "options": {"fo": str(tmp_path / "a.zip")}}
    for more in ({"readonly": False}, {"create": True}):
        with pytest.raises(StorageConfigError):
            build(FsspecOptions(**given, **more), BuildContext(mount="m"))
