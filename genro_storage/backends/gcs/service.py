"""Requests to Google Cloud Storage over the sessions of google-auth, and what their failures mean.

The errors raised are standard ones, cut off from those of ``requests``: these quote URLs, and the
URL of a resumable upload lets whoever reads it write the object.
"""

from __future__ import annotations

import contextlib
import errno
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests
from google.auth import exceptions as auth_errors
from urllib3.exceptions import HTTPError as Urllib3Error

from ..errors import RootNotFoundError, WrongServerError
from ..object_stores.connecting import connection_failure
from ..object_stores.errors import is_timeout, root_name
from .credentials import TokenSession, authorised_session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from ..remote import Bounds
    from .access import GcsAccess

__all__ = ["GcsService"]


class GcsService:
    """One bucket and whoever asks for it. Threads share it: so does ``requests``' pool."""

    def __init__(self, access: GcsAccess, bounds: Bounds) -> None:
        self._bucket = access.bucket
        self._quoted = quote(access.bucket, safe="")
        self._endpoint = access.endpoint
        self._host = urlsplit(access.endpoint).netloc
        self._project = access.project
        self._named = access.kind or "token"
        self._timeouts = (bounds.connect, bounds.timeout)
        with self._explained(None):
            self._session: requests.Session = authorised_session(access, self._timeouts)
        self._anonymous = not isinstance(self._session, TokenSession)

    @property
    def credentials(self) -> Any:
        """The credentials object of google-auth; None where nobody is asked who they are."""
        session = self._session
        return session.found if isinstance(session, TokenSession) else None

    def for_obstore(self) -> Callable[[], dict[str, Any]] | None:
        """What hands out the current token; None where nobody is asked who they are."""
        session = self._session
        return session.token if isinstance(session, TokenSession) else None

    def close(self) -> None:
        self._session.close()

    # -- requests -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _explained(self, key: str | None) -> Generator[None]:
        """Turns what the libraries raise into standard errors without their URLs."""
        try:
            yield
        except requests.Timeout:
            raise self._silent() from None
        except (requests.RequestException, Urllib3Error) as error:
            if is_timeout(error):
                raise self._silent() from None
            raise self._unreachable(error) from None
        except auth_errors.DefaultCredentialsError:
            raise PermissionError(
                errno.EACCES, "no credentials were found; give 'token', or `anon: true`"
            ) from None
        except auth_errors.TransportError as error:
            raise self._unreachable(error) from None
        except auth_errors.GoogleAuthError as error:
            if getattr(error, "retryable", False):
                raise self._unreachable(error) from None
            raise PermissionError(
                errno.EACCES, f"the credentials were refused by Google; check {self._named!r}"
            ) from None

    def _silent(self) -> TimeoutError:
        return TimeoutError(errno.ETIMEDOUT, f"no answer from {self._host} in time")

    def _unreachable(self, error: BaseException) -> Exception:
        return connection_failure(error, self._endpoint) or ConnectionError(
            errno.ECONNRESET, f"the connection to {self._host} failed ({root_name(error)})"
        )

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        url: str,
        key: str | None,
        *,
        params: Mapping[str, str | None] | None = None,
        accepts: tuple[int, ...] = (200,),
        timeout: float | None = None,
        **request: Any,
    ) -> Generator[requests.Response]:
        """One request; the answer is open within the block, and closed after it."""
        given = {name: value for name, value in (params or {}).items() if value is not None}
        if self._project and not self._anonymous:
            given.setdefault("userProject", self._project)
        with self._explained(key):
            response = self._session.request(
                method,
                url,
                params=given,
                timeout=self._timeouts if timeout is None else timeout,
                allow_redirects=False,
                stream=True,
                **request,
            )
            try:
                if response.status_code not in accepts:
                    raise self._refusal(response, key)
                yield response
                # What is left of a small answer is read, so that the connection can be used again.
                if request.get("headers", {}).get("Range") is None:
                    _ = response.content
            finally:
                response.close()

    def _content(
        self, key: str, start: int, end: int | None, pin: str | None
    ) -> contextlib.AbstractContextManager[requests.Response]:
        """The answer with the bytes of an object; or with all of it, or a 416."""
        return self._answer(
            "GET",
            self._endpoint + self._object(key),
            key,
            params={"alt": "media", "generation": pin or None},
            headers={
                "Range": f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}",
                # As it is stored: otherwise the service unpacks what was stored packed, from its
                # beginning and whatever the range says.
                "Accept-Encoding": "gzip",
            },
            accepts=(200, 206, 416),
        )

    def _call(self, method: str, path: str, key: str | None, **request: Any) -> dict[str, Any]:
        """One request whose answer is JSON."""
        with self._answer(method, self._endpoint + path, key, **request) as response:
            return self._object_in(response.content)

    def _object_in(self, body: bytes) -> dict[str, Any]:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._strange()
        return found

    def _strange(self) -> OSError:
        return WrongServerError(
            f"{self._host} does not answer as Google Cloud Storage; check 'endpoint_url'"
        )

    def _object(self, key: str) -> str:
        return f"/storage/v1/b/{self._quoted}/o/{quote(key, safe='')}"

    def _refusal(self, response: requests.Response, key: str | None) -> Exception:
        """The standard error for a status that says no. ``key`` None: it can only be the bucket."""
        status, text = response.status_code, _message(response)
        said = f": {text}" if text else ""
        if status == 404:
            if key is None or "bucket does not exist" in text:
                return RootNotFoundError(
                    f"the bucket {self._bucket!r} does not exist; create it or correct 'bucket'"
                )
            return FileNotFoundError(errno.ENOENT, "not found")
        if status == 401:
            fix = "give 'token'" if self._anonymous else f"check {self._named!r}"
            return PermissionError(errno.EACCES, f"the credentials were refused{said}; {fix}")
        if status == 403:
            return PermissionError(errno.EACCES, f"access denied{said}")
        if status == 412:
            return FileExistsError(errno.EEXIST, "already exists")
        if status in (408, 429) or status >= 500:
            return ConnectionError(
                errno.ECONNRESET, f"{self._host} cannot answer now (status {status}){said}"
            )
        if status == 400 and "hash" in text.lower():
            return OSError(errno.EIO, f"the content arrived damaged{said}")
        if not text and (status < 300 or status == 405):
            return self._strange()
        if status in (400, 414):
            return OSError(errno.EINVAL, f"{self._host} refused the request{said}")
        return OSError(errno.EIO, f"{self._host} answered with status {status}{said}")


def _message(response: requests.Response) -> str:
    """What the service says about a refusal, in one line."""
    try:
        found = json.loads(response.content[:100_000])["error"]
        text = found["message"] if isinstance(found, dict) else found
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(str(text).split())[:300]
