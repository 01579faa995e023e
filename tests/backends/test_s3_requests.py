"""How many requests the simple questions cost, counted at a proxy before the server."""

from __future__ import annotations

import concurrent.futures
import hashlib

import pytest

from genro_storage import StorageManager
from tests.services.proxy import Proxy
from tests.support.engines import ENGINES, on_engine

pytestmark = pytest.mark.services

MANY = 2_500


@pytest.fixture
def proxy(moto_server):
    with Proxy(moto_server.port) as proxy:
        yield proxy


@pytest.fixture(params=ENGINES)
def storage(request, moto_server, proxy):
    config = on_engine(moto_server.mount(), request.param)
    with StorageManager() as storage:
        storage.configure([{"name": "far", **config, "endpoint_url": proxy.url}])
        yield storage


def operations(seen):
    return [asked.operation for asked in seen]


@pytest.mark.slow
def test_a_directory_of_2500_files_is_three_listings_and_nothing_else(storage, proxy):
    names = [f"f{number:04}.txt" for number in range(MANY)]
    folder = storage.node("far:d")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: (folder / name).write_bytes(name.encode()), names))
    with proxy.counting() as seen:
        assert [child.name for child in folder.children()] == names
    assert operations(seen) == ["LIST"] * 3
    with proxy.counting() as seen:
        # What a listing has said is not asked again.
        assert sum(child.size for child in folder.children()) == sum(map(len, names))
    assert operations(seen) == ["LIST"] * 3


def test_a_question_about_a_file_is_one_request(storage, proxy):
    node = storage.node("far:d/a.txt")
    with proxy.counting() as seen:
        node.write_bytes(b"hello")
    assert operations(seen) == ["PUT"]
    questions = {
        "exists": (lambda: node.exists, True, "HEAD"),
        "is_file": (node.is_file, True, "HEAD"),
        "size": (lambda: node.size, 5, "HEAD"),
        "mtime": (lambda: node.mtime > 0, True, "HEAD"),
        "descriptor": (lambda: node.descriptor().size, 5, "HEAD"),
        "md5hash": (lambda: node.md5hash, hashlib.md5(b"hello").hexdigest(), "HEAD"),
        "read_bytes": (node.read_bytes, b"hello", "GET"),
    }
    for name, (question, answer, operation) in questions.items():
        with proxy.counting() as seen:
            assert question() == answer, name
        assert operations(seen) == [operation], name


def test_a_file_that_is_not_there_takes_a_second_look_for_a_directory(storage, proxy):
    storage.node("far:here.txt").write_bytes(b"")
    with proxy.counting() as seen:
        assert not storage.node("far:gone.txt").exists
    assert operations(seen) == ["HEAD", "LIST"]


def test_copying_a_file_looks_once_at_each_side(storage, proxy, tmp_path):
    storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
    here, there = storage.node("disk:a.txt"), storage.node("far:copied.txt")
    here.write_bytes(b"hello")
    with proxy.counting() as seen:
        here.copy_to(there)
    assert operations(seen) == ["HEAD", "LIST", "PUT"]
    with proxy.counting() as seen:
        here.copy_to(there)
    assert operations(seen) == ["HEAD", "PUT"]
    with proxy.counting() as seen:
        there.copy_to("disk:b.txt")
    assert operations(seen) == ["HEAD", "GET"]
    assert storage.node("disk:b.txt").read_bytes() == b"hello"
