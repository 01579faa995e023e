"""Capabilities, both ways: what is declared works, what is not declared is refused."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from ..exceptions import StorageUnsupportedError
from .ground import names_in
from .versions import VersionConformance

if TYPE_CHECKING:
    from ..manager import StorageManager
    from ..node import StorageNode
    from .ground import Shelf

__all__ = ["CapabilityConformance"]


class CapabilityConformance(VersionConformance):
    """Each flag of ``BackendCapabilities`` that can be seen from outside."""

    def _writable(self, storage: StorageManager) -> StorageNode:
        node = storage.node("mine:capability.txt")
        capabilities = node.capabilities
        if capabilities.path_is_content:
            pytest.skip("the backend declares 'path_is_content': nothing is stored at a path")
        return node

    def test_writing(self, storage: StorageManager) -> None:
        node = self._writable(storage)
        if self.declares(node, "write", lambda: node.write_bytes(b"x")):
            node.write_bytes(b"x")
            assert node.read_bytes() == b"x"
        else:
            for mode in ("wb", "w", "xb", "r+b"):
                with pytest.raises(StorageUnsupportedError):
                    node.open(mode)
            assert not node.exists

    def test_deleting(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"x")
        if self.declares(node, "delete", node.delete):
            node.delete()
            assert not node.exists
        else:
            with pytest.raises(StorageUnsupportedError):
                node.unlink()
            with pytest.raises(StorageUnsupportedError):
                node._mount.remove_many([node._path])
            assert node.read_bytes() == b"x"

    def test_making_directories(self, storage: StorageManager) -> None:
        node = storage.node("mine:made")
        if self.declares(node, "mkdir", node.mkdir):
            node.mkdir()
            assert node.isdir

    def test_listing(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"x")
        root = storage.node("mine:")
        if self.declares(root, "list_dir", root.children):
            assert names_in(root) == [node.name]
        else:
            for step in (lambda: list(root.walk()), lambda: list(root._mount.find(""))):
                with pytest.raises(StorageUnsupportedError):
                    step()

    def test_appending(self, storage: StorageManager) -> None:
        node = self._writable(storage)
        if self.declares(node, "append_mode", lambda: node.open("ab")):
            for _ in range(2):
                with node.open("ab") as stream:
                    stream.write(b"x")
            assert node.read_bytes() == b"xx"

    def test_metadata(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"x")
        if self.declares(node, "metadata", lambda: node.set_metadata({"colour": "blue"})):
            node.set_metadata({"colour": "blue", "size": "large"})
            assert node.get_metadata() == {"colour": "blue", "size": "large"}
            node.set_metadata({"colour": "red"})
            assert node.get_metadata() == {"colour": "red"}
        else:
            assert node.get_metadata() == {}
        assert node.read_bytes() == b"x"

    def test_tags(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"x")
        if self.declares(node, "tags", lambda: node.set_tags({"colour": "blue"})):
            node.set_tags({"colour": "blue", "size": "large"})
            assert node.get_tags() == {"colour": "blue", "size": "large"}
            node.set_tags({"colour": "red"}, merge=True)
            assert node.get_tags() == {"colour": "red", "size": "large"}
            node.set_tags({})
            assert node.get_tags() == {}
        else:
            with pytest.raises(StorageUnsupportedError):
                node.get_tags()
        assert node.read_bytes() == b"x"

    def test_copying_inside_the_store(self, storage: StorageManager) -> None:
        node = self.put(storage.node("mine:capability.txt"), b"x")
        mount, target = node._mount, "copied [1].txt"
        if not node.capabilities.write:
            assert not node.capabilities.copy_optimization
        elif self.declares(
            node, "copy_optimization", lambda: mount.copy(node._path, mount, target)
        ):
            assert mount.can_copy_to(mount)
            watched, spy = self.spied(node)
            watched.copy_to(watched.parent / target)
            assert "copy_listed" in spy.calls
            assert not {"open_read", "read_bytes", "load", "download"} & set(spy.calls)
            assert storage.node("mine", target).read_bytes() == b"x"
        else:
            assert not mount.can_copy_to(mount)
            assert not storage.node("mine", target).exists

    def test_a_digest_from_metadata_is_the_digest_of_the_content(self, shelf: Shelf) -> None:
        data = b"hash me" * 100
        node = shelf.put("hashed.bin", data)
        known = node._mount.checksum(node.stat())
        if shelf.capabilities.hash_on_metadata:
            assert known is not None
        if known is not None:
            expected = hashlib.new(known.algorithm, data, usedforsecurity=False)
            assert known.hexdigest == expected.hexdigest()

    def test_urls(self, shelf: Shelf) -> None:
        node = shelf.put("served.txt")
        url = node.url(expires_in=60)
        assert url is None or ":" in url
        if node.capabilities.public_urls or node.capabilities.presigned_urls:
            assert url is not None
        internal = node.internal_url()
        assert internal is None or isinstance(internal, str)

    def test_uploads_by_clients(self, storage: StorageManager) -> None:
        node = storage.node("mine:uploaded.txt")
        for flag, step in (
            ("presigned_uploads", node.upload_url),
            ("upload_forms", lambda: node.upload_form(max_size=1)),
            ("upload_sessions", node.upload_session),
        ):
            if getattr(node.capabilities, flag):
                assert ":" in step().url
            else:
                with pytest.raises(StorageUnsupportedError):
                    step()
        if node.capabilities.multipart_uploads:
            upload = node.begin_upload()
            assert upload.parts() == []
            assert ":" in upload.sign_part(1).url
            upload.abort()
        else:
            with pytest.raises(StorageUnsupportedError):
                node.begin_upload()
        # What was prepared is nothing yet.
        if node.capabilities.list_dir:
            assert not node.exists

    def test_public_urls(self, shelf: Shelf) -> None:
        node = shelf.put("served.txt")
        if node.capabilities.public_urls:
            assert ":" in node.public_url()
        else:
            with pytest.raises(StorageUnsupportedError):
                node.public_url()

    def test_a_read_only_backend_declares_nothing_that_writes(
        self, storage: StorageManager
    ) -> None:
        capabilities = storage.node("mine:").capabilities
        if capabilities.readonly:
            assert not capabilities.write
            assert not capabilities.append_mode
            assert not capabilities.mkdir
            assert not capabilities.delete

    def test_a_narrowed_mount_declares_the_same(self, storage: StorageManager) -> None:
        assert storage.node("inner:").capabilities == storage.node("mine:").capabilities

    def test_a_read_only_mount_declares_that_it_only_reads(self, storage: StorageManager) -> None:
        capabilities = storage.node("locked:").capabilities
        assert capabilities == storage.node("mine:").capabilities.without_writing()
