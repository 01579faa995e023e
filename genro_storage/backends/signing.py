"""What the signed URLs of all stores have in common: how long, which headers, which texts. Pure."""

from __future__ import annotations

import re
import sys
import unicodedata
from datetime import UTC, datetime, timedelta
from email.utils import encode_rfc2231, quote
from typing import TYPE_CHECKING

from ..info import Checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LONGEST_URL",
    "checked_header",
    "checked_seconds",
    "checked_type",
    "content_disposition",
    "ending",
    "plain_metadata",
    "wire_digest",
]

#: Seconds that a signature of S3 or Google may be good for.
LONGEST_URL = 7 * 24 * 3600

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# RFC 9110 §8.3.1: a type, a subtype, and maybe parameters.
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TYPE = re.compile(rf"{_WORD}/{_WORD}([ ]*;[ ]*{_WORD}=({_WORD}|\"[ !#-\[\]-~]*\"))*", re.ASCII)
_KIND = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.+-]*/)?\*", re.ASCII)
_KEY = re.compile(r"[a-z0-9-]+", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)
_SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "crc32": 4, "crc32c": 4, "crc64nvme": 8}


def checked_seconds(seconds: object, longest: int | None = LONGEST_URL) -> int:
    """How long a signature is good for; ``ValueError`` where a service allows no such time."""
    bound = "a positive number of" if longest is None else f"1 to {longest}"
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 1 <= seconds <= (sys.float_info.max if longest is None else longest)
    ):
        raise ValueError(f"expires_in is {seconds!r}; a signature is good for {bound} seconds")
    return int(seconds)


def ending(seconds: int, credentials_end: datetime | None = None) -> datetime:
    """When a signature of now ends: no later than the credentials that made it."""
    try:
        found = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("expires_in is beyond the end of all calendars") from None
    return found if credentials_end is None else min(found, credentials_end.astimezone(UTC))


def checked_header(what: str, value: object) -> str:
    """A text that becomes part of a header; ``ValueError`` where it would begin another one."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be a text, and not empty")
    if _CONTROL.search(value):
        raise ValueError(f"{what} must not contain line breaks or control characters")
    return value


def checked_type(value: str, *, prefix: bool = False) -> str:
    """A media type; with ``prefix`` maybe ``image/*``, or ``*`` for all of them."""
    checked_header("content_type", value)
    if prefix and _KIND.fullmatch(value):
        return value
    if "*" in value or not _TYPE.fullmatch(value):
        more = " or image/*" if prefix else ""
        raise ValueError(f"content_type must be a media type such as image/png{more}")
    return value


def content_disposition(name: str) -> str:
    r"""The header that makes a browser save a download under this name (RFC 6266, RFC 8187).

    Clients that know no RFC 8187 get a name of ASCII characters beside the real one.

    >>> content_disposition('report.pdf')
    'attachment; filename="report.pdf"'
    >>> content_disposition('für alle.txt')
    'attachment; filename="fur alle.txt"; filename*=UTF-8\'\'f%C3%BCr%20alle.txt'
    """
    checked_header("download_name", name)
    if "/" in name or "\\" in name:
        raise ValueError("download_name must be the name of a file, without '/' and '\\'")
    bare = unicodedata.normalize("NFKD", name)
    letters = "".join(each for each in bare if not unicodedata.combining(each))
    # Some browsers decode what looks percent-encoded.
    simple = re.sub(r"[^ -~]|[%/\\]", "_", letters)
    found = f'attachment; filename="{quote(simple)}"'
    return found if simple == name else f"{found}; filename*={encode_rfc2231(name, 'UTF-8')}"


def wire_digest(checksum: Checksum) -> bytes:
    """The bytes of a checksum, which headers hold in base64; ``ValueError`` for one that is none."""
    given: object = checksum
    if not (isinstance(given, Checksum) and _are_texts(given)):
        raise ValueError("checksum must be a Checksum, such as Checksum('md5', hexdigest)")
    size = _SIZES.get(checksum.algorithm)
    if size is None:
        raise ValueError(
            f"checksum: {checksum.algorithm!r} is no algorithm of a store; "
            f"there are {', '.join(_SIZES)}"
        )
    try:
        found = bytes.fromhex(checksum.hexdigest)
    except ValueError:
        found = b""
    if len(found) != size:
        raise ValueError(f"checksum: a {checksum.algorithm} has {2 * size} hexadecimal digits")
    return found


def plain_metadata(metadata: Mapping[str, str], *, identifiers: bool = False) -> dict[str, str]:
    """User metadata as headers can carry it, its keys in lower case; ``ValueError`` otherwise."""
    found: dict[str, str] = {}
    pattern, rule = (
        (_IDENTIFIER, "letters, digits and '_'")
        if identifiers
        else (_KEY, "letters, digits and '-'")
    )
    for key, value in metadata.items():
        lower = key.lower()
        if not pattern.fullmatch(lower):
            raise ValueError(f"the metadata key {key!r} cannot be sent by a client: use {rule}")
        if lower in found:
            raise ValueError(f"two metadata keys differ only in case: {lower!r}")
        if not _PLAIN.fullmatch(value):
            raise ValueError(
                f"the metadata value of {key!r} cannot be sent by a client: it must be printable "
                "ASCII, without spaces at its ends"
            )
        found[lower] = value
    return found


def _are_texts(values: tuple[object, ...]) -> bool:
    return all(isinstance(each, str) for each in values)
