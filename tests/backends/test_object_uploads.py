"""What every object store is told of what it is given."""

from __future__ import annotations

import mimetypes

import pytest

from genro_storage import StorageManager
from tests.support.peers import PEERS

pytestmark = pytest.mark.services

_STORES = ["s3", "gcs", "azure"]


@pytest.fixture(params=_STORES)
def storage(request, tmp_path):
    with StorageManager() as manager:
        manager.add_mount({"name": "g", **PEERS[request.param].target(request, tmp_path)})
        yield manager


@pytest.fixture
def other_machine(tmp_path):
    """A machine whose table of types is not that of others."""
    table = tmp_path / "mime.types"
    table.write_text("text/x-of-this-machine html zzz parquet\n")
    mimetypes.init([str(table)])
    assert mimetypes.guess_type("a.html")[0] == "text/x-of-this-machine"
    yield
    mimetypes.init()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html"),
        ("A.HTML", "text/html"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.tar.gz", "application/gzip"),  # application/x-tar is what it is once it is unpacked
        ("a.zzz", "application/octet-stream"),
    ],
)
def test_the_content_type_is_the_same_from_every_machine(storage, other_machine, name, expected):
    node = storage.node("g:d.html", name)
    node.write_bytes(b"content")
    assert node.stat().content_type == expected == node.mimetype
