"""What a WebDAV server answers to PROPFIND (RFC 4918, section 14), read without any trust.

A document type is refused, and with it every entity that could be expanded; nothing is fetched.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASKED", "Entry", "read_multistatus"]

_DAV = "DAV:}"

#: The body of every PROPFIND: what is used and nothing else, since some of what servers would
#: tell otherwise costs them time, and cannot be put into XML for every name (``displayname``).
ASKED = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/>'
    b"<getetag/><getcontenttype/></prop></propfind>"
)


@dataclass(slots=True)
class Entry:
    """One resource of a multistatus: its ``href`` as it came, a status, the properties found."""

    href: str = ""
    status: int | None = None
    collection: bool = False
    properties: dict[str, str] = field(default_factory=dict)


def read_multistatus(document: bytes) -> list[Entry]:
    """The resources that the document names, in its order.

    Raises ``OSError`` for what is no multistatus, and for one with a document type.

    >>> [found] = read_multistatus(b'<multistatus xmlns="DAV:"><response><href>/a</href>'
    ...     b'<propstat><prop><getetag>"1"</getetag></prop></propstat></response></multistatus>')
    >>> found.href, found.properties
    ('/a', {'getetag': '"1"'})
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError) as error:
        raise OSError(
            errno.EIO, f"the server's answer is no WebDAV multistatus: {error}"
        ) from error
    if not reader.is_multistatus:
        raise OSError(errno.EIO, "the server's answer is XML, but no WebDAV multistatus")
    return reader.entries


def _refuse_document_type(*_: object) -> None:
    raise ValueError("it has a document type, which no WebDAV server needs")


def _status(line: str) -> int | None:
    """The number in ``HTTP/1.1 200 OK``."""
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None


class _Reader:
    """Collects entries while the parser walks; unknown elements are passed by."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.is_multistatus: bool = False
        self._above: list[str] = []
        self._words: list[str] = []
        self._entry: Entry | None = None
        self._found: dict[str, str] = {}
        self._found_collection = False
        self._found_status: int | None = None

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        if not self._above:
            self.is_multistatus = name == f"{_DAV}multistatus"
        elif name == f"{_DAV}response" and self._entry is None:
            self._entry = Entry()
        elif name == f"{_DAV}propstat":
            self._found, self._found_collection, self._found_status = {}, False, None
        elif name == f"{_DAV}collection" and self._above[-1] == f"{_DAV}resourcetype":
            self._found_collection = True
        self._above.append(name)
        self._words = []

    def text(self, data: str) -> None:
        self._words.append(data)

    def end(self, name: str) -> None:
        self._above.pop()
        text = "".join(self._words).strip()
        self._words = []
        entry = self._entry
        if entry is None or not name.startswith(_DAV):
            return
        above = self._above[-1].removeprefix(_DAV)
        what = name.removeprefix(_DAV)
        if above == "prop":
            self._found[what] = text
        elif above == "propstat" and what == "status":
            self._found_status = _status(text)
        elif above == "response" and what == "href":
            entry.href = entry.href or text
        elif above == "response" and what == "status":
            entry.status = _status(text)
        elif what == "propstat":
            # The others tell which properties there are not.
            if self._found_status is None or 200 <= self._found_status < 300:
                entry.properties.update(self._found)
                entry.collection |= self._found_collection
        elif what == "response" and above == "multistatus":
            self.entries.append(entry)
            self._entry = None
