"""Bracket expressions of git's patterns, such as ``[a-z]`` and ``[![:digit:]]``. Pure.

pathspec hands them to ``re`` nearly as they are, which takes ``[[:digit:]]`` for something else and
lets ``[!a]`` match a slash. The rules here are those of git's ``wildmatch.c``.
"""

from __future__ import annotations

import itertools

__all__ = ["extract_brackets"]

_CLASSES = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r" \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
# Characters of the private use area stand for the expressions while the rest is translated.
_FIRST_STAND_IN = 0xE000


def extract_brackets(line: str) -> tuple[str, dict[str, str]]:
    r"""The line with a character in place of each expression, and each as a regular expression.

    ``ValueError`` where one is not closed, or names an unknown class.

    >>> line, found = extract_brackets("*.[ch]")
    >>> len(line), list(found.values()) == [r"(?!/)[\U00000063\U00000068]"]
    (3, True)
    """
    if "[" not in line:
        return line, {}
    unused = (chr(number) for number in itertools.count(_FIRST_STAND_IN) if chr(number) not in line)
    found: dict[str, str] = {}
    kept: list[str] = []
    at = 0
    while at < len(line):
        if line[at] == "[":
            source, at = _bracket(line, at)
            stand_in = next(unused)
            found[stand_in] = source
            kept.append(stand_in)
        else:
            width = 2 if line[at] == "\\" else 1
            kept.append(line[at : at + width])
            at += width
    return "".join(kept), found


def _bracket(line: str, start: int) -> tuple[str, int]:
    """The regular expression of the bracket expression at ``start``, and where it ends."""
    at = start + 1
    negated = line[at : at + 1] in ("!", "^") and at < len(line)
    at += negated
    items: list[str] = []
    before: str | None = None  # what a range could begin with
    first = at
    while at == first or line[at : at + 1] != "]":
        if at >= len(line):
            raise ValueError(f"the bracket at {line[start:]!r} is not closed")
        end = line.find("]", at + 2) if line.startswith("[:", at) else 0
        if end > at + 2 and line[end - 1] == ":":
            name = line[at + 2 : end - 1]
            if name not in _CLASSES:
                raise ValueError(
                    f"it has no class {name!r} of characters; there are {', '.join(_CLASSES)}"
                )
            items.append(_CLASSES[name])
            before, at = None, end + 1
            continue
        if line[at] == "-" and before is not None and line[at + 1 : at + 2] not in ("", "]"):
            last, at = _character(line, at + 1)
            if before <= last:
                items.append(f"{_literal(before)}-{_literal(last)}")
            before = None
            continue
        before, at = _character(line, at)
        items.append(_literal(before))
    inside = "".join(items)
    if not inside:
        return ("[^/]" if negated else "(?!)"), at + 1
    return f"(?!/)[{'^' if negated else ''}{inside}]", at + 1


def _character(line: str, at: int) -> tuple[str, int]:
    """The character there, which a backslash may introduce, and where it ends."""
    at += line[at] == "\\"
    if at >= len(line):
        raise ValueError("a bracket is not closed")
    return line[at], at + 1


def _literal(character: str) -> str:
    return f"\\U{ord(character):08x}"
