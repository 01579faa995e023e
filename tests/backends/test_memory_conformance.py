"""The memory of this process keeps the contract of a backend."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance


class TestMemory(BackendConformance):
    @pytest.fixture
    def mount_config(self):
        return {"type": "memory"}
