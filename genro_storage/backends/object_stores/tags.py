"""Tags of objects: what the services that have some agree upon, and what a client does for them."""

from __future__ import annotations

import string
import unicodedata
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TagClient", "checked_tags"]

_MOST = 10
_LONGEST_KEY = 128
_LONGEST_VALUE = 256
_SIGNS = frozenset("+-=._:/@")
#: What Azure takes: of the letters and digits those of ASCII, and no "@".
_PLAIN = frozenset(string.ascii_letters + string.digits + " +-=._:/")


class TagClient(Protocol):
    """The requests about the tags of one service; ``FileNotFoundError`` where nothing has them."""

    def get_tags(self, key: str, version: str | None = None) -> dict[str, str]:
        """The tags of an object, or of one of its versions."""
        ...

    def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace them all; none are left where none are given."""
        ...


def checked_tags(tags: Mapping[str, str], *, plain: bool = False) -> dict[str, str]:
    """The same; ``ValueError`` for what S3 would not keep, with ``plain`` for what Azure would not.

    The service's own refusal names no tag, and comes after the content was sent.

    >>> checked_tags({"": "a"})
    Traceback (most recent call last):
      ...
    ValueError: the key of a tag has 1 to 128 characters, not 0
    """
    if len(tags) > _MOST:
        raise ValueError(f"an object has at most {_MOST} tags, not {len(tags)}")
    for key, value in tags.items():
        if not 1 <= len(key) <= _LONGEST_KEY:
            raise ValueError(f"the key of a tag has 1 to {_LONGEST_KEY} characters, not {len(key)}")
        if len(value) > _LONGEST_VALUE:
            raise ValueError(
                f"the value of a tag has at most {_LONGEST_VALUE} characters; that of {key!r} has "
                f"{len(value)}"
            )
        for what, text in (("key", key), ("value", value)):
            wrong = next((each for each in text if not _is_allowed(each, plain=plain)), None)
            if wrong is not None:
                letters = "letters (a-z, A-Z), digits" if plain else "letters, digits"
                signs = "+ - = . _ : /" if plain else "+ - = . _ : / @"
                raise ValueError(
                    f"the {what} of the tag {key!r} has the character {wrong!a}; tags have only "
                    f"{letters}, spaces and {signs}"
                )
    return dict(tags)


def _is_allowed(character: str, *, plain: bool) -> bool:
    if plain:
        return character in _PLAIN
    # Letters, numbers and spaces in Unicode's sense, as S3 has it.
    return character in _SIGNS or unicodedata.category(character)[0] in "LNZ"
