"""Versions: what is listed is read, restored and deleted, and nobody else's is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ..exceptions import (
    StorageError,
    StorageNotFoundError,
    StorageUnsupportedError,
    StorageVersionError,
)
from .ground import Ground

if TYPE_CHECKING:
    from ..manager import StorageManager
    from ..node import StorageNode

__all__ = ["VersionConformance"]

_MISSING = (StorageNotFoundError, StorageVersionError)


class VersionConformance(Ground):
    """``versioning``, ``version_listing`` and ``version_access``, both ways."""

    def test_versions(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"one")
        if not self.declares(node, "version_access", lambda: node.open("rb", version=-1)):
            old = storage.node(node.fullpath, version="1")
            with pytest.raises(StorageUnsupportedError):
                old.read_bytes()
        if not self.declares(node, "version_listing", lambda: node._mount.versions(node._path)):
            assert node.versions == []
            assert node.version_count == 0
        elif node.capabilities.write and node.capabilities.version_access:
            self.put(storage.node("mine:capability.txt.bak"), b"of another file")
            node.write_bytes(b"three")
            if not self.keeps_versions:
                (only,) = node.versions
                assert (only["is_latest"], only["size"]) == (True, 5)
                assert storage.node(node.fullpath, version=-1).read_bytes() == b"three"
                return
            first, second = node.versions
            assert [first["is_latest"], second["is_latest"]] == [False, True]
            assert [first["size"], second["size"]] == [3, 5]
            assert first["last_modified"].utcoffset() == timedelta(0)
            assert not first["is_delete_marker"]
            self._is_that_version(storage, node, first["version_id"])
            assert node.read_bytes() == b"three"

    @staticmethod
    def _is_that_version(storage: StorageManager, node: StorageNode, version: str) -> None:
        old = storage.node(node.fullpath, version=version)
        for named in (-2, 0, version):
            old = storage.node(node.fullpath, version=named)
            assert old.read_bytes() == b"one"
            assert old.size == 3
            assert old.exists
        assert node._mount.read_bytes(node._path, 1, 9, version=version) == b"ne"
        assert old.md5hash == "f97c5d29941bfb1b2fdab0874906ab82"
        copied = storage.node("mine:capability.copy")
        old.copy_to(copied)
        assert copied.read_bytes() == b"one"
        with pytest.raises(ValueError, match="snapshot"):
            old.write_bytes(b"x")
        absent = storage.node(node.fullpath, version="no-such-version")
        assert not absent.exists
        for step in (absent.read_bytes, absent.stat):
            with pytest.raises(_MISSING):
                step()

    def test_deleting_versions(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"one")
        first = node.versions[0]["version_id"] if node.versions else "1"

        def step() -> None:
            node.delete_version(first)

        if self.declares(node, "versioning", step) and self.declares(node, "delete", step):
            node.write_bytes(b"two")
            if not self.keeps_versions:
                for refused in (lambda: node.delete_version(-1), node.compact_versions):
                    with pytest.raises(StorageUnsupportedError):
                        refused()
                assert node.read_bytes() == b"two"
                return
            step()
            assert [version["size"] for version in node.versions] == [3]
            assert node.read_bytes() == b"two"
            with pytest.raises(_MISSING):
                step()

    def test_compacting_versions(self, storage: StorageManager) -> None:
        node = storage.node("mine:capability.txt")
        if self._keeps(node):
            for content in (b"A", b"A", b"B", b"B", b"A", b"A"):
                node.write_bytes(content)
            assert node.compact_versions(dry_run=True) == 3
            assert node.version_count == 6
            assert node.compact_versions() == 3
            found = [node.open("rb", version=index).read() for index in range(3)]
            assert found == [b"A", b"B", b"A"]
            assert node.version_count == 3
            assert node.read_bytes() == b"A"

    def test_restoring_versions(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"one")
        first = node.versions[0]["version_id"] if node.versions else "1"

        def step() -> None:
            node.restore(first)

        if not self.declares(node, "versioning", step) or not self.declares(node, "write", step):
            return
        if not self.keeps_versions:
            step()  # it is the current content, which stays
            assert node.read_bytes() == b"one"
            return
        if node.capabilities.metadata:
            node.write_bytes(b"one", metadata={"colour": "blue"})
            first = node.versions[-1]["version_id"]
        node.write_bytes(b"two")
        count = node.version_count
        with pytest.raises(StorageError):
            storage.node("locked:capability.txt").restore(first)
        step()
        assert node.read_bytes() == b"one"
        assert node.version_count == count + 1
        if node.capabilities.metadata:
            assert node.get_metadata() == {"colour": "blue"}
        node.restore(-1)
        assert node.version_count == count + 1

    def test_a_version_is_restored_with_the_metadata_that_were_set_for_it(
        self, storage: StorageManager
    ) -> None:
        node = storage.node("mine:capability.txt")
        if self._keeps(node) and node.capabilities.metadata:
            node.write_bytes(b"one")
            node.set_metadata({"colour": "blue"})
            # New metadata are a new version in some stores, and belong to the old one in others.
            blue = node.versions[-1]["version_id"]
            node.write_bytes(b"two")
            node.set_metadata({"colour": "red"})
            node.restore(blue)
            assert (node.read_bytes(), node.get_metadata()) == (b"one", {"colour": "blue"})

    def test_a_deleted_file_keeps_its_versions(self, storage: StorageManager) -> None:
        node = storage.node("mine:capability.txt")
        if self._keeps(node):
            node.write_bytes(b"one")
            written = node.versions[0]["last_modified"]
            # Many stores date versions by whole seconds.
            while datetime.now(UTC) < written + timedelta(seconds=1):
                time.sleep(0.05)
            node.delete()
            assert not node.exists
            assert node.open("rb", version=0).read() == b"one"
            assert node.open("rb", as_of=written).read() == b"one"
            assert not any(each["is_latest"] for each in node.versions[:1])
            node.restore(as_of=written)
            assert node.read_bytes() == b"one"

    def _keeps(self, node: StorageNode) -> bool:
        """Whether there is a history to look at; other tests look at the refusal."""
        able = node.capabilities
        return (
            self.keeps_versions
            and (able.versioning and able.version_listing and able.version_access)
            and (able.write and able.delete)
        )
