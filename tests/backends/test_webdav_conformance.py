"""Collections of WebDAV servers keep the contract of a backend."""

from __future__ import annotations

import secrets

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.concurrency import ConcurrencyConformance
from genro_storage.testing.contract import WriteContractConformance
from genro_storage.testing.errors import ErrorConformance
from genro_storage.testing.ground import Shelf
from genro_storage.testing.writing import WritingConformance

pytestmark = pytest.mark.services


class TestApache(BackendConformance):
    @pytest.fixture
    def mount_config(self, webdav_place):
        return webdav_place


class TestApacheByMoving(
    WritingConformance, WriteContractConformance, ConcurrencyConformance, ErrorConformance
):
    """What is different where uploads take their names by MOVE."""

    @pytest.fixture
    def mount_config(self, apache):
        return apache.mount(secrets.token_hex(8))


class TestWsgidav(BackendConformance):
    """Without relative and read-only mounts, of which a server sees nothing but longer paths."""

    @pytest.fixture
    def root(self, storage):
        return storage.node("mine:")

    @pytest.fixture
    def shelf(self, storage):
        return Shelf(self, storage, "mine", "")

    @pytest.fixture
    def mount_config(self, wsgidav):
        # It answers 500 where a member vanishes between its listing and its description, as the
        # hidden files of uploads do all the time while others write. On a slow machine three
        # attempts may all meet that; during the pauses of seven the others come to their end.
        return {**wsgidav.mount(secrets.token_hex(8)), "retries": 6}
