"""User metadata as HTTP headers can carry it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...info import Attributes, Checksum
from ..object_stores.header_text import decoded, encoded
from ..object_stores.kept import kept_checksum, kept_metadata, kept_mtime, shown
from ..object_stores.verifying import Known

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MOST_METADATA",
    "as_headers",
    "as_metadata",
    "attributes_of",
    "is_md5",
    "is_plain",
    "kept_facts",
    "known_of",
    "length_of",
    "with_md5",
]

_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)
# RFC 9110 §5.6.2, a token; in lower case, as S3 returns it.
_KEY = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)

#: Bytes of the names and values of metadata that S3 takes.
MOST_METADATA = 2048

#: What belongs to an object beside its content, and a copy with new metadata would lose.
_FACTS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "WebsiteRedirectLocation",
    "StorageClass",
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "BucketKeyEnabled",
)


def as_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Keys in lower case, and values that are not plain ASCII as RFC 2047 has it.

    Raises ``ValueError`` for a key that no header can have, and for two that are one.

    >>> as_headers({"Colour": "blue", "town": "Köln"})
    {'colour': 'blue', 'town': '=?utf-8?b?S8O2bG4=?='}
    """
    found: dict[str, str] = {}
    for key, value in metadata.items():
        lower = key.lower()
        if not _KEY.fullmatch(lower):
            raise ValueError(
                f"the metadata key {key!r} cannot be kept: use letters, digits, '-' and '_'"
            )
        if lower in found:
            raise ValueError(f"two metadata keys differ only in case: {lower!r}")
        found[lower] = encoded(value)
    return found


def as_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """The inverse of ``as_headers``, also for what other programs have written.

    >>> as_metadata({"Town": "=?utf-8?b?S8O2bG4=?="})
    {'town': 'Köln'}
    """
    return {key.lower(): decoded(value) for key, value in headers.items()}


def attributes_of(answer: Mapping[str, Any]) -> Attributes:
    """What a copy takes along of what the answer to a GET or HEAD says.

    >>> attributes_of({"ContentType": "text/plain", "Metadata": {"mtime": "7.5"}}).mtime
    7.5
    """
    metadata = as_metadata(answer.get("Metadata") or {})
    content_type: str | None = answer.get("ContentType")
    return Attributes(kept_mtime(metadata), None, content_type, shown(metadata), offered=True)


def kept_facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a HEAD said that a copy must be told again."""
    return {name: answer[name] for name in _FACTS if answer.get(name) is not None}


def is_md5(etag: str) -> bool:
    """Whether an ETag, without quotes, has the form of an MD5; those of multipart uploads have not."""
    return _MD5.fullmatch(etag) is not None


def is_plain(answer: Mapping[str, Any]) -> bool:
    """Whether an answer shows no encryption under which an ETag is no MD5."""
    return (
        not answer.get("EncryptionUntold")
        and answer.get("ServerSideEncryption") in (None, "AES256")
        and answer.get("SSECustomerAlgorithm") is None
    )


def known_of(answer: Mapping[str, Any], *, express: bool = False, believes: bool = True) -> Known:
    """What the answer to a GET or HEAD says of the whole object.

    ``express``: a directory bucket, whose ETags are of another kind. ``believes``: whether an MD5
    counts that is among the metadata.

    >>> known_of({"ETag": '"900150983cd24fb0d6963f7d28e17f72"'}).checksum.algorithm
    'md5'
    """
    metadata: Mapping[str, str] = answer.get("Metadata") or {}
    etag = str(answer.get("ETag") or "").strip('"')
    checksum: Checksum | None
    if not express and is_plain(answer) and is_md5(etag):
        checksum, is_kept = Checksum("md5", etag), False
    else:
        checksum = kept_checksum(metadata, _size(answer)) if believes else None
        is_kept = checksum is not None
    told = attributes_of(answer)
    return Known(
        checksum,
        told.mtime,
        is_kept=is_kept,
        content_type=told.content_type,
        metadata=told.metadata,
    )


def _size(answer: Mapping[str, Any]) -> int | None:
    """How large the whole is of which this may be a part."""
    _, slash, total = str(answer.get("ContentRange") or "").rpartition("/")
    if slash:
        return int(total) if total.isdecimal() else None
    length = answer.get("ContentLength")
    return None if length is None else int(length)


def length_of(metadata: Mapping[str, str]) -> int:
    """Bytes of all names and values, of which S3 takes ``MOST_METADATA``."""
    return sum(len(each.encode()) for pair in metadata.items() for each in pair)


def with_md5(options: Mapping[str, Any], digest: bytes, size: int) -> dict[str, Any]:
    """The parameters of an upload that keep the MD5 of its content, and whose it is, too.

    As far as a user's own metadata leave room: S3 takes 2 KB of names and values.
    """
    found: dict[str, str] = dict(options.get("Metadata", {}))
    used = length_of(found)
    for name, value in kept_metadata(digest, size).items():
        used += len(name) + len(value)
        if used > MOST_METADATA:
            break  # the size alone would be of no use
        found[name] = value
    return {**options, "Metadata": found} if found else dict(options)
