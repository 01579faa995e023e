"""A server process of the tests: started on a free loopback port, stopped by its own process id.

A module of this package describes one kind of server by a subclass of ``Service``, and has
fixtures that start it once in a test process. Environment variables lead the same tests to a
server elsewhere (``docker compose up``, a real account): see ``elsewhere``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Service",
    "elsewhere",
    "find_program",
    "free_port",
    "running",
    "skip_or_fail",
    "stop_still",
]

#: Seconds within which a server must answer after its start, on a busy machine.
PATIENCE = 60.0
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")

S = TypeVar("S", bound="Service")


_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that is given only once.

    Not one that the system gives away by itself: before the server has it, one of the many
    connections of the tests could.
    """
    first, last = 10_240, 32_767
    with contextlib.suppress(OSError):
        ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        last = max(first + 1_000, int(ephemeral.split()[0]) - 1)
    while True:
        port = random.SystemRandom().randint(first, last)
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port


def find_program(name: str) -> str | None:
    """A program of this environment, of PATH, or of the directories that only root has there."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join((beside, os.environ.get("PATH", ""), *_SBIN)))


def skip_or_fail(reason: str) -> None:
    """Skip the test, saying what to install; fail where the machine must have every server."""
    if os.environ.get("GENRO_STORAGE_REQUIRE_SERVICES"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def elsewhere(kind: str) -> dict[str, Any] | None:
    """The mount of ``GENRO_STORAGE_TEST_<KIND>``, a JSON object, that the tests are to use instead.

    They work below a directory of their own in it. What needs to stop the server is skipped then.
    """
    text = os.environ.get(f"GENRO_STORAGE_TEST_{kind.upper()}")
    if not text:
        return None
    found = json.loads(text)
    assert isinstance(found, dict), f"GENRO_STORAGE_TEST_{kind.upper()} must be a JSON object"
    return found


def _end_with_parent() -> None:
    """Also where the tests are killed no server may stay behind (Linux: PR_SET_PDEATHSIG)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def stop_still(*processes: int) -> None:
    """Stop these processes, and wait until they stand still: until then they could answer.

    Where the system does not show the states of threads (not Linux), it is not waited for.
    """
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        while _runs(process):
            assert time.monotonic() < deadline, f"process {process} does not stop"
            time.sleep(0.001)


def _runs(process: int) -> bool:
    """Whether any thread of it may still do something."""
    for state in Path(f"/proc/{process}/task").glob("*/stat"):
        # A thread that has just ended has no state any more.
        with contextlib.suppress(OSError):
            if state.read_text().rpartition(")")[2].split()[0] not in "TtZX":
                return True
    return False


class Service:
    """One server. A subclass says what it needs, how it is configured and its command line.

    ``directory`` belongs to the server: its configuration, its log, its data. ``start`` after
    ``stop`` or ``kill`` uses the same port and the same data again.
    """

    #: What people call it, for messages.
    name: ClassVar[str]
    #: The command that installs it.
    install: ClassVar[str]

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared = False

    # -- for subclasses -----------------------------------------------------------------------

    @classmethod
    def missing(cls) -> str | None:
        """What is missing on this machine, None where the server can run."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write configuration and keys into ``directory``; once."""

    def command(self) -> list[str]:
        """The command line of a server that stays in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The server's environment."""
        return {**os.environ, "LC_ALL": "C.UTF-8"}

    def is_ready(self) -> bool:
        """Whether it answers; by default whether it accepts connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def populate(self) -> None:
        """What a client must do after each start before tests can work (make a bucket)."""

    # -- life ---------------------------------------------------------------------------------

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "log.txt"

    def start(self) -> Self:
        """Start, and wait until it answers."""
        assert self._process is None, f"{self.name} runs already"
        if not self._prepared:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self._prepared = True
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.directory,
                # One system call between fork and exec, which takes no lock.
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not start; its log ends with:\n{said}")
            time.sleep(0.01)
        self.populate()
        return self

    def stop(self) -> None:
        """End it as an administrator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Accepts connections (the system does) and never answers, for the block."""
        stop_still(self.pid)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


def running(kind: type[S], factory: pytest.TempPathFactory) -> Iterator[S]:
    """The body of a fixture: a started service, stopped in the end; skips where it is missing."""
    reason = kind.missing()
    if reason is not None:
        skip_or_fail(f"{kind.name}: {reason}; install it with: {kind.install}")
    service = kind(factory.mktemp(kind.__name__.lower()))
    service.start()
    try:
        yield service
    finally:
        service.stop()
