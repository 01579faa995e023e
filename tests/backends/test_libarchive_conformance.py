"""Archives that libarchive reads keep the contract of a backend; the system's tools make them."""

from __future__ import annotations

import subprocess

import pytest

from genro_storage.testing import BackendConformance, Ground
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.reading import ReadingConformance
from tests.services.base import find_program, skip_or_fail

_EMPTY = {}


class ReadLibarchive(Ground):
    """The archive is made anew, by its usual program, for each file that a test puts there."""

    suffix = ""
    #: What bsdtar calls the format.
    layout = ""

    @pytest.fixture
    def archive(self, tmp_path):
        if find_program("bsdtar") is None:
            skip_or_fail("bsdtar is missing; install it with: apt install libarchive-tools")
        self.content = tmp_path / "content"
        self.content.mkdir()
        self.archive = tmp_path / f"archive.{self.suffix}"
        # Most tests begin with nothing, which need not be packed each time.
        if self.suffix not in _EMPTY:
            self._pack()
            _EMPTY[self.suffix] = self.archive.read_bytes()
        self.archive.write_bytes(_EMPTY[self.suffix])
        return self.archive

    @pytest.fixture
    def mount_config(self, archive):
        return {"type": "libarchive", "file": str(archive)}

    def put(self, node, data):
        path = self.content / node._mount.prefix / node.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._pack()
        return node

    def _pack(self):
        temporary = self.archive.with_name("new")
        command = ["bsdtar", "-c", f"--format={self.layout}", "-f", str(temporary), "."]
        subprocess.run(command, cwd=self.content, check=True, capture_output=True)
        temporary.replace(self.archive)


class TestLibarchive7z(ReadLibarchive, BackendConformance):
    suffix, layout = "7z", "7zip"


@pytest.mark.slow
class TestLibarchiveIso(ReadLibarchive, ReadingConformance, ListingConformance):
    suffix, layout = "iso", "iso9660"
