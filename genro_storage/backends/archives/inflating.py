"""Decompression in bounded steps, the same for zip entries and for compressed tar archives."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from .tree import BrokenArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Decompressor",
    "Inflated",
    "decrypting",
    "open_gzip",
    "open_zlib",
    "open_zstd",
    "zip_decompressor",
    "zstd_module",
]

#: The most memory (bytes) that an archive's own header may ask for.
_MOST_MEMORY = 512 * 1024 * 1024
_STEP = 64 * 1024
#: bz2 raises a bare OSError. Nothing but data is at work where these are caught.
_CODEC_ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError)


class Decompressor(Protocol):
    """As the decompressors of the standard library do it."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the manners of the others."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        held = self._inner.unconsumed_tail
        return self._inner.decompress(held + data if held else data, max(0, max_length))

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def zstd_module() -> Any:
    """The standard library's zstd (Python 3.14), or the package with the same interface.

    ``ImportError`` that says what to install where there is neither.
    """
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        try:
            from backports import zstd
        except ImportError as error:
            raise ImportError(
                "the module 'backports.zstd' is not installed; install it with: "
                'pip install "genro-storage[zstd]"'
            ) from error
    return zstd


def open_zstd() -> Decompressor:
    """A decompressor of one zstd frame."""
    made: Decompressor = zstd_module().ZstdDecompressor()
    return made


def open_gzip() -> Decompressor:
    """A decompressor of one gzip member."""
    return _Zlib(31)


def open_zlib() -> Decompressor:
    """A decompressor of one zlib stream, which HTTP calls deflate."""
    return _Zlib(15)


def open_xz() -> Decompressor:
    """A decompressor of one xz stream, or of the older lzma format."""
    return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_MOST_MEMORY)


def zip_decompressor(method: int, size: int) -> Callable[[], Decompressor] | None:
    """What undoes a compression method of zip archives (APPNOTE 4.4.5); None for stored.

    ``io.UnsupportedOperation`` where there is none.
    """
    if method == 0:
        return None
    known: dict[int, Callable[[], Decompressor]] = {
        8: lambda: _Zlib(-15),
        12: bz2.BZ2Decompressor,
        14: lambda: _ZipLzma(size),
        20: open_zstd,
        93: open_zstd,
        95: open_xz,
    }
    if method not in known:
        import io

        name = {9: " (deflate64)", 1: " (shrink)", 6: " (implode)", 98: " (PPMd)"}.get(method, "")
        raise io.UnsupportedOperation(
            f"the compression method {method}{name} is not supported; a mount of the type "
            "'libarchive' may read it"
        )
    return known[method]


class _ZipLzma:
    """LZMA as zip archives have it: a header of its own in front (APPNOTE 5.8.8)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = b""
        self._inner: lzma.LZMADecompressor | None = None

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 9:
                return b""
            length, first, dictionary = struct.unpack_from("<2xHBL", self._head)
            if length != 5 or first >= 225:
                raise lzma.LZMAError("unknown properties")
            # More of a dictionary than there is content is never looked into.
            dictionary = min(dictionary, max(self._size, 4096), _MOST_MEMORY)
            options = {
                "id": lzma.FILTER_LZMA1,
                "dict_size": dictionary,
                "lc": first % 9,
                "lp": first // 9 % 5,
                "pb": first // 45,
            }
            self._inner = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options])
            data = self._head[9:]
        return self._inner.decompress(data, max_length)

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner is None or self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return b"" if self._inner is None else self._inner.unused_data


class Inflated:
    """The content of compressed pieces; never more than asked for at a time.

    ``several``: further streams may follow the first, as programs write them side by side.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        make: Callable[[], Decompressor],
        name: str,
        *,
        several: bool = False,
    ) -> None:
        self._pieces = pieces
        self._make = make
        self._name = name
        self._several = several
        self._current: Decompressor | None = None
        self._pending = b""
        self._begun = False
        self._ended = False

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes; none at the end. ``BrokenArchiveError``."""
        while not self._ended:
            if self._current is None and not self._begin():
                break
            current = self._current
            assert current is not None
            if current.eof:
                self._pending = current.unused_data
                self._current = None
                self._ended = not self._several
                continue
            last = False
            if current.needs_input and not self._pending:
                self._pending = next(self._pieces, b"")
                last = not self._pending
            data, self._pending = self._pending, b""
            result = self._decompress(current, data, max(count, 1))
            if result:
                return result
            if last and not current.eof:
                if self._closes_without_mark():
                    break
                raise BrokenArchiveError(f"{self._name} is cut short")
        self._ended = True
        return b""

    def _decompress(self, current: Decompressor, data: bytes, count: int) -> bytes:
        try:
            return current.decompress(data, count)
        except ImportError:
            raise
        except Exception as error:
            # The classes of the two zstd modules have nothing but their name in common.
            if not isinstance(error, _CODEC_ERRORS) and type(error).__name__ != "ZstdError":
                raise
            raise BrokenArchiveError(f"{self._name} is damaged: {error}") from error

    def _begin(self) -> bool:
        """Start the next stream, if there is one."""
        first = self._pending
        while True:
            if self._several and self._begun:
                first = first.lstrip(b"\0")  # padding between and after streams
            if first:
                break
            first = next(self._pieces, b"")
            if not first:
                return False
        self._begun = True
        self._pending = first
        self._current = self._make()
        return True

    def _closes_without_mark(self) -> bool:
        """Raw LZMA in a zip archive may end where its size says."""
        return isinstance(self._current, _ZipLzma)


def decrypting(pieces: Iterator[bytes], password: bytes, check: int, name: str) -> Iterator[bytes]:
    """Undo the traditional encryption of zip archives (APPNOTE 6.1); slow, and weak.

    ``check`` is the last byte of the twelve in front; ``PermissionError`` for a wrong password.
    """
    keys = (0x12345678, 0x23456789, 0x34567890)
    for byte in password:
        keys = _turn(keys, byte)
    head = b""
    for piece in pieces:
        plain = bytearray()
        for byte in piece:
            k = keys[2] | 2
            clear = byte ^ ((k * (k ^ 1)) >> 8 & 0xFF)
            keys = _turn(keys, clear)
            plain.append(clear)
        data = bytes(plain)
        if len(head) < 12:
            head += data
            if len(head) < 12:
                continue
            if head[11] != check:
                raise wrong_password(name)
            data = head[12:]
            head = head[:12]
        yield data


def wrong_password(name: str) -> PermissionError:
    """The error for an entry that the password does not open."""
    import errno

    return PermissionError(
        errno.EACCES, f"the entry {name!r} is encrypted with another password; check 'password'"
    )


def _turn(keys: tuple[int, int, int], byte: int) -> tuple[int, int, int]:
    first = _crc_step(keys[0], byte)
    second = ((keys[1] + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
    return first, second, _crc_step(keys[2], second >> 24)


def _crc_step(crc: int, byte: int) -> int:
    # zlib inverts before and after, which this cipher does not.
    return zlib.crc32(bytes((byte,)), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
