"""URLs that let whoever has them read one blob for a while: a service SAS for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

if TYPE_CHECKING:
    from .access import AzureAccess

__all__ = ["signed_url"]


def signed_url(access: AzureAccess, container: str, key: str, expires_in: int) -> str:
    """A GET of ``key`` that works for ``expires_in`` seconds, signed with the account's key."""
    assert access.account is not None
    try:
        expiry = datetime.now(UTC) + timedelta(seconds=expires_in)
    except OverflowError:
        raise ValueError("expires_in is beyond the end of all calendars") from None
    signature = generate_blob_sas(
        access.account,
        container,
        key,
        account_key=access.key,
        permission=BlobSasPermissions(read=True),
        expiry=expiry,
    )
    return f"{access.endpoint}/{quote(container)}/{quote(key, safe='/~')}?{signature}"
