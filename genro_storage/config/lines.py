"""In which line of a configuration file a problem is. Pure; of the text, only numbers come out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

    def at(self, where: Sequence[str | int], problem: str) -> str:
        """The problem behind the line of a place in the document: keys, and positions in lists."""
        node, line = self._root_node(), None
        for part in where:
            found = None if node is None else _step(node, part)
            if found is None:
                break  # behind a merged mapping, say
            node, line = found
        return problem if line is None else f"line {line}: {problem}"

    def _node(self, index: int | None) -> Any:
        node = self._root_node()
        if node is None or index is None:
            return node
        if isinstance(node.value, list) and node.id == "mapping":
            node = next((value for key, value in node.value if key.value == "mounts"), node)
        if node.id == "sequence" and index < len(node.value):
            return node.value[index]
        return None

    def _root_node(self) -> Any:
        if self._compose is not None and self._root is None:
            self._root = self._compose(self._text)
        return self._root


def _step(node: Any, part: str | int) -> tuple[Any, int] | None:
    """What is at a key or position of a node, and its line; None where nothing is."""
    if node.id == "mapping":
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line + 1
    elif node.id == "sequence" and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line + 1
    return None


def _keys(node: Any) -> dict[str, int]:
    """The keys of a mapping with their lines."""
    if node.id != "mapping":
        return {}
    return {
        key.value: key.start_mark.line + 1 for key, _ in node.value if isinstance(key.value, str)
    }
