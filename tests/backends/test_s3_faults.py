"""A server that fails in one request of twenty: nothing is lost, nothing is damaged, and it ends.

Sixteen threads write, read, list, copy and remove, each in a directory of its own, and keep in
mind what must be there. An operation that raises has happened whole or not at all; everything
else has happened. The faults follow from a seed (``GENRO_STORAGE_FAULT_SEED``).
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import threading
from collections import Counter

import pytest

from genro_storage import StorageError, StorageManager, StorageNotFoundError
from tests.services.faults import Faults
from tests.services.proxy import Proxy
from tests.support.engines import ENGINES, on_engine

pytestmark = [pytest.mark.services, pytest.mark.slow]

SEED = int(os.environ.get("GENRO_STORAGE_FAULT_SEED", "20261129"))
THREADS = 16
#: The whole of it may take that many seconds; a hang would take for ever.
PATIENCE = 1200


class Actor:
    """One thread with a directory: what it does, and what it knows must be there."""

    def __init__(self, number, storage, direct):
        self.random = random.Random(f"{SEED}-{number}")
        self.folder = storage.node(f"far:t{number}")
        self.direct = direct.node(f"far:t{number}")
        #: Of each name, the contents that it may have; None where it may be absent.
        self.known = {f"k{index}": {None} for index in range(12)}
        self.raised = Counter()
        self.done = Counter()

    def content(self):
        size = self.random.choice((0, 1, 700, 4_096, 70_000, 300_000))
        return self.random.randbytes(size)

    def step(self):
        verb = self.random.choice(
            ("write", "write", "stream", "read", "read", "part", "stat", "list", "delete", "copy")
        )
        name = self.random.choice(list(self.known))
        try:
            getattr(self, verb)(name)
        except StorageError as error:
            assert not isinstance(error, StorageNotFoundError), error
            self.raised[verb] += 1
        self.done[verb] += 1

    def _becomes(self, name, content, act):
        before = self.known[name]
        self.known[name] = before | {content}  # in case it raises
        act()
        self.known[name] = {content}

    def write(self, name):
        data = self.content()
        self._becomes(name, data, lambda: (self.folder / name).write_bytes(data))

    def stream(self, name):
        data = self.content()

        def act():
            with (self.folder / name).open("wb") as handle:
                for start in range(0, len(data), 50_000):
                    handle.write(data[start : start + 50_000])

        self._becomes(name, data, act)

    def delete(self, name):
        self._becomes(name, None, lambda: (self.folder / name).delete())

    def copy(self, name):
        source = self.random.choice(list(self.known))
        if len(self.known[source]) > 1 or None in self.known[source] or source == name:
            return
        (data,) = self.known[source]
        self._becomes(name, data, lambda: (self.folder / source).copy_to(self.folder / name))

    def _seen(self, name, found):
        assert found in self.known[name], f"{self.folder.fullpath}/{name} (seed {SEED})"
        self.known[name] = {found}

    def read(self, name):
        try:
            found = (self.folder / name).read_bytes()
        except StorageNotFoundError:
            found = None
        self._seen(name, found)

    def part(self, name):
        try:
            with (self.folder / name).open("rb") as handle:
                handle.seek(500)
                found = handle.read(3_000)
        except StorageNotFoundError:
            self._seen(name, None)
            return
        wholes = [each for each in self.known[name] if each is not None]
        assert found in [each[500:3_500] for each in wholes], f"{name} (seed {SEED})"

    def stat(self, name):
        node = self.folder / name
        found = node.size if node.exists else None
        sizes = [None if each is None else len(each) for each in self.known[name]]
        assert found in sizes, f"{name} (seed {SEED})"

    def list(self, _):
        try:
            found = {child.name: child.size for child in self.folder.children()}
        except StorageNotFoundError:
            found = {}
        for name, contents in self.known.items():
            sizes = [None if each is None else len(each) for each in contents]
            assert found.pop(name, None) in sizes, f"{name} (seed {SEED})"
        assert not found, f"what nobody wrote: {found} (seed {SEED})"

    def final(self):
        """Everything once more, past the proxy."""
        for name in self.known:
            node = self.direct / name
            self._seen(name, node.read_bytes() if node.exists else None)
        there = {name for name, (content,) in self.known.items() if content is not None}
        left = {child.name for child in self.direct.children()} if there else set()
        assert left == there


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("engine", ENGINES)
def test_operations_through_faults(rclone_s3, engine):
    """On rclone, which takes as many requests as one wants, and no upload that was cut."""
    _run(rclone_s3, engine, 10_000)


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("engine", ENGINES)
def test_operations_through_faults_that_nobody_repeats(moto_server, engine):
    """Each fault is an error then, and what it stopped has happened whole or not at all."""
    _run(moto_server, engine, 1_000, retries=0)


def _run(server, engine, count, retries=2):
    config = {"name": "far", **on_engine(server.mount(), engine), "retries": retries}
    faults = Faults(0.05, seed=SEED)
    with Proxy(server.port) as proxy, StorageManager() as storage, StorageManager() as direct:
        storage.configure([{**config, "endpoint_url": proxy.url}])
        direct.configure([{**config, "retries": 8}])
        proxy.faults = faults
        actors = [Actor(number, storage, direct) for number in range(THREADS)]
        stop = threading.Event()

        def act(actor):
            try:
                for _ in range(count // THREADS):
                    if stop.is_set():
                        return
                    actor.step()
            except BaseException:
                stop.set()  # the others need not go on
                raise

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(act, actors))
        proxy.faults = None
        for actor in actors:
            actor.final()
        requests = len(proxy.requests)
    done = sum((actor.done for actor in actors), Counter())
    raised = sum((actor.raised for actor in actors), Counter())
    print(f"{done.total()} operations, {requests} requests, faults {dict(faults.met)}, {raised=}")
    assert done.total() >= count - THREADS
    assert 0.03 * requests < faults.met.total() < 0.07 * requests, "the faults were to be 5 %"
    assert set(faults.met) == set(faults.kinds)
    if retries:
        # Three faults in a row are rare.
        assert raised.total() < done.total() / 100, raised
    else:
        assert raised.total() > done.total() / 50, "the faults were to be felt"
