"""fsspec's memory filesystem keeps the contract of a backend."""

from __future__ import annotations

import uuid

import pytest

from genro_storage.testing import BackendConformance


class TestFsspecMemory(BackendConformance):
    @pytest.fixture
    def mount_config(self):
        # fsspec keeps one memory for the whole process.
        return {"type": "fsspec", "filesystem": "memory", "path": f"/{uuid.uuid4()}"}
