"""Copies between buckets, which the server makes where one customer has both."""

from __future__ import annotations

import os

import pytest

from genro_storage import StorageManager, StorageNotFoundError

from .test_object_conditions import noted

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def two_buckets(moto_server):
    """Mounts of two buckets, and one of the first that another customer has."""
    moto_server.make_bucket("other-bucket")
    config = moto_server.mount()
    with StorageManager() as manager:
        manager.add_mount({"name": "store", **config})
        manager.add_mount({"name": "there", **config, "bucket": "other-bucket"})
        manager.add_mount({"name": "theirs", **config, "key": "ANOTHERKEY", "secret": "x"})
        yield manager


@pytest.mark.parametrize("large", [False, True])
def test_the_server_copies_to_another_bucket_of_the_same_customer(two_buckets, monkeypatch, large):
    if large:
        monkeypatch.setattr("genro_storage.backends.s3.transfer.PUT_AT_ONCE", 6 * MIB)
        monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_AT_ONCE", 5 * MIB)
        monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_PART", 5 * MIB)
    source, target = two_buckets.node("store:a b"), two_buckets.node("there:d/ü")
    data = os.urandom(7 * MIB if large else 1000)
    source.write_bytes(data, metadata={"k": "v"}, tags={"t": "1"}, content_type="text/x")
    asked = noted(target)
    source.copy_to(target)
    assert ("upload_part_copy" if large else "copy_object") in asked
    assert target.read_bytes() == data
    found = target.descriptor()
    assert (found.metadata, found.content_type) == ({"k": "v"}, "text/x")
    source.copy_to("there:d/ü", skip="exists")
    with pytest.raises(StorageNotFoundError, match="store:none"):
        two_buckets.node("store:none").copy_to(target)


def test_between_customers_the_content_comes_here(two_buckets):
    """Whose credentials may read the one bucket and write the other is not known."""
    store, theirs, there = (two_buckets.node(f"{n}:")._mount for n in ("store", "theirs", "there"))
    assert store.can_copy_to(there)
    assert not theirs.can_copy_to(there)
    assert not there.can_copy_to(theirs)
    two_buckets.node("theirs:a").write_bytes(b"x")
    two_buckets.node("theirs:a").copy_to("there:a")
    assert two_buckets.node("there:a").read_bytes() == b"x"
