"""``cp - a:x`` and ``cp a:x -``: standard input and output in the place of a file."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING, Any

import typer

from ..exceptions import StorageIOError, StorageIsDirectoryError, StoragePermissionError
from ..transfer import PlanSummary, TransferReport
from .output import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..node import StorageNode
    from .targets import Session

__all__ = ["STREAM", "copy_stream", "is_directory", "write_out"]

#: Standard input as a source, standard output as a target; a file of that name is ``./-``.
STREAM = "-"
_BLOCK = 1024 * 1024


def copy_stream(
    session: Session,
    sources: list[str],
    dest: str,
    *,
    skip: str,
    refused: Mapping[str, str],
    dry_run: bool,
    quiet: bool,
) -> TransferReport | PlanSummary:
    """Copy from standard input, or to standard output; with ``dry_run`` only say so.

    ``refused`` are options that were given and mean nothing here, each with the reason.
    """
    for option, why in refused.items():
        raise typer.BadParameter(why, param_hint=option)
    if dest == STREAM:
        if STREAM in sources:
            raise typer.BadParameter("a copy from - to - is none", param_hint="DEST")
        if skip != "never":
            raise typer.BadParameter(
                "standard output (-) has no file to compare with", param_hint="--skip"
            )
        return _to_output(session, sources, dry_run=dry_run, quiet=quiet)
    if len(sources) > 1:
        raise typer.BadParameter("standard input (-) is the only source", param_hint="SOURCE")
    if skip != "never":
        raise typer.BadParameter(
            "nothing is known of standard input (-) to compare it by", param_hint="--skip"
        )
    return _from_input(session, dest, dry_run=dry_run, quiet=quiet)


def _from_input(
    session: Session, dest: str, *, dry_run: bool, quiet: bool
) -> TransferReport | PlanSummary:
    node = session.resolve(dest)
    if dest.endswith("/") or not node.name or is_directory(node):
        raise StorageIsDirectoryError(
            f"{node.fullpath}: is a directory; standard input has no name, so name the file in it",
            node=node.fullpath,
        )
    if dry_run:
        if not quiet:
            print(f"would copy {STREAM} -> {shown(node.fullpath)}")
        return PlanSummary(to_copy=1)
    path, count = node.path, 0
    # Whatever goes wrong in the block, nothing of the file is kept.
    with node.open("wb") as stream:
        for chunk in _blocks():
            stream.write(chunk)
            count += len(chunk)
    new_path = None if node.path == path else node.path
    return TransferReport(copied=1, bytes_copied=count, new_path=new_path)


def is_directory(node: StorageNode) -> bool:
    """Whether it is one; who may write and not look cannot know, and writes."""
    try:
        return node.isdir
    except StoragePermissionError:
        return False


def _blocks() -> Iterator[bytes]:
    """Standard input to its end; ``StorageIOError`` where that cannot be read."""
    given: Any = sys.stdin
    if given is None:
        raise StorageIOError("reading standard input: it is closed")
    # Below the buffer, which cannot tell an end from a pause in what does not block.
    raw = getattr(given.buffer, "raw", given.buffer)
    try:
        while chunk := _read(raw):
            yield chunk
    except OSError as error:
        raise StorageIOError(
            f"reading standard input: {error.strerror or error}", errno=error.errno
        ) from error


def _read(raw: Any) -> bytes:
    """The next bytes, at the end none; waits for them where another program has said not to."""
    while (chunk := raw.read(_BLOCK)) is None:
        select.select([raw], [], [])
    return bytes(chunk)


def _to_output(
    session: Session, sources: list[str], *, dry_run: bool, quiet: bool
) -> TransferReport | PlanSummary:
    files = count = 0
    for text in sources:
        with session.attempt():
            node = session.resolve(text)
            if not dry_run:
                count += write_out(node)
            else:
                count += node._look().size or 0
                if not quiet:
                    print(f"would copy {shown(node.fullpath)} -> {STREAM}")
            files += 1
    if dry_run:
        return PlanSummary(to_copy=files, bytes_to_copy=count)
    return TransferReport(copied=files, bytes_copied=count)


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
