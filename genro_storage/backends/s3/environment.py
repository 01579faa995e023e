"""From what a mount says, the environment and its provider: one value that both clients follow.

A setting of the mount precedes the environment, and that precedes the provider's default. What the
SDK finds by itself, in the same place for both clients, is left to it: the endpoint and the region
of a profile, and the credentials of its usual chain.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ...exceptions import StorageConfigError
from ..object_stores.plain import check_region
from .location import checked_endpoint, require_no_bucket
from .options import S3Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["VARIABLES", "configured_endpoint", "configured_region", "no_endpoint", "resolve"]

#: The variables of each setting; the first that is set counts.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "bucket": ("AWS_BUCKET", "AWS_BUCKET_NAME"),
    # A hint only: a machine's own region need not be the bucket's.
    "default_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "virtual_hosted_style_request": ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST",),
    "s3_express": ("AWS_S3_EXPRESS",),
    "use_fips_endpoint": ("AWS_USE_FIPS_ENDPOINT",),
    "use_dualstack_endpoint": ("AWS_USE_DUALSTACK_ENDPOINT",),
    "request_payer": ("AWS_REQUEST_PAYER", "AWS_REQUESTER_PAYS"),
    "server_side_encryption": ("AWS_SERVER_SIDE_ENCRYPTION",),
    "sse_kms_key_id": ("AWS_SSE_KMS_KEY_ID",),
    "sse_bucket_key_enabled": ("AWS_SSE_BUCKET_KEY_ENABLED",),
    "sse_customer_key_base64": ("AWS_SSE_CUSTOMER_KEY_BASE64",),
    "checksum_algorithm": ("AWS_CHECKSUM_ALGORITHM",),
    "unsigned_payload": ("AWS_UNSIGNED_PAYLOAD",),
    "conditional_put": ("AWS_CONDITIONAL_PUT",),
    "copy_if_not_exists": ("AWS_COPY_IF_NOT_EXISTS",),
    "disable_bulk_delete": ("AWS_DISABLE_BULK_DELETE",),
    "disable_tagging": ("AWS_DISABLE_TAGGING",),
    "allow_http": ("AWS_ALLOW_HTTP",),
    "allow_invalid_certificates": ("AWS_ALLOW_INVALID_CERTIFICATES",),
    "connect_timeout": ("AWS_CONNECT_TIMEOUT",),
    "read_timeout": ("AWS_READ_TIMEOUT",),
    "request_timeout": ("AWS_TIMEOUT",),
    "default_content_type": ("AWS_DEFAULT_CONTENT_TYPE",),
    "disable_system_certificates": ("AWS_DISABLE_SYSTEM_CERTIFICATES",),
    "http1_only": ("AWS_HTTP1_ONLY",),
    "http2_only": ("AWS_HTTP2_ONLY",),
    "http2_keep_alive_interval": ("AWS_HTTP2_KEEP_ALIVE_INTERVAL",),
    "http2_keep_alive_timeout": ("AWS_HTTP2_KEEP_ALIVE_TIMEOUT",),
    "http2_keep_alive_while_idle": ("AWS_HTTP2_KEEP_ALIVE_WHILE_IDLE",),
    "http2_max_frame_size": ("AWS_HTTP2_MAX_FRAME_SIZE",),
    "pool_idle_timeout": ("AWS_POOL_IDLE_TIMEOUT",),
    "pool_max_idle_per_host": ("AWS_POOL_MAX_IDLE_PER_HOST",),
    "proxy_url": ("AWS_PROXY_URL",),
    "proxy_ca_certificate": ("AWS_PROXY_CA_CERTIFICATE",),
    "proxy_excludes": ("AWS_PROXY_EXCLUDES",),
    "randomize_addresses": ("AWS_RANDOMIZE_ADDRESSES",),
    "root_certificate": ("AWS_ROOT_CERTIFICATE", "AWS_CA_BUNDLE"),
    "user_agent": ("AWS_USER_AGENT",),
}
#: Where profiles are.
_FILES = {
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
}
#: The same for who we are, which is asked only where the mount does not say it.
_KEY = ("AWS_ACCESS_KEY_ID",)
_SECRET = ("AWS_SECRET_ACCESS_KEY",)
_TOKEN = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_TOKEN")
_PLACES: Mapping[str, tuple[str, ...]] = {
    "metadata_endpoint": ("AWS_METADATA_ENDPOINT",),
    "imdsv1_fallback": ("AWS_IMDSV1_FALLBACK",),
}
_STS: Mapping[str, tuple[str, ...]] = {"sts_endpoint": ("AWS_ENDPOINT_URL_STS", "AWS_STS_ENDPOINT")}
#: What the mount says with one setting is not completed with another by the environment.
_TOGETHER = (
    ("server_side_encryption", "sse_kms_key_id", "sse_customer_key_base64"),
    ("proxy_url", "proxy_ca_certificate", "proxy_excludes"),
    ("root_certificate", "disable_system_certificates"),
    ("http1_only", "http2_only"),
)


def resolve(options: S3Options, environ: Mapping[str, str], mount: str) -> S3Options:
    """The options with what the environment and the provider add, each with its origin.

    Raises ``StorageConfigError``, which names the variables that were read, where they contradict
    the mount or are wrong, and where no bucket is named anywhere.
    """
    given = {name: getattr(options, name) for name in options.model_fields_set}
    given = {name: value for name, value in given.items() if value is not None}
    origins = dict.fromkeys(given, "mount")
    merged: dict[str, Any] = dict(given)

    def add(name: str, value: object, origin: str) -> None:
        merged[name], origins[name] = value, origin

    _add_preset_place(options, merged, add)
    _add_keys(options, environ, add)
    for name, variables in _asked(options, merged).items():
        if name in merged or any(name in group and _some(group, given) for group in _TOGETHER):
            continue
        found = _first(environ, variables)
        if found is not None:
            add(name, environ[found], found)
    _add_preset(options, merged, add)
    resolved = _validated(merged, origins, mount)
    if resolved.bucket is None and resolved.credentials_url is None:
        raise StorageConfigError(
            f"mount {mount!r} (s3): missing required field: 'bucket' (or 'url', or AWS_BUCKET)",
            node=mount,
        )
    if not _may_name_endpoint(resolved, environ):
        raise no_endpoint(resolved, mount)
    resolved._origins = origins
    resolved._written = options._written
    return resolved


def no_endpoint(options: S3Options, mount: str) -> StorageConfigError:
    """Of a provider whose server only its owner knows: the key would be shown to Amazon."""
    return StorageConfigError(
        f"mount {mount!r} (s3): provider {options.provider!r} needs 'endpoint_url' "
        "(https://host:9000), or AWS_ENDPOINT_URL_S3",
        node=mount,
    )


def _may_name_endpoint(options: S3Options, environ: Mapping[str, str]) -> bool:
    """Whether requests could go where they belong. What a profile says, the first use finds out."""
    preset = options.preset
    if preset is None or not preset.needs_endpoint or options.endpoint_url is not None:
        return True
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return False
    if _first(environ, VARIABLES["endpoint_url"]) is not None:
        return True
    for variable, usual in _FILES.items():
        path = Path(environ.get(variable) or usual).expanduser()
        with contextlib.suppress(OSError, RuntimeError):
            if path.is_file() and b"endpoint_url" in path.read_bytes():
                return True
    return False


def configured_endpoint(session: Any, bucket: str | None) -> str | None:
    """The server that the environment names, or else the profile, as every AWS tool finds it."""

    def check(value: str) -> str:
        endpoint = checked_endpoint(value)
        if bucket is not None:
            require_no_bucket(endpoint, bucket)
        return endpoint

    found = _first(os.environ, VARIABLES["endpoint_url"])
    if found is not None:
        return _checked(os.environ[found], f"the environment variable {found}", check)
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    named = services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url")
    return _checked(str(named), "'endpoint_url' of the profile", check) if named else None


def configured_region(session: Any) -> str | None:
    """The region of the profile."""
    named = session.get_config_variable("region")
    return _checked(str(named), "'region' of the profile", check_region) if named else None


def _checked(value: str, where: str, check: Callable[[str], str]) -> str:
    """``value``; what no client can read would end one of them without an exception of Python's."""
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if environ.get(name)), None)


