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
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, get_args

from ..exceptions import StoragePathError, StorageValueError
from ..info import Checksum, EntryType, FileInfo
from ..paths import is_addressable, join, normalise
from ..strategy import SkipStrategy, parse_strategy
from .plan import Action, Conflict, CopyFile, Filtered, MakeDirectory, SkipFile

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["PlanHeader", "action_from_dict", "action_to_dict", "dump_plan", "load_plan"]

VERSION = 1
#: Characters of a line; the longest names and metadata of any storage need a tenth of it.
_LONGEST = 1 << 20
_LARGEST = (1 << 63) - 1
_ALGORITHM = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_DIGEST = re.compile(r"[0-9a-f]+\Z")
# JSON has one spelling for these two and for the one letter that they are halves of.
_TORN = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_TYPES: tuple[str, ...] = get_args(EntryType)
_CONFLICTS: tuple[str, ...] = ("is_directory", "not_directory", "incomparable", "path")

#: The two roots of a copy: paths of the source's and of the target's mount.
Roots = tuple[str, str]


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
    """What is copied where: ``mount:path`` each. ``created`` is timezone-aware."""

    source: str
    target: str
    skip: SkipStrategy
    created: datetime

    @property
    def roots(self) -> Roots:
        """The paths of the two places: what follows the mount's name."""
        return self.source.partition(":")[2], self.target.partition(":")[2]


# -- fields ---------------------------------------------------------------------------------------

# Of a field: how it is written, how it is read. Both get the path that an entry must have.
_Convert = Callable[[Any, str], Any]
_Field = tuple[_Convert, _Convert]


def _wrong(what: str) -> NoReturn:
    raise StorageValueError(what)


def _text(value: Any, _: str = "") -> str:
    if not isinstance(value, str):
        _wrong(f"{_shown(value)} is no text")
    if _TORN.search(value):
        _wrong(f"{_shown(value)} holds two halves of one character, which JSON cannot tell from it")
    return value


def _relpath(value: Any, _: str) -> str:
    relpath = _text(value)
    if relpath == "":
        return relpath
    try:
        # Stricter than for what a listing shows: somebody may have written it.
        normalise(relpath)
    except StoragePathError:
        pass
    else:
        if is_addressable(relpath):
            return relpath
    return _wrong(f"the path {_shown(relpath)} cannot be in a plan: it could lead out of the tree")


def _kind(value: Any, _: str) -> str:
    if value not in _CONFLICTS:
        _wrong(f"there is no conflict {_shown(value)}")
    return str(value)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        _wrong(f"{_shown(value)} is no size in bytes")
    return value


def _moment(value: Any) -> float:
    if type(value) not in (int, float) or not -_LARGEST <= value <= _LARGEST:
        _wrong(f"{_shown(value)} is no time in seconds")
    return float(value)


def _flag(value: Any) -> bool:
    return (
        value if isinstance(value, bool) else _wrong(f"{_shown(value)} is neither true nor false")
    )


def _entry_type(value: Any) -> str:
    if value not in _TYPES:
        _wrong(f"there is no entry of type {_shown(value)}")
    return str(value)


def _checksum(value: Any) -> Checksum:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        _wrong(f"{_shown(value)} is no checksum: an algorithm and a digest")
    algorithm, digest = map(_text, value)
    if not (_ALGORITHM.match(algorithm) and _DIGEST.match(digest)):
        _wrong(f"{_shown(value)} is no checksum: an algorithm and hexadecimal digits")
    return Checksum(algorithm, digest)


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        _wrong(f"{_shown(value)} is no metadata: names and texts")
    return {_text(name): _text(text) for name, text in value.items()}


_INFO: dict[str, Callable[[Any], Any]] = {
    "type": _entry_type,
    "size": _number,
    "mtime": _moment,
    "etag": _text,
    "checksum": _checksum,
    "content_type": _text,
    "metadata": _metadata,
    "version": _text,
    "symlink": _flag,
}
#: What is not written, and is meant where nothing is.
_UNTOLD = FileInfo("", "file")


