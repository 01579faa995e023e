"""The verbs of whoever moves many files: what a listing has told is believed, and is true."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from ..exceptions import StorageNotFoundError
from .ground import Ground

if TYPE_CHECKING:
    from ..info import FileInfo
    from ..manager import StorageManager
    from ..mount import Mount
    from .ground import Shelf

__all__ = ["TransferConformance"]

_CONTENTS = (b"", b"hello", bytes(range(256)) * 300)


class TransferConformance(Ground):
    """``load``, ``probable_checksum`` and ``copy_listed``, through the mount."""

    @pytest.mark.parametrize("content", _CONTENTS, ids=len)
    def test_a_small_file_is_loaded_whole(self, shelf: Shelf, content: bytes) -> None:
        if not content and shelf.capabilities.path_is_content:
            pytest.skip("the backend declares 'path_is_content': nothing has no path")
        node = shelf.put("d/loaded.bin", content)
        loaded = node._mount.load(node._path)
        assert loaded.data == content
        assert loaded.attributes.offered

    def test_a_digest_that_a_listing_tells_is_that_of_the_content(self, shelf: Shelf) -> None:
        self.need_listing(shelf.root)
        for number, content in enumerate(_CONTENTS):
            shelf.put(f"d/{number}.bin", content)
        mount = shelf.root._mount
        found = [info for info in mount.find("d") if info.type == "file"]
        for info, content in zip(found, _CONTENTS, strict=True):
            probable = mount.probable_checksum(info)
            if probable is not None:
                expected = hashlib.new(probable.algorithm, content, usedforsecurity=False)
                assert probable.hexdigest == expected.hexdigest()

    def test_a_listed_file_is_copied_inside_the_store(self, storage: StorageManager) -> None:
        mount = self._copying(storage)
        for name in ("a.txt", "a b+%25 [x].txt"):
            info = self._listed(mount, storage, name)
            for target in ("copied/new.txt", "copied/new.txt", "d/beside.txt"):
                mount.copy_listed(info, mount, target)
                assert mount.read_bytes(target) == name.encode()

    def test_a_listed_file_that_has_gone_leaves_the_target(self, storage: StorageManager) -> None:
        mount = self._copying(storage)
        info = self._listed(mount, storage, "gone.txt")
        self.put(storage.node("mine:kept.txt"), b"old")
        mount.remove(info.path)
        with pytest.raises(StorageNotFoundError, match=r"gone\.txt"):
            mount.copy_listed(info, mount, "kept.txt")
        assert mount.read_bytes("kept.txt") == b"old"

    def _copying(self, storage: StorageManager) -> Mount:
        node = storage.node("mine:")
        if not (node.capabilities.copy_optimization and node.capabilities.write):
            pytest.skip("the backend does not declare 'copy_optimization'")
        return node._mount

    def _listed(self, mount: Mount, storage: StorageManager, name: str) -> FileInfo:
        self.put(storage.node(f"mine:d/{name}"), name.encode())
        return next(info for info in mount.scan("d") if info.path == f"d/{name}")
