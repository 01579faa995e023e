"""Credentials that are good for five seconds, and transfers that take longer.

A proxy knows which credentials are good at the moment a request arrives, as S3 does, and refuses
all others. ``GENRO_STORAGE_BROKER_SECONDS=60`` makes the transfer as long as that.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import random
import threading
import time
import uuid

import pytest

from genro_storage import StorageManager, StoragePermissionError
from genro_storage.backends.s3 import S3Options
from tests.services.broker import Broker
from tests.services.proxy import Proxy
from tests.services.s3 import BUCKET
from tests.support.engines import ENGINES, on_engine

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.skipif(
        "credentials_url" not in S3Options.model_fields,
        reason="the type s3 has no option 'credentials_url' yet",
    ),
]

LIFETIME = 5.0
SECONDS = float(os.environ.get("GENRO_STORAGE_BROKER_SECONDS", "16"))
SIZE = 64 * 1024 * 1024
THREADS = 16


@pytest.fixture
def broker():
    with Broker(lifetime=LIFETIME, folder=f"s3://{BUCKET}/t-{uuid.uuid4().hex}/") as broker:
        yield broker


@pytest.fixture
def proxy(moto_server, broker):
    with Proxy(moto_server.port, gate=broker.gate) as proxy:
        yield proxy


@pytest.fixture(params=ENGINES)
def storage(request, broker, proxy):
    config = {
        "name": "far",
        "type": "s3",
        "endpoint_url": proxy.url,
        "region": "us-east-1",
        "credentials_url": broker.url,
        "credentials_url_secret": broker.secret,
    }
    with StorageManager() as storage:
        storage.configure([on_engine(config, request.param)])
        yield storage


def assert_one_call_for_each_expiry(broker):
    gaps = [later - earlier for earlier, later in itertools.pairwise(broker.calls)]
    assert all(gap > LIFETIME / 2 for gap in gaps), gaps


def test_configuring_asks_nobody_and_the_first_use_asks_once(storage, broker, proxy):
    assert broker.calls == []
    together = threading.Barrier(THREADS)

    def ask(number):
        together.wait()
        return storage.node(f"far:f{number}").exists

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        assert not any(pool.map(ask, range(THREADS)))
    assert len(broker.calls) == 1
    assert broker.refused == []
    assert len(proxy.requests) >= THREADS


@pytest.mark.timeout(300)
def test_a_transfer_outlives_its_credentials(storage, broker, proxy, tmp_path):
    """One large file goes up and down; fifteen threads write and read small ones meanwhile."""
    proxy.speed = 2 * SIZE / SECONDS
    data = random.Random(1).randbytes(1024 * 1024) * (SIZE // 1024 // 1024)
    source, target = tmp_path / "source.bin", tmp_path / "target.bin"
    source.write_bytes(data)
    storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
    over = threading.Event()
    counts = [0] * THREADS

    def small(number):
        while not over.is_set():
            content = f"{number}-{counts[number]}".encode()
            node = storage.node(f"far:small/{number}")
            node.write_bytes(content)
            assert node.read_bytes() == content
            counts[number] += 1
            time.sleep(0.02)

    def large():
        try:
            storage.node("disk:source.bin").copy_to("far:large.bin")
            storage.node("far:large.bin").copy_to("disk:target.bin")
        finally:
            over.set()

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        work = [pool.submit(large), *(pool.submit(small, number) for number in range(1, THREADS))]
        for each in work:
            each.result()
    took = time.monotonic() - started
    print(f"{took:.1f} s, {len(proxy.requests)} requests, {len(broker.calls)} calls of the broker")
    assert target.read_bytes() == data
    assert took > 0.9 * SECONDS, "the transfer was to outlive its credentials"
    assert min(counts[1:]) > SECONDS / 2
    assert broker.refused == []
    assert_one_call_for_each_expiry(broker)
    assert len(broker.calls) >= took / LIFETIME


def test_a_broker_with_a_bad_moment_is_asked_again_before_it_is_too_late(storage, broker):
    node = storage.node("far:a.txt")
    node.write_bytes(b"here")
    broker.fail_next(1)
    end = time.monotonic() + 2 * LIFETIME
    while time.monotonic() < end:
        assert node.read_bytes() == b"here"
        time.sleep(0.05)
    assert broker.refused == []
    assert len(broker.grants) >= 3


def test_a_broker_that_is_out_of_order_is_named_and_its_secret_is_not(storage, broker):
    broker.fail_next(100)
    with pytest.raises(OSError, match=broker.url) as raised:
        storage.node("far:a.txt").read_bytes()
    assert broker.secret not in str(raised.value)
    broker.fail_next(0)
    assert not storage.node("far:a.txt").exists


def test_a_wrong_secret_is_told_without_it(broker, proxy):
    with StorageManager() as storage:
        config = {"type": "s3", "endpoint_url": proxy.url, "credentials_url": broker.url}
        secret = "not-the-secret-of-it"
        storage.configure([{"name": "far", **config, "credentials_url_secret": secret}])
        with pytest.raises(StoragePermissionError) as raised:
            storage.node("far:a.txt").read_bytes()
        assert secret not in str(raised.value)
