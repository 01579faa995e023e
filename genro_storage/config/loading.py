"""A YAML, JSON or TOML file becomes plain data, in bounded time and memory.

No error shows any of the file's content besides the names of keys that configurations have: it may
hold secrets. For the same reason a parser's own exception, which carries the content, is never chained to ours.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from typing import TYPE_CHECKING, Any

from ..exceptions import StorageConfigError, translate
from .document_errors import EMPTY, DocumentError
from .environment import interpolate_all
from .lines import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .environment import Unfilled

__all__ = ["MAX_BYTES", "MAX_DEPTH", "SUFFIXES", "parse_text", "read_document", "read_lines"]

#: The largest configuration file, in bytes.
MAX_BYTES = 32 * 1024 * 1024
#: How deep lists and mappings may be nested.
MAX_DEPTH = 64


def read_document(path: Path, environ: Mapping[str, str] | None = None) -> Any:
    """The file's data with its ``${VAR}`` replaced (``environ``: by default this process's).

    Raises ``StorageConfigError`` where the suffix is unknown, the syntax wrong, or the file
    empty, ``StorageNotFoundError`` where it is missing, and what ``translate`` gives otherwise.
    """
    data, _, unfilled = read_lines(path, environ)
    if unfilled:
        raise StorageConfigError(f"{path}: {unfilled[0].problem}")
    return data


def read_lines(
    path: Path, environ: Mapping[str, str] | None = None
) -> tuple[Any, Lines, list[Unfilled]]:
    """As ``read_document``; in which lines its keys stand, as far as its format tells; and variables.

    Those are the ones that could not be replaced, which is no error here, so that all that is wrong
    with a file can be told at once.
    """
    label = str(path)
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise StorageConfigError(
            f"{label}: a configuration file ends in {', '.join(SUFFIXES)}", node=label
        )
    problem: DocumentError
    text = ""
    try:
        text = _decode(_read(path))
        document = parse(text)
    except DocumentError as error:
        problem = error
    else:
        variables = os.environ if environ is None else environ
        data, unfilled = interpolate_all(document, variables, label=label)
        return data, Lines(text, _compose_yaml if parse is _parse_yaml else None), unfilled
    raise StorageConfigError(f"{label}: {problem}{_shown(text, problem)}", node=label)


def _shown(text: str, problem: DocumentError) -> str:
    """The line that a problem is about, without its values."""
    if problem.line is None or problem.column is None:
        return ""
    from .excerpts import excerpt
    from .model import known_keys

    return f"\n{excerpt(text, problem.line, problem.column, known_keys())}"


def parse_text(text: str, suffix: str) -> Any:
    """Parse ``text`` as files with ``suffix`` are parsed; raises ``DocumentError``."""
    return _PARSERS[suffix](text)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            # One more than allowed, so that no device or growing file is read for ever.
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise translate(error, node=str(path), action="reading the configuration") from error
    if len(content) > MAX_BYTES:
        raise DocumentError(f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return content


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = error.start
    else:
        if text.strip():
            return text
        raise DocumentError(EMPTY)
    line = content.count(b"\n", 0, position) + 1
    raise DocumentError("the text is not valid UTF-8; save the file as UTF-8", line)


def _parse_yaml(text: str) -> Any:
    from .yaml_documents import parse_yaml

    return parse_yaml(text, MAX_DEPTH)


def _compose_yaml(text: str) -> Any:
    from .yaml_documents import compose_yaml

    return compose_yaml(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise DocumentError(f"the key {key[:80]!r} is given twice in one mapping")
        result[key] = value
    return result


def _no_constant(name: str) -> Any:
    raise DocumentError(f"{name} is not JSON")


def _parse_json(text: str) -> Any:
    problem: DocumentError
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # The parser's messages are fixed sentences; what it quotes is its own punctuation.
        problem = DocumentError(f"invalid JSON: {error.msg}", error.lineno, error.colno)
    except RecursionError:
        problem = _too_deep()
    except ValueError:
        # The only other one: an integer longer than Python converts.
        problem = DocumentError("invalid JSON: a number has too many digits")
    else:
        _check_depth(document)
        return document
    raise problem


# tomllib's time grows with the square of a dotted key's length, so such keys never reach it.
_LONG_DOTTED_KEY = re.compile(
    r"""(?<![\w"'.\\-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}"""
)
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def _parse_toml(text: str) -> Any:
    if _LONG_DOTTED_KEY.search(text):
        raise _too_deep()
    problem: DocumentError
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = _toml_problem(str(error), text)
    except RecursionError:
        problem = _too_deep()
    except ValueError:
        # An integer longer than Python converts, or a date that is none.
        problem = DocumentError("invalid TOML: a number or a date is out of range")
    else:
        _check_depth(document)
        return document
    raise problem


def _toml_problem(message: str, text: str) -> DocumentError:
    place = _TOML_PLACE.search(message)
    if place is None:
        return DocumentError("invalid TOML")
    reason = message[: place.start()]
    if place[1]:
        return DocumentError(f"invalid TOML: {reason}", int(place[1]), int(place[2]))
    return DocumentError(f"invalid TOML: {reason} at the end of the file", text.count("\n") + 1)


def _too_deep() -> DocumentError:
    return DocumentError(f"lists and mappings are nested more than {MAX_DEPTH} deep")


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            if isinstance(value, (dict, list))
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    if any(isinstance(value, (dict, list)) for value in level):
        raise _too_deep()


_PARSERS: dict[str, Callable[[str], Any]] = {
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".json": _parse_json,
    ".toml": _parse_toml,
}
#: What a configuration file's name may end in.
SUFFIXES = tuple(_PARSERS)
