"""What a node's properties answer: existence, size, times, hashes, types, equality."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

import pytest

from tests.support.compatibility import BOTH


@BOTH
def test_exists_isfile_and_isdir(storage, mount):
    node = storage.node(f"{mount}:d/f")
    assert (node.exists, node.isfile, node.isdir) == (False, False, False)
    node.write_text("x")
    assert (node.exists, node.isfile, node.isdir) == (True, True, False)
    assert (node.parent.exists, node.parent.isfile, node.parent.isdir) == (True, False, True)


def test_base64_is_never_a_directory_and_invalid_text_does_not_exist(storage):
    assert storage.node("b64:YWJj").exists is True
    assert storage.node("b64:YWJj").isdir is False
    assert storage.node("b64:not base64!").exists is False
    assert storage.node("b64:").exists is False


@BOTH
def test_size(storage, mount):
    node = storage.node(f"{mount}:d/f")
    with pytest.raises(FileNotFoundError):
        node.size
    node.write_bytes(b"12345")
    assert node.size == 5
    with pytest.raises(ValueError, match="directory"):
        node.parent.size


def test_the_size_in_base64_is_that_of_the_content(storage):
    assert storage.node("b64:YWJj").size == 3


@BOTH
def test_mtime(storage, mount):
    node = storage.node(f"{mount}:f")
    with pytest.raises(FileNotFoundError):
        node.mtime
    before = time.time()
    node.write_text("x")
    assert isinstance(node.mtime, float)
    assert before - 2 <= node.mtime <= time.time() + 2
    assert isinstance(storage.node(f"{mount}:").mtime, float)


def test_the_mtime_of_base64_is_fixed(storage):
    first = storage.node("b64:YWJj").mtime
    time.sleep(0.01)
    assert isinstance(first, float)
    assert storage.node("b64:ZGVm").mtime == first


@BOTH
def test_md5hash(storage, mount):
    node = storage.node(f"{mount}:d/f")
    with pytest.raises(FileNotFoundError):
        node.md5hash
    node.write_bytes(b"hello")
    assert node.md5hash == hashlib.md5(b"hello").hexdigest()
    with pytest.raises(ValueError, match="Cannot compute hash of directory"):
        node.parent.md5hash


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain"),
        ("A.TXT", "text/plain"),
        ("a.py", "text/x-python"),
        ("a.wav", "audio/x-wav"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("a.svg", "image/svg+xml"),
        ("a.csv", "text/csv"),
        ("a", "application/octet-stream"),
        ("a.unknown-thing", "application/octet-stream"),
    ],
)
def test_mimetype(storage, name, expected):
    assert storage.node(f"ram:{name}").mimetype == expected


def test_the_mimetype_of_a_directory_and_of_base64(storage):
    storage.node("ram:d").mkdir()
    assert storage.node("ram:d").mimetype == "application/octet-stream"
    assert storage.node("b64:YWJj").mimetype == "application/octet-stream"


@BOTH
def test_backends_without_versions(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_text("x")
    assert node.versions == []
    assert node.version_count == 0
    for arguments in ({"version": -1}, {"as_of": datetime.now(UTC)}, {"version": "id"}):
        with pytest.raises(PermissionError, match="does not support versioning"):
            node.open("r", **arguments)
    with pytest.raises(ValueError, match="Cannot specify both"):
        node.open("r", version=-1, as_of=datetime.now(UTC))
    with pytest.raises(PermissionError, match="does not support versioning"):
        node.compact_versions()
    with pytest.raises(PermissionError, match="does not support versioning"):
        node.compact_versions(dry_run=True)
    with pytest.raises(IndexError, match="No versions available"):
        node._resolve_version_index(-1)
    assert node._resolve_version_at_date(datetime.now(UTC)) is None


def test_the_capabilities_of_a_node_with_a_version_lack_versions(storage):
    flags = storage.node("ram:f", version=-1).capabilities
    assert (flags.versioning, flags.version_listing, flags.version_access) == (False,) * 3


def test_equality_is_by_content(storage):
    a, b, c = (storage.node(f"{m}:f") for m in ("disk", "ram", "b64"))
    a.write_text("same")
    b.write_text("same")
    c.write_text("same")
    assert a == b
    assert b == c
    assert not a != b
    b.write_text("else")
    assert a != b
    assert not a == b


def test_equality_with_something_else(storage):
    node = storage.node("ram:f")
    node.write_text("x")
    assert (node == "ram:f") is False
    assert (node != "ram:f") is True
    assert node.__eq__(1) is NotImplemented


def test_the_same_place_is_equal_without_being_read(storage):
    assert storage.node("ram:missing") == storage.node("ram:missing")
    assert storage.node("ram:missing") != storage.node("ram:gone")


def test_directories_are_not_equal_to_each_other(storage):
    storage.node("ram:a").mkdir()
    storage.node("ram:b").mkdir()
    assert storage.node("ram:a") != storage.node("ram:b")


@BOTH
def test_ext_attributes(storage, mount):
    node = storage.node(f"{mount}:d/f")
    assert node.ext_attributes == (None, None, False)
    node.write_text("abc")
    assert node.ext_attributes == (node.mtime, 3, False)
    mtime, size, is_directory = node.parent.ext_attributes
    assert isinstance(mtime, float)
    assert (size, is_directory) == (None, True)
    assert storage.iternode().ext_attributes[2] is False


def test_resolved_path(storage, tmp_path):
    assert storage.node("disk:missing/f").resolved_path == str(tmp_path / "disk/missing/f")
    assert storage.node("ram:f").resolved_path is None
    assert storage.node("b64:YWJj").resolved_path is None
