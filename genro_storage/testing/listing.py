"""Listings: complete, in order, and enough to need no further request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .ground import Ground, names_in

if TYPE_CHECKING:
    from ..info import FileInfo
    from ..node import StorageNode
    from .ground import Shelf

__all__ = ["ListingConformance"]

_TREE = ("a0.txt", "a-b.txt", "a/x.txt", "a/b/deep.txt", "B.txt", "z/last.txt")
_KEYS = ["B.txt", "a-b.txt", "a", "a/b", "a/b/deep.txt", "a/x.txt", "a0.txt", "z", "z/last.txt"]


class ListingConformance(Ground):
    """What ``children``, ``walk``, ``glob`` and the mount's ``find`` say of a tree."""

    @pytest.fixture
    def tree(self, shelf: Shelf) -> StorageNode:
        """The root of a small tree, seen through the variant."""
        self.need_listing(shelf.root)
        for path in _TREE:
            shelf.put(path, path.encode())
        return shelf.root

    def test_children_are_sorted_and_complete(self, tree: StorageNode) -> None:
        assert names_in(tree) == ["B.txt", "a", "a-b.txt", "a0.txt", "z"]
        assert names_in(tree / "a") == ["b", "x.txt"]
        assert [node.name for node in tree.iterdir()] == names_in(tree)
        assert all(child.parent.fullpath == tree.fullpath for child in tree.children())

    def test_a_tree_is_found_in_key_order(self, tree: StorageNode) -> None:
        assert [info.path for info in tree._mount.find("")] == _KEYS
        assert [info.path for info in tree._mount.find("a")] == ["a/b", "a/b/deep.txt", "a/x.txt"]

    def test_a_directory_that_is_not_entered_is_listed_itself(self, tree: StorageNode) -> None:
        asked: list[str] = []

        def enter(info: FileInfo) -> bool:
            asked.append(info.path)
            return info.path != "a"

        found = [info.path for info in tree._mount.find("", enter=enter)]
        assert found == ["B.txt", "a-b.txt", "a", "a0.txt", "z", "z/last.txt"]
        assert asked == ["a", "z"]

    def test_a_child_knows_its_size_without_a_request(self, tree: StorageNode) -> None:
        watched, spy = self.spied(tree)
        children = {child.name: child for child in watched.children()}
        assert children["a-b.txt"].isfile and not children["a-b.txt"].isdir
        assert children["a-b.txt"].size == len(b"a-b.txt")
        assert children["a"].isdir
        listed = children["B.txt"].mtime
        assert spy.calls == ["scan"]
        assert listed == (tree / "B.txt").stat().mtime

    def test_a_listing_says_what_a_look_says(self, tree: StorageNode) -> None:
        for info in tree._mount.find(""):
            looked = tree._mount.stat(info.path)
            assert (looked.path, looked.type, looked.size) == (info.path, info.type, info.size)
            assert info.type in ("file", "directory")
            assert (info.size is None) == (info.type == "directory")

    def test_a_listing_can_be_left_early(self, tree: StorageNode) -> None:
        listing = tree._mount.find("")
        assert next(listing).path == _KEYS[0]
        del listing
        assert names_in(tree / "z") == ["last.txt"]

    def test_walking_visits_every_directory(self, tree: StorageNode) -> None:
        walked = {
            node.path: (sorted(directories), sorted(files))
            for node, directories, files in tree.walk()
        }
        assert walked == {
            "": (["a", "z"], ["B.txt", "a-b.txt", "a0.txt"]),
            "a": (["b"], ["x.txt"]),
            "a/b": ([], ["deep.txt"]),
            "z": ([], ["last.txt"]),
        }

    def test_patterns_match_as_in_pathlib(self, tree: StorageNode) -> None:
        assert [node.path for node in tree.glob("*.txt")] == ["B.txt", "a-b.txt", "a0.txt"]
        assert [node.path for node in tree.glob("a/*.txt")] == ["a/x.txt"]
        assert sorted(node.path or "" for node in tree.rglob("*.txt")) == sorted(_TREE)

    def test_what_lies_beside_is_not_listed(self, tree: StorageNode) -> None:
        assert [info.path for info in tree._mount.scan("z")] == ["z/last.txt"]
        assert not (tree / "a/b/last.txt").exists

    def test_a_listing_follows_what_happens(self, root: StorageNode) -> None:
        self.need_listing(root)
        for name in ("a.txt", "b.txt"):
            (root / name).write_bytes(b"1")
        assert names_in(root) == ["a.txt", "b.txt"]
        (root / "c.txt").write_bytes(b"22")
        (root / "a.txt").write_bytes(b"22")
        children = root.children()
        assert [child.name for child in children] == ["a.txt", "b.txt", "c.txt"]
        assert [child.size for child in children] == [2, 1, 2]
        if root.capabilities.delete:
            (root / "b.txt").delete()
            assert names_in(root) == ["a.txt", "c.txt"]

    def test_many_entries_are_all_listed(self, root: StorageNode) -> None:
        self.need_listing(root)
        expected = [f"f{number:03}.txt" for number in range(120)]
        for name in expected:
            (root / "many" / name).write_bytes(name.encode())
        assert names_in(root / "many") == expected
        assert [info.name for info in root._mount.find("many")] == expected
