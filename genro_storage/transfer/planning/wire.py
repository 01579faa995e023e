"""A plan as JSON lines: what was decided here and now, to be read, kept or applied elsewhere.

The first line says what is copied where, one line follows for each action, and the last one says
how many there were, so that a plan of which the end is missing is never taken for a whole one::

    {"plan": 1, "source": "src:a", "target": "dst:b", "skip": "size", "created": "2026-01-31T…"}
    {"action": "copy", "relpath": "x.txt", "source": {"size": 3}, "reason": "destination missing"}
    {"end": 1}

It is read as what a stranger may have written. An entry's path is that of its action, below the
roots of the copy, so that none can be of anything else. All of it is ASCII, and holds no secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from ...exceptions import StorageValueError
from ...strategy import SkipStrategy, parse_strategy
from .wire_actions import (
    action_from_dict,
    action_to_dict,
    flag,
    require_keys,
    shown,
    text,
    whole_number,
    wrong,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import NoReturn

    from .actions import Action
    from .wire_actions import Roots

__all__ = ["PlanHeader", "action_from_dict", "action_to_dict", "dump_plan", "load_plan"]

VERSION = 1
#: Characters of a line; the longest names and metadata of any storage need a tenth of it.
_LONGEST = 1 << 20
#: The terms of a header, and what checks each.
_TERMS: dict[str, Callable[[Any], Any]] = {
    "version": text,
    "if_absent": flag,
    "delete": flag,
    "max_delete": lambda value: whole_number(value, "number of files"),
}


class Reader(Protocol):
    """A text stream, as far as it is needed."""

    def readline(self, size: int = -1, /) -> str:
        """The next line; empty at the end."""
        ...


class Writer(Protocol):
    """A text stream, as far as it is needed."""

    def write(self, text: str, /) -> object:
        """Add to the end."""
        ...


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What is copied where: ``mount:path`` each. ``created`` is timezone-aware.

    The others are the terms that the plan was made with; they are written where they are set.
    """

    source: str
    target: str
    skip: SkipStrategy
    created: datetime
    version: str | None = None
    if_absent: bool = False
    delete: bool = False
    max_delete: int | None = None

    @property
    def terms(self) -> dict[str, Any]:
        """By their names."""
        return {name: getattr(self, name) for name in _TERMS}

    @property
    def roots(self) -> Roots:
        """The paths of the two places: what follows the mount's name."""
        return self.source.partition(":")[2], self.target.partition(":")[2]


# -- a whole plan ---------------------------------------------------------------------------------


def dump_plan(
    header: PlanHeader, actions: Iterable[Action], stream: Writer, *, roots: Roots | None = None
) -> int:
    """Write a plan, one action at a time; how many there were.

    ``roots`` are the paths of the two places, where these are not what follows the first colon in
    the header (for places that are shown in other words).
    """
    if not hasattr(stream, "write") or hasattr(stream, "read_bytes"):  # a node has both
        raise TypeError(
            f"a plan is written to an open text stream, not {type(stream).__name__}: "
            "with open(path, 'w', encoding='utf-8') as stream: plan.dump(stream), or node.open('w')"
        )
    if header.created.tzinfo is None:
        wrong("'created' must have a timezone")
    roots = header.roots if roots is None else roots
    first: dict[str, Any] = {
        "plan": VERSION,
        "source": text(header.source),
        "target": text(header.target),
        "skip": header.skip.value,
        "created": header.created.astimezone(UTC).isoformat(),
    }
    for name, value in header.terms.items():
        if value is not None and value is not False:
            first[name] = _TERMS[name](value)
    _write(stream, first)
    count = 0
    for action in actions:
        _write(stream, action_to_dict(action, roots))
        count += 1
    _write(stream, {"end": count})
    return count


def _write(stream: Writer, raw: dict[str, Any]) -> None:
    line = json.dumps(raw, allow_nan=False)
    if len(line) >= _LONGEST:
        wrong(f"an action of {len(line)} characters cannot be in a plan")
    stream.write(line + "\n")


def load_plan(
    stream: Reader, *, roots: Callable[[PlanHeader], Roots] | None = None
) -> tuple[PlanHeader, Iterator[Action]]:
    """The header, which is read at once, and the actions, which are read one by one.

    ``StorageValueError`` names the line that is wrong. That the end is missing shows only when the
    actions have come to it: whoever must not begin a plan that is not whole reads it twice.
    ``roots`` says what the places of the header are, as in ``dump_plan``.
    """
    if not hasattr(stream, "readline"):
        raise TypeError(
            f"a plan is read from an open text stream, not {type(stream).__name__}: "
            "with open(path, encoding='utf-8') as stream: CopyPlan.load(stream, storage)"
        )
    with _Line(1):
        header = _header(_parsed(_next_line(stream)))
        found = header.roots if roots is None else roots(header)
    return header, _actions(stream, found)


def _actions(stream: Reader, roots: Roots) -> Iterator[Action]:
    count = 0
    while True:
        with _Line(count + 2):
            raw = _parsed(_next_line(stream))
            if "end" in raw:
                require_keys(raw, ("end",), ())
                if type(raw["end"]) is not int or raw["end"] != count:
                    wrong(f"there are {count} actions and not {shown(raw['end'])}")
                break
            action = action_from_dict(raw, roots)
        count += 1
        yield action
    with _Line(count + 3):
        if _read_line(stream):
            wrong("it comes after the end")


class _Line:
    """What goes wrong in the block is wrong with this line of the plan."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StorageValueError):
            raise StorageValueError(f"line {self._number} of the plan: {error}") from error


def _read_line(stream: Reader) -> str:
    try:
        return stream.readline(_LONGEST)
    except UnicodeDecodeError as error:
        raise StorageValueError(f"it is no text ({error.reason})") from error


def _next_line(stream: Reader) -> str:
    line = _read_line(stream)
    if not line:
        wrong("the end of the plan is missing")
    if not line.endswith("\n"):
        wrong("it is too long" if len(line) >= _LONGEST else "it breaks off")
    return line


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=_object, parse_constant=_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise StorageValueError(f"it is no JSON ({what})") from error
    except StorageValueError:
        raise
    except ValueError as error:  # of a number with thousands of digits
        raise StorageValueError("it holds a huge number") from error
    return found if isinstance(found, dict) else wrong("it is no object")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        wrong("a key is there twice")
    return found


def _constant(name: str) -> NoReturn:
    wrong(f"{name} is no number")


def _header(raw: dict[str, Any]) -> PlanHeader:
    if "plan" not in raw:
        wrong("it does not begin a plan: 'plan' is missing")
    if type(raw["plan"]) is not int or raw["plan"] != VERSION:
        wrong(
            f"it is a plan of version {shown(raw['plan'])}, and {VERSION} is what is known here; "
            "make it with the version of genro_storage that applies it"
        )
    fields = ("source", "target", "skip", "created")
    require_keys(raw, ("plan", *fields, *_TERMS), fields)
    terms = {name: convert(raw[name]) for name, convert in _TERMS.items() if name in raw}
    source, target, skip, created = (text(raw[field]) for field in fields)
    for name, place in (("source", source), ("target", target)):
        if not place or "\x00" in place:
            wrong(f"{name!r} is no place")
    try:
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is None:
            wrong("'created' has no timezone")
        moment = moment.astimezone(UTC)
    except StorageValueError:
        raise
    except (ValueError, OverflowError) as error:
        raise StorageValueError(f"'created' is no time: {shown(created)}") from error
    return PlanHeader(source, target, parse_strategy(skip), moment, **terms)
