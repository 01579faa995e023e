"""Links and names of local files, through both backends that write them."""

from __future__ import annotations

import errno
import os

import pytest

from genro_storage.backends.local import LocalBackend
from tests.support.fsspec_backends import local, names


@pytest.fixture(params=[LocalBackend, local], ids=["local", "fsspec"])
def backend(request, tmp_path):
    return request.param(tmp_path)


def no_hard_links(*arguments, **options):
    raise OSError(errno.EPERM, "no hard links here")


def test_an_exclusive_write_works_without_hard_links(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", no_hard_links)
    monkeypatch.setattr("genro_storage.backends.local_write._CAN_LINK", False)
    backend.write_bytes("f", b"first", if_absent=True)
    with pytest.raises(FileExistsError):
        backend.write_bytes("f", b"second", if_absent=True)
    handle = backend.open_write("g", if_absent=True)
    handle.write(b"late")
    (tmp_path / "g").write_bytes(b"taken meanwhile")
    with pytest.raises(FileExistsError):
        handle.close()
    assert names(backend) == ["f", "g"] == sorted(os.listdir(tmp_path))
    assert backend.read_bytes("f") == b"first"
    assert backend.read_bytes("g") == b"taken meanwhile"


@pytest.mark.parametrize("path", ["out", "out/secret", "leak"])
def test_what_leads_out_of_the_root_is_refused(backend, tmp_path, path):
    (tmp_path / "out").symlink_to(tmp_path.parent)
    (tmp_path / "leak").symlink_to(tmp_path.parent / "secret")
    with pytest.raises(PermissionError):
        backend.write_bytes(path, b"x")
    with pytest.raises(PermissionError):
        list(backend.scan("out"))
    assert not (tmp_path.parent / "secret").exists()
