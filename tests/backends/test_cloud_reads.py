"""Which client reads a content of ``gcs`` and ``azure``, and what is known of it then."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os

import pytest

from genro_storage import (
    StorageConfigError,
    StorageIOError,
    StorageManager,
    StorageUnsupportedError,
    StorageValueError,
)
from genro_storage.backends.object_stores.engine import Body
from genro_storage.backends.object_stores.fast_reads import FastReads
from genro_storage.backends.object_stores.kept import kept_metadata
from tests.services.proxy import Proxy

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def by_obstore(monkeypatch):
    """The beginnings of the ranges that obstore is asked for."""
    asked = []
    stream = FastReads.stream

    def noted(self, key, start, end, pin):
        asked.append(start)
        return stream(self, key, start, end, pin)

    monkeypatch.setattr(FastReads, "stream", noted)
    return asked


def manager(mount, **more):
    storage = StorageManager()
    storage.configure([{"name": "store", **mount, **more}])
    return storage


@pytest.mark.parametrize(
    ("more", "small", "large"),
    [
        ({}, [0], [0, 8 * MIB]),
        ({"store_checksums": "never"}, [], [8 * MIB]),
        ({"store_checksums": "never", "verify_downloads": False}, [0], [0, 8 * MIB]),
        ({"store_checksums": "never", "engine": "obstore"}, [0], [0, 8 * MIB]),
        ({"engine": "fsspec"}, [], []),
    ],
)
def test_azure_is_read_by_obstore_except_for_a_digest_that_nobody_keeps(
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
@pytest.mark.parametrize("size", [7, 20 * MIB])
def test_a_blob_with_a_wrong_digest_is_damaged_where_it_is_compared(
    azure, azure_mount, tmp_path, engine, size, compares
):
    with manager(azure_mount, engine=engine, store_checksums="never") as storage:
        node = storage.node("store:a")
        data = os.urandom(size)
        node.write_bytes(data)
        tell(azure, node, bytes(16))
        with contextlib.ExitStack() as stack:
            if compares:
                stack.enter_context(pytest.raises(StorageIOError, match="not what was stored"))
            assert node.read_bytes() == data
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        with contextlib.ExitStack() as stack:
            if compares:
                stack.enter_context(pytest.raises(StorageIOError, match="not what was stored"))
            node.copy_to("disk:a")
        assert (tmp_path / "a").exists() is not compares


# -- the MD5 that our uploads to azure keep ---------------------------------------------------


def blob(azure, node):
    return azure.client().get_blob_client(node._mount.backend._full(node.path))


def tell(azure, node, digest):
    """Have the service say that the MD5 of a blob is this one; None: that it knows none."""
    from azure.storage.blob import ContentSettings

    told = ContentSettings(content_md5=None if digest is None else bytearray(digest))
    with blob(azure, node) as client:
        client.set_http_headers(content_settings=told)


def keep(azure, node, digest):
    """Have a blob keep another MD5 among its metadata."""
    with blob(azure, node) as client:
        client.set_blob_metadata({"md5chksum": base64.b64encode(digest).decode()})


@pytest.fixture
def counted(azure):
    """A manager behind a proxy that counts what is asked."""
    with Proxy(azure.port) as proxy, manager(azure.mount(proxy.port)) as storage:
        yield storage, proxy


def methods(proxy, step):
    with proxy.counting() as asked:
        step()
    return [each.method for each in asked]


def test_a_blob_of_ours_is_one_request_and_a_stranger_one_more_once(azure, counted):
    storage, proxy = counted
    ours, theirs = storage.node("store:ours"), storage.node("store:theirs")
    ours.write_bytes(b"content")
    with blob(azure, theirs) as client:
        client.upload_blob(b"content")
    assert methods(proxy, ours.read_bytes) == ["GET"]
    assert methods(proxy, theirs.read_bytes) == ["GET", "HEAD"]
    # Whoever has read the last blob reads the next one, and finds out whether that was right.
    for node, asked in (
        (theirs, ["GET"]),
        (ours, ["GET"]),
        (ours, ["GET"]),
        (theirs, ["GET", "HEAD"]),
    ):
        assert methods(proxy, node.read_bytes) == asked
    assert methods(proxy, theirs.read_bytes) == ["GET"]


def test_what_obstore_has_said_of_a_missing_blob_is_not_asked_again(counted):
    storage, proxy = counted
    node = storage.node("store:nothing")
    for start, end in ((0, None), (3, 5)):
        with proxy.counting() as asked, pytest.raises(FileNotFoundError):
            node._mount.read_bytes("nothing", start, end)
        about = [each.method for each in asked if each.path.endswith("nothing")]
        assert about == ["GET", "HEAD"]  # and then whether there is a directory


def test_a_look_is_one_request_and_tells_names_of_metadata_as_they_were_written(azure, counted):
    """obstore, which looks first, tells them in lower case."""
    storage, proxy = counted
    plain, named = storage.node("store:plain"), storage.node("store:named")
    plain.write_bytes(b"content")
    named.write_bytes(b"content", metadata={"Town": "Köln"})
    digest = hashlib.md5(b"content").hexdigest()
    for node, metadata, asked in (
        (plain, {}, ["HEAD"]),
        (named, {"Town": "Köln"}, ["HEAD", "HEAD"]),  # and then Microsoft's client
        (named, {"Town": "Köln"}, ["HEAD"]),
        (plain, {}, ["HEAD"]),
        (plain, {}, ["HEAD"]),
    ):
        found = []
        assert methods(proxy, lambda node=node, found=found: found.append(node.stat())) == asked
        (info,) = found
        assert (info.size, info.metadata) == (7, metadata)
        (listed,) = (each for each in node._mount.scan("") if each.path == node.path)
        assert info == listed
        assert node.md5hash == digest
    tell(azure, plain, None)
    assert plain.md5hash == digest  # by reading it


@pytest.mark.parametrize("policy", ["auto", "never"])
def test_a_look_tells_the_same_checksum_whatever_was_looked_at_before(azure, azure_mount, policy):
    """By obstore the one that was kept with the size; by Microsoft's client for other blobs, too."""
    digest = hashlib.md5(b"content").hexdigest()
    with manager(azure_mount, store_checksums=policy) as storage:
        names = ("plain", "named", "theirs", "kept", "stale", "larger")
        plain, named, theirs, kept, stale, larger = (
            storage.node(f"store:{each}") for each in names
        )
        plain.write_bytes(b"content")
        named.write_bytes(b"content", metadata={"Town": "Köln"})
        ours = kept_metadata(hashlib.md5(b"content").digest(), 7, "md5chksum_size")
        for node, metadata in ((theirs, {}), (kept, ours)):
            with blob(azure, node) as client:
                client.upload_blob(b"content", metadata=metadata)
        for node, data in ((stale, b"CONTENT"), (larger, b"content and more")):
            node.write_bytes(b"content")
            replace(azure, node, data)
        for node, shows in (
            (plain, policy == "auto"),
            (named, True),
            (theirs, False),
            (kept, policy == "auto"),
            (stale, policy == "auto"),  # of the same size: only asking tells, as below
            (larger, False),
        ):
            expected = ("md5", digest) if shows else None
            seen = []
            for before in (None, plain, named, theirs, node):
                if before is not None:
                    before.stat()
                seen.append(node.stat())
            assert {info.checksum for info in seen} == {expected}
            assert {repr(info) for info in seen} == {repr(seen[0])}
        for node in (plain, named, theirs, kept):
            assert node.md5hash == digest
        assert stale.md5hash == hashlib.md5(b"CONTENT").hexdigest()


