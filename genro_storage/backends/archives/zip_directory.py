"""The central directory of a zip archive: read strictly, written back faithfully (APPNOTE 6.3)."""

from __future__ import annotations

import errno
import functools
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...info import EntryType
from .tree import BrokenArchiveError, Entry, Limits
from .zip_names import MODE_SYSTEMS, extra_fields, is_guess, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .sources import Source

__all__ = [
    "ENCRYPTED",
    "LOCAL",
    "Central",
    "ZipDirectory",
    "ZipEntry",
    "end_records",
    "read_directory",
    "require_room",
    "time_fields",
    "without_times",
]

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s4B4H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")

_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
ENCRYPTED = 0x1
_ZIP64, _NTFS, _TIMES = 0x0001, 0x000A, 0x5455
_NTFS_EPOCH = 11_644_473_600  # seconds from 1601 to 1970


@dataclass(slots=True)
class Central:
    """The fields of one record of the central directory, with 64-bit sizes."""

    system: int
    made_by: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed: int
    size: int
    internal: int
    external: int
    offset: int
    name: bytes
    extra: bytes  # without the zip64 field
    comment: bytes

    def encode(self, offset: int) -> bytes:
        """The record for an entry that begins at ``offset`` now."""
        wide: list[int] = []
        fields: list[int] = []
        for value in (self.size, self.compressed, offset):
            if value >= _FULL32:
                wide.append(value)
            fields.append(min(value, _FULL32))
        extra = self.extra
        if wide:
            extra = struct.pack(f"<2H{len(wide)}Q", _ZIP64, 8 * len(wide), *wide) + extra
        needed = max(self.needed, 45) if wide else self.needed
        require_room(self.name, extra)
        return (
            _CENTRAL.pack(
                b"PK\1\2", self.made_by, self.system, needed & 0xFF, needed >> 8,
                self.flags, self.method, self.time, self.date,
                self.crc, fields[1], fields[0],
                len(self.name), len(extra), len(self.comment), 0, self.internal,
                self.external, fields[2],
            )
            + self.name + extra + self.comment
        )  # fmt: skip

    def encode_local(self) -> bytes:
        """The header in front of the content, whose sizes are known."""
        sizes, extra = (self.compressed, self.size), self.extra
        needed = self.needed
        if max(sizes) >= _FULL32:
            extra = struct.pack("<2H2Q", _ZIP64, 16, self.size, self.compressed) + extra
            sizes, needed = (_FULL32, _FULL32), max(needed, 45)
        require_room(self.name, extra)
        return (
            LOCAL.pack(
                b"PK\3\4", needed, self.flags, self.method, self.time, self.date,
                self.crc, *sizes, len(self.name), len(extra),
            )
            + self.name + extra
        )  # fmt: skip


def require_room(name: bytes, extra: bytes) -> None:
    """``OSError`` for what the fields of a header cannot count: a directory may get a long name."""
    if len(name) > _FULL16:
        raise OSError(
            errno.ENAMETOOLONG, f"a path in a zip archive has 65534 bytes at most: {name[:40]!r}..."
        )
    if len(extra) > _FULL16:
        raise OSError(
            errno.E2BIG, f"the extra field of the entry {name!r} has no room for what must be added"
        )


class ZipEntry(Entry):
    """One entry, its record, and the part of the file that belongs to it."""

    __slots__ = ("central", "end", "start")

    def __init__(self, central: Central, name: str, start: int) -> None:
        kind = _kind(central, name)
        size = central.size if kind == "file" else None
        super().__init__(name, kind, size, _mtime(central))
        self.central: Central = central
        self.start: int = start
        self.end: int = start


@dataclass(slots=True)
class ZipDirectory:
    """Everything but the contents. ``start`` is where the central directory begins."""

    entries: list[ZipEntry] = field(default_factory=list)
    comment: bytes = b""
    start: int = 0


