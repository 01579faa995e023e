"""What Azure Blob Storage offers to clients that talk to it themselves. Imports no SDK.

A shared access signature (SAS) says who may do what with which blob, and for how long. It says
nothing of headers or contents: what of those is asked for is sent by honest clients only.
"""

from __future__ import annotations

import base64
import binascii
import errno
import io
import json
import re
import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from urllib.parse import quote

from ...uploads import UploadPart, UploadURL
from ..object_stores.direct import DirectAccess
from ..remote import missing_extra
from ..signing import checked_seconds, checked_type, ending, plain_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...info import Checksum
    from ...uploads import UploadTerms
    from .access import AzureAccess
    from .client import AzureClient
    from .options import AzureOptions

__all__ = ["AzureDirect"]

_NO_KEY = "only an account key can sign: give 'account_key' or a connection string with one"
_OWN_KEY = (
    "the files are encrypted with a key of yours ('encryption_key'), which would have to be told to "
    "the client"
)
_UNBOUND = (
    "Azure's signatures cannot bind {}: leave it out, and look at the blob when it has arrived"
)
#: What a SAS must allow, by the method of the request. Whoever may write may also create.
_LETTERS = {"GET": "r", "HEAD": "r", "PUT": "cw", "DELETE": "d"}
_ID = re.compile(r"([0-9a-f]{32})([A-Za-z0-9_-]*={0,2})", re.ASCII)


class _Upload(NamedTuple):
    """What an upload id says: the service knows of nothing before a block comes."""

    mark: str
    content_type: str
    metadata: dict[str, str]

    def block(self, number: int) -> str:
        """The id of a block, as long as those of our own uploads: a blob has no others.

        The client encodes what it is given once more, as the URL must.
        """
        return base64.b64encode(f"{self.mark}{number:05}".encode()).decode("ascii")

    def number(self, block: str) -> int | None:
        """The number of a block of this upload, None for others'."""
        try:
            text = base64.b64decode(block, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            return None
        number = text.removeprefix(self.mark)
        return int(number) if number != text and number.isdigit() else None


class AzureDirect(DirectAccess):
    """Signatures with an account's key."""

    why_not: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **dict.fromkeys(("presigned_urls", "presigned_uploads", "multipart_uploads"), _NO_KEY),
            "upload_forms": "Azure takes no forms; use upload_url()",
            "upload_sessions": "Azure has none; use begin_upload(), which goes on as well",
        }
    )

    def __init__(self, options: AzureOptions, access: AzureAccess, mount: str) -> None:
        has_own_key = access.encryption_key is not None
        super().__init__(options, access.key is not None and not has_own_key)
        if has_own_key:
            self.useless = _OWN_KEY
        self._access = access
        self._mount = mount

    @property
    def declared(self) -> dict[str, bool]:
        return {
            **super().declared,
            "presigned_uploads": self.signs,
            "multipart_uploads": self.signs,
        }

    def _signed(self, key: str, seconds: int, permission: str, **more: str | None) -> str:
        if not self.signs:
            self._refuse("presigned_urls")
        try:
            from .sign import signed_url
        except ImportError as error:
            raise missing_extra(error, self._mount, "azure", "azure") from error
        return signed_url(self._access, key, seconds, permission=permission, **more)

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
        return self._signed(
            key,
            seconds,
            _LETTERS[method],
            disposition=disposition,
            content_type=content_type,
            version=version,
        )

    def plain(self, key: str) -> str:
        if self.useless:
            self._refuse("public_urls")
        return f"{self._access.endpoint}/{quote(self._access.container)}/{quote(key, safe='/~')}"

    # -- uploads ------------------------------------------------------------------------------

    def upload_url(self, key: str, terms: UploadTerms) -> UploadURL:
        _refuse_bounds(terms.content_length, terms.checksum)
        seconds = checked_seconds(terms.expires_in, None)
        end = ending(seconds)
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": checked_type(terms.content_type)}
        for name, text in plain_metadata(terms.metadata, identifiers=True).items():
            headers[f"x-ms-meta-{name}"] = text
        # Who may only create cannot replace, whatever is sent.
        url = self._signed(key, seconds, "c" if terms.if_absent else "cw")
        return UploadURL(url, "PUT", headers, end)

    def begin_upload(
        self, key: str, content_type: str, metadata: Mapping[str, str], algorithm: str | None
    ) -> str:
        if algorithm is not None:
            raise io.UnsupportedOperation(_UNBOUND.format("checksums"))
        pairs = plain_metadata(metadata, identifiers=True)
        about = json.dumps([checked_type(content_type), pairs], separators=(",", ":"))
        return uuid.uuid4().hex + base64.urlsafe_b64encode(about.encode()).decode("ascii")

    def sign_part(
        self,
        key: str,
        upload: str,
        number: int,
        *,
        content_length: int | None,
        checksum: Checksum | None,
        expires_in: int,
    ) -> UploadURL:
        _refuse_bounds(content_length, checksum)
        seconds = checked_seconds(expires_in, None)
        block = base64.b64encode(_parsed(upload).block(number).encode()).decode("ascii")
        end = ending(seconds)
        url = f"{self._signed(key, seconds, 'cw')}&comp=block&blockid={quote(block, safe='')}"
        return UploadURL(url, "PUT", {}, end)

    def upload_parts(self, client: AzureClient, key: str, upload: str) -> list[UploadPart]:
        wanted = _parsed(upload)
        try:
            with client._explained():
                _, waiting = client._blob(key).get_block_list("uncommitted")
        except FileNotFoundError as error:
            if type(error) is not FileNotFoundError:  # the container
                raise
            return []  # nothing has arrived, not even one block
        found = [(wanted.number(str(block.id)), block) for block in waiting]
        parts = [UploadPart(n, None, int(block.size)) for n, block in found if n is not None]
        return sorted(parts, key=lambda part: part.number)

    def complete_upload(
        self,
        client: AzureClient,
        key: str,
        upload: str,
        parts: Sequence[UploadPart],
        if_absent: bool,
    ) -> None:
        from .blocks import commit_blocks

        wanted = _parsed(upload)
        blocks = [wanted.block(part.number) for part in parts]
        commit_blocks(client, key, blocks, wanted.content_type, wanted.metadata, if_absent)

    def abort_upload(self, client: AzureClient, key: str, upload: str) -> None:
        # There is no request for it: the service drops blocks a week after the last one came, or
        # when the blob is written.
        _parsed(upload)


def _parsed(upload: str) -> _Upload:
    found = _ID.fullmatch(upload)
    strange = FileNotFoundError(
        errno.ENOENT, "there is no such upload: its id is none of this store's"
    )
    if found is None:
        raise strange
    try:
        content_type, metadata = json.loads(base64.urlsafe_b64decode(found[2]))
        pairs = plain_metadata(metadata, identifiers=True)
        return _Upload(found[1], checked_type(content_type), pairs)
    except (ValueError, TypeError, AttributeError):
        raise strange from None


def _refuse_bounds(length: int | None, checksum: Checksum | None) -> None:
    """What would protect nothing is not promised."""
    for what, value in (("content_length", length), ("checksum", checksum)):
        if value is not None:
            raise io.UnsupportedOperation(_UNBOUND.format(what))
