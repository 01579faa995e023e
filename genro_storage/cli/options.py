"""Options that several commands share, and the values that they print."""

from __future__ import annotations

import copy
import math
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..durations import seconds

if TYPE_CHECKING:
    from ..info import FileInfo
    from ..mount import Mount
    from ..node import StorageNode
    from .targets import Session

__all__ = [
    "DryRun",
    "Expires",
    "Json",
    "OnePath",
    "Paths",
    "Version",
    "at_version",
    "duration",
    "entry",
    "parsed_version",
    "patience",
]

# Longer numbers are ids: those of Google are times in microseconds.
_LONGEST = 1000 * 365 * 86400.0
_INDEX = re.compile(r"-?\d{1,6}", re.ASCII)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")]
Paths = Annotated[list[str], typer.Argument(metavar="PATH", help="Files or directories.")]
OnePath = Annotated[str, typer.Argument(metavar="PATH", help="A file.")]
Version = Annotated[
    str | None,
    typer.Option("--version", metavar="V", help="Of this version: its index or its id."),
]


def duration(text: str | float) -> float:
    """The seconds of an option: a number, or a duration as in configurations."""
    try:
        found = float(text)
    except ValueError:
        try:
            found = float(str(seconds(text)))
        except ValueError:
            raise typer.BadParameter(
                f"expected a number of seconds, or a duration such as 30s or 1h, got {text!r}"
            ) from None
    if math.isnan(found) or found < 0:
        raise typer.BadParameter("it must be 0 or more")
    if found > _LONGEST:
        raise typer.BadParameter("it is longer than a thousand years")
    return found


def patience(text: str | float) -> float:
    """The same, for what may also be without an end: ``inf``."""
    return math.inf if str(text) == "inf" else duration(text)


Expires = Annotated[
    float,
    typer.Option(
        "--expires", parser=duration, metavar="DURATION", help="It works so long: 30, 15m, 1h, 7d."
    ),
]


def parsed_version(text: str) -> int | str:
    """What ``--version`` means: an index (0 the oldest, -1 the latest) or an id."""
    return int(text) if _INDEX.fullmatch(text) else text


def at_version(session: Session, path: str, version: str | None) -> StorageNode:
    """The node of a path, at one version of it where one is given."""
    node = session.resolve(path)
    if version is not None:
        node = copy.copy(node)
        node._snapshot = parsed_version(version)
    return node


def entry(mount: Mount, info: FileInfo, **more: Any) -> dict[str, Any]:
    """What ``--json`` says about one entry; unknown values are null."""
    checksum = info.checksum
    return {
        "path": mount.fullpath(info.path),
        "name": info.name,
        "type": info.type,
        "size": info.size,
        "mtime": info.mtime,
        "etag": info.etag,
        "checksum": None if checksum is None else checksum._asdict(),
        "content_type": info.content_type,
        "version": info.version,
        **more,
    }
