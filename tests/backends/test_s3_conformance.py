"""Buckets keep the contract of a backend."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance

pytestmark = pytest.mark.services


class TestMoto(BackendConformance):
    @pytest.fixture
    def mount_config(self, s3_mount):
        return s3_mount


class TestRclone(BackendConformance):
    exclusive_creation = False

    @pytest.fixture
    def mount_config(self, rclone_s3):
        return rclone_s3.mount()
