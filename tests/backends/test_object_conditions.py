"""Writes and copies of object stores that are bound to what is there."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import (
    StorageConfigError,
    StorageConflictError,
    StorageExistsError,
    StorageUnsupportedError,
    StorageValueError,
)

from .test_object_attributes import KINDS, MIB, manager, mount_of, small_uploads, store_key

__all__ = ["small_uploads"]

pytestmark = pytest.mark.services


@pytest.fixture(params=KINDS)
def storage(request):
    with manager(mount_of(request, request.param)) as made:
        yield made


def text(node, value, **options):
    with node.open("w", **options) as stream:
        stream.write(value)


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_a_write_replaces_what_it_was_made_from_or_nothing(storage, small_uploads, size):
    node = storage.node("store:a")
    node.write_bytes(b"1" * size)
    first = node.descriptor().etag
    assert first == node.stat().etag
    node.write_bytes(b"2" * size, if_match=first, metadata={"a": "b"})
    assert node.get_metadata() == {"a": "b"}
    with pytest.raises(StorageConflictError, match=r"store:a: has another ETag") as caught:
        node.write_bytes(b"3" * size, if_match=first)
    assert not isinstance(caught.value, StorageExistsError)
    assert node.read_bytes() == b"2" * size


def test_what_was_deleted_meanwhile_is_a_conflict_too(storage):
    node = storage.node("store:a")
    node.write_bytes(b"1")
    etag = node.stat().etag
    node.delete()
    with pytest.raises(StorageConflictError, match="store:a"):
        node.write_bytes(b"2", if_match=etag)
    assert not node.exists


def test_handles_keep_the_condition_until_they_are_closed(storage):
    node = storage.node("store:a")
    node.write_text("one")
    etag = node.stat().etag
    for mode in ("w", "r+", "w+"):
        with pytest.raises(StorageConflictError), node.open(mode, if_match=etag) as stream:
            stream.write("mine")
            node.write_text(f"theirs, before {mode}")
        assert node.read_text() == f"theirs, before {mode}"
        with node.open(mode, if_match=node.stat().etag) as stream:
            stream.write("mine")
        assert node.read_text().startswith("mine")
    for mode in ("a", "x"):
        with pytest.raises(StorageValueError, match="if_match"):
            node.open(mode, if_match=etag)


def test_a_write_only_where_nothing_is(storage):
    node = storage.node("store:a")
    node.write_text("one", if_absent=True)
    with pytest.raises(StorageExistsError, match="store:a"):
        node.write_text("two", if_absent=True)
    with pytest.raises(StorageConflictError), node.open("w", if_absent=True) as stream:
        stream.write("two")
    assert node.read_text() == "one"


def test_of_several_who_replace_one_content_one_succeeds(storage):
    node = storage.node("store:counter")
    node.write_text("0")
    start = threading.Barrier(4)

    def replace(number):
        mine = storage.node("store:counter")
        etag = mine.stat().etag
        start.wait()
        try:
            mine.write_text(f"by {number}", if_match=etag)
        except StorageConflictError:
            return None
        return number

    with ThreadPoolExecutor(4) as pool:
        winners = [each for each in pool.map(replace, range(4)) if each is not None]
    assert len(winners) == 1
    assert node.read_text() == f"by {winners[0]}"


@pytest.mark.parametrize("name", ["memory", "local"])
def test_a_mount_without_conditions_says_so(name, tmp_path):
    mount = {"type": "local", "path": str(tmp_path)} if name == "local" else {"type": "memory"}
    with manager(mount) as storage:
        node = storage.node("store:a")
        node.write_text("x", if_absent=True)
        with pytest.raises(StorageExistsError):
            node.write_text("x", if_absent=True)
        assert not node.capabilities.conditional_writes
        for step in (
            lambda: node.write_text("y", if_match="x"),
            lambda: node.open("w", if_match="x"),
        ):
            with pytest.raises(StorageUnsupportedError, match=r"store:a: .*ETag"):
                step()
        assert node.read_text() == "x"


# -- copies -----------------------------------------------------------------------------------


def test_a_copy_replaces_nothing_where_it_is_told_so(storage, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    (tmp_path / "a").write_text("disk")
    node = storage.node("store:a")
    node.write_text("one")
    for source in (node, storage.node("disk:a")):
        target = storage.node("store:copies", source.fullpath.partition(":")[0])
        source.copy_to(target, if_absent=True)
        node.write_text("two")
        if target.name == "store" and "Gcs" in repr(inner_client(node)):
            continue  # fake-gcs-server copies whatever the condition
        with pytest.raises(StorageExistsError, match="store:copies"):
            source.copy_to(target, if_absent=True)
        assert target.read_text() in ("one", "disk")
    with pytest.raises(StorageExistsError, match="disk:a"):
        node.copy_to("disk:a", if_absent=True)
    storage.node("store:copies").copy_to("disk:tree", if_absent=True)
    assert sorted(path.name for path in (tmp_path / "tree").iterdir()) == ["disk", "store"]


@pytest.mark.parametrize("size", [0, 5, 6 * MIB])
def test_s3_copies_in_parts_only_where_nothing_is(request, size, monkeypatch):
    monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_PART", 5 * MIB)
    with manager(mount_of(request, "s3", copy_if_not_exists="multipart")) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x" * size, content_type="text/x-own", metadata={"a": "b"})
        asked = noted(node)
        node.copy_to("store:b", if_absent=True)
        assert "get_object" not in asked
        copied = storage.node("store:b")
        assert copied.read_bytes() == b"x" * size
        assert copied.descriptor().content_type == "text/x-own"
        assert copied.get_metadata() == {"a": "b"}
        copied.write_bytes(b"other")
        with pytest.raises(StorageExistsError, match="store:b"):
            node.copy_to(copied, if_absent=True)
        assert copied.read_bytes() == b"other"
        uploads = node._mount.backend._store._ask("list_multipart_uploads").get("Uploads", [])
        assert [each for each in uploads if each["Key"].startswith(store_key(node)[:-1])] == []


def test_s3_copies_with_the_header_that_the_server_knows(request):
    """moto ignores it: that it is sent, and signed, is what can be seen."""
    mode = "header:cf-copy-destination-if-none-match:*"
    with manager(mount_of(request, "s3", copy_if_not_exists=mode)) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x")
        sent = []
        client = node._mount.backend._store.client
        sdk = client.run(lambda: client._connected().filesystem.get_s3(client.bucket))
        sdk.meta.events.register(
            "before-send.s3", lambda request, **_: sent.append(dict(request.headers))
        )
        node.copy_to("store:b", if_absent=True)
        name = "cf-copy-destination-if-none-match"
        (copied,) = [each for each in sent if name in each]
        assert copied[name] in ("*", b"*")
        assert name in str(copied["Authorization"])
        node.copy_to("store:c")
        assert sum(name in each for each in sent) == 1


def test_a_copy_condition_of_another_shape_is_a_mistake(request):
    for text in ("dynamo:x", "header:x", "header-with-status:a:b:c", "multipart:1"):
        with pytest.raises(StorageConfigError, match="copy_if_not_exists"):
            manager(mount_of(request, "s3", copy_if_not_exists=text))


def inner_client(node):
    remote = getattr(node._mount.backend, "_remote", None)
    return None if remote is None else remote.call(lambda client: client)


def noted(node):
    client, asked = node._mount.backend._store.client, []
    send = client._send

    async def noting(sdk, operation, parameters):
        asked.append(operation)
        return await send(sdk, operation, parameters)

    client._send = noting
    return asked


def test_conflicts_survive_pickling(storage):
    import pickle

    node = storage.node("store:a")
    with pytest.raises(StorageConflictError) as caught:
        node.write_bytes(b"2", if_match="none")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)
