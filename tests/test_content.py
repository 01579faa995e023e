from __future__ import annotations

import base64
import hashlib
import io
import mimetypes
import shutil
import subprocess
import tracemalloc
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.content import (
    ZipEntry,
    data_uri,
    decode_text,
    digest,
    mimetype,
    new_hash,
    safe_names,
    unified_diff_lines,
    zip_stream,
)
from genro_storage.exceptions import StorageValueError

if TYPE_CHECKING:
    from collections.abc import Callable


# -- digest -------------------------------------------------------------------------------------


class Blocks(io.BytesIO):
    """Remembers how much was asked for at a time."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0
        self.largest = max(self.largest, size)
        return super().read(size)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "blake2b", "sha3_512"])
def test_digest_equals_hashlibs(algorithm: str) -> None:
    data = bytes(range(256)) * 10_000
    assert digest(io.BytesIO(data), algorithm) == hashlib.new(algorithm, data).hexdigest()


def test_digest_is_md5_unless_told_otherwise_and_reads_in_blocks() -> None:
    stream = Blocks(b"x" * 3_000_000)
    assert digest(stream) == hashlib.md5(b"x" * 3_000_000).hexdigest()
    assert stream.largest == 1024 * 1024


def test_unknown_algorithm_lists_those_that_exist() -> None:
    with pytest.raises(StorageValueError, match=r"'md55'.*blake2b.*md5.*sha256") as caught:
        digest(io.BytesIO(), "md55")
    assert "shake" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["shake_128", "shake_256"])
def test_digest_without_a_length_of_its_own_is_refused(algorithm: str) -> None:
    with pytest.raises(StorageValueError, match="needs a length"):
        new_hash(algorithm)


# -- mimetype -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain"),
        ("dir.d/a.PY", "text/x-python"),
        ("a.wav", "audio/x-wav"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("a.svg", "image/svg+xml"),
        ("a.csv", "text/csv"),
        ("a.md", "text/markdown"),
        ("a.yaml", "application/yaml"),
        ("a.toml", "application/toml"),
        ("a.json", "application/json"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.woff2", "font/woff2"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.7z", "application/x-7z-compressed"),
        ("a.gz", "application/gzip"),
        ("a.tar.gz", "application/gzip"),
        ("a.js", "text/javascript"),
        ("a.jpg", "image/jpeg"),
        ("a.pdf", "application/pdf"),
        ("a.avi", "video/x-msvideo"),
        ("http://x/a.png", "image/png"),
        ("data:,a.png", "image/png"),
    ],
)
def test_mimetype_follows_the_extension(name: str, expected: str) -> None:
    assert mimetype(name) == expected


@pytest.mark.parametrize("name", ["", "a", "dir.txt/a", ".py", "a.", "a.nosuch", "a.txt/", "."])
def test_mimetype_of_the_unknown_is_octet_stream(name: str) -> None:
    assert mimetype(name) == "application/octet-stream"


def test_mimetype_does_not_depend_on_the_process_wide_table() -> None:
    mimetypes.add_type("text/surprise", ".csv")
    mimetypes.add_type("text/surprise", ".surprise")
    try:
        assert mimetype("a.csv") == "text/csv"
        assert mimetype("a.surprise") == "application/octet-stream"
    finally:
        mimetypes.init()


@given(st.text())
def test_mimetype_never_raises(name: str) -> None:
    assert "/" in mimetype(name)


# -- data URI -----------------------------------------------------------------------------------


@given(st.binary())
def test_data_uri_round_trips(data: bytes) -> None:
    head, _, body = data_uri(data, "image/svg+xml;charset=utf-8").partition(",")
    assert head == "data:image/svg+xml;charset=utf-8;base64"
    assert base64.b64decode(body) == data


@pytest.mark.parametrize("mime", ["", "text", "text/", "a b/c", "text/plain,evil", "a/b\r\nc"])
def test_data_uri_refuses_what_is_no_mime_type(mime: str) -> None:
    with pytest.raises(StorageValueError, match="not a MIME type"):
        data_uri(b"", mime)


# -- diff ---------------------------------------------------------------------------------------


def test_equal_texts_have_no_diff() -> None:
    assert list(unified_diff_lines("a\nb", "a\nb", "x", "y")) == []


def test_diff_names_both_sides() -> None:
    text = "".join(unified_diff_lines("a\nb\nc\n", "a\nB\nc\n", "m:old.txt", "m:new.txt"))
    assert text == "--- m:old.txt\n+++ m:new.txt\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs patch(1)")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb", "a\nc"),
        ("a\nb\n", "a\nb"),
        ("a", "a\n"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("x\x0cy\u2028z\n", "x\x0cY\u2028z\n"),
        ("è\n", "é\n"),
    ],
)
def test_patch_applies_the_diff(tmp_path: Path, old: str, new: str) -> None:
    target = tmp_path / "f"
    target.write_bytes(old.encode())
    (tmp_path / "d").write_bytes("".join(unified_diff_lines(old, new, "f", "f")).encode())
    subprocess.run(["patch", "--binary", "-s", target, tmp_path / "d"], check=True)
    assert target.read_bytes() == new.encode()


@pytest.mark.parametrize("data", [b"a\x00b", b"\xff\xfe", "è".encode("latin-1")])
def test_binary_content_cannot_be_diffed(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"[Cc]annot diff.*binary"):
        decode_text(data, "m:a.bin")


def test_text_is_decoded_as_utf8() -> None:
    assert decode_text("è\r\n".encode(), "m:a") == "è\r\n"


# -- zip ----------------------------------------------------------------------------------------


def entry(name: str, data: bytes = b"", mtime: float | None = None) -> ZipEntry:
    return ZipEntry(name, lambda: io.BytesIO(data), mtime, len(data))


def unzip(chunks: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(chunks))
    assert archive.testzip() is None
    return archive


def names(*given_names: str) -> list[str]:
    return list(safe_names(given_names))


def test_archive_holds_what_went_in() -> None:
    data = bytes(range(256)) * 4000
    made = b"".join(
        zip_stream([entry("a.bin", data), entry("d/e/è.txt", b"x"), entry("empty"), entry("dir/")])
    )
    archive = unzip(made)
    assert archive.namelist() == ["a.bin", "d/e/è.txt", "empty", "dir/"]
    assert archive.read("a.bin") == data
    assert archive.read("d/e/è.txt") == b"x"
    assert archive.read("empty") == b""
    assert archive.getinfo("dir/").is_dir()
    assert len(made) < len(data) / 10


def test_empty_archive_is_valid() -> None:
    assert unzip(b"".join(zip_stream([]))).namelist() == []


@pytest.mark.parametrize("size", [None, 3, 2**33], ids=["unknown", "known", "announced huge"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip(1)")
def test_other_tools_accept_the_archive(tmp_path: Path, size: int | None, compression: int) -> None:
    source = ZipEntry("a.txt", lambda: io.BytesIO(b"abc"), 1e9, size)
    packed = tmp_path / "a.zip"
    packed.write_bytes(b"".join(zip_stream([source, entry("d/"), source], compression)))
    subprocess.run(["unzip", "-q", packed, "-d", tmp_path / "out"], check=True)
    assert (tmp_path / "out/a.txt").read_bytes() == b"abc"
    assert (tmp_path / "out/a (2).txt").read_bytes() == b"abc"
    assert (tmp_path / "out/a.txt").stat().st_mtime == 1e9
    assert (tmp_path / "out/d").is_dir()


class Zeros(io.RawIOBase):
    """A stream of so many incompressible-enough bytes that takes no memory."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        assert 0 < size <= 1024 * 1024
        count = min(size, self.left)
        self.left -= count
        return bytes(count)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_memory_stays_bounded(compression: int) -> None:
    size = 64 * 1024 * 1024
    opener: Callable[[], BinaryIO] = lambda: Zeros(size)  # type: ignore[assignment, return-value]  # noqa: E731
    tracemalloc.start()
    try:
        written = sum(len(c) for c in zip_stream([ZipEntry("big", opener)], compression))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    assert (written > size) == (compression == zipfile.ZIP_STORED)


