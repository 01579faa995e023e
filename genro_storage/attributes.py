"""What a caller may ask to be kept with a file: the checks that are the same on every mount."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from .exceptions import StorageValueError
from .info import Attributes, WriteOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_attributes", "is_header", "parse_write_options"]

#: The attributes that are headers of HTTP.
_HEADERS = (
    "content_type",
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
)
#: Seconds beyond which no storage and no calendar has a time: some 30,000 years.
_ETERNITY = 1e12
_TEXTS = (*_HEADERS, "storage_class", "encryption")
_KEYWORDS = (*WriteOptions.__annotations__, "encoding", "skip_if_unchanged")
# RFC 9110 §5.5: visible characters, with spaces and tabs inside only.
_HEADER = re.compile(r"[!-~]([ -~\t]*[!-~])?", re.ASCII)


def is_header(text: str) -> bool:
    """Whether it can be the value of a header as it is: plain ASCII, without ends of lines."""
    return _HEADER.fullmatch(text) is not None


def check_attributes(attributes: Attributes) -> None:
    r"""``ValueError`` for what no storage could keep.

    >>> check_attributes(Attributes(content_type="text/plain\r\nX: y"))
    Traceback (most recent call last):
      ...
    ValueError: content_type has characters that no header can carry
    """
    for name in _TEXTS:
        value: Any = getattr(attributes, name)
        if value is not None and not (isinstance(value, str) and is_header(value)):
            more = (
                "; write a name that is not ASCII as filename*=UTF-8''…, percent-encoded (RFC 8187)"
                if name == "content_disposition"
                else ""
            )
            raise ValueError(f"{name} has characters that no header can carry{more}")
    for name in ("metadata", "tags"):
        pairs: Any = getattr(attributes, name)
        if pairs is None:
            continue
        if not hasattr(pairs, "items") or not all(
            isinstance(text, str) for pair in pairs.items() for text in pair
        ):
            raise ValueError(f"{name} must be a dict of str to str")
    mtime: Any = attributes.mtime
    if mtime is not None and (
        isinstance(mtime, bool)
        or not isinstance(mtime, int | float)
        or not -_ETERNITY < mtime < _ETERNITY  # false for what is not a number, too
    ):
        raise ValueError("mtime must be a number of seconds since the epoch")


def suggested(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Each of the unknown keywords, with the known one that may be meant.

    >>> suggested(["exlude", "x"], ["exclude", "include"])
    "'exlude'; did you mean 'exclude'?, 'x'"
    """
    known = list(known)
    named: list[str] = []
    for name in sorted(unknown):
        near = difflib.get_close_matches(name[:80], known, n=1)
        named.append(f"{name!r}; did you mean {near[0]!r}?" if near else repr(name))
    return ", ".join(named)


def parse_write_options(
    options: WriteOptions, node: str
) -> tuple[Attributes | None, bool, str | None]:
    """The attributes, ``if_absent`` and ``if_match`` of a call that writes.

    ``StorageValueError`` for both conditions at once, ``TypeError`` for an unknown keyword, with the
    one that may be meant.
    """
    given: dict[str, Any] = dict(options)
    if_absent, if_match = bool(given.pop("if_absent", False)), given.pop("if_match", None)
    unknown = given.keys() - set(Attributes._fields) | given.keys() & {"offered", "mode"}
    if unknown:
        raise TypeError(f"{node}: unknown keyword of a write: {suggested(unknown, _KEYWORDS)}")
    if if_match is not None and not (isinstance(if_match, str) and is_header(if_match)):
        raise StorageValueError(
            f"{node}: if_match must be an ETag, as descriptor().etag says it; where there is "
            "none yet, if_absent=True is meant",
            node=node,
        )
    if if_absent and if_match is not None:
        raise StorageValueError(
            f"{node}: if_absent and if_match contradict each other; keep one", node=node
        )
    attributes = Attributes(**given)
    return attributes if attributes.given else None, if_absent, if_match
