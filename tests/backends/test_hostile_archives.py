"""Archives that are damaged, or made to do harm: an error of ours, or harmless, never more."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import struct
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genro_storage import (
    StorageError,
    StorageIOError,
    StorageManager,
    StoragePermissionError,
)
from tests.support.archives import pack_tar, pack_zip

EVIL = (
    "../evil", "d/../../evil", "d/../evil", "..", "/etc/passwd", "//host/share", "C:/evil", "c:evil/..",
    "C:", "..\\evil", "d\\..\\..\\evil", "\\evil", "C:\\evil", "./../evil", "d/..",
)  # fmt: skip
TEXT = b"all work and no play makes jack a dull boy\n" * 200


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


def mount(storage, kind, path, **options):
    storage.add_mount({"name": "packed", "type": kind, "file": str(path), **options})
    return storage.node("packed:")


def found(root):
    return {info.path: info.type for info in root._mount.find("")}


def evil_archive(kind, path):
    contents = {**dict.fromkeys(EVIL, b"evil"), "good.txt": b"good", "C:d/good.txt": b"odd"}
    if kind == "zip":
        return pack_zip(path, contents)
    return pack_tar(path, [(tarfile.TarInfo(name), data) for name, data in contents.items()])


# -- names that lead out ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
def test_names_that_lead_out_are_left_out_with_one_warning(storage, tmp_path, caplog, kind):
    path = evil_archive("tar" if kind == "tar" else "zip", tmp_path / "evil")
    root = mount(storage, kind, path)
    with caplog.at_level(logging.WARNING, "genro_storage"):
        for _ in range(3):
            assert "good.txt" in found(root)
    assert [node for node in found(root) if "evil" in node or "passwd" in node] == []
    assert len(caplog.records) == 1
    assert "mount 'packed'" in caplog.text
    target = storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path / "out"),
                                "create": True}) or storage.node("disk:")  # fmt: skip
    root.copy_to(target)
    assert not (tmp_path / "evil.txt").exists()
    assert {item.name for item in (tmp_path / "out").iterdir()} <= {"good.txt", "C:d"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_is_left_out_survives_a_write(storage, tmp_path, kind):
    path = evil_archive(kind, tmp_path / "evil")
    root = mount(storage, kind, path, mode="a")
    (root / "good.txt").write_bytes(b"changed")
    (root / "new.txt").write_bytes(b"new")
    if kind == "zip":
        names = zipfile.ZipFile(path).namelist()
    else:
        with tarfile.open(path) as archive:
            names = archive.getnames()
    assert set(EVIL) - set(names) == set()
    assert (root / "good.txt").read_bytes() == b"changed"


def test_a_nul_in_a_name_hides_nothing(storage, tmp_path):
    path = pack_zip(tmp_path / "a.zip", {"good.txt/evil": b"x", "ok": b"ok"})
    path.write_bytes(path.read_bytes().replace(b"good.txt/evil", b"good.txt\0evil"))
    root = mount(storage, "zip", path)
    assert found(root) == {"ok": "file"}


@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
def test_what_lies_below_a_file_or_a_link_is_not_reachable(storage, tmp_path, kind, caplog):
    if kind == "zip":
        path = pack_zip(tmp_path / "a", {"f": b"file", "f/below": b"x"})
    else:
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        members = [(tarfile.TarInfo("f"), b"file"), (tarfile.TarInfo("f/below"), b"x"),
                   (link, b""), (tarfile.TarInfo("l/passwd"), b"x")]  # fmt: skip
        path = pack_tar(tmp_path / "a", members)
    root = mount(storage, kind, path)
    assert found(root) in ({"f": "file"}, {"f": "file", "l": "link"})
    assert (root / "f").read_bytes() == b"file"
    with pytest.raises(StorageError):
        (root / "l/passwd").read_bytes()


# -- bombs --------------------------------------------------------------------------------------


def test_entries_that_share_their_bytes_are_refused(storage, tmp_path):
    """The bomb without nesting: many names, one content."""
    path = pack_zip(tmp_path / "a.zip", {"a": TEXT}, compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    record = data[start:end]
    records = b"".join(record[:46] + bytes([65 + n]) + record[47:] for n in range(20))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 20, 20, len(records), start, 0)
    path.write_bytes(data[:start] + records + tail)
    root = mount(storage, "zip", path)
    with pytest.raises(StorageIOError, match=r"packed:.*overlaps another one"):
        root.children()


def test_an_entry_that_reaches_into_the_next_by_its_second_header_is_refused(storage, tmp_path):
    path = pack_zip(tmp_path / "a.zip", {"a": b"x" * 100, "b": b"y"})
    data = bytearray(path.read_bytes())
    data[28:30] = struct.pack("<H", 40)  # a longer extra field in the local header of a
    path.write_bytes(data)
    root = mount(storage, "zip", path)
    with pytest.raises(StorageIOError, match=r"packed:a.*'a' overlaps another one"):
        (root / "a").read_bytes()
    assert (root / "b").read_bytes() == b"y"


def test_an_entry_that_grows_beyond_reason_names_the_option(storage, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb", "w") as stream:
            for _ in range(70):
                stream.write(bytes(1024 * 1024))
        archive.writestr("good.txt", b"good")
    root = mount(storage, "zip", tmp_path / "a.zip")
    assert (root / "bomb").size == 70 * 1024 * 1024
    with pytest.raises(StoragePermissionError, match=r"packed:bomb.*'bomb'.*'max_ratio'"):
        (root / "bomb").read_bytes()
    assert (root / "good.txt").read_bytes() == b"good"
    root = mount(storage, "zip", tmp_path / "a.zip", max_ratio=2000)
    with (root / "bomb").open("rb") as stream:
        assert stream.read(10) == bytes(10)


def test_what_is_read_back_only_with_other_limits_is_not_written(storage, tmp_path):
    root = mount(storage, "zip", tmp_path / "a.zip")
    (root / "a.txt").write_bytes(b"a")
    with (
        pytest.raises(StoragePermissionError, match="'max_ratio'"),
        (root / "zeros").open("wb") as stream,
    ):
        for _ in range(70):
            stream.write(bytes(1024 * 1024))
    assert found(root) == {"a.txt": "file"}
    root = mount(storage, "zip", tmp_path / "a.zip", max_entries=2)
    (root / "b.txt").write_bytes(b"b")
    for step in (lambda: (root / "c.txt").write_bytes(b"c"), (root / "d").mkdir):
        with pytest.raises(StoragePermissionError, match="'max_entries'"):
            step()
    root = mount(storage, "zip", tmp_path / "a.zip", max_size=1000)
    with pytest.raises(StoragePermissionError, match="'max_size'"):
        (root / "b.txt").write_bytes(b"b" * 5000)
    assert found(root) == {"a.txt": "file", "b.txt": "file"}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "libarchive"])
def test_the_limits_of_the_whole_archive_name_the_option(storage, tmp_path, kind):
    path = tmp_path / "a"
    if kind == "zip":
        pack_zip(path, {f"{n}": TEXT for n in range(5)}, compression=zipfile.ZIP_DEFLATED)
    else:
        members = [(tarfile.TarInfo(f"{n}"), TEXT) for n in range(5)]
        pack_tar(path, members, "w" if kind == "tar" else "w:gz")
    kind = kind.partition(".")[0]
    with pytest.raises(StoragePermissionError, match=r"packed:.*'max_entries'"):
        mount(storage, kind, path, max_entries=4).children()
    if kind != "tar" or path.stat().st_size < 5 * len(TEXT):
        with pytest.raises(StoragePermissionError, match=r"packed:.*'max_size'"):
            mount(storage, kind, path, max_size=len(TEXT)).children()
    assert len(mount(storage, kind, path, max_entries=5).children()) == 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tar", "libarchive"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_tar_that_grows_beyond_reason(storage, tmp_path, kind, pack):
    info = tarfile.TarInfo("bomb")
    info.size = 90 * 1024 * 1024
    path = tmp_path / "a"
    path.write_bytes(pack(info.tobuf() + bytes(info.size) + bytes(1024)))
    with pytest.raises(StoragePermissionError, match=r"packed:.*'max_ratio'"):
        mount(storage, kind, path).children()


def test_implied_directories_count(storage, tmp_path):
    contents = {"/".join("d" * 900): b"", "/".join("e" * 2000): b"", "f": b""}
    path = pack_zip(tmp_path / "a.zip", contents)
    with pytest.raises(StoragePermissionError, match="'max_entries'"):
        mount(storage, "zip", path, max_entries=800).children()
    root = mount(storage, "zip", path)
    assert [child.name for child in root.children()] == ["d", "f"]  # no e: too deep
    assert len(found(root)) == 901


def test_an_entry_that_is_larger_than_it_says(storage, tmp_path):
    path = pack_zip(tmp_path / "a.zip", {"a": TEXT}, compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<L", 100)
    data[at + 16 : at + 20] = struct.pack("<L", zlib.crc32(TEXT[:100]))
    path.write_bytes(data)
    with pytest.raises(StorageIOError, match=r"packed:a.*larger than the archive says"):
        (mount(storage, "zip", path) / "a").read_bytes()


# -- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_entry_is_never_called_whole(storage, tmp_path, method):
    path = pack_zip(tmp_path / "a.zip", {"a.txt": TEXT, "b.txt": b"b"}, compression=method)
    data = bytearray(path.read_bytes())
    data[100] ^= 0x40
    path.write_bytes(data)
    root = mount(storage, "zip", path)
    node = root / "a.txt"
    steps = [node.read_bytes, lambda: node.copy_to(root / "c.txt"), lambda: node.digest("md5")]
    for step in steps:
        with pytest.raises(StorageIOError, match=r"packed:a\.txt.*'a\.txt'"):
            step()
    assert not (root / "c.txt").exists
    with node.open("rb") as stream:
        with pytest.raises(StorageIOError):
            while stream.read(1000):
                pass
        with pytest.raises(StorageIOError):  # nor by trying again
            stream.read(1000)
    assert (root / "b.txt").read_bytes() == b"b"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "7z"])
def test_a_truncated_archive_is_an_error_at_every_length(storage, tmp_path, kind):
    members = [(tarfile.TarInfo(f"{n}.txt"), TEXT[: 700 * n]) for n in range(4)]
    path = tmp_path / "a"
    if kind == "zip":
        pack_zip(path, {info.name: data for info, data in members})
    elif kind == "7z":
        pytest.importorskip("libarchive")
        import libarchive

        with libarchive.file_writer(str(path), "7zip") as archive:
            for info, data in members:
                archive.add_file_from_memory(info.name, len(data), data)
    else:
        pack_tar(path, members)
        if kind == "tar.zst":
            from genro_storage.backends.archives.inflating import zstd_module

            path.write_bytes(zstd_module().compress(path.read_bytes()))
        elif kind != "tar":
            pack = {"tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}
            path.write_bytes(pack[kind](path.read_bytes()))
    whole = path.read_bytes()
    mount_kind = {"zip": "zip", "7z": "libarchive"}.get(kind, "tar")
    # A plain tar is padded with a record of zeros, whose end nobody misses.
    last = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole)
    for length in sorted({*range(0, last, max(1, last // 60)), last - 1, last - 2}):
        path.write_bytes(whole[:length])
        root = mount(
            storage, mount_kind, path, **({"mode": "r"} if mount_kind != "libarchive" else {})
        )
        with pytest.raises(StorageIOError, match="packed:"):
            for info in list(root._mount.find("")):
                root._mount.read_bytes(info.path)
    path.write_bytes(whole)
    root = mount(storage, mount_kind, path)
    assert {i.path: root._mount.read_bytes(i.path) for i in root._mount.find("")} == {
        info.name: data for info, data in members
    }


@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
@pytest.mark.parametrize("data", [b"", b"x", b"hello world\n" * 100, bytes(range(256)) * 40])
def test_what_is_no_archive_says_so(storage, tmp_path, kind, data):
    (tmp_path / "a").write_bytes(data)
    options = {} if kind == "libarchive" else {"mode": "r"}
    with pytest.raises(StorageIOError, match="packed:"):
        mount(storage, kind, tmp_path / "a", **options).children()


def _samples():
    members = [(tarfile.TarInfo("d/a.txt"), TEXT[:300]), (tarfile.TarInfo("b.txt"), b"b")]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    plain = packed.getvalue()
    zipped = pack_zip(
        io.BytesIO(), {"d/a.txt": TEXT[:300], "b.txt": b"b"}, compression=zipfile.ZIP_DEFLATED
    )
    return [
        zipped.getvalue(),
        plain,
        gzip.compress(plain),
        bz2.compress(plain),
        lzma.compress(plain),
    ]


_SAMPLES = _samples()


@st.composite
def _mutilated(draw):
    data = bytearray(draw(st.sampled_from(_SAMPLES)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["flip", "cut", "insert", "number"]))
        if what == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 64))]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=40))
        else:
            data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\0\0\0\x80"]))
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=2000), _mutilated()), change=st.booleans())
def test_any_bytes_are_read_or_refused_by_errors_of_ours(tmp_path_factory, kind, data, change):
    directory = tmp_path_factory.mktemp("fuzz")
    (directory / "a").write_bytes(data)
    options = {} if kind == "libarchive" else {"mode": "a"}
    with StorageManager() as storage:
        root = mount(storage, kind, directory / "a", max_entries=1000, max_size=10**7, **options)
        try:
            listed = list(root._mount.find(""))
        except StorageError as error:
            assert "packed:" in str(error)
            return
        for info in listed:
            assert not info.path.startswith("/")
            assert ".." not in info.path.split("/")
            try:
                content = root._mount.read_bytes(info.path)
                assert len(content) == info.size
            except StorageError as error:
                assert f"packed:{info.path}" in str(error)
        if change and kind != "libarchive":
            try:
                (root / "new.txt").write_bytes(b"new")
            except StorageError:
                assert (directory / "a").read_bytes() == data
                return
            assert (root / "new.txt").read_bytes() == b"new"
            after = {info.path for info in root._mount.find("")}
            assert after >= {info.path for info in listed if not info.path.startswith("new.txt/")}
