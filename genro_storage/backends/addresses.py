"""Addresses of servers as people write them: one check for all of them. Pure.

What is wrong is told without quoting the address: a password or a signature may stand in it.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["ascii_host", "checked_address", "has_zone", "split_address"]

# Parsers disagree about these, and what they disagree about is where the host ends.
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(
    r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?"
    r"|[0-9a-f:.]*:[0-9a-f:.]*(?:(?:%25|%(?!25))[A-Za-z0-9._~-]+)?"
)
#: What IDNA 2003 (as Python has it) and 2008 (as browsers do) turn into different names.
_TWO_WAYS = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
#: What stays as it is in a URL that somebody else wrote, percent signs included.
_WRITTEN = string.punctuation


def checked_address(
    value: str, *, example: str, secrets: str = "", assume: str = "", query: bool = False
) -> str:
    """The address in one spelling, without a slash at its end; raises as :func:`split_address`.

    >>> checked_address("HTTPS://Minio.Example.org:9000/", example="")
    'https://minio.example.org:9000'
    """
    parts = split_address(value, example=example, secrets=secrets, assume=assume, query=query)
    return parts.geturl() if query else parts.geturl().rstrip("/")


def split_address(
    value: str, *, example: str, secrets: str = "", assume: str = "", query: bool = False
) -> SplitResult:
    """The parts of an ``http`` or ``https`` URL, all of them ASCII; ``ValueError`` where it is none.

    ``example`` is what it may look like and ``secrets`` a clause that says where credentials
    belong, for the messages. ``assume`` is the scheme of an address without one, ``query``
    allows a query.
    """
    also = f"; {secrets}" if secrets else ""
    instance = f"; write for instance {example}"
    if _CONTROL.search(value):
        raise ValueError(
            "a URL has no spaces, backslashes or control characters; write them as %20 and so on"
        )
    try:
        parts = urlsplit(f"{assume}://{value}" if assume and "://" not in value else value)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is none, half an IPv6 address
        raise ValueError(f"this is no URL, its host or its port cannot be read{instance}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"this is no URL that begins with http:// or https://{instance}")
    if "@" in parts.netloc:
        raise ValueError(f"the URL holds credentials, which would be shown with it{also}")
    if "#" in value or ("?" in value and not query):
        raise ValueError(
            "the URL has a query or a fragment; there is no '?' and no '#' in an address (where "
            f"they belong to a name, write %3F or %23){also}"
        )
    if not host:
        raise ValueError(f"the URL names no host{instance}")
    host = ascii_host(host)
    if port == 0:
        raise ValueError(f"no server listens on port 0{instance}")
    if not {".", ".."}.isdisjoint(unquote(parts.path).split("/")):
        raise ValueError(
            "the path of the URL contains '..' or '.'; write where it leads to instead"
        )
    if ":" in host:
        # The interface by which a link-local address is reached stands after %25 (RFC 6874), which
        # some clients take for a part of its name; more of them know the percent sign alone.
        host = f"[{host.replace('%25', '%')}]"
    return parts._replace(
        # No spelling of a host is another one: by its address a server is known again.
        netloc=host if port is None else f"{host}:{port}",
        path=quote(parts.path, safe=_WRITTEN),
        query=quote(parts.query, safe=_WRITTEN),
    )


def has_zone(address: str | None) -> bool:
    """Whether it names the interface to reach it by, which obstore cannot do.

    >>> has_zone("http://[fe80::1%eth0]:9000"), has_zone("http://[::1]/%20")
    (True, False)
    """
    return "%" in urlsplit(address or "").netloc


def ascii_host(host: str) -> str:
    """A host as it goes over the wire; ``ValueError`` where it is none."""
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
    if not _HOST.fullmatch(host):
        raise ValueError("the URL names no host")
    return host
