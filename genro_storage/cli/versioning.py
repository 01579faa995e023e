"""``versions`` and ``restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import StorageUnsupportedError
from .options import Json, OnePath, parsed_version
from .output import amount, print_json, print_table, utc

if TYPE_CHECKING:
    from .targets import Session

__all__ = ["restore", "versions"]


def versions(ctx: typer.Context, path: OnePath, as_json: Json = False) -> None:
    """List the versions of a file, oldest first.

    MARK says which is the latest one, and which is a delete marker: from then on the file was
    missing. INDEX, which counts no marker, or VERSION is what --version of other commands takes.
    """
    session: Session = ctx.obj
    node = session.resolve(path)
    mount = node._mount
    if not mount.capabilities.version_listing:
        raise StorageUnsupportedError(
            f"{node.fullpath}: this mount keeps no versions", node=node.fullpath
        )
    rows: list[dict[str, Any]] = []
    index = 0
    for each in node.versions:
        marker = each["is_delete_marker"]
        rows.append(
            {
                "index": None if marker else index,
                "version": each["version_id"],
                "mtime": each["last_modified"].timestamp(),
                "size": each["size"],
                "etag": each["etag"],
                "latest": each["is_latest"],
                "delete_marker": marker,
            }
        )
        index += not marker
    if as_json:
        print_json({"path": node.fullpath, "versions": rows})
        return
    print_table(
        ("INDEX", "TIME", "SIZE", "MARK", "VERSION"),
        [
            (
                "-" if row["index"] is None else str(row["index"]),
                utc(row["mtime"]),
                "-" if row["size"] is None or row["delete_marker"] else amount(row["size"]),
                _mark(row),
                row["version"],
            )
            for row in rows
        ],
    )


def _mark(row: dict[str, Any]) -> str:
    marks = (("latest", "latest"), ("delete_marker", "delete marker"))
    return ", ".join(words for key, words in marks if row[key])


def restore(
    ctx: typer.Context,
    path: OnePath,
    version: Annotated[
        str,
        typer.Option("--version", metavar="V", help="Its index or its id, as versions lists them."),
    ],
    as_json: Json = False,
) -> None:
    """Make an older version of a file the current one.

    It is copied inside the store, with its metadata; the others stay. A deleted file comes back.
    """
    session: Session = ctx.obj
    node = session.resolve(path)
    node.restore(version=parsed_version(version))
    if as_json:
        print_json({"path": node.fullpath, "version": version})
