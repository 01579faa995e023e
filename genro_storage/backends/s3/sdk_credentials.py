"""What botocore finds out about a mount, for obstore: who we are, and where the bucket is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Place, S3Client

__all__ = ["credentials_of", "current_credentials", "found_region"]


def found_region(client: S3Client) -> Place:
    """The place with its region; Amazon is asked where nobody else says it."""
    place = client.place
    if place.endpoint is not None or place.region is not None:
        return place
    return place._replace(region=client.run(client.region))


def credentials_of(client: S3Client) -> Callable[[], Any] | None:
    """Current credentials from the SDK's chain; None where the mount names its key, or nobody."""
    if client.options.key is not None or client.options.anon:
        return None

    def current() -> dict[str, Any]:
        # In a thread of obstore's, while the one that asked for something waits.
        return client.run(client.credentials)

    return current


async def current_credentials(session: Any) -> dict[str, Any]:
    """Those of a session, in the words of obstore, which asks again before they expire."""
    from botocore.exceptions import NoCredentialsError

    found = await session.get_credentials()
    if found is None:
        raise NoCredentialsError
    frozen = await found.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "token": frozen.token,
        "expires_at": getattr(found, "_expiry_time", None),
    }
