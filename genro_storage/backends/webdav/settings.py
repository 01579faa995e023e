"""Where a WebDAV mount leads and how it logs in; paths as URLs and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from ..remote import Bounds

__all__ = ["BadRequestError", "FailedError", "Settings", "components", "is_misread"]

# What a path component may hold as it is (RFC 3986, pchar), and the escapes that are there.
_KEPT = "%:@!$&'()*+,;=~"
_MISREAD = frozenset("?;") | {chr(code) for code in (*range(32), 127)}


class BadRequestError(OSError):
    """400: with which Apache, for one, refuses a path below a file."""


class FailedError(ConnectionError):
    """500: often two requests at once that the server did not expect, so worth another try."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client of one mount needs; made without a connection. Files are absolute."""

    mount: str
    url: str
    bounds: Bounds = field(default_factory=Bounds)
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    cert: tuple[str, ...] = ()
    cert_password: SecretStr | None = None
    verify: bool | str = True
    headers: Mapping[str, SecretStr] = field(default_factory=dict)

    @property
    def has_credentials(self) -> bool:
        """Whether anything is sent to log in."""
        return self.username is not None or self.token is not None

    @property
    def origin(self) -> str:
        """Scheme, host and port, in the one spelling."""
        parts = urlsplit(self.url)
        standard = 443 if parts.scheme == "https" else 80
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{host}:{parts.port or standard}"

    @property
    def base(self) -> str:
        """The URL of the collection, percent-encoded, without the slash at its end."""
        parts = urlsplit(self.url)
        above = [quote(part, safe=_KEPT) for part in parts.path.split("/") if part]
        return "/".join((f"{parts.scheme}://{parts.netloc}", *above))

    def address(self, path: str, *, directory: bool = False) -> str:
        """The URL of a path below the collection.

        Every byte of a name that is not unreserved is percent-encoded, so that no name is taken
        for a query, a fragment, an escape or a separator.

        >>> Settings("m", "https://h/dav/").address("a b/c#1?.txt")
        'https://h/dav/a%20b/c%231%3F.txt'
        """
        below = [quote(part, safe="", errors="surrogateescape") for part in path.split("/") if part]
        return "/".join((self.base, *below)) + ("/" if directory or not below else "")


def components(href: str) -> tuple[str, ...] | None:
    """The decoded components of the path of a URL; None for one that no path can express.

    >>> components("http://h/dav/a%2520b/"), components("/a%2Fb")
    (('dav', 'a%20b'), None)
    """
    path = href
    if not href.startswith("/"):
        # Not urlsplit for a bare path: a server may leave a '?' or '#' of a name as it is.
        path = urlsplit(href).path
    parts = [unquote(part, errors="surrogateescape") for part in path.split("/") if part]
    if any("/" in part or "\x00" in part or part in (".", "..") for part in parts):
        return None
    return tuple(parts)


def is_misread(path: str) -> bool:
    """Whether some server takes the ``Destination`` of this path for another one.

    wsgidav 4 decodes it and then parses what it got as a URL: it moves to ``a`` what is to be
    ``a?b`` or ``a;b``, and leaves tabs and line breaks out. The URL of a request it reads well.

    >>> is_misread("why?.txt"), is_misread("100% #1.txt")
    (True, False)
    """
    return any(character in _MISREAD for character in path)
