"""Collections of WebDAV servers keep the contract of a backend."""

from __future__ import annotations

import secrets

import pytest

from genro_storage.testing import BackendConformance

pytestmark = pytest.mark.services


class TestApache(BackendConformance):
    """As one would mount it: Apache makes an upload visible when it is complete."""

    @pytest.fixture
    def mount_config(self, apache):
        return {**apache.mount(secrets.token_hex(8)), "commit": "put"}


class TestApacheByMoving(BackendConformance):
    @pytest.fixture
    def mount_config(self, apache):
        return apache.mount(secrets.token_hex(8))


class TestWsgidav(BackendConformance):
    @pytest.fixture
    def mount_config(self, wsgidav):
        return wsgidav.mount(secrets.token_hex(8))
