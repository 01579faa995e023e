"""Generations of objects: on a bucket that keeps them, on one that does not, and as answered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from genro_storage import (
    StorageIsDirectoryError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageVersionError,
)
from tests.services.answers import Answer, AnswerServer

pytestmark = pytest.mark.services

MIB = 1024 * 1024
MISSING = (StorageNotFoundError, StorageVersionError)


@pytest.fixture
def storage(gcs):
    with StorageManager() as manager:
        manager.configure([{"name": "v", **gcs.mount(), "bucket": gcs.versioned_bucket()}])
        yield manager


@pytest.fixture
def plain(gcs):
    """A manager on a bucket that keeps no generations."""
    with StorageManager() as manager:
        manager.configure([{"name": "v", **gcs.mount()}])
        yield manager


def written(storage, *contents, name="a.txt"):
    node = storage.node(f"v:{name}")
    for each in contents:
        node.write_bytes(each)
    return node


def test_the_versions_of_exactly_this_key_oldest_first(storage):
    node = written(storage, b"one", b"two", b"three")
    for name in ("a.txt.bak", "a.txt/below", "a"):
        written(storage, b"another", name=name)
    found = node.versions
    assert [(each["size"], each["is_latest"]) for each in found] == [
        *((3, False), (3, False), (5, True)),
    ]
    assert node.version_count == 3
    assert [node.open("rb", version=n).read() for n in (0, 1, -1)] == [b"one", b"two", b"three"]
    when = found[1]["last_modified"]
    assert when.tzinfo is UTC
    assert node.open("rb", as_of=when).read() == b"two"
    assert node.open("rb", as_of=when - timedelta(microseconds=1)).read() == b"one"


@pytest.mark.parametrize("size", [0, 1, pytest.param(20 * MIB + 3, marks=pytest.mark.slow)])
def test_every_way_of_reading_gives_the_version(storage, tmp_path, size):
    data = b"0123456789abcdef" * (size // 16) + b"z" * (size % 16)
    node = written(storage, data, b"new")
    first = node.versions[0]["version_id"]
    mount, old = node._mount, storage.node("v:a.txt", version=first)
    assert node.open("rb", version=first).read() == data
    assert (old.read_bytes(), old.size, old.md5hash) == (data, size, hashlib.md5(data).hexdigest())
    mount.download("a.txt", tmp_path / "whole", version=first)
    assert (tmp_path / "whole").read_bytes() == data
    for start, end in ((0, 0), (0, 7), (size // 2, size // 2 + 9), (size, size + 5)):
        assert mount.read_bytes("a.txt", start, end, version=first) == data[start:end]
    old.copy_to("v:copy")
    assert storage.node("v:copy").read_bytes() == data


def test_the_descriptor_of_a_snapshot_is_that_of_its_version(storage):
    node = storage.node("v:a.txt")
    node.write_bytes(b"one", metadata={"author": "ann"}, cache_control="no-store")
    node.write_bytes(b"three")
    first = node.versions[0]["version_id"]
    found = storage.node("v:a.txt", version=first).descriptor()
    assert (found.path, found.size, found.version) == ("a.txt", 3, first)
    assert (dict(found.metadata), found.cache_control) == ({"author": "ann"}, "no-store")
    assert found.checksum("md5") == hashlib.md5(b"one").hexdigest()
    assert node.descriptor().size == 5
    with pytest.raises(MISSING, match="version"):
        storage.node("v:a.txt", version="1").descriptor()


def test_a_deleted_file_still_has_its_versions(storage):
    node = written(storage, b"one")
    time.sleep(0.01)
    node.delete()
    assert not node.exists
    first, marker = node.versions
    assert (first["is_delete_marker"], marker["is_delete_marker"]) == (False, True)
    assert (first["is_latest"], marker["is_latest"]) == (False, True)
    assert node.open("rb", as_of=first["last_modified"]).read() == b"one"
    with pytest.raises(StorageNotFoundError, match="did not exist at"):
        node.open("rb", as_of=datetime.now(UTC))
    for step in (
        lambda: node.open("rb", version=marker["version_id"]),
        lambda: node.restore(marker["version_id"]),
        lambda: node.delete_version(marker["version_id"]),
    ):
        with pytest.raises(MISSING):
            step()
    node.restore(version=-1)
    assert node.read_bytes() == b"one"
    assert [each["is_delete_marker"] for each in node.versions] == [False, False]


def test_restoring_adds_a_version_unless_it_is_the_current_one(storage):
    node = written(storage, b"one", b"two")
    node.restore(0)
    assert (node.read_bytes(), node.version_count) == (b"one", 3)
    node.restore(-1)
    assert node.version_count == 3


def test_the_current_version_is_not_deleted_by_its_id(storage):
    node = written(storage, b"one", b"two")
    with pytest.raises(StorageUnsupportedError, match="is the current one"):
        node.delete_version(-1)
    assert node.read_bytes() == b"two"


def test_what_is_compacted_never_is_the_current_version(storage):
    node = written(storage, b"A", b"B", b"B", b"B")
    first, *same, _ = (each["version_id"] for each in node.versions)
    deleted = []
    backend = node._mount.backend
    backend.delete_version = lambda path, version: deleted.append((path, version))
    assert node.compact_versions(dry_run=True) == 2
    assert deleted == []
    assert node.compact_versions() == 2
    # The emulator deletes the current one whatever it is told, so that this only shows which.
    assert sorted(deleted) == sorted(("a.txt", version) for version in same)
    assert first not in same


def test_an_unchanged_write_adds_no_version(storage):
    node = written(storage, b"one", b"two")
    assert node.write_bytes(b"two", skip_if_unchanged=True) is False
    assert node.version_count == 2
    assert node.write_bytes(b"one", skip_if_unchanged=True) is True
    assert node.version_count == 3


@pytest.mark.parametrize("wrong", ["nope", "17", "-1", "1e3", "9" * 30])
def test_an_id_that_no_version_has_is_said(storage, wrong):
    node = written(storage, b"one")
    other = storage.node("v:a.txt", version=wrong)
    assert not other.exists
    for step in (
        lambda: node.open("rb", version=wrong),
        other.read_bytes,
        lambda: node.restore(wrong),
        lambda: node.delete_version(wrong),
    ):
        with pytest.raises(MISSING, match="no version"):
            step()
    assert node.version_count == 1


def test_what_never_was_has_no_versions(storage):
    written(storage, b"x", name="d/file")
    with pytest.raises(StorageNotFoundError, match="v:missing"):
        storage.node("v:missing").versions
    with pytest.raises(StorageIsDirectoryError):
        storage.node("v:d").versions


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
    written(storage, b"one", b"one")
    storage.add_mount({"name": "less", "path": "v:", "permissions": permissions})
    less = storage.node("less:a.txt")
    for step in (lambda: less.delete_version(0), less.compact_versions):
        with pytest.raises(StoragePermissionError, match="permissions: delete"):
            step()
    if permissions == "readonly":
        with pytest.raises(StoragePermissionError, match="readonly"):
            less.restore(0)
    assert less.version_count == 2


def test_without_versioning_the_current_content_is_the_one_version(plain):
    node = written(plain, b"one", b"three")
    (only,) = node.versions
    assert (only["is_latest"], only["size"]) == (True, 5)
    assert node.open("rb", version=-1).read() == b"three"
    for step in (
        lambda: node.delete_version(-1),
        node.compact_versions,
        lambda: node.compact_versions(dry_run=True),
    ):
        with pytest.raises(StorageUnsupportedError, match=r"v:a\.txt: .*not enabled.*enable it"):
            step()
    assert node.read_bytes() == b"three"


# -- as the service answers ---------------------------------------------------------------------


def item(generation, name="a", **more):
    return {
        "name": name,
        "generation": str(generation),
        "size": "1",
        "timeCreated": f"2026-01-01T00:00:{generation:02}.123456Z",
        "etag": f"e{generation}",
        "md5Hash": "DMF1ucDxtqgxw5niaXcmYQ==",
        **more,
    }


def over(generation):
    return {"timeDeleted": f"2026-01-01T00:00:{generation:02}.123456Z"}


@contextlib.contextmanager
def service(pages, *, bucket=None, current=3):
    """A mount of a bucket that lists these pages of generations."""

    def answer(request):
        url = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.endswith("/o"):
            at = int(asked.get("pageToken", 0))
            more = {"nextPageToken": str(at + 1)} if at + 1 < len(pages) else {}
            return Answer(200, json.dumps({"items": pages[at], **more}).encode())
        if url.path.endswith("/rewriteTo/b/bucket/o/a"):
            return Answer(200, json.dumps({"done": True, "resource": item(current + 1)}).encode())
        if not url.path.endswith("/o/a"):
            return bucket or Answer(200, b'{"versioning": {"enabled": true}}')
        if request.method == "DELETE":
            return Answer(204)
        return Answer(200, json.dumps(item(int(asked.get("generation", current)))).encode())

    with AnswerServer(answer) as server, StorageManager() as manager:
        manager.configure(
            [
                {"name": "v", "type": "gcs", "bucket": "bucket", "anon": True, "retries": 0}
                | {"endpoint_url": server.url}
            ]
        )
        yield manager.node("v:a"), server


def test_generations_are_listed_page_after_page_up_to_the_next_key():
    pages = [
        [item(2, **over(3)), item(1, **over(2))],
        [item(3), item(4, "a.bak")],
        [item(5, "a.bak2")],
    ]
    with service(pages) as (node, server):
        assert [each["version_id"] for each in node.versions] == ["1", "2", "3"]
        assert len(server.requests) == 2


def test_one_generation_is_deleted_by_its_number():
    """Not shown with the emulator, which deletes the current one instead."""
    pages = [[item(1, **over(2)), item(2, **over(3)), item(3)]]
    with service(pages) as (node, server):
        node.delete_version(0)
        with pytest.raises(StorageUnsupportedError, match="current one"):
            node.delete_version("3")
        assert node.compact_versions() == 2
        gone = [request.path for request in server.requests if request.method == "DELETE"]
        assert [parse_qs(urlsplit(path).query)["generation"] for path in gone] == [
            *(["1"], ["2"], ["1"]),
        ]


def test_a_generation_is_restored_by_a_copy_that_names_no_metadata():
    """The service then takes those of the generation: all, or only what the request says.

    The emulator has those that it was written with, also where others were set for it later.
    """
    with service([[item(1, **over(3)), item(3)]]) as (node, server):
        node.restore(0)
        (copy,) = (request for request in server.requests if request.method == "POST")
        assert parse_qs(urlsplit(copy.path).query) == {"sourceGeneration": ["1"]}
        assert copy.body == b""


def test_a_generation_that_was_removed_leaves_no_deletion_behind():
    """Of 1, 2 and 3 the second was compacted: the file was there all the time."""
    pages = [[item(1, **over(2)), item(9)]]
    with service(pages) as (node, _):
        assert [each["version_id"] for each in node.versions] == ["1", "9"]
        assert node._resolve_version_at_date(datetime(2026, 1, 1, 0, 0, 5)) == "1"  # noqa: DTZ001


def test_who_may_not_see_the_bucket_tries_and_sees():
    with service([[item(1, **over(3)), item(3)]], bucket=Answer(403, b"{}")) as (node, _):
        assert node.compact_versions(dry_run=True) == 1
