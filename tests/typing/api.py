"""The public API as typed programs use it: checked by mypy and pyright, never run."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from genro_storage import (
    MultipartUpload,
    SkipStrategy,
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageNode,
    StorageNotFoundError,
    StoragePermissionError,
    UploadForm,
    UploadPart,
    UploadURL,
)


def configuration() -> None:
    storage = StorageManager()
    storage.configure("mounts.yaml")
    storage.configure(Path("mounts.yaml"))
    storage.configure([{"name": "a", "type": "memory"}])
    assert_type(storage.has_mount("a"), bool)
    assert_type(storage.get_mount_names(), list[str])


def places(storage: StorageManager) -> None:
    node = storage.node("a:b", "c")
    assert_type(node, StorageNode)
    assert_type(node.fullpath, str)
    assert_type(node.exists, bool)
    assert_type(node.isfile, bool)
    assert_type(node.size, int)
    assert_type(node.mtime, float | None)
    assert_type(node.md5hash, str)
    assert_type(node.children(), list[StorageNode])
    assert_type(node.child("d"), StorageNode)


def content(node: StorageNode) -> None:
    assert_type(node.read_text(), str)
    assert_type(node.read_bytes(), bytes)
    assert_type(node.write_text("x"), bool)
    assert_type(node.write_bytes(b"x", skip_if_unchanged=True), bool)
    assert_type(node.to_base64(), str)
    assert_type(node.zip(), bytes)


def copies(node: StorageNode, target: StorageNode) -> None:
    assert_type(node.copy_to(target, skip="hash"), StorageNode)
    assert_type(node.copy_to("b:c", skip=SkipStrategy.SIZE), StorageNode)
    assert_type(node.move_to(target), StorageNode)


def urls(node: StorageNode) -> None:
    assert_type(node.url(), str | None)
    assert_type(node.public_url(), str)
    assert_type(node.upload_url(content_length=5), UploadURL)
    assert_type(node.upload_form(max_size=5), UploadForm)
    upload = node.begin_upload()
    assert_type(upload, MultipartUpload)
    assert_type(upload.sign_part(1), UploadURL)
    parts = upload.parts()
    assert_type(parts, list[UploadPart])
    upload.complete(parts)
    upload.complete([(1, "etag"), (2, None)], size=10)


def errors() -> list[type[StorageError]]:
    return [StorageNotFoundError, StoragePermissionError, StorageConfigError]