def read_directory(source: Source, limits: Limits, encoding: str | None) -> ZipDirectory:
    """Read and check the central directory; ``encoding`` is that of names without a flag.

    None stands for cp437, which the format prescribes (APPNOTE 6.3, appendix D), and for UTF-8 where
    a program on Unix wrote the name and it is UTF-8: Info-ZIP's ``zip`` marks nothing.

    Raises ``BrokenArchiveError``, ``ArchiveLimitError``.
    """
    tail_start = max(0, source.size - _END.size - _FULL16)
    # In two steps: most archives have no comment, and small directories come along.
    near = max(0, source.size - 64 * 1024)
    tail = source.read_exactly(near, source.size - near)
    found = _find_end(tail)
    if found < 0 and tail_start < near:
        tail = source.read_exactly(tail_start, near - tail_start) + tail
        near, found = tail_start, _find_end(tail)
    if found < 0:
        raise BrokenArchiveError(
            "this is no zip archive, or its end is missing" if source.size else "the file is empty"
        )
    (_, disk, first_disk, here, count, size, offset, length) = _END.unpack_from(tail, found)
    comment = tail[found + _END.size : found + _END.size + length]
    end = near + found
    declared = count
    wide = _read_end64(source, end, (disk, first_disk, here, count, size, offset))
    if wide is not None:
        end, disk, first_disk, here, declared, size, offset = wide
    if disk != first_disk or disk != 0 or here != declared:
        raise BrokenArchiveError("a zip archive in several parts cannot be read; join them first")
    start = end - size
    before = start - offset  # a program in front, of a self-extracting archive
    if start < 0 or before < 0:
        raise BrokenArchiveError("the zip archive is cut short, or its directory is damaged")
    limits.check_directory(size)
    raw = source.read_exactly(start, size)
    entries = list(_parse(raw, before, encoding, limits))
    # The narrow field counts only to 65535, and some programs let it run over.
    if len(entries) & _FULL16 != declared & _FULL16:
        raise BrokenArchiveError("the directory of the zip archive is damaged: entries are missing")
    if encoding is None:
        _tell_apart(entries)
    _measure(entries, start)
    limits.check_total(sum(each.central.size for each in entries), source.size)
    return ZipDirectory(entries, comment, start)


def _tell_apart(entries: list[ZipEntry]) -> None:
    """Give names that are guessed, and another entry's too, as the format says: both must be seen.

    A writer drops what another entry of the same name has replaced.
    """
    guessed = {number for number, entry in enumerate(entries) if is_guess(entry.central)}
    if not guessed:
        return
    sure = {entry.name for number, entry in enumerate(entries) if number not in guessed}
    for number in guessed:
        entry = entries[number]
        if entry.name in sure:
            entries[number] = ZipEntry(entry.central, name_of(entry.central, "cp437"), entry.start)


def _find_end(tail: bytes) -> int:
    """Where the end record is: one whose comment ends the file, or else the last one."""
    fallback = -1
    found = tail.rfind(b"PK\5\6")
    while found >= 0:
        if len(tail) - found >= _END.size:
            (length,) = struct.unpack_from("<H", tail, found + 20)
            rest = len(tail) - found - _END.size - length
            if rest == 0:
                return found
            if rest > 0 and fallback < 0:
                fallback = found
        found = tail.rfind(b"PK\5\6", 0, found + 3)
    return fallback


def _read_end64(source: Source, end: int, narrow: tuple[int, ...]) -> tuple[int, ...] | None:
    """The wide end record: (its offset, disk, first disk, entries here, all, size, offset).

    Some programs write one long before ``narrow`` needs it (Python: from 2 GiB on), so it is looked
    for always. Where it is not needed it counts only if it says the same, apart from fields that ran
    over: a comment may look like it.
    """
    needed = _FULL16 in narrow[:4] or _FULL32 in narrow[4:]
    at = end - _LOCATOR.size
    if at < 0:
        return None
    signature, _, declared, disks = _LOCATOR.unpack(source.read_exactly(at, _LOCATOR.size))
    if signature != b"PK\6\7":
        return None
    if needed and disks > 1:
        raise BrokenArchiveError("a zip archive in several parts cannot be read; join them first")
    # The declared place is wrong where a program stands in front.
    for place in (declared, at - _END64.size):
        if not 0 <= place <= at - _END64.size:
            continue
        record = _END64.unpack(source.read_exactly(place, _END64.size))
        cut = (*(each & _FULL16 for each in record[4:8]), *(each & _FULL32 for each in record[8:]))
        if record[0] == b"PK\6\6" and (needed or cut == narrow):
            return (place, *record[4:])
    if needed:
        raise BrokenArchiveError("the directory of the zip archive is damaged")
    return None