def _info_out(value: Any, path: str) -> dict[str, Any] | None:
    if value is None:
        return None
    info: FileInfo = value
    if info.path != path:
        _wrong(f"an entry has the path {_shown(info.path)}, and its action {_shown(path)}")
    told = {
        name: convert(getattr(info, name))
        for name, convert in _INFO.items()
        if getattr(info, name) != getattr(_UNTOLD, name)
    }
    if "checksum" in told:
        told["checksum"] = [*told["checksum"]]
    return told


def _info_in(value: Any, path: str) -> FileInfo:
    if not isinstance(value, dict):
        _wrong(f"{_shown(value)} is no entry")
    _require_keys(value, _INFO, ())
    told: dict[str, Any] = {"type": _UNTOLD.type}
    told |= {key: _INFO[key](each) for key, each in value.items()}
    return FileInfo(path, **told)


def _optional_info_in(value: Any, path: str) -> FileInfo | None:
    return None if value is None else _info_in(value, path)


_PATH: _Field = (_relpath, _relpath)
_TEXT: _Field = (_text, _text)
_INFO_FIELD: _Field = (_info_out, _info_in)
_OPTIONAL: _Field = (_info_out, _optional_info_in)

#: What an action is called, its class, and its fields, of which those with None may be missing.
_ACTIONS: dict[str, tuple[type[Any], dict[str, _Field]]] = {
    "copy": (
        CopyFile,
        {"relpath": _PATH, "source": _INFO_FIELD, "target": _OPTIONAL, "reason": _TEXT},
    ),
    "skip": (
        SkipFile,
        {"relpath": _PATH, "source": _INFO_FIELD, "target": _OPTIONAL, "reason": _TEXT},
    ),
    "mkdir": (MakeDirectory, {"relpath": _PATH}),
    "filtered": (Filtered, {"relpath": _PATH, "source": _INFO_FIELD, "reason": _TEXT}),
    # Its path may be the very thing that is wrong, and nobody goes there.
    "conflict": (Conflict, {"relpath": _TEXT, "message": _TEXT, "kind": (_kind, _kind)}),
}
_NAMES: dict[type[Any], str] = {kind: name for name, (kind, _) in _ACTIONS.items()}


# -- one action -----------------------------------------------------------------------------------


def action_to_dict(action: Action, roots: Roots = ("", "")) -> dict[str, Any]:
    """Plain values that ``json.dumps`` takes; ``StorageValueError`` for what no plan can hold.

    ``roots`` are the paths that the copy goes from and to, each in its mount.

    >>> action_to_dict(MakeDirectory("d"))
    {'action': 'mkdir', 'relpath': 'd'}
    """
    name = _NAMES.get(type(action))
    if name is None:
        _wrong(f"{type(action).__name__} is no action that a plan can hold")
    raw: dict[str, Any] = {"action": name}
    for field, (out, _) in _ACTIONS[name][1].items():
        value = out(getattr(action, field), _path_of(field, action.relpath, roots))
        if value is not None:
            raw[field] = value
    return raw


def action_from_dict(raw: object, roots: Roots = ("", "")) -> Action:
    """The action; ``StorageValueError`` where it is not exactly what ``action_to_dict`` makes.

    >>> action_from_dict({"action": "mkdir", "relpath": "d"})
    MakeDirectory(relpath='d')
    """
    if not isinstance(raw, dict):
        _wrong("an action is an object")
    name = raw.get("action")
    if not isinstance(name, str) or name not in _ACTIONS:
        _wrong(f"there is no action {_shown(name)}; known are {', '.join(_ACTIONS)}")
    kind, fields = _ACTIONS[name]
    needed = [field for field, each in fields.items() if each is not _OPTIONAL]
    _require_keys(raw, ("action", *fields), needed)
    relpath = fields["relpath"][1](raw["relpath"], "")
    made: Action = kind(
        **{
            field: read(raw.get(field), _path_of(field, relpath, roots))
            for field, (_, read) in fields.items()
        }
    )
    return made


