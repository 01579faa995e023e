"""Directories of this machine keep the contract of a backend."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance


class TestLocal(BackendConformance):
    @pytest.fixture
    def mount_config(self, tmp_path):
        root = tmp_path / "root"
        root.mkdir()
        return {"type": "local", "path": str(root)}
