"""What is in force when a bucket of Google Cloud Storage is asked, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...info import Finding
from ..facts import clock
from .access import ANONYMOUS, CREDENTIALS, ENDPOINTS

if TYPE_CHECKING:
    from ..object_stores.store import Asking
    from .access import GcsAccess
    from .client import GcsClient
    from .options import GcsOptions

__all__ = ["facts"]

_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"


def facts(options: GcsOptions, access: GcsAccess, asking: Asking | None) -> list[Finding]:
    """All of them; what needs a request only with a way to ask."""
    endpoint = access.endpoint
    plain = "not encrypted" if endpoint.startswith("http://") else ""
    found = [Finding("endpoint", endpoint, _endpoint(options), detail=plain)]
    if options.project:
        found.append(Finding("project", options.project, f"config: {options.written('project')}"))
    if asking is None:
        found.append(Finding("credentials", "unknown", _source(options, access), ok=None))
        return found
    try:
        answers = asking(_ask)
    except OSError as error:
        why = str(error.strerror or error)
        return [
            *found,
            Finding("credentials", "unknown", _source(options, access), ok=False, detail=why),
        ]
    found.append(Finding("credentials", answers["credentials"], _source(options, access)))
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


def _endpoint(options: GcsOptions) -> str:
    """Whence the service's address is."""
    if options.endpoint_url is not None:
        return f"config: {options.written('endpoint_url')}"
    named = (name for name in ENDPOINTS if os.environ.get(name, "") not in ("", "default"))
    variable = next(named, None)
    return "default" if variable is None else f"environment: {variable}"


def _source(options: GcsOptions, access: GcsAccess) -> str:
    """Which setting says who we are."""
    kind = access.kind
    if kind == "anon" and not options.anon and options.token is not None:
        return f"config: {options.written('token')}"
    if kind is not None and getattr(options, kind) not in (None, False):
        return f"config: {options.written(kind)}"
    if kind == "anon":
        return f"environment: {ANONYMOUS}"
    named = (name for name, means in CREDENTIALS if means == kind and os.environ.get(name))
    variable = next(named, None)
    if variable is None and os.environ.get(_KEY_FILE):
        variable = _KEY_FILE
    return "Google's default chain" if variable is None else f"environment: {variable}"


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
    held = client.credentials
    mail = getattr(held, "service_account_email", None)
    if held is None:
        name = "none"
    elif client._named == "credential_provider":
        name = "what a function gives"
    else:
        name = str(mail or type(held).__module__.rpartition(".")[2])
    return {"credentials": name, "bucket": bucket, "date": date}
