"""User metadata as Azure Blob Storage can hold them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..object_stores.header_text import decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FOLDER", "decode_metadata", "encode_metadata"]

# The service wants identifiers of C#, of which these are those in ASCII.
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: What accounts with a hierarchical namespace keep there for directories.
FOLDER = "hdi_isfolder"


def encode_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Values that are not plain ASCII as RFC 2047 has it; keys as they are.

    Raises ``ValueError`` for a key that is no identifier, and for two that differ in case only.

    >>> encode_metadata({"Town": "Köln"})
    {'Town': '=?utf-8?b?S8O2bG4=?='}
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or key.lower() == FOLDER:
            raise ValueError(
                f"the metadata key {key!r} cannot be kept: Azure takes letters, digits and '_', "
                "the first no digit"
            )
        if key.lower() in seen:
            raise ValueError(f"two metadata keys differ only in case: {key.lower()!r}")
        seen.add(key.lower())
        found[key] = encoded(value)
    return found


def decode_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """The inverse.

    >>> decode_metadata({"Town": "=?utf-8?b?S8O2bG4=?="})
    {'Town': 'Köln'}
    """
    return {key: decoded(value) for key, value in (metadata or {}).items() if key.lower() != FOLDER}
