"""What Google Cloud Storage offers to clients that talk to it themselves. Imports no SDK."""

from __future__ import annotations

import base64
import errno
import io
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from ...uploads import UploadForm, UploadURL
from ..object_stores.direct import DirectAccess
from ..remote import missing_extra
from ..signing import (
    LONGEST_URL,
    checked_header,
    checked_seconds,
    checked_type,
    ending,
    plain_metadata,
    wire_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...info import Checksum
    from ...uploads import FormTerms, UploadTerms
    from .access import GcsAccess
    from .client import GcsClient
    from .options import GcsOptions

__all__ = ["GcsDirect"]

#: Seconds after which the service forgets a resumable upload.
_SESSION = 7 * 24 * 3600
_NO_KEY = (
    "only the key of a service account can sign: give one as 'token' (a key file, or its contents)"
)


class GcsDirect(DirectAccess):
    """V4 signatures and POST policies with a service account's key; resumable uploads without."""

    longest: ClassVar[int | None] = LONGEST_URL
    why_not: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **dict.fromkeys(("presigned_urls", "presigned_uploads", "upload_forms"), _NO_KEY),
            "multipart_uploads": "Google has uploads that resume in another form; use "
            "upload_session()",
        }
    )

    def __init__(
        self, options: GcsOptions, access: GcsAccess, account: dict[str, Any] | None, mount: str
    ) -> None:
        super().__init__(options, account is not None)
        self._bucket = access.bucket
        self._endpoint = access.endpoint
        self._account = account
        self._mount = mount

    @property
    def declared(self) -> dict[str, bool]:
        signs = self.signs
        more = {"presigned_uploads": signs, "upload_forms": signs, "upload_sessions": True}
        return {**super().declared, **more}

    def _key(self) -> dict[str, Any]:
        if self._account is None:
            raise io.UnsupportedOperation(_NO_KEY)
        return self._account

    def _signed(
        self,
        key: str,
        seconds: int,
        method: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
    ) -> str:
        try:
            from .sign import signed_url
        except ImportError as error:
            raise missing_extra(error, self._mount, "gcs", "gcs") from error
        return signed_url(
            self._endpoint,
            self._bucket,
            key,
            self._key(),
            seconds,
            method=method,
            headers=headers,
            query=query,
        )

    def sign(
        self,
        key: str,
        seconds: int,
        *,
        method: str,
        disposition: str | None,
        content_type: str | None,
        version: str | None,
    ) -> str:
        query = {
            "response-content-disposition": disposition,
            "response-content-type": content_type,
            "generation": version,
        }
        given = {name: text for name, text in query.items() if text is not None}
        return self._signed(key, seconds, method, {}, given)

    def plain(self, key: str) -> str:
        return f"{self._endpoint}/{quote(self._bucket, safe='~')}/{quote(key, safe='/~')}"

    # -- uploads ------------------------------------------------------------------------------

    def upload_url(self, key: str, terms: UploadTerms) -> UploadURL:
        seconds = checked_seconds(terms.expires_in)
        headers = {"Content-Type": checked_type(terms.content_type)}
        length = terms.content_length
        if length is not None:
            # The service does not compare a signed Content-Length with what comes; this it does.
            headers["x-goog-content-length-range"] = f"{length},{length}"
        if terms.checksum is not None:
            digest = _digest(terms.checksum)
            if terms.checksum.algorithm == "md5":
                headers["Content-MD5"] = digest
            else:
                headers["x-goog-hash"] = f"crc32c={digest}"
        if terms.if_absent:
            headers["x-goog-if-generation-match"] = "0"
        for name, text in plain_metadata(terms.metadata).items():
            headers[f"x-goog-meta-{name}"] = " ".join(text.split())
        url = self._signed(key, seconds, "PUT", headers, {})
        return UploadURL(url, "PUT", headers, ending(seconds))

    def upload_form(self, key: str, terms: FormTerms) -> UploadForm:
        try:
            from .sign import signed_form
        except ImportError as error:
            raise missing_extra(error, self._mount, "gcs", "gcs") from error
        if "${filename}" in key:
            raise ValueError("the store would put the name of the client's file for '${filename}'")
        seconds = checked_seconds(terms.expires_in)
        wanted = checked_type(terms.content_type, prefix=True)
        conditions: list[Any] = [["content-length-range", terms.min_size, terms.max_size]]
        fields: dict[str, str] = {}
        if wanted.endswith("*"):
            conditions.append(["starts-with", "$Content-Type", wanted[:-1]])
        else:
            fields["Content-Type"] = wanted
        for name, text in plain_metadata(terms.metadata).items():
            fields[f"x-goog-meta-{name}"] = text
        url, found = signed_form(
            self._endpoint, self._bucket, key, self._key(), seconds, fields, conditions
        )
        return UploadForm(url, found, ending(seconds))

    def upload_session(
        self, client: GcsClient, key: str, terms: UploadTerms, origin: str | None
    ) -> UploadURL:
        about: dict[str, Any] = {"name": key, "contentType": checked_type(terms.content_type)}
        if terms.metadata:
            about["metadata"] = dict(terms.metadata)
        if terms.checksum is not None:
            name = "md5Hash" if terms.checksum.algorithm == "md5" else "crc32c"
            about[name] = _digest(terms.checksum)
        headers = {"X-Upload-Content-Type": terms.content_type}
        if terms.content_length is not None:
            headers["X-Upload-Content-Length"] = str(terms.content_length)
        if origin is not None:
            headers["Origin"] = checked_header("origin", origin)
        asked = {
            "uploadType": "resumable",
            "name": key,
            "ifGenerationMatch": "0" if terms.if_absent else None,
        }
        url = f"{client._endpoint}/upload/storage/v1/b/{client._quoted}/o"
        with client._answer(
            "POST", url, None, params=asked, json=about, headers=headers, accepts=(200, 201)
        ) as response:
            session = str(response.headers.get("Location", ""))
        if urlsplit(session).scheme not in ("https", urlsplit(client._endpoint).scheme):
            raise OSError(errno.EIO, f"{client._host} named no place to upload to that can be used")
        # It needs no further credentials. Some servers keep the type of the last request.
        return UploadURL(session, "PUT", {"Content-Type": terms.content_type}, ending(_SESSION))


def _digest(checksum: Checksum) -> str:
    digest = wire_digest(checksum)
    if checksum.algorithm not in ("md5", "crc32c"):
        raise io.UnsupportedOperation(
            f"Google checks md5 and crc32c, and no {checksum.algorithm}; give one of those"
        )
    return base64.b64encode(digest).decode("ascii")
