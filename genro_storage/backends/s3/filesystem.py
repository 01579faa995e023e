"""A bucket as the ``Filesystem`` that ``FsspecBackend`` stands on; paths are keys.

Every call is one request where S3 allows it. Nothing is cached.
"""

from __future__ import annotations

import errno
import io
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ...exceptions import SourceChangedError
from ...info import CleanupCount, Coming, Loaded
from ..errors import RootNotFoundError
from ..object_stores.kept import md5_digest
from ..object_stores.listing import pages
from ..object_stores.source import Source
from ..object_stores.verifying import Known, verifier_for
from ..remote import is_transient
from .codes import is_refused_before_it_began
from .conditional_copy import CopyCondition, status_of
from .engines import INSTALL
from .looking import Raw, S3Looks
from .metadata import attributes_of, kept_facts, with_md5
from .resuming import fetch_missing
from .stream import S3Stream
from .transfer import S3Transfers, condition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from ...info import FileInfo
    from ..resuming import Missing

__all__ = ["LONGEST_KEY", "S3Filesystem", "SmallFile", "check_length"]

#: A key, a small content, and the headers and metadata that it is stored with.
SmallFile = tuple[str, bytes, dict[str, str]]

#: Bytes that a key may have.
LONGEST_KEY = 1024
#: Keys that one request removes.
_BULK = 1000

# XML 1.0 §2.2: what the list of a bulk deletion can hold.
_XML = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")

#: How a listing of unfinished uploads goes on.
_MARKERS = ("KeyMarker", "UploadIdMarker")


