"""Zip archives of other programs, and what this library writes, read by other programs."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import pytest

from genro_storage import (
    StorageConfigError,
    StorageError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotDirectoryError,
    StorageNotEmptyError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from genro_storage.backends.archives.inflating import zstd_module
from genro_storage.backends.archives.zip import ZipBackend
from tests.services.base import find_program, skip_or_fail
from tests.support.archives import pack_zip

TEXT = b"to be, or not to be: that is the question. " * 500


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive.zip"


@pytest.fixture
def root(storage, path):
    storage.add_mount({"name": "packed", "type": "zip", "file": str(path)})
    return storage.node("packed:")


def remount(storage, path, **options):
    storage.add_mount({"name": "packed", "type": "zip", "file": str(path), **options})
    return storage.node("packed:")


def found(root):
    return {info.path: info.type for info in root._mount.find("")}


@pytest.fixture
def rewrites(monkeypatch):
    """How often the archive is written."""
    counted = []
    swap = ZipBackend._swap

    def counting(self, *args, **options):
        counted.append(1)
        return swap(self, *args, **options)

    monkeypatch.setattr(ZipBackend, "_swap", counting)
    return counted


# -- reading what others write ------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("size", [0, 1, len(TEXT)])
def test_every_method_of_the_standard_library_is_read(path, root, method, size):
    pack_zip(path, {"f.txt": TEXT[:size]}, compression=method)
    node = root / "f.txt"
    assert node.size == size
    assert node.read_bytes() == TEXT[:size]
    with node.open("rb") as stream:
        assert stream.read(5) == TEXT[:size][:5]
        stream.seek(max(0, size - 3))
        assert stream.read() == TEXT[:size][-3:]
        stream.seek(0)
        assert stream.read() == TEXT[:size]
    assert node._mount.read_bytes("f.txt", 10, 20) == TEXT[:size][10:20]


def test_zstandard_is_read(path, root):
    packed = zstd_module().compress(TEXT)
    data = bytearray(pack_zip(path, {"f.txt": packed}).read_bytes())
    for at, crc, size, method in ((0, 14, 22, 8), (data.index(b"PK\1\2"), 16, 24, 10)):
        data[at + method : at + method + 2] = struct.pack("<H", 93)
        data[at + crc : at + crc + 4] = struct.pack("<L", zlib.crc32(TEXT))
        data[at + size : at + size + 4] = struct.pack("<L", len(TEXT))
    path.write_bytes(data)
    assert (root / "f.txt").read_bytes() == TEXT
    assert root._mount.read_bytes("f.txt", 100, 110) == TEXT[100:110]


@pytest.mark.parametrize("method", ["Deflate64", "xz"])
def test_rarer_methods_are_read_or_named(path, root, method, tmp_path):
    (tmp_path / "f.txt").write_bytes(TEXT)
    made = (
        subprocess.run(
            ["7z", "a", f"-mm={method}", str(path), "f.txt"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        if find_program("7z")
        else None
    )
    if made is None or made.returncode:
        pytest.skip(f"no 7z that writes {method}")
    if method == "Deflate64":
        with pytest.raises(StorageUnsupportedError, match=r"deflate64.*libarchive"):
            (root / "f.txt").read_bytes()
    else:
        assert (root / "f.txt").read_bytes() == TEXT


def test_a_stream_written_without_seeking_is_read(path, root):
    class Pipe(io.RawIOBase):
        def __init__(self, file):
            self.file = file

        def writable(self):
            return True

        def write(self, data):
            return self.file.write(data)

    with path.open("wb") as file, zipfile.ZipFile(Pipe(file), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.txt", "b.txt"):
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(TEXT)
    assert (root / "a.txt").read_bytes() == TEXT
    (root / "a.txt").delete()
    (root / "c.txt").write_bytes(b"new")
    assert (root / "b.txt").read_bytes() == TEXT
    assert zipfile.ZipFile(path).testzip() is None


@pytest.mark.slow
def test_more_entries_than_the_narrow_fields_count(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(66_000):
            archive.writestr(f"d{number % 10}/{number}", b"")
    assert len((root / "d3").children()) == 6_600
    (root / "new.txt").write_bytes(b"new")
    assert len(zipfile.ZipFile(path).namelist()) == 66_001
    assert (root / "new.txt").read_bytes() == b"new"


def test_a_file_beyond_four_gigabytes(path, root):
    """Sparse, so that it costs nothing: an entry of 5 GiB of stored zeros, and one behind it."""
    size = 5 * 1024**3
    info = zipfile.ZipInfo("big.bin")
    info.file_size = info.compress_size = size
    info.header_offset = info.CRC = 0
    with path.open("wb") as stream:
        head = info.FileHeader(zip64=True)
        stream.write(head)
        stream.truncate(len(head) + size)
        stream.seek(len(head) + size)
        with zipfile.ZipFile(stream, "w") as archive:
            archive.filelist.append(info)
            archive.NameToInfo["big.bin"] = info
            archive.start_dir = stream.tell()
            archive.writestr("small.txt", b"small")
    assert (root / "big.bin").size == size
    assert (root / "small.txt").read_bytes() == b"small"
    assert root._mount.read_bytes("big.bin", size - 5, size) == bytes(5)


def test_wide_records_where_narrow_ones_would_do(path, root):
    """Python writes them from 2 GiB on, other programs for any archive that they stream."""
    size = 3 * 1024**3
    info = zipfile.ZipInfo("big.bin")
    info.file_size = info.compress_size = size
    info.header_offset = info.CRC = 0
    with path.open("wb") as stream:
        stream.write(info.FileHeader())
        stream.truncate(stream.tell() + size)
        stream.seek(0, io.SEEK_END)
        with zipfile.ZipFile(stream, "w") as archive:
            archive.filelist.append(info)
            archive.NameToInfo["big.bin"] = info
            archive.start_dir = stream.tell()
            archive.writestr("small.txt", b"small")
    assert (root / "small.txt").read_bytes() == b"small"
    assert (root / "big.bin").size == size


def test_a_comment_that_looks_like_a_wide_record_is_none(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a.txt")
        info.comment = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 9, 9, 9, 9)
        info.comment += struct.pack("<4sLQL", b"PK\6\7", 0, 31 + 4 + 46 + 5, 1)
        archive.writestr(info, b"a")
    assert (root / "a.txt").read_bytes() == b"a"
    (root / "b.txt").write_bytes(b"b")
    assert found(root) == {"a.txt": "file", "b.txt": "file"}
    assert zipfile.ZipFile(path).getinfo("a.txt").comment == info.comment


def test_a_program_in_front_stays(path, root):
    program = b"#!/bin/sh\nexit 0\n" * 10
    path.write_bytes(program + pack_zip(io.BytesIO(), {"a.txt": b"a"}).getvalue())
    assert (root / "a.txt").read_bytes() == b"a"
    (root / "b.txt").write_bytes(b"b")
    (root / "a.txt").delete()
    assert path.read_bytes().startswith(program)
    assert zipfile.ZipFile(path).read("b.txt") == b"b"
    assert found(root) == {"b.txt": "file"}


def test_names_are_decoded_as_the_archive_says(storage, path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("\u00fcber.txt", b"flag")
    flagged = packed.getvalue()
    path.write_bytes(flagged)
    assert list(found(remount(storage, path))) == ["\u00fcber.txt"]
    # The same bytes without the flag, as many programs on Linux leave it out.
    plain = bytearray(flagged)
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = flagged.index(signature) + place
        plain[at : at + 2] = b"\0\0"
    path.write_bytes(plain)
    assert list(found(remount(storage, path))) == ["\u00fcber.txt"]
    assert list(found(remount(storage, path, encoding="cp437"))) == ["\u251c\u255dber.txt"]
    assert list(found(remount(storage, path, encoding="utf-8"))) == ["\u00fcber.txt"]
    root = remount(storage, path, encoding="latin-1")
    assert list(found(root)) == ["\u00c3\u00bcber.txt"]
    assert (root / "\u00c3\u00bcber.txt").read_bytes() == b"flag"
    (root / "new.txt").write_bytes(b"new")
    assert b"\xc3\xbcber.txt" in path.read_bytes()
    # The same on DOS, and what is no UTF-8 on Unix.
    plain[plain.index(b"PK\1\2") + 5] = 0
    path.write_bytes(plain)
    assert list(found(remount(storage, path))) == ["\u251c\u255dber.txt"]
    path.write_bytes(flagged.replace(b"\xc3\xbc", b"\x81u").replace(b"\0\x08", b"\0\0"))
    assert list(found(remount(storage, path))) == ["\u00fcuber.txt"]


def test_names_that_zip_stores_are_those_that_everybody_sees(storage, path, tmp_path):
    program = find_program("zip")
    if program is None:
        pytest.skip("zip is missing")
    (tmp_path / "\u00fc\u65e5.txt").write_bytes(b"x")
    subprocess.run([program, "-q", path, "\u00fc\u65e5.txt"], cwd=tmp_path, check=True)
    assert list(found(remount(storage, path))) == ["\u00fc\u65e5.txt"]


@pytest.mark.parametrize("encoding", ["cp932", "johab", "shift_jisx0213", "utf-8-sig"])
def test_what_is_written_is_found_again_in_any_encoding(storage, path, encoding):
    root = remount(storage, path, encoding=encoding)
    names = {"a+b.txt", "back\\slash~", "\u00fcber.txt", "d"}
    for name in names:
        (root / name).write_bytes(b"x")
    (root / "d").move_to(root / "t\\~")
    assert set(found(root)) == names - {"d"} | {"t\\~"}


@pytest.mark.parametrize(
    "encoding", ["hex", "rot13", "idna", "undefined", "utf-16", "utf-7", "cp037"]
)
def test_an_encoding_that_would_lose_names_is_refused(storage, path, encoding):
    with pytest.raises(StorageConfigError, match="'encoding': names in an archive are never"):
        remount(storage, path, encoding=encoding)


def test_windows_separators_are_separators(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x")
        info.create_system = 0
        info.filename = "dir\\file.txt"
        archive.writestr(info, b"x")
        unix = zipfile.ZipInfo("x")
        unix.filename = "back\\slash.txt"
        archive.writestr(unix, b"y")
    assert found(root) == {"back\\slash.txt": "file", "dir": "directory", "dir/file.txt": "file"}
    assert (root / "dir/file.txt").read_bytes() == b"x"


def test_a_backslash_in_a_new_name_separates_nothing(path, root):
    """Also where the entry comes from a system on which it would."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x.txt", "y.txt", "./z\\z"):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 0, 1 if name == "y.txt" else 0x20
            archive.writestr(info, name)
    for name in ("x", "y"):
        (root / f"{name}.txt").move_to(root / f"{name}\\{name}")
    (root / "z\\z").write_bytes(b"new")
    assert found(root) == dict.fromkeys(("x\\x", "y\\y", "z\\z"), "file")
    assert (root / "x\\x").read_bytes() == b"x.txt"
    modes = {info.filename: info.external_attr >> 16 for info in zipfile.ZipFile(path).infolist()}
    assert modes == {"x\\x": 0o100644, "y\\y": 0o100444, "z\\z": 0o100644}


