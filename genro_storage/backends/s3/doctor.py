"""What is in force when a bucket is asked, seen at the client that asks it, and why."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...info import Finding
from ..facts import clock, found_out, half_shown
from .engines import INSTALL, engine_of
from .environment import VARIABLES
from .transfer import S3Transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .client import S3Client
    from .options import S3Options

__all__ = ["facts"]

#: What botocore calls the places where it finds credentials, in words.
_METHODS = {
    "shared-credentials-file": "profile {profile}: ~/.aws/credentials",
    "config-file": "profile {profile}: ~/.aws/config",
    "custom-process": "profile {profile}: credential_process",
    "sso": "profile {profile}: single sign-on",
    "assume-role": "profile {profile}: role_arn",
    "assume-role-with-web-identity": "a web identity token",
    "iam-role": "the role of this machine",
    "container-role": "the role of this container",
}


def facts(client: S3Client, prefix: Callable[[], str], *, ask: bool) -> list[Finding]:
    """All of them; what needs a request only with ``ask``.

    ``prefix`` may ask a broker of credentials, which says where the mount begins.
    """
    options = client.options
    found = [_endpoint(client), *_choices(client)]
    try:
        seen = client.run(lambda: client.look(_seen))
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error)
        return [*found, Finding("credentials", "unknown", _identity(client), ok=False, detail=why)]
    found.append(_region(client, seen["region"]))
    found.append(_credentials(client, seen))
    signature = (
        ("none", _source(options, "anon")) if options.anon else (seen["signature"], "default")
    )
    found.append(Finding("signature", *signature))
    found.append(
        Finding("addressing", seen["addressing"], _rule(client, "virtual_hosted_style_request"))
    )
    if options.checksum_algorithm is not None:
        source = _source(options, "checksum_algorithm")
        found.append(Finding("checksums sent", options.checksum_algorithm, source))
    else:
        found.append(Finding("checksums sent", seen["sent"], _rule(client)))
    found.append(Finding("checksums verified", seen["verified"], _rule(client)))
    if ask:
        found += _versioning(client)
        found.append(found_out("unfinished uploads", lambda: _unfinished(client, prefix())))
    return found


async def _seen(client: Any) -> dict[str, Any]:
    """What the SDK's client has settled on. Its credentials are asked for, so that they are there."""
    config = client.meta.config
    held = client._request_signer._credentials
    frozen = None if held is None else await held.get_frozen_credentials()
    return {
        "region": client.meta.region_name,
        "key": None if frozen is None else frozen.access_key,
        "signature": config.signature_version,
        "addressing": (config.s3 or {}).get("addressing_style") or "auto",
        "sent": config.request_checksum_calculation,
        "verified": config.response_checksum_validation,
    }


def _source(options: S3Options, name: str) -> str:
    """Where a setting is from, in words."""
    origin = options.origin_of(name)
    if origin == "mount":
        return f"config: {options.written(name)}"
    if origin == "preset":
        return f"config: provider: {options.provider}"
    return origin if origin == "default" else f"environment: {origin}"


def _choices(client: S3Client) -> list[Finding]:
    """What decides about other settings."""
    options = client.options
    engine, why = engine_of(options), ""
    if options.engine == "auto" and engine == "fsspec" and find_spec("obstore") is None:
        why = f"since obstore is not installed, which is faster; {INSTALL}"
    found = [Finding("engine", engine, _source(options, "engine"), detail=why)]
    if options.provider is not None:
        found.insert(0, Finding("provider", options.provider, _source(options, "provider")))
    return found


def _endpoint(client: S3Client) -> Finding:
    try:
        endpoint = client.place.endpoint
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error)
        return Finding("endpoint", "unknown", ok=False, detail=why)
    source = _source(client.options, "endpoint_url")
    if source == "default" and endpoint is not None:
        names = VARIABLES["endpoint_url"]
        name = next((name for name in names if os.environ.get(name) == endpoint), None)
        source = f"environment: {name}" if name else f"profile {_profile(client)}"
    plain = endpoint is not None and endpoint.startswith("http://")
    detail = "not encrypted" if plain else ""
    return Finding("endpoint", endpoint or "Amazon S3", source, detail=detail)


