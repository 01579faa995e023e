"""Versions of blobs: as the service documents its answers, for no emulator keeps any."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from genro_storage import (
    StorageIsDirectoryError,
    StorageManager,
    StorageNotFoundError,
    StorageUnsupportedError,
    StorageVersionError,
)
from tests.services.answers import Answer, AnswerServer

MISSING = (StorageNotFoundError, StorageVersionError)
KEY = base64.b64encode(b"another key " * 4).decode()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIB = 1024 * 1024


class Account:
    """A container as REST version 2021 describes it; ``keeps`` False: an account without versions.

    Of each blob the contents, oldest first; the current one is the last, unless it is deleted.
    """

    def __init__(self, keeps=True):
        self.keeps = keeps
        self.blobs = {}
        self.deleted = set()
        self.tags = {}
        self.count = 0

    def put(self, name, data, metadata=()):
        self.count += 1
        # Several in a second, told apart by the tenths of a microsecond.
        version = f"2026-03-01T12:00:00.{self.count:07}Z"
        before = self.blobs.get(name, []) if self.keeps else []
        self.blobs[name] = [*before, (version, data, dict(metadata))]
        self.deleted.discard(name)

    def answer(self, request):
        url = urlsplit(request.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = unquote(url.path).removeprefix("/account/c").lstrip("/")
        if asked.get("comp") == "list":
            return self.listing(asked)
        held = self.blobs.get(name, [])
        if request.method == "PUT" and "x-ms-copy-source" in request.headers:
            return self.copy(name, request.headers["x-ms-copy-source"])
        if request.method == "PUT" and asked.get("comp") != "tags":
            told = {
                header.lower().removeprefix("x-ms-meta-"): value
                for header, value in request.headers.items()
                if header.lower().startswith("x-ms-meta-")
            }
            # New metadata are a new version, of the same content.
            same = asked.get("comp") == "metadata"
            self.put(name, held[-1][1] if same else request.body, told)
            return Answer(200 if same else 201, b"", self.facts(name, self.blobs[name][-1]))
        wanted = asked.get("versionid")
        if wanted is None and name not in self.deleted:
            found = held[-1:]
        else:
            found = [each for each in held if each[0] == wanted]
        if not found:
            return Answer(404, b"", (("x-ms-error-code", "BlobNotFound"),))
        if asked.get("comp") == "tags":
            return self.tagging(request, found[0][0])
        if request.method == "DELETE":
            return self.delete(name, wanted, found[0])
        return self.content(request, name, found[0])

    def tagging(self, request, version):
        if request.method == "PUT":
            self.tags[version] = request.body
            return Answer(204)
        body = self.tags.get(version, b"<Tags><TagSet/></Tags>")
        return Answer(200, body, (("Content-Type", "application/xml"),))

    def is_current(self, name, version):
        return name not in self.deleted and self.blobs[name][-1] is version

    def facts(self, name, version):
        number, data, metadata = version
        kept = (
            ("x-ms-version-id", number),
            ("x-ms-is-current-version", str(self.is_current(name, version)).lower()),
        )
        return (
            ("Last-Modified", format_datetime(START, usegmt=True)),
            ("ETag", f'"0x{number[-8:-1]}"'),
            ("x-ms-blob-type", "BlockBlob"),
            ("Content-Type", "text/plain"),
            ("x-ms-blob-content-md5", base64.b64encode(hashlib.md5(data).digest()).decode()),
            *((f"x-ms-meta-{key}", value) for key, value in metadata.items()),
            *(kept if self.keeps else ()),
        )

    def content(self, request, name, version):
        data, facts = version[1], self.facts(name, version)
        wanted = request.headers.get("x-ms-range", "").removeprefix("bytes=")
        if request.method == "HEAD" or not wanted:
            return Answer(200, data, facts)
        first, _, last = wanted.partition("-")
        if int(first) >= len(data):
            return Answer(416, b"", (("x-ms-error-code", "InvalidRange"),))
        part = data[int(first) : int(last) + 1]
        where = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return Answer(206, part, (*facts, ("Content-Range", where)))

    def delete(self, name, wanted, version):
        if wanted is None:
            self.deleted.add(name)
        elif self.is_current(name, version):
            return Answer(403, b"", (("x-ms-error-code", "OperationNotAllowedOnRootBlob"),))
        else:
            self.blobs[name].remove(version)
        return Answer(202)

    def copy(self, name, source):
        asked = parse_qs(urlsplit(source).query)
        for number, data, metadata in self.blobs[name]:
            if number == asked["versionid"][0]:
                self.put(name, data, metadata)
                return Answer(
                    202,
                    b"",
                    (
                        *self.facts(name, self.blobs[name][-1]),
                        ("x-ms-copy-id", "1"),
                        ("x-ms-copy-status", "success"),
                    ),
                )
        return Answer(404, b"", (("x-ms-error-code", "BlobNotFound"),))

    def listing(self, asked):
        listed = ""
        for name in sorted(self.blobs):
            if not name.startswith(asked.get("prefix", "")):
                continue
            for version in self.blobs[name]:
                current = self.is_current(name, version)
                if current or "versions" in asked.get("include", ""):
                    listed += self.entry(name, version, current)
        text = f"<EnumerationResults><Blobs>{listed}</Blobs><NextMarker/></EnumerationResults>"
        return Answer(200, text.encode(), (("Content-Type", "application/xml"),))

    def entry(self, name, version, current):
        facts = dict(self.facts(name, version))
        kept = f"<VersionId>{version[0]}</VersionId>"
        kept += "<IsCurrentVersion>true</IsCurrentVersion>" if current else ""
        return (
            f"<Blob><Name>{escape(name)}</Name>{kept if self.keeps else ''}<Properties>"
            f"<Last-Modified>{facts['Last-Modified']}</Last-Modified><Etag>{facts['ETag']}</Etag>"
            f"<Content-Length>{len(version[1])}</Content-Length><BlobType>BlockBlob</BlobType>"
            f"<Content-MD5>{facts['x-ms-blob-content-md5']}</Content-MD5></Properties></Blob>"
        )


@contextlib.contextmanager
def mounted(account, **more):
    with AnswerServer(account.answer) as server, StorageManager() as manager:
        manager.configure([{
            "name": "v", "type": "azure", "container": "c", "account_name": "account",
            "account_key": KEY, "endpoint_url": f"{server.url}/account", "retries": 0, **more,
        }])  # fmt: skip
        manager.requests = server.requests
        yield manager


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def storage(account):
    with mounted(account) as manager:
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
    assert [node.open("rb", version=n).read() for n in (0, 1, -1)] == [b"one", b"two", b"three"]
    when = found[1]["last_modified"]
    assert when.tzinfo is UTC
    assert node.open("rb", as_of=when + timedelta(hours=1)).read() == b"three"


@pytest.mark.parametrize("size", [0, 1, pytest.param(20 * MIB + 3, marks=pytest.mark.slow)])
def test_every_way_of_reading_gives_the_version(account, storage, tmp_path, size):
    data = b"0123456789abcdef" * (size // 16) + b"z" * (size % 16)
    account.put("a.txt", data)
    node = written(storage, b"new")
    first = node.versions[0]["version_id"]
    mount, old = node._mount, storage.node("v:a.txt", version=first)
    assert node.open("rb", version=first).read() == data
    assert (old.read_bytes(), old.size, old.md5hash) == (data, size, hashlib.md5(data).hexdigest())
    mount.download("a.txt", tmp_path / "whole", version=first)
    assert (tmp_path / "whole").read_bytes() == data
    for start, end in ((0, 0), (0, 7), (size // 2, size // 2 + 9), (size, size + 5)):
        assert mount.read_bytes("a.txt", start, end, version=first) == data[start:end]
    assert node.read_bytes() == b"new"


def test_one_request_tells_what_a_version_is(storage):
    node = written(storage, b"one", b"two")
    old = storage.node("v:a.txt", version=node.versions[0]["version_id"])
    storage.requests.clear()
    assert old.stat().size == 3
    assert [request.method for request in storage.requests] == ["HEAD"]


def test_one_request_tells_the_descriptor_and_the_tags_of_a_version(account, storage):
    account.put("a.txt", b"one", {"author": "ann"})
    node = storage.node("v:a.txt")
    node.set_tags({"team": "a"})
    account.put("a.txt", b"three")
    first, latest = (each["version_id"] for each in node.versions)
    old = storage.node("v:a.txt", version=first)
    storage.requests.clear()
    found = old.descriptor()
    assert (found.size, dict(found.metadata), found.version) == (3, {"author": "ann"}, first)
    assert found.path == "a.txt"
    assert (old.get_tags(), node.get_tags()) == ({"team": "a"}, {})
    assert [request.method for request in storage.requests] == ["HEAD", "GET", "GET"]
    assert node.descriptor().version == latest
    missing = storage.node("v:a.txt", version="2020-01-01T00:00:00.0000000Z")
    for step in (missing.descriptor, missing.get_tags):
        with pytest.raises(StorageNotFoundError, match="no version"):
            step()


def test_a_deleted_file_still_has_its_versions_and_is_restored(account, storage):
    account.put("a.txt", b"one", {"author": "ann"})
    node = storage.node("v:a.txt")
    node.delete()
    assert not node.exists
    assert [each["is_latest"] for each in node.versions] == [False]
    node.restore(version=-1)
    assert node.read_bytes() == b"one"
    assert account.blobs["a.txt"][-1][2] == {"author": "ann"}
    node.restore(-1)
    assert node.version_count == 2, "it is the current one already"


def test_a_version_is_restored_with_the_metadata_that_were_set_for_it(storage):
    node = written(storage, b"one")
    node.set_metadata({"author": "ann"})
    written(storage, b"two")
    node.set_metadata({"author": "bob"})
    assert node.version_count == 4
    for index, expected in ((1, (b"one", {"author": "ann"})), (0, (b"one", {}))):
        node.restore(index)
        assert (node.read_bytes(), node.get_metadata()) == expected
    assert node.version_count == 6


def test_old_versions_are_deleted_and_the_current_one_is_not(storage):
    node = written(storage, b"A", b"B", b"B", b"B")
    with pytest.raises(StorageUnsupportedError, match="is the current one"):
        node.delete_version(-1)
    assert node.compact_versions(dry_run=True) == 2
    assert node.compact_versions() == 2
    assert [node.open("rb", version=n).read() for n in (0, 1)] == [b"A", b"B"]
    assert node.read_bytes() == b"B"
    node.delete_version(0)
    assert (node.version_count, node.read_bytes()) == (1, b"B")


@pytest.mark.parametrize("wrong", ["nope", "current", "2020-01-01T00:00:00.0000000Z"])
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


@pytest.mark.parametrize("name", ["d/data[1] +%2F&ü.txt", "what?.txt", "hash#1.txt"])
def test_names_that_urls_spell_otherwise(storage, name):
    node = written(storage, b"one", b"two", name=name)
    written(storage, b"x", name=f"{name}.bak")
    assert [each["size"] for each in node.versions] == [3, 3]
    assert storage.node("v", name, version=0).read_bytes() == b"one"
    node.restore(0)
    assert (node.read_bytes(), node.version_count) == (b"one", 3)


def test_what_never_was_has_no_versions(storage):
    written(storage, b"x", name="d/file")
    with pytest.raises(StorageNotFoundError, match="v:missing"):
        storage.node("v:missing").versions
    with pytest.raises(StorageIsDirectoryError):
        storage.node("v:d").versions


def test_without_versioning_the_current_content_is_the_one_version():
    with mounted(Account(keeps=False)) as storage:
        node = written(storage, b"one", b"three")
        (only,) = node.versions
        assert (only["version_id"], only["is_latest"], only["size"]) == ("current", True, 5)
        assert node.open("rb", version=-1).read() == b"three"
        for step in (lambda: node.delete_version(-1), node.compact_versions):
            with pytest.raises(
                StorageUnsupportedError, match=r"v:a\.txt: .*not enabled.*enable it"
            ):
                step()
        assert node.read_bytes() == b"three"


@pytest.mark.services
def test_the_emulator_is_known_to_keep_none(azure):
    with StorageManager() as storage:
        storage.configure([{"name": "az", **azure.mount()}])
        node = storage.node("az:a")
        node.write_bytes(b"x")
        assert not node.capabilities.versioning
        assert node.versions == []
        for step in (lambda: node.open("rb", version="x"), lambda: node.restore("x")):
            with pytest.raises(StorageUnsupportedError, match="does not support versioning"):
                step()
