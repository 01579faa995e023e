"""One WebDAV server spoken to through httpx: requests, refusals, and what errors mean."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any, BinaryIO

import httpx

from ...exceptions import SourceChangedError
from ..errors import RootNotFoundError, WrongServerError
from ..http.answers import busy, unsupported_login
from ..http.urls import is_slash_added, next_url, origin_of
from ..remote import Bounds, BusyError, repeated
from ..web_client import WebClient, whole
from ..web_proxy import proxy_of_environment
from ..web_tls import tls_context
from .settings import BadRequestError, FailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .settings import Settings

__all__ = ["LocalFile", "LockedError", "WebdavConnection", "explained"]

#: A stream that is left early is read to its end where that costs less than a new connection.
_CHEAP = 64 * 1024
_LONGEST_NAME = 255
_LONGEST_REASON = 300
#: Bytes of a body that are handed over at a time, and those that the system keeps unsent.
_PIECE = 64 * 1024
_UNSENT = 128 * 1024


class LockedError(PermissionError):
    """423: another client holds a lock, which may be gone in a moment."""


class WebdavConnection:
    """The requests of one mount; thread-safe. Raises standard exceptions, and those of httpx."""

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self._root_seen = False
        bounds = settings.bounds
        auth: httpx.Auth | None = None
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        if settings.username is not None and settings.password is not None:
            # As UTF-8: RFC 7617 lets servers say so, and those that do not expect it.
            auth = httpx.BasicAuth(
                settings.username.encode(), settings.password.get_secret_value().encode()
            )
        elif settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        # A range counts the bytes that are sent, and a length is that of the file.
        headers["Accept-Encoding"] = "identity"
        verify = settings.verify
        tls = tls_context(
            settings.mount,
            "webdav",
            verify=verify is not False,
            authorities=verify if isinstance(verify, str) else None,
            certificate=settings.cert[0] if settings.cert else None,
            key=settings.cert[1] if len(settings.cert) > 1 else None,
            password=settings.cert_password,
        )
        proxy = proxy_of_environment(settings.mount, "webdav", settings.origin)
        self._web = WebClient(
            lambda: httpx.Client(
                auth=auth,
                headers=headers,
                verify=tls,
                proxy=proxy,
                trust_env=False,
                timeout=httpx.Timeout(bounds.timeout, connect=bounds.connect),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                # By hand, so that nothing is ever sent to another server.
                follow_redirects=False,
            )
        )

    # -- asking -------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        *,
        directory: bool = False,
        headers: Mapping[str, str] | None = None,
        content: bytes | LocalFile | None = None,
    ) -> httpx.Response:
        """The answer to a request, with its body read; raises for every refusal.

        A lock of another client is waited for, as briefly as for a network that failed.
        """

        def step(_: int) -> httpx.Response:
            answer = self._send(method, path, directory, headers, content)
            if answer.is_success:
                return answer
            raise self.refusal(answer, path)

        return repeated(self.settings.bounds, step, _is_locked)

    def _send(
        self,
        method: str,
        path: str,
        directory: bool,
        headers: Mapping[str, str] | None,
        content: bytes | LocalFile | None,
    ) -> httpx.Response:
        url = self.settings.address(path, directory=directory)
        answer = self._request(method, url, headers, content)
        if not directory and self.adds_slash(answer, url):
            answer = self._request(method, f"{url}/", headers, content)
        return answer

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        content: bytes | LocalFile | None,
    ) -> httpx.Response:
        if isinstance(content, bytes) and len(content) > _PIECE:
            headers = {**(headers or {}), "Content-Length": str(len(content))}
        body = _in_pieces(content)
        return whole(
            self._web.stream(method, url, headers=headers, content=body, extensions=_EXTENSIONS)
        )

    def stream(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to GET, whatever it is, with its body still to be read."""
        url = self.settings.address(path)
        return self._web.stream("GET", url, headers=headers, extensions=_EXTENSIONS)

    @staticmethod
    def leave(answer: httpx.Response) -> None:
        """Have done with a stream; the connection is kept where little is left to read."""
        length = answer.headers.get("Content-Length", "")
        if not answer.is_stream_consumed and length.isdecimal() and int(length) <= _CHEAP:
            for _ in answer.iter_raw():
                pass
        answer.close()

    @staticmethod
    def adds_slash(answer: httpx.Response, url: str) -> bool:
        """Whether a redirect only says that the resource is a collection, as Apache's do.

        Whatever host it names, which nothing is sent to: behind a proxy, and even more behind one
        that does the TLS, many servers get their own address wrong.
        """
        following = _redirected_to(answer)
        return following is not None and is_slash_added(url, following)

    # -- refusals -----------------------------------------------------------------------------

    def refusal(self, answer: httpx.Response, path: str) -> Exception:
        """The exception for an answer that is no success."""
        status = answer.status_code
        name = path.rpartition("/")[2].encode("utf-8", "surrogateescape")
        if len(name) > _LONGEST_NAME and status in (400, 403, 404, 414, 500):
            return OSError(errno.ENAMETOOLONG, f"the server refuses the name ({status})")
        if answer.is_redirect:
            return self._redirected(answer)
        if status in (404, 409, 410) and self.is_root_missing():
            return self.root_missing()
        if status == 401:
            return self._unauthorised(answer)
        if status == 502 and answer.request.method in ("COPY", "MOVE"):
            return BusyError(
                "no answer came through (502); if that stays so, the server takes the target for "
                "one of another host: have the proxy before it rewrite the header 'Destination'",
                None,
            )
        if status in (429, 502, 503):
            return busy(status, answer.headers)
        if status in (405, 501) and answer.request.method == "PROPFIND":
            return self.no_webdav(status)
        return _named(status, answer.request.method)

    def no_webdav(self, status: int) -> WrongServerError:
        """What to raise where the one request is refused that every WebDAV server answers."""
        return WrongServerError(
            f"there is no WebDAV server at {self.settings.base}/ (it answers PROPFIND with "
            f"{status}); check 'url'"
        )

    def _unauthorised(self, answer: httpx.Response) -> PermissionError:
        unsupported = unsupported_login(answer.headers)
        if unsupported is not None:
            fix = (
                f"the server wants the credentials in a way that is not supported ({unsupported}, "
                "401); let it accept 'basic' or a token"
            )
        elif self.settings.token is not None:
            fix = "the server refused the token (401); it may have expired: check 'token'"
        elif self.settings.username is not None:
            fix = (
                "the server refused the user name or the password (401); "
                "check 'username' and 'password'"
            )
        else:
            fix = "the server asks who we are (401); give 'username' and 'password', or 'token'"
        return PermissionError(errno.EACCES, fix)

    @staticmethod
    def _redirected(answer: httpx.Response) -> OSError:
        # Only where it leads: the rest may be a signed URL.
        following = _redirected_to(answer)
        there = "what is no usable URL" if following is None else str(origin_of(following))
        return OSError(
            errno.EIO,
            f"the server sends us to {there}, "
            f"where nothing is sent to ({answer.status_code}); if that is right, correct 'url'",
        )

    def explained(self, error: BaseException) -> BaseException:
        """The standard exception for what the client raised."""
        return explained(error, self.settings) if isinstance(error, Exception) else error

    def root_missing(self) -> RootNotFoundError:
        """What to raise where the collection itself is not there."""
        return RootNotFoundError(
            f"the collection {self.settings.base}/ does not exist; create it, or correct 'url'"
        )

    def is_root_missing(self) -> bool:
        """Whether what is not found is missing because all of it is; asked until it was there."""
        if self._root_seen:
            return False
        answer = self._send("PROPFIND", "", True, {"Depth": "0"}, None)
        if answer.status_code in (404, 410):
            return True
        self._root_seen = True
        return False

    def seen(self) -> None:
        """Note that the collection is there."""
        self._root_seen = True

    def close(self) -> None:
        """Drop the connections."""
        self._web.close()


