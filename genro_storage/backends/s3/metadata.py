"""User metadata as HTTP headers can carry it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..object_stores.header_text import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["as_headers", "as_metadata", "kept_facts"]

# RFC 9110 §5.6.2, a token; in lower case, as S3 returns it.
_KEY = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)

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


def kept_facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a HEAD said that a copy must be told again."""
    return {name: answer[name] for name in _FACTS if answer.get(name) is not None}
