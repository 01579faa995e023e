"""Containers of Azure Blob Storage keep the contract of a backend."""

from __future__ import annotations

from typing import ClassVar

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.concurrency import ConcurrencyConformance
from genro_storage.testing.errors import ErrorConformance
from genro_storage.testing.ground import Shelf
from genro_storage.testing.names import NameConformance
from genro_storage.testing.processes import ProcessConformance
from genro_storage.testing.reading import ReadingConformance

pytestmark = pytest.mark.services


_REFUSED = frozenset({"a\\b.txt", "trailing dot.", "...", "line\nbreak.txt", "tab\there.txt"})


class TestAzure(BackendConformance):
    """Read by obstore."""

    #: Azurite declares none; of an account, it would have to be switched on.
    keeps_versions: ClassVar[bool] = False
    refused_names: ClassVar[frozenset[str]] = _REFUSED

    @pytest.fixture
    def mount_config(self, azure_mount):
        return azure_mount


class TestAzureSdk(
    ReadingConformance,
    NameConformance,
    ErrorConformance,
    ConcurrencyConformance,
    ProcessConformance,
):
    """What is different where Microsoft's client reads too; without relative and read-only mounts."""

    refused_names: ClassVar[frozenset[str]] = _REFUSED

    @pytest.fixture
    def root(self, storage):
        return storage.node("mine:")

    @pytest.fixture
    def shelf(self, storage):
        return Shelf(self, storage, "mine", "")

    @pytest.fixture
    def mount_config(self, azure_mount):
        return {**azure_mount, "engine": "fsspec"}
