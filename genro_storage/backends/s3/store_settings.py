"""How obstore's client is told what a mount says: everything, so that nothing else is asked.

obstore reads the environment by itself, and by other rules than the SDK does: whatever it could
find there is given to it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..durations import as_duration
from .certificates import pem, require_certificates
from .sdk_settings import bare_endpoint, is_virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Place
    from .options import S3Options

__all__ = ["client_settings", "make_store", "store_settings"]

#: Seconds that a request may take as long as it moves on; obstore cannot be told "any time".
_ANY_TIME = 30 * 86400.0


def make_store(
    options: S3Options,
    place: Place,
    credentials: Callable[[], Any] | None,
    patience: float | None = None,
) -> Any:
    """The store of obstore for the bucket of ``options``; nothing is asked for it.

    ``credentials`` returns what signs a request in obstore's shape; None sends none. It does not
    repeat: that is done here. ``patience``: seconds to wait at most, for a connection and for the
    next bytes, whatever the options say. Raises ``ValueError`` where a setting cannot be honoured.
    """
    from obstore.store import S3Store

    return S3Store(
        options.bucket,
        config=store_settings(options, place, anonymous=credentials is None),
        client_options=client_settings(options, place, patience),
        retry_config={"max_retries": 0},
        credential_provider=credentials,
    )


def store_settings(options: S3Options, place: Place, *, anonymous: bool) -> Any:
    """The ``S3Config``."""
    bucket = options.bucket
    if not bucket:
        raise ValueError("no bucket is named; give 'bucket' or 'url'")
    if bucket.startswith("arn:"):
        raise ValueError("obstore knows no ARNs; use 'engine: fsspec', or the access point's alias")
    region = place.region or "us-east-1"
    endpoint = _endpoint(options, place, region)
    found: dict[str, Any] = {
        "region": region,
        "default_region": region,
        "endpoint": endpoint,
        # In the environment this one would precede the other.
        "aws_endpoint_url_s3": endpoint,
        "virtual_hosted_style_request": is_virtual(options, place),
        "skip_signature": anonymous,
        "request_payer": options.request_payer,
        "unsigned_payload": options.unsigned_payload,
        "conditional_put": options.conditional_put,
        "disable_bulk_delete": options.disable_bulk_delete,
        "disable_tagging": options.disable_tagging,
        "s3_express": options.is_express,
    }
    key = options.sse_customer_key_base64
    more = {
        "server_side_encryption": options.server_side_encryption,
        "sse_kms_key_id": options.sse_kms_key_id,
        "sse_bucket_key_enabled": options.sse_bucket_key_enabled,
        "sse_customer_key_base64": None if key is None else key.get_secret_value(),
        "checksum_algorithm": options.checksum_algorithm,
        "copy_if_not_exists": _copy_mode(options),
    }
    return found | {name: value for name, value in more.items() if value is not None}


def _endpoint(options: S3Options, place: Place, region: str) -> str:
    """Where requests go; with the bucket before the host where that is the style."""
    if place.endpoint is not None:
        endpoint = bare_endpoint(options, place.endpoint)
    elif options.is_express:
        # obstore finds the zone's own host, if it is not told another.
        endpoint = _express_endpoint(options.bucket or "", region)
    else:
        tail = ".cn" if region.startswith("cn-") else ""
        endpoint = f"https://s3.{region}.amazonaws.com{tail}"
    if not is_virtual(options, place):
        return endpoint
    parts = urlsplit(endpoint)
    return parts._replace(netloc=f"{options.bucket}.{parts.netloc}").geturl()


def _express_endpoint(bucket: str, region: str) -> str:
    zone = bucket.removesuffix("--x-s3").rpartition("--")[2]
    return f"https://s3express-{zone}.{region}.amazonaws.com"


def _copy_mode(options: S3Options) -> str | None:
    condition = options.copy_condition
    if condition is None:
        return None
    if condition.name is None:
        return "multipart"
    # Its own parser takes every blank for a part of the name.
    pair = f"{condition.name}:{condition.value}"
    if condition.status == 412:
        return f"header:{pair}"
    return f"header-with-status:{pair}:{condition.status}"


def client_settings(options: S3Options, place: Place, patience: float | None = None) -> Any:
    """The ``ClientConfig``."""
    require_certificates(options)
    bounds = options.bounds
    plain = (place.endpoint or "").startswith("http://")
    found: dict[str, Any] = {
        "allow_http": plain if options.allow_http is None else options.allow_http,
        "allow_invalid_certificates": options.allow_invalid_certificates,
        "disable_system_certificates": options.disable_system_certificates,
        "connect_timeout": as_duration(min(bounds.connect, patience or bounds.connect)),
        "read_timeout": as_duration(min(options.patience, patience or options.patience)),
        "timeout": as_duration(options.request_timeout or _ANY_TIME),
    }
    for name in (
        "http1_only",
        "http2_only",
        "http2_keep_alive_while_idle",
        "randomize_addresses",
        "proxy_excludes",
        "user_agent",
        "default_content_type",
    ):
        value = getattr(options, name)
        if value is not None:
            found[name] = value
    for name in ("http2_keep_alive_interval", "http2_keep_alive_timeout", "pool_idle_timeout"):
        value = getattr(options, name)
        if value is not None:
            found[name] = as_duration(value)
    for name in ("http2_max_frame_size", "pool_max_idle_per_host"):
        value = getattr(options, name)
        if value is not None:
            found[name] = str(value)  # it takes no numbers
    if options.root_certificate is not None:
        found["root_certificate"] = pem(options.root_certificate, "root_certificate")
    if options.proxy_url is not None:
        found["proxy_url"] = options.proxy_url.get_secret_value()
    if options.proxy_ca_certificate is not None:
        found["proxy_ca_certificate"] = pem(options.proxy_ca_certificate, "proxy_ca_certificate")
    if options.default_headers:
        found["default_headers"] = options.headers
    return found
