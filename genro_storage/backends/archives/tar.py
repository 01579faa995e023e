"""Tar archives as a mount, compressed or not: what they are is seen from their first bytes."""

from __future__ import annotations

import bz2
import errno
import io
import lzma
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..base import COPY_CHUNK
from .backend import ArchiveIndex
from .changes import Addition, Change
from .inflating import Decompressor, Inflated, open_gzip, open_xz, open_zstd, zstd_module
from .sources import RangeSource, Source, Spool, SpoolPart, SpoolSource
from .streams import EntryStream
from .tar_headers import BLOCK, TarEntry, encode_header, looks_like_tar, padded, read_entries
from .tree import Limits, Tree
from .writing import Sink, WritableArchive

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import Place
    from ..fsspec_write import Content
    from .tree import Entry

__all__ = ["TarBackend"]

_RECORD = 20 * BLOCK
#: How each compression begins.
_MAGIC: dict[str, bytes] = {
    "gz": b"\x1f\x8b",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\0",
    "zst": b"\x28\xb5\x2f\xfd",
    "lzma": b"\x5d\0\0",
}
_SUFFIXES: dict[str, str] = {
    **dict.fromkeys(("gz", "tgz", "taz"), "gz"),
    **dict.fromkeys(("bz2", "tbz", "tbz2", "tb2"), "bz2"),
    **dict.fromkeys(("xz", "txz"), "xz"),
    **dict.fromkeys(("lzma", "tlz"), "lzma"),
    **dict.fromkeys(("zst", "tzst"), "zst"),
}
_OPEN: dict[str, Callable[[], Decompressor]] = {
    "gz": open_gzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": open_xz,
    "lzma": open_xz,
    "zst": open_zstd,
}


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor(name: str) -> _Compressor:
    makers: dict[str, Callable[[], Any]] = {
        "gz": lambda: zlib.compressobj(wbits=31),
        "bz2": bz2.BZ2Compressor,
        "xz": lzma.LZMACompressor,
        "lzma": lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE),
        "zst": lambda: zstd_module().ZstdCompressor(),
    }
    made: _Compressor = makers[name]()
    return made


@dataclass(frozen=True)
class _Layout:
    """How the archive is compressed, where its entries end, and its content where that is needed."""

    compression: str | None = None
    end: int = 0
    spool: Spool | None = field(default=None)


