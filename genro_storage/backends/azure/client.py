"""The requests to Azure Blob Storage, through Microsoft's own client."""

from __future__ import annotations

import base64
import contextlib
import errno
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient

from ...hearing import note_retry
from ...info import Checksum, FileInfo
from ..fsspec_info import moment
from ..object_stores.client import in_parallel
from ..object_stores.errors import is_timeout
from ..object_stores.facts import NO_FACTS, Facts
from ..object_stores.http import client_options, connected
from ..object_stores.listing import Entry, Page
from ..object_stores.reader import PIECE, Chunk
from ..object_stores.source import Source, in_small_sends
from ..object_stores.whole import Answer, in_pieces
from .attributes import (
    AzureAttributes,
    blob_checksum,
    blob_metadata,
    is_folder,
    known_of,
    settings,
    upload_options,
)
from .credentials import AzureCredentials
from .encryption import key_hook
from .errors import BlocksLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azure.storage.blob import BlobProperties

    from ..object_stores.verifying import Known
    from ..remote import Bounds
    from .access import AzureAccess

__all__ = ["AzureClient"]

_PAGE = 5000
_MIB = 1024 * 1024
_MOST_BLOCKS = 50_000
_LONGEST_PAUSE = 2.0


class _Session(requests.Session):
    """Sends large bodies in small steps."""

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        if isinstance(options.get("data"), bytes):
            options["data"] = in_small_sends(options["data"])
        return super().request(method, url, *args, **options)


class _Transport(RequestsTransport):  # type: ignore[misc]
    """Fetches a range whole, as it is stored, before the client sees the answer.

    The client unpacks what was stored packed, which a range of it cannot be; and reads an answer
    that breaks off three times, whatever number of retries it is told.
    """

    def send(self, request: Any, **options: Any) -> Any:
        response = super().send(request, **options)
        if "x-ms-range" in request.headers and request.method == "GET":
            inner: requests.Response = response.internal_response
            with contextlib.suppress(KeyError):
                del inner.raw.headers["Content-Encoding"]
            try:
                _ = inner.content
            except (requests.Timeout, requests.ConnectionError) as error:
                kind = ServiceResponseTimeoutError if is_timeout(error) else ServiceResponseError
                raise kind("the answer broke off") from error
            except requests.RequestException as error:
                raise IncompleteReadError("the answer broke off") from error
        return response


