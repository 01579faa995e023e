"""What is in force when a container of Azure Blob Storage is asked, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...info import Finding
from ..facts import clock

if TYPE_CHECKING:
    from ..object_stores.store import Asking
    from .access import AzureAccess
    from .client import AzureClient
    from .options import AzureOptions

__all__ = ["facts"]

_ENDPOINTS = ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")


def facts(options: AzureOptions, access: AzureAccess, asking: Asking | None) -> list[Finding]:
    """All of them; what needs a request only with a way to ask."""
    plain = "not encrypted" if access.endpoint.startswith("http://") else ""
    found = [Finding("endpoint", access.endpoint, _endpoint(options), detail=plain)]
    if access.account:
        named = (
            f"config: {options.written('account_name')}"
            if options.account_name
            else _text(options) or "endpoint"
        )
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
        return f"config: {options.written('connection_string')}"
    if os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        return "environment: AZURE_STORAGE_CONNECTION_STRING"
    return ""


def _endpoint(options: AzureOptions) -> str:
    """Whence the account's address is."""
    if options.endpoint_url:
        return f"config: {options.written('endpoint_url')}"
    if found := _text(options):
        return found
    variable = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if variable is not None:
        return f"environment: {variable}"
    return "config: use_emulator" if options.use_emulator else "account's name"


def _credentials(options: AzureOptions, access: AzureAccess) -> tuple[str, str]:
    """What they are, and which setting they are from."""
    identity = access.identity
    if access.anonymous:
        kind, name = "none", "anon"
    elif access.key is not None:
        kind, name = "the account's key", "account_key"
    elif access.sas is not None:
        kind, name = "a shared access signature", "sas_token"
    elif identity.kind is None:
        return "Microsoft Entra ID", "default chain"
    else:
        provided = identity.kind == "credential_provider"
        kind, name = "what a function gives" if provided else "Microsoft Entra ID", identity.key
    if getattr(options, name) not in (None, False):
        return kind, f"config: {options.written(name)}"
    if options.use_emulator and name == "account_key":
        return kind, "config: use_emulator"
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
