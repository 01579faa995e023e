"""fsspec's local files: modes, links, renames, killed writers, temporary files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import fsspec
import pytest

from genro_storage.backends.fsspec import FsspecBackend, backend_for
from genro_storage.backends.fsspec_kinds import LocalFsspecBackend, MemoryFsspecBackend
from genro_storage.backends.temporary_names import is_temporary, unique_name
from genro_storage.info import Attributes
from tests.support.fsspec_backends import NastyFileSystem, local, names


def test_the_classes_of_known_filesystems_are_chosen(tmp_path):
    assert isinstance(local(tmp_path), LocalFsspecBackend)
    assert type(backend_for(fsspec.filesystem("memory"), "/x")) is MemoryFsspecBackend
    assert type(backend_for(NastyFileSystem())) is FsspecBackend


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
from genro_storage.backends.fsspec import backend_for
backend = backend_for(fsspec.filesystem("file"), sys.argv[1])
print("ready", flush=True)
turn = 0
while True:
    turn += 1
    with backend.open_write("f") as handle:
        for _ in range(20):
            handle.write(bytes([65 + turn % 26]) * 20_000)
"""


@pytest.mark.slow
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
    stale, young = tmp_path / "d" / unique_name("a"), tmp_path / unique_name("b")
    kept = tmp_path / ".genro-tmp-notes.txt"
    for file in (stale, young, kept):
        file.write_bytes(b"part")
    os.utime(stale, (1, 1))
    assert names(backend, "d") == []
    found = backend.cleanup("", 3600)
    assert (found, found.left) == (1, 1)
    assert not stale.exists()
    assert backend.cleanup("", 0) == 1
    assert kept.exists()
    (tmp_path / "d" / unique_name("a")).write_bytes(b"")
    backend.remove("d")
    assert names(backend) == [kept.name]


def test_temporary_names_fit_whatever_the_target_is_called():
    for name in ("a", "x" * 255, "日" * 85):
        made = unique_name(name)
        assert len(os.fsencode(made)) <= 255
        assert is_temporary(made)
    assert not is_temporary(".genro-tmp-")
    assert is_temporary(".genro-tmp-0123456789abcdef0123-0")  # the local backend's
