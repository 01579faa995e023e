"""URLs of a web server: one place per path, and what a path is in a link. Pure."""

from __future__ import annotations

import contextlib
import re
import string
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

__all__ = ["Origin", "Site", "is_slash_added", "link_path", "next_url", "origin_of"]

_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
#: What IDNA 2003 (as Python has it) and 2008 (as browsers do) turn into different names.
_TWO_WAYS = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
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
        if _CONTROL.search(url.strip()):
            raise ValueError(
                "a URL has no spaces, backslashes or control characters; write them as %20 and so on"
            )
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise ValueError("the host or the port of the URL cannot be read") from None
        if parts.scheme not in _PORTS:
            raise ValueError("expected a URL that begins with http:// or https://")
        if "@" in parts.netloc:
            raise ValueError(
                "credentials in the URL would be shown with it; write them as 'username' and "
                "'password'"
            )
        if parts.query or parts.fragment or url.strip().endswith(("?", "#")):
            raise ValueError("the URL of a directory has no '?' and no '#' (write %3F and %23)")
        host = _ascii_host(parts.hostname or "")
        path = quote(parts.path, safe=_WRITTEN)
        if ".." in unquote(path).split("/"):
            raise ValueError("the URL contains '..'; write where it leads to instead")
        return cls(
            Origin(parts.scheme, host, _PORTS[parts.scheme] if port is None else port),
            path if path.endswith("/") else path + "/",
        )

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


def _ascii_host(host: str) -> str:
    if not host.isascii():
        if _TWO_WAYS.search(host):
            raise ValueError(
                "the host of the URL has a letter that two standards read as two hosts; write it "
                "in ASCII (xn--...)"
            )
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError("the host of the URL cannot be a host's name") from None
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        raise ValueError("the URL names no host")
    return host


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
        parts.scheme, _ascii_host(parts.hostname or ""), parts.port or _PORTS[parts.scheme]
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
