"""Names: whatever a storage can hold is held literally, and what leads out is refused."""

from __future__ import annotations

import contextlib
import unicodedata
from typing import TYPE_CHECKING

import pytest

from ..exceptions import StorageError, StoragePathError
from .ground import AWKWARD, AWKWARD_NAMES, Ground, names_in

if TYPE_CHECKING:
    from collections.abc import Generator

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


@contextlib.contextmanager
def _about(name: str) -> Generator[None]:
    """Say which name it was that something failed with."""
    try:
        yield
    except Exception as error:  # passes on
        error.add_note(f"with the name {name!r}")
        raise


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

    # Side by side, and not one by one: what a pattern hits is seen best among all the others.

    def test_removing_one_file_leaves_the_others(self, root: StorageNode) -> None:
        self.need_deletion(root)
        names = self._held()
        left = dict.fromkeys([*_NEIGHBOURS, *names])
        for name in left:
            (root / name).write_bytes(name.encode())
        for name in names:
            with _about(name):
                assert (root / name).read_bytes() == name.encode()
                (root / name).delete()
                del left[name]
                assert not (root / name).exists
                if root.capabilities.list_dir:
                    assert sorted(names_in(root)) == sorted(left)
                else:
                    assert all((root / other).exists for other in left)
        for other in left:
            assert (root / other).read_bytes() == other.encode()

    def test_copying_and_moving_keep_the_name(self, root: StorageNode) -> None:
        for name in self._held():
            with _about(name):
                (root / "from" / name).write_bytes(name.encode())
                (root / "from" / name).copy_to(root / "to" / name)
                assert (root / "to" / name).read_bytes() == name.encode()
                if root.capabilities.delete:
                    (root / "to" / name).move_to(root / "moved" / name)
                    assert (root / "moved" / name).read_bytes() == name.encode()
                    assert not (root / "to" / name).exists
        for name in self._held():
            with _about(name):
                assert (root / "from" / name).read_bytes() == name.encode()
                arrived = "moved" if root.capabilities.delete else "to"
                assert (root / arrived / name).read_bytes() == name.encode()

    def test_an_awkward_name_that_is_missing_is_just_missing(self, root: StorageNode) -> None:
        for other in _NEIGHBOURS:
            (root / other).write_bytes(b"x")
        for name in self._held():
            with _about(name):
                assert not (root / name).exists

    def _held(self) -> list[str]:
        """The names that the technology can hold side by side."""
        held = [name for name in AWKWARD_NAMES if name not in self.refused_names]
        if self.keeps_unicode_forms:
            return held
        return [name for name in held if unicodedata.is_normalized("NFC", name)]

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