def _region(client: S3Client, region: str | None) -> Finding:
    options = client.options
    hint = options.region or options.default_region
    if hint is not None and hint == region:
        source = _source(options, "region" if options.region else "default_region")
    elif client.place.endpoint is None:
        source = "asked of Amazon"
    elif client.place.region is not None:
        source = f"profile {_profile(client)}"
    else:
        source = "default"
    return Finding("region", region or "none", source)


def _profile(client: S3Client) -> str:
    return client.options.profile or os.environ.get("AWS_PROFILE") or "default"


def _identity(client: S3Client) -> str:
    """Which setting says who we are; else where the SDK has found it."""
    options = client.options
    names = options.identities
    if names and names != ("profile",):
        return _source(options, names[0])
    # Only the SDK's own chain finds something that has a method.
    chain = getattr(getattr(client.source, "_fetch", None), "__self__", None)
    method = str(getattr(getattr(chain, "_found", None), "method", "the usual places of AWS"))
    return _METHODS.get(method, method).format(profile=_profile(client))


def _credentials(client: S3Client, seen: Mapping[str, Any]) -> Finding:
    source = _identity(client)
    if client.options.anon:
        return Finding("credentials", "none", source)
    if seen["key"] is None:
        fix = "give 'key' and 'secret', 'profile', or `anon: true`"
        return Finding("credentials", "none", source, ok=False, detail=fix)
    held = None if client.source is None else client.source.peek()
    value = half_shown(seen["key"])
    if held is None or held.expires_at is None:
        return Finding("credentials", value, source)
    ends = datetime.fromtimestamp(held.expires_at, UTC)
    return Finding("credentials", value, source, detail=f"until {ends:%F %T}Z")


def _rule(client: S3Client, name: str | None = None) -> str:
    """Why a value is as it is: a setting, or else the kind of server."""
    if name is not None and client.options.origin_of(name) != "default":
        return _source(client.options, name)
    if client.options.provider is not None:
        return f"config: provider: {client.options.provider}"
    return "Amazon's server" if client.place.is_amazon else "not Amazon's server"


def _versioning(client: S3Client) -> list[Finding]:
    """Whether the bucket keeps versions; and from the answer, or the refusal, the time."""
    try:
        answer = client.run(lambda: client.request("get_bucket_versioning"))
    except OSError as error:
        why = str(error.strerror or error)
        said: Mapping[str, Any] = getattr(error.__cause__, "response", {})
        if said.get("Error", {}).get("Code") == "AccessDenied":
            why += "; it takes the right s3:GetBucketVersioning"
        return [Finding("versioning", "unknown", ok=None, detail=why), clock(_date(said))]
    return [
        Finding("versioning", answer.get("Status", "off").lower(), "asked"),
        clock(_date(answer)),
    ]


def _date(answer: Mapping[str, Any]) -> str | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return None if headers.get("date") is None else str(headers["date"])


def _unfinished(client: S3Client, prefix: str) -> Finding:
    """What writers that were killed have left, as far as one answer shows it."""
    answer = client.run(lambda: S3Transfers(client).unfinished(prefix))
    begun = [each["Initiated"] for each in answer.get("Uploads", ())]
    if not begun:
        return Finding("unfinished uploads", "none", "asked")
    count = f"{len(begun)}{' or more' if answer.get('IsTruncated') else ''}"
    detail = f"the oldest was begun {_ago(min(begun))}; `genro-storage cleanup` forgets old ones"
    return Finding("unfinished uploads", count, "asked", detail=detail)


def _ago(moment: datetime) -> str:
    """How long ago in the largest unit of which there are two.

    >>> from datetime import timedelta
    >>> _ago(datetime.now(UTC) - timedelta(hours=47)), _ago(datetime.now(UTC) - timedelta(days=400))
    ('47 hours ago', '400 days ago')
    """
    elapsed = max((datetime.now(UTC) - moment).total_seconds(), 0.0)
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if elapsed >= 2 * length:
            return f"{elapsed / length:.0f} {unit} ago"
    return f"{elapsed:.0f} seconds ago"
