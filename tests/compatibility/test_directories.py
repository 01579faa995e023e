"""Listing and making directories."""

from __future__ import annotations

import pytest

from tests.support.compatibility import BOTH, write_tree


@BOTH
def test_children(storage, mount):
    write_tree(storage.node(f"{mount}:src"))
    children = storage.node(f"{mount}:src").children()
    assert isinstance(children, list)
    assert {child.name for child in children} == {"a.py", "b.txt", "d", "__pycache__", "empty"}
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").children()
    with pytest.raises(ValueError, match="directory"):
        storage.node(f"{mount}:src/a.py").children()


def test_base64_has_no_directories(storage):
    with pytest.raises(ValueError, match="no directory structure"):
        storage.node("b64:YWJj").children()


@BOTH
def test_mkdir(storage, mount):
    node = storage.node(f"{mount}:d")
    assert node.mkdir() is None
    assert node.isdir
    with pytest.raises(FileExistsError):
        node.mkdir()
    node.mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:x/y").mkdir()
    storage.node(f"{mount}:x/y").mkdir(parents=True)
    assert storage.node(f"{mount}:x/y").isdir


def test_making_a_directory_in_base64(storage):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:x").mkdir()