def _path_of(field: str, relpath: str, roots: Roots) -> str:
    """The path of the entry that this field of an action may hold."""
    return join(roots[field == "target"], relpath)


def _require_keys(raw: dict[str, Any], known: Iterable[str], needed: Iterable[str]) -> None:
    unknown = [key for key in raw if key not in known]
    if unknown:
        _wrong(f"unknown: {_shown(unknown[0])}")
    missing = [key for key in needed if key not in raw]
    if missing:
        _wrong(f"missing: {missing[0]!r}")


def _shown(value: object) -> str:
    """The value for a message: whoever wrote it may have written a lot."""
    text = ascii(value) if not isinstance(value, int) or abs(value) <= _LARGEST else "a huge number"
    return text if len(text) <= 80 else f"{text[:80]}…"


# -- a whole plan ---------------------------------------------------------------------------------


def dump_plan(
    header: PlanHeader, actions: Iterable[Action], stream: Writer, *, roots: Roots | None = None
) -> int:
    """Write a plan, one action at a time; how many there were.

    ``roots`` are the paths of the two places, where these are not what follows the first colon in
    the header (for places that are shown in other words).
    """
    if header.created.tzinfo is None:
        _wrong("'created' must have a timezone")
    roots = header.roots if roots is None else roots
    first = {
        "plan": VERSION,
        "source": _text(header.source),
        "target": _text(header.target),
        "skip": header.skip.value,
        "created": header.created.astimezone(UTC).isoformat(),
    }
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
        _wrong(f"an action of {len(line)} characters cannot be in a plan")
    stream.write(line + "\n")


def load_plan(
    stream: Reader, *, roots: Callable[[PlanHeader], Roots] | None = None
) -> tuple[PlanHeader, Iterator[Action]]:
    """The header, which is read at once, and the actions, which are read one by one.

    ``StorageValueError`` names the line that is wrong. That the end is missing shows only when the
    actions have come to it: whoever must not begin a plan that is not whole reads it twice.
    ``roots`` says what the places of the header are, as in ``dump_plan``.
    """
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
                _require_keys(raw, ("end",), ())
                if type(raw["end"]) is not int or raw["end"] != count:
                    _wrong(f"there are {count} actions and not {_shown(raw['end'])}")
                break
            action = action_from_dict(raw, roots)
        count += 1
        yield action
    with _Line(count + 3):
        if _read_line(stream):
            _wrong("it comes after the end")


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
        _wrong("the end of the plan is missing")
    if not line.endswith("\n"):
        _wrong("it is too long" if len(line) >= _LONGEST else "it breaks off")
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
    return found if isinstance(found, dict) else _wrong("it is no object")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _wrong("a key is there twice")
    return found


def _constant(name: str) -> NoReturn:
    _wrong(f"{name} is no number")


def _header(raw: dict[str, Any]) -> PlanHeader:
    if "plan" not in raw:
        _wrong("it does not begin a plan: 'plan' is missing")
    if type(raw["plan"]) is not int or raw["plan"] != VERSION:
        _wrong(
            f"it is a plan of version {_shown(raw['plan'])}, and {VERSION} is what is known here; "
            "make it with the version of genro_storage that applies it"
        )
    fields = ("source", "target", "skip", "created")
    _require_keys(raw, ("plan", *fields), fields)
    source, target, skip, created = (_text(raw[field]) for field in fields)
    for name, place in (("source", source), ("target", target)):
        if not place or "\x00" in place:
            _wrong(f"{name!r} is no place")
    try:
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is None:
            _wrong("'created' has no timezone")
        moment = moment.astimezone(UTC)
    except StorageValueError:
        raise
    except (ValueError, OverflowError) as error:
        raise StorageValueError(f"'created' is no time: {_shown(created)}") from error
    return PlanHeader(source, target, parse_strategy(skip), moment)
