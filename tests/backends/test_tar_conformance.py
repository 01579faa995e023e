"""Tar archives keep the contract of a backend, compressed or not, read or written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import time

import pytest

from genro_storage.backends.archives.inflating import zstd_module
from genro_storage.testing import BackendConformance, Ground
from genro_storage.testing.contract import WriteContractConformance
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.reading import ReadingConformance
from genro_storage.testing.writing import WritingConformance

_COMPRESS = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lambda data: lzma.compress(data, preset=0),
    "tar.zst": lambda data: zstd_module().compress(data),
}


class ReadTar(Ground):
    """The archive is made anew, by Python's own module, for each file that a test puts there."""

    suffix = "tar"

    @pytest.fixture
    def archive(self, tmp_path):
        self.contents = {}
        self.archive = tmp_path / f"archive.{self.suffix}"
        self._pack()
        return self.archive

    @pytest.fixture
    def mount_config(self, archive):
        return {"type": "tar", "file": str(archive)}

    def put(self, node, data):
        self.contents[f"{node._mount.prefix}/{node.path}".lstrip("/")] = data
        self._pack()
        return node

    def _pack(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, data in self.contents.items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), time.time()
                archive.addfile(info, io.BytesIO(data))
        temporary = self.archive.with_suffix(".new")
        temporary.write_bytes(_COMPRESS[self.suffix](packed.getvalue()))
        temporary.replace(self.archive)


class TestTar(ReadTar, BackendConformance):
    pass


class ReadCompressed(ReadTar, ReadingConformance, ListingConformance):
    """Only the bytes on the way differ from the archive above."""


@pytest.mark.slow
class TestTarGz(ReadCompressed):
    suffix = "tar.gz"


@pytest.mark.slow
class TestTarBz2(ReadCompressed):
    suffix = "tar.bz2"


@pytest.mark.slow
class TestTarXz(ReadCompressed):
    suffix = "tar.xz"


@pytest.mark.slow
class TestTarZst(ReadCompressed):
    suffix = "tar.zst"


class TestTarWritten(BackendConformance):
    @pytest.fixture
    def mount_config(self, tmp_path):
        return {"type": "tar", "file": str(tmp_path / "archive.tar"), "create": True}


@pytest.mark.slow
class TestTarGzWritten(WritingConformance, WriteContractConformance):
    @pytest.fixture
    def mount_config(self, tmp_path):
        return {"type": "tar", "file": str(tmp_path / "archive.tgz"), "mode": "a"}
