"""The line of a configuration file that is wrong, with a mark, and without what may be a secret. Pure.

Of a line, only its indentation and the keys that configurations have are shown; ``...`` stands for
everything else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["excerpt"]

_HIDDEN = "..."
#: How much of a line is looked at, in characters, on each side of the mark.
_NEAR = 60
_LEAD = re.compile(r"\s*(?:-\s+)*")


def excerpt(text: str, line: int, column: int, keys: Iterable[str]) -> str:
    r"""That line of the text, the one before it, and a mark below that column (both count from 1).

    Where nothing is in that line, as behind the end of the file, it is the last line before it
    that holds something, marked at its end.

    >>> print(excerpt("- name: box\n  path: a: b", 2, 10, ["name", "path"]))
        1 | - name: ...
        2 |   path: ...
          |         ^
    """
    lines = text.split("\n")
    number = min(line, len(lines))
    position = column - 1
    while number > 1 and not lines[number - 1].strip():
        number -= 1
        position = len(lines[number - 1].rstrip())
    shown, at = _masked(lines[number - 1].rstrip(), position, keys)
    rows = [f"{number:>5} | {shown}", f"{'|':>7} {' ' * at}^"]
    if number > 1 and lines[number - 2].strip():
        rows.insert(0, f"{number - 1:>5} | {_masked(lines[number - 2].rstrip(), 0, keys)[0]}")
    return "\n".join(rows)


def _masked(line: str, position: int, keys: Iterable[str]) -> tuple[str, int]:
    """The line with its values hidden, and where ``position`` is then."""
    cut = max(0, position - _NEAR)
    line, position = line[cut : cut + 2 * _NEAR], position - cut
    kept = _kept(line, keys)
    shown, at = "", None
    done = 0
    for start, end in [*kept, (len(line), len(line))]:
        hidden = line[done:start]
        before = len(shown)
        if hidden.strip():
            blank = len(hidden) - len(hidden.lstrip())
            after = len(hidden) - len(hidden.rstrip())
            shown += f"{' ' * blank}{_HIDDEN}{' ' * after}"
            if at is None and position < start:
                at = before + min(position - done, blank)
        else:
            shown += " " * len(hidden)
        if at is None and position < end:
            at = len(shown) + max(0, position - start)
        shown += re.sub(r"\s", " ", line[start:end])
        done = end
    return shown, len(shown) if at is None else at


def _kept(line: str, keys: Iterable[str]) -> list[tuple[int, int]]:
    """The spans of a line that are no values: how it is indented, and known keys."""
    known = "|".join(sorted(map(re.escape, keys), key=len, reverse=True))
    lead = _LEAD.match(line)
    start = 0 if lead is None else lead.end()
    # At its start also a key that lacks its colon, or the space around it.
    first = re.compile(rf"""[-\[{{,"'\s]*(?:{known})["']?(?!\w)(?:\s*[:=](?=\s|$))?""").match(
        line, start
    )
    spans = [(0, start if first is None else first.end())]
    further = rf"""(?:[,{{\[]\s*)?(?<!\w)["']?(?:{known})["']?\s*[:=](?=[\s"'\[{{]|$)"""
    spans += [found.span() for found in re.compile(further).finditer(line, spans[0][1])]
    return spans