def test_times_are_those_of_the_archive(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("old.txt", (2001, 2, 3, 4, 5, 6)), b"x")
        never = zipfile.ZipInfo("never.txt")
        archive.writestr(never, b"x")
        never.date_time = (1980, 0, 0, 0, 0, 0)
    assert (root / "old.txt").mtime == time.mktime((2001, 2, 3, 4, 5, 6, 0, 0, -1))
    assert (root / "never.txt").mtime is None
    assert (root / "never.txt").stat().mtime is None


def test_a_directory_may_be_implied_or_written(path, root):
    pack_zip(path, {"implied/f.txt": b"", "empty/": b"", "./dot/./f.txt": b"", "a//b": b""})
    assert found(root) == {
        "a": "directory", "a/b": "file", "dot": "directory", "dot/f.txt": "file",
        "empty": "directory", "implied": "directory", "implied/f.txt": "file",
    }  # fmt: skip
    assert (root / "empty").children() == []


def test_of_two_entries_with_one_name_the_last_counts(path, root):
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.txt", b"first")
        archive.writestr("a.txt", b"second")
    assert (root / "a.txt").read_bytes() == b"second"
    (root / "b.txt").write_bytes(b"b")
    assert zipfile.ZipFile(path).namelist() == ["a.txt", "b.txt"]
    assert (root / "a.txt").read_bytes() == b"second"


