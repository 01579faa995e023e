"""The obstore store of a mount: the same container, account and credentials as the SDK has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..object_stores.network import retry_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds
    from .access import AzureAccess

__all__ = ["make_store"]


def make_store(
    access: AzureAccess,
    bounds: Bounds,
    credentials: Callable[[], dict[str, Any]],
    *,
    prefix: str | None = None,
    retries: bool = False,
) -> Any:
    """obstore's store of the mount's container, from its ``prefix`` on.

    Everything is said, so that nothing is taken from the environment: what that says has been
    looked at already. ``retries``: it repeats by itself.
    """
    from obstore.store import AzureStore

    config: dict[str, Any] = {
        # Not asked of a name that the endpoint does not tell: it signs requests with a key only.
        "account_name": access.account or "account",
        "endpoint": access.endpoint,
        "skip_signature": access.anonymous,
        "use_emulator": False,
        "use_fabric_endpoint": False,
    }
    if access.encryption_key is not None:
        config["encryption_key"] = access.encryption_key
    provider = {} if access.anonymous else {"credential_provider": credentials}
    return AzureStore(
        access.container,
        prefix=prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options=access.network.obstore_options(  # type: ignore[arg-type]
            connect=bounds.connect, timeout=bounds.timeout
        ),
        retry_config=retry_config(bounds) if retries else {"max_retries": 0},
        **provider,  # type: ignore[arg-type]
    )
