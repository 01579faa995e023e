"""Archives in every compression that is read, and the many ways in which one byte of them is wrong."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from genro_storage.backends.archives.inflating import zstd_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["CONTENTS", "PACKERS", "UNCHECKED", "mount_kind", "packed", "variants"]

_RANDOM = random.Random(20)
#: Text that packs well, bytes that do not, next to nothing, and nothing.
CONTENTS: dict[str, bytes] = {
    "d/text.txt": b"".join(b"line %d of all work and no play\n" % n for n in range(400)),
    "noise.bin": _RANDOM.randbytes(6000),
    "d/e/one": b"1",
    "empty": b"",
}
#: What has no checksum of its contents: a wrong byte of them cannot be told.
UNCHECKED = {"tar", "tar.lzma", "cpio"}


def _zip(method: int, pack: Callable[[bytes], bytes]) -> bytes:
    """A zip archive with a method that the standard library does not write."""
    body, directory = b"", b""
    for name, data in CONTENTS.items():
        content, raw = pack(data), name.encode()
        fields = struct.pack(
            "<4H3L2H", 0, method, 0x6000, 0x5821, zlib.crc32(data), len(content), len(data),
            len(raw), 0,
        )  # fmt: skip
        directory += b"PK\1\2" + struct.pack("<2H", 0x314, 20) + fields
        directory += struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, len(body)) + raw
        body += b"PK\3\4" + struct.pack("<H", 20) + fields + raw + content
    count = len(CONTENTS)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + end


def _python_zip(method: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in CONTENTS.items():
            archive.writestr(name, data)
    return made.getvalue()


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, data in CONTENTS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def _by_libarchive(form: str, path: Path, compression: str | None = None) -> bytes:
    libarchive: Any = importlib.import_module("libarchive")
    options = "" if compression is None else f"compression={compression}"
    with libarchive.file_writer(str(path), form, options=options) as archive:
        for name, data in CONTENTS.items():
            archive.add_file_from_memory(name, len(data), data)
    return path.read_bytes()


PACKERS: dict[str, Callable[[Path], bytes]] = {
    "zip stored": lambda _: _python_zip(zipfile.ZIP_STORED),
    "zip deflate": lambda _: _python_zip(zipfile.ZIP_DEFLATED),
    "zip bz2": lambda _: _python_zip(zipfile.ZIP_BZIP2),
    "zip lzma": lambda _: _python_zip(zipfile.ZIP_LZMA),
    "zip xz": lambda _: _zip(95, lzma.compress),
    "zip zstd": lambda _: _zip(93, lambda data: zstd_module().compress(data)),
    "tar": lambda _: _tar(),
    "tar.gz": lambda _: gzip.compress(_tar()),
    "tar.bz2": lambda _: bz2.compress(_tar()),
    "tar.xz": lambda _: lzma.compress(_tar()),
    "tar.lzma": lambda _: lzma.compress(_tar(), lzma.FORMAT_ALONE),
    # As the program zstd does it, and other than the library by default.
    "tar.zst": lambda _: zstd_module().compress(
        _tar(), options={zstd_module().CompressionParameter.checksum_flag: 1}
    ),
    "7z lzma": lambda path: _by_libarchive("7zip", path, "lzma1"),
    "7z bzip2": lambda path: _by_libarchive("7zip", path, "bzip2"),
    "7z deflate": lambda path: _by_libarchive("7zip", path, "deflate"),
    "7z copy": lambda path: _by_libarchive("7zip", path, "store"),
    "cpio": lambda path: _by_libarchive("cpio_newc", path),
    "xar": lambda path: _by_libarchive("xar", path),
}


def mount_kind(kind: str) -> str:
    """The type of mount that reads it."""
    first = kind.replace(".", " ").split()[0]
    return first if first in ("zip", "tar") else "libarchive"


def packed(kind: str, path: Path) -> bytes:
    """The archive; ``path`` is a file that may be used on the way."""
    return PACKERS[kind](path)


def variants(whole: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(what was done, the damaged archive): cut short, or with bytes that are others."""
    chance = random.Random(seed)
    # The outer parts are what the formats say about themselves, the middle is content.
    edges = [*range(min(80, len(whole))), *range(max(0, len(whole) - 420), len(whole))]
    for number in range(count):
        at = chance.choice(edges) if number % 2 else chance.randrange(len(whole))
        how = number // 2 % 4
        if how == 0:
            yield f"cut at {at}", whole[:at]
        elif how == 1:
            bit = 1 << chance.randrange(8)
            yield f"bit {bit} at {at}", whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
        elif how == 2:
            value = chance.choice((0, 255, 128, 127))
            yield f"byte {value} at {at}", whole[:at] + bytes([value]) + whole[at + 1 :]
        else:
            length = chance.randrange(1, 5)
            noise = chance.randbytes(length)
            yield f"{noise!r} at {at}", whole[:at] + noise + whole[at + length :]
