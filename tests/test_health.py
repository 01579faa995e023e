"""``manager.check()``: each mount is asked, none can hang or raise."""

from __future__ import annotations

import os
import threading
import time

import pytest

from genro_storage import MountHealth, MountNotFoundError, StorageConfigError, StorageManager
from genro_storage.backends.memory import MemoryBackend, MemoryStore
from genro_storage.health import check_mounts
from genro_storage.mount import Mount


class Failing(MemoryBackend):
    """Answers the question with an error."""

    def __init__(self, error):
        super().__init__(MemoryStore())
        self.error = error

    def check(self):
        raise self.error


def health(backend, timeout=30.0):
    (found,) = check_mounts([Mount("m", backend)], timeout)
    return found


@pytest.mark.parametrize("start", ["mount 'm' (git)", "mount 'm'", "m:"])
def test_a_reason_does_not_repeat_whose_it_is(start):
    node = start if start.endswith(":") else None
    found = health(Failing(StorageConfigError(f"{start}: the mount 'm': x", node=node)))
    assert found.reason == "the mount 'm': x"
    other = "mount 'other' (git): it has no such ref"
    assert health(Failing(StorageConfigError(other))).reason == other


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (PermissionError(13, "check 'password'"), "denied", "check 'password'"),
        (FileNotFoundError(2, "the bucket 'x' does not exist"), "missing", "the bucket 'x'"),
        (ConnectionRefusedError(111, "nobody listens"), "unreachable", "nobody listens"),
        (TimeoutError("10 s"), "unreachable", "10 s"),
        (ImportError("No module named 'x'"), "unusable", "No module"),
        (NotImplementedError("not here"), "unusable", "not here"),
        (ZeroDivisionError("a bug"), "unreachable", "a bug"),
    ],
)
def test_the_kind_of_error_decides_the_state(error, state, reason):
    found = health(Failing(error))
    assert (found.mount, found.state, found.ok) == ("m", state, False)
    assert reason in found.reason
    assert not found.reason.startswith("m:")
    assert found.seconds is not None and found.seconds >= 0


def test_a_mount_that_never_answers_does_not_hold_up_the_others():
    release = threading.Event()

    class Silent(MemoryBackend):
        def check(self):
            release.wait()

    mounts = [Mount("silent", Silent(MemoryStore())), Mount("fine", MemoryBackend(MemoryStore()))]
    started = time.monotonic()
    silent, fine = check_mounts(mounts, 0.3)
    release.set()
    assert time.monotonic() - started < 20
    assert silent == MountHealth("silent", "unreachable", "no answer in 0.3 s")
    assert fine.ok and fine.reason == ""


def test_all_are_asked_at_the_same_time():
    both = threading.Barrier(2, timeout=30)

    class Meeting(MemoryBackend):
        def check(self):
            both.wait()

    mounts = [Mount(name, Meeting(MemoryStore())) for name in "ab"]
    assert all(found.ok for found in check_mounts(mounts, 60))


def test_the_time_is_that_of_the_server_not_of_the_client(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("genro_storage.health.time", clock)

    class SlowToLoad(MemoryBackend):
        loaded = False

        def check(self):
            clock.now += 0.25 if self.loaded else 5
            self.loaded = True

    found = health(SlowToLoad(MemoryStore()))
    assert found.ok and found.seconds == 0.25
    assert health(Failing(ConnectionError())).seconds == 0


@pytest.fixture
def storage(tmp_path):
    (tmp_path / "disk").mkdir()
    manager = StorageManager()
    manager.configure(
        [
            {"name": "disk", "type": "local", "path": str(tmp_path / "disk")},
            {"name": "data", "type": "base64"},
            {"name": "later", "path": "disk:not/yet"},
            {"name": "locked", "path": "disk:not/yet", "permissions": "readonly"},
            {"name": "switched", "type": "local", "path": lambda user: f"/home/{user}"},
        ]
    )
    return manager


def test_check_answers_in_the_order_of_the_mounts(storage):
    found = {each.mount: each for each in storage.check()}
    assert list(found) == storage.get_mount_names()
    assert all(each.ok for each in found.values())
    assert found["locked"].reason == found["later"].reason
    assert found["disk"].reason == found["data"].reason == ""
    assert "first file" in found["later"].reason
    assert "depends on the path" in found["switched"].reason


def test_check_of_some(storage):
    assert [each.mount for each in storage.check("data", "disk")] == ["data", "disk"]
    with pytest.raises(MountNotFoundError, match="nope"):
        storage.check("disk", "nope")


def test_a_directory_that_has_gone_is_missing(storage, tmp_path):
    os.rmdir(tmp_path / "disk")
    (found,) = storage.check("disk")
    assert found.state == "missing"
    (below,) = storage.check("later")
    assert below.state == "missing"


def test_a_function_that_fails_makes_its_mount_unusable():
    def path():
        raise LookupError("nobody is logged in")

    storage = StorageManager()
    storage.add_mount({"name": "mine", "type": "local", "path": path})
    (found,) = storage.check()
    assert found.state == "unusable"
    assert "LookupError" in found.reason and "nobody is logged in" in found.reason
