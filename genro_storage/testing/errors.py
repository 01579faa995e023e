"""Errors: exactly the documented class, and a message that names the node as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ..exceptions import (
    StorageError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StorageNotFoundError,
)
from .ground import Ground, names_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..mount import Mount
    from ..node import StorageNode
    from .ground import Shelf

    NodeStep = Callable[[StorageNode], object]
    MountStep = Callable[[Mount, str, Path], object]

__all__ = ["ErrorConformance"]

_READS: dict[str, NodeStep] = {
    "read_bytes": lambda node: node.read_bytes(),
    "an empty range": lambda node: node._mount.read_bytes(node._path, 3, 3),
    "read_text": lambda node: node.read_text(),
    "open": lambda node: node.open("rb").close(),
    "open for text": lambda node: node.open("r").close(),
    "size": lambda node: node.size,
    "md5hash": lambda node: node.md5hash,
    "digest": lambda node: node.digest("sha256"),
    "to_base64": lambda node: node.to_base64(),
}
_LOOKS: dict[str, NodeStep] = {
    "stat": lambda node: node.stat(),
    "mtime": lambda node: node.mtime,
    "zip": lambda node: node.zip(),
}
_LISTS: dict[str, NodeStep] = {
    "children": lambda node: node.children(),
    "iterdir": lambda node: list(node.iterdir()),
    "walk": lambda node: list(node.walk()),
    "find": lambda node: list(node._mount.find(node._path)),
}
_WRITES: dict[str, NodeStep] = {
    "write_bytes": lambda node: node.write_bytes(b"x"),
    "write_text": lambda node: node.write_text("x"),
    "open": lambda node: _write(node, "wb"),
    "open for text": lambda node: _write(node, "w"),
}
_MOUNT_VERBS: dict[str, MountStep] = {
    "stat": lambda mount, path, _: mount.stat(path),
    "exists": lambda mount, path, _: mount.exists(path),
    "scan": lambda mount, path, _: list(mount.scan(path)),
    "find": lambda mount, path, _: list(mount.find(path)),
    "local_path": lambda mount, path, _: mount.local_path(path),
    "versions": lambda mount, path, _: mount.versions(path),
    "get_metadata": lambda mount, path, _: mount.get_metadata(path),
    "url": lambda mount, path, _: mount.url(path),
    "internal_url": lambda mount, path, _: mount.internal_url(path),
    "open_read": lambda mount, path, _: mount.open_read(path),
    "open_read of a version": lambda mount, path, _: mount.open_read(path, version="1"),
    "read_bytes": lambda mount, path, _: mount.read_bytes(path),
    "read_bytes of a range": lambda mount, path, _: mount.read_bytes(path, 1, 2),
    "download": lambda mount, path, here: mount.download(path, here / "target"),
    "upload": lambda mount, path, here: mount.upload(here / "no-such-source", path),
    "copy": lambda mount, path, _: mount.copy(path, mount, f"{path}.copy"),
    "move": lambda mount, path, _: mount.move(path, mount, f"{path}.moved"),
    "set_metadata": lambda mount, path, _: mount.set_metadata(path, {"a": "b"}),
    "set_mtime": lambda mount, path, _: mount.set_mtime(path, 1_000_000_000.0),
    "remove": lambda mount, path, _: mount.remove(path),
    "remove_tree": lambda mount, path, _: mount.remove_tree(path),
    "remove_many": lambda mount, path, _: mount.remove_many([path]),
    "restore_version": lambda mount, path, _: mount.restore_version(path, "1"),
    "require_versions": lambda mount, path, _: mount.require_versions(path),
    "stat_version": lambda mount, path, _: mount.stat_version(path, "1"),
    "delete_version": lambda mount, path, _: mount.delete_version(path, "1"),
    "cleanup": lambda mount, path, _: mount.cleanup(path, 0.0),
    "checksum": lambda mount, path, _: mount.checksum(mount.stat(path)),
}
# A lookup below a file may say either: both are true.
_BELOW = (StorageNotFoundError, StorageNotDirectoryError)


def _write(node: StorageNode, mode: str) -> None:
    with node.open(mode) as stream:
        stream.write(b"x" if "b" in mode else "x")


def _step(table: dict[str, Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("step", list(table.values()), ids=list(table))


class ErrorConformance(Ground):
    """The wrong kind of thing, or nothing at all, at the place that a verb is asked for."""

    def _missing(self, shelf: Shelf) -> StorageNode:
        if shelf.capabilities.path_is_content:
            return shelf.storage.node(shelf.mount, "*** no content ***")
        shelf.put("there.txt")
        return shelf.root / "d/missing.txt"

    @_step(_READS | _LOOKS)
    def test_what_is_missing_cannot_be_read(self, shelf: Shelf, step: NodeStep) -> None:
        node = self._missing(shelf)
        self.raises_ours(StorageNotFoundError, node, lambda: step(node))

    def test_what_is_missing_is_nothing(self, shelf: Shelf) -> None:
        node = self._missing(shelf)
        assert node.exists is False
        assert node.isfile is False
        assert node.isdir is False
        assert node.ext_attributes == (None, None, False)

    def test_what_is_missing_cannot_be_copied(self, shelf: Shelf) -> None:
        shelf.storage.add_mount({"name": "beside", "type": "memory"})
        node = self._missing(shelf)
        target = shelf.storage.node("beside:target")
        self.raises_ours(StorageNotFoundError, node, lambda: node.copy_to(target))
        assert not target.exists

    @_step(_LISTS)
    def test_what_is_missing_cannot_be_listed(self, shelf: Shelf, step: NodeStep) -> None:
        self.need_listing(shelf.root)
        node = self._missing(shelf)
        self.raises_ours(StorageNotFoundError, node, lambda: step(node))

    def test_what_is_missing_cannot_be_updated_or_moved(self, root: StorageNode) -> None:
        node = root / "missing.txt"
        self.raises_ours(StorageNotFoundError, node, lambda: node.open("r+b"))
        if root.capabilities.delete:
            for step in (node.unlink, node.rmdir, lambda: node.move_to(root / "moved.txt")):
                self.raises_ours(StorageNotFoundError, node, step)
        assert not node.exists
        assert not (root / "moved.txt").exists

    @_step(_READS)
    def test_a_directory_cannot_be_read(self, shelf: Shelf, step: NodeStep) -> None:
        if shelf.capabilities.path_is_content:
            pytest.skip("the backend declares 'path_is_content': there are no directories")
        shelf.put("d/file.txt")
        for node in (shelf.root / "d", shelf.root):
            if node.path == "" and shelf.mount != "inner" and not shelf.capabilities.mkdir:
                continue
            self.raises_ours(StorageIsDirectoryError, node, lambda node=node: step(node))  # type: ignore[misc]

    @_step(_WRITES)
    def test_a_directory_cannot_be_overwritten(self, root: StorageNode, step: NodeStep) -> None:
        self.need_directories(root)
        (root / "d/file.txt").write_bytes(b"kept")
        for node in (root / "d", root):
            self.raises_ours(StorageIsDirectoryError, node, lambda node=node: step(node))  # type: ignore[misc]
        assert names_in(root / "d") == ["file.txt"]
        assert (root / "d/file.txt").read_bytes() == b"kept"

    @_step(_LISTS)
    def test_a_file_cannot_be_listed(self, shelf: Shelf, step: NodeStep) -> None:
        self.need_listing(shelf.root)
        node = shelf.put("file.txt")
        self.raises_ours(StorageNotDirectoryError, node, lambda: step(node))

    @_step(_READS)
    def test_there_is_nothing_below_a_file(self, shelf: Shelf, step: NodeStep) -> None:
        if shelf.capabilities.path_is_content:
            pytest.skip("the backend declares 'path_is_content': there is no below")
        node = shelf.put("file.txt") / "below.txt"
        assert node.exists is False
        self.raises_ours(_BELOW, node, lambda: step(node))

    @_step(_WRITES)
    def test_nothing_can_be_written_below_a_file(self, root: StorageNode, step: NodeStep) -> None:
        self.need_directories(root)
        file = root / "file.txt"
        file.write_bytes(b"kept")
        node = file / "below.txt"
        self.raises_ours(StorageNotDirectoryError, node, lambda: step(node))
        assert file.read_bytes() == b"kept"
        assert names_in(root) == ["file.txt"]

    def test_the_wrong_kind_is_not_removed(self, root: StorageNode) -> None:
        self.need_directories(root)
        self.need_deletion(root)
        file, directory = root / "file.txt", root / "d"
        file.write_bytes(b"kept")
        directory.mkdir()
        self.raises_ours(StorageNotDirectoryError, file, file.rmdir)
        self.raises_ours(StorageIsDirectoryError, directory, directory.unlink)
        assert names_in(root) == ["d", "file.txt"]

    def test_kinds_do_not_replace_each_other_by_copying(self, root: StorageNode) -> None:
        self.need_directories(root)
        self.need_listing(root)
        (root / "file.txt").write_bytes(b"kept")
        (root / "d/inner.txt").write_bytes(b"kept too")
        with pytest.raises(StorageIsDirectoryError):
            (root / "file.txt").copy_to(root / "d")
        with pytest.raises(StorageNotDirectoryError):
            (root / "d").copy_to(root / "file.txt")
        assert (root / "file.txt").read_bytes() == b"kept"
        assert (root / "d/inner.txt").read_bytes() == b"kept too"

    def test_mkdir_onto_the_root_says_that_it_is_there(self, root: StorageNode) -> None:
        self.need_directories(root)
        self.raises_ours(StorageExistsError, root, root.mkdir)
        root.mkdir(exist_ok=True, parents=True)

    @_step(_MOUNT_VERBS)
    def test_every_verb_of_the_mount_raises_only_ours(
        self, shelf: Shelf, step: MountStep, tmp_path: Path
    ) -> None:
        node = self._missing(shelf)
        paths = [node._path]
        if not shelf.capabilities.path_is_content:
            shelf.put("file.txt")
            paths += ["file.txt/below.txt", "no/such/directory/at all.txt"]
        for path in paths:
            try:
                step(node._mount, path, tmp_path)
            except StorageError as error:
                assert f"{shelf.mount}:" in str(error)
                assert type(error) is not StorageError
