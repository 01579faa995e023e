"""Requests to GitHub's REST API: bounded, repeated, and explained where they fail."""

from __future__ import annotations

import base64
import errno
import time
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ...exceptions import StorageError
from ..errors import RootNotFoundError
from ..remote import Bounds, Opened, is_transient, missing_extra, repeated
from ..web_proxy import proxy_of_environment
from ..web_tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import httpx

    from ..web_client import WebClient

__all__ = ["JSON", "RAW", "SHA", "Api", "Page", "RateLimitError", "RefusedError", "Source"]

T = TypeVar("T")

JSON = "application/vnd.github+json"
RAW = "application/vnd.github.raw+json"
SHA = "application/vnd.github.sha"

_VERSION = "2022-11-28"
_MOST_REDIRECTS = 5
#: Answers that are kept to ask "has it changed?", which GitHub does not count as a request.
_MOST_ANSWERS = 256
#: Bytes of the largest of them; a hundred commits with long messages are far more.
_LARGEST_KEPT = 64 * 1024
_LONGEST_REASON = 300
#: What GitHub asks to wait where it does not say how long.
_PAUSE = 60


@dataclass(frozen=True)
class Source:
    """One repository, and how to ask for it."""

    org: str
    repo: str
    base_url: str = "https://api.github.com"
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    mount: str = ""

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.org}/{self.repo}"


class RateLimitError(OSError):
    """No more requests for now. Not repeated: minutes would pass before it helps."""

    #: What ``exceptions.translate`` looks at: too many requests.
    status: int = 429


