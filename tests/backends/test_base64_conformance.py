"""Inline data keeps the part of the contract that applies to a path that is the content."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance


class TestBase64(BackendConformance):
    @pytest.fixture
    def mount_config(self):
        return {"type": "base64"}
