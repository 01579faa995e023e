"""The headers of a tar archive, read strictly: v7, ustar, GNU and pax (POSIX.1-2001)."""

from __future__ import annotations

import math
import tarfile
from typing import TYPE_CHECKING

from .tree import BrokenArchiveError, Entry, Limits, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...info import EntryType
    from .sources import Source

__all__ = ["BLOCK", "TarEntry", "encode_header", "looks_like_tar", "padded", "read_entries"]

BLOCK = 512
#: The most bytes of one extended header, which is read into memory.
_MOST_EXTENDED = 16 * 1024 * 1024
_ZEROS = bytes(BLOCK)
_KINDS: dict[bytes, EntryType] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "file",
    b"2": "link",
    b"3": "other",
    b"4": "other",
    b"5": "directory",
    b"6": "other",
    b"D": "directory",
}
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
#: What the fields of a header say, so that it must not be said again in a pax record.
_FIELDS = ("path", "linkpath", "size", "mtime", "uid", "gid", "uname", "gname")


class TarEntry(Entry):
    """One entry: its fields, and the part of the archive that belongs to it."""

    __slots__ = (
        "data",
        "device",
        "end",
        "flag",
        "gid",
        "gname",
        "link_name",
        "mode",
        "pax",
        "sparse",
        "start",
        "stored",
        "uid",
        "uname",
    )

    flag: bytes
    mode: int
    uid: int
    gid: int
    uname: str
    gname: str
    device: tuple[int, int]
    link_name: str
    pax: dict[str, str]
    sparse: bool
    start: int
    data: int
    stored: int
    end: int