class AzureClient(AzureAttributes):
    """An ``ObjectClient`` for one container. Threads share it: so does ``requests``' pool."""

    def __init__(self, access: AzureAccess, bounds: Bounds) -> None:
        self._access = access
        self._container = access.container
        self._bounds = bounds
        self._host = urlsplit(access.endpoint).netloc
        self._session = connected(_Session(), access.network)
        self.credentials: AzureCredentials = AzureCredentials(access, bounds)
        key = access.encryption_key
        self._hook: dict[str, Any] = {} if key is None else {"raw_request_hook": key_hook(key)}
        self._made: tuple[object, ContainerClient] | None = None

    @property
    def _client(self) -> ContainerClient:
        """Microsoft's client, made anew where a provider has given another key or signature."""
        version, credential = self.credentials.current()
        made = self._made
        if made is None or made[0] != version:
            made = self._made = version, self._make(credential)
        return made[1]

    def _make(self, credential: Any) -> ContainerClient:
        return ContainerClient(
            self._access.endpoint,
            self._container,
            credential=credential,
            transport=_Transport(
                session=self._session,
                session_owner=False,
                connection_timeout=self._bounds.connect,
                read_timeout=self._bounds.timeout,
            ),
            # Retries are ours: RemoteFilesystem knows what may be repeated.
            retry_total=0,
            retry_to_secondary=False,
            # The content, and whose right it is to write it, are nobody else's business.
            permit_redirects=False,
            max_single_get_size=2 * PIECE,
            max_single_put_size=2 * PIECE,
            **client_options(self._access.network),
            **self._hook,
        )

    def close(self) -> None:
        if self._made is not None:
            self._made[1].close()
        self._session.close()
        self.credentials.close()

    def _blob(self, key: str) -> BlobClient:
        return self._client.get_blob_client(key)

    # -- looking ------------------------------------------------------------------------------

    def head(self, key: str) -> FileInfo:
        with self._explained():
            found = self._blob(key).get_blob_properties()
        if not found.etag or found.last_modified is None:
            raise self._strange()
        return FileInfo(key, "directory") if is_folder(found) else self._seen(found, key)

    def _seen(self, found: BlobProperties, key: str) -> FileInfo:
        return _info(found, key)

    def checksum(self, key: str, etag: str) -> Checksum | None:
        return None  # a HEAD, and a listing, have told it already

    def page(
        self, prefix: str, *, flat: bool, limit: int | None, start: str | None, token: str | None
    ) -> Page:
        assert start is None, "the service can only go on from a token"
        # The metadata tells the folders of accounts that have some from empty files.
        options: dict[str, Any] = {"include": ["metadata"], "results_per_page": limit or _PAGE}
        with self._explained():
            listing: Any = (
                self._client.list_blobs(name_starts_with=prefix or None, **options)
                if flat
                else self._client.walk_blobs(name_starts_with=prefix or None, **options)
            )
            pages = listing.by_page(continuation_token=token)
            try:
                found = list(next(pages, ()))
            except AttributeError:
                # Microsoft's client has made nothing of the answer, and looks into that.
                raise self._strange() from None
            entries = [_entry(item) for item in found]
        return Page(entries, pages.continuation_token or None)

    # -- reading ------------------------------------------------------------------------------

    def read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        options: dict[str, Any] = {}
        if pin:
            options = {"etag": pin, "match_condition": MatchConditions.IfNotModified}
        with self._explained():
            try:
                stream = self._blob(key).download_blob(start, end - start, **options)
                data = bytes(stream.readall())
            except HttpResponseError as error:
                if error.status_code != 416:
                    raise
                # Nothing begins here: the end of a file, or a folder, which is empty.
                if start == 0 and is_folder(self._blob(key).get_blob_properties()):
                    raise FileNotFoundError(errno.ENOENT, "not a file") from None
                return Chunk(b"", start, "")
            except ValueError:  # no Content-Range, or none that it can read
                raise self._strange() from None
        found = stream.properties
        if is_folder(found):
            raise FileNotFoundError(errno.ENOENT, "not a file")
        size = (found.content_range or "").rpartition("/")[2]
        if not size.isdigit():
            raise self._strange()
        return Chunk(data, int(size), found.etag, self._known_of(found, int(size)))

    def _known_of(self, found: BlobProperties, size: int) -> Known:
        return known_of(found)

    def stream(self, key: str, start: int, end: int | None, pin: str | None) -> Answer:
        return in_pieces(self, key, start, end, pin)

    # -- writing ------------------------------------------------------------------------------

    def put(
        self, key: str, data: bytes, content_type: str, *, create: bool, facts: Facts = NO_FACTS
    ) -> None:
        with Source(data) as source, self._conditional(facts.match):
            md5 = source.md5()
            found: dict[str, Any] = self._blob(key).upload_blob(
                data,
                length=len(data),
                overwrite=True,
                validate_content=True,
                content_settings=settings(facts.attributes, content_type, md5),
                **upload_options(facts, create, md5, len(data)),
            )
            if not found.get("etag"):
                raise self._strange()

    def put_large(
        self,
        key: str,
        content: bytes | Path,
        content_type: str,
        *,
        create: bool,
        again: Callable[[Callable[[], Any]], Any],
        facts: Facts = NO_FACTS,
    ) -> None:
        with Source(content) as source:
            md5 = source.md5()
            options = upload_options(facts, create, md5, source.size)
            options["content_settings"] = settings(facts.attributes, content_type, md5)
            for attempt in range(self._bounds.retries + 1):
                try:
                    self._put_blocks(key, source, options, facts.match, again)
                except BlocksLostError as error:
                    # Whoever finishes first takes the blocks of all others away.
                    if attempt == self._bounds.retries:
                        raise
                    note_retry(error)
                else:
                    return

    def _put_blocks(
        self,
        key: str,
        source: Source,
        options: dict[str, Any],
        match: str | None,
        again: Callable[[Callable[[], Any]], Any],
    ) -> None:
        size = max(PIECE, -(-source.size // _MOST_BLOCKS // _MIB) * _MIB)
        # Names of our own, so that two writers never mix their blocks.
        mine = uuid.uuid4().hex
        starts = range(0, source.size, size)
        names = {
            start: base64.b64encode(f"{mine}{number:05}".encode()).decode("ascii")
            for number, start in enumerate(starts)
        }

        scope = {name: options[name] for name in options if name == "encryption_scope"}

        def stage(start: int) -> None:
            data = source.piece(start, min(start + size, source.size))

            def step() -> None:
                with self._explained():
                    self._blob(key).stage_block(
                        names[start], data, len(data), validate_content=True, **scope
                    )

            again(step)

        in_parallel(stage, starts)
        source.require_unchanged()

        def commit() -> None:
            with self._conditional(match):
                found: dict[str, Any] = self._blob(key).commit_block_list(
                    [BlobBlock(names[start]) for start in starts], **options
                )
                if not found.get("etag"):
                    raise self._strange()

        # A creation that is repeated would find what its first attempt may have made; and a list
        # that was committed already is no longer there to be committed.
        commit()

    def copy(self, source: str, target: str, *, create: bool = False) -> None:
        blob = self._blob(source)
        self._copy_from(blob.url, target, self._tags_for_copy(blob), create=create)

    def _copy_from(
        self, url: str, target: str, tags: dict[str, str] | None, *, create: bool = False
    ) -> None:
        blob = self._blob(target)
        options: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if create else {}
        if tags:
            options["tags"] = tags
        with self._explained():
            found: dict[str, Any] = blob.start_copy_from_url(url, **options)
            state = found.get("copy_status")
            if state == "pending":
                state = self._await_copy(blob, found.get("copy_id"))
        if state != "success":
            raise OSError(errno.EIO, f"the service did not finish the copy ({state})")

    def _await_copy(self, blob: BlobClient, copy: Any) -> str | None:
        """Wait as long as a copy in the background moves on; one that does not is given up."""
        pause, seen, since = 0.05, None, time.monotonic()
        try:
            while True:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                found = blob.get_blob_properties().copy
                if found.id != copy or found.status != "pending":
                    # Of another writer's copy, which has taken the place of ours, nothing is known.
                    return found.status if found.id == copy else "replaced"
                if found.progress != seen:
                    seen, since = found.progress, time.monotonic()
                elif time.monotonic() - since > self._bounds.timeout:
                    raise TimeoutError(
                        errno.ETIMEDOUT, f"{self._host} does not go on with the copy ({seen})"
                    )
        except BaseException:
            # The reason matters more; the service ends a copy by itself after two weeks.
            with contextlib.suppress(AzureError):
                blob.abort_copy(copy)
            raise

    # -- removing -----------------------------------------------------------------------------

    def delete(self, key: str) -> None:
        with self._explained():
            self._blob(key).delete_blob()

    def delete_many(self, keys: list[str]) -> dict[str, Exception] | None:
        failed: dict[str, Exception] = {}
        with self._explained():
            answers = self._client.delete_blobs(*keys, raise_on_any_failure=False)
            for key, answer in zip(keys, answers, strict=True):
                if answer.status_code not in (200, 202, 404):
                    code = str(answer.headers.get("x-ms-error-code") or "")
                    failed[key] = self._refused(answer.status_code, code)
        return failed


def _entry(item: Any) -> Entry:
    name = str(item.name)
    if name.endswith("/") or not hasattr(item, "etag") or is_folder(item):
        return Entry(name)
    return Entry(name, _info(item, name))


def _info(found: BlobProperties, key: str) -> FileInfo:
    return FileInfo(
        key,
        "file",
        found.size,
        moment(found.last_modified),
        (found.etag or "").strip('"') or None,
        blob_checksum(found),
        found.content_settings.content_type,
        blob_metadata(found),
    )
