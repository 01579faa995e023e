"""URLs of a web server: one place per path, and what a path is in a link. Pure."""

from __future__ import annotations

import contextlib
import string
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from ..addresses import ascii_host, split_address

__all__ = ["Origin", "Site", "is_slash_added", "link_path", "next_url", "origin_of"]

_PORTS = {"http": 80, "https": 443}
#: What stays as it is in a URL that somebody else wrote, percent signs included.
_WRITTEN = string.punctuation


class Origin(NamedTuple):
    """What credentials belong to: scheme, host and port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if _PORTS[self.scheme] == self.port else f":{self.port}"
        )


@dataclass(frozen=True, slots=True)
class Site:
    """A URL whose path ends with a slash, and the places below it."""

    origin: Origin
    path: str

    @classmethod
    def parse(cls, url: str) -> Site:
        """Check a URL that a person wrote; ``ValueError``, whose text does not quote it."""
        parts = split_address(
            url.strip(),
            example="https://host/directory",
            secrets="write them as 'username' and 'password'",
        )
        path = parts.path
        return cls(origin_of(parts.geturl()), path if path.endswith("/") else path + "/")

    @property
    def url(self) -> str:
        """The directory itself."""
        return f"{self.origin}{self.path}"

    def url_of(self, path: str, *, directory: bool = False) -> str:
        """Where a path is; every character of a name that means something in a URL is quoted."""
        if not path:
            return self.url
        quoted = quote(path, safe="/", errors="surrogateescape")
        return self.url + quoted + ("/" if directory else "")

    def key(self, path: str) -> str:
        """The decoded path on the server, by which two sites of one origin can be compared."""
        return unquote(self.path + quote(path, safe="/", errors="surrogateescape")).strip("/")


def origin_of(url: str) -> Origin:
    """Scheme, host and port of a URL that was checked before."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])


def next_url(current: str, location: str) -> str:
    """Where a redirect leads, ready to be sent; ``ValueError`` where that is nowhere usable."""
    # http.client decodes headers as latin-1; a raw UTF-8 Location is common all the same.
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    parts = urlsplit(urljoin(current, location.strip()))
    if parts.scheme not in _PORTS or "@" in parts.netloc:
        raise ValueError("not a usable URL")
    origin = Origin(
        parts.scheme, ascii_host(parts.hostname or ""), parts.port or _PORTS[parts.scheme]
    )
    query = "?" + quote(parts.query, safe=_WRITTEN) if parts.query else ""
    return f"{origin}{quote(parts.path or '/', safe=_WRITTEN)}{query}"


def is_slash_added(current: str, following: str) -> bool:
    """Whether a redirect only adds a slash, which says "this is a directory".

    Whatever host it names: behind a proxy many servers get their own name wrong.
    """
    here, there = urlsplit(current).path, urlsplit(following).path
    return unquote(there) == unquote(here) + "/" and not here.endswith("/")


def link_path(page: str, reference: str) -> tuple[str, bool] | None:
    """The name, and whether a directory, that a link on a directory's page stands for.

    None for whatever leads elsewhere: up, beside, deeper, to another server, or to the page itself
    in another order. ``page`` is the URL of the page.

    >>> link_path("http://h/d/", "a%23b%20c.txt"), link_path("http://h/d/", "?C=N;O=D")
    (('a#b c.txt', False), None)
    """
    # Quoted first: splitting a URL drops line breaks, and names may hold some.
    reference = quote(reference.strip(" \t\r\n\f"), safe=_WRITTEN, errors="surrogateescape")
    try:
        here, link = urlsplit(page), urlsplit(urljoin(page, reference))
    except ValueError:
        return None
    if (link.scheme, link.netloc) != (here.scheme, here.netloc) or "?" in reference:
        return None
    above = [_decoded(part) for part in here.path.split("/")[:-1]]
    parts = [_decoded(part) for part in link.path.split("/")]
    if parts[: len(above)] != above:
        return None
    below = parts[len(above) :]
    directory = len(below) == 2 and below[1] == ""
    if not (directory or len(below) == 1) or not below[0] or "/" in below[0]:
        return None
    return below[0], directory


def _decoded(part: str) -> str:
    return unquote(part, errors="surrogateescape")
