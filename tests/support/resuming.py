"""Copies of large files that are interrupted and run again, counted at a proxy."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genro_storage.transfer.execution.execute import CopyResult, Transfer
from genro_storage.transfer.place import Place
from genro_storage.transfer.terms import Terms
from tests.services.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genro_storage import StorageManager

__all__ = ["MIB", "Ground", "content", "copy"]

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
#: Bytes a second: so that the end does not come before the interruption.
_SPEED = 128 * MIB

_RUN = """
import json, sys
from genro_storage import StorageManager
from tests.support.resuming import copy
with StorageManager() as storage:
    storage.configure(json.loads(sys.argv[1]))
    copy(storage, *sys.argv[2:])
print("copied")
"""


def content(size: int, seed: int = 0) -> bytes:
    """So many bytes, of which no two parts are alike; the same in every process."""
    return random.Random(seed).randbytes(size)


def copy(storage: StorageManager, source: str, target: str, **options: Any) -> CopyResult:
    """Copy one file, resuming."""
    origin, place = (
        Place(storage.node(each)._mount, storage.node(each).path) for each in (source, target)
    )
    info = origin.mount.stat(origin.path)
    return Transfer(origin, place, terms=Terms(resume=True, **options)).copy(info, place.path)


class Ground(NamedTuple):
    """``far`` is behind the proxy, ``direct`` the same without it, ``disk`` a local mount."""

    storage: StorageManager
    proxy: Proxy
    mounts: list[dict[str, Any]]
    state: Path
    disk: Path

    def node(self, place: str) -> Any:
        return self.storage.node(place)

    @property
    def entries(self) -> list[Path]:
        """What interrupted copies have noted."""
        folder = self.state / "transfers"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    @property
    def hidden(self) -> list[str]:
        """What lies in the local mount that listings do not show."""
        return sorted(name for name in os.listdir(self.disk) if name.startswith("."))

    @contextmanager
    def middle(self, count: int) -> Iterator[threading.Event]:
        """An event that is set when so many bytes have passed the proxy, which is slow meanwhile."""
        event = threading.Event()
        self.proxy.speed = _SPEED
        self.proxy.after(count, event.set)
        yield event
        self.proxy.speed = None

    def kill(self, source: str, target: str, count: int) -> int:
        """Copy in a process that is killed when so many bytes have passed; how many have, at last."""
        before = self.proxy.passed
        with self.middle(count) as middle:
            process = self._start(source, target)
            try:
                assert middle.wait(60), "the copy did not come to its middle"
            finally:
                process.send_signal(signal.SIGKILL)
                said, errors = process.communicate()
        assert said == b"", "it was to be killed in the middle"
        assert process.returncode == -signal.SIGKILL, errors.decode()
        return self.proxy.passed - before

    def run(self, source: str, target: str) -> int:
        """Copy in a process of its own; how many bytes have passed."""
        before = self.proxy.passed
        process = self._start(source, target)
        said, errors = process.communicate()
        assert said == b"copied\n", errors.decode()
        assert process.returncode == 0
        return self.proxy.passed - before

    def _start(self, source: str, target: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _RUN, json.dumps(self.mounts), source, target]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def interrupt(self, source: str, target: str, count: int, **options: Any) -> None:
        """Copy, and press Control-C when so many bytes have passed."""
        self.proxy.speed = _SPEED
        self.proxy.after(count, lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            copy(self.storage, source, target, **options)
        except KeyboardInterrupt:
            return
        finally:
            self.proxy.speed = None
        raise AssertionError("it was to be interrupted in the middle")
