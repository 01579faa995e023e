"""Large files of ``gcs`` and ``azure``: one answer where that is enough, and more beside it where not."""

from __future__ import annotations

import itertools
import os
import re
import warnings

import pytest

from genro_storage import StorageIOError, StorageManager
from genro_storage.backends.object_stores import downloads
from genro_storage.backends.object_stores.engine import Body, Unfit
from genro_storage.backends.object_stores.onward import Onward
from genro_storage.backends.remote import Bounds
from tests.services.proxy import Proxy

pytestmark = pytest.mark.services

MIB = 1024 * 1024
SIZE = 20 * MIB
ENGINES = [("gcs", "auto"), ("azure", "auto"), ("azure", "fsspec")]


class Once:
    """What goes wrong with the next answer that is sent through a proxy, and with no other one."""

    def __init__(self, fault):
        self.left = [fault]

    def next(self):
        return self.left.pop() if self.left else None


class Far:
    """A large file behind a proxy, in a mount of its own, and a disk."""

    def __init__(self, service, engine, directory):
        self.proxy = Proxy(service.port)
        config = service.mount(self.proxy.port)
        self.storage = StorageManager()
        self.storage.configure([
            {"name": "far", "engine": engine, "retries": 2, **config},
            {"name": "direct", **config, "endpoint_url": service.mount()["endpoint_url"]},
            {"name": "disk", "type": "local", "path": str(directory)},
            {"name": "ram", "type": "memory"},
        ])  # fmt: skip
        self.node = self.storage.node("far:a.bin")
        self.direct = self.storage.node("direct:a.bin")
        self.data = os.urandom(SIZE)
        self.node.write_bytes(self.data, mtime=1_600_000_000.5)
        self.mount = self.node._mount
        # Of pieces the second: what replaces the first may be of any content.
        self.broken = 0 if engine == "auto" else 1

    def break_one(self, before_next=lambda: None):
        """Break an answer in its middle, and do something before the one after it."""
        numbers = itertools.count()

        def gate(asked):
            if self.contents([asked]):
                number = next(numbers)
                if number == self.broken:
                    self.proxy.faults = Once("cut_download")
                elif number == self.broken + 1:
                    before_next()

        self.proxy.gate = gate

    def contents(self, asked):
        """Where the requests for the content begin."""
        found = []
        for each in asked:
            if each.method == "GET" and each.path.endswith("a.bin"):
                ranged = each.headers.get("range") or each.headers.get("x-ms-range") or "bytes=0-"
                if "alt" in each.query or "x-ms-version" in each.headers:
                    found.append(int(re.match(r"bytes=(\d+)-", ranged)[1]))
        return found


@pytest.fixture(params=ENGINES, ids=lambda kind: "-".join(kind))
def engine(request):
    return request.param


@pytest.fixture
def far(request, engine, tmp_path):
    found = Far(request.getfixturevalue(engine[0]), engine[1], tmp_path)
    with found.proxy, found.storage:
        yield found


@pytest.mark.parametrize(("target", "drains"), [("disk:b.bin", True), ("ram:b.bin", False)])
def test_a_large_copy_is_one_request_for_the_content(far, engine, filled, target, drains):
    with far.proxy.counting() as asked:
        far.node.copy_to(target)
    copied = far.storage.node(target)
    assert copied.read_bytes() == far.data
    assert copied.mtime == 1_600_000_000.5
    # Microsoft's client fetches all that it asks for before it shows any of it.
    pieces = [0] if engine[1] == "auto" else list(range(0, SIZE, 4 * MIB))
    assert far.contents(asked) == pieces
    assert filled == [SIZE if drains else None]


def test_whoever_reads_or_downloads_gets_one_more_answer_after_the_beginning(far, engine, tmp_path):
    following = [8 * MIB] if engine[1] == "auto" else [8 * MIB, 12 * MIB, 16 * MIB]
    with far.proxy.counting() as asked:
        assert far.node.read_bytes() == far.data
    assert far.contents(asked) == [0, *following]
    with far.proxy.counting() as asked:
        far.mount.download("a.bin", tmp_path / "own")
    assert (tmp_path / "own").read_bytes() == far.data
    assert far.contents(asked) == [0, *following]
    assert far.mount.read_bytes("a.bin", 5, 15 * MIB) == far.data[5 : 15 * MIB]


def test_a_connection_that_breaks_is_replaced_where_it_was(far, engine, filled):
    for target in ("disk:b.bin", "ram:b.bin"):
        far.break_one()
        with far.proxy.counting() as asked:
            far.node.copy_to(target)
        far.proxy.gate = None
        assert far.storage.node(target).read_bytes() == far.data
        starts = far.contents(asked)
        if engine[1] == "auto":
            assert len(starts) == 2 and 0 < starts[1] < SIZE
        else:
            assert starts == [0, 4 * MIB, 4 * MIB, *range(8 * MIB, SIZE, 4 * MIB)]
    assert filled == [SIZE, None]


def test_a_connection_that_breaks_in_the_middle_costs_what_was_lost(far, engine):
    with far.proxy.counting() as asked, far.mount.open_whole("a.bin") as stream:
        begun = stream.read(MIB)
        while begun != far.data and (more := stream.read(1_000_001)):
            begun += more
            if 5 * MIB < len(begun) < 7 * MIB and far.proxy.faults is None:
                far.proxy.faults = Once("reset_before")
    assert begun == far.data
    starts = far.contents(asked)
    assert starts == sorted(starts)


