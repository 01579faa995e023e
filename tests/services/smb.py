"""Samba's ``smbd``: three shares, one user, and a directory of its own for each test."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .base import Service, elsewhere, find_program, running, stop_still

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PASSWORD", "Samba", "samba", "smb_place"]

PASSWORD = "correct horse & battery"

_CONFIGURATION = """\
[global]
server role = standalone server
smb ports = {port}
interfaces = lo
bind interfaces only = yes
private dir = {home}/private
passdb backend = tdbsam:{home}/private/passdb.tdb
lock directory = {home}/lock
state directory = {home}/state
cache directory = {home}/cache
pid directory = {home}/pid
ncalrpc dir = {home}/ncalrpc
log file = {home}/log/log.smbd
disable netbios = yes
disable spoolss = yes
load printers = no
printing = bsd
map to guest = never
server min protocol = SMB2
{more}
[share]
path = {home}/data
read only = no
force user = {user}
[locked]
path = {home}/data
read only = yes
force user = {user}
[private]
path = {home}/data
read only = no
valid users = nobody
[dfs]
path = {home}/data
read only = no
force user = {user}
msdfs root = yes
[other]
path = {other}
read only = no
force user = nobody
"""


class Samba(Service):
    """``share`` and ``locked`` (read-only) show one directory; ``private`` lets nobody in.

    ``dfs`` is the same as the root of a distributed file system.
    ``other`` is seen with the rights of the user ``nobody``; a test must make its directory.
    """

    name: ClassVar[str] = "smbd (SMB)"
    install: ClassVar[str] = "apt-get install samba"
    #: Further lines of the global section.
    more: ClassVar[str] = ""

    @classmethod
    def missing(cls) -> str | None:
        for program in ("smbd", "smbpasswd"):
            if find_program(program) is None:
                return f"the program {program} is not installed"
        return None

    @property
    def user(self) -> str:
        """Samba's users must exist on the system."""
        return getpass.getuser()

    @property
    def data(self) -> Path:
        """What the shares show."""
        return self.directory / "data"

    @property
    def other(self) -> Path:
        """Outside of pytest's directories, which other users may not enter."""
        return Path(tempfile.gettempdir()) / f"genro-smb-{self.port}"

    @property
    def _configuration(self) -> Path:
        return self.directory / "smb.conf"

    def prepare(self) -> None:
        directories = (
            "data",
            "other",
            "private",
            "lock",
            "state",
            "cache",
            "pid",
            "log",
            "ncalrpc",
        )
        for name in directories:
            (self.directory / name).mkdir()
        text = _CONFIGURATION.format(
            port=self.port, home=self.directory, other=self.other, user=self.user, more=self.more
        )
        self._configuration.write_text(text)
        subprocess.run(
            [
                str(find_program("smbpasswd")),
                "-c",
                str(self._configuration),
                "-L",
                "-s",
                "-a",
                self.user,
            ],
            input=f"{PASSWORD}\n{PASSWORD}\n".encode(),
            capture_output=True,
            check=True,
        )

    def command(self) -> list[str]:
        # It makes a process group of its own, which it ends with itself: not to be switched off.
        options = ["--foreground", "--debug-stdout"]
        return [str(find_program("smbd")), *options, "-s", str(self._configuration)]

    # Each connection has a process of its own.

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        found: list[int] = []
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{self._process.pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found

    def _signal(self, processes: list[int], number: int) -> None:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def _end(self, number: int) -> None:
        children = self._children()
        self._signal(children, signal.SIGCONT)
        super()._end(number)
        self._signal(children, number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        with super().frozen():
            children = self._children()
            stop_still(*children)
            try:
                yield
            finally:
                self._signal(children, signal.SIGCONT)

    # -- mounts -------------------------------------------------------------------------------

    def mount(self, share: str = "share", **more: Any) -> dict[str, Any]:
        """The mount of a share, without its name."""
        return {
            "type": "smb",
            "host": "127.0.0.1",
            "port": self.port,
            "share": share,
            "username": self.user,
            "password": PASSWORD,
            **more,
        }


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """One server for all tests that do not stop it."""
    yield from running(Samba, tmp_path_factory)


@pytest.fixture
def smb_place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The mount of a fresh empty directory, here or where ``GENRO_STORAGE_TEST_SMB`` says."""
    name = f"test-{uuid.uuid4().hex}"
    far = elsewhere("smb")
    if far is None:
        server: Samba = request.getfixturevalue("samba")
        (server.data / name).mkdir()
        return server.mount(path=name)
    from genro_storage import StorageManager

    with StorageManager() as manager:
        manager.configure([{"name": "far", **far}])
        manager.node("far", name).mkdir(parents=True)
    above = far.get("path") or far.get("base_path") or ""
    below = {key: value for key, value in far.items() if key != "base_path"}
    return {**below, "path": f"{above}/{name}".strip("/")}
