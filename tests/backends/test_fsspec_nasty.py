"""Filesystems that refuse, break off, list nonsense, or know no directories."""

from __future__ import annotations

import io
import threading

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem

from genro_storage.backends.fsspec import FsspecBackend
from genro_storage.backends.fsspec_info import Profile, calls_may_overlap
from genro_storage.backends.fsspec_write import SPOOL
from genro_storage.backends.temporary_names import is_temporary
from tests.support.fsspec_backends import NastyFileSystem, RenamingFileSystem, StoreFileSystem


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
