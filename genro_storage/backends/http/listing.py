"""Directory pages of web servers: who made them, and what entries they show. Pure.

Pages in HTML are for people: sizes are rounded, times have minutes and no zone, names are cut
off. What is taken from them is where their links lead. Pages in JSON (nginx, Caddy) tell all.
"""

from __future__ import annotations

import codecs
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ..fsspec_info import moment
from .urls import link_path

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Entry", "NoListingError", "read_listing"]

# What the titles of nginx, apache, lighttpd, python, rclone, Jetty, Tomcat … have in common.
_TITLE = re.compile(
    r"\b(?:index of|directory listing|listing of|directory of|directory:)", re.IGNORECASE
)
#: So much of a title is enough to know it, and to show it.
_TITLE_LENGTH = 200


class Entry(NamedTuple):
    """One entry; ``is_whole`` says that size and time are exact and need no further look."""

    name: str
    type: str
    size: int | None = None
    mtime: float | None = None
    is_whole: bool = False


class NoListingError(OSError):
    """What the server shows at a directory is no list of its entries."""


def read_listing(
    url: str, content_type: str, chunks: Iterable[bytes], *, any_page: bool = False
) -> list[Entry]:
    """The entries of a page; ``NoListingError`` with its reason where it is no listing.

    ``url`` is where the page came from. ``any_page`` takes every page's links for entries.
    """
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return _from_json(b"".join(chunks))
    if kind not in ("text/html", "application/xhtml+xml"):
        raise NoListingError(f"it is of the type {kind or 'unknown'!r}")
    page = _Page(url)
    decoder = codecs.getincrementaldecoder(_charset(parameters))("surrogateescape")
    for chunk in chunks:
        page.feed(decoder.decode(chunk))
    # Not closed: what is incomplete is no entry, and looking for its end from every "<" of it takes
    # hours where a page is made for that.
    page.feed(decoder.decode(b"", final=True))
    if not any_page and not page.is_listing:
        title = " ".join(page.title.split())
        raise NoListingError(f"it is a page of its own, called {title!r}")
    return list(page.entries.values())


def _charset(parameters: str) -> str:
    found = re.search(r"charset\s*=\s*\"?([\w.:-]+)", parameters, re.IGNORECASE)
    try:
        # An encoding that is no superset of ASCII would hide the tags themselves.
        if found and codecs.lookup(found[1]).name in ("ascii", "iso8859-1", "cp1252", "utf-8"):
            return codecs.lookup(found[1]).name
    except LookupError:
        pass
    return "utf-8"


class _Page(HTMLParser):
    """Collects the links that lead to children, and what the page calls itself."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.entries: dict[str, Entry] = {}
        self.title: str = ""
        self._url = url
        self._heads: dict[str, str] = {}
        self._within: str | None = None
        self._seen: set[str] = set()

    @property
    def is_listing(self) -> bool:
        """By its title or heading; Go's own server gives neither, only a list."""
        if any(_TITLE.search(text) for text in self._heads.values()):
            return True
        # rclone and darkhttpd call the page by its path.
        title = self.title.strip()
        path = unquote(urlsplit(self._url).path, errors="surrogateescape")
        if title.startswith("/") and title.strip("/") == path.strip("/"):
            return True
        return "pre" in self._seen and not self._seen & {"title", "h1", "body", "div", "script"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._seen.add(tag)
        if tag in ("title", "h1"):
            self._within = tag
        if tag != "a":
            return
        reference = next((value for name, value in attrs if name == "href"), None)
        found = link_path(self._url, reference) if reference else None
        if found is None:
            return
        name, directory = found
        if directory or name not in self.entries:
            self.entries[name] = Entry(name, "directory" if directory else "file")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is None:
            return
        text = (self._heads.get(self._within, "") + data)[:_TITLE_LENGTH]
        self._heads[self._within] = text
        self.title = self._heads.get("title") or self._heads.get("h1", "")


def _from_json(data: bytes) -> list[Entry]:
    try:
        found = json.loads(data.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        raise NoListingError("it is JSON that cannot be read") from None
    if not isinstance(found, list):
        raise NoListingError("it is JSON, but not a list of entries")
    return [_from_object(each) for each in found]


def _from_object(found: Any) -> Entry:
    """What nginx calls ``type`` and ``mtime``, Caddy calls ``is_dir`` and ``mod_time``."""
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise NoListingError("it is JSON, but not a list of entries")
    name = found["name"]
    kind = found.get("type")
    if found.get("is_dir") is True or name.endswith("/"):
        kind = "directory"
    elif kind is None and "is_dir" in found:
        kind = "file"
    if kind not in ("file", "directory", "other"):
        raise NoListingError("it is JSON, but not a list of entries")
    size, mtime = found.get("size"), moment(found.get("mtime", found.get("mod_time")))
    if not isinstance(size, int) or isinstance(size, bool) or kind != "file":
        size = None
    if mtime is not None:
        # What a look tells comes from a header, which has whole seconds.
        mtime = float(int(mtime))
    is_link = found.get("is_symlink") is True
    is_whole = kind != "file" or (size is not None and mtime is not None and not is_link)
    return Entry(name.rstrip("/"), kind, size, mtime, is_whole)
