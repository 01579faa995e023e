"""A read-only mount of the same storage: every verb that writes is refused, nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ..exceptions import StoragePermissionError
from .ground import Ground

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..manager import StorageManager
    from ..node import StorageNode

    Step = Callable[[StorageNode], object]

__all__ = ["PermissionConformance"]


def _local_path(node: StorageNode, mode: str) -> None:
    with node.local_path(mode) as path, open(path, "wb") as stream:
        stream.write(b"changed")


_WRITES: dict[str, Step] = {
    "write_bytes": lambda node: node.write_bytes(b"changed"),
    "write_bytes if changed": lambda node: node.write_bytes(b"kept", skip_if_unchanged=True),
    "write_text": lambda node: node.write_text("changed"),
    "touch": lambda node: node.touch(),
    "mkdir": lambda node: node.mkdir(),
    "mkdir of what is there": lambda node: node.parent.mkdir(exist_ok=True),
    "make_parents": lambda node: node._mount.make_parents(f"{node._path}.d/x"),
    "delete": lambda node: node.delete(),
    "delete everything": lambda node: node.parent.delete(root=True),
    "unlink": lambda node: node.unlink(),
    "unlink if there": lambda node: node.unlink(missing_ok=True),
    "rmdir": lambda node: node.rmdir(),
    "remove": lambda node: node._mount.remove(node._path),
    "remove_tree": lambda node: node._mount.remove_tree(node._path),
    "remove_many": lambda node: node._mount.remove_many([node._path]),
    "clear": lambda node: node._mount.clear(),
    "cleanup": lambda node: node._mount.cleanup("", 0.0),
    "move_to": lambda node: node.move_to(f"mine:{node._path}.moved"),
    "rename": lambda node: node.rename(f"mine:{node._path}.moved"),
    "move onto it": lambda node: node._manager.node("other:source.txt").move_to(node),
    "copy onto it": lambda node: node._manager.node("other:source.txt").copy_to(node),
    "copy beside it": lambda node: node.copy_to(f"locked:{node._path}.copy"),
    "copy inside the mount": lambda node: node._mount.copy(node._path, node._mount, "copied"),
    "move inside the mount": lambda node: node._mount.move(node._path, node._mount, "moved"),
    "set_metadata": lambda node: node.set_metadata({"a": "b"}),
    "set_mtime": lambda node: node._mount.set_mtime(node._path, 1.0),
    "delete_version": lambda node: node._mount.delete_version(node._path, "1"),
    "local_path('w')": lambda node: _local_path(node, "w"),
    "local_path('rw')": lambda node: _local_path(node, "rw"),
}
_MODES = ("wb", "w", "wt", "ab", "a", "xb", "x", "r+", "r+b", "rb+", "w+b", "a+b", "x+")


class PermissionConformance(Ground):
    """Rights are checked before the backend hears of anything."""

    @pytest.fixture
    def locked(self, storage: StorageManager) -> StorageNode:
        """A file on the read-only mount, and something elsewhere to copy onto it."""
        storage.add_mount({"name": "other", "type": "memory"})
        storage.node("other:source.txt").write_bytes(b"changed")
        node = self.put(storage.node("mine:kept.txt"), b"kept")
        return storage.node("locked", node._path)

    def _unchanged(self, node: StorageNode) -> None:
        assert node.read_bytes() == b"kept"
        assert node._manager.node("other:source.txt").exists
        if node.capabilities.list_dir:
            assert [child.name for child in node.parent.children()] == [node.name]

    @pytest.mark.parametrize("step", list(_WRITES.values()), ids=list(_WRITES))
    def test_a_read_only_mount_refuses(self, locked: StorageNode, step: Step) -> None:
        with pytest.raises(StoragePermissionError, match="locked:"):
            step(locked)
        self._unchanged(locked)

    @pytest.mark.parametrize("mode", _MODES)
    def test_a_read_only_mount_refuses_to_open(self, locked: StorageNode, mode: str) -> None:
        with pytest.raises(StoragePermissionError, match="locked:"):
            locked.open(mode)
        self._unchanged(locked)

    def test_the_backend_is_not_asked(self, locked: StorageNode) -> None:
        watched, spy = self.spied(locked)
        for step in (
            lambda: watched.write_bytes(b"x"),
            watched.delete,
            watched.mkdir,
            lambda: watched.open("wb"),
        ):
            with pytest.raises(StoragePermissionError):
                step()
        assert spy.calls == []

    def test_a_mount_that_may_not_delete_keeps_what_is_there(self, storage: StorageManager) -> None:
        if not storage.node("mine:").capabilities.write:
            pytest.skip("the backend does not declare 'write'")
        config: dict[str, Any] = {"name": "kept", "path": "mine:", "permissions": "readwrite"}
        storage.add_mount(config)
        node = storage.node("kept:file.txt")
        node.write_bytes(b"one")
        node.write_bytes(b"two")
        for step in (
            node.delete,
            node.unlink,
            lambda: node.move_to("mine:moved.txt"),
            lambda: storage.node("kept:").delete(root=True),
            lambda: node._mount.remove_many(["file.txt"]),
        ):
            with pytest.raises(StoragePermissionError, match="kept:"):
                step()
        assert node.read_bytes() == b"two"
        assert not storage.node("mine:moved.txt").exists
