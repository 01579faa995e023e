"""Reading: whole, by ranges, by seeking, as text; sizes, hashes and times that are true."""

from __future__ import annotations

import hashlib
import io
import time
from typing import TYPE_CHECKING

import pytest

from ..exceptions import StorageValueError
from .ground import Ground

if TYPE_CHECKING:
    from pathlib import Path

    from .ground import Shelf

__all__ = ["ReadingConformance"]

_DIGITS = b"0123456789"
_LARGE = 8 * 1024 * 1024 + 1


class ReadingConformance(Ground):
    """What can be read, through the plain, the narrowed and the read-only mount."""

    @pytest.mark.parametrize(
        "data", [b"x", bytes(range(256)), b"\r\n\x00\xff"], ids=["one byte", "all bytes", "odd"]
    )
    def test_what_was_put_is_read(self, shelf: Shelf, data: bytes) -> None:
        node = shelf.put("a/b.bin", data)
        assert node.read_bytes() == data
        assert node.read("rb") == data
        with node.open("rb") as stream:
            assert stream.read() == data

    def test_an_empty_file_is_a_file(self, shelf: Shelf) -> None:
        if shelf.capabilities.path_is_content:
            pytest.skip("the backend declares 'path_is_content': an empty path is no file")
        node = shelf.put("empty.bin", b"")
        assert node.exists and node.isfile and not node.isdir
        assert node.size == 0
        assert node.read_bytes() == b""
        assert node.md5hash == hashlib.md5(b"", usedforsecurity=False).hexdigest()
        with node.open("rb") as stream:
            assert stream.read(1) == b""

    def test_a_large_file_comes_back_whole(self, shelf: Shelf, tmp_path: Path) -> None:
        block = hashlib.sha512(b"seed").digest()
        data = (block * (_LARGE // len(block) + 1))[:_LARGE]
        node = shelf.put("large.bin", data)
        assert node.size == _LARGE
        with node.open("rb") as stream:
            digest = hashlib.sha256()
            while chunk := stream.read(100_000):
                digest.update(chunk)
        assert digest.digest() == hashlib.sha256(data).digest()
        assert node._mount.read_bytes(node._path, _LARGE - 3) == data[-3:]
        target = tmp_path / "downloaded"
        node._mount.download(node._path, target)
        assert target.read_bytes() == data

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            *((0, None), (0, 4), (3, 7), (3, None), (9, 10), (9, None), (0, 10), (5, 5), (7, 3)),
            *((10, None), (10, 12), (8, 99), (50, 60), (50, None), (0, 0)),
        ],
    )
    def test_a_range_is_what_a_slice_would_be(
        self, shelf: Shelf, start: int, end: int | None
    ) -> None:
        node = shelf.put("digits.txt", _DIGITS)
        assert node._mount.read_bytes(node._path, start, end) == _DIGITS[start:end]

    def test_an_open_handle_can_seek_where_that_is_declared(self, shelf: Shelf) -> None:
        node = shelf.put("digits.txt", _DIGITS)
        with node.open("rb") as stream:
            assert stream.readable() and not stream.writable()
            if not shelf.capabilities.seek_support:
                assert not stream.seekable()
                with pytest.raises(io.UnsupportedOperation):
                    stream.seek(3)
                return
            assert stream.seekable()
            assert stream.seek(-2, io.SEEK_END) == 8
            assert stream.read() == b"89"
            assert stream.seek(3) == 3
            assert stream.read(2) == b"34"
            assert stream.tell() == 5
            assert stream.seek(2, io.SEEK_CUR) == 7
            assert stream.read(1) == b"7"
            stream.seek(100)
            assert stream.read() == b""

    @pytest.mark.parametrize(
        ("offset", "whence"), [(-1, io.SEEK_SET), (-1, io.SEEK_CUR), (-2, io.SEEK_END)]
    )
    def test_seeking_to_where_nothing_can_be_changes_nothing(
        self, shelf: Shelf, offset: int, whence: int
    ) -> None:
        if not shelf.capabilities.seek_support:
            pytest.skip("the backend does not declare 'seek_support'")
        # More than what a buffer holds, or the storage's stream is not where the reader is.
        data = _DIGITS * 100_000
        node = shelf.put("large.txt", data)
        with node.open("rb") as stream:
            assert stream.read(4) == b"0123"
            with pytest.raises(StorageValueError, match="seeking"):
                stream.seek(offset * len(data), whence)
            assert stream.tell() == 4
            assert stream.read() == data[4:]

    def test_a_handle_gives_what_file_objects_give(self, shelf: Shelf) -> None:
        node = shelf.put("lines.txt", b"one\ntwo\n\nlast")
        with node.open("rb") as stream:
            assert list(stream) == [b"one\n", b"two\n", b"\n", b"last"]
        with node._mount.open_read(node._path) as raw:
            assert raw.readline() == b"one\n"
            assert raw.read(3) == b"two"
            buffer = bytearray(4)
            assert raw.readinto(buffer) == 4
            assert bytes(buffer) == b"\n\nla"
        assert stream.closed
        with pytest.raises(ValueError, match="closed"):
            stream.read()

    def test_two_handles_do_not_share_a_position(self, shelf: Shelf) -> None:
        node = shelf.put("digits.txt", _DIGITS)
        with node.open("rb") as one, node.open("rb") as other:
            assert one.read(3) == b"012"
            assert other.read(5) == b"01234"
            assert one.read() == b"3456789"

    def test_text_mode_reads_every_kind_of_line_end(self, shelf: Shelf) -> None:
        node = shelf.put("lines.txt", b"a\r\nb\rc\n")
        assert node.read_text() == "a\nb\nc\n"
        with node.open("r") as stream:
            assert stream.read() == "a\nb\nc\n"
        with node.open("r", newline="") as stream:
            assert stream.read() == "a\r\nb\rc\n"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
    def test_text_is_decoded_as_asked(self, shelf: Shelf, encoding: str) -> None:
        node = shelf.put("text.txt", "gr\u00fc\u00df dich".encode(encoding))
        assert node.read_text(encoding) == "gr\u00fc\u00df dich"
        assert node.read("r", encoding) == "gr\u00fc\u00df dich"
        with node.open("r", encoding=encoding) as stream:
            assert stream.read() == "gr\u00fc\u00df dich"

    # -- what is said about a file ------------------------------------------------------------

    @pytest.mark.parametrize("size", [1, 511, 65_537])
    def test_the_size_is_the_length(self, shelf: Shelf, size: int) -> None:
        node = shelf.put("sized.bin", b"s" * size)
        assert node.size == size
        found = node.stat()
        assert found.size in (size, None)
        assert found.type == "file"
        assert found.path == node.path

    @pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "blake2b"])
    def test_a_digest_is_the_one_of_hashlib(self, shelf: Shelf, algorithm: str) -> None:
        data = b"to be hashed" * 1000
        node = shelf.put("hashed.bin", data)
        expected = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
        assert node.digest(algorithm) == expected
        if algorithm == "md5":
            assert node.md5hash == expected

    def test_the_modification_time_is_honest(self, shelf: Shelf) -> None:
        before = time.time()
        node = shelf.put("timed.txt")
        after = time.time()
        mtime = node.mtime
        if mtime is None:
            return
        assert isinstance(mtime, float)
        if not shelf.capabilities.path_is_content:  # a content of no place has no time of its own
            assert before - self.mtime_granularity <= mtime <= after + self.mtime_granularity

    def test_looking_and_reading_do_not_change_the_time(self, shelf: Shelf) -> None:
        node = shelf.put("timed.txt")
        first = node.stat()
        time.sleep(0.01)
        node.read_bytes()
        with node.open("rb") as stream:
            stream.read(1)
        assert node.stat() == first
        assert shelf.storage.node(node.fullpath).mtime == first.mtime

    def test_a_file_is_equal_to_what_has_its_content(self, shelf: Shelf) -> None:
        node = shelf.put("one.txt", b"same")
        assert node == shelf.put("two.txt", b"same")
        assert node != shelf.put("three.txt", b"else")

    # -- for tools that need a real path ------------------------------------------------------

    def test_local_path_gives_the_content(self, shelf: Shelf) -> None:
        node = shelf.put("local.txt", b"for a tool")
        with node.local_path("r") as path, open(path, "rb") as stream:
            assert stream.read() == b"for a tool"
        assert node.read_bytes() == b"for a tool"

    def test_a_data_uri_holds_the_content(self, shelf: Shelf) -> None:
        node = shelf.put("small.txt", b"abc")
        assert node.to_base64(mime="text/plain") == "data:text/plain;base64,YWJj"
        assert node.to_base64(include_uri=False) == "YWJj"

    def test_a_file_can_be_copied_to_another_mount(self, shelf: Shelf) -> None:
        shelf.storage.add_mount({"name": "beside", "type": "memory"})
        node = shelf.put("source.bin", b"take me")
        target = shelf.storage.node("beside:taken.bin")
        node.copy_to(target)
        assert target.read_bytes() == b"take me"
        assert node.read_bytes() == b"take me"
