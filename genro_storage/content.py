"""What can be made of content, wherever it lies: digests, MIME types, data URIs, differences, zip.

Nothing here knows a mount or a node: streams and values go in, values and chunks come out.
"""

from __future__ import annotations

import base64
import difflib
import functools
import hashlib
import math
import mimetypes
import re
import stat
import struct
import time
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from .exceptions import StorageIOError, StorageValueError
from .paths import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from hashlib import _Hash

__all__ = [
    "ZipEntry",
    "data_uri",
    "decode_text",
    "digest",
    "is_algorithm",
    "mimetype",
    "new_hash",
    "safe_names",
    "unified_diff_lines",
    "zip_stream",
]

_BLOCK = 1024 * 1024


# -- digests ------------------------------------------------------------------------------------


def new_hash(algorithm: str = "md5") -> _Hash:
    """An empty hash object; ``StorageValueError`` for a name that ``hashlib`` does not offer."""
    # FIPS builds refuse md5 unless told that it protects nothing: here it only compares content.
    try:
        made = hashlib.new(algorithm, usedforsecurity=False)
    except (ValueError, TypeError) as error:
        known = ", ".join(sorted(name for name in hashlib.algorithms_guaranteed if _fixed(name)))
        raise StorageValueError(
            f"unknown digest algorithm {algorithm!r}; available: {known}"
        ) from error
    if not made.digest_size:
        raise StorageValueError(
            f"digest algorithm {algorithm!r} needs a length, so it names no single digest; "
            "use a fixed one such as 'sha3_256' or 'blake2b'"
        )
    return made


def digest(stream: BinaryIO, algorithm: str = "md5") -> str:
    """The digest of the rest of a binary stream, as lowercase hex, read 1 MiB at a time.

    >>> import io
    >>> digest(io.BytesIO(b"abc"))
    '900150983cd24fb0d6963f7d28e17f72'
    """
    made = new_hash(algorithm)
    while block := stream.read(_BLOCK):
        made.update(block)
    return made.hexdigest()


def is_algorithm(name: str) -> bool:
    """Whether ``digest`` can make it."""
    return name in hashlib.algorithms_available and _fixed(name)


def _fixed(algorithm: str) -> bool:
    return not algorithm.startswith("shake_")


# -- MIME types and data URIs -------------------------------------------------------------------

_DEFAULT_TYPE = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument."

# Beats the standard library's table, which differs between Python versions. A compressed file is
# named after its compression, because that is what its bytes are (`a.tar.gz` is gzip, not tar).
_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".aac": "audio/aac",
    ".apng": "image/apng",
    ".avif": "image/avif",
    ".bz2": "application/x-bzip2",
    ".css": "text/css",
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": _OFFICE + "wordprocessingml.document",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".ics": "text/calendar",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".jxl": "image/jxl",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/opus",
    ".otf": "font/otf",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": _OFFICE + "presentationml.presentation",
    ".py": "text/x-python",
    ".rar": "application/vnd.rar",
    ".rst": "text/x-rst",
    ".rtf": "application/rtf",
    ".sql": "application/sql",
    ".svg": "image/svg+xml",
    ".svgz": "application/gzip",
    ".tar": "application/x-tar",
    ".tbz2": "application/x-bzip2",
    ".tgz": "application/gzip",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".toml": "application/toml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".txz": "application/x-xz",
    ".wasm": "application/wasm",
    ".wav": "audio/x-wav",
    ".weba": "audio/webm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": _OFFICE + "spreadsheetml.sheet",
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}


@functools.cache
def _table() -> dict[str, str]:
    """The standard library's own types under ours; the machine's mime.types never count."""
    strict = mimetypes.MimeTypes().types_map[True]
    return {**strict, **_TYPES}


def mimetype(name: str) -> str:
    """The MIME type by the extension of a name or path, ``application/octet-stream`` otherwise.

    The answer is the same on every machine. Never raises.

    >>> mimetype("report.PDF"), mimetype("unknown")
    ('application/pdf', 'application/octet-stream')
    """
    name = name.rpartition("/")[2]
    dot = name.rfind(".")
    if dot <= 0 or dot == len(name) - 1:  # as `pathlib` has it, in a tenth of the time
        return _DEFAULT_TYPE
    suffix = name[dot:].lower()
    return _TYPES.get(suffix) or _table().get(suffix, _DEFAULT_TYPE)


