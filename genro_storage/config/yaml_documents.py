"""YAML, safely: no objects, no repeated keys, no document that grows when it is read.

Aliases can describe exponentially more data than the file holds ("billion laughs"), and so can
merge keys (``<<``). Both are counted on the graph of nodes before anything is built from it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

from .document_errors import EMPTY, DocumentError

__all__ = ["MAX_NODES", "compose_yaml", "parse_yaml"]

#: How many scalars, lists and mappings a document may have, aliases written out.
MAX_NODES = 1_000_000
#: The longest number or date, in characters: sexagesimal numbers cost the square of it.
MAX_SCALAR = 100


class _Saying(NamedTuple):
    """What both parsers (the one in C, the one in Python) say, and what it means to people."""

    pattern: str
    meaning: str
    #: Where something else than the indentation stands before it in its line.
    inside: str = ""
    #: Whether the place to look at is where the construct begins.
    at_begin: bool = False


# Words in braces: the line where the construct begins.
_SAYINGS = (
    _Saying(
        "flow sequence .*expected ',' or",
        "expected ',' or ']' here, in the list that '[' opens in line {begin}",
    ),
    _Saying(
        "flow mapping .*expected ',' or",
        "expected ',' or '}}' here, in the mapping that '{{' opens in line {begin}",
    ),
    _Saying(
        "mapping values are not allowed",
        "this key does not start in the column of the keys before it, or the line above lacks "
        "something (a ':', a closing quote)",
        inside="a second ':' in one line; a value that holds ': ' needs quotes",
    ),
    _Saying(
        "block collection",
        "expected '- ' here, as in line {begin} where the list begins; keys of one mount start in one "
        "column",
    ),
    _Saying(
        "block mapping",
        "expected a key here, as in line {begin} where the mapping begins",
        inside="the value has ended before; put the whole of it in quotes",
    ),
    _Saying(
        "could not find expected ':'",
        "expected ': ' (a colon and a space) after this key",
        at_begin=True,
    ),
    _Saying("sequence entries are not allowed", "a list begins on a line of its own, with '- '"),
    _Saying(
        "cannot start any token",
        "a value cannot begin with this character; put the value in quotes",
    ),
    _Saying("quoted scalar .*unexpected end", "these quotes are never closed", at_begin=True),
    _Saying(
        "unknown escape|escape sequence|scalar .*hexadecimal",
        "a backslash in double quotes begins an escape; double it, or use single quotes",
    ),
    _Saying(
        "undefined alias|scanning an (alias|anchor)",
        "'*' and '&' stand for aliases; put the value in quotes to mean text",
    ),
    _Saying(
        "constructor for the tag|(scanning|parsing) a tag|undefined tag",
        "'!' stands for a tag, and this one is unknown; put the value in quotes to mean text",
    ),
    _Saying("another document", "a second document begins here ('---'); the file must hold one"),
    _Saying(
        "scanning a block scalar",
        "what '|' or '>' announce begins on the next line; put the value in quotes to mean text",
    ),
    _Saying("unhashable key", "a list or a mapping cannot be a key"),
    _Saying("for merging", "'<<' needs a mapping"),
    _Saying("node content", "expected a value here"),
    _Saying("directive|document start", "'%' cannot begin a line; put it in quotes to mean text"),
)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:binary"}
_UNPRINTABLE = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def parse_yaml(text: str, max_depth: int) -> Any:
    """The document's data; raises ``DocumentError``."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is not None:
        line = text.count("\n", 0, unprintable.start()) + 1
        column = unprintable.start() - text.rfind("\n", 0, unprintable.start())
        raise DocumentError("invalid YAML: an unprintable character", line, column)
    problem: DocumentError
    try:
        _check_size(text, max_depth)
        return _build(text, max_depth)
    except yaml.MarkedYAMLError as error:
        problem = _problem(error, text)
    except yaml.YAMLError:
        problem = DocumentError("invalid YAML")
    except (ValueError, OverflowError):
        # A plain date or number that is none (2026-13-45), met by a constructor.
        problem = DocumentError(
            "invalid YAML: a number or date is out of range; quote it to mean text"
        )
    raise problem


