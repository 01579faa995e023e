"""Files of which the system does not say the size arrive whole on every kind of storage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genro_storage import StorageManager
from genro_storage.exceptions import StorageError
from tests.services.interrupted import within
from tests.support.peers import PEERS, WRITABLE

#: What says that it is empty, and what says that it is as long as a page; both stay the same.
_UNTOLD = [
    Path("/proc/version"),
    Path("/proc/kallsyms"),  # more than a write holds in memory
    Path("/sys/kernel/mm/transparent_hugepage/enabled"),
]


def _mounts(storage, peer, request, tmp_path):
    storage.add_mount({"name": "target", **PEERS[peer].target(request, tmp_path)})
    storage.add_mount({"name": "system", "type": "local", "path": "/"})


@pytest.fixture(params=_UNTOLD, ids=lambda path: path.name)
def untold(request):
    path = request.param
    if not path.is_file() or path.stat().st_size == len(path.read_bytes()):
        pytest.skip(f"{path} is not there, or says its size")
    return path


@pytest.mark.services
@pytest.mark.parametrize("peer", WRITABLE)
def test_what_does_not_say_its_size_arrives_whole(peer, untold, request, tmp_path):
    with StorageManager() as storage:
        _mounts(storage, peer, request, tmp_path)
        copied, uploaded = storage.node("target:d/copied"), storage.node("target:d/uploaded")
        storage.node("system", str(untold)[1:]).copy_to(copied)
        assert copied.read_bytes() == untold.read_bytes()
        uploaded._mount.upload(untold, uploaded._path)
        assert uploaded.read_bytes() == untold.read_bytes()
        assert uploaded.size == len(untold.read_bytes())


@pytest.mark.parametrize("peer", ["local", "memory", "fsspec", "zip", "tar"])
@pytest.mark.parametrize("size", [0, 1, 4096, 65_536, 65_537])
def test_what_is_nowhere_on_a_disk_and_says_its_size_arrives_too(peer, size, request, tmp_path):
    hole = tmp_path / "hole"
    with hole.open("wb") as file:
        file.truncate(size)
    with StorageManager() as storage:
        _mounts(storage, peer, request, tmp_path)
        storage.node("system", str(hole)[1:]).copy_to(storage.node("target:a"))
        assert storage.node("target:a").read_bytes() == bytes(size)


@pytest.mark.parametrize("peer", ["local", "memory", "fsspec", "zip", "tar"])
def test_a_pipe_is_refused_and_not_waited_for(peer, request, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with StorageManager() as storage:
        _mounts(storage, peer, request, tmp_path)
        with pytest.raises(StorageError, match="not a regular file"), within(20):
            storage.node("system", str(tmp_path / "pipe")[1:]).copy_to(storage.node("target:a"))
        assert not storage.node("target:a").exists
