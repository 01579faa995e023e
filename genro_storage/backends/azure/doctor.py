"""What is in force when a container of Azure Blob Storage is asked, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...info import Finding
from ..facts import clock

if TYPE_CHECKING:
    from ..object_stores.store import Asking
    from . import AzureAccess, AzureOptions
    from .client import AzureClient

__all__ = ["facts"]


def facts(options: AzureOptions, access: AzureAccess, asking: Asking | None) -> list[Finding]:
    """All of them; what needs a request only with a way to ask."""
    plain = "not encrypted" if access.endpoint.startswith("http://") else ""
    source = "config: endpoint_url" if options.endpoint_url else _text(options) or "account's name"
    found = [Finding("endpoint", access.endpoint, source, detail=plain)]
    if access.account:
        named = "config: account_name" if options.account_name else _text(options) or "endpoint"
        found.append(Finding("account", access.account, named))
    kind, why = _credentials(options, access)
    found += [
        Finding("credentials", kind, why),
        Finding("checksums sent", "md5", "default"),
    ]
    if asking is None:
        return found
    try:
        answers = asking(_ask)
    except OSError as error:
        detail = str(error.strerror or error)
        return [*found, Finding("container", "unknown", ok=None, detail=detail)]
    found.append(clock(answers["date"]))
    found.append(Finding("service version", str(answers["version"] or "unknown"), "answered"))
    return found


def _text(options: AzureOptions) -> str:
    """Whence a connection string is, if there is one."""
    if options.connection_string is not None:
        return "config: connection_string"
    if os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        return "environment: AZURE_STORAGE_CONNECTION_STRING"
    return ""


def _credentials(options: AzureOptions, access: AzureAccess) -> tuple[str, str]:
    """What they are, and which setting they are from."""
    if access.anonymous:
        return "none", "config: anon"
    if access.key is not None:
        name = "account_key"
        kind = "the account's key"
    elif access.sas is not None:
        name = "sas_token"
        kind = "a shared access signature"
    else:
        return "Microsoft Entra ID", "default chain"
    if getattr(options, name) is not None:
        return kind, f"config: {name}"
    return kind, _text(options) or "environment"


def _ask(client: AzureClient) -> dict[str, Any]:
    """The head of an answer about the container; a refusal has one too."""
    heads: dict[str, Any] = {}

    def note(response: Any) -> None:
        heads.update(response.http_response.headers)

    try:
        with client._explained():
            client._client.get_container_properties(raw_response_hook=note)
    except OSError:
        if not heads:
            raise
    lower = {str(name).lower(): value for name, value in heads.items()}
    return {"date": lower.get("date"), "version": lower.get("x-ms-version")}
