"""The obstore store of a mount: the same bucket, server and credentials as the JSON API has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..object_stores.network import retry_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds
    from .access import GcsAccess

__all__ = ["make_store"]


def make_store(
    access: GcsAccess,
    bounds: Bounds,
    credentials: Callable[[], dict[str, Any]] | None,
    *,
    retries: bool = False,
) -> Any:
    """A store of the mount's bucket.

    ``credentials`` is None for a bucket that is open to everybody. ``retries``: it repeats by
    itself.
    """
    from obstore.store import GCSStore

    client: Any = access.network.obstore_options(connect=bounds.connect, timeout=bounds.timeout)
    headers = dict(client.get("default_headers", {}))
    # As it is stored: otherwise the service unpacks what was stored packed, from its beginning and
    # whatever the range says.
    headers.setdefault("accept-encoding", "gzip")
    if access.project and credentials is not None:
        headers["x-goog-user-project"] = access.project
    client["default_headers"] = headers
    repeating: Any = retry_config(bounds) if retries else {"max_retries": 0}
    # Said in any case, so that nothing is taken from the environment, which was looked at already.
    config: Any = {"base_url": access.endpoint, "skip_signature": credentials is None}
    provider: Any = {} if credentials is None else {"credential_provider": credentials}
    return GCSStore(
        access.bucket,
        config=config,
        client_options=client,
        retry_config=repeating,
        **provider,
    )
