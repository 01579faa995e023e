"""A bucket whose single objects go by obstore, and everything else by botocore as before."""

from __future__ import annotations

import contextlib
import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...info import Coming
from ..object_stores.downloads import WINDOW, MemorySink, download
from ..object_stores.engine import AT_ONCE, BRISK, PUT_AT_ONCE, Engine, Facts, Unfit
from ..object_stores.kept import MD5, kept_metadata, md5_digest, md5_text
from ..object_stores.resuming import compared, fill_gaps
from ..object_stores.several import SmallPut, put_each, read_each
from ..object_stores.target import Target
from ..object_stores.verifying import verifier_for
from ..remote import is_transient, missing_extra, repeated
from .codes import is_refused_before_it_began, server_code
from .fast_errors import explain
from .fast_facts import as_attributes, as_head, is_md5_in_base64, kept_with
from .fast_stream import FastStream
from .filesystem import S3Filesystem, check_length
from .requests import along_with
from .sdk_credentials import credentials_of, found_region
from .store_settings import make_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...info import FileInfo, Loaded
    from ..object_stores.engine import Body
    from ..object_stores.ranged import RangedGet
    from ..object_stores.verifying import Known, Verifier
    from ..resuming import Missing
    from .client import S3Client
    from .filesystem import SmallFile

__all__ = ["ObstoreFilesystem"]

T = TypeVar("T")


class _Whole(NamedTuple):
    """All of an object, the answer that it came with, and whether it has the MD5 that was kept."""

    body: Body
    data: bytes
    is_as_kept: bool


