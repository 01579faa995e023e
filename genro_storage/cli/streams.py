"""``cp - a:x`` and ``cp a:x -``: standard input and output in the place of a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from ..exceptions import StorageIsDirectoryError
from .output import shown

if TYPE_CHECKING:
    from ..node import StorageNode
    from .targets import Session

__all__ = ["STREAM", "copy_stream", "write_out"]

#: Standard input as a source, standard output as a target; a file of that name is ``./-``.
STREAM = "-"
_BLOCK = 1024 * 1024


def copy_stream(
    session: Session, sources: list[str], dest: str, *, skip: str, dry_run: bool, quiet: bool
) -> tuple[int, int, str | None]:
    """Copy from standard input, or to standard output; how many files and bytes.

    And the path of the copy, where its content has decided that.
    """
    if dest == STREAM:
        return *_to_output(session, sources, dry_run=dry_run, quiet=quiet), None
    if len(sources) > 1:
        raise typer.BadParameter("standard input (-) is the only source", param_hint="SOURCE")
    if skip != "never":
        raise typer.BadParameter(
            "nothing is known of standard input (-) to compare it by", param_hint="--skip"
        )
    return _from_input(session, dest, dry_run=dry_run, quiet=quiet)


def _from_input(
    session: Session, dest: str, *, dry_run: bool, quiet: bool
) -> tuple[int, int, str | None]:
    node = session.resolve(dest)
    if dest.endswith("/") or not node.name or node.isdir:
        raise StorageIsDirectoryError(
            f"{node.fullpath}: is a directory; standard input has no name, so name the file in it",
            node=node.fullpath,
        )
    if dry_run:
        if not quiet:
            print(f"would copy {STREAM} -> {shown(node.fullpath)}")
        return 1, 0, None
    path, count = node.path, 0
    # Whatever goes wrong in the block, nothing of the file is kept.
    with node.open("wb") as stream:
        while chunk := sys.stdin.buffer.read(_BLOCK):
            stream.write(chunk)
            count += len(chunk)
    return 1, count, None if node.path == path else node.path


def _to_output(
    session: Session, sources: list[str], *, dry_run: bool, quiet: bool
) -> tuple[int, int]:
    files = count = 0
    for text in sources:
        with session.attempt():
            if text == STREAM:
                raise typer.BadParameter("a copy from - to - is none", param_hint="DEST")
            node = session.resolve(text)
            if dry_run:
                node._look()
                if not quiet:
                    print(f"would copy {shown(node.fullpath)} -> {STREAM}")
            else:
                count += write_out(node)
            files += 1
    return files, count


def write_out(node: StorageNode) -> int:
    """Write a file to standard output; how many bytes."""
    count = 0
    sys.stdout.flush()
    with node.open("rb") as stream:
        while chunk := stream.read(_BLOCK):
            sys.stdout.buffer.write(chunk)
            count += len(chunk)
    sys.stdout.buffer.flush()
    return count
