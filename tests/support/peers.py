"""One place on each kind of storage, to copy from and to: real servers, made by their fixtures.

``Peer.target`` gives an empty place to write to; ``Peer.mount_source`` mounts a place that holds
these files, put there past the mount where that can only be read.
"""

from __future__ import annotations

import io
import secrets
import subprocess
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genro_storage import StorageManager
from tests.services.base import find_program, skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["PEERS", "READABLE", "WRITABLE", "Files", "Peer"]

Files = Mapping[str, bytes]
#: The names that each kind cannot hold, of those in the tree that is copied.
_WINDOWS = frozenset('\\:*?"<>|\n\t')


def _everything(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Peer:
    """A kind of storage. ``holds`` says whether it can hold a name."""

    target: Callable[[pytest.FixtureRequest, Path], dict[str, Any]] | None = None
    fill: Callable[[pytest.FixtureRequest, Path, Files], dict[str, Any]] | None = None
    holds: Callable[[str], bool] = _everything

    def mount_source(
        self, storage: StorageManager, request: pytest.FixtureRequest, here: Path, files: Files
    ) -> str:
        """Mount as ``source`` what holds ``files``; the directory that they are in."""
        if self.fill is not None:
            storage.add_mount({"name": "source", **self.fill(request, here, files)})
            return ""
        assert self.target is not None
        storage.add_mount({"name": "source", **self.target(request, here)})
        for path, data in files.items():
            storage.node("source", "from", path).write_bytes(data)
        # A fixture gives a test one place, which may be the target's as well.
        return "from"


def _fresh(here: Path) -> Path:
    made = here / secrets.token_hex(6)
    made.mkdir()
    return made


def _write_below(root: Path, files: Files) -> None:
    for path, data in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


# -- this machine ---------------------------------------------------------------------------------


def _local(request: pytest.FixtureRequest, here: Path) -> dict[str, Any]:
    return {"type": "local", "path": str(_fresh(here))}


def _memory(request: pytest.FixtureRequest, here: Path) -> dict[str, Any]:
    return {"type": "memory"}


def _fsspec(request: pytest.FixtureRequest, here: Path) -> dict[str, Any]:
    return {"type": "fsspec", "filesystem": "memory", "path": f"/{secrets.token_hex(6)}"}


def _zip(request: pytest.FixtureRequest, here: Path) -> dict[str, Any]:
    return {"type": "zip", "file": str(_fresh(here) / "archive.zip"), "mode": "a"}


def _filled_zip(request: pytest.FixtureRequest, here: Path, files: Files) -> dict[str, Any]:
    path = _fresh(here) / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return {"type": "zip", "file": str(path), "mode": "r"}


def _tar(request: pytest.FixtureRequest, here: Path) -> dict[str, Any]:
    return {"type": "tar", "file": str(_fresh(here) / "archive.tar.gz"), "create": True}


def _filled_tar(request: pytest.FixtureRequest, here: Path, files: Files) -> dict[str, Any]:
    path = _fresh(here) / "archive.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return {"type": "tar", "file": str(path)}


def _filled_7z(request: pytest.FixtureRequest, here: Path, files: Files) -> dict[str, Any]:
    if find_program("bsdtar") is None:
        skip_or_fail("bsdtar is missing; install it with: apt-get install libarchive-tools")
    work = _fresh(here)
    _write_below(work / "content", files)
    command = ["bsdtar", "-c", "--format=7zip", "-f", str(work / "archive.7z"), "."]
    subprocess.run(command, cwd=work / "content", check=True, capture_output=True)
    return {"type": "libarchive", "file": str(work / "archive.7z")}


def _filled_git(request: pytest.FixtureRequest, here: Path, files: Files) -> dict[str, Any]:
    from tests.support.git_repositories import commit, make_repository

    path = _fresh(here) / "repository"
    repository = make_repository(path, bare=True)
    commit(repository, dict(files))
    repository.free()
    return {"type": "git", "path": str(path)}


# -- servers --------------------------------------------------------------------------------------


def _mount_of(fixture: str) -> Callable[[pytest.FixtureRequest, Path], dict[str, Any]]:
    """A fixture that is the mount of a fresh place."""
    return lambda request, here: dict(request.getfixturevalue(fixture))


def _filled_http(request: pytest.FixtureRequest, here: Path, files: Files) -> dict[str, Any]:
    server = request.getfixturevalue("nginx")
    directory = server.fresh()
    _write_below(directory, files)
    url = f"http://127.0.0.1:{server.port}/html/{directory.name}"
    return {"type": "http", "base_url": url, "listing": True}


def _filled_github(request: pytest.FixtureRequest, here: Path, files: Files) -> dict[str, Any]:
    from tests.services.github import ORG, TOKEN
    from tests.support.git_repositories import commit

    server = request.getfixturevalue("github")
    name, repository = server.new_repository()
    commit(repository, dict(files))
    repository.free()
    return {"type": "github", "org": ORG, "repo": name, "base_url": server.url, "token": TOKEN}


def _holds_what_windows_does(name: str) -> bool:
    return name != "CON" and name[-1] not in ". " and not set(name) & _WINDOWS


def _without(*refused: str) -> Callable[[str], bool]:
    return lambda name: name not in refused


PEERS: dict[str, Peer] = {
    "local": Peer(_local),
    "memory": Peer(_memory),
    "fsspec": Peer(_fsspec),
    "s3": Peer(_mount_of("s3_mount"), holds=_without("line\nbreak.txt")),
    "gcs": Peer(_mount_of("gcs_mount"), holds=_without("line\nbreak.txt")),
    "azure": Peer(
        _mount_of("azure_mount"),
        holds=_without("a\\b.txt", "trailing dot.", "...", "line\nbreak.txt", "tab\there.txt"),
    ),
    "sftp": Peer(_mount_of("sftp_place")),
    "smb": Peer(_mount_of("smb_place"), holds=_holds_what_windows_does),
    "webdav": Peer(_mount_of("webdav_place")),
    "zip": Peer(_zip, _filled_zip),
    "tar": Peer(_tar, _filled_tar),
    # It composes names (NFC), so that two forms of one name would be one file.
    "libarchive": Peer(fill=_filled_7z, holds=lambda name: unicodedata.is_normalized("NFC", name)),
    "git": Peer(fill=_filled_git),
    "github": Peer(fill=_filled_github),
    # nginx lists no name that begins with a dot.
    "http": Peer(fill=_filled_http, holds=lambda name: not name.startswith(".")),
}
READABLE = list(PEERS)
WRITABLE = [name for name, peer in PEERS.items() if peer.target is not None]
