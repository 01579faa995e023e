"""In which line of a configuration file a problem is. Pure; of the text, only numbers come out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Lines"]

# What stands before the name of a key where a sentence is about one; any other word behind them is
# no key of the mapping in question.
_KEY = re.compile(r"\b(?:option|by|Invalid|storage|the) '?([\w$-]+)")


class Lines:
    """Where keys stand in a text, found out when it is first asked for.

    ``compose`` gives the graph of a YAML document; without it no line is known.
    """

    def __init__(self, text: str = "", compose: Callable[[str], Any] | None = None) -> None:
        self._text = text
        self._compose = compose
        self._root: Any = None

    def locate(self, problem: str, index: int | None = None) -> str:
        """The problem behind ``line 3: ``: of the key that it is about, else where its mount begins.

        ``index`` is the place of the mount in the list, None for what is no mount's.
        """
        node = self._node(index)
        if node is None:
            return problem
        keys = _keys(node)
        for found in _KEY.finditer(problem):
            if found[1] in keys:
                return f"line {keys[found[1]]}: {problem}"
        return problem if index is None else f"line {node.start_mark.line + 1}: {problem}"

    def _node(self, index: int | None) -> Any:
        if self._compose is None:
            return None
        if self._root is None:
            self._root = self._compose(self._text)
        node = self._root
        if index is None:
            return node
        if isinstance(node.value, list) and node.id == "mapping":
            node = next((value for key, value in node.value if key.value == "mounts"), node)
        if node.id == "sequence" and index < len(node.value):
            return node.value[index]
        return None


def _keys(node: Any) -> dict[str, int]:
    """The keys of a mapping with their lines."""
    if node.id != "mapping":
        return {}
    return {
        key.value: key.start_mark.line + 1 for key, _ in node.value if isinstance(key.value, str)
    }
