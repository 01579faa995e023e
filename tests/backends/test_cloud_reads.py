"""Which client reads a content of ``gcs`` and ``azure``, and what is known of it then."""

from __future__ import annotations

import os

import pytest

from genro_storage import (
    StorageConfigError,
    StorageIOError,
    StorageManager,
    StorageUnsupportedError,
)
from genro_storage.backends.object_stores.fast_reads import FastReads

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def by_obstore(monkeypatch):
    """The beginnings of the ranges that obstore is asked for."""
    asked = []
    read = FastReads.read

    def noted(self, key, start, end, pin):
        asked.append(start)
        return read(self, key, start, end, pin)

    monkeypatch.setattr(FastReads, "read", noted)
    return asked


def manager(mount, **more):
    storage = StorageManager()
    storage.configure([{"name": "store", **mount, **more}])
    return storage


@pytest.mark.parametrize(
    ("more", "small", "large"),
    [
        ({}, [], [8 * MIB, 16 * MIB]),
        ({"verify_downloads": False}, [0], [0, 8 * MIB, 16 * MIB]),
        ({"engine": "obstore"}, [0], [0, 8 * MIB, 16 * MIB]),
        ({"engine": "fsspec"}, [], []),
    ],
)
def test_azure_is_read_by_obstore_except_for_what_a_digest_comes_with(
    azure_mount, by_obstore, more, small, large
):
    with manager(azure_mount, **more) as storage:
        for size, expected in ((1000, small), (20 * MIB, large)):
            data = os.urandom(size)
            node = storage.node("store:a")
            node.write_bytes(data)
            by_obstore.clear()
            assert node.read_bytes() == data
            assert sorted(by_obstore) == expected
        by_obstore.clear()
        assert node._mount.read_bytes("a", 5, 9) == data[5:9]
        assert by_obstore == ([] if more.get("engine") == "fsspec" else [5])


@pytest.mark.parametrize(
    ("engine", "compares"), [("auto", True), ("fsspec", True), ("obstore", False)]
)
def test_a_blob_with_a_wrong_digest_is_damaged_where_it_is_compared(
    azure, azure_mount, engine, compares
):
    from azure.storage.blob import ContentSettings

    with manager(azure_mount, engine=engine) as storage, azure.client() as container:
        node = storage.node("store:a")
        node.write_bytes(b"content")
        wrong = ContentSettings(content_md5=bytearray(16))
        key = node._mount.backend._full("a")
        container.get_blob_client(key).set_http_headers(content_settings=wrong)
        if compares:
            with pytest.raises(StorageIOError, match="not what was stored"):
                node.read_bytes()
        else:
            assert node.read_bytes() == b"content"


@pytest.mark.parametrize("engine", ["fsspec", "obstore"])
@pytest.mark.parametrize("kind", ["gcs", "azure"])
def test_kept_times_come_back_by_both_engines(request, tmp_path, kind, engine):
    with manager(request.getfixturevalue(f"{kind}_mount"), engine=engine) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        storage.node("store:a").write_bytes(b"x", mtime=1_600_000_000.5)
        with storage.node("store:a").open("rb") as stream:
            stream.read()
        storage.node("store:a").copy_to("disk:a")
        assert (tmp_path / "a").stat().st_mtime == 1_600_000_000.5


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"disable_tagging": True, "tags": {"a": "b"}}, "disable_tagging"),
        (
            {
                "encryption": "scope",
                "encryption_key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            },
            "exclude each other",
        ),
    ],
)
def test_what_excludes_each_other_is_refused(more, said):
    with pytest.raises(StorageConfigError, match=said):
        manager({
            "type": "azure", "container": "c", "endpoint_url": "https://a.example.org", "anon": True,
            **more,
        })  # fmt: skip


def test_an_account_without_tags_is_sent_none(azure_mount):
    with manager(azure_mount, disable_tagging=True) as storage:
        node = storage.node("store:a")
        with pytest.raises(StorageUnsupportedError, match="tags"):
            node.write_bytes(b"x", tags={"a": "b"})
        node.write_bytes(b"x")
        assert node.read_bytes() == b"x"
