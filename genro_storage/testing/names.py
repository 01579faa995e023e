"""Names: whatever a storage can hold is held literally, and what leads out is refused."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest

from ..exceptions import StorageError, StoragePathError
from .ground import AWKWARD, Ground, names_in

if TYPE_CHECKING:
    from ..node import StorageNode
    from .ground import Shelf

__all__ = ["NameConformance"]

# What a pattern, a decoded escape or a cut-off suffix of an awkward name would hit.
_NEIGHBOURS = (
    "data1.txt", "star1.txt", "whatx.txt", "a.txt", "b.txt", "hash", "100.txt", " .txt", "ab.txt",
    "home", "two spaces.txt", "leading space", "trailing space", "trailing dot", "rf", "hidden",
)  # fmt: skip

_LEADING_OUT = (
    "..", "../x", "a/..", "a/../b", "a/../../b", "/..", "/../etc/passwd", "a/b/../../..",
    "..\\x", "a\\..\\b", "a/..\\..\\b", "C:\\x", "c:/x", "C:", "nul\x00byte",
)  # fmt: skip


class NameConformance(Ground):
    """Each name of ``AWKWARD_NAMES`` means exactly itself, in every verb."""

    def _refused(self, root: StorageNode, name: str) -> bool:
        """Where the technology cannot hold a name, writing says so and leaves nothing."""
        if name not in self.refused_names:
            return False
        with pytest.raises(StorageError):
            (root / name).write_bytes(b"x")
        if root.capabilities.mkdir and root.capabilities.list_dir:
            assert names_in(root) == []
        return True

    @pytest.mark.parametrize("name", AWKWARD)
    def test_a_file_keeps_its_name(self, root: StorageNode, name: str) -> None:
        if self._refused(root, name):
            return
        node = root / "d" / name
        node.write_bytes(name.encode())
        assert node.exists and node.isfile
        assert node.read_bytes() == name.encode()
        assert node.stat().path == f"d/{name}"
        with node.open("rb") as stream:
            assert stream.read() == name.encode()
        if root.capabilities.list_dir:
            assert names_in(root / "d") == [name]
            assert [info.path for info in root._mount.find("d")] == [f"d/{name}"]
            assert (root / "d").children()[0].read_bytes() == name.encode()

    @pytest.mark.parametrize("name", AWKWARD)
    def test_a_directory_keeps_its_name(self, root: StorageNode, name: str) -> None:
        if self._refused(root, name):
            return
        inner = root / name / "f.txt"
        inner.write_bytes(b"inside")
        assert inner.read_bytes() == b"inside"
        assert (root / name).isdir
        if root.capabilities.list_dir:
            assert names_in(root) == [name]
            assert [info.path for info in root._mount.find(name)] == [f"{name}/f.txt"]
        if root.capabilities.delete:
            (root / name).delete()
            assert not (root / name).exists

    @pytest.mark.parametrize("name", AWKWARD)
    def test_removing_one_file_leaves_the_others(self, root: StorageNode, name: str) -> None:
        self.need_deletion(root)
        if self._refused(root, name):
            return
        others = [other for other in _NEIGHBOURS if other != name]
        for each in [*others, name]:
            (root / each).write_bytes(each.encode())
        (root / name).delete()
        assert not (root / name).exists
        for other in others:
            assert (root / other).read_bytes() == other.encode()

    @pytest.mark.parametrize("name", AWKWARD)
    def test_copying_and_moving_keep_the_name(self, root: StorageNode, name: str) -> None:
        if self._refused(root, name):
            return
        (root / "from" / name).write_bytes(b"travels")
        (root / "from" / name).copy_to(root / "to" / name)
        assert (root / "to" / name).read_bytes() == b"travels"
        if root.capabilities.delete:
            (root / "to" / name).move_to(root / "moved" / name)
            assert (root / "moved" / name).read_bytes() == b"travels"
            assert not (root / "to" / name).exists

    @pytest.mark.parametrize("name", AWKWARD)
    def test_an_awkward_name_that_is_missing_is_just_missing(
        self, root: StorageNode, name: str
    ) -> None:
        if name in self.refused_names:
            return
        for other in _NEIGHBOURS:
            if other != name:
                (root / other).write_bytes(b"x")
        assert not (root / name).exists

    def test_names_that_differ_only_in_case(self, root: StorageNode) -> None:
        (root / "Name.txt").write_bytes(b"upper")
        (root / "name.txt").write_bytes(b"lower")
        assert (root / "name.txt").read_bytes() == b"lower"
        expected = b"upper" if self.case_sensitive else b"lower"
        assert (root / "Name.txt").read_bytes() == expected
        if root.capabilities.list_dir:
            assert len(names_in(root)) == (2 if self.case_sensitive else 1)

    def test_names_that_differ_only_in_unicode_form(self, root: StorageNode) -> None:
        composed = unicodedata.normalize("NFC", "\u00e9.txt")
        decomposed = unicodedata.normalize("NFD", composed)
        (root / composed).write_bytes(b"composed")
        (root / decomposed).write_bytes(b"decomposed")
        assert (root / decomposed).read_bytes() == b"decomposed"
        expected = b"composed" if self.keeps_unicode_forms else b"decomposed"
        assert (root / composed).read_bytes() == expected

    def test_a_name_that_is_too_long_is_held_or_refused(self, root: StorageNode) -> None:
        node = root / ("n" * 256)
        try:
            node.write_bytes(b"x")
        except StorageError as error:
            assert root._mount.name in str(error)
            if root.capabilities.mkdir and root.capabilities.list_dir:
                assert names_in(root) == []
        else:
            assert node.read_bytes() == b"x"

    def test_slashes_too_many_change_nothing(self, root: StorageNode) -> None:
        (root / "a/b.txt").write_bytes(b"x")
        for path in ("/a/b.txt", "a//b.txt", "//a///b.txt", "a/./b.txt", "./a/b.txt"):
            assert (root / path).read_bytes() == b"x"

    @pytest.mark.parametrize("path", _LEADING_OUT)
    def test_a_path_that_leads_out_is_refused(self, shelf: Shelf, path: str) -> None:
        if shelf.capabilities.path_is_content:
            pytest.skip("the backend declares 'path_is_content': its paths lead nowhere")
        with pytest.raises(StoragePathError):
            shelf.storage.node(shelf.mount, path)
        with pytest.raises(StoragePathError):
            shelf.root.child(path)
