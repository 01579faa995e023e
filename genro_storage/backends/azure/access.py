"""Where a container is and what is shown there: the mount's keys, and else the environment's."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...exceptions import StorageConfigError
from ..object_stores.network import Network
from ..object_stores.plain import check_account, check_line, check_name
from .connection_string import parse
from .identity import Identity, named_credentials, stated
from .options import checked_endpoint, require_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Self

    from .options import AzureOptions

__all__ = ["PUBLIC_SUFFIX", "AzureAccess"]

PUBLIC_SUFFIX = "core.windows.net"
_FABRIC_SUFFIX = "fabric.microsoft.com"
#: The account of every emulator, and its key, which Microsoft has published: it opens nothing.
_EMULATOR = "devstoreaccount1"
_EMULATOR_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_EMULATOR_URL = f"http://127.0.0.1:10000/{_EMULATOR}"


@dataclass(frozen=True)
class AzureAccess:
    """One container, for every client of it. ``repr`` shows no secret."""

    container: str
    endpoint: str
    account: str | None
    key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)
    #: No credentials at all.
    anonymous: bool = False
    #: Who signs in with Microsoft Entra ID, where there is neither a key nor a signature.
    identity: Identity = field(default_factory=Identity, repr=False)
    network: Network = field(default_factory=Network, repr=False)
    encryption_key: str | None = field(default=None, repr=False)
    #: Whether blobs may have tags.
    tagged: bool = True

    def __repr__(self) -> str:
        return f"AzureAccess({self.endpoint!r})"

    @property
    def is_public(self) -> bool:
        """Whether the account is at its one address in the public cloud."""
        return self.endpoint == f"https://{self.account}.blob.{PUBLIC_SUFFIX}".lower()

    @property
    def is_emulated(self) -> bool:
        """Whether it is an emulator's account. They keep no versions."""
        return self.account == _EMULATOR

    @classmethod
    def of(cls, options: AzureOptions, label: str, mount: str, base: Path | None = None) -> Self:
        """What the configuration, or else the environment, says; ``StorageConfigError``."""

        def wrong(text: str) -> StorageConfigError:
            return StorageConfigError(f"{label}: {text}", node=mount)

        said = stated(options, wrong)
        container = said.get("container")
        if not container:
            raise wrong("missing required field: 'container' (or 'url')")
        parts = parse(said["connection_string"], wrong) if "connection_string" in said else {}
        account = _account(options, said, parts, wrong)
        _check_plain(options, said, account, wrong)
        endpoint = _endpoint(options, said, parts, account, wrong)
        account = account or _account_of(endpoint)
        key = said.get("account_key") or parts.get("accountkey")
        sas = (said.get("sas_token") or parts.get("sharedaccesssignature") or "").lstrip("?")
        named = named_credentials(said)
        if said.get("use_emulator") and not named:
            key = key or _EMULATOR_KEY
        if key and not account:
            raise wrong("'account_key' needs 'account_name'")
        if key:
            _require_key(key, wrong)
        try:
            network = options.network(base)
        except ValueError as error:
            raise wrong(str(error)) from None
        found = cls(
            container,
            endpoint,
            account,
            key or None,
            sas or None,
            bool(said.get("anon")),
            Identity.of(said, named, base, wrong),
            network,
            said.get("encryption_key"),
            tagged=not options.disable_tagging,
        )
        if found.encryption_key is not None and options.encryption is not None:
            raise wrong(
                "'encryption' and 'encryption_key' exclude each other: the service encrypts with "
                "one of them; remove one"
            )
        found._check_scheme(options, wrong)
        return found

    def _check_scheme(
        self, options: AzureOptions, wrong: Callable[[str], StorageConfigError]
    ) -> None:
        if self.endpoint.startswith("https:"):
            return
        if options.allow_http is False:
            raise wrong("'allow_http' is false, and the endpoint is plain http; use https")
        if self.encryption_key is not None:
            raise wrong("'encryption_key' goes with every request: the endpoint must be https")
        if self.identity.kind not in (None, "credential_provider"):
            raise wrong(
                f"{self.identity.key!r} means a token, which goes over https only; the endpoint is "
                "plain http"
            )


def _account(
    options: AzureOptions,
    said: Mapping[str, Any],
    parts: Mapping[str, str],
    wrong: Callable[[str], StorageConfigError],
) -> str | None:
    of_string = parts.get("accountname")
    if options.account_name and of_string not in (None, options.account_name):
        raise wrong(
            "'account_name' is not the account of the connection string; remove one of the two"
        )
    account = options.account_name or of_string or said.get("account_name")
    return account or (_EMULATOR if said.get("use_emulator") else None)


def _endpoint(
    options: AzureOptions,
    said: Mapping[str, Any],
    parts: Mapping[str, str],
    account: str | None,
    wrong: Callable[[str], StorageConfigError],
) -> str:
    endpoint = options.endpoint_url or parts.get("blobendpoint")
    if not endpoint and "endpointsuffix" not in parts:
        endpoint = said.get("endpoint_url")
    if not endpoint and said.get("use_emulator"):
        endpoint = os.environ.get("AZURITE_BLOB_STORAGE_URL") or _EMULATOR_URL
    if not endpoint:
        if not account:
            raise wrong(
                "missing required field: 'account_name' (or 'connection_string', or 'endpoint_url')"
            )
        usual = _FABRIC_SUFFIX if said.get("use_fabric_endpoint") else PUBLIC_SUFFIX
        suffix = parts.get("endpointsuffix", usual)
        scheme = parts.get("defaultendpointsprotocol", "https")
        endpoint = f"{scheme}://{account}.blob.{suffix}"
    try:
        return checked_endpoint(endpoint)
    except ValueError as error:
        raise wrong(f"the address of the account's blobs: {error}") from None


def _check_plain(
    options: AzureOptions,
    said: Mapping[str, Any],
    account: str | None,
    wrong: Callable[[str], StorageConfigError],
) -> None:
    """What no server takes, whether the mount says it or the environment."""
    name = "container"
    # A container of Fabric is a workspace, which people name as they like.
    fabric = said.get("use_fabric_endpoint") or _FABRIC_SUFFIX in said.get("endpoint_url", "")
    try:
        check_name(said[name], name, "base_path", any_letter=bool(fabric))
        name = "account_name"
        if account is not None:
            check_account(account)
        for name in ("token", "sas_token"):
            check_line(said.get(name) or "")
    except ValueError as error:
        raise wrong(f"{options.written(name)!r}: {error}") from None


def _account_of(endpoint: str) -> str | None:
    parts = urlsplit(endpoint)
    if parts.path.strip("/"):
        return parts.path.strip("/").partition("/")[0]
    host = parts.hostname or ""
    return host.partition(".")[0] if ".blob." in host else None


def _require_key(key: str, wrong: Callable[[str], StorageConfigError]) -> None:
    try:
        require_base64(key)
    except ValueError as error:
        raise wrong(f"the account's key: {error}") from None
