"""``compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .filters import FilterOptions
from .grouped import grouped
from .options import Json
from .output import print_json, shown
from .targets import FAILED
from .transfer import Checksums, checksum_cache

if TYPE_CHECKING:
    from .targets import Session

__all__ = ["compare"]


@grouped
def compare(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A directory, or a file.")],
    dest: Annotated[str, typer.Argument(metavar="DEST", help="What it is compared with.")],
    by: Annotated[
        Literal["hash", "size", "mtime"],
        typer.Option("--by", help="What is equal in files that are the same."),
    ] = "hash",
    one_way: Annotated[
        bool, typer.Option("--one-way", help="Whatever only DEST has does not count.")
    ] = False,
    filters: FilterOptions = FilterOptions(),
    checksums: Checksums = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors only: the exit code tells.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare two files, or two directories with all that is in them.

    Nothing is changed. A line for each file that is not the same: different, missing (in DEST), extra
    (only there) or unknown (it could not be compared, which is never "the same"); then the counts.

    The exit code is 0 where all files are the same, and 1 where they are not, as that of diff; an
    error has its own code and its line. Whether mounts can be reached is what "check" says.
    """
    session: Session = ctx.obj
    chosen = filters.keywords()
    with checksum_cache(checksums) as cache:
        report = session.resolve(source).check(
            session.resolve(dest), by=by, one_way=one_way, checksums=cache, **chosen
        )
    if as_json:
        print_json(report.to_dict())
    elif not quiet:
        for each in report.differences:
            why = f" ({shown(each.reason)})" if each.state == "unknown" else ""
            print(f"{each.state} {shown(each.relpath or source)}{why}")
        print(report)
    if not report.ok:
        session.fail(FAILED)
