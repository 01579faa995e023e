"""What is found out about a mount for obstore: who we are, and where the bucket is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Place, S3Client

__all__ = ["credentials_of", "found_region"]


def found_region(client: S3Client) -> Place:
    """The place with its region; Amazon is asked where the mount does not say it."""
    place, options = client.place, client.options
    if options.region is not None:
        return place
    # Of another server it is known, or a matter of the profile, if there can be one.
    may_have_profile = options.identities in ((), ("profile",))
    if place.endpoint is not None and (place.region is not None or not may_have_profile):
        return place
    return place._replace(region=client.run(client.region))


def credentials_of(client: S3Client) -> Callable[[], Any] | None:
    """What gives obstore the current credentials; None where nothing is signed."""
    return None if client.source is None else client.source.for_obstore
