"""What pydantic found wrong, said in the words of the configuration's author. Pure.

Values are never shown, only their kinds: any of them may be a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from ..backends.options import StrictModel

__all__ = ["explain", "kind_of", "suggestion", "validate"]

_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "path": "a path",
    "url": "a URL",
    "bytes": "text",
    "time_delta": "a duration",
}
# What is wrong with a value of the right type; pydantic's names of a kind of problem come first.
_WRONG = {
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be {ge:g} or more",
    "less_than": "it must be less than {lt:g}",
    "less_than_equal": "it must be {le:g} or less",
    "multiple_of": "it must be a multiple of {multiple_of:g}",
    "finite_number": "it must be a finite number",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it must have at most {max_length} characters",
    "string_pattern_mismatch": "it must match {pattern}",
    "too_short": "it must have at least {min_length} entries",
    "too_long": "it must have at most {max_length} entries",
    "int_parsing_size": "it has too many digits",
    "string_unicode": "it is not valid Unicode",
}


def kind_of(value: object) -> str:
    """What a value is, in the words of a configuration file."""
    for kind, words in (
        (str, "text"),
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
        (type(None), "nothing"),
    ):
        if isinstance(value, kind):
            return words
    return f"a {type(value).__name__}"


def suggestion(key: str, known: Iterable[str]) -> str:
    """``; did you mean 'region'?``, or nothing where no known key is near."""
    near = difflib.get_close_matches(key[:80], list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def validate(
    model: type[StrictModel],
    data: dict[str, Any],
    more_keys: Iterable[str] = (),
    ignored: AbstractSet[str] = frozenset(),
) -> tuple[StrictModel | None, list[str]]:
    """The validated model, or None and one sentence for each problem.

    ``more_keys`` are keys that are accepted beside the model's, for suggestions. Nothing is said of
    the values of ``ignored`` keys, which are not known. The model's own error is not kept, because
    it holds the values.
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    known = [*model.known_keys(), *more_keys]
    grouped: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    hints: dict[str, str] = {}
    for item in found:
        key = _key(item["loc"], item["type"], data, model)
        if ignored and not _concerns_another(key, item["type"], ignored):
            continue
        words = _expected(item)
        if words is None:
            grouped.setdefault(key, []).append(_sentence(item, key, known))
        else:
            expected.setdefault(key, []).append(words)
            kinds[key] = _got(item)
            hints[key] = hints.get(key) or _nearest(item)
            grouped.setdefault(key, [])
    sentences: list[str] = []
    for key, said in grouped.items():
        sentences += dict.fromkeys(said)
        # Of a union, the member that fits best has said what is wrong, here or further inside.
        fits = said or any(other.startswith((f"{key}[", f"{key}.")) for other in grouped)
        if key in expected and not fits:
            wanted = " or ".join(dict.fromkeys(expected[key]))
            sentences.append(f"option {key!r}: expected {wanted}, got {kinds[key]}{hints[key]}")
    return None, sentences


def _concerns_another(key: str, kind: str, ignored: AbstractSet[str]) -> bool:
    """Whether a problem has nothing to do with values that are not known."""
    if kind in {"missing", "extra_forbidden"}:
        return True
    # What a whole model says may be about any of them.
    return bool(key) and re.split(r"[.\[]", key, maxsplit=1)[0] not in ignored


def _nearest(item: Any) -> str:
    """The choice that a text may be meant for."""
    if item["type"] not in {"literal_error", "enum"} or not isinstance(item["input"], str):
        return ""
    return suggestion(item["input"], re.findall(r"'([^']*)'", str(item["ctx"]["expected"])))


def _key(
    location: tuple[int | str, ...], kind: str, data: dict[str, Any], model: type[StrictModel]
) -> str:
    """The key as it was written: ``options.retries``, ``keys[0]``.

    pydantic adds the names of a union's members to the location; what is not in the data is
    left out, except for a key that is missing, or stood in another mapping.
    """
    text = ""
    value: Any = data
    start = location[:1]
    if start and start[0] not in data and isinstance(start[0], str):
        start = model.spellings(data).get(start[0], start)
    for position, part in enumerate((*start, *location[1:])):
        if isinstance(part, int) and isinstance(value, (list, tuple)) and part < len(value):
            text += f"[{part}]"
            value = value[part]
        elif isinstance(value, Mapping) and part in value:
            text += f".{part}" if text else str(part)
            value = value[part]
        elif kind in {"missing", "extra_forbidden"} and position == len(location) - 1:
            text += f".{part}" if text else str(part)
    return text[:160]


def _expected(item: Any) -> str | None:
    """The type or choice that was expected; None where the problem is of another sort."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in {"literal_error", "enum"}:
        choices = str(context["expected"])
        return f"one of {choices}" if " or " in choices else choices
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return f"one of {context.get('expected_tags', 'the known kinds')}"
    for ending in ("_parsing", "_type", "_from_float"):
        if kind.endswith(ending):
            return _EXPECTED.get(kind.removesuffix(ending))
    if kind == "is_instance_of":
        return f"a {context['class']}"
    return None


def _got(item: Any) -> str:
    value = item["input"]
    got = kind_of(value)
    if item["type"] == "string_type" and isinstance(value, (bool, int, float)):
        return f"{got}; put it in quotes to mean text"
    if isinstance(value, str) and item["type"].endswith("_parsing"):
        return "other text"
    return got


def _sentence(item: Any, key: str, known: list[str]) -> str:
    kind = item["type"]
    if kind == "missing":
        return f"missing required field: {key!r}"
    if kind == "extra_forbidden":
        near = suggestion(key, known) if "." not in key and "[" not in key else ""
        return f"unknown option {key!r}{near or _listing(key, known)}"
    said = _wrong(item)
    return f"option {key!r}: {said}" if key else said


def _wrong(item: Any) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind in {"value_error", "assertion_error"}:
        # Written by the options model, whose contract is to show no value.
        return str(context["error"])
    if kind in {"string_too_short", "too_short"} and context["min_length"] == 1:
        return "it is empty; give it a value"
    if kind in _WRONG:
        return _WRONG[kind].format_map(context)
    said = str(item["msg"])  # of a type that no model here has, perhaps another's
    return said.replace("Input should", "it must", 1)


def explain(item: Any) -> str:
    """What is wrong with one value that pydantic refused, and the value: for those that are shown."""
    words = _expected(item)
    return _wrong(item) if words is None else f"expected {words}, got {item['input']!r}"


def _listing(key: str, known: list[str]) -> str:
    if "." in key or "[" in key:
        return ""
    return f"; known options: {', '.join(sorted(set(known)))}"