def _some(group: tuple[str, ...], given: Mapping[str, Any]) -> bool:
    return any(name in given for name in group)


def _asked(options: S3Options, merged: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What the environment is asked for, once it is known who we are."""
    asked = dict(VARIABLES)
    if options.credentials_url is not None:
        del asked["bucket"]
    if options.identities in ((), ("profile",)) and not {"key", "anon"} & merged.keys():
        asked |= _PLACES
    if options.web_identity_token_file is not None:
        asked |= _STS
    # Left to the SDK, which also knows where it is told not to look; see the client.
    del asked["endpoint_url"]
    return {name: variables for name, variables in asked.items() if name not in merged}


def _add_keys(options: S3Options, environ: Mapping[str, str], add: Any) -> None:
    """What the environment says about who we are, where the mount says nothing."""
    if options.identities:
        return
    skip = environ.get("AWS_SKIP_SIGNATURE")
    if skip and "anon" not in options.model_fields_set:
        add("anon", skip, "AWS_SKIP_SIGNATURE")
        if skip.lower() in ("true", "1", "yes", "on", "y", "t"):
            return
    found = _first(environ, _KEY), _first(environ, _SECRET), _first(environ, _TOKEN)
    key, secret, token = found
    # Half of it is the SDK's to complain about.
    if key is None or secret is None:
        return
    add("key", environ[key], key)
    add("secret", environ[secret], secret)
    if token is not None:
        add("token", environ[token], token)


def _add_preset_place(options: S3Options, merged: dict[str, Any], add: Any) -> None:
    """The endpoint that a named provider has: the mount has said that it is this one."""
    preset = options.preset
    if preset is None or preset.endpoint is None or options.endpoint_url is not None:
        return
    names = {"account": options.account, "region": options.region}
    add("endpoint_url", preset.endpoint.format(**names), "preset")
    if preset.region is not None and "region" not in merged:
        add("region", preset.region, "preset")


def _add_preset(options: S3Options, merged: dict[str, Any], add: Any) -> None:
    preset = options.preset
    if preset is None:
        return
    defaults: dict[str, Any] = {
        "region": preset.region,
        "virtual_hosted_style_request": preset.virtual,
        "disable_bulk_delete": not preset.bulk_delete,
        "disable_tagging": not preset.tagging,
        "copy_if_not_exists": preset.copy_if_not_exists,
        "conditional_put": None if preset.conditions else "disabled",
    }
    for name, value in defaults.items():
        if name not in merged and value is not None:
            add(name, value, "preset")


def _validated(merged: dict[str, Any], origins: Mapping[str, str], mount: str) -> S3Options:
    problems: list[str] = []
    try:
        return S3Options.model_validate(merged)
    except ValidationError as error:
        # The error itself holds the values, some of which are secrets.
        for found in error.errors(include_url=False, include_input=False):
            name = str(found["loc"][0]) if found["loc"] else ""
            text = str(found["msg"]).removeprefix("Value error, ")
            origin = origins.get(name, "mount")
            where = f"{origin} in the environment" if origin.isupper() else f"option {name!r}"
            problems.append(f"{where}: {text}" if name else text)
    read = sorted({origin for origin in origins.values() if origin.isupper()})
    from_there = f" (with {', '.join(read)} of the environment)" if read else ""
    raise StorageConfigError(f"mount {mount!r} (s3): {'; '.join(problems)}{from_there}", node=mount)
