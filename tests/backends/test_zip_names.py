"""Names in zip archives that are hard on programs: they come back as written, and others read on."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import warnings
import zipfile

import pytest

from genro_storage import StorageError, StorageManager
from tests.services.base import find_program

RAW = "\udcfff\udc81.txt"  # what Unix allows, and neither UTF-8 nor any other encoding


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zip"


def remount(path, **options):
    storage = StorageManager()
    storage.add_mount({"name": "z", "type": "zip", "file": str(path), **options})
    return storage.node("z:")


def found(root):
    mount = root._mount
    return {
        info.path: mount.read_bytes(info.path) for info in mount.find("") if info.type == "file"
    }


@pytest.mark.parametrize("encoding", [None, "utf-8", "cp437", "cp932"])
def test_a_name_that_is_no_unicode_closes_the_archive_to_nobody(path, encoding):
    """Python's zipfile refuses an archive in which one name is marked as UTF-8 and is not."""
    options = {} if encoding is None else {"encoding": encoding}
    root = remount(path, **options)
    (root / "plain.txt").write_bytes(b"plain")
    (root / "d").mkdir()
    (root / f"d/{RAW}").write_bytes(b"raw")
    (root / "plain.txt").copy_to(root / "e/\u00fcber.txt")
    (root / "d").move_to(root / RAW)
    expected = {"plain.txt": b"plain", f"{RAW}/{RAW}": b"raw", "e/\u00fcber.txt": b"plain"}
    assert found(remount(path, **options)) == expected
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {"plain.txt", "e/\u00fcber.txt"} < set(archive.namelist())
        assert all(each.flag_bits in (0, 0x800) for each in archive.infolist())
    (root / RAW).move_to(root / "d")
    (root / f"d/{RAW}").move_to(root / "\u00e9")
    assert found(remount(path, **options)) == {
        "plain.txt": b"plain", "\u00e9": b"raw", "e/\u00fcber.txt": b"plain"
    }  # fmt: skip
    assert b"gn\4\0" not in path.read_bytes()  # nor is the old name kept in mind


def test_a_guessed_name_hides_no_other_entry(path):
    """Two entries of one name are one file, and the next write drops the other."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for content in (b"marked", b"not marked"):
            with warnings.catch_warnings(action="ignore"):
                archive.writestr("\u00e9.txt", content)
        archive.writestr("\u00fc.txt", b"alone")
    data = bytearray(packed.getvalue())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(signature)
        for _ in range(2):  # all but the first
            at = data.index(signature, at + 1)
            data[at + place : at + place + 2] = b"\0\0"
    path.write_bytes(data)
    expected = {
        "\u00e9.txt": b"marked", "\u251c\u2310.txt": b"not marked", "\u00fc.txt": b"alone"
    }  # fmt: skip
    root = remount(path)
    assert found(root) == expected
    (root / "new.txt").write_bytes(b"new")
    assert found(remount(path)) == expected | {"new.txt": b"new"}


def test_another_program_that_renames_is_believed(path):
    root = remount(path)
    (root / RAW).write_bytes(b"raw")
    data = path.read_bytes()
    path.write_bytes(data.replace(RAW.encode("utf-8", "surrogateescape"), b"\xfff\x82.txt"))
    assert found(remount(path)) == {"\u00a0f\u00e9.txt": b"raw"}


@pytest.mark.parametrize("encoding", ["iso2022_jp", "unicode_escape", "hz"])
def test_bytes_that_an_encoding_does_not_have_are_no_error(path, encoding):
    for name in (b"a\\", b"\x1b$-", b"~\xd0\xfb\x1b", b"\\ux", b"\x81"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("Q" * len(name), b"x")
            archive.writestr("good.txt", b"good")
        data = path.read_bytes()
        path.write_bytes(data.replace(b"Q" * len(name), name))
        root = remount(path, encoding=encoding)
        assert (root / "good.txt").read_bytes() == b"good"
        assert len(found(root)) in (1, 2)  # names with a backslash may be unsafe


@pytest.mark.parametrize("name", ["\u00fcber \u65e5.txt", "e\u0301", "\\b", "d\\\U0001f600"])
@pytest.mark.parametrize("program", ["unzip", "7z"])
def test_an_entry_from_dos_that_gets_a_new_name_has_it_everywhere(path, tmp_path, program, name):
    """unzip takes an entry from DOS for cp850, whatever is marked."""
    found_program = find_program(program)
    if found_program is None:
        pytest.skip(f"{program} is missing")
    with zipfile.ZipFile(path, "w") as archive:
        for old in ("one.txt", "two.txt"):
            info = zipfile.ZipInfo(old)
            info.create_system, info.external_attr = 0, 0x20
            archive.writestr(info, old)
    root = remount(path)
    target = root / "sub" / name
    (root / "one.txt").move_to(target)
    (root / "two.txt").move_to(root / "two")
    (root / "two").write_bytes(b"new")
    into = tmp_path / "out"
    into.mkdir()
    arguments = ["-qq", path, "-d", into] if program == "unzip" else ["x", path, f"-o{into}"]
    subprocess.run(
        [found_program, *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert (into / "sub" / name).read_bytes() == b"one.txt"
    assert (into / "two").read_bytes() == b"new"


def test_what_has_no_room_in_a_header_is_refused_in_words(path):
    """A directory's new name is that of all that lies below it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/" + "x" * 60_000, b"x")
        full = zipfile.ZipInfo("full")
        full.extra = struct.pack("<HH", 0x9999, 65_531) + bytes(65_531)
        archive.writestr(full, b"x")
    before = path.read_bytes()
    root = remount(path)
    with pytest.raises(StorageError, match="65534 bytes at most"):
        (root / "d").move_to(root / ("y" * 10_000))
    with pytest.raises(StorageError, match="no room"):
        root._mount.set_mtime("full", 1_600_000_000)
    assert path.read_bytes() == before
    (root / "full").move_to(root / "moved")
    assert (root / "moved").read_bytes() == b"x"
