"""Buckets of Google Cloud Storage keep the contract of a backend."""

from __future__ import annotations

from typing import ClassVar

import pytest

from genro_storage.testing import BackendConformance

pytestmark = pytest.mark.services


class TestGcs(BackendConformance):
    refused_names: ClassVar[frozenset[str]] = frozenset({"line\nbreak.txt"})

    @pytest.fixture
    def mount_config(self, gcs_mount):
        return gcs_mount
