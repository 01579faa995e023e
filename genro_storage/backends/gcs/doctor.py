"""What is in force when a bucket of Google Cloud Storage is asked, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...info import Finding
from ..facts import clock

if TYPE_CHECKING:
    from ..object_stores.store import Asking
    from . import GcsOptions
    from .client import GcsClient

__all__ = ["facts"]

_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"


def facts(options: GcsOptions, endpoint: str, asking: Asking | None) -> list[Finding]:
    """All of them; what needs a request only with a way to ask."""
    if options.endpoint_url is not None:
        source = "config: endpoint_url"
    else:
        emulated = os.environ.get("STORAGE_EMULATOR_HOST", "") not in ("", "default")
        source = "environment: STORAGE_EMULATOR_HOST" if emulated else "default"
    plain = "not encrypted" if endpoint.startswith("http://") else ""
    found = [Finding("endpoint", endpoint, source, detail=plain)]
    if options.project:
        found.append(Finding("project", options.project, "config: project"))
    if asking is None:
        found.append(Finding("credentials", "unknown", _token(options), ok=None))
        return found
    try:
        answers = asking(_ask)
    except OSError as error:
        why = str(error.strerror or error)
        return [*found, Finding("credentials", "unknown", _token(options), ok=False, detail=why)]
    found.append(Finding("credentials", answers["credentials"], _token(options)))
    found.append(Finding("checksums sent", "md5", "default"))
    bucket = answers["bucket"]
    if isinstance(bucket, OSError):
        why = str(bucket.strerror or bucket)
        if isinstance(bucket, PermissionError):
            why += "; it takes the right storage.buckets.get"
        found.append(Finding("versioning", "unknown", ok=None, detail=why))
    else:
        kept = bucket.get("versioning", {}).get("enabled")
        found.append(Finding("versioning", "enabled" if kept else "off", "asked"))
        if bucket.get("location"):
            found.append(Finding("region", str(bucket["location"]), "asked"))
    found.append(clock(answers["date"]))
    return found


def _token(options: GcsOptions) -> str:
    """Which setting says who we are."""
    if options.anon:
        return "config: anon"
    if options.token is not None:
        return "config: token"
    if os.environ.get(_KEY_FILE):
        return f"environment: {_KEY_FILE}"
    return "Google's default chain"


def _ask(client: GcsClient) -> dict[str, Any]:
    """What the session holds, the bucket's settings, and the time of the answer."""
    where = f"{client._endpoint}/storage/v1/b/{client._quoted}"
    bucket: Any
    with client._answer(
        "GET",
        where,
        None,
        params={"fields": "versioning,location"},
        accepts=(200, 400, 401, 403, 404),  # each has a date
    ) as response:
        date = response.headers.get("Date")
        if response.status_code == 200:
            bucket = client._object_in(response.content)
        else:
            bucket = client._refusal(response, None)
    held = getattr(client._session, "credentials", None)
    mail = getattr(held, "service_account_email", None)
    name = "none" if held is None else str(mail or type(held).__module__.rpartition(".")[2])
    return {"credentials": name, "bucket": bucket, "date": date}
