"""Reading, writing, opening and deleting."""

from __future__ import annotations

import pytest

from tests.support.compatibility import BOTH


@BOTH
def test_read(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_bytes("çà".encode("latin-1"))
    assert node.read("rb") == b"\xe7\xe0"
    assert node.read("r", "latin-1") == "çà"
    assert node.read(encoding="latin-1") == node.read_text("latin-1")
    with pytest.raises(ValueError, match="mode"):
        node.read("w")
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").read()
    storage.node(f"{mount}:d").mkdir()
    with pytest.raises(IsADirectoryError):
        storage.node(f"{mount}:d").read()


def test_reading_invalid_base64(storage):
    with pytest.raises(FileNotFoundError, match="cannot be empty"):
        storage.node("b64:").read()
    with pytest.raises(FileNotFoundError, match="Invalid base64"):
        storage.node("b64:!!").read()


@BOTH
def test_write(storage, mount):
    node = storage.node(f"{mount}:new/parents/f")
    assert node.write("text") is True
    assert node.write(b"bytes", "wb") is True
    assert node.read("rb") == b"bytes"
    for data, mode in (("text", "wb"), (b"bytes", "w")):
        with pytest.raises(TypeError):
            node.write(data, mode)
    with pytest.raises(ValueError, match="mode"):
        node.write("x", "a")
    with pytest.raises(TypeError):
        node.write_text(b"bytes")
    with pytest.raises(TypeError):
        node.write_bytes("text")
    assert node.read_bytes() == b"bytes"


@BOTH
def test_skip_if_unchanged(storage, mount):
    node = storage.node(f"{mount}:f")
    assert node.write("one", skip_if_unchanged=True) is True
    before = node.stat()
    assert node.write("one", skip_if_unchanged=True) is False
    assert node.stat() == before
    assert node.write_text("two", skip_if_unchanged=True) is True
    assert node.write_bytes(b"two", skip_if_unchanged=True) is False
    assert node.read() == "two"


def test_writing_through_a_snapshot(storage):
    node = storage.node("ram:f", version=-1)
    for write in (lambda: node.write("x"), lambda: node.write_bytes(b"x")):
        with pytest.raises(ValueError, match="Cannot write to versioned snapshot"):
            write()
    for mode in ("w", "wb", "a", "ab"):
        with pytest.raises(ValueError, match="Cannot write to versioned snapshot"):
            node.open(mode)
    with pytest.raises(ValueError, match="snapshot"):
        node.open("r", version=1)


@BOTH
def test_open_makes_parents_and_appends(storage, mount):
    node = storage.node(f"{mount}:new/f")
    with node.open("w") as handle:
        handle.write("one\n")
    with node.open("a") as handle:
        handle.write("two\n")
    with node.open() as handle:
        assert list(handle) == ["one\n", "two\n"]
    with node.open("rb") as handle:
        handle.seek(4)
        assert handle.read() == b"two\n"


@BOTH
def test_delete(storage, mount):
    storage.node(f"{mount}:missing").delete()
    node = storage.node(f"{mount}:d/e/f")
    node.write_text("x")
    assert storage.node(f"{mount}:d").delete() is None
    assert not node.exists
    assert not storage.node(f"{mount}:d").exists


def test_deleting_base64(storage):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:YWJj").delete()
