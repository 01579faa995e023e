"""``cp``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..transfer import Filters
from .destinations import Sources, Target, destinations
from .filters import FilterOptions
from .grouped import grouped
from .output import print_json
from .streams import STREAM, copy_stream
from .transfer import Run, Skip, TransferOptions, note_that_it_passes, sentence, where

if TYPE_CHECKING:
    from ..info import FileInfo
    from .targets import Session

__all__ = ["cp"]


@grouped
def cp(
    ctx: typer.Context,
    sources: Sources,
    dest: Target,
    skip: Skip = "never",
    filters: FilterOptions = FilterOptions(),
    options: TransferOptions = TransferOptions(),
    recursive: Annotated[  # noqa: ARG001 - habit writes it, and it changes nothing
        bool, typer.Option("--recursive", "-r", help="Taken for granted: directories go whole.")
    ] = False,
) -> None:
    """Copy files and directories.

    Each file arrives whole or not at all. An error stops the copy of a SOURCE, and what has arrived stays;
    with --keep-going the other files are copied first.

    "cp a: b:x" makes b:x the copy: a directory merges into what is there, nothing is removed.
    With several sources or a DEST that ends in / each source goes inside DEST, under its own
    name; so does a single file where DEST is a directory. A mount's root has no name, nor has
    the current directory: what is in it goes inside DEST. Two sources never give DEST one name;
    the second is refused as a whole.

    A SOURCE of - is standard input, which DEST names the file for; a DEST of - is standard output.

    A PATTERN is matched against the path inside the directory, and * matches / too; --include
    and --exclude may be repeated. --exclude "build/*" leaves a directory out, without a look into it.
    A LINE is one of a .gitignore: the last that matches decides, ! takes back. Those of files come
    first. A file that is named itself is always copied.

    With --json-lines: a line for each event while the copy runs, the last one has the report.
    """
    session: Session = ctx.obj
    if STREAM in (*sources, dest):
        _stream(session, sources, dest, skip=skip, filters=filters, options=options)
        return
    chosen = filters.keywords()
    kept = Filters(**chosen)

    def merging(info: FileInfo) -> bool:
        return info.is_dir or kept.reason(info, info.name) is None

    with Run(session, options, alone=len(sources) == 1) as run:
        for node, target in destinations(session, sources, dest, merging=merging):
            with session.attempt():
                run.carry_out(node, target, skip=skip, **chosen)


def _stream(
    session: Session,
    sources: list[str],
    dest: str,
    *,
    skip: str,
    filters: FilterOptions,
    options: TransferOptions,
) -> None:
    if dest == STREAM and options.as_json:
        raise typer.BadParameter("standard output (-) is for the file", param_hint="--json")
    if dest != STREAM:
        note_that_it_passes(session, session.resolve(dest))
    silent = options.quiet or options.as_json
    refused = dict.fromkeys(
        filters.given(), "it chooses files of a directory, and - is standard input or output"
    ) | dict.fromkeys(
        options.for_files(), "it is for copies of files, and - is standard input or output"
    )
    total: Any = copy_stream(
        session, sources, dest, skip=skip, refused=refused, dry_run=options.dry_run, quiet=silent
    )
    if options.as_json:
        print_json({"dry_run": options.dry_run, **total.to_dict()})
    elif dest != STREAM and not (silent or options.dry_run):
        place = total.new_path
        places = [] if place is None else [session.resolve(dest)._mount.fullpath(place)]
        print(sentence(total) + where(places))
