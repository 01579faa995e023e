"""What our uploads keep among the user metadata, under names that rclone reads and writes too. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...info import Checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MD5",
    "MD5_SIZE",
    "MD5_SIZE_PLAIN",
    "MTIME",
    "KeptChecksum",
    "decimal",
    "digest_text",
    "internal",
    "kept_checksum",
    "kept_metadata",
    "kept_mtime",
    "md5_digest",
    "md5_text",
    "refuse_internal",
    "rfc3339",
    "shown",
    "sized_checksum",
]

#: The time of the last modification, in decimal seconds (S3) or as RFC 3339 has it (others).
MTIME = "mtime"
#: Bytes that hashlib digests without letting other threads in, and of contents that are worth it.
_ALONE = 2047
_AT_A_STRETCH = 16 * 1024
#: The MD5 of the whole content, in base64.
MD5 = "md5chksum"
#: How many bytes that content has: a program that takes the metadata along to another content is
#: found out by it. Ours alone; rclone neither writes nor minds it.
MD5_SIZE = "md5chksum-size"
#: The same for services that take no dash in a name.
MD5_SIZE_PLAIN = "md5chksum_size"

_SECONDS = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_SIZE = re.compile(r"[0-9]{1,15}", re.ASCII)
_SIZES = (MD5_SIZE, MD5_SIZE_PLAIN)
_OURS = (MTIME, MD5, *_SIZES)


def decimal(mtime: float) -> str:
    """Seconds since the epoch as rclone writes them on S3.

    >>> decimal(1700000000.25), decimal(7.0)
    ('1700000000.25', '7')
    """
    return f"{mtime:.6f}".rstrip("0").rstrip(".")


def rfc3339(mtime: float) -> str:
    """The same as rclone writes it elsewhere.

    >>> rfc3339(1700000000.25)
    '2023-11-14T22:13:20.250000Z'
    """
    whole = math.floor(mtime)
    micro = round((mtime - whole) * 1_000_000)
    whole, micro = (whole + 1, 0) if micro == 1_000_000 else (whole, micro)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text.zfill(19)}.{micro:06}Z"


def kept_mtime(metadata: Mapping[str, str] | None) -> float | None:
    """The time that was kept, in either notation; None where there is none.

    >>> kept_mtime({"Mtime": "1700000000.25"}), kept_mtime({"mtime": "2023-11-14T22:13:20.25Z"})
    (1700000000.25, 1700000000.25)
    """
    text = _value(metadata, MTIME)
    if text is None:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1] + found[3].upper())
    except ValueError:  # a 13th month
        return None
    return moment.timestamp() + float(found[2] or 0)


def kept_checksum(metadata: Mapping[str, str] | None, size: int | None = None) -> Checksum | None:
    """The MD5 that was kept; None where there is none, or it is of a content of another ``size``.

    >>> ours = {"md5chksum": "kAFQmDzST7DWlj99KOF/cg==", "md5chksum-size": "3"}
    >>> kept_checksum(ours, 3)
    Checksum(algorithm='md5', hexdigest='900150983cd24fb0d6963f7d28e17f72')
    >>> kept_checksum(ours, 4)
    """
    of = _size_of(metadata)
    if size is not None and of is not None and of != size:
        return None
    text = _value(metadata, MD5)
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Checksum("md5", digest.hex()) if len(digest) == 16 else None


class KeptChecksum(Checksum):
    """A checksum that nobody but the uploader answers for: ask before something depends on it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(Checksum(*self))


def sized_checksum(metadata: Mapping[str, str] | None, size: int) -> KeptChecksum | None:
    """As ``kept_checksum``, only where it is said to be of a content of this ``size``.

    >>> sized_checksum({"md5chksum": "kAFQmDzST7DWlj99KOF/cg=="}, 3)
    """
    found = kept_checksum(metadata, size)
    return None if found is None or _size_of(metadata) is None else KeptChecksum(*found)


def _size_of(metadata: Mapping[str, str] | None) -> int | None:
    found = (_value(metadata, name) for name in _SIZES)
    return next((int(text) for text in found if text and _SIZE.fullmatch(text)), None)


def md5_digest(data: bytes) -> bytes:
    """The MD5 of a content.

    ``hashlib`` lets other threads run while it digests more than 2,047 bytes: with many threads,
    getting the interpreter back takes longer than to digest a few thousand.

    >>> md5_digest(b"abc").hex()
    '900150983cd24fb0d6963f7d28e17f72'
    """
    if len(data) > _AT_A_STRETCH:
        return hashlib.md5(data, usedforsecurity=False).digest()
    view = memoryview(data)
    made = hashlib.md5(view[:_ALONE], usedforsecurity=False)
    for start in range(_ALONE, len(data), _ALONE):
        made.update(view[start : start + _ALONE])
    return made.digest()


def md5_text(data: bytes) -> str:
    """What is kept of a content: its MD5, in base64.

    >>> md5_text(b"abc")
    'kAFQmDzST7DWlj99KOF/cg=='
    """
    return digest_text(md5_digest(data))


def kept_metadata(digest: bytes, size: int, size_name: str = MD5_SIZE) -> dict[str, str]:
    """What is kept with a content of this MD5 and size.

    >>> kept_metadata(bytes(16), 3)
    {'md5chksum': 'AAAAAAAAAAAAAAAAAAAAAA==', 'md5chksum-size': '3'}
    """
    return {MD5: digest_text(digest), size_name: str(size)}


def digest_text(digest: bytes) -> str:
    """The same, where it is known already."""
    return binascii.b2a_base64(digest, newline=False).decode("ascii")


def _value(metadata: Mapping[str, str] | None, key: str) -> str | None:
    return next((value for name, value in (metadata or {}).items() if name.lower() == key), None)


def internal(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """What is among the metadata for our own sake; not what somebody else has meant by its name."""
    found: dict[str, str] = {}
    for name, value in (metadata or {}).items():
        lower = name.lower()
        if (
            (lower == MTIME and kept_mtime({name: value}) is not None)
            or (lower == MD5 and kept_checksum({name: value}) is not None)
            or (lower in _SIZES and _SIZE.fullmatch(value))
        ):
            found[name] = value
    return found


def shown(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """The user metadata without what is ours.

    >>> shown({"colour": "blue", "mtime": "1700000000.25"})
    {'colour': 'blue'}
    """
    hidden = internal(metadata)
    return {name: value for name, value in (metadata or {}).items() if name not in hidden}


def refuse_internal(metadata: Mapping[str, str]) -> None:
    """``ValueError`` for keys that would be taken for ours."""
    for name in metadata:
        if name.lower() in _OURS:
            raise ValueError(
                f"the metadata key {name!r} is kept for the library's own use; "
                + ("write(mtime=...) sets it" if name.lower() == MTIME else "choose another")
            )