def test_first_chunk_comes_before_the_last_entry_is_opened() -> None:
    opened: list[str] = []

    def source(name: str) -> ZipEntry:
        def start() -> BinaryIO:
            opened.append(name)
            return io.BytesIO(bytes(600_000))

        return ZipEntry(name, start)

    chunks = zip_stream([source("a"), source("b")], zipfile.ZIP_STORED)
    assert opened == []
    assert next(chunks)
    assert opened == ["a"]
    assert list(chunks)
    assert opened == ["a", "b"]


def test_streams_are_closed_also_when_the_reader_goes_away() -> None:
    stream = io.BytesIO(bytes(5_000_000))
    chunks = zip_stream([ZipEntry("a", lambda: stream)], zipfile.ZIP_STORED)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert stream.closed


def test_an_entry_that_fails_leaves_no_archive_that_looks_whole() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            if not data:
                raise ConnectionResetError("gone")
            return data

    got: list[bytes] = []
    with pytest.raises(ConnectionResetError, match="gone"):
        got.extend(zip_stream([entry("a"), ZipEntry("b", lambda: Broken(bytes(10**6)))]))
    assert not zipfile.is_zipfile(io.BytesIO(b"".join(got)))


def test_an_unknown_compression_is_refused_at_once() -> None:
    with pytest.raises(StorageValueError, match="compression 99"):
        zip_stream([], 99)