@pytest.mark.parametrize("engine", ["auto", "obstore"])
@pytest.mark.parametrize(
    ("kept", "told", "is_whole"),
    [
        ("right", "right", True),
        ("right", "none", True),
        ("right", "wrong", True),  # it is what was uploaded, whatever was said of it later
        ("wrong", "right", True),  # kept with another content, as the service says
        ("wrong", "none", True),  # nor is it of this content that nobody has told the service of
        ("wrong", "wrong", False),
    ],
)
def test_a_kept_digest_that_does_not_agree_is_damage_unless_the_service_knows_better(
    azure, azure_mount, engine, kept, told, is_whole
):
    right = hashlib.md5(b"content").digest()
    digests = {"right": right, "wrong": bytes(16), "none": None}
    with manager(azure_mount, engine=engine) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"content")
        keep(azure, node, digests[kept])
        tell(azure, node, digests[told])
        assert node.get_metadata() == {}

        def streamed():
            with node.open("rb") as stream:
                return b"".join(iter(lambda: stream.read(2), b""))

        def whole():
            with node._mount.open_whole("a") as stream:
                return stream.read()

        for step in (node.read_bytes, streamed, whole):
            if is_whole:
                assert step() == b"content"
            else:
                with pytest.raises(StorageIOError, match=r"store:a.*not what was stored"):
                    step()


