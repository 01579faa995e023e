"""What is in force when a bucket is asked, seen at the client that asks it, and why."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...info import Finding
from ..facts import clock, found_out, half_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .client import S3Client

__all__ = ["facts"]

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
#: What botocore calls the sources of credentials, in words.
_METHODS = {
    "explicit": "config: key, secret",
    "env": "environment: AWS_ACCESS_KEY_ID",
    "shared-credentials-file": "profile {profile}: ~/.aws/credentials",
    "config-file": "profile {profile}: ~/.aws/config",
    "custom-process": "profile {profile}: credential_process",
    "sso": "profile {profile}: single sign-on",
    "assume-role": "profile {profile}: role_arn",
    "assume-role-with-web-identity": "a web identity token",
    "iam-role": "the role of this machine",
    "container-role": "the role of this container",
}


def facts(client: S3Client, prefix: str, *, ask: bool) -> list[Finding]:
    """All of them; what needs a request only with ``ask``."""
    given = client.options.model_fields_set
    found = [_endpoint(client, given), *_presets(client)]
    try:
        seen = client.run(lambda: client.look(_seen))
    except OSError as error:
        why = str(error.strerror or error)
        return [*found, Finding("credentials", "unknown", "SDK", ok=False, detail=why)]
    found.append(_region(client, given, seen["region"]))
    found.append(_credentials(client, seen))
    found.append(Finding("signature", *_signature(client, seen)))
    found.append(Finding("addressing", seen["addressing"], _rule(client)))
    found.append(Finding("checksums sent", seen["sent"], _rule(client)))
    found.append(Finding("checksums verified", seen["verified"], _rule(client)))
    if ask:
        found += _versioning(client)
        found.append(found_out("unfinished uploads", lambda: _unfinished(client, prefix)))
    return found


async def _seen(client: Any) -> dict[str, Any]:
    """What the SDK's client has settled on. Its credentials are asked for, so that they are there."""
    config = client.meta.config
    held = client._request_signer._credentials
    frozen = None if held is None else await held.get_frozen_credentials()
    expires = getattr(held, "_expiry_time", None)
    return {
        "region": client.meta.region_name,
        "method": None if held is None else held.method,
        "key": None if frozen is None else frozen.access_key,
        "expires": expires if isinstance(expires, datetime) else None,
        "signature": config.signature_version,
        "addressing": (config.s3 or {}).get("addressing_style") or "auto",
        "sent": config.request_checksum_calculation,
        "verified": config.response_checksum_validation,
    }


def _first_set(names: Iterable[str]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)


def _presets(client: S3Client) -> list[Finding]:
    """What other options have chosen, where the mount has such options."""
    options = client.options
    return [
        Finding(name, str(value), "config" if name in options.model_fields_set else "default")
        for name in ("provider", "engine")
        if (value := getattr(options, name, None)) is not None
    ]


def _endpoint(client: S3Client, given: set[str]) -> Finding:
    endpoint = client.place.endpoint
    if "endpoint_url" in given:
        source = "config: endpoint_url"
    elif endpoint is None:
        source = "default"
    else:
        name = _first_set(_ENDPOINTS)
        source = f"environment: {name}" if name else "profile or preset"
    plain = endpoint is not None and endpoint.startswith("http://")
    detail = "not encrypted" if plain else ""
    return Finding("endpoint", endpoint or "Amazon S3", source, detail=detail)


def _region(client: S3Client, given: set[str], region: str | None) -> Finding:
    if "region" in given:
        source = "config: region"
    elif (name := _first_set(_REGIONS)) and os.environ[name] == region:
        source = f"environment: {name}"
    elif client.place.region is not None:
        source = "profile or preset"
    elif client.place.endpoint is None:
        source = "asked of Amazon"
    else:
        source = "default"
    return Finding("region", region or "none", source)


def _credentials(client: S3Client, seen: Mapping[str, Any]) -> Finding:
    if client.options.anon:
        return Finding("credentials", "none", "config: anon")
    if seen["key"] is None:
        fix = "give 'key' and 'secret', 'profile', or `anon: true`"
        return Finding("credentials", "none", "nothing was found", ok=False, detail=fix)
    method = str(seen["method"])
    profile = client.options.profile or os.environ.get("AWS_PROFILE") or "default"
    source = _METHODS.get(method, method).format(profile=profile)
    value, expires = half_shown(seen["key"]), seen["expires"]
    if expires is None:
        return Finding("credentials", value, source)
    return Finding("credentials", value, source, detail=f"until {expires.astimezone(UTC):%F %T}Z")


def _signature(client: S3Client, seen: Mapping[str, Any]) -> tuple[str, str]:
    if client.options.anon:
        return "none", "config: anon"
    return str(seen["signature"]), "default"


def _rule(client: S3Client) -> str:
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
    answer = client.run(lambda: client.request("list_multipart_uploads", Prefix=prefix))
    begun = [each["Initiated"] for each in answer.get("Uploads", ())]
    if not begun:
        return Finding("unfinished uploads", "none", "asked")
    count = f"{len(begun)}{' or more' if answer.get('IsTruncated') else ''}"
    hours = (datetime.now(UTC) - min(begun)).total_seconds() / 3600
    detail = f"the oldest was begun {hours:.0f} h ago; `genro-storage cleanup` forgets old ones"
    return Finding("unfinished uploads", count, "asked", detail=detail)
