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
    retries: bool = False,
) -> Any:
    """A store of the mount's container.

    Everything is said, so that nothing is taken from the environment: what that says has been
    looked at already. ``retries``: it repeats by itself.
    """
    from obstore.store import AzureStore

    config: Any = {
        # Not asked of a name that the endpoint does not tell: it signs requests with a key only.
        "account_name": access.account or "account",
        "endpoint": access.endpoint,
        "skip_signature": access.anonymous,
        "use_emulator": False,
        "use_fabric_endpoint": False,
    }
    if access.encryption_key is not None:
        config["encryption_key"] = access.encryption_key
    provider: Any = {} if access.anonymous else {"credential_provider": credentials}
    client: Any = access.network.obstore_options(connect=bounds.connect, timeout=bounds.timeout)
    repeating: Any = retry_config(bounds) if retries else {"max_retries": 0}
    return AzureStore(
        access.container,
        config=config,
        client_options=client,
        retry_config=repeating,
        **provider,
    )
