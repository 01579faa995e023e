"""Zip archives as a mount: read in place, written anew and swapped in whole."""

from __future__ import annotations

import errno
import io
import itertools
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import COPY_CHUNK
from .backend import ArchiveIndex
from .changes import Addition, Change
from .inflating import Inflated, decrypting, zip_decompressor
from .sources import RangeSource, Source
from .streams import EntryStream
from .tree import BrokenArchiveError, Limits, Tree
from .writing import Sink, WritableArchive
from .zip_directory import (
    ENCRYPTED,
    LOCAL,
    Central,
    ZipDirectory,
    ZipEntry,
    end_records,
    read_directory,
    require_room,
    time_fields,
    without_times,
)
from .zip_names import UNIX, renamed, without_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import SecretStr

    from ..context import Place
    from ..fsspec_write import Content
    from .sources import SpoolPart
    from .streams import Decoder

__all__ = ["ZipBackend"]

_AES = 99
_STRONG = 0x40
_STREAMED = 0x8
_LONGEST_LINK = 65_536
#: How much of itself a content must shrink to for being compressed.
_WORTH = 0.98
_LONGEST_NAME = 65_535 - 1  # a directory's has a slash at its end


@dataclass(frozen=True)
class _Prepared:
    """A content as it will lie in the archive."""

    method: int
    crc: int
    size: int
    packed: SpoolPart


class ZipBackend(WritableArchive):
    """One zip archive. ``encoding`` is that of names without the UTF-8 flag, None what fits."""

    kept_attributes: frozenset[str] = frozenset({"mtime", "mode"})

    def __init__(
        self,
        place: Place,
        limits: Limits,
        mount: str,
        *,
        writable: bool,
        create: bool = True,
        encoding: str | None = None,
        password: SecretStr | None = None,
    ) -> None:
        super().__init__(place, limits, mount, writable=writable, create=create)
        self._encoding = encoding
        self._password = password

    # -- reading ------------------------------------------------------------------------------

    def _new(self) -> ArchiveIndex:
        return ArchiveIndex(Tree((), self._limits), ZipDirectory())

    def _load(self, source: Source) -> ArchiveIndex:
        if source.size == 0 and self._wanted:
            return self._new()  # what `touch` makes
        directory = read_directory(source, self._limits, self._encoding)
        for entry in directory.entries:
            if entry.type == "link":
                entry.link = self._read_link(source, entry)
        return ArchiveIndex(Tree(directory.entries, self._limits), directory)

    def _read_link(self, source: Source, entry: ZipEntry) -> str | None:
        """Where a symbolic link leads, which is its content; None where that cannot be read."""
        if entry.central.size > _LONGEST_LINK:
            return None
        try:
            stream = self._content(source, entry, owned=False)
            return stream.readall().decode("utf-8", "surrogateescape")
        except (BrokenArchiveError, PermissionError, io.UnsupportedOperation):
            return None

    def _stream(
        self, index: ArchiveIndex, source: Source, entry: Any, *, whole: bool
    ) -> EntryStream:
        if whole and isinstance(source, RangeSource):
            source.prefetch(entry.start, entry.end)
        return self._content(source, entry)

    def _content(self, source: Source, entry: ZipEntry, *, owned: bool = True) -> EntryStream:
        central = entry.central
        self._limits.check_ratio(entry.name, central.size, central.compressed)
        start = _content_start(source, entry)
        encrypted = bool(central.flags & ENCRYPTED)
        if central.method == _AES or central.flags & _STRONG:
            raise PermissionError(
                errno.EACCES,
                f"the entry {entry.name!r} is encrypted with AES, which this type of mount cannot "
                "read; mount the archive with 'type: libarchive' and 'password'",
            )
        if encrypted and self._password is None:
            raise PermissionError(
                errno.EACCES, f"the entry {entry.name!r} is encrypted; add 'password'"
            )
        make = zip_decompressor(central.method, central.size)
        end = start + central.compressed
        if make is None and not encrypted:
            if central.size != central.compressed:
                raise BrokenArchiveError(
                    f"the entry {entry.name!r} is damaged: it has two different sizes"
                )
            return EntryStream(
                source, entry.name, central.size, None, offset=start, crc=central.crc, owned=owned
            )

        def decode() -> Decoder:
            pieces = source.pieces(start, end)
            if encrypted:
                pieces = self._decrypted(pieces, entry)
            if make is None:
                return _Pieces(pieces)
            return Inflated(pieces, make, f"the entry {entry.name!r}")

        return EntryStream(
            source,
            entry.name,
            central.size,
            decode,
            crc=central.crc,
            owned=owned,
            encrypted=encrypted,
        )

    def _decrypted(self, pieces: Iterator[bytes], entry: ZipEntry) -> Iterator[bytes]:
        assert self._password is not None
        central = entry.central
        # Where the CRC was not known yet, the time stands in for it.
        check = central.time >> 8 if central.flags & _STREAMED else central.crc >> 24
        secret = self._password.get_secret_value().encode()
        return decrypting(pieces, secret, check, entry.name)

    # -- writing ------------------------------------------------------------------------------

    def _check_name(self, path: str) -> None:
        if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
            raise OSError(errno.ENAMETOOLONG, "a path in a zip archive has 65534 bytes at most")

    def _prepare(self, content: Content, packed: SpoolPart) -> _Prepared:
        pieces = _pieces_of(content)
        first = next(pieces, b"")
        # What does not shrink at its start (a photo, an archive) is not worth the time.
        shrinks = len(zlib.compress(first, wbits=-15)) < _WORTH * len(first)
        packer = zlib.compressobj(wbits=-15) if shrinks else None
        crc = size = 0
        for piece in itertools.chain((first,), pieces):
            crc = zlib.crc32(piece, crc)
            size += len(piece)
            packed.write(piece if packer is None else packer.compress(piece))
        if packer is None:
            return _Prepared(0, crc, size, packed)
        packed.write(packer.flush())
        # What this mount would refuse to read back must not be written.
        self._limits.check_ratio("the content", size, packed.size)
        return _Prepared(8, crc, size, packed)

    def _compose(self, index: ArchiveIndex, source: Source, change: Change, sink: Sink) -> None:
        directory: ZipDirectory = index.layout
        dropped = change.removed | set(index.tree.replaced)
        kept = [each for each in directory.entries if each not in dropped]
        left = index.tree.count - len(change.removed)
        self._limits.check_count(max(len(kept), left) + len(change.added))
        _copy_front(directory, source, sink)
        placed = _copy_entries(kept, source, change, sink)
        records = [placed[entry][0].encode(placed[entry][1]) for entry in kept]
        for addition in change.added:
            central = _central_of(addition)
            records.append(central.encode(sink.position))
            sink.write(central.encode_local())
            if addition.prepared is not None:
                sink.take(addition.prepared.packed)
        start = sink.position
        for record in records:
            sink.write(record)
        # What this mount would refuse to read back must not be written.
        self._limits.check_directory(sink.position - start)
        sizes = [placed[entry][0].size for entry in kept]
        sizes += [each.prepared.size for each in change.added if each.prepared is not None]
        self._limits.check_total(sum(sizes), start)
        sink.write(end_records(len(records), start, sink.position - start, directory.comment))


