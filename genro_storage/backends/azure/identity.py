"""Which of the credentials that are there is meant, and who signs in where it is none of ours.

Neither azure-identity nor any other client is imported here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Self

    from .options import AzureOptions

__all__ = ["Identity", "named_credentials", "stated"]

#: The environment of Microsoft's own tools and of obstore, the first that is there. Those of a
#: sign-in without STORAGE in their names are azure-identity's to read, as it does everywhere.
_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "container": ("AZURE_CONTAINER_NAME",),
    "account_name": ("AZURE_STORAGE_ACCOUNT_NAME",),
    "endpoint_url": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    "use_emulator": ("AZURE_STORAGE_USE_EMULATOR",),
    "encryption_key": ("AZURE_ENCRYPTION_KEY",),
}
_CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "connection_string": ("AZURE_STORAGE_CONNECTION_STRING",),
    "account_key": (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_MASTER_KEY",
    ),
    "sas_token": ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
    "token": ("AZURE_STORAGE_TOKEN",),
    "client_secret": ("AZURE_STORAGE_CLIENT_SECRET",),
    "use_azure_cli": ("AZURE_USE_AZURE_CLI",),
    "msi_endpoint": ("AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT"),
    "object_id": ("AZURE_OBJECT_ID",),
    "msi_resource_id": ("AZURE_MSI_RESOURCE_ID",),
    "fabric_token_service_url": ("AZURE_FABRIC_TOKEN_SERVICE_URL",),
    "fabric_workload_host": ("AZURE_FABRIC_WORKLOAD_HOST",),
    "fabric_session_token": ("AZURE_FABRIC_SESSION_TOKEN",),
    "fabric_cluster_identifier": ("AZURE_FABRIC_CLUSTER_IDENTIFIER",),
    "anon": ("AZURE_SKIP_SIGNATURE",),
    "credential_type": ("AZURE_CREDENTIAL_TYPE",),
}
#: What goes with the credentials, wherever these come from.
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "client_id": ("AZURE_STORAGE_CLIENT_ID", "AZURE_CLIENT_ID"),
    "tenant_id": (
        "AZURE_STORAGE_TENANT_ID",
        "AZURE_STORAGE_AUTHORITY_ID",
        "AZURE_TENANT_ID",
        "AZURE_AUTHORITY_ID",
    ),
    "authority_host": ("AZURE_STORAGE_AUTHORITY_HOST", "AZURE_AUTHORITY_HOST"),
}
_FABRIC = (
    "fabric_token_service_url",
    "fabric_workload_host",
    "fabric_session_token",
    "fabric_cluster_identifier",
)
#: Of each kind: the keys that mean it, the first of them for messages.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "anon": ("anon",),
    "connection_string": ("connection_string",),
    "access_key": ("account_key",),
    "sas_token": ("sas_token",),
    "credential_provider": ("credential_provider",),
    "credential": ("credential",),
    "bearer_token": ("token",),
    "client_secret": ("client_secret",),
    "workload_identity": ("federated_token_file",),
    "azure_cli": ("use_azure_cli",),
    "managed_identity": ("msi_endpoint", "object_id", "msi_resource_id"),
    "fabric": _FABRIC,
}
_SIGNING_IN = frozenset(_KINDS) - {"connection_string", "access_key", "sas_token", "anon"}
_TRUE = ("1", "true", "yes", "on")
_SWITCHES = ("use_emulator", "use_azure_cli", "anon")


def stated(options: AzureOptions, wrong: Callable[[str], Exception]) -> dict[str, Any]:
    """What the mount says, and what the environment adds to it; of the credentials only what is meant.

    The environment's credentials count where the mount has none at all.
    """
    said: dict[str, Any] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        value = value.get_secret_value() if isinstance(value, SecretStr) else value
        if value not in (None, False, ""):
            said[name] = value
    own = _kinds_in(said)
    if not own and "credential_type" not in said:
        # Several may lie about there: the first kind in the order of the table is taken.
        found = _found(_CREDENTIALS)
        if "use_emulator" not in said:
            said |= found
        _keep_first(said, found)
    said = {**_found(_ENVIRONMENT), **said}
    meant = _meant(said, own, wrong)
    for kind, names in _KINDS.items():
        if meant is not None and kind != meant:
            for name in names:
                said.pop(name, None)
    if any(name in said for name in _KINDS["workload_identity"] + _KINDS["client_secret"]):
        said = {**_found(_BESIDE), **said}
    return said


def _keep_first(said: dict[str, Any], found: Mapping[str, Any]) -> None:
    """Of what the environment offers, one kind; a connection string and its parts are one."""
    if "credential_type" in found:
        return
    kinds = _kinds_in(said)
    first = kinds[0] if kinds else None
    for kind in kinds[1:]:
        if (first, kind) in (
            ("connection_string", "access_key"),
            ("connection_string", "sas_token"),
        ):
            continue
        for name in _KINDS[kind]:
            said.pop(name, None)


def _found(names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, variables in names.items():
        value = next((text for each in variables if (text := os.environ.get(each))), None)
        if value is None:
            continue
        if name not in _SWITCHES:
            found[name] = value
        elif value.lower() in _TRUE:
            found[name] = True
    return found


def _kinds_in(said: Mapping[str, Any]) -> list[str]:
    found = [kind for kind, names in _KINDS.items() if any(name in said for name in names)]
    if not found and "client_id" in said:
        found.append("managed_identity")
    return found


def _meant(
    said: Mapping[str, Any], own: list[str], wrong: Callable[[str], Exception]
) -> str | None:
    """The kind of credentials to take; None for the parts of a connection string."""
    chosen = said.get("credential_type")
    if chosen is not None and chosen != "auto":
        chosen = str(chosen).lower()
        if chosen not in _KINDS:
            raise wrong("the environment variable AZURE_CREDENTIAL_TYPE names no credential type")
        needed = _KINDS[chosen][0]
        is_there = needed in said or chosen in ("managed_identity", "azure_cli")
        if chosen == "workload_identity" and "AZURE_FEDERATED_TOKEN_FILE" in os.environ:
            is_there = True
        if not is_there:
            raise wrong(f"'credential_type' is {chosen!r}, which needs {needed!r}")
        return chosen
    if len(own) > 1:
        keys = [next(n for n in _KINDS[kind] if n in said) for kind in own]
        names = " and ".join(map(repr, keys))
        raise wrong(
            f"{names} are several credentials; keep one of them, or say by 'credential_type' which "
            "is meant"
        )
    return own[0] if own else None


def named_credentials(said: Mapping[str, Any]) -> list[str]:
    """The kinds of credentials that are meant, most often one or none."""
    found = _kinds_in(said)
    chosen = said.get("credential_type")
    if chosen not in (None, "auto") and str(chosen).lower() not in found:
        found.append(str(chosen).lower())
    return found


@dataclass(frozen=True)
class Identity:
    """Who signs in, by which ``kind`` of credentials; None: whoever azure-identity finds."""

    kind: str | None = None
    key: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        said: Mapping[str, Any],
        named: list[str],
        base: Path | None,
        wrong: Callable[[str], Exception],
    ) -> Self:
        """The one that is meant; raises what ``wrong`` makes of what is missing."""
        kind = next((each for each in named if each in _SIGNING_IN), None)
        if kind is None:
            return cls()
        names = _KINDS[kind]
        values = dict(said)
        required: tuple[str, ...] = ()
        if kind == "fabric":
            required = _FABRIC
        elif kind == "client_secret":
            required = ("client_id", "tenant_id")
        elif kind == "workload_identity":
            values.setdefault(
                "federated_token_file", os.environ.get("AZURE_FEDERATED_TOKEN_FILE", "")
            )
            for name, value in _found(_BESIDE).items():
                values.setdefault(name, value)
            path = os.path.expanduser(os.fspath(values["federated_token_file"]))
            values["federated_token_file"] = os.path.join(base or "", path)
            required = ("client_id", "tenant_id")
        missing = [name for name in required if name not in values]
        if missing:
            raise wrong(f"{names[0]!r} needs {' and '.join(map(repr, missing))} too")
        if kind == "managed_identity":
            which = [n for n in ("client_id", "object_id", "msi_resource_id") if n in said]
            if len(which) > 1:
                raise wrong(
                    f"{' and '.join(map(repr, which))} each name a managed identity; keep one"
                )
        key = next((name for name in names if name in said), names[0])
        return cls(kind, key, values)
