"""URLs of a bucket: signed (version 4), plain, and those of clients that upload by themselves."""

from __future__ import annotations

import base64
import errno
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ...info import Checksum
from ...uploads import UploadForm, UploadPart, UploadURL
from ..fsspec_backend import FsspecBackend
from ..object_stores.kept import refuse_internal
from ..object_stores.listing import pages
from ..public import NOT_PUBLIC, public_address
from ..signing import (
    checked_seconds,
    checked_type,
    content_disposition,
    ending,
    wire_digest,
)
from .codes import server_code
from .filesystem import check_length
from .metadata import as_headers
from .requests import along_with, no_conditions
from .transfer import condition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ...uploads import FormTerms, UploadTerms
    from .filesystem import S3Filesystem
    from .options import S3Options

__all__ = ["S3Urls", "offered"]

_OPERATIONS = {
    "GET": "get_object",
    "HEAD": "head_object",
    "PUT": "put_object",
    "DELETE": "delete_object",
}
_MOST_PARTS = 10_000
#: How operations call what a header carries, for each algorithm.
_SUMS = {
    "md5": ("ContentMD5", "Content-MD5"),
    "sha1": ("ChecksumSHA1", "x-amz-checksum-sha1"),
    "sha256": ("ChecksumSHA256", "x-amz-checksum-sha256"),
    "crc32": ("ChecksumCRC32", "x-amz-checksum-crc32"),
    "crc32c": ("ChecksumCRC32C", "x-amz-checksum-crc32c"),
    "crc64nvme": ("ChecksumCRC64NVME", "x-amz-checksum-crc64nvme"),
}
#: How what a mount gives to everything that is written is called in a header.
_WRITTEN = {
    "CacheControl": "Cache-Control",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "BucketKeyEnabled": "x-amz-server-side-encryption-bucket-key-enabled",
    "StorageClass": "x-amz-storage-class",
    "Tagging": "x-amz-tagging",
    "RequestPayer": "x-amz-request-payer",
}
_UNSIGNED = "the mount is anonymous, and signs nothing: give 'key' and 'secret'"


_PAID = "requesters pay for this bucket ('request_payer'), which a URL alone cannot say"
_OWN_KEY = (
    "the files are encrypted with a key of yours ('sse_customer_key_base64'), which would have to "
    "be told to the client"
)
_UPLOADS = ("presigned_uploads", "upload_forms", "multipart_uploads")
_NO_FORMS = "the server takes no forms ('provider: {0}'); use upload_url()"


def offered(options: S3Options) -> tuple[dict[str, bool], dict[str, str]]:
    """The capabilities that settings decide, and why those are not there that are not."""
    has_key = options.customer_key is not None
    signs = not options.anon and not has_key
    public = options.public_base_url is not None or not has_key
    takes_forms = options.preset is None or options.preset.forms
    found = {
        **dict.fromkeys(_UPLOADS, signs),
        "upload_forms": signs and takes_forms,
        "conditional_writes": options.conditional_put != "disabled",
        "presigned_urls": signs and not options.request_payer,
        "public_urls": (options.anon or options.is_public) and public,
    }
    refused = _OWN_KEY if has_key else _UNSIGNED
    return found, {
        **dict.fromkeys(_UPLOADS, refused),
        **({"upload_forms": _NO_FORMS.format(options.provider)} if signs else {}),
        "conditional_writes": no_conditions(options),
        "presigned_urls": _PAID if signs else refused,
        "public_urls": NOT_PUBLIC if public else _OWN_KEY,
        "upload_sessions": "S3 has none; use begin_upload(), which goes on as well",
    }


class _Signed(NamedTuple):
    """What botocore has made, and when the credentials end that it was made with."""

    made: Any
    credentials_end: datetime | None


