"""When large contents of a bucket come by urllib3, and how it connects."""

from __future__ import annotations

import functools
import urllib.request
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..object_stores.connections import Server
from ..object_stores.ranged import RangedGet
from ..web_proxy import proxy_between
from .certificates import tls_context

if TYPE_CHECKING:
    from .options import S3Options

__all__ = ["ranged_get"]

#: Seconds that a signed URL is good for. It is used at once; this is how far the clock of the
#: server may be ahead, as it may with signatures in headers.
_GOOD_FOR = timedelta(seconds=900)
#: What only obstore can do, or has a signature for.
_OBSTORE_ONLY = (
    "allow_invalid_certificates",
    "anon",
    "proxy_url",
    "default_headers",
    "http2_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "randomize_addresses",
    "request_payer",
    "request_timeout",
    "sse_customer_key_base64",
    "is_express",
)


def ranged_get(options: S3Options, store: Any) -> RangedGet | None:
    """What gets large objects of ``store``; None where the settings are for obstore, or a proxy is.

    Whether the environment names a proxy is looked at now, as obstore does.
    """
    if any(getattr(options, name) for name in _OBSTORE_ONLY) or options.http1_only is False:
        return None
    import obstore

    endpoint = urlsplit(store.config["endpoint"])
    host, is_secure = endpoint.hostname or "", endpoint.scheme == "https"
    port = endpoint.port or (443 if is_secure else 80)
    if proxy_between(urllib.request.getproxies(), endpoint.scheme, host, port) is not None:
        return None

    def sign(key: str) -> str:
        return obstore.sign(store, "GET", key, _GOOD_FOR)

    return RangedGet(
        Server(
            host,
            port,
            functools.partial(tls_context, options) if is_secure else None,
            options.bounds.connect,
            options.patience,
        ),
        sign,
        obstore.get,
        headers={"User-Agent": options.user_agent or "genro-storage"},
        prefix="x-amz-meta-",
        version="x-amz-version-id",
    )
