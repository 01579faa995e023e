"""From what a configuration says to a session that sends Google credentials."""

from __future__ import annotations

import errno
import functools
import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import google.auth
import requests
from google.auth import compute_engine, credentials
from google.auth import exceptions as auth_errors
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from ..object_stores.http import connected
from ..object_stores.plain import check_line
from ..object_stores.provided import CredentialSource
from .access import key_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .access import GcsAccess

__all__ = ["ProvidedCredentials", "TokenSession", "authorised_session", "find_credentials"]

# google-auth annotates little of itself.
_auth: Any = google.auth
_given: Any = credentials
_cloud: Any = compute_engine
_user: Any = oauth2
_service: Any = service_account

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


class TokenSession(AuthorizedSession):
    """Renews a token that is refused, once, and closes the session that fetches tokens."""

    def __init__(self, found: Any, fetching: requests.Session, fetch: Any) -> None:
        # Its own renewal forgets the refused answer, whose connection would be lost.
        super().__init__(found, refresh_status_codes=(), auth_request=fetch)  # type: ignore[no-untyped-call]
        self.found = found
        self._fetching = fetching
        self._fetch = fetch
        self._lock = threading.Lock()

    def request(self, *args: Any, **options: Any) -> Any:
        response: requests.Response = super().request(*args, **options)  # type: ignore[no-untyped-call]
        if response.status_code != 401:
            return response
        response.close()
        self.found.refresh(self._fetch)
        rewind = getattr(options.get("data"), "seek", None)
        if rewind is not None:
            rewind(0)
        return super().request(*args, **options)  # type: ignore[no-untyped-call]

    def token(self) -> dict[str, Any]:
        """The current token as obstore's credential provider returns it."""
        headers: dict[str, str] = {}
        with self._lock:
            self.found.before_request(
                self._fetch, "GET", "https://storage.googleapis.com/", headers
            )
            if isinstance(self.found, ProvidedCredentials):
                ends = self.found.ends
            else:
                expiry = getattr(self.found, "expiry", None)  # naive, in UTC
                ends = None if expiry is None else expiry.replace(tzinfo=UTC)
        return {"token": headers["authorization"].removeprefix("Bearer "), "expires_at": ends}

    def close(self) -> None:
        super().close()  # type: ignore[no-untyped-call]
        self._fetching.close()


def authorised_session(access: GcsAccess, timeouts: tuple[float, float]) -> requests.Session:
    """A session whose requests carry the mount's credentials, renewed when they end.

    Raises ``PermissionError`` for credentials that cannot be used, whose text shows none of them.
    """
    if access.anonymous:
        return connected(requests.Session(), access.network)
    fetching = connected(requests.Session(), access.network.for_signing_in())
    fetch: Any = Request(fetching)
    request: Any = functools.partial(fetch, timeout=timeouts)
    try:
        found = find_credentials(access, request)
    except BaseException:
        fetching.close()
        raise
    if found is None:
        fetching.close()
        return connected(requests.Session(), access.network)
    return connected(TokenSession(found, fetching, request), access.network)


def find_credentials(access: GcsAccess, request: Any) -> Any:
    """A credentials object of google-auth; None where nothing says who we are."""
    kind, text = access.kind, access.text
    if kind is None:
        try:
            return _auth.default(scopes=_SCOPES, request=request)[0]
        except auth_errors.DefaultCredentialsError:
            return None  # public buckets need none
    if kind == "credential_provider":
        return ProvidedCredentials(CredentialSource(access.given, _token_of))
    if text is None:
        return _given.with_scopes_if_required(access.given, _SCOPES)
    if kind == "bearer_token":
        return _user.Credentials(text)
    if kind == "service_account_key":
        return _from_key(text, f"what {kind!r} holds", kind)
    if kind in ("service_account", "application_credentials"):
        return _from_file(text, access.base, kind)
    if text == "cloud":
        return _cloud.Credentials()
    if text == "google_default":
        return _auth.default(scopes=_SCOPES, request=request)[0]
    if text.lstrip().startswith("{"):
        return _from_key(text, "what 'token' holds", kind)
    if "/" in text or "\\" in text or text.endswith(".json"):
        return _from_file(text, access.base, kind)
    return _user.Credentials(text)  # an access token, good until it ends


class ProvidedCredentials(credentials.Credentials):
    """Tokens that a function hands out; ``CredentialSource`` asks it when it must."""

    def __init__(self, source: CredentialSource[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._source = source
        #: When the token ends; None: never.
        self.ends: datetime | None = None

    def refresh(self, request: Any) -> None:
        self.token: str | None
        self.token, ends = self._source.current()
        self.ends = None if ends is None else datetime.fromtimestamp(ends, UTC)
        # Naive, in UTC, as google-auth and gcsfs want it.
        self.expiry: datetime | None = None if self.ends is None else self.ends.replace(tzinfo=None)

    def before_request(self, request: Any, method: Any, url: Any, headers: Any) -> None:
        # Asked each time: when new ones are due is known there, and not here.
        self.refresh(request)
        self.apply(headers)  # type: ignore[no-untyped-call]


def _token_of(values: Mapping[str, Any]) -> str:
    token = values.get("token")
    if not isinstance(token, str) or not token:
        raise ValueError("it must return a 'token'")
    try:
        return check_line(token)
    except ValueError as error:
        raise ValueError(f"'token': {error}") from None


def _from_file(text: str, base: str | None, kind: str) -> Any:
    try:
        with open(key_path(text, base), encoding="utf-8") as file:
            return _from_key(file.read(), f"the file that {kind!r} names", kind)
    except (OSError, UnicodeError) as error:
        if isinstance(error, PermissionError) and error.filename is None:
            raise  # what _from_key says
        raise PermissionError(
            errno.EACCES,
            f"the key file that {kind!r} names cannot be read ({type(error).__name__})",
        ) from None


def _from_key(text: str, what: str, name: str) -> Any:
    """Credentials of a key file's contents. Not chained: an error may quote the key."""
    try:
        info = json.loads(text)
        kind = info.get("type")
        if kind == "service_account" or (kind is None and "private_key" in info):
            return _service.Credentials.from_service_account_info(info, scopes=_SCOPES)
        if kind == "authorized_user" or (kind is None and "refresh_token" in info):
            return _user.Credentials.from_authorized_user_info(info)
        known = kind is not None
    except (ValueError, AttributeError, TypeError, KeyError, auth_errors.GoogleAuthError):
        known = False
    # Federated identities name programs and hosts of their own: the environment may, not a mount.
    fix = (
        "set GOOGLE_APPLICATION_CREDENTIALS, write 'google_default'" if known else f"check {name!r}"
    )
    raise PermissionError(
        errno.EACCES, f"{what} is no key of a service account or user ({name!r}); {fix}"
    )