def padded(size: int) -> int:
    """``size`` bytes as whole blocks."""
    return -(-size // BLOCK) * BLOCK


def looks_like_tar(block: bytes) -> bool:
    """Whether an archive may begin with this block."""
    return len(block) == BLOCK and (block == _ZEROS or _is_sum_right(block))


def _is_sum_right(block: bytes) -> bool:
    try:
        wanted = _number(block[148:156])
    except ValueError:
        return False
    plain = sum(block) - sum(block[148:156]) + 8 * 32
    if wanted == plain:
        return True
    # Old programs counted signed bytes.
    return wanted == plain - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False)
        bits = 8 * len(field) - 1
        return value - (1 << bits + 1) if field[0] == 0xFF else value - (1 << bits)
    text = field.split(b"\0", 1)[0].strip(b" ")
    if not text:
        return 0
    if not text.isdigit():
        raise ValueError("no octal number")
    return int(text, 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


class _Reader:
    """One pass over the headers."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._shared: dict[str, str] = {}  # of global pax headers
        self._seen: dict[str, TarEntry] = {}
        self._at = 0

    def entries(self) -> Iterator[TarEntry]:
        count = 0
        while (entry := self._next()) is not None:
            count += 1
            self._limits.check_count(count)
            self._resolve(entry)
            yield entry

    @property
    def end(self) -> int:
        """Behind the last entry, once all are read."""
        return self._at

    def _broken(self, what: str) -> BrokenArchiveError:
        return BrokenArchiveError(f"the tar archive {what} (at byte {self._at})")

    def _block(self) -> bytes | None:
        """The next header, None at the end."""
        block = self._source.read_at(self._at, BLOCK)
        if block == _ZEROS:
            if self._source.read_at(self._at + BLOCK, BLOCK).strip(b"\0") and self._goes_on():
                raise self._broken("is damaged: a header is lost, zeros are in its place")
            return None
        if len(block) < BLOCK:
            raise self._broken("is cut short: its end mark is missing")
        if not _is_sum_right(block):
            if self._at == 0:
                raise BrokenArchiveError("this is no tar archive")
            raise self._broken("is damaged: the checksum of a header is wrong")
        return block

    def _goes_on(self) -> bool:
        """Whether headers follow one block of zeros, where two are the end.

        Other programs end there too: what follows may be something else, as where a tape was used
        before.
        """
        for piece in self._source.pieces(self._at + BLOCK, self._source.size):
            for at in range(0, len(piece), BLOCK):
                block = piece[at : at + BLOCK]
                if block[257:262] == b"ustar" and len(block) == BLOCK and _is_sum_right(block):
                    return True
        return False

    def _extended(self, block: bytes) -> bytes:
        size = self._size(block)
        if size > _MOST_EXTENDED:
            raise self._broken("is damaged: an extended header is too large")
        data = self._source.read_at(self._at + BLOCK, size)
        if len(data) != size:
            raise self._broken("is cut short")
        self._at += BLOCK + padded(size)
        return data

    def _size(self, block: bytes) -> int:
        try:
            size = _number(block[124:136])
        except ValueError:
            size = -1
        if size < 0:
            raise self._broken("is damaged: a size is no number")
        return size

    def _next(self) -> TarEntry | None:
        start = self._at
        records: dict[str, str] = {}
        name = link = None
        while True:
            block = self._block()
            if block is None:
                if start != self._at:
                    raise self._broken("is cut short: an entry has no header")
                return None
            flag = block[156:157]
            if flag in (b"x", b"X"):
                records.update(self._records(self._extended(block)))
            elif flag == b"g":
                self._shared.update(self._records(self._extended(block)))
                start = self._at  # it is about all that follow, whatever becomes of the next
            elif flag == b"L":
                name = _text(self._extended(block))
            elif flag == b"K":
                link = _text(self._extended(block))
            elif flag == b"V":
                self._at += BLOCK  # a label of the volume
                start = self._at
            elif flag == b"M":
                raise self._broken("is one of several parts; join them first")
            else:
                return self._entry(block, start, {**self._shared, **records}, name, link, records)

    def _records(self, data: bytes) -> dict[str, str]:
        """The records of a pax header: ``length key=value`` and a line end."""
        found: dict[str, str] = {}
        at = 0
        while at < len(data) and data[at] != 0:
            digits, space, _ = data[at : at + 20].partition(b" ")
            if not space or not digits.isdigit():
                raise self._broken("is damaged: an extended header is wrong")
            length = int(digits)
            record = data[at + len(digits) + 1 : at + length]
            key, equals, value = record.partition(b"=")
            if length < len(digits) + 3 or not equals or not value.endswith(b"\n"):
                raise self._broken("is damaged: an extended header is wrong")
            found[key.decode("utf-8", "surrogateescape")] = value[:-1].decode(
                "utf-8", "surrogateescape"
            )
            at += length
        return found

    def _entry(
        self,
        block: bytes,
        start: int,
        known: dict[str, str],
        name: str | None,
        link: str | None,
        own: dict[str, str],
    ) -> TarEntry:
        flag = block[156:157]
        if name is None:
            name = _text(block[:100])
            prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
            name = f"{prefix}/{name}" if prefix else name
        name = known.get("GNU.sparse.name", known.get("path", name))
        kind = _KINDS.get(flag, "file")
        if kind == "file" and flag != b"1" and name.endswith("/"):
            kind = "directory"  # as v7 wrote them
        size = _integer(known.get("size"), self._size(block))
        stored = 0 if flag in _WITHOUT_DATA else size
        self._at += BLOCK
        sparse = flag == b"S" or any(key.startswith("GNU.sparse.") for key in known)
        if flag == b"S":
            size = self._skip_map(block)
        size = _integer(known.get("GNU.sparse.realsize", known.get("GNU.sparse.size")), size)
        mtime = _moment(known.get("mtime"), block)
        entry = TarEntry(name, kind, size if kind == "file" else None, mtime)
        entry.flag, entry.sparse, entry.start = flag, sparse, start
        entry.data, entry.stored = self._at, stored
        entry.mode = _field(block, 100, 108) & 0o7777
        entry.uid = _integer(known.get("uid"), _field(block, 108, 116))
        entry.gid = _integer(known.get("gid"), _field(block, 116, 124))
        entry.uname = known.get("uname", _text(block[265:297]))
        entry.gname = known.get("gname", _text(block[297:329]))
        entry.device = (_field(block, 329, 337), _field(block, 337, 345))
        entry.link_name = known.get("linkpath", _text(block[157:257]) if link is None else link)
        entry.pax = own
        self._at += padded(stored)
        entry.end = self._at
        return entry

    def _skip_map(self, block: bytes) -> int:
        """Step over the further blocks that say where the content of a sparse file lies."""
        more = block[482]
        while more:
            further = self._source.read_at(self._at, BLOCK)
            if len(further) < BLOCK:
                raise self._broken("is cut short")
            self._at += BLOCK
            more = further[504]
        return _field(block, 483, 495)

    def _resolve(self, entry: TarEntry) -> None:
        """Find out what a link leads to, as far as what precedes it can say."""
        if entry.flag == b"2":
            entry.link = entry.link_name
        elif entry.flag == b"1":
            path = safe_path(entry.link_name)
            target = None if path is None else self._seen.get(path)
            if target is None or target.type == "directory":
                entry.type, entry.size = "link", None
            else:
                entry.hard, entry.type, entry.size = target, target.type, target.size
        path = safe_path(entry.name)
        if path is not None:
            self._seen[path] = entry


def read_entries(source: Source, limits: Limits) -> tuple[list[TarEntry], int]:
    """All entries in order, and where they end; ``BrokenArchiveError``."""
    reader = _Reader(source, limits)
    entries = list(reader.entries())
    return entries, reader.end


def _field(block: bytes, start: int, end: int) -> int:
    """A number that nothing depends on: 0 where it is none."""
    try:
        return max(0, _number(block[start:end]))
    except ValueError:
        return 0


def _integer(text: str | None, otherwise: int) -> int:
    if text is None or len(text) > 20 or not (text.isascii() and text.isdigit()):
        return otherwise
    return int(text)


def _moment(text: str | None, block: bytes) -> float | None:
    if text is not None:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
    try:
        return float(_number(block[136:148]))
    except (ValueError, OverflowError):
        return None


def encode_header(
    name: str,
    flag: bytes,
    *,
    size: int = 0,
    mtime: float | None = None,
    mode: int | None = None,
    link: str = "",
    like: TarEntry | None = None,
) -> bytes:
    """A pax header; ``like`` gives owner, mode and whatever else is not said.

    ``BrokenArchiveError`` where what it gives fits no header.
    """
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = flag, size, link
    info.mode = 0o755 if flag == b"5" else 0o644
    if like is not None:
        info.mode, info.uid, info.gid = like.mode, like.uid, like.gid
        info.uname, info.gname = like.uname, like.gname
        info.devmajor, info.devminor = like.device
        info.pax_headers = {
            key: value
            for key, value in like.pax.items()
            if key not in _FIELDS and not key.startswith("GNU.sparse.")
        }
    if mode is not None:
        info.mode = mode & 0o7777
    moment = (like.mtime if like is not None else None) if mtime is None else mtime
    # Whole seconds need no extended header; a time before 1970 does.
    info.mtime = 0 if moment is None else int(moment) if moment == int(moment) else moment
    try:
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    except ValueError as error:  # a number or a text of the old header that none can hold
        raise BrokenArchiveError(f"the header of the entry {name!r} is damaged: {error}") from error