@pytest.mark.parametrize(
    ("mtime", "expected"),
    [
        (None, (1980, 1, 1, 0, 0, 0)),
        (float("nan"), (1980, 1, 1, 0, 0, 0)),
        (float("-inf"), (1980, 1, 1, 0, 0, 0)),
        (-1e20, (1980, 1, 1, 0, 0, 0)),
        (0.0, (1980, 1, 1, 0, 0, 0)),
        (1_000_000_000.0, (2001, 9, 9, 1, 46, 40)),
        (3e9, (2065, 1, 24, 5, 20, 0)),
        (1e15, (2107, 12, 31, 23, 59, 58)),
        (float("inf"), (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_dates_are_kept_as_far_as_the_format_goes(
    mtime: float | None, expected: tuple[int, ...]
) -> None:
    for name in ("a", "a/"):
        archive = unzip(b"".join(zip_stream([entry(name, mtime=mtime)])))
        assert archive.infolist()[0].date_time == expected


def test_equal_names_are_numbered_before_the_suffix() -> None:
    assert names("x.txt", "x.txt", "x (2).txt", "x.txt", "n", "n", "d/.rc", "d/.rc") == [
        "x.txt", "x (2).txt", "x (2) (2).txt", "x (3).txt", "n", "n (2)", "d/.rc", "d/.rc (2)",
    ]  # fmt: skip


def test_ten_thousand_equal_names_take_no_quadratic_time() -> None:
    made = names(*["x.txt"] * 10_000)
    assert len(set(made)) == 10_000
    assert made[-1] == "x (10000).txt"


def test_a_file_and_a_directory_of_the_same_name_can_both_be_unpacked(tmp_path: Path) -> None:
    made = names("a", "a/b", "a/c", "d/e", "d", "f/", "f/", "f/g", "f")
    assert made == ["a", "a (2)/b", "a (2)/c", "d/e", "d (2)", "f/", "f/g", "f (2)"]
    packed = b"".join(zip_stream([entry(n) for n in ("a", "a/b", "d/e", "d")]))
    unzip(packed).extractall(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/etc/passwd", "etc/passwd"),
        ("//host/share", "host/share"),
        ("dir/../evil.txt", "dir/_/evil.txt"),
        ("..", "_"),
        ("./a/./b", "a/b"),
        ("..\\evil", ".._evil"),
        ("C:\\x", "C__x"),
        ("c:/x", "c_/x"),
        ("a/D:x", "a/D_x"),
        ("a/.. /b", "a/_/b"),
        ("a/.../b", "a/_/b"),
        ("a\x00b", "a_b"),
        ("a\r\nb", "a__b"),
        ("a\udcffb", "a_b"),
        ("", "file"),
        (".", "file"),
        ("12:30.txt", "12:30.txt"),
        (" è[1]*.txt", " è[1]*.txt"),
    ],
)
def test_names_that_could_lead_an_unpacker_astray_are_changed(name: str, expected: str) -> None:
    assert names(name) == [expected]


@pytest.mark.parametrize("name", ["/", "./", "//"])
def test_the_root_directory_is_no_entry(name: str) -> None:
    assert names(name) == []


def test_a_name_too_long_for_the_format_is_an_error() -> None:
    with pytest.raises(StorageValueError, match="60,000 bytes"):
        names("è" * 30_001)


def test_a_very_deep_name_is_kept() -> None:
    assert names("a/" * 20_000 + "b") == ["a/" * 20_000 + "b"]


@given(st.lists(st.text("ab./\\: C\x00(2)", max_size=8)))
def test_safe_names_are_relative_unique_and_stay_inside(given_names: list[str]) -> None:
    made = names(*given_names)
    assert len(set(made)) == len(made)
    files = {name for name in made if not name.endswith("/")}
    for name in made:
        assert not PurePosixPath(name).is_absolute()
        assert not PureWindowsPath(name).drive
        parts = name.rstrip("/").split("/")
        assert all(part.strip(" .") for part in parts)
        assert not any("/".join(parts[:n]) in files for n in range(1, len(parts)))
