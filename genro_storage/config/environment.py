"""``${VAR}`` in configuration files, replaced from the environment. Pure.

* ``${VAR}``: the variable's value; an error where it is not set.
* ``${VAR:-default}``: the default where it is not set or empty, as in a shell.
* ``$${``: a literal ``${``.

Values are not searched again, so what a variable holds is never interpreted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import StorageConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MAX_TEXT",
    "InterpolationError",
    "Unfilled",
    "interpolate",
    "interpolate_all",
    "interpolate_text",
]

#: How much text (characters) one document may grow to by its variables.
MAX_TEXT = 32 * 1024 * 1024

_TOKEN = re.compile(
    r"\$\$\{"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|(?P<bad>\$\{)"
)


class InterpolationError(ValueError):
    """Why one text cannot be interpolated; never shows the text."""


def interpolate_text(text: str, environ: Mapping[str, str]) -> str:
    """Replace the variables of one text.

    >>> interpolate_text("http://${HOST:-localhost}/$${x}", {})
    'http://localhost/${x}'
    """
    if "${" not in text:
        return text

    def value_of(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match["bad"]:
            raise InterpolationError(
                "'${' does not start a variable such as ${NAME} or ${NAME:-default}; "
                "write '$${' for a literal '${'"
            )
        if name is None:
            return "${"
        if default is not None and "${" in default:
            raise InterpolationError(
                f"the default of {name!r} holds another variable, which is not supported; "
                "set the variable, or write the value out"
            )
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise InterpolationError(
                f"the environment variable {name!r} is not set; set it, or write a default: "
                f"${{{name}:-...}}"
            )
        return value

    return _TOKEN.sub(value_of, text)


class Unfilled(NamedTuple):
    """A text that could not be interpolated: its place in the document, and the sentence about it."""

    where: tuple[str | int, ...]
    problem: str


def interpolate(document: Any, environ: Mapping[str, str], *, label: str) -> Any:
    """Replace the variables in every text value (not key) of a document.

    ``label`` is the file's name for errors, which name the mount, the key and the variable.
    """
    filled, problems = interpolate_all(document, environ, label=label)
    if problems:
        raise StorageConfigError(f"{label}: {problems[0].problem}")
    return filled


def interpolate_all(
    document: Any, environ: Mapping[str, str], *, label: str
) -> tuple[Any, list[Unfilled]]:
    """As ``interpolate``, but what cannot be replaced stays as it is, and is told beside.

    >>> filled, problems = interpolate_all([{"name": "a", "path": "${NO_SUCH}"}], {}, label="f")
    >>> problems[0].where, problems[0].problem[:33]
    ((0, 'path'), "mount 'a': key 'path': the enviro")
    """
    work = _Interpolation(document, environ, label)
    return work.walk(document, ()), work.problems


class _Interpolation:
    def __init__(self, document: Any, environ: Mapping[str, str], label: str) -> None:
        self._document = document
        self._environ = environ
        self._label = label
        self._grown = 0
        self.problems: list[Unfilled] = []

    def walk(self, value: Any, where: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            return self._replace(value, where)
        if isinstance(value, dict):
            return {key: self.walk(item, (*where, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.walk(item, (*where, index)) for index, item in enumerate(value)]
        return value

    def _replace(self, text: str, where: tuple[str | int, ...]) -> str:
        try:
            result = interpolate_text(text, self._environ)
        except InterpolationError as error:
            self.problems.append(Unfilled(where, self._sentence(where, str(error))))
            return text
        self._grown += len(result) - len(text) if result is not text else 0
        if self._grown > MAX_TEXT:
            # Not one more: this is what bounds the memory.
            problem = f"the variables grow the file by more than {MAX_TEXT} characters"
            raise StorageConfigError(f"{self._label}: {self._sentence(where, problem)}")
        return result

    def _sentence(self, where: tuple[str | int, ...], problem: str) -> str:
        mounts = self._document
        parts = list(where)
        if len(parts) > 1 and parts[0] == "mounts":
            mounts, parts = mounts["mounts"], parts[1:]
        named = [_name_mount(mounts, parts.pop(0))] if parts and isinstance(parts[0], int) else []
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
        return ": ".join([*named, *([f"key {key.lstrip('.')!r}"] if key else []), problem])


def _name_mount(mounts: Any, index: Any) -> str:
    """A mount is called by its name where it has one, else by its place."""
    item = mounts[index]
    name = item.get("name") if isinstance(item, dict) else None
    return f"mount {name!r}" if isinstance(name, str) and name else f"mount #{index + 1}"