def compose_yaml(text: str) -> Any:
    """The graph of nodes of a document that ``parse_yaml`` has read."""
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _check_size(text: str, max_depth: int) -> None:
    """Walk the parser's events, which takes no recursion, before any tree is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > max_depth:
                raise _at(event, f"lists and mappings are nested more than {max_depth} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if count > 2 * MAX_NODES:
            raise _at(event, f"the document has more than {MAX_NODES} values")


def _build(text: str, max_depth: int) -> Any:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise DocumentError(EMPTY)
        _Measure(max_depth).node(root, 0)
        return loader.construct_document(root)
    finally:
        loader.dispose()


class _Measure:
    """The size of the graph with its aliases written out; each node is visited once."""

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth
        self._known: dict[int, tuple[int, int]] = {}  # id -> size, height
        self._open: set[int] = set()

    def node(self, node: Any, depth: int) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            if node.tag not in _TEXT and len(node.value) > MAX_SCALAR:
                raise _at(node, "a number or date is too long; put it in quotes to mean text")
            return 1, 0
        key = id(node)
        if key in self._open:
            raise _at(node, "an alias (*) stands inside what it refers to")
        measured = self._known.get(key)
        if measured is None:
            self._open.add(key)
            measured = self._collection(node, depth)
            self._open.discard(key)
            self._known[key] = measured
        if depth + measured[1] > self._max_depth:
            raise _at(node, f"lists and mappings are nested more than {self._max_depth} deep")
        return measured

    def _collection(self, node: Any, depth: int) -> tuple[int, int]:
        children = node.value
        if isinstance(node, yaml.MappingNode):
            _check_unique(node)
            children = [part for pair in node.value for part in pair]
        size, height = 1, 0
        for child in children:
            child_size, child_height = self.node(child, depth + 1)
            size += child_size
            height = max(height, child_height)
            if size > MAX_NODES:
                raise _at(
                    node,
                    f"the document has more than {MAX_NODES} values once its aliases (*) "
                    "are written out",
                )
        return size, height + 1


def _check_unique(node: Any) -> None:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        identity = (key.tag, key.value)
        if identity in seen:
            raise _at(key, f"the key {key.value[:80]!r} is given twice in one mapping")
        seen.add(identity)


def _at(place: Any, text: str) -> DocumentError:
    mark = place.start_mark
    return DocumentError(text, mark.line + 1, mark.column + 1)


def _problem(error: yaml.MarkedYAMLError, text: str) -> DocumentError:
    """What the parser found, in words of people who write such files, and where to look."""
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    begin = error.context_mark
    mark = error.problem_mark or begin
    # What stands in quotes may be the file's own text (a tag, an alias, a character): only
    # punctuation and the parser's names for tokens ('<block end>') are kept.
    meaning = re.sub(r"'(?![-,:?\]}]'|<[a-z ]+>')[^']*'|\"[^\"]*\"", "something", said)
    for saying in _SAYINGS:
        if re.search(saying.pattern, said):
            mark = begin if saying.at_begin and begin is not None else mark
            inside = saying.inside and mark is not None and not _is_first(text, mark)
            meaning = saying.inside if inside else saying.meaning
            meaning = meaning.format(begin=begin.line + 1 if begin is not None else "?")
            break
    if mark is None:
        return DocumentError(f"invalid YAML: {meaning}")
    if _line(text, mark)[mark.column : mark.column + 1] == "\t":
        meaning = "a tab where only spaces may be; indent with spaces"
    return DocumentError(f"invalid YAML: {meaning}", mark.line + 1, mark.column + 1)


def _is_first(text: str, mark: Any) -> bool:
    """Whether the key at the mark, or the colon behind it, is what its line begins with."""
    before = _line(text, mark)[: mark.column]
    return re.fullmatch(r"""\s*(?:-\s+)*(?:["']?[\w.-]+["']?\s*)?""", before) is not None


def _line(text: str, mark: Any) -> str:
    lines = text.split("\n")
    return lines[mark.line] if mark.line < len(lines) else ""
