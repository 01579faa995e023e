"""Metadata, URLs, downloads and data URIs."""

from __future__ import annotations

import base64

import pytest

from genro_storage import StorageManager
from tests.support.compatibility import BOTH


@pytest.mark.parametrize("place", ["disk:f", "ram:f", "b64:YWJj"])
def test_metadata_where_the_backend_keeps_none(storage, place):
    node = storage.node(place)
    if place != "b64:YWJj":
        node.write_text("x")
    assert node.get_metadata() == {}
    with pytest.raises(PermissionError, match="does not support metadata"):
        node.set_metadata({"a": "b"})


@BOTH
def test_urls_where_there_are_none(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_text("x")
    assert node.url() is None
    assert node.url(expires_in=60) is None
    assert node.internal_url() is None
    assert node.internal_url(nocache=True) is None


def test_a_local_mount_with_a_base_url_has_urls(tmp_path):
    storage = StorageManager()
    storage.configure(
        [{"name": "d", "type": "local", "path": str(tmp_path), "base_url": "https://x.org/f/"}]
    )
    assert storage.node("d:a/b.txt").url() == "https://x.org/f/a/b.txt"


@pytest.mark.parametrize("url", ["ftp://example.org/x", "file:///etc/passwd", "nonsense", ""])
def test_fill_from_url_takes_http_only(storage, url):
    with pytest.raises(ValueError, match="Invalid URL"):
        storage.node("ram:f").fill_from_url(url)


def test_a_failing_download_is_an_os_error(storage):
    node = storage.node("ram:f")
    node.write_text("old")
    with pytest.raises(OSError, match="Failed to download"):
        node.fill_from_url("http://127.0.0.1:9/x", timeout=2, allow_private=True)
    assert node.read() == "old"


@BOTH
def test_to_base64(storage, mount):
    node = storage.node(f"{mount}:d/f.txt")
    node.write_bytes(b"hello")
    encoded = base64.b64encode(b"hello").decode()
    assert node.to_base64() == f"data:text/plain;base64,{encoded}"
    assert node.to_base64(mime="image/png") == f"data:image/png;base64,{encoded}"
    assert node.to_base64(include_uri=False) == encoded
    with pytest.raises(ValueError, match="Cannot encode directory"):
        node.parent.to_base64()
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").to_base64()
