"""What every object store must do where their usual libraries and listings go wrong."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import urllib.request
from typing import Any, ClassVar

import pytest

from genro_storage import StorageManager
from genro_storage.backends.azure import client as azure_client
from genro_storage.backends.gcs import client as gcs_client
from genro_storage.exceptions import (
    StorageExistsError,
    StorageIOError,
    StorageNotEmptyError,
    StorageTimeoutError,
    StorageUnsupportedError,
)
from tests.services.cable import Cable
from tests.services.interrupted import within

pytestmark = pytest.mark.services

_MIB = 1024 * 1024


class _Store:
    #: How many clients of its own a mount has, each with its own connections.
    clients: ClassVar = {"fsspec": 1, "obstore": 2}

    def __init__(self, service: Any, engine: str) -> None:
        self.service = service
        self.port = service.port
        self.engine = engine
        self.connections = self.clients[engine]

    def mount(self, port: int | None = None) -> dict[str, Any]:
        return {**self.service.mount(port), "engine": self.engine}


class _Gcs(_Store):
    client = gcs_client

    def put_raw(self, name: str, data: bytes = b"", encoding: str | None = None) -> None:
        """An object as another client puts it."""
        about = {"name": name, "contentType": "text/plain", "contentEncoding": encoding}
        body = b"\r\n".join((
            b"--b\r\nContent-Type: application/json\r\n",
            json.dumps(about).encode(),
            b"--b\r\nContent-Type: text/plain\r\n",
            data,
            b"--b--\r\n",
        ))  # fmt: skip
        url = f"{self.service.url}/upload/storage/v1/b/{self.service.bucket}/o?uploadType=multipart"
        headers = {"Content-Type": "multipart/related; boundary=b"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10).close()


class _Azure(_Store):
    client = azure_client

    def put_raw(self, name: str, data: bytes = b"", encoding: str | None = None) -> None:
        from azure.storage.blob import ContentSettings

        with self.service.client() as container:
            settings = ContentSettings(content_encoding=encoding)
            container.upload_blob(name, data, content_settings=settings)


@pytest.fixture(
    params=[(kind, engine) for kind in ("gcs", "azure") for engine in ("fsspec", "obstore")],
    ids="-".join,
)
def store(request):
    name, engine = request.param
    kind = {"gcs": _Gcs, "azure": _Azure}[name]
    return kind(request.getfixturevalue(name), engine)


@pytest.fixture
def storage(store):
    with StorageManager() as manager:
        manager.configure([{"name": "g", **store.mount(), "timeout": 20, "retries": 1}])
        yield manager


@pytest.fixture
def root(storage):
    return storage.node("g:")


def test_an_exclusive_creation_without_content_keeps_what_is_there(root):
    node = root / "a.txt"
    node.write_bytes(b"old")
    with pytest.raises(StorageExistsError):
        node.open("xb").close()
    assert node.read_bytes() == b"old"


def test_the_service_decides_which_creation_was_first(root):
    node = root / "a.txt"
    backend, path = node._mount._at("a.txt")
    handle = backend.open_write(path, if_absent=True)
    handle.write(b"late")
    node.write_bytes(b"first")
    with pytest.raises(FileExistsError):
        handle.close()
    # Nor by a look before it: the put itself is refused.
    with pytest.raises(FileExistsError):
        backend._ask(lambda client: client.put(backend._full(path), b"x", "a/b", create=True))
    assert node.read_bytes() == b"first"


def test_appending_is_refused_rather_than_overwriting(root):
    node = root / "log.txt"
    node.write_bytes(b"kept")
    with pytest.raises(StorageUnsupportedError):
        node.open("ab")
    assert node.read_bytes() == b"kept"


def test_what_another_client_does_is_seen_at_once(store, storage, root):
    backend, _ = root._mount._at("")
    storage.add_mount({**store.mount(), "name": "other", "base_path": backend.root})
    node, other = root / "d/a.txt", storage.node("other:d/a.txt")
    node.write_bytes(b"1")
    assert [child.name for child in node.parent.children()] == ["a.txt"]
    other.write_bytes(b"333")
    storage.node("other:d/b.txt").write_bytes(b"")
    assert node.size == 3 and node.read_bytes() == b"333"
    assert [child.name for child in node.parent.children()] == ["a.txt", "b.txt"]
    other.delete()
    assert not node.exists
    assert node._mount.same_place("d/a.txt", other._mount, "d/a.txt")


def test_a_forked_process_shares_no_connection(store, storage):
    with Cable(store.port) as cable:
        storage.add_mount({**store.mount(cable.port), "name": "cable"})
        node = storage.node("cable:a")
        node.write_bytes(b"parent")
        before = cable.accepted
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if node.read_bytes() == b"parent" else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        # The child does without obstore, which does not survive a fork.
        assert cable.accepted == before + 1
        assert node.read_bytes() == b"parent"
        assert cable.accepted == before + store.connections


def test_what_is_known_of_an_object(store, root):
    data = b"content" * 1000
    (root / "a.html").write_bytes(data)
    info = (root / "a.html").stat()
    assert info.content_type == "text/html"
    # On Azure a look by obstore does not say it, and whoever wants it asks Microsoft's client.
    assert root._mount.checksum(info) == ("md5", hashlib.md5(data).hexdigest())
    assert info.etag
    (listed,) = root.children()
    assert listed.stat() == info


def test_an_object_that_stands_for_a_directory_is_one(store, root):
    prefix = root._mount._at("")[0].root
    for name in ("made/", "made/inner/", "made/inner/f.txt", "empty/"):
        store.put_raw(f"{prefix}/{name}")
    assert [(child.name, child.isdir) for child in root.children()] == [
        ("empty", True),
        ("made", True),
    ]
    assert [child.name for child in (root / "made").children()] == ["inner"]
    assert (root / "empty").children() == []
    found = [info.path for info in root._mount.find("")]
    assert found == ["empty", "made", "made/inner", "made/inner/f.txt"]
    with pytest.raises(StorageNotEmptyError):
        (root / "made").rmdir()
    (root / "empty").rmdir()
    (root / "made").delete()
    assert root.children() == []


def test_a_file_and_a_prefix_of_one_name(root):
    for name in ("a", "a-b", "a/x/y", "b"):
        (root / name).write_bytes(name.encode())
    assert [(child.name, child.isfile) for child in root.children()] == [
        ("a", True),
        ("a-b", True),
        ("b", True),
    ]
    found = [(info.path, info.type) for info in root._mount.find("")]
    assert ("a/x/y", "file") in found and ("a", "directory") not in found
    (root / "a").delete()
    assert (root / "a/x/y").read_bytes() == b"a/x/y"


def test_what_killed_writers_of_other_mounts_left_is_hidden_everywhere(store, root):
    left = f".genro-tmp-{'0' * 20}-1"
    store.put_raw(f"{root._mount._at('')[0].root}/d/{left}")
    (root / "d/a").write_bytes(b"1")
    assert [child.name for child in (root / "d").children()] == ["a"]
    assert [info.path for info in root._mount.find("")] == ["d", "d/a"]


def test_deleting_many_files_waits_for_a_silent_server_once(store, storage):
    storage.add_mount({**store.mount(), "name": "brief", "timeout": 8, "retries": 0})
    mount = storage.node("brief:")._mount
    names = [f"{number}" for number in range(100)]
    with store.service.frozen(), within(60), pytest.raises(StorageTimeoutError, match="brief:"):
        mount.remove_many(names)
    mount.remove_many(names)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_listing_of_many_pages_is_whole(store, root, monkeypatch, size):
    monkeypatch.setattr(store.client, "_PAGE", size)
    names = ["B", "a", "a-b", "a/x", "a/y/z", "a0", "\u00e9/\u00fc", "\ufb00", "\U0001f600"]
    for name in reversed(names):
        (root / "d" / name).write_bytes(b"1")
    found = [info.path[2:] for info in root._mount.find("d") if info.type == "file"]
    assert found == names
    assert [info.path for info in root._mount.find("") if info.type == "directory"] == [
        "d", "d/a/y", "d/\u00e9",
    ]  # fmt: skip
    assert len(root._mount.bind()._at("")[0]._read_listing("d", "")) == 7
    (root / "d").delete()
    assert not (root / "d").exists


def test_a_range_is_all_that_is_fetched(store, storage):
    with Cable(store.port) as cable:
        config = store.mount(cable.port)
        storage.add_mount({**config, "name": "wired"})
        node = storage.node("wired:big.bin")
        data = bytes(range(256)) * (3 * _MIB // 256)
        node.write_bytes(data)
        before = cable.passed
        assert node._mount.read_bytes("big.bin", 2 * _MIB + 5, 2 * _MIB + 9) == data[5:9]
        assert cable.passed - before < 10_000
        before = cable.passed
        with node.open("rb") as stream:
            stream.seek(-3, 2)
            assert stream.read() == data[-3:]
            stream.seek(2 * _MIB)
            assert stream.read(256) == data[:256]
        assert cable.passed - before < 2 * _MIB
        # And the connections are used again and again.
        for _ in range(5):
            node.stat()
            node._mount.read_bytes("big.bin", 0, 10)
        if store.engine == "fsspec":
            assert len(cable._open) == 2
        else:  # which has a connection back a moment after the answer: there may be a few
            assert len(cable._open) <= 2 * 5


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(root):
    node = root / "a.bin"
    node.write_bytes(b"1" * (4 * _MIB))
    with node.open("rb") as stream:
        assert stream.read(10) == b"1" * 10
        node.write_bytes(b"2" * (4 * _MIB))
        with pytest.raises(StorageIOError, match="replaced"):
            stream.read()
    assert node.read_bytes() == b"2" * (4 * _MIB)


def test_what_was_stored_packed_is_read_as_it_is_stored(store, root):
    prefix = root._mount._at("")[0].root
    packed = gzip.compress(b"content" * 1000)
    store.put_raw(f"{prefix}/a.gz", packed, encoding="gzip")
    node = root / "a.gz"
    assert node.read_bytes() == packed
    assert node.size == len(packed)
    assert node._mount.read_bytes("a.gz", 2, 9) == packed[2:9]
