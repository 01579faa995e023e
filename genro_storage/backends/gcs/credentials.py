"""From what a configuration says to a session that sends Google credentials."""

from __future__ import annotations

import errno
import functools
import json
from typing import TYPE_CHECKING, Any

import google.auth
import requests
from google.auth import compute_engine, credentials
from google.auth import exceptions as auth_errors
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from ..object_stores.http import without_passwords
from . import key_path

if TYPE_CHECKING:
    from . import GcsOptions

__all__ = ["authorised_session"]

# google-auth annotates little of itself.
_auth: Any = google.auth
_given: Any = credentials
_cloud: Any = compute_engine
_user: Any = oauth2
_service: Any = service_account

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


class _Session(AuthorizedSession):
    """Renews a token that is refused, once, and closes the session that fetches tokens."""

    def __init__(self, found: Any, fetching: requests.Session, fetch: Any) -> None:
        # Its own renewal forgets the refused answer, whose connection would be lost.
        super().__init__(found, refresh_status_codes=(), auth_request=fetch)  # type: ignore[no-untyped-call]
        self.auth = without_passwords
        self._found = found
        self._fetching = fetching
        self._fetch = fetch

    def request(self, *args: Any, **options: Any) -> Any:
        response: requests.Response = super().request(*args, **options)  # type: ignore[no-untyped-call]
        if response.status_code != 401:
            return response
        response.close()
        self._found.refresh(self._fetch)
        rewind = getattr(options.get("data"), "seek", None)
        if rewind is not None:
            rewind(0)
        return super().request(*args, **options)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        super().close()  # type: ignore[no-untyped-call]
        self._fetching.close()


def authorised_session(
    options: GcsOptions, base: str | None, timeouts: tuple[float, float]
) -> requests.Session:
    """A session whose requests carry the mount's credentials, renewed when they end.

    Raises ``PermissionError`` for credentials that cannot be used, whose text shows none of them.
    """
    if options.credentials_text == "anon":
        return _anonymous()
    fetching = requests.Session()
    fetching.auth = without_passwords
    fetching.mount("https://", HTTPAdapter(max_retries=0))
    fetch: Any = Request(fetching)
    request: Any = functools.partial(fetch, timeout=timeouts)
    try:
        found = _credentials(options, base, request)
    except BaseException:
        fetching.close()
        raise
    if found is None:
        fetching.close()
        return _anonymous()
    return _Session(found, fetching, request)


def _anonymous() -> requests.Session:
    session = requests.Session()
    session.auth = without_passwords
    return session


def _credentials(options: GcsOptions, base: str | None, request: Any) -> Any:
    text = options.credentials_text
    if text is None and options.token is not None:
        return _given.with_scopes_if_required(options.token, _SCOPES)
    if text == "cloud":
        return _cloud.Credentials()
    if text in (None, "google_default"):
        try:
            return _auth.default(scopes=_SCOPES, request=request)[0]
        except auth_errors.DefaultCredentialsError:
            if text is None:
                return None  # public buckets need none
            raise
    if text.lstrip().startswith("{"):
        return _from_key(text, "what 'token' holds")
    if "/" in text or "\\" in text or text.endswith(".json"):
        try:
            with open(key_path(text, base), encoding="utf-8") as file:
                return _from_key(file.read(), "the file that 'token' names")
        except (OSError, UnicodeError) as error:
            raise PermissionError(
                errno.EACCES,
                f"the key file that 'token' names cannot be read ({type(error).__name__})",
            ) from None
    return _user.Credentials(text)  # an access token, good until it ends


def _from_key(text: str, what: str) -> Any:
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
    fix = "set GOOGLE_APPLICATION_CREDENTIALS, write 'google_default'" if known else "check 'token'"
    raise PermissionError(
        errno.EACCES, f"{what} is no key of a service account or user ('token'); {fix}"
    )
