"""The contract on local files, in memory, and on a filesystem that is nasty on purpose."""

from __future__ import annotations

import errno
import io
import os
import random
import threading
import unicodedata

import fsspec
import pytest

from genro_storage.backends.fsspec import FsspecBackend, backend_for
from genro_storage.backends.fsspec_write import SPOOL
from tests.support.fsspec_backends import NastyFileSystem, local, names

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
    yield backend_for(fs, root)
    if fs.exists(root):
        fs.rm(root, recursive=True)


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_deep_tree_is_removed_without_recursion(backend):
    path = "/".join(["d"] * 300)
    backend.write_bytes(f"{path}/f", b"")
    backend.remove_tree("d")
    assert names(backend) == []


def test_a_read_only_mount_declares_and_refuses(tmp_path):
    backend = backend_for(fsspec.filesystem("file"), str(tmp_path), readonly=True)
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


def test_a_missing_file_is_named_as_the_caller_named_it(backend):
    for call in (backend.stat, backend.read_bytes, backend.scan):
        with pytest.raises(FileNotFoundError) as caught:
            call("a/none")
        assert caught.value.filename == "a/none"