class _Compressing:
    """A handle that compresses what passes."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink = sink
        self._compressor = _compressor(name)

    def write(self, data: memoryview) -> int:
        self._sink.write(self._compressor.compress(bytes(data)))
        return len(data)

    def finish(self) -> None:
        self._sink.write(self._compressor.flush())


class TarBackend(WritableArchive):
    """One tar archive. ``compression`` is that of an archive that is made."""

    kept_attributes: frozenset[str] = frozenset({"mtime", "mode"})

    def __init__(
        self,
        place: Place,
        limits: Limits,
        mount: str,
        *,
        writable: bool,
        compression: str | None = None,
    ) -> None:
        super().__init__(place, limits, mount, writable=writable)
        self._compression = compression

    # -- reading ------------------------------------------------------------------------------

    def _new(self) -> ArchiveIndex:
        compression = self._compression
        if compression is None:
            suffix = self._place.label.rpartition(".")[2].lower()
            compression = _SUFFIXES.get(suffix)
        elif compression == "none":
            compression = None
        return ArchiveIndex(Tree((), self._limits), _Layout(compression))

    def _load(self, source: Source) -> ArchiveIndex:
        if source.size == 0 and self._wanted:
            return self._new()  # what `touch` makes
        compression, spool = _compression_of(source), None
        if compression is not None:
            spool = self._unpack(source, compression)
            source = SpoolSource(spool)
        entries, end = read_entries(source, self._limits)
        total = sum(entry.stored for entry in entries)
        self._limits.check_total(total, source.size)
        return ArchiveIndex(Tree(entries, self._limits), _Layout(compression, end, spool))

    def _unpack(self, source: Source, compression: str) -> Spool:
        """The whole content, aside: a compressed archive has no other way to its middle."""
        spool = Spool()
        content = Inflated(
            source.pieces(0, source.size), _OPEN[compression], "the archive", several=True
        )
        while piece := content.read(COPY_CHUNK):
            spool.write(piece)
            self._limits.check_total(spool.size, source.size)
            self._limits.check_ratio("the whole archive", spool.size, source.size)
        return spool

    def _stream(
        self, index: ArchiveIndex, source: Source, entry: Any, *, whole: bool
    ) -> EntryStream:
        if entry.sparse:
            raise io.UnsupportedOperation(
                f"the entry {entry.name!r} is a sparse file, which this type of mount cannot read; "
                "mount the archive with 'type: libarchive'"
            )
        layout: _Layout = index.layout
        if layout.spool is not None:
            source.close()
            source = SpoolSource(layout.spool)
        elif whole and isinstance(source, RangeSource):
            source.prefetch(entry.data, entry.data + entry.stored)
        return EntryStream(source, entry.name, entry.stored, None, offset=entry.data)

    # -- writing ------------------------------------------------------------------------------

    def _check_name(self, path: str) -> None:
        """A pax header holds any name."""

    def _prepare(self, content: Content, packed: SpoolPart) -> SpoolPart:
        if isinstance(content, Path):
            with content.open("rb") as stream:
                while piece := stream.read(COPY_CHUNK):
                    packed.write(piece)
        else:
            packed.write(content)
        return packed

    def _compose(self, index: ArchiveIndex, source: Source, change: Change, sink: Sink) -> None:
        layout: _Layout = index.layout
        if layout.spool is not None:
            source = SpoolSource(layout.spool)
        _require_nothing_behind(source, layout.end)
        packed = None if layout.compression is None else _Compressing(sink, layout.compression)
        inner = sink if packed is None else Sink(packed)
        dropped = change.removed | set(index.tree.replaced)
        left = index.tree.count - len(change.removed)
        self._limits.check_count(left + len(change.added))
        copied = 0
        for entry in index.tree.entries:
            assert isinstance(entry, TarEntry)
            gone = entry in dropped
            anew = not gone and _changes(entry, change, dropped)
            if not (gone or anew):
                continue
            inner.copy(source, copied, entry.start)
            copied = entry.end
            if anew:
                _write_anew(entry, change, dropped, source, inner)
        inner.copy(source, copied, layout.end)
        for addition in change.added:
            _write_addition(addition, inner)
        inner.write(bytes(2 * BLOCK + -(inner.position + 2 * BLOCK) % _RECORD))
        if packed is not None:
            packed.finish()
            # What this mount would refuse to read back must not be written.
            self._limits.check_total(inner.position, sink.position)
            self._limits.check_ratio("the whole archive", inner.position, sink.position)


def _compression_of(source: Source) -> str | None:
    head = source.read_at(0, BLOCK)
    if looks_like_tar(head):
        return None
    found = (name for name, magic in _MAGIC.items() if head.startswith(magic))
    return next(found, None)


# -- writing the archive anew -------------------------------------------------------------------


def _require_nothing_behind(source: Source, end: int) -> None:
    """Refuse to write where something follows the end mark: that would be lost unseen."""
    for piece in source.pieces(end, source.size):
        if piece.count(0) != len(piece):
            raise OSError(
                errno.EINVAL,
                "more data follows the end mark of the tar archive, as where archives were put one "
                "behind another; make one archive of them before writing to it",
            )


def _changes(entry: TarEntry, change: Change, dropped: set[Entry]) -> bool:
    """Whether an entry that stays needs another header."""
    if entry in change.moved or entry in change.times:
        return True
    return entry.hard is not None and (entry.hard in dropped or entry.hard in change.moved)


def _write_anew(
    entry: TarEntry, change: Change, dropped: set[Entry], source: Source, sink: Sink
) -> None:
    name = change.moved.get(entry, entry.name)
    mtime = change.times.get(entry)
    content = entry
    flag, link = entry.flag, entry.link_name
    if entry.hard is not None:
        if entry.hard in dropped:
            # The content stays with the names that are left, as on a file system.
            content = _final(entry)
            flag, link = content.flag, content.link_name
        else:
            link = change.moved.get(entry.hard, link)
    if content.sparse:
        raise io.UnsupportedOperation(
            f"the entry {content.name!r} is a sparse file, which this type of mount cannot rename"
        )
    header = encode_header(name, flag, size=content.stored, mtime=mtime, link=link, like=entry)
    sink.write(header)
    sink.copy(source, content.data, content.data + padded(content.stored))


def _final(entry: TarEntry) -> TarEntry:
    while entry.hard is not None:
        assert isinstance(entry.hard, TarEntry)
        entry = entry.hard
    return entry


def _write_addition(addition: Addition, sink: Sink) -> None:
    like = addition.like if isinstance(addition.like, TarEntry) else None
    if addition.directory:
        sink.write(encode_header(addition.path, b"5", mtime=addition.mtime))
        return
    content: SpoolPart = addition.prepared
    sink.write(
        encode_header(
            addition.path,
            b"0",
            size=content.size,
            mtime=addition.mtime,
            mode=addition.mode if like is None else None,
            like=like,
        )
    )
    sink.take(content)
    sink.write(bytes(-content.size % BLOCK))
