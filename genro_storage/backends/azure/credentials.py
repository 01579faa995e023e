"""From what a configuration says to credentials that Microsoft's client takes, and obstore too."""

from __future__ import annotations

import base64
import binascii
import errno
import json
import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport

from ..object_stores.http import connected
from ..object_stores.plain import check_line
from ..object_stores.provided import CredentialSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..remote import Bounds
    from .access import AzureAccess

__all__ = ["AzureCredentials"]

_RESOURCE = "https://storage.azure.com"
_SCOPE = f"{_RESOURCE}/.default"
#: Seconds before its end at which a token is fetched anew.
_MARGIN = 300.0
#: The end of a token that does not say when it ends.
_FAR = 365 * 24 * 3600


class _Shown(NamedTuple):
    """What a provider has given: ``kind`` is ``access_key``, ``sas_token`` or ``token``."""

    kind: str
    value: str

    def __repr__(self) -> str:
        return f"_Shown({self.kind!r})"


class AzureCredentials:
    """The credentials of one mount, as each of its clients wants them. Thread-safe."""

    def __init__(self, access: AzureAccess, bounds: Bounds) -> None:
        self._access = access
        self._session = connected(requests.Session(), access.network.for_signing_in())
        self._bounds = bounds
        self._source: CredentialSource[_Shown] | None = None
        self._credential: Any = None
        kind = access.identity.kind
        if access.key is not None or access.sas is not None or access.anonymous:
            pass
        elif kind == "credential_provider":
            given = access.identity.values["credential_provider"]
            self._source = CredentialSource(given, _shown)
        else:
            self._credential = self._signing_in()

    def close(self) -> None:
        """Give up the connections for signing in."""
        close = getattr(self._credential, "close", None)
        # What was handed in belongs to whoever made it.
        if close is not None and self._access.identity.kind != "credential":
            close()
        self._session.close()

    # -- for Microsoft's client ---------------------------------------------------------------

    def current(self) -> tuple[object, Any]:
        """What ``ContainerClient`` takes, and before it a value that changes whenever that does."""
        access = self._access
        if self._source is not None:
            shown = self._source.get()
            if shown.kind == "token":
                return "token", _SourceToken(self._source)
            return shown, self._static(shown)
        if access.key is not None:
            return "", self._static(_Shown("access_key", access.key))
        if access.sas is not None:
            return "", self._static(_Shown("sas_token", access.sas))
        return "", self._credential

    # -- for adlfs ----------------------------------------------------------------------------

    def fixed(self) -> list[str] | None:
        """The parts of a connection string for what never changes; None for tokens."""
        access = self._access
        if access.anonymous:
            return []
        if access.key is not None:
            return [f"AccountKey={access.key}"]
        if access.sas is not None:
            return [f"SharedAccessSignature={access.sas}"]
        return None

    def signed_in(self) -> Any:
        """What gives tokens; ``PermissionError`` where a provider gives keys or signatures."""
        if self._source is None:
            return self._credential
        return _SourceToken(self._source)

    def _static(self, shown: _Shown) -> Any:
        if shown.kind == "sas_token":
            return shown.value.lstrip("?")
        return {"account_name": self._access.account, "account_key": shown.value}

    # -- for obstore --------------------------------------------------------------------------

    def for_obstore(self) -> dict[str, Any]:
        """The same as obstore's credential provider returns it; not for anonymous ones."""
        access = self._access
        if self._source is not None:
            shown, ends = self._source.current()
            return {shown.kind: shown.value, "expires_at": _moment(ends)}
        if access.key is not None:
            return {"access_key": access.key, "expires_at": None}
        if access.sas is not None:
            return {"sas_token": access.sas, "expires_at": None}
        token = self._credential.get_token(_SCOPE)
        return {"token": token.token, "expires_at": _moment(float(token.expires_on))}

    # -- signing in ---------------------------------------------------------------------------

    def _signing_in(self) -> Any:
        from azure import identity

        who, values = self._access.identity.kind, self._access.identity.values
        common: dict[str, Any] = {
            "transport": RequestsTransport(
                session=self._session,
                session_owner=False,
                connection_timeout=self._bounds.connect,
                read_timeout=self._bounds.timeout,
            )
        }
        if authority := values.get("authority_host"):
            # Named by whoever configures: whether it is one of Microsoft's need not be asked there.
            common |= {"authority": authority, "disable_instance_discovery": True}
        if who == "credential":
            return values["credential"]
        if who == "bearer_token":
            return _Static(values["token"])
        if who == "client_secret":
            return identity.ClientSecretCredential(
                values["tenant_id"], values["client_id"], values["client_secret"], **common
            )
        if who == "workload_identity":
            return identity.WorkloadIdentityCredential(
                tenant_id=values["tenant_id"],
                client_id=values["client_id"],
                token_file_path=values["federated_token_file"],
                **common,
            )
        if who == "azure_cli":
            return identity.AzureCliCredential(tenant_id=values.get("tenant_id", ""))
        if who == "managed_identity":
            return self._managed(values)
        if who == "fabric":
            return _Fabric(self._session, self._timeouts, values)
        return identity.DefaultAzureCredential(**common)

    @property
    def _timeouts(self) -> tuple[float, float]:
        return self._bounds.connect, self._bounds.timeout

    def _managed(self, values: Mapping[str, Any]) -> Any:
        if endpoint := values.get("msi_endpoint"):
            return _Managed(self._session, self._timeouts, endpoint, values)
        from azure.identity import ManagedIdentityCredential

        if "object_id" in values:
            return ManagedIdentityCredential(identity_config={"object_id": values["object_id"]})
        if "msi_resource_id" in values:
            config = {"resource_id": values["msi_resource_id"]}
            return ManagedIdentityCredential(identity_config=config)
        return ManagedIdentityCredential(client_id=values.get("client_id"))


