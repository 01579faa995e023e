"""The objects behind storage._mounts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.compatibility import BOTH


@BOTH
def test_the_verbs_of_a_backend(storage, mount):
    backend = storage._mounts[mount]
    assert backend.write_bytes("d/f.txt", b"abc") is None
    assert backend.write_text("d/g.txt", "çà", encoding="latin-1") is None
    assert backend.exists("d/f.txt")
    assert not backend.exists("missing")
    assert (backend.is_file("d/f.txt"), backend.is_dir("d/f.txt")) == (True, False)
    assert (backend.is_file("d"), backend.is_dir("d")) == (False, True)
    assert backend.size("d/f.txt") == 3
    assert isinstance(backend.mtime("d/f.txt"), float)
    assert backend.read_bytes("d/f.txt") == b"abc"
    assert backend.read_text("d/g.txt", "latin-1") == "çà"
    assert sorted(backend.list_dir("d")) == ["f.txt", "g.txt"]
    with backend.open("d/f.txt") as handle:
        assert handle.read() == b"abc"
    with backend.open("d/f.txt", "w") as handle:
        handle.write("text")
    assert backend.get_hash("d/f.txt") is None
    assert backend.get_metadata("d/f.txt") == {}
    assert backend.get_versions("d/f.txt") == []
    assert backend.url("d/f.txt", expires_in=60) is None
    assert backend.internal_url("d/f.txt", nocache=True) is None
    assert backend.ext_attributes("d/f.txt")[1:] == (4, False)
    with backend.local_path("d/f.txt", "r") as path:
        assert Path(path).read_text() == "text"
    backend.mkdir("x/y", parents=True, exist_ok=True)
    with pytest.raises(FileExistsError):
        backend.mkdir("x/y", parents=False, exist_ok=False)
    with pytest.raises(OSError, match="not empty"):
        backend.delete("x")
    backend.delete("x", recursive=True)
    backend.delete("d/f.txt")
    assert backend.list_dir("d") == ["g.txt"]
    assert backend.copy("d/g.txt", storage._mounts["disk"], "copied") is None
    assert storage._mounts["disk"].read_bytes("copied") == b"\xe7\xe0"
    assert backend.capabilities == storage.node(f"{mount}:").capabilities
    with pytest.raises(PermissionError, match="does not support metadata"):
        backend.set_metadata("d/g.txt", {"a": "b"})
    with pytest.raises(PermissionError, match="does not support versioning"):
        backend.open_version("d/g.txt", "1", mode="rb")


@pytest.mark.parametrize("mount", ["disk", "ram", "b64"])
def test_deleting_versions_where_there_are_none(storage, mount):
    with pytest.raises(PermissionError, match="does not support version deletion"):
        storage._mounts[mount].delete_version("YWJj", "1")


def test_the_base64_backend_returns_new_paths(storage):
    backend = storage._mounts["b64"]
    assert backend.write_bytes("", b"abc") == "YWJj"
    assert backend.write_text("", "abc") == "YWJj"
    storage._mounts["ram"].write_bytes("f", b"abc")
    assert storage._mounts["ram"].copy("f", backend, "") == "YWJj"
    assert backend.get_hash("YWJj") == hashlib.md5(b"abc").hexdigest()


def test_the_root_of_a_backend(storage, tmp_path):
    assert str(storage._mounts["disk"].base_path) == str(tmp_path / "disk")
    assert storage._mounts["disk"].resolved_path("a") == str(tmp_path / "disk/a")
    assert storage._mounts["ram"].resolved_path("a") is None
    assert storage.node("disk:x")._backend.capabilities == storage._mounts["disk"].capabilities
