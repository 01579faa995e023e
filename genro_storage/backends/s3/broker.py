"""Credentials from a broker: an application of ours that knows us by a secret.

It is sent ``secret=…`` as a form, and answers with ``AccessKeyId``, ``SecretAccessKey``,
``SessionToken``, ``Expiration`` and ``S3Folder`` (``s3://bucket/prefix/``) in JSON.
"""

from __future__ import annotations

import errno
import json
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ..remote import repeated
from .credentials import Credentials
from .location import Spot, split_uri

if TYPE_CHECKING:
    from .options import S3Options

__all__ = ["Broker", "read_answer"]

#: An answer has some hundred bytes.
_LARGEST = 64 * 1024
_NAME = "the credentials broker"


class Broker:
    """Asks one broker. ``spot`` is the bucket and the prefix that its first answer named."""

    def __init__(self, options: S3Options, mount: str) -> None:
        self._options = options
        self._mount = mount
        self._lock = threading.Lock()
        self.spot: Spot | None = None

    def fetch(self) -> Credentials:
        """New credentials. Raises standard errors, in which no part of the answer stands."""
        answer = repeated(self._options.bounds, lambda _: self._ask())
        credentials, spot = read_answer(answer)
        if self.spot is None:
            self.spot = spot
        elif spot != self.spot:
            # Whoever is in the middle of a copy would go on in another place.
            raise PermissionError(
                errno.EACCES,
                f"{_NAME} has moved the mount from {_uri(self.spot)} to {_uri(spot)}; "
                "configure the mount again",
            )
        return credentials

    def _ask(self) -> bytes:
        import urllib3

        from ..web_proxy import proxy_between
        from .certificates import tls_context

        options = self._options
        url, secret = options.credentials_url, options.credentials_url_secret
        assert url is not None
        assert secret is not None
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)
        # A query may hold a secret.
        shown = parts._replace(query="").geturl()
        bounds = options.bounds
        more: dict[str, Any] = {}
        if parts.scheme == "https":
            more["ssl_context"] = tls_context(options)
        import urllib.request

        proxy = proxy_between(urllib.request.getproxies(), parts.scheme, host, port)
        pool: Any = (
            urllib3.PoolManager(**more)
            if proxy is None
            else urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}", **more)
        )
        try:
            with (
                pool,
                pool.request(
                    "POST",
                    url,
                    body=urlencode({"secret": secret.get_secret_value()}),
                    headers={
                        "Content-Type": "application/x-www-form-urlencoded",
                        "Accept": "application/json",
                    },
                    timeout=urllib3.Timeout(connect=bounds.connect, read=options.patience),
                    # Never to where a redirection leads: the secret would go along.
                    redirect=False,
                    retries=False,
                    preload_content=False,
                ) as response,
            ):
                status = int(response.status)
                body = bytes(response.read(_LARGEST + 1, decode_content=True))
        except urllib3.exceptions.SSLError as error:
            raise PermissionError(
                errno.EACCES, f"no secure connection to {_NAME} {shown}: {error}"
            ) from error
        except urllib3.exceptions.NewConnectionError as error:  # which is a timeout by its class
            raise ConnectionError(
                errno.ECONNREFUSED, f"{_NAME} {shown} cannot be reached; check 'credentials_url'"
            ) from error
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(
                errno.ETIMEDOUT, f"{_NAME} {shown} does not answer; check 'credentials_url'"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(
                errno.ECONNRESET, f"the connection to {_NAME} {shown} broke; try again"
            ) from error
        _require_success(status, shown)
        if len(body) > _LARGEST:
            raise _nonsense("more than 64 KiB")
        return body


def _require_success(status: int, shown: str) -> None:
    if status == 200:
        return
    who = f"{_NAME} {shown}"
    if 300 <= status < 400:
        raise PermissionError(
            errno.EACCES,
            f"{who} sends us elsewhere (status {status}), where the secret does not go; "
            "correct 'credentials_url'",
        )
    if status in (401, 403):
        raise PermissionError(
            errno.EACCES, f"{who} refuses us (status {status}); check 'credentials_url_secret'"
        )
    if status == 429 or status >= 500:
        raise ConnectionError(errno.EREMOTEIO, f"{who} failed (status {status}); try again later")
    raise PermissionError(
        errno.EACCES, f"{who} answered with status {status}; check 'credentials_url'"
    )


def read_answer(body: bytes) -> tuple[Credentials, Spot]:
    """What a broker's answer says; ``OSError``, which quotes nothing of it, where it is wrong."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        # Without its cause, which holds the answer.
        answer = None
    if not isinstance(answer, dict):
        raise _nonsense("something that is no JSON object")
    wanted = {}
    for name in ("AccessKeyId", "SecretAccessKey", "Expiration", "S3Folder"):
        value = answer.get(name)
        if not isinstance(value, str) or not value.strip():
            raise _nonsense(f"no {name}")
        wanted[name] = value.strip()
    token = answer.get("SessionToken")
    if token is not None and not isinstance(token, str):
        raise _nonsense("a SessionToken that is no text")
    try:
        ends = datetime.fromisoformat(wanted["Expiration"])
    except ValueError:
        raise _nonsense("an Expiration that is no time; 2026-03-20T11:56:23Z is one") from None
    if ends.tzinfo is None:
        raise _nonsense("an Expiration without a time zone; UTC is written with a Z at the end")
    try:
        spot = split_uri(wanted["S3Folder"])
    except ValueError as error:
        raise _nonsense(f"an S3Folder that is none: {error}") from None
    found = Credentials(
        wanted["AccessKeyId"], wanted["SecretAccessKey"], token or None, ends.timestamp()
    )
    return found, spot


def _nonsense(what: str) -> OSError:
    return OSError(errno.EIO, f"{_NAME} answered with {what}; check 'credentials_url'")


def _uri(spot: Spot) -> str:
    return f"s3://{spot.bucket}/{spot.prefix}"
