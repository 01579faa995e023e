"""How nodes are named: spellings, normalised paths, the parts of a name, parents and children."""

from __future__ import annotations

import pytest

from genro_storage import StorageNode, StorageNotFoundError


@pytest.mark.parametrize(
    "arguments", [("ram:a/b",), ("ram", "a", "b"), ("ram:a", "b"), ("ram", "a/b"), ("ram:", "a/b")]
)
def test_the_spellings_of_a_node(storage, arguments):
    assert storage.node(*arguments).fullpath == "ram:a/b"


def test_a_mounts_name_alone_is_its_root(storage):
    assert storage.node("ram").fullpath == "ram:"
    assert storage.node("ram").path == ""


def test_a_node_splits_at_the_first_colon(storage):
    assert storage.node("ram:a:b/c:d").path == "a:b/c:d"


def test_an_unknown_mount(storage):
    with pytest.raises(StorageNotFoundError, match=r"Mount point 'nope' not found"):
        storage.node("nope:f")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("users//1///a.jpg", "users/1/a.jpg"),
        ("/users/1/", "users/1"),
        ("./a/./b", "./a/./b"),
        ("a\\b", "a\\b"),
        ("with space/ünï", "with space/ünï"),
        ("", ""),
        ("///", ""),
    ],
)
def test_how_paths_are_normalised(storage, written, kept):
    assert storage.node(f"ram:{written}").path == kept


@pytest.mark.parametrize("path", ["..", "../x", "a/../b", "a/.."])
def test_parent_directories_are_refused(storage, path):
    with pytest.raises(ValueError, match="Parent directory traversal"):
        storage.node(f"ram:{path}")
    with pytest.raises(ValueError, match="Parent directory traversal"):
        storage.node("ram", *path.split("/"))


def test_the_parts_of_a_name(storage):
    node = storage.node("ram:dir/a.tar.gz")
    assert (node.basename, node.stem, node.suffix) == ("a.tar.gz", "a.tar", ".gz")
    assert (node.ext, node.dirname) == ("gz", "ram:dir")
    assert node.splitext() == ("dir/a.tar", ".gz")
    dotfile = storage.node("ram:.profile")
    assert (dotfile.suffix, dotfile.stem, dotfile.ext) == ("", ".profile", "")
    assert dotfile.splitext() == (".profile", "")


def test_parents_end_at_the_root(storage):
    assert storage.node("ram:a/b").parent.fullpath == "ram:a"
    assert storage.node("ram:a").parent.fullpath == "ram:"
    assert storage.node("ram:").parent.fullpath == "ram:"


def test_a_subclass_keeps_its_type_in_parent_child_and_children(storage):
    class Special(StorageNode):
        def __init__(self, manager, mount_name, path="", *, extra):
            super().__init__(manager, mount_name, path)
            self.extra = extra

        def _create_node(self, manager, mount_name, path):
            return type(self)(manager, mount_name, path, extra=self.extra)

    storage.node("ram:d/f").write_text("x")
    node = Special(storage, "ram", "d", extra=7)
    for other in (node.parent, node.child("f"), *node.children()):
        assert type(other) is Special
        assert other.extra == 7


def test_repr_and_str(storage):
    node = storage.node("ram:d/f")
    assert repr(node) == "StorageNode('ram:d/f')"
    assert str(node) == "ram:d/f"
    assert str(storage.node("ram:")) == "ram:"


def test_child_joins_its_parts(storage):
    assert storage.node("ram:a").child("b", "c/d").fullpath == "ram:a/b/c/d"