def data_uri(data: bytes, mime: str) -> str:
    """``data`` as a ``data:`` URI in base64 (RFC 2397).

    >>> data_uri(b"hi", "text/plain")
    'data:text/plain;base64,aGk='
    """
    if not re.fullmatch(r"[!-+\-.0-~]+/[!-+\--~]+", mime):
        raise StorageValueError(f"{mime!r} is not a MIME type for a data URI; say e.g. 'image/png'")
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


# -- differences --------------------------------------------------------------------------------


def decode_text(data: bytes, name: str) -> str:
    """UTF-8 text for a diff; ``StorageValueError`` where ``data`` is not text."""
    if b"\x00" in data:
        raise StorageValueError(f"Cannot diff {name}: it is binary (contains NUL bytes)", node=name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StorageValueError(
            f"Cannot diff {name}: it is binary, or text that is not UTF-8 (byte {error.start})",
            node=name,
        ) from error


def unified_diff_lines(a_text: str, b_text: str, from_name: str, to_name: str) -> Iterator[str]:
    r"""The unified diff, line by line, each with its line end; nothing for equal texts.

    >>> print("".join(unified_diff_lines("a\nb\n", "a\nc\n", "old", "new")), end="")
    --- old
    +++ new
    @@ -1,2 +1,2 @@
     a
    -b
    +c
    """
    for line in difflib.unified_diff(_lines(a_text), _lines(b_text), from_name, to_name):
        # patch(1) takes a last line without a line end only with this remark.
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    # str.splitlines would also break at form feeds and U+2028, which are no line ends in a patch.
    return re.findall(r"[^\n]*\n|[^\n]+", text)


# -- zip ----------------------------------------------------------------------------------------

_CHUNK = 256 * 1024
_FIRST = 315_532_800.0  # 1980-01-01T00:00:00Z
_LAST = 4_354_819_198.0  # 2107-12-31T23:59:58Z: what the format's dates can say
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_TRAPS = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udfff]")


class ZipEntry(NamedTuple):
    """One member of an archive: a file, or a directory where ``name`` ends in ``/``.

    ``open`` is called once, when the entry's turn comes; never for a directory. ``mtime`` is in
    seconds since the epoch (UTC), None where unknown; ``size`` in bytes, None where unknown.
    """

    name: str
    open: Callable[[], BinaryIO]
    mtime: float | None = None
    size: int | None = None


def zip_stream(
    entries: Iterable[ZipEntry], compression: int = zipfile.ZIP_DEFLATED
) -> Iterator[bytes]:
    """A zip archive in chunks, made while the entries are read; memory stays bounded.

    Names are made safe and unique (``safe_names``). Dates are UTC; an unknown one is 1980-01-01,
    the first that the format knows. An error of an entry's stream comes out as it is, and leaves
    the archive without its directory, so that nobody can take a part for the whole.
    """
    if compression not in _COMPRESSIONS:
        raise StorageValueError(
            f"unknown zip compression {compression!r}; use zipfile.ZIP_DEFLATED"
        )
    return _zip_chunks(entries, compression)


def _zip_chunks(entries: Iterable[ZipEntry], compression: int) -> Iterator[bytes]:
    sink = _Sink()
    names = _Names()
    # The sink cannot seek, so zipfile writes data descriptors behind the entries.
    archive = zipfile.ZipFile(cast("BinaryIO", sink), "w", compression)
    for entry in entries:
        name = names.safe(entry.name)
        if name is None:
            continue
        info = _zip_info(name, entry.mtime, compression)
        if info.is_dir():
            archive.writestr(info, b"")
        else:
            if entry.size is not None:
                info.file_size = entry.size
            # Sizes stand in 32 bits unless announced otherwise before the first byte.
            wide = entry.size is None or entry.size >= 2**31 - 1
            with entry.open() as source, archive.open(info, "w", force_zip64=wide) as member:
                while block := source.read(_CHUNK):
                    try:
                        member.write(block)
                    except RuntimeError as error:
                        raise _grown(name) from error
                    if sink.size >= _CHUNK:
                        yield sink.take()
        if sink.size >= _CHUNK:
            yield sink.take()
    archive.close()
    yield sink.take()


