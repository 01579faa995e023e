"""The obstore store of a mount: the same bucket, server and credentials as the SDK has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import S3Options
    from .client import Place

__all__ = ["make_store"]

#: Seconds that a request may take in all: a transfer that moves on may take any time, and what
#: falls silent is found by ``read_timeout``.
_ANY_TIME = 7 * 24 * 3600


def make_store(options: S3Options, place: Place, credentials: Callable[[], Any] | None) -> Any:
    """The store of obstore for the mount's bucket.

    ``credentials`` returns the current ones (``access_key_id``, ``secret_access_key``, ``token``,
    ``expires_at``), where the mount names no key and is not anonymous.
    """
    from obstore.store import S3Store

    endpoint = place.endpoint or _amazon(place.region or "us-east-1", options.bucket)
    found: Any = {
        # Said in any case, and so before what the environment says: AWS_ENDPOINT_URL_S3 would
        # win over "endpoint" otherwise.
        "aws_endpoint_url_s3": endpoint,
        "region": place.region or "us-east-1",
        "virtual_hosted_style_request": place.endpoint is None,
        "skip_signature": options.anon,
    }
    provider: dict[str, Any] = {}
    if options.key is not None:
        # Not as settings: beside those, obstore takes a session token from the environment.
        credentials = _fixed(options)
    if credentials is not None:
        provider["credential_provider"] = credentials
    bounds = options.bounds
    return S3Store(
        options.bucket,
        config=found,
        client_options={
            "allow_http": urlsplit(endpoint).scheme == "http",
            "timeout": timedelta(seconds=_ANY_TIME),
            "connect_timeout": timedelta(seconds=bounds.connect),
            "read_timeout": timedelta(seconds=bounds.timeout),
        },
        retry_config={"max_retries": 0},  # they are counted here
        **provider,
    )


def _fixed(options: S3Options) -> Callable[[], Any]:
    def credentials() -> dict[str, Any]:
        secret, token = options.secret, options.token
        return {
            "access_key_id": options.key,
            "secret_access_key": None if secret is None else secret.get_secret_value(),
            "token": None if token is None else token.get_secret_value(),
            "expires_at": None,
        }

    return credentials


def _amazon(region: str, bucket: str) -> str:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{bucket}.s3.{region}.{domain}"