# -- how bodies are sent ----------------------------------------------------------------------


class LocalFile:
    """An open file as a body, as often as it is wanted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._before = self._state()
        self.size: int = self._before[0]

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def pieces(self) -> Iterator[bytes]:
        """All of it; ``OSError`` before the last piece where somebody has written into it."""
        self._file.seek(0)
        left = self.size
        while left:
            piece = self._file.read(min(left, _PIECE))
            left -= len(piece)
            if not piece or (not left and self._state() != self._before):
                raise SourceChangedError
            yield piece


def _in_pieces(content: bytes | LocalFile | None) -> bytes | Iterator[bytes] | None:
    """A body in small pieces: each has the bound of a wait for itself, also through TLS."""
    if isinstance(content, bytes):
        if len(content) <= _PIECE:
            return content
        return (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))
    return None if content is None else content.pieces()


def _trace(event: str, info: Mapping[str, Any]) -> None:
    """Have a new connection keep little of what is sent to itself.

    The system would take some megabytes at once, and on a slow line they would still be on their
    way when the wait for the answer is over.
    """
    if event == "connection.connect_tcp.complete" and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        found = info["return_value"].get_extra_info("socket")
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)


_EXTENSIONS = {"trace": _trace}


def _redirected_to(answer: httpx.Response) -> str | None:
    if not answer.is_redirect:
        return None
    try:
        return next_url(str(answer.request.url), answer.headers.get("Location", ""))
    except ValueError:
        return None


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, LockedError)


def _named(status: int, method: str) -> Exception:
    """What a status means, for those that mean one thing."""
    if status == 400:
        return BadRequestError(errno.EIO, f"the server does not understand the {method} (400)")
    if status == 403:
        return PermissionError(errno.EACCES, f"the server forbids {method} here (403)")
    if status in (404, 410):
        return FileNotFoundError(errno.ENOENT, "not found")
    if status in (405, 501):
        return PermissionError(
            errno.EACCES,
            f"the server does not allow {method} here ({status}); it may be read-only",
        )
    if status == 409:
        return FileNotFoundError(errno.ENOENT, "the directory above does not exist (409)")
    if status == 412:
        return FileExistsError(errno.EEXIST, "already exists")
    if status == 413:
        return OSError(errno.EFBIG, "the server takes no file of this size (413)")
    if status == 414:
        return OSError(errno.ENAMETOOLONG, "the path is too long for the server (414)")
    if status == 423:
        return LockedError(
            errno.EACCES,
            "locked by another client (423); try again when it has finished, or have the lock "
            "removed on the server",
        )
    if status == 507:
        return OSError(errno.ENOSPC, "no space or quota is left on the server (507)")
    if status == 408:
        return TimeoutError(errno.ETIMEDOUT, "the server gave up waiting for the request (408)")
    if status == 500:
        return FailedError(f"the server failed on {method} (500)")
    if status == 429 or 500 <= status < 600:
        return ConnectionError(f"the server failed to answer {method} ({status})")
    return OSError(errno.EIO, f"the server refused {method} with status {status}")


# -- what httpx raises ------------------------------------------------------------------------


def explained(error: Exception, settings: Settings) -> Exception:
    """The standard exception, with the fix, for what the client raised."""
    where, bounds = settings.origin, settings.bounds
    if isinstance(error, httpx.InvalidURL):
        return OSError(errno.EINVAL, "the name cannot be put into a URL")
    if isinstance(error, httpx.DecodingError):
        return OSError(errno.EIO, "the server compresses what it answers, and not correctly")
    if not isinstance(error, httpx.TransportError):
        return error
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return TimeoutError(errno.ETIMEDOUT, f"no connection to {where}: {_silent(bounds, True)}")
    if isinstance(error, httpx.TimeoutException):
        return TimeoutError(errno.ETIMEDOUT, f"{where} is silent: {_silent(bounds, False)}")
    secured = _tls_error(error)
    if secured is not None:
        return _insecure(secured, where)
    if isinstance(error, httpx.ProxyError):
        return ConnectionError(f"the proxy on the way to {where} refused")
    if isinstance(error, httpx.ConnectError):
        return ConnectionError(
            f"cannot connect to {where}: {_reason(error)}; check 'url' (or the proxy)"
        )
    reason = _reason(error).rstrip(".")
    if isinstance(error, httpx.RemoteProtocolError) and "status line" in reason:
        return WrongServerError(f"what answers at {where} is no web server; check 'url'")
    return ConnectionError(
        f"the connection to {where} broke: {reason}; if that stays so, check 'url', and whether the "
        "server can take a name like this"
    )


def _silent(bounds: Bounds, connecting: bool) -> str:
    seconds = bounds.connect if connecting else bounds.timeout
    return f"no answer within {seconds:g} seconds"


def _reason(error: Exception) -> str:
    # Cut, since it may quote what should have been an answer.
    return str(error)[:_LONGEST_REASON] or type(error).__name__


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _insecure(error: ssl.SSLError, where: str) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return PermissionError(
            errno.EACCES,
            f"the certificate of {where} is not trusted ({error.verify_message}); give the file "
            "of the authority that signed it as 'verify_ssl', or correct 'url'",
        )
    reason = (error.reason or "unknown").replace("_", " ").lower()
    if "certificate" in reason and "alert" in reason:
        return PermissionError(
            errno.EACCES,
            f"{where} refused the client certificate, or wants one ({reason}); check 'cert'",
        )
    if reason in ("wrong version number", "record layer failure"):
        return WrongServerError(f"what answers at {where} does not speak TLS; check 'url'")
    return ConnectionError(f"no secure connection to {where} ({reason}); check 'url'")
