"""Single actions as plain values, out and in; what is read may be written by a stranger. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from ...exceptions import StoragePathError, StorageValueError
from ...info import Checksum, EntryType, FileInfo
from ...paths import is_addressable, join, normalise
from .actions import (
    Action,
    CompareFile,
    Conflict,
    CopyFile,
    DeleteDirectory,
    DeleteFile,
    Filtered,
    MakeDirectory,
    SkipFile,
)

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = [
    "Roots",
    "action_from_dict",
    "action_to_dict",
    "flag",
    "require_keys",
    "shown",
    "text",
    "whole_number",
    "wrong",
]

#: The two roots of a copy: paths of the source's and of the target's mount.
Roots = tuple[str, str]

_LARGEST = (1 << 63) - 1
_ALGORITHM = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_DIGEST = re.compile(r"[0-9a-f]+\Z")
# JSON has one spelling for these two and for the one letter that they are halves of.
_TORN = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_TYPES: tuple[str, ...] = get_args(EntryType)
_CONFLICTS: tuple[str, ...] = ("is_directory", "not_directory", "incomparable", "path")

# -- fields ---------------------------------------------------------------------------------------

# Of a field: how it is written, how it is read. Both get the path that an entry must have.
_Convert = Callable[[Any, str], Any]
_Field = tuple[_Convert, _Convert]


def wrong(what: str) -> NoReturn:
    """``StorageValueError`` with this text."""
    raise StorageValueError(what)


def text(value: Any, _: str = "") -> str:
    """The value, which must be a text that JSON can hold."""
    if not isinstance(value, str):
        wrong(f"{shown(value)} is no text")
    if _TORN.search(value):
        wrong(f"{shown(value)} holds two halves of one character, which JSON cannot tell from it")
    return value


def _relpath(value: Any, _: str) -> str:
    relpath = text(value)
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
    return wrong(f"the path {shown(relpath)} cannot be in a plan: it could lead out of the tree")


def _below(value: Any, _: str) -> str:
    return _relpath(value, _) or wrong("the root of a copy is never deleted")


def _kind(value: Any, _: str) -> str:
    if value not in _CONFLICTS:
        wrong(f"there is no conflict {shown(value)}")
    return str(value)


def whole_number(value: Any, what: str = "size in bytes") -> int:
    """The value, which must be a number of what ``what`` says."""
    if type(value) is not int or not 0 <= value <= _LARGEST:
        wrong(f"{shown(value)} is no {what}")
    return value


def _moment(value: Any) -> float:
    if type(value) not in (int, float) or not -_LARGEST <= value <= _LARGEST:
        wrong(f"{shown(value)} is no time in seconds")
    return float(value)


def flag(value: Any) -> bool:
    """The value, which must be true or false."""
    return value if isinstance(value, bool) else wrong(f"{shown(value)} is neither true nor false")


def _entry_type(value: Any) -> str:
    if value not in _TYPES:
        wrong(f"there is no entry of type {shown(value)}")
    return str(value)


def _checksum(value: Any) -> Checksum:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        wrong(f"{shown(value)} is no checksum: an algorithm and a digest")
    algorithm, digest = map(text, value)
    if not (_ALGORITHM.match(algorithm) and _DIGEST.match(digest)):
        wrong(f"{shown(value)} is no checksum: an algorithm and hexadecimal digits")
    return Checksum(algorithm, digest)


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        wrong(f"{shown(value)} is no metadata: names and texts")
    return {text(name): text(each) for name, each in value.items()}


_INFO: dict[str, Callable[[Any], Any]] = {
    "type": _entry_type,
    "size": whole_number,
    "mtime": _moment,
    "etag": text,
    "checksum": _checksum,
    "content_type": text,
    "metadata": _metadata,
    "version": text,
    "symlink": flag,
}
#: What is not written, and is meant where nothing is.
_UNTOLD = FileInfo("", "file")


def _info_out(value: Any, path: str) -> dict[str, Any] | None:
    if value is None:
        return None
    info: FileInfo = value
    if info.path != path:
        wrong(f"an entry has the path {shown(info.path)}, and its action {shown(path)}")
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
        wrong(f"{shown(value)} is no entry")
    require_keys(value, _INFO, ())
    told: dict[str, Any] = {"type": _UNTOLD.type}
    told |= {key: _INFO[key](each) for key, each in value.items()}
    return FileInfo(path, **told)


def _optional_info_in(value: Any, path: str) -> FileInfo | None:
    return None if value is None else _info_in(value, path)


_PATH: _Field = (_relpath, _relpath)
_BELOW: _Field = (_below, _below)
_TEXT: _Field = (text, text)
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
    "compare": (
        CompareFile,
        {"relpath": _PATH, "source": _INFO_FIELD, "target": _INFO_FIELD},
    ),
    "mkdir": (MakeDirectory, {"relpath": _PATH}),
    "filtered": (Filtered, {"relpath": _PATH, "source": _INFO_FIELD, "reason": _TEXT}),
    # Its path may be the very thing that is wrong, and nobody goes there.
    "conflict": (Conflict, {"relpath": _TEXT, "message": _TEXT, "kind": (_kind, _kind)}),
    "delete": (DeleteFile, {"relpath": _BELOW, "target": _INFO_FIELD}),
    "rmdir": (DeleteDirectory, {"relpath": _BELOW, "target": _INFO_FIELD}),
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
        wrong(f"{type(action).__name__} is no action that a plan can hold")
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
        wrong("an action is an object")
    name = raw.get("action")
    if not isinstance(name, str) or name not in _ACTIONS:
        wrong(f"there is no action {shown(name)}; known are {', '.join(_ACTIONS)}")
    kind, fields = _ACTIONS[name]
    needed = [field for field, each in fields.items() if each is not _OPTIONAL]
    require_keys(raw, ("action", *fields), needed)
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


def require_keys(raw: dict[str, Any], known: Iterable[str], needed: Iterable[str]) -> None:
    """Nothing but ``known`` is there, and all that is ``needed``."""
    unknown = [key for key in raw if key not in known]
    if unknown:
        wrong(f"unknown: {shown(unknown[0])}")
    missing = [key for key in needed if key not in raw]
    if missing:
        wrong(f"missing: {missing[0]!r}")


def shown(value: object) -> str:
    """The value for a message: whoever wrote it may have written a lot."""
    huge = isinstance(value, int) and abs(value) > _LARGEST
    found = "a huge number" if huge else ascii(value)
    return found if len(found) <= 80 else f"{found[:80]}…"
