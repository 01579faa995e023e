"""Buckets keep the contract of a backend."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.capability import CapabilityConformance
from genro_storage.testing.errors import ErrorConformance
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.processes import ProcessConformance
from genro_storage.testing.reading import ReadingConformance
from genro_storage.testing.writing import WritingConformance

pytestmark = pytest.mark.services


class TestMoto(BackendConformance):
    # moto's routes end at the end of a line; S3 itself takes such keys (test_s3_listing.py).
    refused_names = frozenset({"line\nbreak.txt"})
    keeps_versions = False

    @pytest.fixture
    def mount_config(self, s3_mount):
        return s3_mount


class TestMotoVersioned(ReadingConformance, WritingConformance, CapabilityConformance):
    """What a bucket that keeps versions could make different."""

    @pytest.fixture
    def mount_config(self, moto_server):
        return moto_server.mount(bucket=moto_server.versioned_bucket())


class TestMotoSdk(ReadingConformance, WritingConformance, ErrorConformance, ProcessConformance):
    """Single files by the SDK alone; the rest is the same code on both engines."""

    kills = 3

    @pytest.fixture(params=["plain"])
    def root(self, storage):
        return storage.node("mine:")

    @pytest.fixture
    def mount_config(self, s3_mount):
        return {**s3_mount, "engine": "fsspec"}


class TestRclone(ReadingConformance, ListingConformance, CapabilityConformance):
    """What rclone can show of the contract, with signatures that are checked.

    It ignores the condition of an exclusive creation, and shows parts of a file that is being
    replaced, so that the rest is left to moto. It knows no tags.
    """

    keeps_versions = False

    @pytest.fixture
    def mount_config(self, rclone_s3):
        return {**rclone_s3.mount(), "disable_tagging": True}
