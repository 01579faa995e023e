"""The names in a zip archive: how they are encoded, and which bytes stand for a new one."""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .zip_directory import Central

__all__ = [
    "MODE_SYSTEMS",
    "UNIX",
    "extra_fields",
    "is_guess",
    "name_of",
    "plain_in",
    "renamed",
    "without_name",
]

#: The flag of a name that is UTF-8.
UTF8 = 0x800
#: Systems on which a backslash separates names: FAT, OS/2, NTFS, VFAT.
_BACKSLASH_SYSTEMS = (0, 6, 10, 11, 14)
#: Systems that keep the mode in the upper half of the external attributes: Unix, macOS.
UNIX, MODE_SYSTEMS = 3, (3, 19)
_READ_ONLY = 0x01  # of the attributes of DOS
#: What stands for itself in every encoding that is accepted. The backslash and the tilde do not:
#: Japanese and Korean ones have other signs in their places, and control characters may shift.
_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b"\\~")
#: Extra fields: Info-ZIP's name in UTF-8; and one of this library, on a name that is what Unix has
#: and neither UTF-8 nor in any other encoding. Both hold the CRC of the name that they are about.
_UNICODE_PATH, _BYTES = 0x7075, 0x6E67


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(kind, data, both with their header); what is no field passes as kind -1."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if at + 4 + length > len(extra):
            break
        yield kind, extra[at + 4 : at + 4 + length], extra[at : at + 4 + length]
        at += 4 + length
    if at < len(extra):
        yield -1, extra[at:], extra[at:]


def plain_in(encoding: str) -> bool:
    """Whether text in this encoding has the letters of ASCII where ASCII has them.

    The names that are written without a mark, because they need none, must be read as they were.
    """
    sample = bytes(sorted(_PLAIN))
    try:
        return sample.decode(encoding, "surrogateescape") == sample.decode("ascii")
    except (LookupError, UnicodeError):  # an encoding of bytes to bytes, or one that cannot do this
        return False


def renamed(central: Central, path: str, *, directory: bool) -> Central:
    """The record under a name that this library gives, which will be read as it was given.

    It is marked as UTF-8 unless that makes no difference, loses the other name that it may have in
    an extra field, and is said to come from Unix unless it is ASCII: from other systems a backslash
    separates names, and Info-ZIP's unzip takes them for cp850 whatever the mark says.
    What is no UTF-8 is not marked, since Python's zipfile refuses the archive for that: it is as
    Info-ZIP's programs have it, the bytes of Unix, with a field that tells it from cp437.
    """
    name = path.encode("utf-8", "surrogateescape") + (b"/" if directory else b"")
    flags, extra = central.flags & ~UTF8, without_name(central.extra)
    if not _is_utf8(name):
        extra += struct.pack("<2HL", _BYTES, 4, zlib.crc32(name))
    elif not _PLAIN.issuperset(name):
        flags |= UTF8
    central = replace(central, name=name, flags=flags, extra=extra)
    if not _PLAIN.issuperset(name) and central.system in _BACKSLASH_SYSTEMS:
        mode = 0o040755 if directory else 0o100644
        if central.external & _READ_ONLY and not directory:
            mode = 0o100444
        central.system, central.external = UNIX, mode << 16 | central.external & 0xFFFF
    return central


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def name_of(central: Central, encoding: str | None) -> str:
    """The name of an entry; ``encoding`` is that of names that nothing says to be UTF-8."""
    raw = central.name
    if central.flags & UTF8:
        name = raw.decode("utf-8", "surrogateescape")
    else:
        name = _unmarked(raw, central.system, encoding)
        for kind, data, _ in extra_fields(central.extra):
            # Info-ZIP's name, valid as long as nobody has changed the other one.
            about = int.from_bytes(data[1:5], "little")
            if kind == _UNICODE_PATH and data[:1] == b"\1" and about == zlib.crc32(raw):
                name = data[5:].decode("utf-8", "surrogateescape")
            elif kind == _BYTES and data == struct.pack("<L", zlib.crc32(raw)):
                name = raw.decode("utf-8", "surrogateescape")
    if central.system in _BACKSLASH_SYSTEMS and "\\" in name and "/" not in name:
        name = name.replace("\\", "/")
    return name


def is_guess(central: Central) -> bool:
    """Whether the name is UTF-8 for no other reason than that it can be, without ``encoding``."""
    raw = central.name
    if central.flags & UTF8 or central.system not in MODE_SYSTEMS or raw.isascii():
        return False
    return _is_utf8(raw) and name_of(central, "cp437") == raw.decode("cp437")


def _unmarked(raw: bytes, system: int, encoding: str | None) -> str:
    """A name that nothing says to be UTF-8."""
    if encoding is None:
        if system in MODE_SYSTEMS:
            with contextlib.suppress(UnicodeDecodeError):
                return raw.decode("utf-8")
        encoding = "cp437"
    try:
        return raw.decode(encoding, "surrogateescape")
    except UnicodeError:  # escapes that mean nothing, in an encoding that has such
        return raw.decode("ascii", "surrogateescape")


def without_name(extra: bytes) -> bytes:
    """The extra field without what is about the name before a change."""
    return b"".join(
        raw for kind, _, raw in extra_fields(extra) if kind not in (_UNICODE_PATH, _BYTES)
    )