class _Pieces:
    """Pieces as a decoder that changes nothing."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, count: int) -> bytes:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = piece
        data, self._held = self._held[:count], self._held[count:]
        return data


def _content_start(source: Source, entry: ZipEntry) -> int:
    """Where the content begins: behind a second header, which must be about the same entry."""
    central = entry.central
    wanted = LOCAL.size + len(central.name)
    head = source.read_at(entry.start, wanted, entry.end)
    if len(head) < wanted or head[:4] != b"PK\3\4":
        raise BrokenArchiveError(
            f"the entry {entry.name!r} is damaged: it is not where the directory says"
        )
    fields = LOCAL.unpack_from(head)
    if head[LOCAL.size :] != central.name or fields[-2] != len(central.name):
        raise BrokenArchiveError(
            f"the entry {entry.name!r} is damaged: it bears two different names"
        )
    if fields[3] != central.method or (fields[2] ^ central.flags) & ENCRYPTED:
        raise BrokenArchiveError(
            f"the entry {entry.name!r} is damaged: it is described in two different ways"
        )
    start = entry.start + wanted + int(fields[-1])
    if start + central.compressed > entry.end:
        raise BrokenArchiveError(
            f"the entry {entry.name!r} overlaps another one: the zip archive is damaged, or made "
            "to grow without bound"
        )
    return start


def _pieces_of(content: Content) -> Iterator[bytes]:
    if isinstance(content, Path):
        with content.open("rb") as stream:
            while piece := stream.read(COPY_CHUNK):
                yield piece
    else:
        for start in range(0, len(content), COPY_CHUNK):
            yield content[start : start + COPY_CHUNK]


# -- writing the archive anew -------------------------------------------------------------------


def _copy_front(directory: ZipDirectory, source: Source, sink: Sink) -> None:
    """Keep the program in front of a self-extracting archive."""
    first = min((each.start for each in directory.entries), default=directory.start)
    if first and source.read_at(0, 2) != b"PK":  # rather than the remains of a removed entry
        sink.copy(source, 0, first)


def _copy_entries(
    kept: Iterable[ZipEntry], source: Source, change: Change, sink: Sink
) -> dict[ZipEntry, tuple[Central, int]]:
    """Take over what stays, byte for byte; the new record and place of each."""
    placed: dict[ZipEntry, tuple[Central, int]] = {}
    run_start = run_end = 0
    for entry in sorted(kept, key=lambda each: each.start):
        path, mtime = change.moved.get(entry), change.times.get(entry)
        if path is None and mtime is None:
            if entry.start != run_end:
                sink.copy(source, run_start, run_end)
                run_start = entry.start
            placed[entry] = (entry.central, sink.position + entry.start - run_start)
            run_end = entry.end
            continue
        sink.copy(source, run_start, run_end)
        run_start = run_end = entry.end
        placed[entry] = (_changed(entry.central, entry, path, mtime), sink.position)
        _copy_changed(entry, placed[entry][0], source, mtime, sink)
    sink.copy(source, run_start, run_end)
    return placed


def _changed(central: Central, entry: ZipEntry, path: str | None, mtime: float | None) -> Central:
    """The record under another name or with another time."""
    if path is not None:
        central = renamed(central, path, directory=entry.type == "directory")
    if mtime is not None:
        clock, date, extra = time_fields(mtime)
        if _is_checked_by_time(central):
            clock, date = central.time, central.date
        extra += without_times(central.extra)
        central = replace(central, time=clock, date=date, extra=extra)
    return central


def _is_checked_by_time(central: Central) -> bool:
    """Whether the time is what a password is checked by, so that it must stay."""
    return bool(central.flags & ENCRYPTED and central.flags & _STREAMED)


def _copy_changed(
    entry: ZipEntry, central: Central, source: Source, mtime: float | None, sink: Sink
) -> None:
    """An entry whose header says something else now; its content as it is.

    ``BrokenArchiveError`` where the header is damaged: a new one must not hide that.
    """
    content = _content_start(source, entry)
    head = source.read_exactly(entry.start, LOCAL.size)
    (signature, needed, _, method, clock, date, crc, packed, size, name_length, extra_length) = (
        LOCAL.unpack(head)
    )
    behind = entry.start + LOCAL.size + name_length
    extra = without_name(source.read_exactly(behind, extra_length))
    if mtime is not None:
        extra = time_fields(mtime)[2] + without_times(extra)
        clock, date = central.time, central.date
    require_room(central.name, extra)
    sink.write(
        LOCAL.pack(
            signature, needed, central.flags, method, clock, date, crc, packed, size,
            len(central.name), len(extra),
        )
        + central.name + extra
    )  # fmt: skip
    sink.copy(source, content, entry.end)


def _central_of(addition: Addition) -> Central:
    """The record of a new entry; a file that replaces another keeps its permissions."""
    clock, date, extra = time_fields(addition.mtime)
    prepared: _Prepared | None = addition.prepared
    mode = (0o040755 if addition.directory else 0o100644) << 16
    if addition.mode is not None:
        mode = (0o100000 | addition.mode & 0o777) << 16
    central = Central(
        system=UNIX,
        made_by=20,
        needed=20,
        flags=0,
        method=0 if prepared is None else prepared.method,
        time=clock,
        date=date,
        crc=0 if prepared is None else prepared.crc,
        compressed=0 if prepared is None else prepared.packed.size,
        size=0 if prepared is None else prepared.size,
        internal=0,
        external=mode | (0x10 if addition.directory else 0),
        offset=0,
        name=b"",
        extra=extra,
        comment=b"",
    )
    like = addition.like
    if isinstance(like, ZipEntry):
        old = like.central
        # Of a link only the content is replaced, and that is what it leads to.
        central.system, central.made_by, central.external = old.system, old.made_by, old.external
        central.comment = old.comment
    return renamed(central, addition.path, directory=addition.directory)