def _grown(name: str) -> StorageIOError:
    return StorageIOError(
        f"zip: {name!r} grew beyond 4 GiB while it was being read; "
        "its size was announced as less. Try again when nobody writes to it"
    )


def _zip_info(name: str, mtime: float | None, compression: int) -> zipfile.ZipInfo:
    known = mtime is not None and not math.isnan(mtime)
    seconds = min(max(cast("float", mtime), _FIRST), _LAST) if known else _FIRST
    info = zipfile.ZipInfo(name, time.gmtime(seconds)[:6])
    info.compress_type = compression
    info.create_system = 3  # Unix: the upper half of external_attr holds the mode
    if name.endswith("/"):
        info.compress_type = zipfile.ZIP_STORED
        info.external_attr = (stat.S_IFDIR | 0o755) << 16 | 0x10
    else:
        info.external_attr = (stat.S_IFREG | 0o644) << 16
    if known and seconds < 2**31:
        # Info-ZIP's extended timestamp: the other date has no time zone and even seconds only.
        info.extra = struct.pack("<HHBl", 0x5455, 5, 1, int(seconds))
    return info


class _Sink:
    """Where zipfile writes: it cannot seek, and gives away what it holds."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return data


def safe_names(names: Iterable[str]) -> Iterator[str]:
    r"""Names that no unpacker can be led astray by, and no two alike.

    Relative, without ``..``, backslashes, drive letters or control characters; a name that is
    taken gets `` (2)`` before its suffix. A directory's name ends in ``/``; a repeated directory
    is left out.

    >>> list(safe_names(["/etc/x.txt", "etc/x.txt", "a/../../evil", "C:\\x"]))
    ['etc/x.txt', 'etc/x (2).txt', 'a/_/_/evil', 'C__x']
    """
    made = _Names()
    for name in names:
        safe = made.safe(name)
        if safe is not None:
            yield safe


class _Names:
    """What is taken already. A directory may be shared; a file and a directory may not."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._directories: dict[str, str] = {}
        self._announced: set[str] = set()
        self._next: dict[str, int] = {}

    def safe(self, name: str) -> str | None:
        """The name to use, or None for a directory that is in the archive already."""
        # Far below the format's 65,535 bytes, so that no " (2)" can lead beyond them.
        if len(name.encode("utf-8", "replace")) > 60_000:
            raise StorageValueError(f"zip: a name of more than 60,000 bytes: {name[:60]!r}…")
        parts = [_safe_part(part) for part in name.split("/") if part not in ("", ".")]
        if not name.endswith("/"):
            *above, last = parts or ["file"]
            return self._unique(join(self._directory(above), last))
        wanted = "/".join(parts)
        if not wanted or wanted in self._announced:
            return None
        self._announced.add(wanted)
        return self._directory(parts) + "/"

    def _directory(self, parts: list[str]) -> str:
        wanted = made = ""
        for part in parts:
            wanted = join(wanted, part)
            known = self._directories.get(wanted)
            if known is None:
                known = self._directories[wanted] = self._unique(join(made, part))
            made = known
        return made

    def _unique(self, wanted: str) -> str:
        candidate = wanted
        if candidate in self._taken:
            last = PurePosixPath(wanted)
            stem = wanted[: len(wanted) - len(last.suffix)]
            number = self._next.get(wanted, 2)
            while (candidate := f"{stem} ({number}){last.suffix}") in self._taken:
                number += 1
            self._next[wanted] = number + 1
        self._taken.add(candidate)
        return candidate


def _safe_part(part: str) -> str:
    safe = _TRAPS.sub("_", part)
    # Python 3.12 takes any one character before a colon for a drive.
    if safe[1:2] == ":":
        safe = f"{safe[0]}_{safe[2:]}"
    # Windows drops dots and spaces at the end of a name, so ".. " is ".." there.
    return safe if safe.strip(". ") else "_"