def replace(azure, node, data):
    """Another content in the place of a blob's, with its metadata, as programs do that append."""
    from azure.storage.blob import BlobBlock

    with blob(azure, node) as client:
        metadata = client.get_blob_properties().metadata
        client.stage_block("YQ==", data)
        client.commit_block_list([BlobBlock("YQ==")], metadata=metadata)


@pytest.mark.parametrize("engine", ["auto", "obstore", "fsspec"])
@pytest.mark.parametrize(
    ("data", "asked"), [(b"content and more", ["GET"]), (b"CONTENT", ["GET", "HEAD"])]
)
def test_what_another_program_puts_there_with_the_metadata_of_before_is_read(
    azure, tmp_path, engine, data, asked
):
    with Proxy(azure.port) as proxy, manager(azure.mount(proxy.port), engine=engine) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        node = storage.node("store:a")
        node.write_bytes(b"content")
        replace(azure, node, data)
        if engine == "obstore":
            assert methods(proxy, node.read_bytes) == asked
        assert node.read_bytes() == data
        with node.open("rb") as stream:
            assert stream.read() == data
        node.copy_to("disk:a")
        assert (tmp_path / "a").read_bytes() == data
        node.copy_to("store:b")
        assert storage.node("store:b").read_bytes() == data
        assert node.md5hash == hashlib.md5(data).hexdigest()
        assert node.get_metadata() == {}


def test_names_of_ours_are_no_names_for_metadata(azure_mount):
    with manager(azure_mount) as storage:
        node = storage.node("store:a")
        with pytest.raises(StorageValueError, match=r"md5chksum_size.*own use"):
            node.write_bytes(b"x", metadata={"md5chksum_size": "1"})


def test_who_keeps_none_believes_none(azure, azure_mount):
    with manager(azure_mount, store_checksums="never") as storage:
        node = storage.node("store:a")
        for told in (None, hashlib.md5(b"content").digest()):
            node.write_bytes(b"content")
            keep(azure, node, bytes(16))
            tell(azure, node, told)
            assert node.read_bytes() == b"content"


def test_what_arrives_damaged_is_found_out_by_the_service(azure, counted, monkeypatch):
    storage, proxy = counted
    node = storage.node("store:a")
    node.write_bytes(b"content")
    rest = Body.all
    monkeypatch.setattr(Body, "all", lambda self: rest(self)[:-1] + b"?")

    def step():
        with pytest.raises(StorageIOError, match="not what was stored"):
            node.read_bytes()

    assert methods(proxy, step) == ["GET", "HEAD"]


@pytest.mark.parametrize(("policy", "keeps"), [("auto", True), ("always", True), ("never", False)])
@pytest.mark.parametrize("size", [0, 7, 9 * MIB])
def test_the_md5_is_kept_where_nobody_sees_it(azure, azure_mount, policy, size, keeps):
    data = os.urandom(size)
    text = base64.b64encode(hashlib.md5(data).digest()).decode()
    with manager(azure_mount, store_checksums=policy) as storage:
        node = storage.node("store:a")

        def stored():
            with blob(azure, node) as client:
                return dict(client.get_blob_properties().metadata)

        own = {"md5chksum": text, "md5chksum_size": str(size)} if keeps else {}
        node.write_bytes(data)
        assert stored() == own
        assert node.read_bytes() == data
        assert node.get_metadata() == node.descriptor().metadata == {}
        node.write_bytes(data, metadata={"Colour": "blue"})
        assert stored() == {"Colour": "blue", **own}
        node.set_metadata({"a": "b"})
        assert stored() == {"a": "b", **own}
        assert [info.metadata for info in node._mount.scan("")] == [{"a": "b"}]
        copy = storage.node("store:b")
        node.copy_to(copy)
        assert copy.get_metadata() == {"a": "b"}
        assert copy.read_bytes() == data


def test_metadata_that_leave_no_room_are_kept_without_it(azure_mount):
    with manager(azure_mount) as storage:
        node = storage.node("store:a")
        large = {f"name{number}": "x" * 1000 for number in range(8)}
        node.write_bytes(b"content", metadata=large)
        assert node.get_metadata() == large
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
