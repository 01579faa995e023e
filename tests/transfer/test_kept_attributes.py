"""What a store keeps with a file arrives with it in another store, whichever way the bytes go."""

from __future__ import annotations

import pytest

from genro_storage import StorageManager
from genro_storage.transfer import Bandwidth
from tests.services.proxy import Proxy
from tests.support.engines import ENGINES, on_engine

pytestmark = pytest.mark.services

MIB = 1024 * 1024
KEPT = {"content_type": "application/x-kept", "metadata": {"colour": "blue"}, "mtime": 1e9 + 0.25}


@pytest.fixture(params=[*ENGINES, "gcs_mount"])
def source(request, moto_server):
    """A bucket; the target is one of another service, as far as anybody knows."""
    if request.param in ENGINES:
        return on_engine(moto_server.mount(), request.param)
    return request.getfixturevalue(request.param)


@pytest.fixture
def places(source, moto_server, tmp_path):
    with Proxy(moto_server.port) as proxy, StorageManager() as storage:
        target = {**moto_server.mount(), "endpoint_url": proxy.url}
        storage.configure([{"name": "src", **source}, {"name": "dst", **target}])
        assert not storage.node("src:")._mount.can_copy_to(storage.node("dst:")._mount)
        yield storage


@pytest.mark.parametrize("size", [0, 1000, 2 * MIB, 12 * MIB])
@pytest.mark.parametrize("speed", [None, 1000 * MIB])
def test_the_content_type_and_the_metadata_arrive_in_another_store(places, size, speed):
    places.node("src:d/a").write_bytes(bytes(size), **KEPT)
    bandwidth = None if speed is None else Bandwidth(speed)
    places.node("src:d").copy_to(places.node("dst:e"), bandwidth=bandwidth)
    found = places.node("dst:e/a").descriptor()
    assert {name: getattr(found, name) for name in KEPT} == KEPT
    assert found.size == size
