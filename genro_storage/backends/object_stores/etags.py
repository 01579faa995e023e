"""ETags of uploads in parts, made again from a local file. Pure, but for the reading of it.

Such an ETag is the MD5 of the MD5s of the parts, and their number. Where the file gives the same one
in parts of some usual size, it is the content; where it gives none, nothing is known.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["has_etag", "part_sizes"]

MIB = 1024 * 1024
_PARTS = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,4})", re.ASCII)
_PLAIN = re.compile(r"[0-9a-f]{32}", re.ASCII)
#: What tools take by default (rclone 5, boto and s3cmd 8 and 15, the console 16 and 17), MiB.
_USUAL = (5, 8, 10, 15, 16, 17, 20, 25, 32, 50, 64, 100, 128, 256, 512, 1024)
_MOST = 4
_BLOCK = 1024 * 1024


def part_sizes(size: int, count: int, hint: int | None = None) -> list[int]:
    """The sizes that parts of such an upload may have had, the likeliest first; at most four.

    >>> [each // MIB for each in part_sizes(21 * MIB, 3)]
    [8, 10, 7]
    """

    def fits(part: int) -> bool:
        return part > 0 and math.ceil(size / part) == count

    even = math.ceil(size / count)
    candidates = [
        *([hint] if hint else []),
        *(usual * MIB for usual in _USUAL),
        math.ceil(even / MIB) * MIB,
        even,
    ]
    return [part for part in dict.fromkeys(candidates) if fits(part)][:_MOST]


def has_etag(stream: BinaryIO, size: int, etag: str, hint: int | None = None) -> bool:
    """Whether a file surely has the content that an object with this ETag has.

    False where it has not, or where the ETag says nothing about the content. ``hint`` is the size
    of our own parts. Read once for each size that parts may have had.
    """
    found = _PARTS.fullmatch(etag)
    if found is None:
        return _PLAIN.fullmatch(etag) is not None and _digest(stream, size) == etag
    count = int(found[2])
    for part in part_sizes(size, count, hint):
        digests = hashlib.md5(usedforsecurity=False)
        stream.seek(0)
        for _ in range(count):
            digests.update(_part_digest(stream, part))
        if digests.hexdigest() == found[1]:
            return True
    return False


def _digest(stream: BinaryIO, size: int) -> str:
    stream.seek(0)
    return _part_digest(stream, size).hex()


def _part_digest(stream: BinaryIO, length: int) -> bytes:
    made = hashlib.md5(usedforsecurity=False)
    while length > 0 and (block := stream.read(min(length, _BLOCK))):
        made.update(block)
        length -= len(block)
    return made.digest()
