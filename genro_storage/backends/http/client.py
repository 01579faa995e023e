"""One web server over urllib3: requests, redirects, credentials, and errors in plain words.

urllib3 and not fsspec's own filesystem: that one quotes no names, takes a whole file for a part of
it, lists whatever links a page has, and runs every call of a thread through an event loop.
urllib3 is made for threads, keeps connections, and notices an answer that ends too early.
"""

from __future__ import annotations

import contextlib
import errno
import os
import ssl
import threading
import urllib.request
from http.client import BadStatusLine, RemoteDisconnected
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from ..archives.inflating import Inflated, open_gzip, open_zlib
from ..archives.tree import BrokenArchiveError
from ..base import COPY_CHUNK
from ..errors import WrongServerError
from ..remote import is_transient, repeated
from ..web_proxy import proxy_between, read_proxy
from ..web_tls import tls_context
from .answers import Facts, FinalError, is_stored_encoding, refusal
from .urls import Origin, is_slash_added, next_url, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping
    from typing import Self

    from urllib3.response import BaseHTTPResponse

    from .settings import Settings

__all__ = ["Answer", "Client"]

T = TypeVar("T")

_AGENT = "genro-storage"
_REDIRECTS = (301, 302, 303, 307, 308)
#: More hops than any honest server needs.
_HOPS = 10
#: What can be undone of what a server does although it was asked not to.
_DECODERS = {"gzip": open_gzip, "x-gzip": open_gzip, "deflate": open_zlib}
#: An answer with so little left is read to its end, so that the connection can be used again.
_WORTH_READING = 64 * 1024
#: Connections that are kept for the next request, for each server.
_KEPT = 16


