"""How the SDK's client (s3fs over aiobotocore) is told what a mount says."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .certificates import as_file, require_certificates
from .location import is_address

if TYPE_CHECKING:
    from ..remote import Bounds
    from .client import Place
    from .options import S3Options

__all__ = [
    "bare_endpoint",
    "is_virtual",
    "load_models",
    "needs_own_session",
    "prepare",
    "sdk_settings",
]


def is_virtual(options: S3Options, place: Place) -> bool:
    """Whether the bucket's name goes before the host."""
    bucket = options.bucket or ""
    if not place.is_amazon or options.virtual_hosted_style_request is not None:
        return bool(options.virtual_hosted_style_request)
    # TLS certificates are for one name before the host, without dots.
    return place.endpoint is None and "." not in bucket and not bucket.startswith("arn:")


def bare_endpoint(options: S3Options, endpoint: str) -> str:
    """The endpoint without the bucket before its host, which obstore's users write there."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if not options.virtual_hosted_style_request:
        return endpoint
    first = f"{options.bucket}."
    if not options.bucket or not host.startswith(first.lower()):
        return endpoint
    netloc = host.removeprefix(first.lower()) + ("" if parts.port is None else f":{parts.port}")
    return parts._replace(netloc=netloc).geturl()


def sdk_settings(options: S3Options, place: Place, bounds: Bounds, pool: int) -> dict[str, Any]:
    """The arguments of ``S3FileSystem``, without credentials that change."""
    from .http import session_class

    require_certificates(options)
    endpoint = None if place.endpoint is None else bare_endpoint(options, place.endpoint)
    s3: dict[str, Any] = {}
    config: dict[str, Any] = {
        "http_session_cls": session_class(options),
        "signature_version": "s3v4",
        "connect_timeout": bounds.connect,
        "read_timeout": options.patience,
        "retries": {"total_max_attempts": 1},  # they are counted here
        "max_pool_connections": pool,
    }
    preset = options.preset
    if not place.is_amazon and not (preset is not None and preset.checksums):
        # Many servers refuse checksums that they do not know, or send those of the whole
        # with a part; and few have a host name for each bucket.
        config["request_checksum_calculation"] = "when_required"
        config["response_checksum_validation"] = "when_required"
    if options.virtual_hosted_style_request is not None:
        s3["addressing_style"] = "virtual" if is_virtual(options, place) else "path"
    elif not place.is_amazon:
        s3["addressing_style"] = "path"
    elif endpoint is None:
        # Otherwise URLs are signed for a name that half of the regions are not behind.
        s3["addressing_style"] = "virtual"
    if options.unsigned_payload:
        s3["payload_signing_enabled"] = False
    if options.use_accelerate_endpoint:
        s3["use_accelerate_endpoint"] = True
    if options.s3_express is False:
        s3["disable_s3_express_session_auth"] = True
    if s3:
        config["s3"] = s3
    for name in ("use_fips_endpoint", "use_dualstack_endpoint"):
        if getattr(options, name):
            config[name] = True
    if options.pool_idle_timeout is not None:
        config["connector_args"] = {"keepalive_timeout": options.pool_idle_timeout}
    config |= _proxies(options, endpoint)
    client: dict[str, Any] = {}
    if options.region is not None:
        client["region_name"] = options.region
    # Where there are no certificates, reading ours takes long.
    if options.allow_invalid_certificates or (endpoint or "").startswith("http://"):
        client["verify"] = False
    elif options.disable_system_certificates and options.root_certificate is not None:
        client["verify"] = as_file(options.root_certificate, "root_certificate")
    secret, token = options.secret, options.token
    fixed = options.key is not None and options.credentials_url is None
    return {
        "asynchronous": True,  # nothing is closed by the garbage collector
        "skip_instance_cache": True,
        "use_listings_cache": False,
        "anon": options.anon,
        "key": options.key if fixed else None,
        "secret": secret.get_secret_value() if fixed and secret is not None else None,
        "token": token.get_secret_value() if fixed and token is not None else None,
        "endpoint_url": endpoint,
        "client_kwargs": client,
        "config_kwargs": config,
        # A URL that is signed for another region is worth nothing.
        "cache_regions": options.region is None and endpoint is None,
    }


def _proxies(options: S3Options, endpoint: str | None) -> dict[str, Any]:
    if options.proxy_url is None:
        return {}
    host = urlsplit(endpoint or "https://s3.amazonaws.com").hostname or ""
    if _is_excluded(host, options.proxy_excludes or ""):
        return {"proxies": {}}
    proxy = options.proxy_url.get_secret_value()
    found: dict[str, Any] = {"proxies": {"http": proxy, "https": proxy}}
    if options.proxy_ca_certificate is not None:
        bundle = as_file(options.proxy_ca_certificate, "proxy_ca_certificate")
        found["proxies_config"] = {"proxy_ca_bundle": bundle}
    return found


def _is_excluded(host: str, excludes: str) -> bool:
    """By the rules of ``NO_PROXY``: names with all below them, addresses, networks, ``*``."""
    import ipaddress

    for each in (part.strip() for part in excludes.split(",")):
        if not each:
            continue
        if each == "*":
            return True
        if is_address(host):
            try:
                if ipaddress.ip_address(host) in ipaddress.ip_network(each, strict=False):
                    return True
            except ValueError:
                continue  # a name, which is no address
            continue
        name = each.lower().lstrip("*").lstrip(".")
        if host == name or host.endswith(f".{name}"):
            return True
    return False


@functools.cache
def load_models() -> Any:
    """The one loader of botocore's descriptions, which are large."""
    from botocore.loaders import create_loader

    return create_loader()


def needs_own_session(options: S3Options) -> bool:
    """Whether what goes along with requests makes a session a mount's own."""
    return bool(_headers(options)) or options.default_region is not None


def _headers(options: S3Options) -> dict[str, str]:
    """What requests carry. The SDK would add its own name to another setting."""
    agent = {} if options.user_agent is None else {"User-Agent": options.user_agent}
    return {**agent, **options.headers}


def prepare(session: Any, options: S3Options) -> None:
    """Have a session's clients send the headers of a mount, unsigned, and know where to begin."""
    if options.default_region is not None:
        session.set_config_variable("region", options.default_region)
    headers = _headers(options)
    if not headers:
        return

    def add(request: Any, **_: Any) -> None:
        for name, value in headers.items():
            request.headers[name] = value

    session.register("before-send.s3", add)