class S3Urls(FsspecBackend):
    """The verbs of :class:`~genro_storage.backends.direct.DirectVerbs`, all that S3 has."""

    _store: S3Filesystem

    # -- signing ------------------------------------------------------------------------------

    def _sign(self, step: Callable[[Any], Coroutine[Any, Any, Any]]) -> _Signed:
        """What ``step`` makes with botocore's client."""
        client = self._store.client

        async def once(sdk: Any) -> _Signed:
            made = await step(sdk)
            # Signing has renewed them if that was due.
            lent = None if client.source is None else client.source.peek()
            ends = None if lent is None else lent.expires_at
            return _Signed(made, None if ends is None else datetime.fromtimestamp(ends, UTC))

        return client.run(lambda: client._attempt(once))

    def _signed_url(
        self, operation: str, path: str, seconds: int, parameters: Mapping[str, Any]
    ) -> _Signed:
        asked = {"Bucket": self._store.client.bucket, "Key": self._full(path), **parameters}
        return self._sign(
            lambda sdk: sdk.generate_presigned_url(operation, Params=asked, ExpiresIn=seconds)
        )

    def url(
        self,
        path: str,
        *,
        expires_in: int = 3600,
        method: str = "GET",
        download_name: str | None = None,
        content_type: str | None = None,
        version: str | None = None,
        **options: Any,
    ) -> str | None:
        """A URL signed for ``expires_in`` seconds; of an anonymous mount, the plain one."""
        if options:
            raise ValueError(f"unknown options of a URL: {', '.join(sorted(options))}")
        if not path:
            return None
        seconds = checked_seconds(expires_in)
        asked: dict[str, Any] = {}
        if (download_name, content_type) != (None, None) and method != "GET":
            raise ValueError("download_name and content_type belong to answers: to method GET")
        if download_name is not None:
            asked["ResponseContentDisposition"] = content_disposition(download_name)
        if content_type is not None:
            asked["ResponseContentType"] = checked_type(content_type)
        if version is not None:
            asked["VersionId"] = version
        self._require_bare_urls()
        return str(self._signed_url(_OPERATIONS[method], path, seconds, asked).made)

    def _require_bare_urls(self) -> None:
        """A URL alone must do: who gets one sends no headers of ours."""
        options = self._store.client.options
        if options.request_payer:
            raise io.UnsupportedOperation(_PAID)
        self._require_no_secret_key()

    def _require_no_secret_key(self) -> None:
        if self._store.client.options.customer_key is not None:
            raise io.UnsupportedOperation(_OWN_KEY)

    def _written(self, operation: str) -> tuple[dict[str, Any], dict[str, str]]:
        """What the mount gives to all that is written: for botocore, and in headers."""
        self._require_no_secret_key()
        given = along_with(self._store.client.options, operation)
        if operation == "put_object":
            given |= self._put_options(None)
        asked = {name: given[name] for name in given if name in _WRITTEN}
        headers = {
            _WRITTEN[name]: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in asked.items()
        }
        return asked, headers

    def _user_metadata(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """That of the mount too, as headers have it."""
        return {**self._put_options(None).get("Metadata", {}), **as_headers(metadata)}

    def public_url(self, path: str) -> str:
        options = self._store.client.options
        if options.public_base_url is None:
            self._require_no_secret_key()
            if options.anon:
                return self._plain(path)
        return public_address(options, path, lambda: self._plain(path))

    def _plain(self, path: str) -> str:
        # botocore knows the host of each region, and quotes the key.
        return str(self._signed_url("get_object", path, 60, {}).made).partition("?")[0]

    # -- uploads by clients -------------------------------------------------------------------

    def _require_key(self, path: str, metadata: Mapping[str, str]) -> None:
        """Refuse now what the store would refuse the client later, or we would take for ours."""
        refuse_internal(metadata)
        self._require_write(path, False)
        check_length(self._full(path))

    def upload_url(self, path: str, terms: UploadTerms) -> UploadURL:
        self._require_key(path, terms.metadata)
        facts: list[tuple[str, Any, str]] = [
            ("ContentType", checked_type(terms.content_type), "Content-Type"),
            *_bound(terms.content_length, terms.checksum),
        ]
        if terms.if_absent:
            if not self.capabilities.conditional_writes:
                raise io.UnsupportedOperation(no_conditions(self._store.client.options))
            facts.append(("IfNoneMatch", "*", "If-None-Match"))
        return self._upload("put_object", path, terms.expires_in, facts, {}, terms.metadata)

    def _upload(
        self,
        operation: str,
        path: str,
        expires_in: int,
        facts: list[tuple[str, Any, str]],
        parameters: Mapping[str, Any],
        metadata: Mapping[str, str],
    ) -> UploadURL:
        """``facts``: how botocore calls it, the value, and the header that the client sends."""
        seconds = checked_seconds(expires_in)
        given, headers = self._written(operation)
        asked = {**given, **parameters, **{name: value for name, value, _ in facts}}
        headers |= {header: str(value) for _, value, header in facts}
        if operation == "put_object" and (kept := self._user_metadata(metadata)):
            asked["Metadata"] = kept
            headers |= {f"x-amz-meta-{key}": text for key, text in kept.items()}
        url, end = self._signed_url(operation, path, seconds, asked)
        return UploadURL(str(url), "PUT", headers, ending(seconds, end))

    def upload_form(self, path: str, terms: FormTerms) -> UploadForm:
        self._require_key(path, terms.metadata)
        key, seconds = self._full(path), checked_seconds(terms.expires_in)
        if "${filename}" in key:
            raise ValueError("the store would put the name of the client's file for '${filename}'")
        wanted = checked_type(terms.content_type, prefix=True)
        fields: dict[str, str] = self._written("put_object")[1]
        conditions: list[Any] = [["content-length-range", terms.min_size, terms.max_size]]
        if wanted.endswith("*"):
            conditions.append(["starts-with", "$Content-Type", wanted[:-1]])
        else:
            fields["Content-Type"] = wanted
        for name, text in self._user_metadata(terms.metadata).items():
            fields[f"x-amz-meta-{name}"] = text
        conditions += [{name: text} for name, text in fields.items()]
        made, end = self._sign(
            lambda sdk: sdk.generate_presigned_post(
                self._store.client.bucket,
                key,
                Fields=dict(fields),
                Conditions=conditions,
                ExpiresIn=seconds,
            )
        )
        return UploadForm(str(made["url"]), dict(made["fields"]), ending(seconds, end))

    # -- uploads in parts ---------------------------------------------------------------------

    def begin_upload(
        self, path: str, content_type: str, metadata: Mapping[str, str], algorithm: str | None
    ) -> str:
        self._require_key(path, metadata)
        self._require_no_secret_key()
        extra: dict[str, Any] = {
            **self._put_options(None),
            "ContentType": checked_type(content_type),
        }
        if kept := self._user_metadata(metadata):
            extra["Metadata"] = kept
        if algorithm is not None:
            if algorithm not in _SUMS or algorithm == "md5":
                raise ValueError(
                    f"checksum_algorithm is {algorithm!r}; there are "
                    f"{', '.join(name for name in _SUMS if name != 'md5')}"
                )
            extra["ChecksumAlgorithm"] = algorithm.upper()
        found = self._store._ask("create_multipart_upload", Key=self._full(path), **extra)
        return str(found["UploadId"])

    def sign_part(
        self,
        path: str,
        upload: str,
        number: int,
        *,
        content_length: int | None,
        checksum: Checksum | None,
        expires_in: int,
    ) -> UploadURL:
        if number > _MOST_PARTS:
            raise ValueError(f"S3 takes at most {_MOST_PARTS} parts; make them larger")
        facts = _bound(content_length, checksum)
        which = {"UploadId": upload, "PartNumber": number}
        return self._upload("upload_part", path, expires_in, facts, which, {})

    def upload_parts(self, path: str, upload: str) -> list[UploadPart]:
        which = {"Key": self._full(path), "UploadId": upload}

        def ask(marker: int | None) -> dict[str, Any]:
            more = {} if marker is None else {"PartNumberMarker": marker}
            return self._store._ask("list_parts", **which, **more)

        def token(page: Mapping[str, Any]) -> int | None:
            return int(page["NextPartNumberMarker"]) if page.get("IsTruncated") else None

        try:
            return [_part(raw) for page in pages(ask, token) for raw in page.get("Parts", ())]
        except OSError as error:
            if server_code(error) != "NoSuchUpload":
                raise
            raise FileNotFoundError(
                errno.ENOENT,
                "there is no such upload: it was completed or aborted, or never begun",
            ) from error

    def complete_upload(
        self, path: str, upload: str, parts: Sequence[UploadPart], *, if_absent: bool
    ) -> None:
        wanted = [
            {
                "PartNumber": part.number,
                "ETag": f'"{part.etag}"',
                **{name: value for name, value, _ in _bound(None, part.checksum)},
            }
            for part in parts
        ]
        client, transfers = self._store.client, self._store.transfers
        key = self._full(path)
        self._store.create(
            key,
            if_absent,
            lambda only: client.run(
                lambda: transfers.complete(key, upload, wanted, condition_of(only, {})[0])
            ),
        )

    def abort_upload(self, path: str, upload: str) -> None:
        try:
            self._store._ask("abort_multipart_upload", Key=self._full(path), UploadId=upload)
        except OSError as error:
            if server_code(error) != "NoSuchUpload":
                raise


def _bound(length: int | None, checksum: Checksum | None) -> list[tuple[str, Any, str]]:
    facts: list[tuple[str, Any, str]] = []
    if length is not None:
        facts.append(("ContentLength", length, "Content-Length"))
    if checksum is not None:
        digest = base64.b64encode(wire_digest(checksum)).decode("ascii")
        name, header = _SUMS[checksum.algorithm]
        facts.append((name, digest, header))
    return facts


def _part(raw: Mapping[str, Any]) -> UploadPart:
    sums = (
        Checksum(algorithm, base64.b64decode(raw[name]).hex())
        for algorithm, (name, _) in _SUMS.items()
        if raw.get(name)
    )
    return UploadPart(
        int(raw["PartNumber"]), str(raw["ETag"]).strip('"'), int(raw["Size"]), next(sums, None)
    )
