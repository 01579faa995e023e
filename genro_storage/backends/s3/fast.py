"""A bucket whose single objects go by obstore, and everything else by botocore as before."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..object_stores.downloads import MemorySink, download
from ..object_stores.engine import BRISK, PUT_AT_ONCE, Engine, Facts, Unfit
from ..object_stores.kept import MD5, md5_text
from ..object_stores.resuming import compared, fill_gaps
from ..object_stores.target import Target
from ..object_stores.verifying import VerifyingSink, verifier_for
from ..remote import is_transient, missing_extra
from .codes import is_refused_before_it_began, server_code
from .fast_errors import explain
from .fast_facts import as_attributes, as_head, is_md5_in_base64
from .fast_stream import FastStream
from .filesystem import S3Filesystem
from .sdk_credentials import credentials_of, found_region
from .store_settings import make_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..object_stores.engine import Body
    from ..object_stores.verifying import Known, Verifier
    from ..resuming import Missing
    from .client import S3Client

__all__ = ["ObstoreFilesystem"]

T = TypeVar("T")


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
        )
        self._verifies: bool = client.options.verify_downloads
        #: Its ETags have shown to be no MD5, so that they prove no upload: see ``_is_stored``.
        self._uploads_by_sdk = False

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
        try:
            body, data = self.engine.read(path, start, end)
        except OSError as error:
            if server_code(error) in ("InvalidRange", "416"):
                return b""  # it is there, and ends before
            raise
        if data is None:
            sink = MemorySink()
            download(body, self._again(path), sink, self.client.bounds)
            data = sink.value()
        if start == 0 and end is None and self._is_as_kept(body, data):
            return data
        facts = body.facts  # which also tell whether it was a store that has answered
        if start == 0 and body.stop == facts.size:
            self._compare(path, facts, data)
        return data

    def _is_as_kept(self, body: Body, data: bytes) -> bool:
        """Whether all is well, in few steps, with an upload of ours, as it most often is."""
        kept = body.attributes.get(MD5)
        return kept is not None and self._verifies and kept == md5_text(data)

    def _compare(self, path: str, facts: Facts, data: bytes) -> None:
        """``OSError`` where the content is not what was stored."""
        if not self._verifies:
            return
        if facts.etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return
        verifier = self._verifier(path, facts)
        if verifier is not None:
            verifier.feed(0, data)
            verifier.finish()

    def get_file(self, rpath: str, lpath: str) -> None:
        slow = super().get_file
        self._try(lambda: self._fetch(rpath, Path(lpath)), lambda: slow(rpath, lpath))

    def _fetch(self, path: str, target: Path) -> None:
        body, data = self.engine.read(path)
        if data is not None:
            if not self._is_as_kept(body, data):
                self._compare(path, body.facts, data)
            target.write_bytes(data)
            return
        verifier = self._verifier(path, body.facts)
        with Target(target) as sink:
            if verifier is None:
                download(body, self._again(path), sink, self.client.bounds)
                return
            verifying = VerifyingSink(sink, verifier)
            download(body, self._again(path), verifying, self.client.bounds)
            verifying.finish()

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
        slow = super()._put_now
        options = self.client.options
        # obstore sends no digest but the signed one, so that without it nothing would be verified.
        signed = not (options.anon or options.unsigned_payload)
        fit = signed and len(value) <= PUT_AT_ONCE and not self._uploads_by_sdk
        asked = as_attributes(extra) if fit else None
        if asked is None:
            slow(path, value, create, extra)
            return
        attributes, tags = asked
        try:
            etag = self.engine.put(
                path,
                value,
                attributes=attributes,
                tags=tags,
                create=create,
                repeat=is_refused_before_it_began if create else is_transient,
            )
        except Unfit:
            slow(path, value, create, extra)
            return
        if not self._is_stored(path, etag, value, extra):
            slow(path, value, create, extra)

    def _is_stored(self, path: str, etag: str, value: bytes, extra: dict[str, Any]) -> bool:
        """Whether the ETag that an upload was answered with is that of the content.

        obstore follows redirections, and takes another page's ETag for that of what it has sent.
        Where a bucket has ETags of another kind, a look at the object must decide, and botocore,
        which follows nowhere, makes the uploads from then on.
        """
        bare, kept = etag.strip('"'), extra.get("Metadata", {}).get(MD5)
        if kept is not None and is_md5_in_base64(bare, kept):
            return True  # which `pipe_file` has made of this value
        if bare == hashlib.md5(value, usedforsecurity=False).hexdigest():
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
