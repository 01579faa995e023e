"""Files of unfinished writes are hidden and removed; the user's own never are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genro_storage import StorageManager, StorageValueError
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.temporary_names import is_temporary, numbered_name, unique_name
from tests.support.fsspec_backends import local, names

OURS = (".genro-tmp-0123456789abcdef0123-0", ".genro-tmp-0123456789abcdef0123-77-0123456789ab")
USERS = (
    ".genro-tmp-",
    ".genro-tmp-notes.txt",
    ".genro-tmp-0123456789abcdef0123",
    ".genro-tmp-0123456789abcdef0123-",
    ".genro-tmp-0123456789abcdef0123-0.txt",
    ".genro-tmp-0123456789abcdef0123-0\n",
    ".genro-tmp-0123456789ABCDEF0123-0",
    ".genro-tmp-0123456789abcdef012-0",
    ".genro-tmp-0123456789abcdef0123-٣",
    ".genro-tmp-0123456789abcdef0123-7-0123456789a",
    "x.genro-tmp-0123456789abcdef0123-0",
)


@pytest.fixture(params=[LocalBackend, local], ids=["local", "fsspec"])
def backend(request, tmp_path):
    return request.param(tmp_path)


@pytest.mark.parametrize("name", ["a", "x" * 255, "日" * 85, "bad\udcff"])
def test_what_writers_make_is_known_again(name):
    for made in (numbered_name(name, 0), numbered_name(name, 12), unique_name(name)):
        assert is_temporary(made)
        assert len(os.fsencode(made)) <= 255


@pytest.mark.parametrize("name", USERS)
def test_a_users_file_is_listed_and_kept(backend, tmp_path, name):
    backend.write_bytes(f"d/{name}", b"mine")
    assert names(backend, "d") == [f"d/{name}"]
    with pytest.raises(OSError, match="not empty"):
        backend.remove("d")
    assert backend.cleanup("", 0) == 0
    assert (tmp_path / "d" / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", OURS)
def test_what_a_killed_writer_of_either_backend_left_is_hidden_and_removed(backend, tmp_path, name):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_bytes(b"part")
    assert names(backend, "d") == []
    assert backend.cleanup("", 0) == 1
    (tmp_path / "d" / name).write_bytes(b"part")
    backend.remove("d")
    assert names(backend) == []


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "f").write_bytes(b"mine")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    "make", [make_directory, lambda path: path.symlink_to("nowhere"), os.mkfifo]
)
def test_what_no_writer_makes_is_never_taken_for_a_leftover(backend, tmp_path, name, make):
    (tmp_path / "d").mkdir()
    make(tmp_path / "d" / name)
    assert names(backend, "d") == [f"d/{name}"]
    with pytest.raises(OSError, match="not empty"):
        backend.remove("d")
    assert backend.cleanup("", 0) == 0
    assert os.listdir(tmp_path / "d") == [name]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", ["local", "fsspec"])
def test_a_file_that_would_be_hidden_is_refused(tmp_path, name, kind):
    (tmp_path / "root").mkdir()
    path = str(tmp_path / "root")
    row = {"fsspec": {"filesystem": "file"}}.get(kind, {})
    storage = StorageManager()
    storage.configure([{"name": "disk", "type": kind, "path": path, **row}])
    source, target = storage.node("disk:f"), storage.node(f"disk:{name}")
    source.write_bytes(b"x")
    (tmp_path / "outside").write_bytes(b"x")
    for write in (
        lambda: target.write_bytes(b"x"),
        lambda: target.open("wb"),
        lambda: target.open("ab"),
        lambda: target.open("xb"),
        lambda: target._mount.upload(tmp_path / "outside", name),
        lambda: source.copy_to(target),
        lambda: source.move_to(target),
    ):
        with pytest.raises(StorageValueError, match="choose another name"):
            write()
    assert os.listdir(tmp_path / "root") == ["f"]
