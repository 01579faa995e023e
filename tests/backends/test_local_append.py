"""Appending to local files: turns are taken, and a failed addition is cut off, not more."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import threading
import time

import pytest

from genro_storage import StorageManager, StorageTimeoutError
from genro_storage.backends import local_append
from genro_storage.backends.local import LocalBackend
from tests.services.interrupted import within
from tests.support.fsspec_backends import local


@pytest.fixture(params=[LocalBackend, local], ids=["local", "fsspec"])
def backend(request, tmp_path):
    return request.param(tmp_path)


def append(backend, data, path="f"):
    with backend.open_write(path, append=True) as handle:
        handle.write(data)


@pytest.fixture
def full_disk():
    """No file can grow over 1000 bytes: the kernel takes a part, then refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_an_append_that_fails_half_way_is_cut_off(backend, tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 600)
    with pytest.raises(OSError) as caught:
        append(backend, b"new" * 200)
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / "f").read_bytes() == b"x" * 600


@pytest.mark.usefixtures("full_disk")
def test_a_failed_append_to_a_new_name_leaves_nothing(backend, tmp_path):
    with pytest.raises(OSError, match="too large"):
        append(backend, b"new" * 1000)
    assert os.listdir(tmp_path) == []


def break_second_write(monkeypatch, meanwhile):
    """The first write takes a part, then ``meanwhile`` runs and the disk is full."""
    real, calls = os.write, []

    def write(descriptor, data):
        calls.append(len(data))
        if len(calls) == 1:
            return real(descriptor, bytes(data)[:2])
        meanwhile()
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize("old", [b"old", None])
def test_a_failed_append_keeps_what_another_program_added(backend, tmp_path, monkeypatch, old):
    if old is not None:
        (tmp_path / "f").write_bytes(old)

    def foreign():
        with (tmp_path / "f").open("ab") as file:
            file.write(b"FOREIGN")

    break_second_write(monkeypatch, foreign)
    with pytest.raises(OSError, match="no space"):
        append(backend, b"new")
    assert (tmp_path / "f").read_bytes() == (old or b"") + b"neFOREIGN"


@pytest.mark.parametrize(("foreign", "left"), [(b"", b"old"), (b"F", b"oldnewF")])
def test_an_interrupted_append_is_cut_off_where_nothing_foreign_follows(
    backend, tmp_path, monkeypatch, foreign, left
):
    """Ctrl-C comes when the bytes are written and their number is not known yet."""
    (tmp_path / "f").write_bytes(b"old")
    real = os.write

    def write(descriptor, data):
        real(descriptor, data)
        with (tmp_path / "f").open("ab") as file:
            file.write(foreign)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(KeyboardInterrupt):
        append(backend, b"new")
    assert (tmp_path / "f").read_bytes() == left


def test_a_lock_of_another_program_is_waited_for_and_not_for_ever(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(local_append, "LOCK_WAIT", 0.2)
    with (tmp_path / "f").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        began = time.monotonic()
        with within(20), pytest.raises(TimeoutError, match="lock"):
            append(backend, b"new")
        assert time.monotonic() - began >= 0.2
        assert (tmp_path / "f").read_bytes() == b""
    append(backend, b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_the_error_about_a_lock_names_the_node_and_what_was_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(local_append, "LOCK_WAIT", 0)
    storage = StorageManager()
    storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
    with (tmp_path / "f").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        handle = storage.node("disk:f").open("ab")
        handle.write(b"new")
        with pytest.raises(StorageTimeoutError, match=r"^disk:f: timed out .*lock \(flock\)"):
            handle.close()


def test_what_is_appended_goes_to_the_file_that_has_the_name_when_its_turn_comes(backend, tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    with (tmp_path / "f").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        appender = threading.Thread(target=append, args=(backend, b"+new"))
        appender.start()
        time.sleep(0.1)
        assert appender.is_alive()
        (tmp_path / "g").write_bytes(b"replaced")
        os.replace(tmp_path / "g", tmp_path / "f")
    appender.join(10)
    assert (tmp_path / "f").read_bytes() == b"replaced+new"
