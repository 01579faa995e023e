"""Buckets of Google Cloud Storage keep the contract of a backend."""

from __future__ import annotations

from typing import ClassVar

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.capability import CapabilityConformance
from genro_storage.testing.concurrency import ConcurrencyConformance
from genro_storage.testing.errors import ErrorConformance
from genro_storage.testing.ground import Shelf
from genro_storage.testing.names import NameConformance
from genro_storage.testing.processes import ProcessConformance
from genro_storage.testing.reading import ReadingConformance

pytestmark = pytest.mark.services


class TestGcs(BackendConformance):
    refused_names: ClassVar[frozenset[str]] = frozenset({"line\nbreak.txt"})
    keeps_versions: ClassVar[bool] = False

    @pytest.fixture
    def mount_config(self, gcs_mount):
        return gcs_mount


class TestGcsVersioned(CapabilityConformance):
    """What a bucket that keeps generations can show.

    The emulator deletes the current object whatever generation it is told, and restores one with the
    metadata that it was written with: test_gcs_versions.py looks at the requests instead.
    """

    test_deleting_versions = None
    test_compacting_versions = None
    test_a_version_is_restored_with_the_metadata_that_were_set_for_it = None

    @pytest.fixture(params=["fsspec", "obstore"])
    def mount_config(self, gcs, request):
        return {**gcs.mount(), "bucket": gcs.versioned_bucket(), "engine": request.param}


class TestGcsObstore(
    ReadingConformance,
    NameConformance,
    ErrorConformance,
    ConcurrencyConformance,
    ProcessConformance,
):
    """What is different where obstore reads; without relative and read-only mounts."""

    refused_names: ClassVar[frozenset[str]] = TestGcs.refused_names

    @pytest.fixture
    def root(self, storage):
        return storage.node("mine:")

    @pytest.fixture
    def shelf(self, storage):
        return Shelf(self, storage, "mine", "")

    @pytest.fixture
    def mount_config(self, gcs_mount):
        return {**gcs_mount, "engine": "obstore"}
