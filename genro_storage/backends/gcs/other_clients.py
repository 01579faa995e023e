"""The gcsfs filesystem and the obstore store with a mount's settings, for other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..object_stores.other_clients import require_usual
from ..remote import missing_extra

if TYPE_CHECKING:
    from ..remote import Bounds
    from .access import GcsAccess

__all__ = ["make_filesystem", "make_native_store"]


def make_filesystem(access: GcsAccess, bounds: Bounds, mount: str) -> Any:
    """A ``gcsfs.GCSFileSystem``. It repeats as gcsfs does; listings are not cached."""
    require_usual(access.network, "gcsfs")
    try:
        import aiohttp
        import gcsfs

        from .service import GcsService

        service = GcsService(access, bounds)
    except ImportError as error:
        raise missing_extra(error, mount, "gcs", "gcs") from error
    found = service.credentials
    return gcsfs.GCSFileSystem(
        project=access.project or "",
        token="anon" if found is None else found,
        endpoint_url=access.endpoint,
        requester_pays=access.project or False,
        requests_timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=bounds.connect, sock_read=bounds.timeout
        ),
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def make_native_store(access: GcsAccess, bounds: Bounds, mount: str) -> Any:
    """An ``obstore.store.GCSStore`` of the whole bucket, which repeats as the mount does."""
    try:
        from .service import GcsService
        from .store_settings import make_store

        service = GcsService(access, bounds)
        return make_store(access, bounds, service.for_obstore(), retries=True)
    except ImportError as error:
        raise missing_extra(error, mount, "gcs", "gcs") from error