# -- encryption ---------------------------------------------------------------------------------


def encrypted(path, tmp_path, method):
    if find_program("7z") is None:
        skip_or_fail("7z is missing; install it with: apt install p7zip-full")
    (tmp_path / "secret.txt").write_bytes(TEXT)
    subprocess.run(
        ["7z", "a", "-ps3cret", f"-mem={method}", str(path), "secret.txt"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip


def test_traditional_encryption_is_opened_by_the_password(storage, path, tmp_path):
    encrypted(path, tmp_path, "ZipCrypto")
    root = remount(storage, path)
    assert root.children()[0].size == len(TEXT)
    with pytest.raises(StoragePermissionError, match=r"packed:secret\.txt.*add 'password'"):
        (root / "secret.txt").read_bytes()
    root = remount(storage, path, password="wr0ng")
    with pytest.raises(StoragePermissionError, match="check 'password'") as caught:
        (root / "secret.txt").read_bytes()
    assert "wr0ng" not in str(caught.value)
    root = remount(storage, path, password="s3cret")
    assert (root / "secret.txt").read_bytes() == TEXT
    with (root / "secret.txt").open("rb") as stream:
        stream.seek(1000)
        assert stream.read(10) == TEXT[1000:1010]
    assert "s3cret" not in repr(root._mount.backend)
    # What is encrypted stays so when other entries change, also under another name and time.
    (root / "plain.txt").write_bytes(b"plain")
    (root / "secret.txt").move_to(root / "d/moved.txt")
    root._mount.set_mtime("d/moved.txt", 1_000_000_000.0)
    assert (root / "d/moved.txt").read_bytes() == TEXT
    assert zipfile.ZipFile(path).read("d/moved.txt", pwd=b"s3cret") == TEXT


def test_aes_is_refused_with_the_way_out(storage, path, tmp_path):
    encrypted(path, tmp_path, "AES256")
    root = remount(storage, path, password="s3cret")
    with pytest.raises(StoragePermissionError, match=r"AES.*type: libarchive"):
        (root / "secret.txt").read_bytes()


# -- writing ------------------------------------------------------------------------------------


def test_what_stays_is_copied_byte_for_byte(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"of the archive"
        for number, method in enumerate((8, 12, 14, 0)):
            info = zipfile.ZipInfo(f"{number}.txt", (2010, 1, 1, 0, 0, number * 2))
            info.comment, info.extra = b"of an entry", b"\xfe\xca\2\0hi"
            info.external_attr, info.compress_type = 0o100750 << 16, method
            archive.writestr(info, TEXT)
    before = raw_entries(path)
    (root / "new.txt").write_bytes(b"new")
    (root / "1.txt").delete()
    after = raw_entries(path)
    assert {name: entry for name, entry in before.items() if name != "1.txt"} == {
        name: entry for name, entry in after.items() if name != "new.txt"
    }
    with zipfile.ZipFile(path) as archive:
        assert archive.comment == b"of the archive"
        assert archive.testzip() is None
        kept = archive.getinfo("2.txt")
        assert (kept.comment, kept.extra) == (b"of an entry", b"\xfe\xca\2\0hi")
        assert kept.external_attr >> 16 == 0o100750
        assert kept.date_time == (2010, 1, 1, 0, 0, 4)


def raw_entries(path):
    """name -> compressed bytes"""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename: data[
                info.header_offset : info.header_offset + 30 + len(info.filename)
                + len(info.extra) + info.compress_size
            ]
            for info in archive.infolist()
        }  # fmt: skip


def test_a_file_that_is_replaced_keeps_its_permissions(path, root):
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("run.sh")
        info.external_attr, info.comment = 0o100755 << 16, b"mine"
        archive.writestr(info, b"old")
    (root / "run.sh").write_bytes(b"new")
    replaced = zipfile.ZipFile(path).getinfo("run.sh")
    assert (replaced.external_attr >> 16, replaced.comment) == (0o100755, b"mine")


def test_what_does_not_shrink_is_stored(root, path):
    noise, text = os.urandom(3_000_000), TEXT * 100
    for name, data in {"noise": noise, "text": text, "tiny": b"x", "empty": b""}.items():
        (root / name).write_bytes(data)
        assert (root / name).read_bytes() == data
    with (root / "streamed").open("wb") as stream:
        for start in range(0, len(noise), 100_000):
            stream.write(noise[start : start + 100_000])
    methods = {info.filename: info.compress_type for info in zipfile.ZipFile(path).infolist()}
    assert methods == {"noise": 0, "text": 8, "tiny": 0, "empty": 0, "streamed": 0}
    assert zipfile.ZipFile(path).testzip() is None


def test_an_upload_brings_its_permissions(storage, root, path, tmp_path):
    source = tmp_path / "run.sh"
    source.write_bytes(b"#!/bin/sh")
    source.chmod(0o755)
    root._mount.upload(source, "run.sh")
    assert zipfile.ZipFile(path).getinfo("run.sh").external_attr >> 16 == 0o100755


def test_other_programs_read_what_is_written(path, root, tmp_path):
    contents = {"a.txt": b"a", "d/\u00fcml\u00e4ut.txt": TEXT, "e/random.bin": os.urandom(5000)}
    for name, data in contents.items():
        (root / name).write_bytes(data)
    (root / "empty").mkdir()
    (root / "a.txt").move_to(root / "d/moved.txt")
    contents["d/moved.txt"] = contents.pop("a.txt")
    for program, command in {
        "unzip": ["unzip", "-q", str(path), "-d"],
        "bsdtar": ["bsdtar", "-xf", str(path), "-C"],
        "7z": ["7z", "x", str(path)],
    }.items():
        if find_program(program) is None:
            continue
        target = tmp_path / program
        target.mkdir()
        last = [f"-o{target}"] if program == "7z" else [str(target)]
        subprocess.run(command + last, check=True, capture_output=True)
        assert {
            str(file.relative_to(target)): file.read_bytes()
            for file in target.rglob("*")
            if file.is_file()
        } == contents
        assert (target / "empty").is_dir()
    target = tmp_path / "python"
    shutil.unpack_archive(path, target)
    assert (target / "d/\u00fcml\u00e4ut.txt").read_bytes() == TEXT


def test_times_come_back_exactly(root):
    for mtime in (1_000_000_000.0, 1_234_567_890.123456, 0.0, 5_000_000_000.5):
        (root / "t.txt").write_bytes(b"x")
        root._mount.set_mtime("t.txt", mtime)
        assert (root / "t.txt").stat().mtime == pytest.approx(mtime, abs=2e-6)
        assert (root / "t.txt").read_bytes() == b"x"


def test_a_tree_moves_or_goes_in_one_rewrite(root, path, rewrites):
    pack_zip(path, {f"d/e/{number}.txt": b"x" for number in range(50)})
    (root / "d").move_to(root / "moved/here")
    assert len(rewrites) == 1
    assert len((root / "moved/here/e").children()) == 50
    assert not (root / "d").exists
    (root / "moved").delete()
    assert len(rewrites) == 2
    assert found(root) == {}
    for name in "abc":
        (root / name).write_bytes(b"x")
    del rewrites[:]
    root._mount.remove_many(["a", "b", "missing"])
    assert len(rewrites) == 1
    root._mount.remove_many(["missing"])
    assert len(rewrites) == 1
    (root / "x/y/z").mkdir(parents=True)
    assert found(root) == {"c": "file", "x": "directory", "x/y": "directory", "x/y/z": "directory"}


def test_moving_keeps_to_the_kinds(root):
    for name in ("f.txt", "d/inner.txt", "full/x.txt"):
        (root / name).write_bytes(name.encode())
    (root / "empty").mkdir()
    mount = root._mount
    with pytest.raises(StorageIsDirectoryError):
        mount.move("f.txt", mount, "d")
    with pytest.raises(StorageNotDirectoryError):
        mount.move("d", mount, "f.txt")
    with pytest.raises(StorageNotEmptyError):
        mount.move("d", mount, "full")
    with pytest.raises(StorageValueError):
        mount.move("d", mount, "d/e/f")
    mount.move("d", mount, "empty")
    assert (root / "empty/inner.txt").read_bytes() == b"d/inner.txt"
    mount.move("f.txt", mount, "full/x.txt")
    assert (root / "full/x.txt").read_bytes() == b"f.txt"
    assert sorted(found(root)) == ["empty", "empty/inner.txt", "full", "full/x.txt"]


def test_a_directory_stays_when_its_last_file_goes(root, path):
    pack_zip(path, {"d/e/f.txt": b"x"})
    (root / "d/e/f.txt").delete()
    assert found(root) == {"d": "directory", "d/e": "directory"}


def test_an_empty_file_is_an_archive_of_nothing_to_a_writer(storage, path):
    path.touch()
    root = remount(storage, path)
    assert root.children() == []
    (root / "a.txt").write_bytes(b"a")
    assert zipfile.ZipFile(path).namelist() == ["a.txt"]
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="the file is empty"):
        remount(storage, path, mode="r").children()


def test_mode_w_empties_nothing(storage, path):
    pack_zip(path, {"old.txt": b"old"})
    root = remount(storage, path, mode="w")
    (root / "new.txt").write_bytes(b"new")
    assert sorted(found(root)) == ["new.txt", "old.txt"]


def test_links_inside_are_followed_and_written_through(storage, path, tmp_path):
    links = {"l.txt": "d/f.txt", "dir": "d", "out": "../etc/passwd", "abs": "/etc/passwd",
             "loop": "loop2", "loop2": "loop", "gone": "nothing", "up/l": "../d/f.txt"}  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/f.txt", b"there")
        for name, target in links.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, target)
    root = remount(storage, path)
    kinds = {info.path: (info.type, info.symlink) for info in root._mount.scan("")}
    assert kinds == {
        "d": ("directory", False), "up": ("directory", False), "l.txt": ("file", True),
        "dir": ("directory", True), **dict.fromkeys(("out", "abs", "loop", "loop2", "gone"), ("link", True)),
    }  # fmt: skip
    for name in ("l.txt", "dir/f.txt", "up/l"):
        assert (root / name).read_bytes() == b"there"
    for name in ("out", "abs", "loop", "gone"):
        assert not (root / name).exists
        with pytest.raises(StorageError, match=f"packed:{name}"):
            (root / name).read_bytes()
        with pytest.raises(StoragePermissionError):
            (root / name).write_bytes(b"x")
    (root / "l.txt").write_bytes(b"changed")
    assert (root / "d/f.txt").read_bytes() == b"changed"
    (root / "dir/new.txt").write_bytes(b"new")
    assert (root / "d/new.txt").read_bytes() == b"new"
    (root / "dir").delete()
    assert (root / "d/f.txt").exists
    assert not (root / "dir").exists
    assert found(root)["l.txt"] == "file"
    assert len(list(root._mount.find(""))) == 11