class _Static:
    """A token that is sent as it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + _FAR)


class _SourceToken:
    """The tokens of a provider, which knows itself when it must be asked again."""

    def __init__(self, source: CredentialSource[_Shown]) -> None:
        self._source = source

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        shown, ends = self._source.current()
        if shown.kind != "token":
            raise PermissionError(
                errno.EACCES, "'credential_provider' gives another kind of credentials by now"
            )
        # Microsoft's client asks anew for each request where a token ends within five minutes.
        return AccessToken(shown.value, int(time.time() + _FAR if ends is None else ends))


class _Fetched:
    """Tokens from a web service, fetched anew before they end, by one thread."""

    def __init__(self, session: requests.Session, timeouts: tuple[float, float]) -> None:
        self._session = session
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._token: AccessToken | None = None

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        with self._lock:
            if self._token is None or self._token.expires_on - time.time() < _MARGIN:
                self._token = self._fetch()
            return self._token

    def _fetch(self) -> AccessToken:
        raise NotImplementedError

    def _answer(self, url: str, params: dict[str, str], headers: dict[str, str]) -> str:
        response = self._session.get(
            url, params=params, headers=headers, timeout=self._timeouts, allow_redirects=False
        )
        if response.status_code != 200:
            raise PermissionError(
                errno.EACCES, f"the token service gave no token (status {response.status_code})"
            )
        return response.text


class _Managed(_Fetched):
    """A managed identity whose tokens come from another place than usual."""

    def __init__(
        self,
        session: requests.Session,
        timeouts: tuple[float, float],
        endpoint: str,
        values: Mapping[str, Any],
    ) -> None:
        super().__init__(session, timeouts)
        self._endpoint = endpoint
        self._params = {"api-version": "2019-08-01", "resource": _RESOURCE}
        for name, key in (
            ("client_id", "client_id"),
            ("object_id", "object_id"),
            ("msi_res_id", "msi_resource_id"),
        ):
            if key in values:
                self._params[name] = str(values[key])

    def _fetch(self) -> AccessToken:
        headers = {"metadata": "true"}
        # App Service: whoever asks shows what it has been given with the endpoint.
        if secret := os.environ.get("IDENTITY_HEADER"):
            headers["x-identity-header"] = secret
        try:
            found = json.loads(self._answer(self._endpoint, self._params, headers))
            return AccessToken(str(found["access_token"]), int(found["expires_on"]))
        except (ValueError, KeyError, TypeError):
            raise PermissionError(
                errno.EACCES, "the service that 'msi_endpoint' names answered no token"
            ) from None


class _Fabric(_Fetched):
    """The tokens of a workload of Microsoft Fabric, asked for as obstore does."""

    def __init__(
        self, session: requests.Session, timeouts: tuple[float, float], values: Mapping[str, Any]
    ) -> None:
        super().__init__(session, timeouts)
        self._url = values["fabric_token_service_url"]
        cluster = values["fabric_cluster_identifier"]
        self._headers = {
            "x-ms-partner-token": values["fabric_session_token"],
            "x-ms-cluster-identifier": cluster,
            "x-ms-workload-resource-moniker": cluster,
            "x-ms-proxy-host": values["fabric_workload_host"],
        }

    def _fetch(self) -> AccessToken:
        token = self._answer(self._url, {"resource": _RESOURCE}, self._headers).strip()
        return AccessToken(token, _end_of(token))


def _end_of(token: str) -> int:
    """When a JSON Web Token ends (RFC 7519 §4.1.4); it is not for us to verify it."""
    try:
        middle = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return int(found["exp"])
    except (IndexError, binascii.Error, ValueError, KeyError, TypeError):
        raise PermissionError(
            errno.EACCES, "the service that 'fabric_token_service_url' names answered no token"
        ) from None


def _shown(values: Mapping[str, Any]) -> _Shown:
    found = [name for name in ("access_key", "sas_token", "token") if values.get(name)]
    value = str(values[found[0]]) if len(found) == 1 else None
    if value is None:
        raise ValueError("it must return one of 'access_key', 'sas_token' and 'token'")
    if found[0] == "access_key":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("'access_key' is no account key: these are base64") from None
    try:
        check_line(value)
    except ValueError as error:
        raise ValueError(f"{found[0]!r}: {error}") from None
    return _Shown(found[0], value)


def _moment(ends: float | None) -> datetime | None:
    return None if ends is None else datetime.fromtimestamp(ends, UTC)
