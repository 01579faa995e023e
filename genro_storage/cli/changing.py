"""``rm``, ``mkdir`` and ``cleanup``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from .. import paths
from ..exceptions import (
    MountNotFoundError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from .listing import walk
from .options import DryRun, Json, Paths, duration
from .output import print_json, shown

if TYPE_CHECKING:
    from ..info import CleanupCount
    from ..node import StorageNode
    from .targets import Session

__all__ = ["cleanup", "mkdir", "rm"]


def rm(
    ctx: typer.Context,
    paths: Paths,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Directories with all that is in them.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="A PATH that is missing is no error.")
    ] = False,
    root: Annotated[
        bool, typer.Option("--root", help="With -r: empty a whole mount (its root stays).")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove files, and directories with -r.

    Nothing is asked. A link is removed, not what it leads to. The home directory, the current
    one, and what holds them are refused.
    """
    session: Session = ctx.obj
    removed: list[str] = []
    for text in paths:
        with session.attempt():
            node = session.resolve(text)
            if not _may_be_removed(node, recursive=recursive, force=force, root=root):
                continue
            if dry_run:
                removed += _would_remove(session, node, silent=as_json)
            elif not _is_root(node):
                node.delete()
            else:
                node.delete(root=True)
            if not dry_run:
                removed.append(node.fullpath)
    if as_json:
        print_json({"dry_run": dry_run, "removed": removed})


def _may_be_removed(node: StorageNode, *, recursive: bool, force: bool, root: bool) -> bool:
    """False where there is nothing to remove; raises where it is refused."""
    name = node.fullpath
    node._mount.require_delete(node._path)
    try:
        info = node._look()
    except StorageNotFoundError:
        if force:
            return False
        raise
    if _is_root(node):
        if not node._manager.has_mount(node._mount.name) or node._mount.shown is not None:
            raise StoragePermissionError(
                f"{name}: refusing to remove it; name it by its own name", node=name
            )
        if not (root and recursive):
            raise StoragePermissionError(
                f"{name}: is the root of a mount; -r --root empties the whole mount", node=name
            )
    elif info.symlink:
        return True  # only the link goes
    elif info.is_dir:
        _refuse_what_people_stand_on(node)
        if not recursive:
            raise StorageIsDirectoryError(
                f"{name}: is a directory; -r removes it with everything in it", node=name
            )
    return True


def _is_root(node: StorageNode) -> bool:
    return not paths.physical(node._path)


def _refuse_what_people_stand_on(node: StorageNode) -> None:
    """Nobody means the home directory, the current one, or what holds them; a slip does."""
    real = node.resolved_path
    if real is None:
        return
    real = os.path.realpath(real)
    for place, what in (
        (os.path.expanduser("~"), "your home directory"),
        (os.getcwd(), "the current directory"),
    ):
        if os.path.commonpath([real, os.path.realpath(place)]) == real:
            raise StoragePermissionError(
                f"{node.fullpath}: refusing to remove it, because it is or holds {what}",
                node=node.fullpath,
            )


def _would_remove(session: Session, node: StorageNode, *, silent: bool) -> list[str]:
    mount, path = node._mount, node._path
    found = [node.fullpath] if node.name else []
    info = node._look()
    if info.is_dir and not info.symlink:
        found += [mount.label(info.path) for info, _ in walk(mount, path, session.report)]
    if not silent:
        for name in found:
            print(f"would remove {shown(name)}")
    return found


def mkdir(
    ctx: typer.Context,
    paths: Paths,
    parents: Annotated[
        bool,
        typer.Option(
            "--parents", "-p", help="Make what is missing above; one that is there is no error."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make directories."""
    session: Session = ctx.obj
    made: list[str] = []
    for text in paths:
        with session.attempt():
            node = session.resolve(text)
            if not node.name:
                if _is_there(node, exist_ok=parents):
                    continue
                raise StorageExistsError(f"{node.fullpath}: is there already", node=node.fullpath)
            try:
                node.mkdir(parents=parents, exist_ok=parents)
            except StorageNotFoundError as error:
                told = error.message.replace("parents=True makes it", "-p makes it")
                raise StorageNotFoundError(told, node=error.node) from error
            made.append(node.fullpath)
    if as_json:
        print_json({"directories": made})


def _is_there(root: StorageNode, *, exist_ok: bool) -> bool:
    """False where that is an error; a root that is missing is one, and made by nobody here.

    Who may write and not list cannot know, and needs not to.
    """
    try:
        root._mount.check()
    except (StoragePermissionError, StorageUnsupportedError):
        if not exist_ok:
            raise
    return exist_ok


def cleanup(
    ctx: typer.Context,
    mount: Annotated[str, typer.Argument(metavar="MOUNT", help="The name of a mount.")],
    older_than: Annotated[
        float,
        typer.Option(
            "--older-than", parser=duration, metavar="DURATION", help="Leave newer ones: 30, 1h …"
        ),
    ] = 3600.0,
    as_json: Json = False,
) -> None:
    """Remove what killed writers left in a mount.

    Those are temporary files that no listing shows, and unfinished uploads to object stores. Only where the files are on this machine can one
    see that a living writer holds one, which then stays; elsewhere nothing but its age tells.
    """
    session: Session = ctx.obj
    name = mount.removesuffix(":")
    if not session.manager.has_mount(name) and ":" in name:
        raise MountNotFoundError(f"{mount}: give the name of a mount, without a path", node=mount)
    count = session.manager.cleanup(name, older_than)
    if as_json:
        named = {"names": count.names, "left_names": count.left_names}
        print_json({"mount": name, "removed": count, "left": count.left, **named})
        return
    for word, names in (("removed", count.names), ("left", count.left_names)):
        for each in names:
            print(f"{word} an unfinished upload of {shown(f'{name}:{each}')}")
    left = ""
    if count.left:
        is_left = "1 is" if count.left == 1 else f"{count.left} are"
        left = (
            f"; {is_left} left, being younger than {older_than:g} s: a writer may be at work. "
            "--older-than takes younger ones"
        )
    print(_removed(count) + left)


def _removed(count: CleanupCount) -> str:
    """In the words for what there was: where both kinds may be, files of a name are none."""
    if not (count or count.left):
        return "nothing to remove"
    uploads = len(count.names) + len(count.left_names) == count + count.left
    what = "unfinished upload" if uploads else "temporary file"
    return f"{int(count)} {what}{'' if count == 1 else 's'} removed"
