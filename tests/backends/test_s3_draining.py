"""Large files that go from a bucket into a local file: how many requests, and whose fault it was."""

from __future__ import annotations

import os
import resource
import signal
import sys

import pytest

from genro_storage import StorageFullError, StorageManager
from genro_storage.draining import DescriptorSink, TargetFailedError
from tests.services.proxy import Proxy
from tests.support.s3_places import MIB, at, mounted

from .test_s3_engine import _copied, serving

SIZE = 9 * MIB

services = pytest.mark.services


@pytest.fixture
def copying(moto_server, tmp_path):
    """A large file on the server, and a disk; all requests are counted."""
    with Proxy(moto_server.port) as proxy, StorageManager() as storage:
        config = {**moto_server.mount(), "endpoint_url": proxy.url}
        storage.configure([
            {"name": "store", **config},
            {"name": "disk", "type": "local", "path": str(tmp_path)},
            {"name": "ram", "type": "memory"},
        ])  # fmt: skip
        data = os.urandom(SIZE)
        storage.node("store:a.bin").write_bytes(data, mtime=1_600_000_000.5)
        yield storage, data, proxy


@services
@pytest.mark.parametrize(("target", "drains"), [("disk:b.bin", True), ("ram:b.bin", False)])
def test_a_large_copy_is_one_request_for_the_content(copying, filled, target, drains):
    storage, data, proxy = copying
    with proxy.counting() as asked:
        storage.node("store:a.bin").copy_to(target)
    assert storage.node(target).read_bytes() == data
    assert storage.node(target).mtime == 1_600_000_000.5
    assert [each.method for each in asked].count("GET") == 1
    assert filled == [SIZE if drains else None]


@services
def test_a_file_that_is_there_is_replaced_whole_and_keeps_its_mode(copying, tmp_path, filled):
    storage, data, _ = copying
    (tmp_path / "b.bin").write_bytes(b"before" * 3 * MIB)
    (tmp_path / "b.bin").chmod(0o640)
    storage.node("store:a.bin").copy_to("disk:b.bin")
    assert (tmp_path / "b.bin").read_bytes() == data
    assert (tmp_path / "b.bin").stat().st_mode & 0o777 == 0o640
    assert filled == [SIZE]


@services
@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind")
def test_a_full_disk_is_the_disks_fault_and_changes_nothing(copying, tmp_path):
    storage, _, _ = copying
    (tmp_path / "b.bin").write_bytes(b"before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, before[1]))
    try:
        with pytest.raises(StorageFullError, match=r"^disk:b\.bin: .*\(writing\)") as caught:
            storage.node("store:a.bin").copy_to("disk:b.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert caught.value.node == "disk:b.bin"
    assert [each.name for each in tmp_path.iterdir()] == ["b.bin"]
    assert (tmp_path / "b.bin").read_bytes() == b"before"


@services
def test_what_obstore_gives_up_in_the_middle_is_read_by_the_sdk(tmp_path, filled):
    """Its stream breaks, and the server answers the range that goes on with the whole."""
    data = os.urandom(20 * MIB)
    with (
        serving(data, longest=9 * MIB, deaf=(2,)) as server,
        mounted(at(server.url, retries=2)) as node,
    ):
        assert _copied(node, tmp_path / "got") == data
        assert len(server.asked) > 2
    assert filled == [None]


@services
def test_whoever_reads_a_stream_of_the_whole_may_go_anywhere(copying):
    storage, data, proxy = copying
    mount = storage.node("store:")._mount
    with proxy.counting() as asked, mount.open_whole("a.bin") as stream:
        parts = [stream.read(100), stream.read(5 * MIB)]
        stream.seek(5)
        parts.append(stream.read(10))
        stream.seek(0)
        assert stream.read() == data
    assert parts == [data[:100], data[100 : 100 + 5 * MIB], data[5:15]]
    assert [each.method for each in asked].count("GET") > 1


# -- the sink ---------------------------------------------------------------------------------


def test_whoever_comes_late_writes_nowhere(tmp_path):
    with (tmp_path / "a").open("w+b", buffering=0) as file:
        with DescriptorSink(file.fileno()) as sink:
            sink.write(3, b"def")
            sink.write(0, b"abc")
            assert (sink.read(1, 9), sink.size()) == (b"bcdef", 6)
        with (tmp_path / "b").open("wb") as other:  # has the number that is free again
            with pytest.raises(ValueError, match="over"):
                sink.write(0, b"late")
            with pytest.raises(ValueError, match="over"):
                sink.read(0, 1)
            assert os.fstat(other.fileno()).st_size == 0
    assert (tmp_path / "a").read_bytes() == b"abcdef"


def test_what_fails_in_the_target_is_no_error_of_the_network(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with (tmp_path / "a").open("rb") as file, DescriptorSink(file.fileno()) as sink:
        with pytest.raises(TargetFailedError) as caught:
            sink.write(0, b"y")
        assert isinstance(caught.value.error, OSError)
        assert not isinstance(caught.value, OSError)
