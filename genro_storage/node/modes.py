"""Modes of ``open``, read strictly."""

from __future__ import annotations

from typing import NamedTuple

from ..exceptions import StorageValueError

__all__ = ["OpenMode", "parse_mode"]


class OpenMode(NamedTuple):
    """``action`` is one of ``r w a x``; ``update`` is the ``+``."""

    action: str
    update: bool
    binary: bool

    @property
    def writes(self) -> bool:
        """Whether the mode can change the file."""
        return self.update or self.action != "r"


def parse_mode(mode: str, node: str) -> OpenMode:
    """Take a mode apart as the builtin ``open`` does.

    >>> parse_mode("r+b", "m:a")
    OpenMode(action='r', update=True, binary=True)
    """
    letters = set(mode)
    actions = letters & set("rwax")
    if (
        len(actions) != 1
        or len(letters) != len(mode)
        or letters - set("rwaxbt+")
        or letters >= {"b", "t"}
    ):
        raise StorageValueError(
            f"{node}: invalid mode {mode!r}; one of 'r', 'w', 'a', 'x', with 'b' for bytes and "
            "'+' for updating",
            node=node,
        )
    return OpenMode(actions.pop(), "+" in letters, "b" in letters)
