"""Buckets keep the contract of a backend."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.capability import CapabilityConformance
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.reading import ReadingConformance

pytestmark = pytest.mark.services


class TestMoto(BackendConformance):
    # moto's routes end at the end of a line; S3 itself takes such keys (test_s3_listing.py).
    refused_names = frozenset({"line\nbreak.txt"})

    @pytest.fixture
    def mount_config(self, s3_mount):
        return s3_mount


class TestRclone(ReadingConformance, ListingConformance, CapabilityConformance):
    """What rclone can show of the contract, with signatures that are checked.

    It ignores the condition of an exclusive creation, and shows parts of a file that is being
    replaced, so that the rest is left to moto.
    """

    @pytest.fixture
    def mount_config(self, rclone_s3):
        return rclone_s3.mount()
