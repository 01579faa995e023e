"""Servers that speak SFTP keep the contract of a backend."""

from __future__ import annotations

import uuid

import pytest

from genro_storage.testing import BackendConformance

pytestmark = pytest.mark.services


class TestOpenSsh(BackendConformance):
    @pytest.fixture
    def mount_config(self, sshd, tmp_path):
        root = tmp_path / "root"
        root.mkdir()
        return sshd.mount(root)


class TestRclone(BackendConformance):
    @pytest.fixture
    def mount_config(self, rclone_sftp):
        name = uuid.uuid4().hex
        (rclone_sftp.data / name).mkdir()
        return rclone_sftp.mount(f"/{name}")