def test_what_obstore_gives_up_in_the_middle_is_read_by_the_sdk(far, filled, tmp_path, monkeypatch):
    following, steps = Body.next, itertools.count(1)

    def failing(body):
        if next(steps) % 3 == 0:
            raise Unfit("obstore has failed")
        return following(body)

    monkeypatch.setattr(Body, "next", failing)
    assert far.node.read_bytes() == far.data
    far.mount.download("a.bin", tmp_path / "own")
    assert (tmp_path / "own").read_bytes() == far.data
    far.node.copy_to("disk:b.bin")
    assert (tmp_path / "b.bin").read_bytes() == far.data
    with far.mount.open_whole("a.bin") as stream:
        assert b"".join(iter(lambda: stream.read(100_001), b"")) == far.data
    asked = next(steps) > 1
    assert filled == [None if asked else SIZE]


def test_more_connections_come_where_one_is_slow(far, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_LOOK", 0.05)
    monkeypatch.setattr(downloads, "_SOON", 0.0)
    monkeypatch.setattr(downloads, "_WORTH", MIB)
    far.proxy.speed = 40.0 * MIB
    with far.proxy.counting() as asked:
        far.node.copy_to("disk:b.bin")
    assert (tmp_path / "b.bin").read_bytes() == far.data
    starts = far.contents(asked)
    assert len(starts) > 1
    assert SIZE // 2 - 2 * MIB < max(starts) < SIZE


def test_whoever_reads_a_stream_of_the_whole_may_go_anywhere(far):
    data = far.data
    with far.mount.open_whole("a.bin") as stream:
        parts = [stream.read(100), stream.read(5 * MIB)]
        stream.seek(5)
        parts.append(stream.read(10))
        stream.seek(-7, os.SEEK_END)
        parts.append(stream.read())
        stream.seek(0)
        assert stream.read() == data
    assert parts == [data[:100], data[100 : 100 + 5 * MIB], data[5:15], data[-7:]]


def test_one_content_is_never_mixed_with_another(far):
    other = os.urandom(SIZE)
    with far.mount.open_whole("a.bin") as stream:
        stream.read(MIB)
        far.node.write_bytes(other)
        stream.seek(SIZE - MIB)
        with pytest.raises(StorageIOError, match="replaced"):
            stream.read(MIB)
    with far.mount.open_whole("a.bin") as stream:
        assert stream.read() == other


def test_a_copy_that_is_replaced_in_the_middle_leaves_its_target(far, tmp_path):
    """Where going on would bring another content."""
    (tmp_path / "b.bin").write_bytes(b"before")
    other = os.urandom(SIZE)

    far.break_one(lambda: far.direct.write_bytes(other))
    with pytest.raises(StorageIOError, match="replaced"):
        far.node.copy_to("disk:b.bin")
    assert (tmp_path / "b.bin").read_bytes() == b"before"


def test_what_an_interrupt_has_taken_away_is_asked_for_again(far, engine):
    """It may come when the bytes have arrived, and before the reader has noted them."""
    pieces = [0] if engine[1] == "auto" else list(range(0, SIZE, 4 * MIB))
    with far.mount.backend.open_whole("a.bin") as stream:
        whole = stream._stream
        lost = whole._onward.next(0, SIZE, whole._pin)
        assert lost and far.data.startswith(lost)
        with far.proxy.counting() as asked:
            assert stream.read() == far.data
    assert far.contents(asked) == pieces


class Answered:
    """An answer with these bytes, which begin somewhere."""

    etag = "e"

    def __init__(self, data, start):
        self.start, self.stop = start, start + len(data)
        self.left = [data]
        self.is_closed = False

    def next(self):
        return self.left.pop() if self.left else b""

    def close(self):
        self.is_closed = True


def test_an_answer_that_begins_elsewhere_is_never_given_out():
    given = []

    def again(start, stop, pin):
        given.append(Answered(b"defg", 3))
        return given[-1]

    onward = Onward(again, Bounds(retries=0), Answered(b"abc", 0))
    with pytest.raises(Unfit):
        onward.next(1, 7, "e")
    assert [each.is_closed for each in given] == [True]
    assert not onward.is_open
    assert onward.next(3, 7, "e") == b"defg"


@pytest.mark.parametrize("name", ["nothing", ""])
def test_what_is_no_file_is_called_so(far, name):
    with pytest.raises((FileNotFoundError, IsADirectoryError)):
        far.mount.open_whole(name)


def test_an_empty_file_is_empty_also_to_who_expects_much(far):
    far.node.write_bytes(b"")
    with far.mount.open_whole("a.bin") as stream:
        assert stream.read() == b""


def test_who_leaves_an_answer_does_not_read_it_to_its_end(far, engine):
    before = far.proxy.passed
    with far.mount.open_whole("a.bin") as stream:
        stream.read(10)
    # The rest is in queues on the way at most.
    assert far.node.exists
    assert far.proxy.passed - before < SIZE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_stream_goes_on_in_a_forked_process_and_in_its_parent(far, tmp_path):
    with far.mount.open_whole("a.bin") as stream:
        begun = stream.read(MIB)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            try:
                (tmp_path / "theirs").write_bytes(stream.read())
            finally:
                os._exit(0)
        rest = stream.read()
        os.waitpid(child, 0)
    assert begun + rest == far.data
    assert (tmp_path / "theirs").read_bytes() == far.data[MIB:]
