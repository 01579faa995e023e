"""What a mount of Azure Blob Storage can be told."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ...paths import normalise, physical
from ..addresses import checked_address
from ..object_stores.cloud_options import CloudOptions
from ..object_stores.plain import check_name
from ..object_stores.provided import check_provider
from ..object_stores.write_defaults import EncryptedDefaults, TaggedDefaults
from ..public import PublicOptions
from .keeping import encode_metadata

if TYPE_CHECKING:
    from typing import Self

__all__ = ["AzureOptions", "checked_endpoint", "require_base64"]

_FABRIC = "fabric.microsoft.com"


class AzureOptions(EncryptedDefaults, TaggedDefaults, PublicOptions, CloudOptions):
    """A container of Azure Blob Storage."""

    prefixes: ClassVar[tuple[str, ...]] = ("azure_storage_", "azure_")
    place_scheme: ClassVar[str] = "az"
    synonyms: ClassVar[Mapping[str, str]] = {
        **CloudOptions.client_synonyms,
        "connection_timeout": "connect_timeout",
        "prefix": "base_path",
        "account_host": "endpoint_url",
        "account_url": "endpoint_url",
        "endpoint": "endpoint_url",
        "container_name": "container",
        "sas_key": "sas_token",
        "access_key": "account_key",
        "bearer_token": "token",
        "authority_id": "tenant_id",
        "skip_signature": "anon",
    }

    container: str | None = Field(
        default=None,
        min_length=1,
        description="The name of the container, which must exist; by default that of `url`, or "
        "what AZURE_CONTAINER_NAME says.",
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        description="Container, `base_path` and account in one: `az://container/prefix`, "
        "`abfss://container@account.dfs.core.windows.net/prefix` or "
        "`https://account.blob.core.windows.net/container/prefix`.",
    )
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
    credential: Any = Field(
        default=None,
        repr=False,
        description="In code: a credential of azure-identity, or whatever has its `get_token`.",
    )
    credential_provider: Any = Field(
        default=None,
        repr=False,
        description="A function, in code itself or as `module:name`, that returns one of "
        "`access_key`, `sas_token` and `token`, and `expires_at` (a datetime with a time zone, or "
        "none), or a coroutine that does. It is asked again before they end.",
    )
    token: SecretStr | None = Field(
        default=None, min_length=1, description="An access token, sent as it is until it ends."
    )
    credential_type: (
        Literal[
            "auto",
            "bearer_token",
            "access_key",
            "client_secret",
            "workload_identity",
            "sas_token",
            "azure_cli",
            "managed_identity",
        ]
        | None
    ) = Field(
        default=None,
        description="Which of the credentials that are there is meant; by default there may only "
        "be one.",
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        description="Who signs in: with `client_secret` or `federated_token_file` an application, "
        "otherwise a managed identity.",
    )
    client_secret: SecretStr | None = Field(
        default=None, min_length=1, description="The secret of the application `client_id`."
    )
    tenant_id: str | None = Field(
        default=None, min_length=1, description="The tenant in which to sign in."
    )
    authority_host: str | None = Field(
        default=None,
        min_length=1,
        description="Where to sign in; by default https://login.microsoftonline.com.",
    )
    federated_token_file: str | os.PathLike[str] | None = Field(
        default=None,
        description="The file of a token of Kubernetes, with which `client_id` signs in.",
    )
    use_azure_cli: bool = Field(default=False, description="Be whom `az login` has signed in.")
    msi_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="Where a managed identity gets its tokens, if not at the usual place.",
    )
    object_id: str | None = Field(
        default=None, min_length=1, description="Which managed identity, by its object id."
    )
    msi_resource_id: str | None = Field(
        default=None, min_length=1, description="Which managed identity, by its resource id."
    )
    use_emulator: bool = Field(
        default=False,
        description="Azurite on this machine, with the account and key that it has by default; "
        "`endpoint_url` where it listens elsewhere.",
    )
    use_fabric_endpoint: bool = Field(
        default=False, description="The account is a workspace of Microsoft Fabric (OneLake)."
    )
    fabric_token_service_url: str | None = Field(
        default=None, min_length=1, description="Where a workload of Fabric gets its tokens."
    )
    fabric_workload_host: str | None = Field(
        default=None, min_length=1, description="The host of that workload."
    )
    fabric_session_token: SecretStr | None = Field(
        default=None, min_length=1, description="What that workload shows there."
    )
    fabric_cluster_identifier: str | None = Field(
        default=None, min_length=1, description="The cluster of that workload."
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="A key of your own (32 bytes as base64) that the service encrypts contents "
        "with and does not keep: what is written with it cannot be read without. Needs https.",
    )
    store_checksums: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Keep the MD5 of the content also in the user metadata `md5chksum`, where "
        "obstore sees it, so that what it reads can be compared. `auto` and `always`: of every "
        "file, since the service is told it in any case; `never` believes none that is kept, too.",
    )
    disable_tagging: bool = Field(
        default=False, description="Send no tags with uploads, for accounts that have none."
    )
    endpoint_url: str | None = Field(
        default=None,
        description="Where the account's blobs are, for an emulator or another cloud; by default "
        "https://ACCOUNT.blob.core.windows.net.",
    )
    anon: bool = Field(default=False, description="Send no credentials: for public containers.")

    @classmethod
    def encoded_metadata(cls, metadata: Mapping[str, str]) -> dict[str, str]:
        return encode_metadata(metadata)

    @classmethod
    def location(cls, url: str) -> Mapping[str, Any]:
        return _location(url)

    @property
    def must_not_leak(self) -> bool:
        return super().must_not_leak or self.encryption_key is not None

    @field_validator("credential_provider")
    @classmethod
    def _check_provider(cls, value: Any) -> Any:
        return check_provider(value)

    @field_validator("credential")
    @classmethod
    def _check_credential(cls, value: Any) -> Any:
        if value is None or callable(getattr(value, "get_token", None)):
            return value
        raise ValueError("it must be a credential object of azure-identity, with 'get_token'")

    @field_validator("encryption_key")
    @classmethod
    def _check_encryption_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_aes_key(value.get_secret_value()):
            raise ValueError("it must be a key of 32 bytes, as base64")
        return value

    @field_validator("authority_host", "msi_endpoint", "fabric_token_service_url")
    @classmethod
    def _check_service(cls, value: str | None) -> str | None:
        if value is None:
            return None
        checked = checked_endpoint(value)
        if not checked.startswith("https:") and not _is_near(checked):
            raise ValueError("credentials are sent there: it must be https")
        return checked

    @field_validator("container")
    @classmethod
    def _check_container(cls, value: str | None) -> str | None:
        if value is None:
            return None
        return check_name(value.strip("/"), "container", "base_path", any_letter=True)

    @field_validator("base_path")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return physical(normalise(value))

    @field_validator("account_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            require_base64(value.get_secret_value())
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

    @model_validator(mode="after")
    def _check_tags(self) -> Self:
        if self.tags and self.disable_tagging:
            raise ValueError("'disable_tagging' means that no 'tags' are sent; remove one of them")
        return self


def _location(url: str) -> dict[str, Any]:
    """The keys that a URL stands for; ``ValueError`` for one of another kind."""
    parts = urlsplit(url)
    scheme, host, path = parts.scheme, (parts.hostname or ""), parts.path.strip("/")
    if parts.query or parts.fragment:
        raise ValueError("it must be the place only; a signature belongs into 'sas_token'")
    if scheme in ("az", "azure", "adl", "abfs", "abfss"):
        # As adlfs reads it: names are written as they are.
        container, at, account = parts.netloc.rpartition("@")
        if not at:
            return {"container": parts.netloc, "base_path": path}
        return {"container": container, "base_path": path, **_account(account.lower())}
    if scheme != "https" or "." not in host or "@" in parts.netloc:
        raise ValueError(
            "it must be az://container/prefix, abfss://container@account.dfs.core.windows.net/prefix "
            "or https://account.blob.core.windows.net/container/prefix; another server is named by "
            "'endpoint_url' and 'container'"
        )
    container, _, rest = path.partition("/")
    return {
        "container": unquote(container),
        "base_path": unquote(rest),
        **_account(parts.netloc.lower()),
    }


def _account(host: str) -> dict[str, Any]:
    """The account of a host such as ``name.dfs.core.windows.net``, and where its blobs are."""
    name, kind, domain = (*host.split(".", 2), "", "")[:3]
    if kind not in ("blob", "dfs") or not domain:
        raise ValueError("its host must be like account.blob.core.windows.net")
    if domain == _FABRIC:
        return {"account_name": name, "use_fabric_endpoint": True}
    if domain == "core.windows.net":
        return {"account_name": name}
    return {"account_name": name, "endpoint_url": f"https://{name}.blob.{domain}"}


def _is_near(url: str) -> bool:
    """Whether it is this machine, or the address at which machines of a cloud find themselves."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1", "169.254.169.254") or host.startswith("127.")


def _is_aes_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def require_base64(text: str) -> None:
    """Raise ``ValueError`` for what cannot be an account's key."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no account key: these are base64") from None


def checked_endpoint(value: str) -> str:
    """A URL of an account, without a slash at its end; ``ValueError`` that shows nothing of it."""
    return checked_address(
        value,
        example="https://host:10000/account",
        secrets="a signature belongs into 'sas_token'",
        assume="https",
    )
