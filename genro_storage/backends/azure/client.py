"""The requests to Azure Blob Storage, through Microsoft's own client.

The errors raised are standard ones, cut off from those of the client: these quote URLs, and with
a shared access signature a URL holds the credentials.
"""

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
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobBlock, BlobClient, ContainerClient, ContentSettings
from urllib3.exceptions import HTTPError as Urllib3Error

from ...info import Checksum, FileInfo
from ..errors import RootNotFoundError
from ..fsspec_info import moment
from ..object_stores.client import in_parallel
from ..object_stores.errors import is_timeout, root_name
from ..object_stores.http import client_options, connected
from ..object_stores.listing import Entry, Page
from ..object_stores.reader import PIECE, Chunk
from ..object_stores.source import Source, in_small_sends
from .credentials import AzureCredentials
from .encryption import key_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from azure.storage.blob import BlobProperties

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


class AzureClient:
    """An ``ObjectClient`` for one container. Threads share it: so does ``requests``' pool."""

    def __init__(self, access: AzureAccess, bounds: Bounds) -> None:
        self._access = access
        self._container = access.container
        self._bounds = bounds
        self._host = urlsplit(access.endpoint).netloc
        self._session = connected(_Session(), access.network)
        self.credentials = AzureCredentials(access, bounds)
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

    # -- errors -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        """Turns what the client raises into standard errors without its URLs."""
        try:
            yield
        except (ServiceRequestTimeoutError, ServiceResponseTimeoutError):
            raise self._silent() from None
        except (ServiceRequestError, ServiceResponseError, IncompleteReadError) as error:
            if is_timeout(error):
                raise self._silent() from None
            raise self._unreachable(error) from None
        except ClientAuthenticationError as error:
            if error.response is None:  # Entra ID, not the storage
                raise PermissionError(
                    errno.EACCES,
                    "Microsoft Entra ID gave no token; give 'account_key', 'sas_token' or "
                    "'connection_string', or `anon: true`, or sign in",
                ) from None
            raise self._refusal(error) from None
        except HttpResponseError as error:
            raise self._refusal(error) from None
        except (AzureError, requests.RequestException, Urllib3Error) as error:
            raise self._unreachable(error) from None

    def _silent(self) -> TimeoutError:
        return TimeoutError(errno.ETIMEDOUT, f"no answer from {self._host} in time")

    def _unreachable(self, error: BaseException) -> ConnectionError:
        return ConnectionError(
            errno.ECONNRESET, f"the connection to {self._host} failed ({root_name(error)})"
        )

    def _strange(self) -> OSError:
        return OSError(
            errno.EIO, f"{self._host} does not answer as Azure Blob Storage; check 'endpoint_url'"
        )

    def _refusal(self, error: HttpResponseError) -> Exception:
        named = getattr(error, "error_code", None) or ""
        return self._refused(error.status_code or 0, str(getattr(named, "value", named)))

    def _refused(self, status: int, code: str) -> Exception:
        """The standard error for a status that says no."""
        said = f" ({code})" if code else ""
        if code in ("ContainerNotFound", "ContainerBeingDeleted"):
            return RootNotFoundError(
                f"the container {self._container!r} does not exist; create it or correct "
                "'container'"
            )
        if status == 404:
            return FileNotFoundError(errno.ENOENT, "not found")
        if code in ("BlobAlreadyExists", "UnauthorizedBlobOverwrite"):
            return FileExistsError(errno.EEXIST, "already exists")
        if code == "SnapshotsPresent":
            return OSError(
                errno.EBUSY, "the blob has snapshots, which would be lost; delete those first"
            )
        if code == "InvalidBlockList":
            return _BlocksLostError(errno.EBUSY, "another writer was faster; write again")
        if code.startswith("Lease") or code in ("BlobImmutableDueToPolicy", "BlobArchived"):
            return PermissionError(errno.EACCES, f"the blob is locked{said}")
        if status in (401, 403):
            return PermissionError(errno.EACCES, f"access denied{said}; {self._fix(code)}")
        if status == 412:
            return OSError(errno.ESTALE, "it was replaced while it was read; read it again")
        if status in (408, 429) or status >= 500:
            return ConnectionError(
                errno.ECONNRESET, f"{self._host} cannot answer now (status {status}){said}"
            )
        if code in ("Md5Mismatch", "InvalidMd5"):
            return OSError(errno.EIO, f"the content arrived damaged{said}")
        if status == 400:
            return OSError(errno.EINVAL, f"{self._host} refused the request{said}")
        return OSError(errno.EIO, f"{self._host} answered with status {status}{said}")

    def _fix(self, code: str) -> str:
        """What to correct where access is denied."""
        if self._access.key is not None:
            return "check 'account_name' and 'account_key'"
        if self._access.sas is not None:
            return "'sas_token' is wrong, has ended, or does not allow this"
        if self._access.anonymous:
            return "the container is not public: give 'account_key' or 'sas_token'"
        return "the identity that is signed in has no right to this"

    # -- looking ------------------------------------------------------------------------------

    def head(self, key: str) -> FileInfo:
        with self._explained():
            found = self._blob(key).get_blob_properties()
        return FileInfo(key, "directory") if _is_folder(found) else _info(found, key)

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
            entries = [_entry(item) for item in next(pages, ())]
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
                if start == 0 and _is_folder(self._blob(key).get_blob_properties()):
                    raise FileNotFoundError(errno.ENOENT, "not a file") from None
                return Chunk(b"", start, "")
            except ValueError:  # no Content-Range, or none that it can read
                raise self._strange() from None
        found = stream.properties
        if _is_folder(found):
            raise FileNotFoundError(errno.ENOENT, "not a file")
        size = (found.content_range or "").rpartition("/")[2]
        if not size.isdigit():
            raise self._strange()
        return Chunk(data, int(size), found.etag)

    # -- writing ------------------------------------------------------------------------------

    @staticmethod
    def _settings(content_type: str, md5: bytes) -> ContentSettings:
        return ContentSettings(content_type=content_type, content_md5=bytearray(md5))

    def put(self, key: str, data: bytes, content_type: str, *, create: bool) -> None:
        with Source(data) as source, self._explained():
            self._blob(key).upload_blob(
                data,
                length=len(data),
                overwrite=not create,
                validate_content=True,
                content_settings=self._settings(content_type, source.md5()),
            )

    def put_large(
        self,
        key: str,
        content: bytes | Path,
        content_type: str,
        *,
        create: bool,
        again: Callable[[Callable[[], Any]], Any],
    ) -> None:
        with Source(content) as source:
            settings = self._settings(content_type, source.md5())
            for attempt in range(self._bounds.retries + 1):
                try:
                    self._put_blocks(key, source, settings, create, again)
                except _BlocksLostError:
                    # Whoever finishes first takes the blocks of all others away.
                    if attempt == self._bounds.retries:
                        raise
                else:
                    return

    def _put_blocks(
        self,
        key: str,
        source: Source,
        settings: ContentSettings,
        create: bool,
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

        def stage(start: int) -> None:
            data = source.piece(start, min(start + size, source.size))

            def step() -> None:
                with self._explained():
                    self._blob(key).stage_block(
                        names[start], data, len(data), validate_content=True
                    )

            again(step)

        in_parallel(stage, starts)
        source.require_unchanged()
        options: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if create else {}

        def commit() -> None:
            with self._explained():
                self._blob(key).commit_block_list(
                    [BlobBlock(names[start]) for start in starts],
                    content_settings=settings,
                    **options,
                )

        # A creation that is repeated would find what its first attempt may have made; and a list
        # that was committed already is no longer there to be committed.
        commit()

    def copy(self, source: str, target: str) -> None:
        self._copy_from(self._blob(source).url, target)

    def _copy_from(self, url: str, target: str) -> None:
        blob = self._blob(target)
        with self._explained():
            found: dict[str, Any] = blob.start_copy_from_url(url)
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


class _BlocksLostError(OSError):
    """Blocks that were sent are no longer there: another writer has committed meanwhile."""


def _is_folder(found: BlobProperties) -> bool:
    """Whether a blob stands for a directory, as in accounts with a hierarchical namespace."""
    metadata = found.metadata or {}
    return any(
        name.lower() == "hdi_isfolder" and value == "true" for name, value in metadata.items()
    )


def _entry(item: Any) -> Entry:
    name = str(item.name)
    if name.endswith("/") or not hasattr(item, "etag") or _is_folder(item):
        return Entry(name)
    return Entry(name, _info(item, name))


def _info(found: BlobProperties, key: str) -> FileInfo:
    digest = found.content_settings.content_md5
    return FileInfo(
        key,
        "file",
        found.size,
        moment(found.last_modified),
        (found.etag or "").strip('"') or None,
        Checksum("md5", bytes(digest).hex()) if digest else None,
        found.content_settings.content_type,
    )