class RefusedError(Exception):
    """The API has said no to one request, for a reason that its caller knows to explain."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"status {status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Page:
    """An answer: what it holds (JSON, or text for ``SHA``), and whether another page follows."""

    value: Any
    has_next: bool = False


class Api:
    """The requests below ``/repos/ORG/REPO``. Thread-safe."""

    def __init__(self, source: Source, bounds: Bounds) -> None:
        self.source = source
        self.bounds = bounds
        self._opened: Opened[WebClient] = Opened(self._open)
        self._lock = Lock()
        self._answers: OrderedDict[tuple[str, str], tuple[str, Page]] = OrderedDict()

    def close(self) -> None:
        """Close the connections."""
        client = self._opened.take()
        if client is not None:
            client.close()

    # -- for callers --------------------------------------------------------------------------

    def get(self, route: str, /, *, accept: str = JSON, **query: str | int) -> Page:
        """The answer to one request, asked again where the network fails.

        ``RefusedError`` for 404, 409 and 422; everything else comes as a standard exception. An
        answer that has not changed since is not sent, nor counted by GitHub, again.
        """
        url = self._url(route, query)

        def step(_: int) -> Page:
            known = self._known(url, accept)
            headers = {"Accept": accept}
            if known is not None:
                headers["If-None-Match"] = known[0]
            with self.explained():
                response = self._whole(self._send(url, headers))
                if known is not None and response.status_code == 304:
                    return known[1]
                self._require_success(response)
                page = self._page(response, accept)
            if len(response.content) <= _LARGEST_KEPT:
                self._remember(url, accept, response.headers.get("ETag"), page)
            return page

        return self.repeated(step)

    def stream(self, route: str, start: int, stop: int | None) -> tuple[httpx.Response, int]:
        """An open answer with raw bytes, and where in the content it starts.

        That is 0 where the server ignores ranges. Asked once; the caller closes it.
        """
        headers = {"Accept": RAW, "Accept-Encoding": "identity"}
        if start or stop is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        response = self._send(self._url(route, {}), headers)
        try:
            if response.status_code not in (200, 206):
                self._require_success(self._whole(response))
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                raise OSError(
                    errno.EIO,
                    f"what leads to {self.source.base_url} compresses files ({encoding!r}) "
                    "although it was asked not to; switch that off",
                )
            begins = 0 if response.status_code == 200 else _range_start(response)
            if begins not in (0, start):
                raise ConnectionError("the server has sent another range than it was asked for")
        except BaseException:
            response.close()
            raise
        return response, begins

    def repeated(self, step: Callable[[int], T]) -> T:
        """``step``, again where the network fails; a rate limit is not waited for."""
        return repeated(self.bounds, step, is_transient)

    @contextmanager
    def explained(self) -> Generator[None]:
        """What the HTTP client raises comes out as a standard exception."""
        try:
            import httpx
        except ImportError as error:
            raise missing_extra(error, self.source.mount, "github", "github") from error
        try:
            yield
        except httpx.TimeoutException as error:
            raise TimeoutError(
                f"{self.source.base_url} did not answer within {self.bounds.timeout:g} seconds"
            ) from error
        except httpx.TransportError as error:
            raise ConnectionError(f"{self.source.base_url}: {_reason(error)}") from error
        except httpx.HTTPError as error:
            raise OSError(errno.EIO, f"{self.source.base_url}: {error}") from error

    @contextmanager
    def understood(self) -> Generator[None]:
        """What is missing in an answer, or of another kind, is the fault of who gave it."""
        try:
            yield
        except StorageError:
            raise
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise self._foreign() from error

    def _foreign(self) -> OSError:
        return OSError(
            errno.EIO,
            f"{self.source.base_url} answers something else than GitHub's API does; "
            "correct 'base_url'",
        )

    def missing(self, otherwise: Callable[[], OSError]) -> OSError:
        """Why something was not found: because the repository is not there, or ``otherwise``."""
        try:
            self.get("")
        except RefusedError as error:
            if error.status != 404:
                return OSError(errno.EIO, str(error))
            return self.no_repository()
        return otherwise()

    def no_repository(self) -> RootNotFoundError:
        """The same answer for what is not there and what may not be seen: so GitHub has it."""
        if self.source.token is None:
            fix = "it does not exist, or is private and needs a 'token'"
        else:
            fix = "it does not exist, or the token may not see it"
        return RootNotFoundError(
            f"the repository {self.source.name} on {urlsplit(self.source.base_url).netloc}: {fix}; "
            "check 'org' and 'repo'"
        )

    # -- requests -----------------------------------------------------------------------------

    def _open(self) -> WebClient:
        import httpx

        from ..web_client import WebClient

        headers = {"User-Agent": "genro-storage", "X-GitHub-Api-Version": _VERSION}
        token, username = self.source.token, self.source.username
        if token is not None and username is not None:
            pair = base64.b64encode(f"{username}:{token}".encode()).decode("ascii")
            headers["Authorization"] = f"Basic {pair}"
        elif token is not None:
            headers["Authorization"] = f"Bearer {token}"
        proxy = proxy_of_environment(self.source.mount, "github", self.source.base_url)
        # Not httpx's own, to which a missing SSL_CERT_FILE is a missing file of the mount.
        tls = tls_context(self.source.mount, "github")
        return WebClient(
            lambda: httpx.Client(
                headers=headers,
                timeout=httpx.Timeout(self.bounds.timeout, connect=self.bounds.connect),
                # Open streams each hold a connection, and nobody may have to wait for them.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
                verify=tls,
                proxy=proxy,
                trust_env=False,
                follow_redirects=False,
            )
        )

    @staticmethod
    def _whole(response: httpx.Response) -> httpx.Response:
        from ..web_client import whole

        return whole(response)

    def _url(self, route: str, query: Mapping[str, str | int]) -> str:
        source = self.source
        url = f"{source.base_url}/repos/{quote(source.org)}/{quote(source.repo)}{route}"
        encoded = urlencode(query, quote_via=quote, errors="surrogateescape")
        return f"{url}?{encoded}" if query else url

    def _send(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """One request, following redirects inside the server; the body is still to be read.

        GitHub redirects from the old name of a repository. Another host gets no request, because
        it would get the token with it.
        """
        client = self._opened.get()
        for _ in range(_MOST_REDIRECTS):
            response = client.stream("GET", url, headers=headers)
            if response.status_code not in (301, 302, 303, 307, 308):
                return response
            response.close()
            target = urljoin(url, response.headers.get("Location", ""))
            if _origin(target) != _origin(self.source.base_url):
                raise OSError(
                    errno.EIO,
                    f"{self.source.base_url} redirects to another server, "
                    f"{urlsplit(target).netloc!r}, which is not followed; correct 'base_url'",
                )
            url = target
        raise OSError(errno.EIO, f"{self.source.base_url} redirects in circles")

    def _require_success(self, response: httpx.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        message = _message(response)
        limit = _rate_limit(response, message, self.source.token is not None)
        if limit is not None:
            raise limit
        if status == 401:
            what = "the token was refused" if self.source.token else "a token is needed"
            raise PermissionError(
                errno.EACCES, f"{what} (it may be wrong, expired or revoked); check 'token'"
            )
        if status in (403, 451):
            if "too_large" in response.text:
                raise OSError(errno.EIO, "GitHub's API serves no file above 100 MB")
            raise PermissionError(
                errno.EACCES, f"GitHub refuses it: {message}; the token may lack a permission"
            )
        if status in (404, 409, 422):
            raise RefusedError(status, message)
        if status == 408 or status >= 500:
            raise ConnectionError(f"{self.source.base_url} failed with status {status}: {message}")
        raise OSError(errno.EIO, f"{self.source.base_url} answered with status {status}: {message}")

    def _page(self, response: httpx.Response, accept: str) -> Page:
        if accept == SHA:
            return Page(response.text.strip())
        try:
            value = response.json()
        except (ValueError, RecursionError) as error:
            raise self._foreign() from error
        return Page(value, "next" in response.links)

    def _known(self, url: str, accept: str) -> tuple[str, Page] | None:
        with self._lock:
            return self._answers.get((url, accept))

    def _remember(self, url: str, accept: str, etag: str | None, page: Page) -> None:
        # Answers about trees are large, and kept elsewhere under the ids that never change.
        if etag is None or "/git/" in url:
            return
        with self._lock:
            self._answers[url, accept] = etag, page
            self._answers.move_to_end((url, accept))
            while len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _reason(error: Exception) -> str:
    # Cut, since it may quote what should have been an answer.
    text = str(error)[:_LONGEST_REASON] or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"{text}; for a private authority, name its certificates in SSL_CERT_FILE"
    return text


def _message(response: httpx.Response) -> str:
    try:
        found = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase or "no reason given"
    return str(found)[:_LONGEST_REASON]


def _range_start(response: httpx.Response) -> int:
    """``Content-Range: bytes 5-9/10`` starts at 5."""
    text = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(text) if text.isascii() and text.isdigit() else -1


def _rate_limit(response: httpx.Response, message: str, has_token: bool) -> RateLimitError | None:
    """The error where the answer says that there were too many requests, saying until when."""
    if response.status_code not in (403, 429):
        return None
    headers = response.headers
    wait = _number(headers.get("Retry-After"))
    now = time.time()
    if wait is None and headers.get("X-RateLimit-Remaining") == "0":
        reset = _number(headers.get("X-RateLimit-Reset"))
        wait = _PAUSE if reset is None else max(0, round(reset - now))
    if wait is None:
        if response.status_code != 429 and "rate limit" not in message.lower():
            return None
        wait = _PAUSE
    until = datetime.fromtimestamp(now + min(wait, 31_536_000), UTC)
    text = (
        f"GitHub's rate limit is reached; try again in {wait} seconds, at "
        f"{until:%Y-%m-%d %H:%M:%S} UTC"
    )
    return RateLimitError(text if has_token else f"{text} (with a 'token' it is far higher)")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
