"""The adlfs filesystem and the obstore store with a mount's settings, for other libraries."""

from __future__ import annotations

import asyncio
import io
import os
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ..object_stores.other_clients import require_usual
from ..remote import missing_extra

if TYPE_CHECKING:
    from typing import Self

    from azure.core.credentials import AccessToken

    from ..remote import Bounds
    from .access import AzureAccess
    from .credentials import AzureCredentials

__all__ = ["make_filesystem", "make_native_store"]

_STRING = "AZURE_STORAGE_CONNECTION_STRING"


def make_filesystem(access: AzureAccess, bounds: Bounds, mount: str) -> Any:
    """An ``adlfs.AzureBlobFileSystem``. It repeats as adlfs does; listings are not cached."""
    require_usual(access.network, "adlfs")
    if access.encryption_key is not None:
        raise io.UnsupportedOperation(
            "adlfs cannot be told of 'encryption_key'; take the mount's store() instead"
        )
    try:
        import adlfs

        from .credentials import AzureCredentials

        credentials = AzureCredentials(access, bounds)
    except ImportError as error:
        raise missing_extra(error, mount, "azure", "azure") from error
    common: dict[str, Any] = {
        "account_name": access.account,
        "connection_timeout": bounds.connect,
        "read_timeout": bounds.timeout,
        "skip_instance_cache": True,
        "use_listings_cache": False,
    }
    shown = credentials.fixed()
    if shown is not None:
        # As a connection string, which goes before all that adlfs finds in the environment.
        parts = [f"BlobEndpoint={access.endpoint}", *shown]
        if access.account is not None:
            parts.append(f"AccountName={access.account}")
        return adlfs.AzureBlobFileSystem(
            connection_string=";".join(parts), anon=access.anonymous, **common
        )
    if _STRING in os.environ:
        raise io.UnsupportedOperation(
            f"adlfs would take the account of the environment variable {_STRING} instead; unset it, "
            "or take the mount's store()"
        )
    where = urlsplit(access.endpoint)
    return adlfs.AzureBlobFileSystem(
        credential=cast("Any", _Asynchronous(credentials)),
        account_host=where.netloc + where.path,
        **common,
    )


def make_native_store(access: AzureAccess, bounds: Bounds, mount: str) -> Any:
    """An ``obstore.store.AzureStore`` of the whole container, which repeats as the mount does."""
    try:
        from .credentials import AzureCredentials
        from .store_settings import make_store

        credentials = AzureCredentials(access, bounds)
        return make_store(access, bounds, credentials.for_obstore, retries=True)
    except ImportError as error:
        raise missing_extra(error, mount, "azure", "azure") from error


class _Asynchronous:
    """The mount's tokens for a client that awaits them."""

    def __init__(self, credentials: AzureCredentials) -> None:
        self._credentials = credentials

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        found = self._credentials.signed_in()
        return cast("AccessToken", await asyncio.to_thread(found.get_token, *scopes, **options))

    async def close(self) -> None:
        self._credentials.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
