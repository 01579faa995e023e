"""Versions of objects: on a bucket that keeps them, on one that does not, and on odd servers."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config

from genro_storage import (
    StorageError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
)
from tests.services.answers import Answer, AnswerServer
from tests.services.s3 import BUCKET, KEY, SECRET

pytestmark = pytest.mark.services

MIB = 1024 * 1024


def sdk_of(config):
    return boto3.client(
        "s3",
        endpoint_url=config["endpoint_url"],
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def config(moto_server):
    return moto_server.mount(bucket=moto_server.versioned_bucket())


@pytest.fixture
def storage(config):
    with StorageManager() as manager:
        manager.configure([{"name": "v", **config}])
        yield manager


@pytest.fixture
def plain(moto_server):
    """A manager on a bucket that keeps no versions."""
    with StorageManager() as manager:
        manager.configure([{"name": "v", **moto_server.mount()}])
        yield manager


@pytest.fixture
def requests(storage):
    return noted(storage)


def noted(storage):
    """The operations that are asked for from now on, in order."""
    client, asked = storage.node("v:")._mount.backend._store.client, []
    send = client._send

    async def noting(sdk, operation, parameters):
        asked.append(operation)
        return await send(sdk, operation, parameters)

    client._send = noting
    return asked


def written(storage, *contents, name="a.txt"):
    node = storage.node(f"v:{name}")
    for each in contents:
        node.write_bytes(each)
    return node


def next_second():
    """Versions are dated by whole seconds: wait for one that no version has yet."""
    time.sleep(1.05 - time.time() % 1)


# -- a bucket that keeps versions ---------------------------------------------------------------


def test_the_versions_of_exactly_this_key_oldest_first(storage):
    node = written(storage, b"one", b"two", b"three")
    for name in ("a.txt.bak", "a.txt/below", "a", "a.tx"):
        written(storage, b"another", name=name)
    found = node.versions
    assert [(each["size"], each["is_latest"]) for each in found] == [
        *((3, False), (3, False), (5, True)),
    ]
    assert node.version_count == 3
    assert found[0]["etag"] == hashlib.md5(b"one").hexdigest()
    assert found[0]["last_modified"].tzinfo is UTC
    assert not any(each["is_delete_marker"] for each in found)
    assert [node.open("rb", version=n).read() for n in (0, 1, -1)] == [b"one", b"two", b"three"]


def test_listing_goes_on_page_after_page_and_stops_after_the_key(storage, requests, monkeypatch):
    node = written(storage, *(b"%d" % number for number in range(5)))
    for number in range(4):
        written(storage, b"x", name=f"a.txt.{number}")
    client = node._mount.backend._store.client
    send = client._send

    async def in_twos(sdk, operation, parameters):
        if operation == "list_object_versions":
            parameters = {**parameters, "MaxKeys": 2}
        return await send(sdk, operation, parameters)

    monkeypatch.setattr(client, "_send", in_twos)
    requests.clear()
    assert [node.open("rb", version=n).read() for n in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert requests.count("get_bucket_versioning") == 1
    # Three pages: two versions, two, and one with a key that comes after it.
    assert requests.count("list_object_versions") == 5 * 3


def test_what_a_version_costs(storage, requests):
    node = written(storage, b"one", b"two")
    first = node.versions[0]["version_id"]
    # What has no version is written by obstore.
    assert requests == ["get_bucket_versioning", "list_object_versions"]
    old = storage.node("v:a.txt", version=first)
    for step, expected in (
        (lambda: node.versions, ["list_object_versions"]),
        (lambda: old.size, ["head_object"]),
        (lambda: old.exists, ["head_object"]),
        (old.read_bytes, ["get_object"]),
        (lambda: old.open("rb").read(), ["get_object"]),
        (lambda: node.open("rb", version=first).read(), ["get_object"]),
        (lambda: old.md5hash, ["head_object"]),
    ):
        requests.clear()
        step()
        assert requests == expected


def test_a_snapshot_is_its_version_in_all_that_it_does(storage, tmp_path):
    node = storage.node("v:a.txt")
    node.write_bytes(b"one")
    node.set_metadata({"author": "ann"})
    node.write_bytes(b"three")
    old = storage.node("v:a.txt", version=-2)
    assert (old.read_bytes(), old.size, old.exists) == (b"one", 3, True)
    assert old.md5hash == hashlib.md5(b"one").hexdigest()
    assert (old.get_metadata(), node.get_metadata()) == ({"author": "ann"}, {})
    storage.add_mount({"name": "disk", "type": "local", "path": tmp_path})
    old.copy_to("disk:copy")
    assert (tmp_path / "copy").read_bytes() == b"one"
    old.copy_to("v:copy")
    assert storage.node("v:copy").read_bytes() == b"one"
    assert old != node
    with old.local_path() as path, open(path, "rb") as file:
        assert file.read() == b"one"


def test_the_descriptor_and_the_tags_of_a_snapshot_are_those_of_its_version(storage, requests):
    node = storage.node("v:a.txt")
    kept = {"metadata": {"author": "ann"}, "tags": {"team": "a"}, "cache_control": "no-store"}
    node.write_bytes(b"one", **kept)
    node.write_bytes(b"three")
    node.set_tags({"team": "b"})
    first = node.versions[0]["version_id"]
    old = storage.node("v:a.txt", version=first)
    requests.clear()
    found = old.descriptor()
    assert requests == ["head_object"]
    assert (found.path, found.type, found.size) == ("a.txt", "file", 3)
    assert (found.version, found.cache_control) == (first, "no-store")
    assert dict(found.metadata) == {"author": "ann"}
    assert found.checksum("md5") == hashlib.md5(b"one").hexdigest()
    assert (old.get_tags(), node.get_tags()) == ({"team": "a"}, {"team": "b"})
    with pytest.raises(StorageValueError, match="Cannot write to versioned snapshot"):
        old.set_tags({})
    assert node.version_count == 2, "tags make no version"
    node.delete()
    marker = node.versions[-1]["version_id"]
    for wrong in ("nosuchversion", marker):
        snapshot = storage.node("v:a.txt", version=wrong)
        for step in (snapshot.descriptor, snapshot.get_tags):
            with pytest.raises((StorageNotFoundError, StorageVersionError), match="version"):
                step()


def test_in_a_bucket_without_versions_the_one_version_is_the_file(plain):
    node = plain.node("v:a.txt")
    node.write_bytes(b"one", tags={"team": "a"})
    only = plain.node("v:a.txt", version=-1)
    assert only.descriptor().version == node.versions[0]["version_id"]
    assert (only.descriptor().size, only.get_tags()) == (3, {"team": "a"})


@pytest.mark.parametrize("size", [0, 1, pytest.param(20 * MIB + 3, marks=pytest.mark.slow)])
def test_every_way_of_reading_gives_the_version(storage, tmp_path, size):
    data = b"0123456789abcdef" * (size // 16) + b"z" * (size % 16)
    node = written(storage, data, b"new")
    first = node.versions[0]["version_id"]
    mount = node._mount
    assert node.open("rb", version=first).read() == data
    assert mount.read_bytes("a.txt", version=first) == data
    mount.download("a.txt", tmp_path / "whole", version=first)
    assert (tmp_path / "whole").read_bytes() == data
    for start, end in ((0, 0), (0, 7), (size // 2, size // 2 + 9), (size, size + 5)):
        assert mount.read_bytes("a.txt", start, end, version=first) == data[start:end]
    with node.open("rb", version=first) as stream:
        stream.seek(size // 2)
        assert stream.read() == data[size // 2 :]


def test_a_deleted_file_still_has_its_versions(storage):
    node = written(storage, b"one")
    next_second()
    node.delete()
    assert not node.exists
    first, marker = node.versions
    assert (first["is_delete_marker"], marker["is_delete_marker"]) == (False, True)
    assert (marker["is_latest"], marker["size"], marker["etag"]) == (True, None, None)
    assert node.open("rb", as_of=first["last_modified"]).read() == b"one"
    assert node.open("rb", version=-1).read() == b"one"
    with pytest.raises(StorageNotFoundError, match="did not exist at"):
        node.open("rb", as_of=marker["last_modified"])
    with pytest.raises(StorageNotFoundError, match=r"v:a\.txt"):
        node.open("rb")
    gone = storage.node("v:a.txt", version=marker["version_id"])
    assert not gone.exists
    for step in (gone.read_bytes, lambda: gone.open("rb"), lambda: gone.size):
        with pytest.raises((StorageNotFoundError, StorageVersionError)):
            step()
    with pytest.raises((StorageNotFoundError, StorageVersionError), match="delete marker"):
        gone.stat()
    # Removing the marker brings the file back.
    node.delete_version(marker["version_id"])
    assert node.read_bytes() == b"one"


def test_a_version_is_restored_with_what_belongs_to_it(storage, requests):
    node = storage.node("v:a.txt")
    node.write_bytes(b"one")
    node.set_metadata({"author": "ann"})
    node.write_bytes(b"two")
    requests.clear()
    node.restore(version=1)
    assert "get_object" not in requests
    assert (node.read_bytes(), node.get_metadata()) == (b"one", {"author": "ann"})
    assert node.version_count == 4
    node.restore(node.versions[-1]["version_id"])
    assert node.version_count == 4, "it is the current one already"
    node.delete()
    node.restore(version=2)
    assert (node.read_bytes(), node.get_metadata()) == (b"two", {})
    assert node.version_count == 6


@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
def test_each_version_is_restored_with_the_metadata_that_it_had(config, engine):
    """New metadata are a new version, of the same content: the one before is there without them."""
    with StorageManager() as storage:
        storage.configure([{"name": "v", **config, "engine": engine}])
        node = written(storage, b"one")
        node.set_metadata({"author": "ann"})
        node.write_bytes(b"two", metadata={"author": "bob"}, content_type="text/css")
        node.set_metadata({"team": "web"}, merge=True)
        history = [each["version_id"] for each in node.versions]
        assert len(history) == 4
        for index, content, metadata, kind in (
            (1, b"one", {"author": "ann"}, "text/plain"),
            (0, b"one", {}, "text/plain"),
            (2, b"two", {"author": "bob"}, "text/css"),
            (3, b"two", {"author": "bob", "team": "web"}, "text/css"),
        ):
            node.restore(history[index])
            about = node.descriptor()
            assert (node.read_bytes(), node.get_metadata()) == (content, metadata)
            assert (about.content_type, about.metadata) == (kind, metadata)
            assert node.md5hash == hashlib.md5(content).hexdigest()
        # What was restored is a version of its own, and those before stay.
        assert [each["version_id"] for each in node.versions][:4] == history
        assert node.version_count == 8


def test_a_version_is_restored_as_of_a_time(storage):
    node = written(storage, b"one")
    next_second()
    written(storage, b"two")
    node.restore(as_of=node.versions[1]["last_modified"] - timedelta(seconds=1))
    assert node.read_bytes() == b"one"
    with pytest.raises(StorageNotFoundError, match="did not exist at"):
        node.restore(as_of=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_large_version_is_restored_in_parts(storage, config, monkeypatch):
    data = b"0123456789abcdef" * (6 * MIB // 16)
    node = written(storage, data)
    node.set_metadata({"author": "ann"})
    sdk, place = sdk_of(config), {"Bucket": config["bucket"], "Key": f"{config['prefix']}/a.txt"}
    tags = [{"Key": "of", "Value": "one + two"}]
    sdk.put_object_tagging(**place, Tagging={"TagSet": tags})
    node.write_bytes(b"small")
    monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_AT_ONCE", 5 * MIB)
    monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_PART", 5 * MIB)
    requests = noted(storage)
    node.restore(version=1)
    assert requests.count("upload_part_copy") == 2
    assert node.read_bytes() == data
    assert node.get_metadata() == {"author": "ann"}
    assert sdk.get_object_tagging(**place)["TagSet"] == tags
    sdk.close()
    assert node.mimetype == node.stat().content_type == "text/plain"


def test_deleting_the_latest_version_brings_the_one_before_back(storage):
    node = written(storage, b"one", b"two")
    node.delete_version(-1)
    assert node.read_bytes() == b"one"
    assert node.version_count == 1


def test_only_what_repeats_its_predecessor_is_compacted(storage):
    node = written(storage, b"A", b"A", b"B", b"B", b"A")
    written(storage, b"A", b"A", name="a.txt.bak")
    assert node.compact_versions(dry_run=True) == 2
    assert node.version_count == 5
    assert node.compact_versions() == 2
    assert [node.open("rb", version=n).read() for n in range(3)] == [b"A", b"B", b"A"]
    assert storage.node("v:a.txt.bak").version_count == 2


def test_a_version_with_other_metadata_is_no_repetition(storage):
    node = written(storage, b"A")
    node.set_metadata({"author": "ann"})
    assert node.version_count == 2
    assert node.compact_versions() == 0
    assert node.get_metadata() == {"author": "ann"}


def test_an_unchanged_write_adds_no_version(storage):
    node = written(storage, b"one", b"two")
    written(storage, b"new", name="a.txt.bak")
    assert node.write_bytes(b"two", skip_if_unchanged=True) is False
    assert node.version_count == 2
    assert node.write_bytes(b"one", skip_if_unchanged=True) is True
    assert node.write_bytes(b"new", skip_if_unchanged=True) is True
    assert node.version_count == 4


@pytest.mark.parametrize(
    "wrong", ["nope", "null", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40"]
)
def test_an_id_that_no_version_has_is_said(storage, wrong):
    node = written(storage, b"one")
    other = storage.node("v:a.txt", version=wrong)
    assert not other.exists
    for step in (
        lambda: node.open("rb", version=wrong),
        other.read_bytes,
        other.stat,
        lambda: node._mount.read_bytes("a.txt", 2, 2, version=wrong),
        lambda: node.restore(wrong),
        lambda: node.delete_version(wrong),
    ):
        with pytest.raises((StorageNotFoundError, StorageVersionError), match="no version"):
            step()
    assert node.version_count == 1


def test_what_never_was_has_no_versions(storage):
    written(storage, b"x", name="d/file")
    with pytest.raises(StorageNotFoundError, match="v:missing"):
        storage.node("v:missing").versions
    for directory in ("v:d", "v:"):
        with pytest.raises(StorageIsDirectoryError):
            storage.node(directory).versions
        with pytest.raises(StorageError):
            storage.node(directory, version="x").read_bytes()


@pytest.mark.parametrize("name", ["d/data[1] +%2F&ü.txt", "what?.txt", "hash#1.txt"])
def test_names_that_urls_spell_otherwise(storage, name):
    node = written(storage, b"one", b"two", name=name)
    written(storage, b"x", name=f"{name}.bak")
    assert [each["size"] for each in node.versions] == [3, 3]
    assert storage.node("v", name, version=0).read_bytes() == b"one"
    node.restore(0)
    assert (node.read_bytes(), node.version_count) == (b"one", 3)


@pytest.mark.parametrize("permissions", ["readonly", "readwrite"])
def test_rights_are_kept(storage, permissions):
    node = written(storage, b"one", b"one")
    storage.add_mount({"name": "less", "path": "v:", "permissions": permissions})
    less = storage.node("less:a.txt")
    assert less.version_count == 2
    assert less.open("rb", version=0).read() == b"one"
    for step in (lambda: less.delete_version(0), less.compact_versions):
        with pytest.raises(StoragePermissionError, match=r"less:a\.txt.*permissions: delete"):
            step()
    if permissions == "readonly":
        with pytest.raises(StoragePermissionError, match="readonly"):
            less.restore(0)
    assert node.version_count == 2


def test_a_narrowed_mount_sees_the_versions_below_it(storage):
    written(storage, b"one", b"two", name="d/a.txt")
    storage.add_mount({"name": "d", "path": "v:d"})
    node = storage.node("d:a.txt")
    assert node.version_count == 2
    assert storage.node("d:a.txt", version=0).stat().path == "a.txt"
    node.restore(0)
    assert node.read_bytes() == b"one"


# -- buckets that keep none ---------------------------------------------------------------------


def test_without_versioning_the_current_content_is_the_one_version(plain):
    node = written(plain, b"one", b"three")
    (only,) = node.versions
    assert (only["version_id"], only["is_latest"], only["size"]) == ("null", True, 5)
    assert only["etag"] == hashlib.md5(b"three").hexdigest()
    old = plain.node("v:a.txt", version=-1)
    assert (old.read_bytes(), old.size) == (b"three", 5)
    assert node.open("rb", version="null").read() == b"three"
    assert node.open("rb", as_of=datetime.now(UTC)).read() == b"three"
    node.restore(-1)
    with pytest.raises(StorageNotFoundError):
        plain.node("v:missing").versions


def test_without_versioning_nothing_is_deleted_and_the_fix_is_said(plain):
    node = written(plain, b"one")
    for step in (
        lambda: node.delete_version("null"),
        lambda: node.delete_version(-1),
        node.compact_versions,
        lambda: node.compact_versions(dry_run=True),
    ):
        with pytest.raises(
            StorageUnsupportedError, match=r"v:a\.txt: .*versioning is not enabled.*enable it"
        ):
            step()
    assert node.read_bytes() == b"one"


@pytest.fixture
def other_bucket(moto_server):
    name = moto_server.make_bucket(f"bucket-{time.time_ns()}")
    with StorageManager() as manager:
        manager.configure([{"name": "v", **moto_server.mount(bucket=name)}])
        yield SimpleNamespace(storage=manager, name=name, server=moto_server)


def test_versioning_that_is_enabled_later_is_noticed(other_bucket):
    node = written(other_bucket.storage, b"one")
    assert node.versions[0]["version_id"] == "null"
    other_bucket.server.set_versioning(other_bucket.name, "Enabled")
    node.write_bytes(b"two")
    assert [each["size"] for each in node.versions] == [3, 3]
    assert node.open("rb", version="null").read() == b"one"
    node.delete_version("null")
    assert node.read_bytes() == b"two"


def test_where_it_is_suspended_the_only_copy_is_not_deleted(other_bucket):
    other_bucket.server.set_versioning(other_bucket.name, "Suspended")
    node = written(other_bucket.storage, b"one")
    with pytest.raises(StorageUnsupportedError, match="the only version"):
        node.delete_version(0)
    assert node.read_bytes() == b"one"


def test_a_server_without_versions_gives_the_current_content(rclone_s3):
    with StorageManager() as storage:
        storage.configure([{"name": "v", **rclone_s3.mount()}])
        node = written(storage, b"one")
        assert [each["version_id"] for each in node.versions] == ["null"]
        assert storage.node("v:a.txt", version=0).read_bytes() == b"one"
        # It refuses the parameter; of a server that ignores it, the answer names no version.
        with pytest.raises(StorageNotFoundError, match="no version 'other'"):
            node.open("rb", version="other")
        with pytest.raises(StorageUnsupportedError):
            node.delete_version("null")
        assert node.read_bytes() == b"one"


# -- answers of real servers --------------------------------------------------------------------

_HEAD = '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def entry(kind, key, version, latest=False, second=0):
    size = "<Size>1</Size><ETag>&quot;e&quot;</ETag>" if kind == "Version" else ""
    return (
        f"<{kind}><Key>{key}</Key><VersionId>{version}</VersionId>"
        f"<IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>2026-01-01T00:00:{second:02}.000Z</LastModified>{size}</{kind}>"
    )


def mounted(url, manager):
    manager.configure(
        [
            {"name": "v", "type": "s3", "bucket": BUCKET, "endpoint_url": url}
            | {"key": KEY, "secret": SECRET, "retries": 0}
        ]
    )
    return manager.node("v:a")


def test_versions_and_markers_of_one_second_keep_the_order_of_the_store():
    """As Amazon lists them: of one second, interleaved, the newest first."""
    listed = [
        entry("Version", "a", "v3", True, 9),
        entry("DeleteMarker", "a", "d2"),
        entry("Version", "a", "v2"),
        entry("DeleteMarker", "a", "d1"),
        entry("Version", "a", "v1"),
        entry("Version", "a.bak", "other", True),
    ]

    def answer(request):
        if "versioning" in request.path:
            return Answer(
                200, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            )
        return Answer(200, f"{_HEAD}{''.join(listed)}</ListVersionsResult>".encode())

    with AnswerServer(answer) as server, StorageManager() as manager:
        node = mounted(server.url, manager)
        assert [each["version_id"] for each in node.versions] == ["v1", "d1", "v2", "d2", "v3"]
        assert node.compact_versions(dry_run=True) == 0, "v2 is no repetition: it was deleted"


@pytest.mark.parametrize("status", [403, 501])
def test_who_may_not_ask_for_versioning_tries_and_sees(status):
    code = {403: "AccessDenied", 501: "NotImplemented"}[status]
    denied = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    def answer(request):
        if "?versioning" in request.path:
            return Answer(status, denied)
        if "versions" in request.path:
            return Answer(
                200, f"{_HEAD}{entry('Version', 'a', 'null', True)}</ListVersionsResult>".encode()
            )
        facts = (("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("ETag", '"e"'))
        return Answer(200, b"x", facts)

    with AnswerServer(answer) as server, StorageManager() as manager:
        node = mounted(server.url, manager)
        assert [each["version_id"] for each in node.versions] == ["null"]
        assert node.compact_versions() == 0
        # It looks like a bucket without versions: the only copy stays.
        with pytest.raises(StorageUnsupportedError, match="the only version"):
            node.delete_version("null")
        assert "DELETE" not in {request.method for request in server.requests}
        assert len([r for r in server.requests if "?versioning" in r.path]) == 1


def test_a_listing_that_is_denied_is_an_error_and_not_an_empty_history():
    denied = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with AnswerServer(lambda _: Answer(403, denied)) as server, StorageManager() as manager:
        node = mounted(server.url, manager)
        with pytest.raises(StoragePermissionError, match="v:a"):
            node.versions


def test_an_id_that_amazon_calls_invalid_is_no_version():
    """A HEAD only says 400; the answer to a GET says that it is a matter of the id."""
    wrong = b"<Error><Code>InvalidArgument</Code><Message>Invalid version id specified</Message></Error>"
    with AnswerServer(lambda _: Answer(400, wrong)) as server, StorageManager() as manager:
        mounted(server.url, manager)
        node = manager.node("v:a", version="x")
        assert not node.exists
        with pytest.raises(StorageNotFoundError, match="no version 'x'"):
            node.read_bytes()
