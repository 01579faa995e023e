"""Tags of objects: what the services that have some agree upon, and what a client does for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TagClient", "checked_tags"]

_MOST = 10
_LONGEST_KEY = 128
_LONGEST_VALUE = 256


class TagClient(Protocol):
    """The requests about the tags of one service; ``FileNotFoundError`` where nothing has them."""

    def get_tags(self, key: str, version: str | None = None) -> dict[str, str]:
        """The tags of an object, or of one of its versions."""
        ...

    def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace them all; none are left where none are given."""
        ...


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The same; ``ValueError`` for what neither S3 nor Azure would keep.

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
    return dict(tags)
