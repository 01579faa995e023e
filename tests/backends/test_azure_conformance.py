"""Containers of Azure Blob Storage keep the contract of a backend."""

from __future__ import annotations

from typing import ClassVar

import pytest

from genro_storage.testing import BackendConformance

pytestmark = pytest.mark.services


class TestAzure(BackendConformance):
    #: Azurite declares none; of an account, it would have to be switched on.
    keeps_versions: ClassVar[bool] = False
    refused_names: ClassVar[frozenset[str]] = frozenset(
        {"a\\b.txt", "trailing dot.", "...", "line\nbreak.txt", "tab\there.txt"}
    )

    @pytest.fixture
    def mount_config(self, azure_mount):
        return azure_mount
