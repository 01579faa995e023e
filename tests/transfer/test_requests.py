"""How many requests copying a tree costs, counted at a proxy before the server."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from genro_storage import StorageManager
from tests.services.proxy import Proxy
from tests.support.engines import ENGINES, on_engine

pytestmark = [pytest.mark.services, pytest.mark.slow]

MANY = 2_500
LISTS = 3  # a thousand keys each
#: A directory of the tree, for what costs a request for each file: 2,500 take no other way.
FEW = 250
NAMES = [f"d{number % 10:02}/f{number:04}.bin" for number in range(MANY)]
NAMES_OF_FEW = [name[4:] for name in NAMES if name.startswith("d03/")]


def body(name):
    return hashlib.sha256(name.encode()).digest()


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    root = tmp_path_factory.mktemp("requests")
    for name in NAMES:
        path = root / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body(name))
    return root


@pytest.fixture(scope="module")
def bucket(moto_server, disk):
    """A mount whose ``tree`` is that of the disk."""
    found = moto_server.mount()
    with StorageManager() as storage:
        storage.configure([{"name": "far", **found}, local(disk)])
        storage.node("disk:tree").copy_to("far:tree")
        yield found


def local(root):
    return {"name": "disk", "type": "local", "path": str(root)}


@pytest.fixture
def proxy(moto_server):
    with Proxy(moto_server.port) as proxy:
        yield proxy


@pytest.fixture
def managed(bucket, disk, proxy):
    """A manager of ``disk`` and of ``far``, the bucket behind the proxy, on some engine."""
    with StorageManager() as storage:

        def make(engine=ENGINES[0]):
            far = {"name": "far", **on_engine(bucket, engine), "endpoint_url": proxy.url}
            storage.configure([far, local(disk)])
            return storage

        yield make


def counted(seen):
    """How many of each operation; a copy is a PUT that names its source."""
    return Counter(
        "COPY" if "x-amz-copy-source" in asked.headers else asked.operation for asked in seen
    )


def whole(storage, place):
    """Whether the directory at ``place`` is the one of the disk."""
    folder = storage.node(place)
    assert [child.name for child in folder.children()] == NAMES_OF_FEW
    return all((folder / name).read_bytes() == body(f"d03/{name}") for name in NAMES_OF_FEW[::10])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("skip", ["exists", "size", "hash"])
@pytest.mark.parametrize(
    ("source", "target"), [("disk", "far"), ("far", "disk")], ids=["upload", "download"]
)
def test_an_unchanged_tree_costs_one_listing_for_a_thousand_files(
    managed, proxy, source, target, skip, engine
):
    here, there = managed(engine).node(f"{source}:tree"), f"{target}:tree"
    with proxy.counting() as seen:
        here.copy_to(there, skip=skip)
    assert counted(seen) == {"LIST": LISTS}
    plan = here.plan_copy(there, skip=skip)
    with proxy.counting() as seen:
        report = plan.apply()
    assert (report.copied, report.skipped) == (0, MANY)
    assert counted(seen) == {"LIST": LISTS}


def test_a_new_tree_costs_one_request_for_each_file(managed, proxy):
    storage = managed()
    with proxy.counting() as seen:
        storage.node("disk:tree/d03").copy_to("far:new")
    found = counted(seen)
    assert found["PUT"] == FEW
    assert found.total() - FEW <= 3, found
    assert whole(storage, "far:new")


def test_a_new_tree_on_the_disk_costs_one_request_for_each_file(managed, proxy, tmp_path):
    storage = managed()
    storage.configure([{"name": "new", "type": "local", "path": str(tmp_path)}])
    with proxy.counting() as seen:
        storage.node("far:tree/d03").copy_to("new:tree")
    assert counted(seen) == {"GET": FEW, "LIST": 1}
    assert whole(storage, "new:tree")


@pytest.mark.parametrize(
    ("source", "target"),
    [("far:tree/d03", "far:copied"), ("part:", "far:of-part"), ("far:tree/d03", "into:by-part")],
    ids=["one mount", "from a relative, read-only one", "to a relative one without deletion"],
)
def test_inside_a_bucket_the_store_copies(managed, proxy, source, target):
    storage = managed()
    storage.configure(
        [
            {"name": "part", "path": "far:tree/d03", "permissions": "readonly"},
            {"name": "into", "path": "far:below", "permissions": "readwrite"},
        ]
    )
    with proxy.counting() as seen:
        storage.node(source).copy_to(target)
    found = counted(seen)
    assert found["COPY"] == FEW
    assert set(found) <= {"COPY", "LIST", "HEAD"}, "nothing comes here"
    # One listing, one look at the destination, and one at the first copy.
    assert found.total() - FEW <= 4, found
    assert whole(storage, target)