class S3Filesystem(S3Looks):
    """The calls on one bucket. ``client`` belongs to it; thread-safe."""

    protocol: str | tuple[str, ...] = "s3"
    root_marker: str = ""

    @property
    def transfers(self) -> S3Transfers:
        """Objects as wholes."""
        return S3Transfers(self.client)

    def _strip_protocol(self, path: str) -> str:
        return path

    # -- reading ------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **options: Any) -> S3Stream:
        if mode != "rb":
            raise io.UnsupportedOperation("objects are written whole")
        # What is asked for at once is the same, whether all is to be read or not (``whole``).
        return S3Stream(self.client, path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        sink = io.BytesIO()
        self.client.run(lambda: self.transfers.fetch(path, sink, start or 0, end))
        return sink.getvalue()

    def load(self, path: str) -> Loaded:
        """All of a small object by one request, compared, and what was kept with it."""
        found = self.client.run(lambda: self.client.fetch(path, 0, None))
        known = found.known if self.client.options.verify_downloads else Known()
        verifier = verifier_for(known, len(found.data))
        if verifier is not None:
            verifier.feed(0, found.data)
            verifier.finish()
        return Loaded(found.data, attributes_of(found.told))

    def load_each(self, paths: Sequence[str]) -> Coming[Loaded] | None:
        """As ``load`` of several, whose contents come together; None where there is no such way."""
        return None

    def get_file(self, rpath: str, lpath: str) -> None:
        with open(lpath, "w+b") as sink:
            self.client.run(lambda: self.transfers.fetch(rpath, sink))

    def fetch_missing(self, path: str, target: Missing) -> float | None:
        """Write what ``target`` misses, and compare the whole; the time that was kept with it."""
        return fetch_missing(self, path, target)

    # -- writing ------------------------------------------------------------------------------

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        """Store ``value``; ``mode="create"`` refuses to replace. Other options are facts to keep."""
        extra = self.facts(path, options)
        if self.client.options.store_checksums != "never":
            extra = with_md5(extra, md5_digest(value), len(value))
        create = options.get("mode") == "create"
        self.create(path, create, lambda only: self._put_now(path, value, only, extra))

    def put_small(self, path: str, value: bytes, headers: dict[str, str]) -> bool:
        """Store a small value with these headers and metadata, in the fastest way there is.

        Whether it was stored: False where there is no such way. ``headers`` are the callee's.
        """
        return False

    def put_each(self, files: Sequence[SmallFile], arrived: Callable[[int], bool]) -> None:
        """``put_small`` of each path, value and headers, up to the first that is not stored so.

        As ``Backend.write_together``. Here none can.
        """

    def _put_now(self, path: str, value: bytes, create: bool, extra: Raw) -> None:
        self.client.run(lambda: self.transfers.put(path, value, create, extra))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        """The same with the content of a local file, of which only parts are in memory."""
        with Source(Path(lpath)) as source:
            if source.size <= self.transfers.put_at_once:
                data = source.piece(0, source.size)
                source.require_unchanged()
                self.pipe_file(rpath, data, **options)
                return
            extra = self.facts(rpath, options)
            if self.client.options.store_checksums == "always":
                extra = with_md5(extra, source.md5(), source.size)
            create = options.get("mode") == "create"
            self.create(
                rpath,
                create,
                lambda only: self.client.run(
                    lambda: self.transfers.put_large(rpath, source, only, extra)
                ),
            )

    def create(self, path: str, create: bool, put: Callable[[bool], object]) -> None:
        """``put(create)``, which stores an object; also where the server knows no conditions."""
        check_length(path)
        try:
            if create and self.client.options.conditional_put == "disabled":
                raise io.UnsupportedOperation("conditions are disabled")
            put(create)
        except io.UnsupportedOperation:
            if not create:
                raise
            # A server that knows no conditions: a look before the write is all that is left.
            try:
                self.head(path)
            except FileNotFoundError:
                put(False)
                return
            raise FileExistsError(errno.EEXIST, "already exists", path) from None

    def facts(self, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """What is told about an object with its content."""
        facts = {name: value for name, value in options.items() if name != "mode"}
        return {"ContentType": self.client.options.content_type_of(path), **facts}

    def cp_file(self, path1: str, path2: str) -> None:
        self.copy(path1, path2, self.head(path1))

    def copy_listed(
        self,
        info: FileInfo,
        source: str,
        target: str,
        new: Mapping[str, Any],
        origin: S3Filesystem,
    ) -> None:
        """As ``copy``, of what a listing tells; without a look where that is enough.

        ``SourceChangedError`` where the source is another by now, as the server is asked by the
        listed ETag. (obstore has no word for that: there, it is copied as it is by then.)
        """
        if info.size is None or info.size > self.transfers.copy_at_once:
            about: dict[str, Any] = dict(origin.head(source))
        else:
            about = {"ContentLength": info.size}
            if info.etag:
                about["ETag"] = f'"{info.etag.strip(chr(34))}"'
        try:
            self.copy(source, target, about, new, origin=origin)
        except OSError as error:
            if about.get("ETag") is None or status_of(error) != 412:
                raise
            raise SourceChangedError("it was replaced since it was listed") from error

    def copy(
        self,
        source: str,
        target: str,
        about: Mapping[str, Any],
        new: Mapping[str, Any] | None = None,
        *,
        origin: S3Filesystem | None = None,
    ) -> None:
        """Copy with what belongs to the object; ``about`` is its HEAD, ``new`` goes before that.

        ``origin`` is the bucket that ``source`` is in, where it is another one.
        """
        check_length(target)
        size, transfers, origin = int(about["ContentLength"]), self.transfers, origin or self
        extra: dict[str, Any] = dict(new or {})
        if size > transfers.copy_at_once:  # the server keeps these itself when it copies at once
            extra = {**origin._whole_facts(source, about), **extra}
        etag, bucket = about.get("ETag"), origin.client.bucket
        self.client.run(lambda: transfers.copy(source, target, size, etag, extra, bucket=bucket))

    def _whole_facts(self, path: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """All that a copy in parts must be told anew."""
        facts = {"Metadata": about.get("Metadata", {}), **kept_facts(about)}
        tags = self.tags_to_keep(path)
        if tags:
            facts["Tagging"] = urlencode(tags)
        return facts

    def tags_to_keep(self, path: str, **asked: Any) -> dict[str, str]:
        """What a copy must be told anew; asked for, as a HEAD need not say that there are any."""
        if self.client.options.disable_tagging:
            return {}
        try:
            return self.tags_of(path, **asked)
        except io.UnsupportedOperation:
            return {}

    def copy_if_absent(
        self,
        source: str,
        target: str,
        about: Mapping[str, Any],
        mode: str,
        new: Mapping[str, Any],
    ) -> None:
        """The same where nothing has the target's name; ``FileExistsError``."""
        check_length(target)
        condition, size = CopyCondition.of(mode), int(about["ContentLength"])
        if condition.name is None or size > self.transfers.copy_at_once:
            extra = {**self._whole_facts(source, about), **new}
            self.client.run(
                lambda: self.transfers.copy_in_parts_if_absent(
                    source, target, size, about.get("ETag"), extra
                )
            )
            return
        headers = {condition.name: condition.value}
        extra = {**new, "ExtraHeaders": headers, "repeat": is_refused_before_it_began}
        try:
            self.client.run(
                lambda: self.transfers.copy(source, target, size, about.get("ETag"), extra)
            )
        except OSError as error:
            explained = condition.explained(error, target)
            if explained is error:
                raise
            raise explained from error

    def replace_metadata(
        self, path: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        """Copy an object onto itself with what ``change`` makes of its metadata; the rest stays."""
        about = self.head(path)
        size, etag = int(about["ContentLength"]), about.get("ETag")
        facts = kept_facts(about)
        if size > self.transfers.copy_at_once:
            facts = self._whole_facts(path, about)
        extra = {
            **facts,
            "MetadataDirective": "REPLACE",
            "Metadata": dict(change(about.get("Metadata", {}))),
        }
        heeded = self.client.options.conditional_put != "disabled"
        conditions = heeded and size > self.transfers.copy_at_once and etag is not None
        # In parts it takes its time, in which somebody may write.
        only = condition_of(False, {"IfMatch": etag} if conditions else {})[0]
        try:
            self.client.run(
                lambda: self.transfers.copy(path, path, size, etag, extra, condition=only)
            )
        except FileExistsError as error:
            raise OSError(
                errno.EBUSY, "another content came in its place meanwhile; try again"
            ) from error
        except io.UnsupportedOperation:
            if not conditions:
                raise
            # A server that knows no conditions.
            self.client.run(lambda: self.transfers.copy(path, path, size, etag, extra))

    def mv(self, path1: str, path2: str) -> None:
        raise io.UnsupportedOperation("objects are not renamed")

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        raise io.UnsupportedOperation("a bucket has no directories of its own")

    def rmdir(self, path: str) -> None:
        raise io.UnsupportedOperation("a bucket has no directories of its own")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise io.UnsupportedOperation("a bucket has no directories of its own")

    # -- removing -----------------------------------------------------------------------------

    def rm_file(self, path: str) -> None:
        self._ask("delete_object", Key=path)

    def rm_files(self, keys: Iterable[str]) -> None:
        """Remove many keys, a thousand in a request; those that are gone are no error.

        Tries all of them, then raises for the first that the server refused.
        """
        failures: list[tuple[str, Exception]] = []
        batch: list[str] = []
        count = 0
        for key in keys:
            count += 1
            if _XML.fullmatch(key):
                batch.append(key)
                if len(batch) == _BULK:
                    failures += self._remove_batch(batch)
                    batch = []
                continue
            try:
                self.rm_file(key)
            except OSError as error:
                if is_transient(error):
                    raise  # who is silent once is silent for all of them
                failures.append((key, error))
        if batch:
            failures += self._remove_batch(batch)
        if failures:
            raise _summary(failures, count)

    def _remove_batch(self, keys: list[str]) -> list[tuple[str, Exception]]:
        if len(keys) == 1 or self.client.options.disable_bulk_delete:
            for key in keys:
                self.rm_file(key)
            return []
        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        try:
            answer = self._ask("delete_objects", Delete=wanted)
        except io.UnsupportedOperation:
            for key in keys:
                self.rm_file(key)
            return []
        return [
            (str(each.get("Key", "")), self.client.explain(each, "DeleteObjects"))
            for each in answer.get("Errors", ())
            if each.get("Code") not in ("NoSuchKey", "NoSuchVersion")
        ]

    def abort_uploads(
        self, prefix: str, older_than: datetime | None, *, exactly: bool = False
    ) -> CleanupCount:
        """Forget the unfinished uploads of keys that begin so, or are so; begun until then."""

        def ask(after: tuple[str, str] | None) -> Raw:
            markers = {} if after is None else dict(zip(_MARKERS, after, strict=True))
            return self.client.run(lambda: self.transfers.unfinished(prefix, **markers))

        def token(page: Raw) -> tuple[str, str] | None:
            if not page.get("IsTruncated"):
                return None
            key, upload = (str(page.get(f"Next{name}", "")) for name in _MARKERS)
            return key, upload

        forgotten: list[str] = []
        left: list[str] = []
        for page in pages(ask, token):
            for each in page.get("Uploads", ()):
                if exactly and each["Key"] != prefix:
                    continue
                begun = each.get("Initiated")
                if older_than is None or (begun is not None and begun <= older_than):
                    if self._abort(each["Key"], each["UploadId"]):
                        forgotten.append(each["Key"])
                else:
                    left.append(each["Key"])
        return CleanupCount(len(forgotten), len(left), forgotten, left)

    def _abort(self, key: str, upload: str) -> bool:
        return self.client.run(lambda: self.transfers.abort(key, upload))

    # -- for other libraries ------------------------------------------------------------------

    def store(self) -> Any:
        """The store of the bucket."""
        why = "with 'engine: fsspec' there is no obstore store"
        if self.client.options.engine == "auto" and find_spec("obstore") is None:
            why = f"obstore is not installed; {INSTALL}"
        raise io.UnsupportedOperation(why)

    # -- the rest -----------------------------------------------------------------------------

    def close(self) -> None:
        self.client.close()


def _summary(failures: list[tuple[str, Exception]], count: int) -> Exception:
    """The first of what a bulk deletion was refused, for all of it."""
    key, first = failures[0]
    if isinstance(first, RootNotFoundError) or not isinstance(first, OSError):
        return first
    found = type(first)(
        first.errno or errno.EIO,
        f"{len(failures)} of {count} were not deleted; {key!r}: {first.strerror or first}",
    )
    found.__cause__ = first
    return found


def check_length(key: str) -> None:
    """``OSError`` for what no key can be."""
    if len(key) <= LONGEST_KEY // 4:  # whatever letters these are
        return
    length = len(key.encode())
    if length > LONGEST_KEY:
        raise OSError(
            errno.ENAMETOOLONG,
            f"with the prefix the path has {length} bytes; a key has at most {LONGEST_KEY}",
        )
