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
    prefix: str | None = None,
    retries: bool = False,
) -> Any:
    """obstore's store of the mount's bucket, from its ``prefix`` on.

    ``credentials`` is None for a bucket that is open to everybody. ``retries``: it repeats by
    itself.
    """
    from obstore.store import GCSStore

    client = access.network.obstore_options(connect=bounds.connect, timeout=bounds.timeout)
    headers = dict(client.get("default_headers", {}))
    # As it is stored: otherwise the service unpacks what was stored packed, from its beginning and
    # whatever the range says.
    headers.setdefault("accept-encoding", "gzip")
    if access.project and credentials is not None:
        headers["x-goog-user-project"] = access.project
    # Said in any case, so that nothing is taken from the environment, which was looked at already.
    config: dict[str, Any] = {"base_url": access.endpoint, "skip_signature": credentials is None}
    provider = {} if credentials is None else {"credential_provider": credentials}
    return GCSStore(
        access.bucket,
        prefix=prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options={**client, "default_headers": headers},  # type: ignore[typeddict-item]
        retry_config=retry_config(bounds) if retries else {"max_retries": 0},  # type: ignore[arg-type]
        **provider,  # type: ignore[arg-type]
    )
