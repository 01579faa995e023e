"""Links and names of local files, through both backends that write them."""

from __future__ import annotations

import errno
import os

import pytest

from genro_storage import StorageManager
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.local_links import rename
from tests.support.fsspec_backends import local, names


@pytest.fixture(params=[LocalBackend, local], ids=["local", "fsspec"])
def backend(request, tmp_path):
    return request.param(tmp_path)


def no_hard_links(*arguments, **options):
    raise OSError(errno.EPERM, "no hard links here")


def test_an_exclusive_write_works_without_hard_links(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", no_hard_links)
    monkeypatch.setattr("genro_storage.backends.local_write.CAN_LINK", False)
    backend.write_bytes("f", b"first", if_absent=True)
    with pytest.raises(FileExistsError):
        backend.write_bytes("f", b"second", if_absent=True)
    handle = backend.open_write("g", if_absent=True)
    handle.write(b"late")
    (tmp_path / "g").write_bytes(b"taken meanwhile")
    with pytest.raises(FileExistsError):
        handle.close()
    assert names(backend) == ["f", "g"] == sorted(os.listdir(tmp_path))
    assert backend.read_bytes("f") == b"first"
    assert backend.read_bytes("g") == b"taken meanwhile"


@pytest.mark.parametrize("path", ["out", "out/secret", "leak"])
def test_what_leads_out_of_the_root_is_refused(backend, tmp_path, path):
    (tmp_path / "out").symlink_to(tmp_path.parent)
    (tmp_path / "leak").symlink_to(tmp_path.parent / "secret")
    with pytest.raises(PermissionError):
        backend.write_bytes(path, b"x")
    with pytest.raises(PermissionError):
        list(backend.scan("out"))
    assert not (tmp_path.parent / "secret").exists()


@pytest.mark.parametrize("swapped", ["a", "a/b", "a/b/c"])
def test_a_directory_that_becomes_a_link_leading_out_is_noticed(backend, tmp_path, swapped):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    for below in ("b/c/d", "c/d", "d"):
        (outside / below).mkdir(parents=True, exist_ok=True)
        (outside / below / "secret").write_bytes(b"secret")
    backend.write_bytes("a/b/c/d/f", b"x")
    for path in ("a/b", "a/b/c", "a/b/c/d"):  # all of them are known now
        assert list(backend.scan(path))
    (tmp_path / swapped).rename(tmp_path / "aside")
    (tmp_path / swapped).symlink_to(outside)
    for path in ("a/b/c/d/secret", "a/b/c/d/new/file", "a/b/c/d/f"):
        with pytest.raises(PermissionError):
            backend.read_bytes(path)
        with pytest.raises(PermissionError):
            backend.write_bytes(path, b"out")
    assert not (outside / "d/new").exists()


def test_a_deep_tree_costs_a_few_looks_for_each_directory(tmp_path, monkeypatch):
    backend = LocalBackend(tmp_path)
    backend.write_bytes("/".join(["d"] * 400) + "/f", b"x")
    looks = []
    look = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: looks.append(path) or look(path))
    assert sum(1 for _ in backend.find("")) == 401
    assert len(looks) < 5 * 400


@pytest.mark.parametrize("target", ["g", "F", "d/f"])
def test_moving_to_another_name_of_the_same_file_removes_the_first(backend, tmp_path, target):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"x")
    os.link(tmp_path / "f", tmp_path / target)
    backend.move("f", target)
    assert backend.read_bytes(target) == b"x"
    assert os.stat(tmp_path / target).st_nlink == 1


def test_moving_to_a_hard_link_of_a_symbolic_link_removes_the_first(backend, tmp_path):
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "f").symlink_to("real")
    os.link(tmp_path / "f", tmp_path / "d", follow_symlinks=False)
    backend.move("f", "d")
    assert sorted(os.listdir(tmp_path)) == ["d", "real"]
    assert os.readlink(tmp_path / "d") == "real"


def test_a_move_of_one_entry_onto_itself_never_removes_it(tmp_path, monkeypatch):
    """As on a file system that takes two names for one: the second is not in the listing."""
    (tmp_path / "f").write_bytes(b"x")
    os.link(tmp_path / "f", tmp_path / "other")
    os.link(tmp_path / "f", tmp_path / "F")
    monkeypatch.setattr(os, "listdir", lambda path: ["f", "other"])
    for here, there in [("f", "F"), ("f", "f")]:
        rename(f"{tmp_path}/{here}", f"{tmp_path}/{there}")
        assert (tmp_path / "f").read_bytes() == b"x"
    (tmp_path / "again").symlink_to(tmp_path)
    rename(f"{tmp_path}/f", f"{tmp_path}/again/f")
    assert (tmp_path / "f").read_bytes() == b"x"


def test_a_node_moves_to_a_hard_link_of_itself(tmp_path):
    storage = StorageManager()
    storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
    (tmp_path / "f").write_bytes(b"x")
    os.link(tmp_path / "f", tmp_path / "g")
    storage.node("disk:f").move_to("disk:g")
    assert os.listdir(tmp_path) == ["g"]