class Answer:
    """One answer: its head is here, its body comes as it is read. Always to be closed."""

    def __init__(self, response: BaseHTTPResponse, url: str, path: str, slash: bool) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        #: Where the answer came from, after all redirects.
        self.url = url
        #: Whether the server only says "with a slash": a directory.
        self.is_slash = slash
        self._response = response
        encoding = (response.headers.get("Content-Encoding") or "").strip().lower()
        #: Whether the server compresses what it sends, although it was asked not to.
        self.is_encoded: bool = encoding not in ("", "identity") and not is_stored_encoding(
            encoding, path
        )
        self._encoding = encoding
        self._inflated: Inflated | None = None

    @property
    def facts(self) -> Facts:
        """What it says about the whole file."""
        return Facts.of(self.status, self.headers, encoded=self.is_encoded)

    @property
    def length(self) -> int | None:
        """Bytes of the body that are still to come; None where the server does not say."""
        found = self._response.length_remaining
        return None if found is None or self.is_encoded else int(found)

    def require_readable(self) -> None:
        """Raise where the body is compressed in a way that nobody here can undo."""
        if self.is_encoded and self._encoding not in _DECODERS:
            raise FinalError(
                errno.EIO,
                f"the server compresses what it sends ({self._encoding!r}) although it was asked "
                "not to; switch that off for these files",
            )

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, b"" at the end; raises where the body ends too early."""
        if not self.is_encoded:
            return self._read(size)
        if self._inflated is None:
            # Not by urllib3, to which it is no error where the compressed content has no end.
            self._inflated = Inflated(
                iter(lambda: self._read(COPY_CHUNK), b""),
                _DECODERS[self._encoding],
                "the content",
                several=True,
            )
        try:
            return self._inflated.read(size)
        except BrokenArchiveError as error:
            raise FinalError(
                errno.EIO, f"the server compresses what it sends, and not well: {error.strerror}"
            ) from error

    def _read(self, size: int) -> bytes:
        with _explained(origin_of(self.url)):
            return self._response.read(size, decode_content=False)

    def close(self) -> None:
        """Keep the connection where that is cheap, else break it off."""
        left = self._response.length_remaining
        if left is not None and left <= _WORTH_READING:
            with contextlib.suppress(HTTPError, OSError):
                self._response.drain_conn()
        else:
            self._response.close()
        self._response.release_conn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """All connections to one server; any thread may use it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._pools: dict[tuple[str | None, bool | None], urllib3.PoolManager] = {}
        self._process = os.getpid()
        self._proxies = urllib.request.getproxies() if settings.trust_env else {}
        self._timeout = urllib3.Timeout(
            connect=settings.bounds.connect, read=settings.bounds.timeout
        )

    # -- asking -------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        path: str,
        *,
        directory: bool = False,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """One request, with its redirects. The answer has a status of 200 to 299, or one of
        ``accept``, or ``is_slash``; every other one is raised as what it means.
        """
        site = self.settings.site
        url = site.url_of(path, directory=directory)
        # The names of headers are the same in capitals.
        open_to_all = urllib3.HTTPHeaderDict({"User-Agent": _AGENT, "Accept": "*/*"})
        secret = open_to_all.copy()
        for name, value in self.settings.headers.items():
            secret[name] = value
        for name, value in {"Accept-Encoding": "identity", **(headers or {})}.items():
            open_to_all[name] = secret[name] = value
        own = True
        for _ in range(_HOPS + 1):
            # Once a redirect has led away nothing that is secret is sent any more, not even back.
            own = own and origin_of(url) == site.origin
            response = self._request(method, url, secret if own else open_to_all, own)
            location = response.headers.get("Location") if response.status in _REDIRECTS else None
            if location is None:
                return self._judged(Answer(response, url, path, False), accept, own)
            answer = Answer(response, url, path, False)
            try:
                following = self._following(url, location)
                if is_slash_added(url, following) and not directory:
                    answer.is_slash = True
                    return answer
                self._check_redirect(url, following)
            except BaseException:
                answer.close()
                raise
            answer.close()
            url = following
        raise FinalError(errno.ELOOP, f"the server redirects more than {_HOPS} times")

    def _judged(self, answer: Answer, accept: Collection[int], own: bool) -> Answer:
        if 200 <= answer.status < 300 or answer.status in accept:
            return answer
        answer.close()
        raise refusal(
            answer.status,
            answer.headers,
            credentials=self.settings.credentials,
            elsewhere=None if own else str(origin_of(answer.url)),
        )

    def repeat(
        self, step: Callable[[], T], also: Callable[[BaseException], bool] | None = None
    ) -> T:
        """``step()``, repeated where the network fails or the server is busy, and ``also`` agrees.

        A server that says when to come back is obeyed, if that is within the timeout.
        """

        def again(error: BaseException) -> bool:
            if isinstance(error, FinalError) or not is_transient(error):
                return False
            return also is None or also(error)

        return repeated(self.settings.bounds, lambda _: step(), again)

    def close(self) -> None:
        """Close what is idle; what is in use is closed by its user."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.clear()

    # -- redirects ----------------------------------------------------------------------------

    @staticmethod
    def _following(url: str, location: str) -> str:
        try:
            return next_url(url, location)
        except ValueError:
            raise FinalError(errno.EIO, "the server redirects to what is no usable URL") from None

    def _check_redirect(self, url: str, following: str) -> None:
        here, there = origin_of(url), origin_of(following)
        if self.settings.redirects == "none":
            raise PermissionError(
                errno.EACCES, f"the server redirects (to {there}); 'redirects: none' forbids it"
            )
        if here.scheme == "https" and there.scheme == "http":
            raise PermissionError(
                errno.EACCES,
                f"the server redirects from https to {there}, which is not encrypted; refused",
            )
        if self.settings.redirects == "same-server" and there != self.settings.site.origin:
            raise PermissionError(
                errno.EACCES,
                f"the server redirects to {there}; 'redirects: same-server' forbids it",
            )

    # -- connections --------------------------------------------------------------------------

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], own: bool
    ) -> BaseHTTPResponse:
        origin = origin_of(url)
        pool = self._pool(origin, own)
        with _explained(origin):
            return pool.urlopen(
                method,
                url,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )

    def _pool(self, origin: Origin, own: bool) -> urllib3.PoolManager:
        proxy = self._proxy_for(origin)
        # A client certificate is a credential: other servers do not get to see it.
        with_certificate = own and self.settings.certificate is not None
        encrypts = origin.scheme == "https" or (proxy or "").startswith("https:")
        key = proxy, with_certificate if encrypts else None
        if self._process != os.getpid():
            # After a fork two processes would talk on one connection, and a thread of the parent
            # may have held the lock.
            self._lock, self._pools = threading.Lock(), {}
            self._process = os.getpid()
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                tls = self._make_tls(with_certificate) if encrypts else None
                pool = self._pools[key] = self._make_pool(proxy, tls)
            return pool

    def _make_pool(self, proxy: str | None, tls: ssl.SSLContext | None) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(maxsize=_KEPT, ssl_context=tls)
        fix = "correct 'proxy', or the environment, or write `trust_env: false`"
        parts = read_proxy(proxy, ("http", "https"), self.settings.mount, "http", fix)
        user = None
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        address = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
        return urllib3.ProxyManager(
            address,
            maxsize=_KEPT,
            ssl_context=tls,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=user) if user else None,
        )

    def _proxy_for(self, origin: Origin) -> str | None:
        if self.settings.proxy is not None:
            return self.settings.proxy
        return proxy_between(self._proxies, *origin)

    def _make_tls(self, with_certificate: bool) -> ssl.SSLContext:
        settings = self.settings
        certificate = settings.certificate if with_certificate else None
        return tls_context(
            settings.mount,
            "http",
            verify=settings.verify,
            authorities=settings.authorities,
            certificate=None if certificate is None else certificate[0],
            key=None if certificate is None else certificate[1],
        )


# -- errors -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _explained(where: Origin) -> Generator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        raise _explain(error, where) from error


def _explain(error: Exception, where: Origin) -> Exception:
    """A standard exception for one of urllib3; it shows no path or query, which may be secret."""
    if isinstance(error, NameResolutionError):
        return ConnectionError(
            errno.EHOSTUNREACH,
            f"no such host is known on the way to {where}; check 'base_url' (or the proxy)",
        )
    if isinstance(error, ProxyError):
        return _explain_proxy(error, where)
    if isinstance(error, NewConnectionError):
        return ConnectionError(
            errno.ECONNREFUSED,
            f"{where} cannot be reached: {_reason(error)}; check 'base_url' (or the proxy), and "
            "that the server runs",
        )
    if isinstance(error, ConnectTimeoutError):
        return TimeoutError(
            errno.ETIMEDOUT, f"no connection to {where} in time; check 'base_url' (or the proxy)"
        )
    if isinstance(error, ReadTimeoutError | TimeoutError):
        return TimeoutError(
            errno.ETIMEDOUT,
            f"{where} gives no answer within 'timeout'; raise it if the server is only slow",
        )
    if isinstance(error, SSLError | ssl.SSLError):
        return _explain_tls(error, where)
    if isinstance(error, LocationValueError):
        return FinalError(errno.EINVAL, "the URL cannot be used; check 'base_url'")
    found = next((each for each in _causes(error) if isinstance(each, BadStatusLine)), None)
    if found is not None and not isinstance(found, RemoteDisconnected):
        return WrongServerError(f"what answers at {where} is no web server; check 'base_url'")
    return ConnectionError(
        errno.ECONNRESET,
        f"the connection to {where} broke: {_reason(error)}; if that stays so, check 'base_url' and "
        "the server",
    )


def _explain_proxy(error: ProxyError, where: Origin) -> Exception:
    text = str(error.original_error)
    if "407" in text:
        return PermissionError(
            errno.EACCES,
            f"the proxy on the way to {where} wants other credentials (407); check 'proxy'",
        )
    return ConnectionError(
        errno.ECONNREFUSED, f"the proxy on the way to {where} cannot be used; check 'proxy'"
    )


def _explain_tls(error: BaseException, where: Origin) -> Exception:
    found = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if isinstance(found, ssl.SSLCertVerificationError):
        return FinalError(
            errno.EPROTO,
            f"the certificate of {where} is not trusted ({found.verify_message}); name the file of "
            "its authority in 'verify_ssl', or correct 'base_url'",
        )
    text = found.reason if found is not None and found.reason else "no TLS connection"
    if text in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return WrongServerError(f"what answers at {where} does not speak TLS; correct 'base_url'")
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return FinalError(
            errno.EPROTO, f"{where} refused the TLS connection ({text}); check 'cert'"
        )
    return ConnectionError(
        errno.EPROTO, f"the TLS connection to {where} failed ({text}); check 'base_url'"
    )


def _causes(error: BaseException | None) -> Generator[BaseException]:
    """An error, what it wraps, and what it was raised from."""
    while error is not None:
        yield error
        yield from (each for each in error.args if isinstance(each, BaseException))
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    """What the system said, in its words."""
    for each in _causes(error):
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
    return "the server ended it"
