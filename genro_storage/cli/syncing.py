"""``sync``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import StorageError
from .filters import FilterOptions
from .grouped import grouped
from .streams import STREAM
from .transfer import Run, Skip, TransferOptions, in_options

if TYPE_CHECKING:
    from .targets import Session

__all__ = ["sync"]


@grouped
def sync(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A directory, or a file.")],
    dest: Annotated[str, typer.Argument(metavar="DEST", help="What becomes like it.")],
    skip: Skip = "mtime",
    delete: Annotated[
        bool, typer.Option("--delete", help="A mirror: remove what SOURCE has not.")
    ] = False,
    max_delete: Annotated[
        int | None,
        typer.Option("--max-delete", min=0, metavar="N", help="Remove at most so many files."),
    ] = None,
    filters: FilterOptions = FilterOptions(),
    options: TransferOptions = TransferOptions(),
) -> None:
    """Bring DEST up to date with SOURCE.

    As cp, but DEST is always what becomes like SOURCE, never where it goes inside, and a file of the
    same size and time is left alone. Nothing is asked: look with --dry-run first, which lists what
    would be copied and what would be removed.

    With --delete, what only DEST has is removed after everything has arrived. What a mirror never
    does: remove anything where a listing broke off or a file could not be copied; remove more than
    --max-delete files (then it removes none); take an empty SOURCE for a reason to remove
    everything, unless --max-delete says how much may go; remove what the filters leave out; follow
    a link (the link goes, what it leads to stays).
    """
    session: Session = ctx.obj
    for hint, given in (("SOURCE", source), ("DEST", dest)):
        if given == STREAM:
            raise typer.BadParameter(
                "- is standard input or output, which cp copies from and to; a file of that name "
                "is written ./-",
                param_hint=hint,
            )
    if max_delete is not None and not delete:
        raise typer.BadParameter("nothing is removed without --delete", param_hint="--max-delete")
    chosen = filters.keywords()
    with Run(session, options, alone=True) as run, session.attempt():
        try:
            run.carry_out(
                session.resolve(source),
                session.resolve(dest),
                skip=skip,
                delete=delete,
                max_delete=max_delete,
                **chosen,
            )
        except StorageError as error:
            error.message = in_options(error.message)
            raise
