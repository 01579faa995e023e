"""Downloading a URL on a user's behalf, without becoming the user's way into the private network.

A server that fetches what it is told can be told to fetch ``http://169.254.169.254/`` or its own
admin port (server-side request forgery). Therefore: only http and https, every host (also after
each redirect) is resolved here, every address it has must be public, and the connection goes to
the very address that was checked, so that a second answer of the DNS cannot lead elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import inspect
import re
import string
import types
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urljoin, urlsplit

from ._pinned import Guard, Request, opener
from .exceptions import (
    StorageConnectionError,
    StorageError,
    StorageIOError,
    StorageTimeoutError,
    StorageValueError,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

__all__ = ["Download", "fetch", "open_url", "redact"]

CHUNK = 1024 * 1024
MAX_SIZE = 5 * 1024**3
MAX_REDIRECTS = 5

_REDIRECTS = {301, 302, 303, 307, 308}


class _Body(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Download:
    """The body of an answer as it arrives: counted, and limited in size and time.

    ``size`` is the announced number of bytes, None where the server does not say.
    """

    def __init__(
        self, body: _Body, shown: str, guard: Guard, size: int | None, max_size: int | None
    ) -> None:
        self.size = size
        self._body = body
        self._shown = shown
        self._guard = guard
        self._max_size = max_size
        self._received = 0

    def read(self, size: int = CHUNK) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises an ``OSError`` of ours otherwise."""
        if size <= 0:
            raise StorageValueError(f"read({size}): say how many bytes, more than 0")
        with _named(self._shown):
            # A slow server can keep a buffered read going, so the time is also checked here.
            self._guard.remaining()
            data = self._body.read(size)
        self._received += len(data)
        if self._max_size is not None and self._received > self._max_size:
            raise _too_large(self._shown, f"more than {self._max_size} bytes", self._max_size)
        if not data and self.size is not None and self._received < self.size:
            raise StorageConnectionError(
                f"Failed to download {self._shown}: the answer ended after {self._received} "
                f"of {self.size} bytes"
            )
        return data


def open_url(
    url: str,
    *,
    timeout: float = 30.0,
    deadline: float | None = 600.0,
    max_size: int | None = MAX_SIZE,
    allow_private: bool = False,
) -> AbstractContextManager[Download]:
    """Open an http(s) URL for reading; an unusable URL raises ``StorageValueError`` at once.

    ``timeout`` bounds each wait, ``deadline`` the whole download (seconds); ``max_size`` is in
    bytes; None lifts a limit. Hosts with a private, loopback or otherwise not public address
    raise ``StoragePermissionError`` unless ``allow_private``. Proxies of the environment
    (``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``) are used, and may have a private address.
    Every failure is an ``OSError`` of ours whose text begins with "Failed to download".
    """
    if timeout <= 0 or (deadline is not None and deadline <= 0):
        raise StorageValueError(f"timeout and deadline must be more than 0: {timeout}, {deadline}")
    ready = _checked_url(url)
    guard = Guard(timeout=timeout, deadline=deadline, allow_private=allow_private)
    replacement = _replaced_urlopen()
    if replacement is not None:
        return _open_replaced(replacement, url, timeout, guard, max_size)
    return _open(ready, guard, max_size)


def fetch(
    url: str,
    sink_write: Callable[[bytes], object],
    *,
    timeout: float = 30.0,
    deadline: float | None = 600.0,
    max_size: int | None = MAX_SIZE,
    allow_private: bool = False,
    chunk_size: int = CHUNK,
) -> int:
    """Hand the body to ``sink_write`` piece by piece; returns the number of bytes.

    Raises what ``open_url`` raises, and what ``sink_write`` raises as it is.
    """
    total = 0
    with open_url(
        url, timeout=timeout, deadline=deadline, max_size=max_size, allow_private=allow_private
    ) as body:
        while chunk := body.read(chunk_size):
            sink_write(chunk)
            total += len(chunk)
    return total


def redact(url: str) -> str:
    """``url`` without what may be secret: user, password, query and fragment.

    >>> redact("https://me:pw@example.org:8443/a.zip?token=1")
    'https://***@example.org:8443/a.zip?…'
    """
    head, query, _ = url.partition("#")[0].partition("?")
    scheme, slashes, rest = head.partition("//")
    netloc, slash, path = rest.partition("/")
    if "@" in netloc:
        netloc = "***@" + netloc.rpartition("@")[2]
    shown = f"{scheme}{slashes}{netloc}{slash}{path}" + ("?…" if query else "")
    if not slashes and "@" in shown:
        shown = "***@" + shown.rpartition("@")[2]
    return shown if shown.isprintable() else ascii(shown)[1:-1]


# -- the URL ------------------------------------------------------------------------------------