def test_a_name_that_no_archive_can_hold_is_refused_before_anything_is_written(root, path):
    (root / "a.txt").write_bytes(b"a")
    before = path.read_bytes()
    mount = root._mount
    for name in ("\\absolute", "x" * 70_000):
        with pytest.raises(StorageError):
            mount.write_bytes(name, b"x")
        with pytest.raises(StorageError):
            mount.mkdir(name)
        with pytest.raises(StorageError):
            mount.move("a.txt", mount, name)
    assert path.read_bytes() == before


def test_exclusive_creation_looks_again_at_the_end(root):
    with pytest.raises(StorageExistsError), (root / "a.txt").open("xb") as stream:
        stream.write(b"late")
        (root / "a.txt").write_bytes(b"first")
    assert (root / "a.txt").read_bytes() == b"first"


@pytest.mark.slow
def test_large_files_pass_in_bounded_memory(path, tmp_path):
    script = f"""
import hashlib, os
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{{"name": "z", "type": "zip", "file": "{path}"}},
                   {{"name": "disk", "type": "local", "path": "{tmp_path}"}}])
block = os.urandom(1 << 20)
with storage.node("z:warm").open("wb") as stream:
    stream.write(block)
before = int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
with storage.node("z:big.bin").open("wb") as stream:
    for _ in range(100):
        stream.write(block)
storage.node("z:big.bin").copy_to("disk:big.bin")
storage.node("disk:big.bin").copy_to("z:again.bin")
with storage.node("z:again.bin").open("rb") as stream:
    while stream.read(1 << 20):
        pass
assert os.path.getsize("{tmp_path}/big.bin") == 100 << 20
print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    unit = 1024 if sys.platform == "linux" else 1
    assert int(done.stdout) * unit < 60 * 1024 * 1024
