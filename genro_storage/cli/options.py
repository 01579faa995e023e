"""Options that several commands share, and the values that they print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..durations import seconds

if TYPE_CHECKING:
    from ..info import FileInfo
    from ..mount import Mount

__all__ = ["DryRun", "Json", "Paths", "duration", "entry"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")]
Paths = Annotated[list[str], typer.Argument(metavar="PATH", help="Files or directories.")]


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
    if not found >= 0:  # false for what is not a number, too
        raise typer.BadParameter("it must be 0 or more")
    return found


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
