"""URLs that let whoever has them do one thing with one blob for a while: a service SAS for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

if TYPE_CHECKING:
    from .access import AzureAccess

__all__ = ["signed_url"]


def signed_url(
    access: AzureAccess,
    key: str,
    expires_in: int,
    *,
    permission: str = "r",
    disposition: str | None = None,
    content_type: str | None = None,
    version: str | None = None,
) -> str:
    """``key`` for ``expires_in`` seconds, signed with the account's key.

    ``permission`` has the letters of a SAS: ``r`` read, ``c`` create, ``w`` write, ``d`` delete.
    """
    assert access.account is not None
    try:
        expiry = datetime.now(UTC) + timedelta(seconds=expires_in)
    except OverflowError:
        raise ValueError("expires_in is beyond the end of all calendars") from None
    signature = generate_blob_sas(
        access.account,
        access.container,
        key,
        account_key=access.key,
        permission=BlobSasPermissions.from_string(permission),
        expiry=expiry,
        content_disposition=disposition,
        content_type=content_type,
        version_id=version,
    )
    which = "" if version is None else f"versionid={quote(version, safe='')}&"
    return f"{access.endpoint}/{quote(access.container)}/{quote(key, safe='/~')}?{which}{signature}"
