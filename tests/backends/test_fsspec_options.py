"""From options to a backend: what is opened, what is refused, and what no message shows."""

from __future__ import annotations

import io
import sys

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from genro_storage.backends.context import BuildContext
from genro_storage.backends.fsspec import FsspecOptions, build
from genro_storage.exceptions import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageMissingExtraError,
    StorageNotFoundError,
)


def test_a_zip_file_is_a_read_only_mount(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/f.txt", b"zipped")
        archive.writestr("d/e/", b"")
    options = FsspecOptions(filesystem="zip", options={"fo": str(tmp_path / "a.zip")})
    backend = build(options, BuildContext(mount="z"))
    assert backend.capabilities.readonly
    assert [i.path for i in backend.find("")] == ["d", "d/e", "d/f.txt"]
    assert backend.read_bytes("d/f.txt", 1, 3) == b"ip"
    with backend.open_read("d/f.txt") as one, backend.open_read("d/f.txt") as two:
        assert one.read(3) + two.read() + one.read() == b"zipzippedped"
    with pytest.raises(io.UnsupportedOperation):
        backend.write_bytes("x", b"")
    backend.close()


def test_a_filesystem_is_opened_at_a_root_that_exists_or_is_made(tmp_path):
    context = BuildContext(mount="m")
    missing = FsspecOptions(filesystem="file", path=str(tmp_path / "new"))
    with pytest.raises(StorageNotFoundError, match="create: true"):
        build(missing, context)
    backend = build(missing.model_copy(update={"create": True}), context)
    backend.write_bytes("f", b"x")
    assert (tmp_path / "new/f").read_bytes() == b"x"
    with pytest.raises(StorageConfigError, match="not absolute"):
        build(FsspecOptions(filesystem="file", path="new"), context)
    in_file = BuildContext(mount="m", base=tmp_path)
    assert build(FsspecOptions(filesystem="local", path="new"), in_file).read_bytes("f") == b"x"


def test_no_instance_or_listing_is_shared_through_caches(tmp_path):
    options = FsspecOptions(filesystem="file", path=str(tmp_path))
    one, two = (build(options, BuildContext(mount="m")) for _ in range(2))
    assert one._fs is not two._fs
    assert one._fs.dircache.use_listings_cache is False


def test_an_unknown_filesystem_is_an_error_with_the_nearest_name():
    with pytest.raises(StorageConfigError, match=r"mount 'm' \(fsspec: memry\).*'memory'"):
        build(FsspecOptions(filesystem="memry"), BuildContext(mount="m"))


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    from fsspec.registry import _registry

    monkeypatch.delitem(_registry, "sftp", raising=False)
    with pytest.raises(StorageMissingExtraError, match=r'paramiko.*"genro-storage\[sftp\]"'):
        build(FsspecOptions(filesystem="sftp"), BuildContext(mount="m"))


class Picky(AbstractFileSystem):
    protocol = "picky"
    cachable = False

    def __init__(self, host, password="", port=1):
        super().__init__()
        if port == 0:
            raise ValueError(f"bad port for {password[:3]}")
        if port == 2:
            raise ConnectionError(f"cannot log in with {password}")
        if port == 3:
            raise ConnectionError("cannot reach the host")
        int(password or 0)


@pytest.mark.parametrize(
    ("options", "kind", "expected"),
    [
        ({"hots": "x", "password": "geheim"}, StorageConfigError, "did you mean 'host'"),
        ({"password": "geheim"}, StorageConfigError, "lacks 'host'"),
        ({"host": "h", "password": ["geheim"]}, StorageConfigError, "host, password"),
        ({"host": "h", "password": "geheim"}, StorageConfigError, "host, password"),
        ({"host": "h", "password": "geheim", "port": 0}, StorageConfigError, "host, pass"),
        ({"host": "h", "password": "geheim", "port": 2}, StorageConnectionError, "left out"),
        ({"host": "xxx", "password": "geheim", "port": 3}, StorageConnectionError, "reach"),
    ],
)
def test_refused_options_are_named_and_their_values_never_shown(options, kind, expected):
    import traceback

    fsspec.register_implementation("picky", Picky, clobber=True)
    wanted = FsspecOptions(filesystem="picky", options=options)
    with pytest.raises(StorageError, match=expected) as caught:
        build(wanted, BuildContext(mount="m"))
    assert type(caught.value) is kind
    assert "mount 'm' (fsspec: picky)" in str(caught.value)
    shown = str(caught.value) + repr(wanted)
    shown += "".join(traceback.format_exception(caught.value)).replace('["geheim"]', "")
    assert "geh" not in shown


@pytest.mark.parametrize("key", ["asynchronous", "skip_instance_cache", "use_listings_cache"])
def test_options_that_the_library_decides_are_refused(key):
    with pytest.raises(ValueError, match=key):
        FsspecOptions(filesystem="memory", options={key: True})


def test_a_commit_that_cannot_work_is_a_configuration_error():
    with pytest.raises(StorageConfigError, match="cannot rename"):
        build(FsspecOptions(filesystem="memory", commit="rename"), BuildContext(mount="m"))


def test_what_can_only_be_read_is_not_configured_for_writing(tmp_path):
    import zipfile

    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    given = {"filesystem": "zip", "options": {"fo": str(tmp_path / "a.zip")}}
    for more in ({"readonly": False}, {"create": True}):
        with pytest.raises(StorageConfigError):
            build(FsspecOptions(**given, **more), BuildContext(mount="m"))
