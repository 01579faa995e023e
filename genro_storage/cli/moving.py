"""``mv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ..exceptions import StorageUnsupportedError
from .destinations import Sources, Target, destinations
from .options import Json
from .output import print_json, shown
from .streams import STREAM

if TYPE_CHECKING:
    from .targets import Session

__all__ = ["mv"]


def mv(
    ctx: typer.Context,
    sources: Sources,
    dest: Target,
    as_json: Json = False,
) -> None:
    """Move or rename files and directories.

    What goes inside DEST is as for cp. The source goes only after everything has arrived. A file
    at the target is replaced. A mount in memory is refused: it ends with the command.
    """
    session: Session = ctx.obj
    if STREAM in (*sources, dest):
        raise typer.BadParameter(
            "- is standard input and output, which cp copies from and to; a file of that name is "
            "written ./-",
            param_hint="DEST" if dest == STREAM else "SOURCE",
        )
    moved: list[dict[str, str]] = []
    # The root of a mount cannot be moved.
    for node, target in destinations(session, sources, dest, merging=None):
        with session.attempt():
            mount = target._mount
            is_content = mount.capabilities.path_is_content
            if mount.capabilities.temporary and not is_content:
                raise StorageUnsupportedError(
                    f"{target.fullpath}: {mount.label('')} is kept in memory, and gone when this "
                    "command ends; nothing is moved there",
                    node=target.fullpath,
                )
            node.rename(target)
            moved.append({"source": node.fullpath, "target": target.fullpath})
            if is_content and not as_json:
                print(f"{shown(node.fullpath)} is at {shown(target.fullpath)} now")
    if as_json:
        print_json({"moved": moved})
