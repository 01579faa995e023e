"""User metadata as Google Cloud Storage can hold them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["encode_metadata"]

_KEY = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)


def encode_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Any text as it is, under keys that headers can have, in which they come too.

    >>> encode_metadata({"town": "Köln"})
    {'town': 'Köln'}
    """
    for key, value in metadata.items():
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"the metadata key {key!r} cannot be kept: use letters, digits, '-' and '_'"
            )
        if "\r" in value or "\n" in value or "\x00" in value:
            raise ValueError(f"the metadata value of {key!r} must be one line of text")
    return dict(metadata)