def _checked_url(url: str) -> str:
    """The URL in the form that goes over the wire, or ``StorageValueError``."""
    shown = redact(url)
    # Parsers disagree about these, and what they disagree about is where the host ends.
    if url != url.strip() or re.search(r"[\x00-\x1f\x7f\\]", url):
        raise _invalid(shown, "it contains a control character, a backslash or outer space")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        raise _invalid(shown, "its host or port cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise _invalid(shown, "only http:// and https:// can be downloaded")
    if "@" in parts.netloc:
        raise _invalid(shown, "a user or password in the URL is not supported")
    # No "%": the standard library would decode it after the check, into another host or a zone.
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise _invalid(shown, "it has no usable host")
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    path = quote(parts.path or "/", safe=string.punctuation)
    query = "?" + quote(parts.query, safe=string.punctuation) if parts.query else ""
    return f"{parts.scheme}://{netloc}{path}{query}"


def _invalid(shown: str, reason: str) -> StorageValueError:
    return StorageValueError(f"Invalid URL {shown!r}: {reason}")


def _next_url(current: str, location: str) -> str:
    """Where a redirect leads; the same rules as for the first URL, and never back to http."""
    # http.client decodes headers as latin-1; a raw UTF-8 Location is common all the same.
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    following = _checked_url(urljoin(current, location.strip()))
    if current.startswith("https:") and not following.startswith("https:"):
        raise StorageConnectionError(f"it redirects from https to {redact(following)}")
    return following


# -- the download -------------------------------------------------------------------------------


@contextlib.contextmanager
def _open(url: str, guard: Guard, max_size: int | None) -> Generator[Download]:
    shown = redact(url)
    with _named(shown):
        response = _follow(url, guard)
    with contextlib.closing(response):
        size = response.length
        if size is not None and max_size is not None and size > max_size:
            raise _too_large(shown, f"{size} bytes", max_size)
        yield Download(response, shown, guard, size, max_size)


def _follow(url: str, guard: Guard) -> http.client.HTTPResponse:
    open_ = opener(guard).open
    for _ in range(MAX_REDIRECTS + 1):
        response: http.client.HTTPResponse = open_(Request(url), timeout=guard.timeout)
        location = response.headers.get("Location")
        # Nobody asked for a part (206), so a part is not the file.
        if 200 <= response.status < 300 and response.status != 206:
            return response
        # The body of a redirect or an error is never read: it may be endless.
        response.close()
        if response.status not in _REDIRECTS or not location:
            raise _StatusError(response.status, response.reason)
        try:
            url = _next_url(url, location)
        except StorageValueError as error:
            raise StorageConnectionError(f"it redirects to an {error}") from None
    raise StorageConnectionError(f"more than {MAX_REDIRECTS} redirects")


def _too_large(shown: str, found: str, max_size: int) -> StorageIOError:
    return StorageIOError(
        f"Failed to download {shown}: it has {found}, and max_size={max_size} allows no more",
        errno=errno.EFBIG,
    )


# -- errors -------------------------------------------------------------------------------------


class _StatusError(Exception):
    """An answer that is not the file."""

    def __init__(self, status: int, reason: str | None) -> None:
        # The words are the server's: nothing of it may reach a terminal as a command.
        words = f" {reason}" if reason and reason.isprintable() else ""
        super().__init__(f"the server answered {status}{words}")
        self.status = status


@contextlib.contextmanager
def _named(shown: str) -> Generator[None]:
    """Turn whatever a download raises into ours, beginning with "Failed to download URL"."""
    try:
        yield
    except (OSError, http.client.HTTPException, _StatusError) as error:
        raise _failed(shown, error) from error


def _failed(shown: str, error: BaseException) -> StorageError:
    while isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, urllib.error.HTTPError):
        error = _StatusError(error.code, error.msg)
    if isinstance(error, TimeoutError):
        kind: type[StorageError] = StorageTimeoutError
    elif isinstance(error, http.client.HTTPException):
        kind = StorageConnectionError
    else:
        kind = type(translate(error, node=shown, action="downloading"))
    # Not issubclass: mypy takes a class that is both for impossible and skips the branch.
    if OSError not in kind.__mro__:
        kind = StorageIOError
    if isinstance(error, http.client.IncompleteRead):
        reason = "the answer ended early"
    elif isinstance(error, urllib.error.URLError):
        reason = str(error.reason)
    else:
        reason = str(error) or type(error).__name__
    return kind(f"Failed to download {shown}: {reason}")


# -- a replaced urlopen -------------------------------------------------------------------------


class _Response(Protocol):
    def read(self) -> bytes: ...


class _UrlOpen(Protocol):
    def __call__(self, url: str, *, timeout: float) -> AbstractContextManager[_Response]: ...


def _replaced_urlopen() -> _UrlOpen | None:
    """What stands in for ``urllib.request.urlopen``, or None where it is the standard library's.

    People test code that downloads by patching that function, as it was the way out up to
    version 0.4; a test that patches it means "no network", so the replacement is asked. A mere
    wrapper (tracing tools put one there) replaces nothing, and must not switch the checks off.
    The function is known by its home, not by what was there when this module was imported:
    that may already have been the replacement.
    """
    current = urllib.request.urlopen
    genuine = inspect.unwrap(current)
    if isinstance(genuine, types.FunctionType) and genuine.__globals__ is vars(urllib.request):
        return None
    return current


@contextlib.contextmanager
def _open_replaced(
    urlopen: _UrlOpen, url: str, timeout: float, guard: Guard, max_size: int | None
) -> Generator[Download]:
    shown = redact(url)
    with contextlib.ExitStack() as stack:
        with _named(shown):
            guard.check_literal(urlsplit(url).hostname or "")
            response = stack.enter_context(urlopen(url, timeout=timeout))
        yield Download(_ReadOnce(response), shown, guard, None, max_size)


class _ReadOnce:
    """A mock answers every ``read`` alike, so only the first one counts, and gets everything."""

    def __init__(self, response: _Response) -> None:
        self._response = response
        self._data: memoryview | None = None

    def read(self, size: int, /) -> bytes:
        if self._data is None:
            self._data = memoryview(self._response.read())
        data, self._data = self._data[:size], self._data[size:]
        return bytes(data)
