"""Zip archives keep the contract of a backend, wherever they lie."""

from __future__ import annotations

import time
import zipfile

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.permissions import PermissionConformance
from genro_storage.testing.reading import ReadingConformance


class TestZip(BackendConformance):
    @pytest.fixture
    def mount_config(self, tmp_path):
        return {"type": "zip", "file": str(tmp_path / "archive.zip"), "mode": "a"}


@pytest.mark.slow
class TestZipInMemory(BackendConformance):
    @pytest.fixture
    def holders(self):
        return [{"name": "holder", "type": "memory"}]

    @pytest.fixture
    def mount_config(self):
        return {"type": "zip", "file": "holder:d/archive.zip"}


@pytest.mark.slow
class TestZipReadOnly(ReadingConformance, ListingConformance, PermissionConformance):
    @pytest.fixture
    def archive(self, tmp_path):
        path = tmp_path / "archive.zip"
        zipfile.ZipFile(path, "w").close()
        return path

    @pytest.fixture
    def mount_config(self, archive):
        return {"type": "zip", "file": str(archive), "mode": "r"}

    @pytest.fixture(autouse=True)
    def _remember(self, archive):
        self.archive = archive

    def put(self, node, data):
        name = f"{node._mount.prefix}/{node.path}".lstrip("/")
        with zipfile.ZipFile(self.archive, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(name, time.localtime()[:6]), data)
        return node
