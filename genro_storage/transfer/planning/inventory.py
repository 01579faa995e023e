"""The objects of a bucket as its S3 Inventory lists them: a listing that takes no LIST requests."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import heapq
import io
import json
import logging
import pickle
import tempfile
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from ...exceptions import StorageIOError, StorageValueError
from ...info import FileInfo
from ...paths import is_addressable, join, parent_of
from ..place import Place

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from ...node import StorageNode

__all__ = ["Inventory"]

_log = logging.getLogger("genro_storage")

#: Objects that are sorted in memory at a time: about 60 MB.
_RUN = 200_000
#: Runs that are merged at a time, each of which is an open file.
_FAN = 64
_BLOCK = 1000

_NEEDED = ("Key", "Size")

#: Key, size in bytes, time in seconds, ETag.
_Object = tuple[str, int | None, float | None, str | None]
_key = itemgetter(0)


class Inventory:
    """The current objects of a bucket by one report of S3 Inventory (CSV), in key order.

    ``manifest`` is the node of its ``manifest.json``, on any mount. ``prefix`` is the key prefix at
    which the mount begins whose listing this is to be: paths are relative to it. Can be iterated
    over again and again, in constant memory: the report, which is in no order, is sorted in files
    in ``directory`` (by default the system's for temporary ones), of about 120 bytes an object.

    Iterating raises ``StorageIOError`` where a file of the report is not what the manifest says::

        inventory = Inventory(storage.node("reports:photos/daily/2026-11-01T01-00Z/manifest.json"))
        storage.node("photos:").plan_copy("backup:", listing=inventory)
    """

    def __init__(
        self,
        manifest: StorageNode | Place,
        *,
        prefix: str = "",
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        """Read the manifest; ``StorageValueError`` where it is none, or of another format."""
        place = manifest if isinstance(manifest, Place) else manifest._place()
        self._place = place
        self._directory = directory
        self._prefix = prefix and prefix.strip("/") + "/"
        try:
            document: Any = json.loads(place.mount.read_bytes(place.path))
            found = str(document["fileFormat"])
            columns = [each.strip() for each in str(document["fileSchema"]).split(",")]
            files = [(str(each["key"]), str(each["MD5checksum"])) for each in document["files"]]
            made = str(document.get("creationTimestamp", ""))
            bucket = str(document["sourceBucket"])
        except (ValueError, KeyError, TypeError) as error:
            raise StorageValueError(
                f"{place}: is no manifest of S3 Inventory ({type(error).__name__}: {error}); name "
                "the manifest.json of a report",
                node=str(place),
            ) from error
        missing = [name for name in _NEEDED if name not in columns]
        if found != "CSV" or missing:
            why = f"lacks {' and '.join(missing)}" if found == "CSV" else f"is {found}"
            raise StorageValueError(
                f"{place}: the report {why}; configure one as CSV, with the size", node=str(place)
            )
        self.bucket: str = bucket
        """The bucket that the report is about; the source of a copy must be in it."""
        self.prefix: str = prefix.strip("/")
        """The key prefix that the paths are relative to."""
        self.made: datetime | None = (
            datetime.fromtimestamp(int(made) / 1000, UTC) if made.isdigit() else None
        )
        """When the report was begun (UTC): what came later is not in it."""
        self._columns = columns
        self._files = files

    def __repr__(self) -> str:
        return f"Inventory({str(self._place)!r}, bucket={self.bucket!r}, files={len(self._files)})"

    def __iter__(self) -> Iterator[FileInfo]:
        with (
            tempfile.TemporaryDirectory(
                prefix="genro-storage-inventory-", dir=self._directory
            ) as name,
            contextlib.ExitStack() as opened,
        ):
            runs = _Runs(Path(name), opened)
            for key, digest in self._files:
                runs.add(self._read(key, digest))
            yield from _with_directories(runs.merged())

    # -- reading ------------------------------------------------------------------------------

    def _read(self, key: str, digest: str) -> Iterator[_Object]:
        """The current objects that one file of the report names."""
        mount = self._place.mount
        # Beside the directory of the manifest, whatever the prefix of the mount: so AWS documents it.
        above = parent_of(parent_of(self._place.path))
        path = join(above, f"data/{key.rpartition('/')[2]}")
        label = mount.label(path)
        columns, prefix = self._columns, self._prefix
        place = {name: number for number, name in enumerate(columns)}
        at_key, at_size = place["Key"], place["Size"]
        at_time, at_etag = place.get("LastModifiedDate"), place.get("ETag")
        at_latest, at_marker = place.get("IsLatest"), place.get("IsDeleteMarker")
        with mount.open_whole(path) as raw:
            hashed = _Hashed(raw)
            try:
                with gzip.open(
                    io.BufferedReader(hashed, 1 << 20), "rt", encoding="utf-8", newline=""
                ) as text:
                    for row in csv.reader(text):
                        if len(row) != len(columns):
                            raise StorageIOError(
                                f"{label}: a row has {len(row)} columns, and the manifest names "
                                f"{len(columns)}",
                                node=label,
                            )
                        if at_latest is not None and row[at_latest] == "false":
                            continue
                        if at_marker is not None and row[at_marker] == "true":
                            continue
                        name = unquote_plus(row[at_key])
                        if not name.startswith(prefix) or name == prefix:
                            continue
                        yield (
                            name[len(prefix) :],
                            int(row[at_size]) if row[at_size] else None,
                            _seconds(row[at_time]) if at_time is not None else None,
                            (row[at_etag].strip('"') or None) if at_etag is not None else None,
                        )
            except (EOFError, gzip.BadGzipFile, csv.Error, ValueError) as error:
                raise StorageIOError(
                    f"{label}: is not as the manifest describes it ({error}); fetch the report again",
                    node=label,
                ) from error
            if hashed.digest() != digest:
                raise StorageIOError(
                    f"{label}: its MD5 is not the one in the manifest; fetch the report again",
                    node=label,
                )


class _Hashed(io.RawIOBase):
    """Passes a stream on, and knows the MD5 of all that it has passed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digester = hashlib.md5(usedforsecurity=False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        self._digester.update(block)
        buffer[: len(block)] = block
        return len(block)

    def digest(self) -> str:
        """The digest, of what is left too: a decompressor may stop before the end."""
        while block := self._stream.read(1 << 20):
            self._digester.update(block)
        return self._digester.hexdigest()


def _seconds(text: str) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


# -- sorting ---------------------------------------------------------------------------------------


class _Runs:
    """Sorted files of objects, merged into one order: an external merge sort."""

    def __init__(self, directory: Path, opened: contextlib.ExitStack) -> None:
        self._directory = directory
        self._opened = opened
        self._count = 0
        #: By how often they were merged: the small ones are merged with each other.
        self._levels: list[list[Path]] = [[]]

    def add(self, objects: Iterator[_Object]) -> None:
        """Sort what comes, in runs that fit into memory."""
        while run := list(islice(objects, _RUN)):
            run.sort(key=_key)
            self._keep(run, 0)

    def _keep(self, objects: Iterable[_Object], level: int) -> None:
        self._count += 1
        path = self._directory / f"{self._count}.run"
        iterator = iter(objects)
        with path.open("wb") as file:
            while block := list(islice(iterator, _BLOCK)):
                pickle.dump(block, file, 5)
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(path)
        if len(self._levels[level]) >= _FAN:
            merging, self._levels[level] = self._levels[level], []
            with contextlib.ExitStack() as opened:
                self._keep(_merge(merging, opened), level + 1)
            for each in merging:
                each.unlink()

    def merged(self) -> Iterator[_Object]:
        """All of them, in order."""
        return _merge([path for level in self._levels for path in level], self._opened)


def _merge(paths: list[Path], opened: contextlib.ExitStack) -> Iterator[_Object]:
    files = [opened.enter_context(path.open("rb")) for path in paths]
    return heapq.merge(*(_objects(file) for file in files), key=_key)


def _objects(file: IO[bytes]) -> Iterator[_Object]:
    while True:
        try:
            block = pickle.load(file)  # noqa: S301 - a private file that was written just before
        except EOFError:
            return
        yield from block


# -- as a tree -------------------------------------------------------------------------------------


def _with_directories(objects: Iterable[_Object]) -> Iterator[FileInfo]:
    """Sorted keys as the listing of a mount has them: each directory before what is in it.

    Below a file there is none: where a file and a prefix have one name, the file counts.
    """
    here = ""  # the last directory, with a slash at its end
    files: list[str] = []  # those that may be directories too, each with a slash
    before: str | None = None
    for key, size, mtime, etag in objects:
        if key == before:
            raise StorageIOError(
                f"the report lists {key!r} twice; with versions it needs the column IsLatest"
            )
        before = key
        path = key.removesuffix("/")
        if not path or not is_addressable(path):
            _log.warning("left out the object %r of the inventory, which no path can express", key)
            continue
        while not key.startswith(here):
            here = here[: here.rfind("/", 0, -1) + 1]
        while (slash := key.find("/", len(here))) >= 0:
            here = key[: slash + 1]
            while files and files[-1] < here:
                files.pop()
            if not files or files[-1] != here:
                yield FileInfo(here[:-1], "directory")
        if key != here:
            while files and files[-1] < key:
                files.pop()
            files.append(key + "/")
            yield FileInfo(path, "file", size, mtime, etag)
