"""``type: azure``: a container of Azure Blob Storage. What can be configured, and what is built."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, field_validator

from ...exceptions import StorageConfigError
from ...paths import normalise, physical
from ..public import PublicOptions
from ..remote import missing_extra

if TYPE_CHECKING:
    from typing import Self

    from ..base import Backend
    from ..context import BuildContext
    from ..object_stores.client import ObjectClient

__all__ = ["AzureAccess", "AzureOptions", "build"]

_ENVIRONMENT = {
    "account_name": "AZURE_STORAGE_ACCOUNT_NAME",
    "account_key": "AZURE_STORAGE_ACCOUNT_KEY",
    "sas_token": "AZURE_STORAGE_SAS_TOKEN",
    "connection_string": "AZURE_STORAGE_CONNECTION_STRING",
}
_SUFFIX = "core.windows.net"
#: The account that Microsoft's emulators have. They keep no versions.
_EMULATED = "devstoreaccount1"


class AzureOptions(PublicOptions):
    """A container of Azure Blob Storage."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "prefix": "base_path",
        "account_host": "endpoint_url",
        "account_url": "endpoint_url",
    }

    container: str = Field(min_length=1, description="The name of the container, which must exist.")
    account_name: str | None = Field(
        default=None,
        description="The storage account; by default the one of the connection string.",
    )
    base_path: str = Field(
        default="", description="What all names of the mount begin with inside the container."
    )
    account_key: SecretStr | None = Field(
        default=None, description="A key of the account; with it `url()` works."
    )
    sas_token: SecretStr | None = Field(
        default=None, description="A shared access signature, with or without the leading '?'."
    )
    connection_string: SecretStr | None = Field(
        default=None, description="Account, credentials and endpoint in one, as the portal shows."
    )
    endpoint_url: str | None = Field(
        default=None,
        description="Where the account's blobs are, for an emulator or another cloud; by default "
        "https://ACCOUNT.blob.core.windows.net.",
    )
    anon: bool = Field(default=False, description="Send no credentials: for public containers.")

    @field_validator("container")
    @classmethod
    def _check_container(cls, value: str) -> str:
        if "/" in value.strip("/"):
            raise ValueError("name the container only; what follows it belongs into 'base_path'")
        return value.strip("/")

    @field_validator("base_path")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return physical(normalise(value))

    @field_validator("account_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _require_base64(value.get_secret_value())
        return value

    @field_validator("sas_token")
    @classmethod
    def _check_sas(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value().strip().lstrip("?")
        if "sig" not in parse_qs(text):
            raise ValueError("it is no shared access signature: it lacks 'sig='")
        return SecretStr(text)

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        return None if value is None else checked_endpoint(value)


def checked_endpoint(value: str) -> str:
    """A URL of an account, without a slash at its end; ``ValueError`` that shows nothing of it."""
    strange = ValueError("it must be a URL like https://host:port/account")
    try:
        parts = urlsplit(value if "://" in value else f"https://{value}")
        port = parts.port
    except ValueError:  # a port that is none, half an IPv6 address
        raise strange from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise strange
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("it must be the address only; a signature belongs into 'sas_token'")
    # No spelling of a host is another one: by its URL an account is known again.
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


class AzureAccess(NamedTuple):
    """Where the blobs are and what is shown there. ``repr`` shows no secret."""

    endpoint: str
    account: str | None
    key: str | None
    sas: str | None
    #: No credentials at all; False without key and signature: Microsoft Entra ID.
    anonymous: bool

    def __repr__(self) -> str:
        return f"AzureAccess({self.endpoint!r})"

    @classmethod
    def of(cls, options: AzureOptions, label: str, mount: str) -> Self:
        """What the configuration, or else the environment, says."""

        def given(name: str) -> str | None:
            value = getattr(options, name)
            return value.get_secret_value() if isinstance(value, SecretStr) else value

        credentials = [
            name
            for name in ("account_key", "sas_token", "connection_string", "anon")
            if given(name)
        ]
        if "connection_string" in credentials and len(credentials) == 1:
            credentials.clear()
        elif len(credentials) > 1:
            names = " and ".join(map(repr, credentials))
            raise StorageConfigError(
                f"{label}: {names} are several credentials; keep one of them", node=mount
            )
        if not (credentials or given("connection_string")):
            found = {name: os.environ.get(key) for name, key in _ENVIRONMENT.items()}
        else:
            found = {"account_name": os.environ.get(_ENVIRONMENT["account_name"])}
        text = given("connection_string") or found.get("connection_string")
        parts: dict[str, str] = {}
        if text and not options.anon:
            parts = _parse(text, label, mount)
        account = options.account_name or parts.get("accountname") or found.get("account_name")
        if options.account_name and parts.get("accountname") not in (None, options.account_name):
            raise StorageConfigError(
                f"{label}: 'account_name' is not the account of the connection string; "
                "remove one of the two",
                node=mount,
            )
        key = given("account_key") or parts.get("accountkey") or found.get("account_key")
        sas = given("sas_token") or parts.get("sharedaccesssignature") or found.get("sas_token")
        if credentials:
            key, sas = given("account_key"), given("sas_token")
        endpoint = options.endpoint_url or parts.get("blobendpoint")
        if not endpoint:
            if not account:
                raise StorageConfigError(
                    f"{label}: missing required field: 'account_name' (or 'connection_string', "
                    "or 'endpoint_url')",
                    node=mount,
                )
            suffix = parts.get("endpointsuffix", _SUFFIX)
            scheme = parts.get("defaultendpointsprotocol", "https")
            endpoint = f"{scheme}://{account}.blob.{suffix}"
        try:
            endpoint = checked_endpoint(endpoint)
        except ValueError as error:
            raise StorageConfigError(
                f"{label}: the address of the account's blobs: {error}", node=mount
            ) from None
        if not account:
            account = _account_of(endpoint)
        if key and not account:
            raise StorageConfigError(f"{label}: 'account_key' needs 'account_name'", node=mount)
        return cls(endpoint, account, key or None, (sas or "").lstrip("?") or None, options.anon)


def _account_of(endpoint: str) -> str | None:
    parts = urlsplit(endpoint)
    if parts.path.strip("/"):
        return parts.path.strip("/").partition("/")[0]
    host = parts.hostname or ""
    return host.partition(".")[0] if ".blob." in host else None


def _parse(text: str, label: str, mount: str) -> dict[str, str]:
    """The parts of a connection string, by their names in small letters."""
    parts: dict[str, str] = {}
    for part in text.strip().strip(";").split(";"):
        name, sign, value = part.partition("=")
        if not sign:
            raise StorageConfigError(
                f"{label}: 'connection_string' is not made of NAME=VALUE; parts", node=mount
            )
        parts[name.strip().lower()] = value.strip()
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        raise StorageConfigError(
            f"{label}: UseDevelopmentStorage is not supported; name the emulator's account, key "
            "and endpoint",
            node=mount,
        )
    if "accountkey" in parts:
        try:
            _require_base64(parts["accountkey"])
        except ValueError as error:
            raise StorageConfigError(
                f"{label}: the AccountKey in 'connection_string': {error}", node=mount
            ) from None
    return parts


def _require_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no account key: these are base64") from None


def build(options: AzureOptions, context: BuildContext) -> Backend:
    """The backend of a container; it connects when it is first used.

    Raises ``StorageConfigError`` where the account is not named, or several credentials are.
    """
    from ..object_stores.versions import PublicVersionedStoreBackend, VersionedStoreBackend
    from .names import check_key
    from .urls import AzureDirect

    access = AzureAccess.of(options, f"mount {context.mount!r} (azure)", context.mount)

    def connect() -> ObjectClient:
        try:
            from .versions import AzureVersionClient

            return AzureVersionClient(access, options.container, options.bounds)
        except ImportError as error:
            raise missing_extra(error, context.mount, "azure", "azure") from error

    public = access.endpoint == f"https://{access.account}.blob.{_SUFFIX}".lower()
    kind = PublicVersionedStoreBackend if public else VersionedStoreBackend
    return kind(
        connect,
        kind="azure",
        root=options.base_path,
        store=("azure", access.endpoint, options.container),
        bounds=options.bounds,
        check_key=check_key,
        # Documented nowhere, and another one where the account has real folders.
        ordered=False,
        folders=True,
        direct=AzureDirect(options, access, context.mount),
        versioned=access.account != _EMULATED,
    )