def _parse(raw: bytes, before: int, encoding: str | None, limits: Limits) -> Iterator[ZipEntry]:
    at = count = 0
    while at < len(raw):
        if len(raw) - at < _CENTRAL.size or raw[at : at + 4] != b"PK\1\2":
            # A digital signature, which nobody checks, may follow the records.
            if raw[at : at + 4] == b"PK\5\5":
                return
            raise BrokenArchiveError("the directory of the zip archive is damaged")
        (
            _, made_by, system, needed, needed_high, flags, method, clock, date, crc, compressed,
            size, name_length, extra_length, comment_length, disk, internal, external, offset,
        ) = _CENTRAL.unpack_from(raw, at)  # fmt: skip
        at += _CENTRAL.size
        name = raw[at : at + name_length]
        extra = raw[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length
        comment = raw[at : at + comment_length]
        at += comment_length
        if at > len(raw):
            raise BrokenArchiveError("the directory of the zip archive is damaged")
        count += 1
        limits.check_count(count)
        kept, wide = _take_zip64(extra)
        size, wide = _widen(size, wide)
        compressed, wide = _widen(compressed, wide)
        offset, wide = _widen(offset, wide)
        if disk not in (0, _FULL16):
            raise BrokenArchiveError(
                "a zip archive in several parts cannot be read; join them first"
            )
        central = Central(
            system, made_by, needed | needed_high << 8, flags, method, clock, date, crc,
            compressed, size, internal, external, offset, name, kept, comment,
        )  # fmt: skip
        yield ZipEntry(central, name_of(central, encoding), offset + before)


def _take_zip64(extra: bytes) -> tuple[bytes, bytes]:
    """The extra field without its zip64 part, and that part."""
    kept, wide = b"", b""
    for kind, data, raw in extra_fields(extra):
        if kind == _ZIP64:
            wide = data
        else:
            kept += raw
    return kept, wide


def _widen(value: int, wide: bytes) -> tuple[int, bytes]:
    if value != _FULL32 or not wide:
        return value, wide
    if len(wide) < 8:
        raise BrokenArchiveError("the directory of the zip archive is damaged")
    return int.from_bytes(wide[:8], "little"), wide[8:]


def _kind(central: Central, name: str) -> EntryType:
    mode = central.external >> 16 if central.system in MODE_SYSTEMS else 0
    kind = mode & 0o170000
    if name.endswith("/") or kind == 0o040000 or (central.external & 0x10 and not kind):
        return "directory"
    if kind == 0o120000:
        return "link"
    return "file" if kind in (0, 0o100000) else "other"


def _mtime(central: Central) -> float | None:
    """The most exact time there is; the one that everybody writes has no zone and is local."""
    found: float | None = None
    for kind, data, _ in extra_fields(central.extra):
        if kind == _NTFS and len(data) >= 16 and data[4:8] == b"\1\0\x18\0":
            ticks = int.from_bytes(data[8:16], "little")
            if ticks:
                return ticks / 1e7 - _NTFS_EPOCH
        if kind == _TIMES and len(data) >= 5 and data[0] & 1:
            found = float(struct.unpack_from("<l", data, 1)[0])
    if found is not None:
        return found
    return _local_time(central.date, central.time)


@functools.lru_cache(maxsize=4096)
def _local_time(date: int, clock: int) -> float | None:
    month, day = date >> 5 & 15, date & 31
    if not (1 <= month <= 12 and day >= 1):
        return None
    parts = ((date >> 9) + 1980, month, day, clock >> 11, clock >> 5 & 63, (clock & 31) * 2)
    try:
        return time.mktime((*parts, 0, 0, -1))
    except (OverflowError, ValueError):
        return None


def _measure(entries: list[ZipEntry], directory: int) -> None:
    """Find out what belongs to each entry, and refuse what would be read twice."""
    end = directory
    for entry in sorted(entries, key=lambda each: each.start, reverse=True):
        least = LOCAL.size + len(entry.central.name) + entry.central.compressed
        if entry.start < 0 or entry.start + least > end:
            raise BrokenArchiveError(
                f"the entry {entry.name!r} overlaps another one: the zip archive is damaged, or "
                "made to grow without bound"
            )
        entry.end = end
        end = entry.start


def time_fields(mtime: float) -> tuple[int, int, bytes]:
    """(time, date, extra field) of a moment, as exact as zip archives can say it."""
    extra = b""
    if -(2**31) <= mtime < 2**31:
        extra = struct.pack("<2HBl", _TIMES, 5, 1, int(mtime // 1))
    if mtime % 1 or not extra:
        ticks = max(0, round((mtime + _NTFS_EPOCH) * 1e7))
        if ticks < 2**64:
            extra += struct.pack("<2HL2H3Q", _NTFS, 32, 0, 1, 24, ticks, ticks, ticks)
    try:
        local = time.localtime(mtime)
    except (OverflowError, OSError, ValueError):
        return 0, 33, extra
    if not 1980 <= local.tm_year <= 2107:
        return 0, 33, extra
    date = (local.tm_year - 1980) << 9 | local.tm_mon << 5 | local.tm_mday
    return local.tm_hour << 11 | local.tm_min << 5 | local.tm_sec // 2, date, extra


def without_times(extra: bytes) -> bytes:
    """The extra field without what says when."""
    return b"".join(raw for kind, _, raw in extra_fields(extra) if kind not in (_TIMES, _NTFS))


def end_records(count: int, start: int, size: int, comment: bytes) -> bytes:
    """What follows a central directory of ``count`` records that begins at ``start``."""
    wide = b""
    if count >= _FULL16 or start >= _FULL32 or size >= _FULL32:
        wide = _END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
        wide += _LOCATOR.pack(b"PK\6\7", 0, start + size, 1)
    return (
        wide
        + _END.pack(
            b"PK\5\6", 0, 0, min(count, _FULL16), min(count, _FULL16),
            min(size, _FULL32), min(start, _FULL32), len(comment),
        )
        + comment
    )  # fmt: skip
