"""fsspec's local filesystem keeps the contract of a backend."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance


class TestFsspecLocal(BackendConformance):
    @pytest.fixture
    def mount_config(self, tmp_path):
        root = tmp_path / "root"
        root.mkdir()
        return {"type": "fsspec", "filesystem": "file", "path": str(root)}