class ObstoreFilesystem(S3Filesystem):
    """As its base, several times as fast with small objects, and in large ones in less memory.

    What obstore cannot do, it leaves to its base: awkward keys, servers that answer a range with
    the whole, redirections to another region, credentials that cannot be found.
    """

    def __init__(self, client: S3Client) -> None:
        super().__init__(client)
        # Not where somebody is asked who we are, who may take any time.
        is_told = client.source is None or not client.source.renewable
        self.engine: Engine = Engine(
            self._make,
            lambda failure, _: explain(client, failure),
            client.bounds,
            (lambda: self._make(BRISK)) if is_told and client.options.patience > BRISK else None,
            self._ranged,
        )
        self._verifies: bool = client.options.verify_downloads
        #: Its ETags have shown to be no MD5, so that they prove no upload: see ``_is_stored``.
        self._uploads_by_sdk = False
        options = client.options
        # obstore sends no digest but the signed one, so that without it nothing would be verified.
        self._signs = not (options.anon or options.unsigned_payload)
        self._keeps_md5 = options.store_checksums != "never"
        # What else goes along with a copy obstore has no word for.
        self._copies_plainly = not along_with(options, "copy_object")
        #: Whether a copy was looked at, and was one.
        self._is_copying = False
        self._looking = threading.Lock()

    def _make(self, patience: float | None = None) -> Any:
        client = self.client
        try:
            return make_store(
                client.options, found_region(client), credentials_of(client), patience
            )
        except ImportError as error:
            raise missing_extra(error, client.mount, "s3", "s3") from error

    @staticmethod
    def _try(step: Callable[[], T], otherwise: Callable[[], T]) -> T:
        try:
            return step()
        except Unfit:
            pass
        return otherwise()

    def store(self) -> Any:
        """The store itself."""
        try:
            return self.engine.store()
        except Unfit as error:
            raise io.UnsupportedOperation(str(error)) from error

    # -- looking ------------------------------------------------------------------------------

    def _look(self, path: str) -> dict[str, Any] | Facts:
        try:
            return self.engine.head(path)
        except Unfit:
            pass
        return super()._look(path)

    # -- reading ------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        slow = super().open
        if mode != "rb":
            return slow(path, mode, **options)
        return self._try(
            lambda: FastStream(
                self.engine,
                self.client,
                path,
                lambda facts: self._known(path, facts),
                whole=bool(options.get("whole")),
            ),
            lambda: slow(path),
        )

    def _known(self, path: str, facts: Facts) -> Known:
        """What an answer says of the whole content."""
        head = as_head(facts)
        known = self.client.known(head)
        if known.checksum is not None:
            # Somebody may have kept it with another content, whose MD5 the ETag then is.
            etag = facts.etag.strip('"')
            return known._replace(confirm=lambda digest: digest != etag)
        # An ETag of this kind is an MD5 unless the object is encrypted, which only botocore sees.
        likely = self.client.known({**head, "EncryptionUntold": False})
        return likely._replace(
            confirm=lambda _: self.client.known(self.head(path)).checksum == likely.checksum
        )

    def _verifier(self, path: str, facts: Facts) -> Verifier | None:
        if not self._verifies:
            return None
        return verifier_for(self._known(path, facts), facts.size)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        try:
            return self._read(path, start or 0, end)
        except Unfit:
            pass
        return super().cat_file(path, start, end)

    def _read(self, path: str, start: int, end: int | None) -> bytes:
        if start == 0 and end is None:
            return self._whole(path).data
        try:
            body, data = self.engine.read(path, start, end)
        except OSError as error:
            if server_code(error) in ("InvalidRange", "416"):
                return b""  # it is there, and ends before
            raise
        if data is None:
            data = self._rest(path, body)
        facts = body.facts  # which also tell whether it was a store that has answered
        if start == 0 and body.stop == facts.size:
            self._compare(path, facts, data)
        return data

    def _whole(self, path: str) -> _Whole:
        """All of an object, compared."""
        return self._compared(path, *self.engine.read(path))

    def _compared(self, path: str, body: Body, data: bytes | None) -> _Whole:
        if data is None:
            data = self._rest(path, body)
        is_as_kept = self._is_as_kept(body, data)
        if not is_as_kept:
            # The facts also tell whether it was a store that has answered.
            self._compare(path, body.facts, data)
        return _Whole(body, data, is_as_kept)

    def _rest(self, path: str, body: Body) -> bytes:
        sink = MemorySink()
        download(body, self._again(path), sink, self.client.bounds)
        return sink.value()

    def load(self, path: str) -> Loaded:
        return self._loaded(path, lambda: self.engine.read(path))

    def load_each(self, paths: Sequence[str]) -> Coming[Loaded] | None:
        found = read_each(self.engine, paths)
        return found and found.ended_by(paths, self._loaded)

    def _loaded(self, path: str, read: Callable[[], tuple[Body, bytes | None]]) -> Loaded:
        try:
            found = self._compared(path, *read())
        except Unfit:
            return super().load(path)
        return kept_with(found.data, found.body.attributes, verified=found.is_as_kept)

    def _is_as_kept(self, body: Body, data: bytes) -> bool:
        """Whether all is well, in few steps, with an upload of ours, as it most often is."""
        kept = body.attributes.get(MD5)
        return kept is not None and self._verifies and kept == md5_text(data)

    def _compare(self, path: str, facts: Facts, data: bytes) -> None:
        """``OSError`` where the content is not what was stored."""
        if not self._verifies:
            return
        if facts.etag.strip('"') == md5_digest(data).hex():
            return
        verifier = self._verifier(path, facts)
        if verifier is not None:
            verifier.feed(0, data)
            verifier.finish()

    def get_file(self, rpath: str, lpath: str) -> None:
        slow = super().get_file
        self._try(lambda: self._fetch(rpath, Path(lpath)), lambda: slow(rpath, lpath))

    def _fetch(self, path: str, target: Path) -> None:
        def begun(_: int) -> tuple[Body, bytes | None]:
            body = self.engine.begin(path, WINDOW)
            is_small = body.stop == body.facts.size <= AT_ONCE
            return body, body.all() if is_small else None

        body, data = repeated(self.client.bounds, begun)
        if data is not None:
            if not self._is_as_kept(body, data):
                self._compare(path, body.facts, data)
            target.write_bytes(data)
            return
        verifier = self._verifier(path, body.facts)
        with Target(target) as sink:
            to, finish = compared(sink, verifier)
            download(body, self._again(path), to, self.client.bounds, stop=body.facts.size)
            finish()

    def fetch_missing(self, path: str, target: Missing) -> float | None:
        slow = super().fetch_missing
        return self._try(lambda: self._fill(path, target), lambda: slow(path, target))

    def _fill(self, path: str, target: Missing) -> float | None:
        facts = self.engine.head(path)
        target.begin(facts.etag, facts.size)
        known = self._known(path, facts)
        sink, finish = compared(target, verifier_for(known, facts.size) if self._verifies else None)
        fill_gaps(target, sink, self._again(path), facts.etag, self.client.bounds)
        finish()
        return known.mtime

    def _again(self, path: str) -> Callable[[int, int | None, str | None], Any]:
        return lambda start, end, etag: self.engine.open(path, start, end, etag)

    # -- writing ------------------------------------------------------------------------------

    def _put_now(self, path: str, value: bytes, create: bool, extra: dict[str, Any]) -> None:
        asked = as_attributes(extra) if self._puts(value) else None
        if asked is not None:
            attributes, tags = asked
            repeat = is_refused_before_it_began if create else is_transient
            try:
                etag = self.engine.put(
                    path, value, attributes=attributes, tags=tags, create=create, repeat=repeat
                )
                if self._is_stored(path, etag, value, attributes.get(MD5)):
                    return
            except Unfit:
                pass
        super()._put_now(path, value, create, extra)

    def _puts(self, value: bytes) -> bool:
        return self._signs and len(value) <= PUT_AT_ONCE and not self._uploads_by_sdk

    def put_small(self, path: str, value: bytes, headers: dict[str, str]) -> bool:
        if not self._puts(value):
            return False
        check_length(path)
        if self._keeps_md5:
            headers.update(kept_metadata(md5_digest(value), len(value)))
        try:
            etag = self.engine.put(path, value, attributes=headers)
        except Unfit:
            return False
        return self._is_stored(path, etag, value, headers.get(MD5))

    def put_each(self, files: Sequence[SmallFile], arrived: Callable[[int], bool]) -> None:
        ready = self._made_ready(files)
        try:
            put_each(self.engine, ready, self._is_put, arrived)
        finally:
            ready.clear()  # or the traceback of a failure would hold all of them

    def _made_ready(self, files: Sequence[SmallFile]) -> list[SmallPut]:
        """The first of them, up to one that is not for obstore."""
        ready: list[SmallPut] = []
        with contextlib.suppress(OSError, ValueError):  # the file with that path says it by itself
            for path, value, headers in files:
                if not self._puts(value):
                    break
                check_length(path)
                digest = md5_digest(value)
                if self._keeps_md5:
                    headers.update(kept_metadata(digest, len(value)))
                ready.append(SmallPut(path, value, headers, f'"{digest.hex()}"'))
        return ready

    def _is_put(self, put: SmallPut, etag: str) -> bool:
        return self._is_stored(put.key, etag, put.data, put.headers.get(MD5))

    def _is_stored(self, path: str, etag: str, value: bytes, kept: str | None) -> bool:
        """Whether the ETag that an upload was answered with is that of the content.

        obstore follows redirections, and takes another page's ETag for that of what it has sent.
        Where a bucket has ETags of another kind, a look at the object must decide, and botocore,
        which follows nowhere, makes the uploads from then on. ``kept``: the MD5 of the value in
        base64, where it is among the metadata.
        """
        bare = etag.strip('"')
        if kept is not None and is_md5_in_base64(bare, kept):
            return True
        if bare == md5_digest(value).hex():
            return True
        try:
            found = self.head(path)
        except FileNotFoundError:
            return False
        if found.get("ETag") != etag or found.get("ContentLength") != len(value):
            return False
        # Other servers make ETags too, of pages that may be as long.
        if super().cat_file(path) != value:
            return False
        self._uploads_by_sdk = True
        return True

    # -- copying ------------------------------------------------------------------------------

    def copy_listed(
        self,
        info: FileInfo,
        source: str,
        target: str,
        new: Mapping[str, Any],
        origin: S3Filesystem,
    ) -> None:
        here = origin is self or origin.client.bucket == self.client.bucket
        size = self.transfers.copy_at_once if info.size is None else info.size
        if here and not new and self._copies_plainly and size < self.transfers.copy_at_once:
            check_length(target)
            try:
                self.engine.copy(source, target)
                if self._is_copying or self._has_copied(target, size):
                    return
            except Unfit:
                pass
        super().copy_listed(info, source, target, new, origin)

    def _ranged(self, store: Any) -> RangedGet | None:
        from .ranged import ranged_get  # urllib3 is imported on first use

        return ranged_get(self.client.options, store)

    def _has_copied(self, target: str, size: int) -> bool:
        """Whether the server has made a copy of what it said it has.

        Nothing of its answer is seen, and one that does not know copies stores an empty object.
        Once is enough: a listing of the same server has just told what there is to be copied. So
        the many threads of one copy wait for the first of them.
        """
        with self._looking:
            if self._is_copying:
                return True
            try:
                if self.engine.head(target).size != size:
                    return False
            except FileNotFoundError:
                return False
            self._is_copying = size > 0
            return True
