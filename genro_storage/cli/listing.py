"""``ls`` and ``tree``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from ..exceptions import StorageError
from ..paths import order_key
from ..places import not_there_yet
from ..transfer import Filters
from . import configuring
from .options import Json, entry
from .output import age, amount, paint, print_json, shown, size, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..info import FileInfo
    from ..mount import Mount
    from ..node import StorageNode
    from .targets import Session

__all__ = ["Step", "ls", "tree", "walk"]

_SORTS: dict[str, Callable[[FileInfo], Any]] = {
    "name": lambda info: info.path,
    "size": lambda info: (-(info.size or 0), info.path),
    "time": lambda info: (-(info.mtime or 0.0), info.path),
}
_MARKS = {"directory": "/", "link": "@", "other": "?"}


class Step(NamedTuple):
    """One entry of a tree; ``last`` says for each level whether nothing follows on it."""

    info: FileInfo
    last: tuple[bool, ...]


def walk(
    mount: Mount,
    path: str,
    on_error: Callable[[StorageError], object],
    *,
    depth: int | None = None,
    keep: Callable[[FileInfo], bool] = lambda _: True,
) -> Iterator[Step]:
    """Everything below a directory, down to ``depth``; links to directories are not entered.

    A directory that cannot be listed goes to ``on_error``, and the walk goes on.
    """
    mount = mount.bind()
    levels: list[tuple[list[FileInfo], tuple[bool, ...]]] = []

    def enter(directory: str, above: tuple[bool, ...]) -> None:
        try:
            listed = sorted(filter(keep, mount.scan(directory)), key=order_key, reverse=True)
        except StorageError as error:
            on_error(error)
        else:
            levels.append((listed, above))

    enter(path, ())
    while levels:
        waiting, above = levels[-1]
        if not waiting:
            levels.pop()
            continue
        info = waiting.pop()
        step = Step(info, (*above, not waiting))
        yield step
        deep_enough = depth is not None and len(step.last) >= depth
        if info.type == "directory" and not deep_enough and not info.symlink:
            enter(info.path, step.last)


# -- ls -------------------------------------------------------------------------------------------


def ls(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Files or directories.")
    ] = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Also sizes and ages.")] = False,
    exact: Annotated[
        bool, typer.Option("--exact", "-x", help="With -l: bytes, and times in UTC.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="Everything below, too.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="PATTERN", help="Only what matches; may be repeated."),
    ] = None,
    sort: Annotated[
        Literal["name", "size", "time"],
        typer.Option("--sort", "-s", help="Biggest or newest first with size or time."),
    ] = "name",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")] = False,
    as_json: Json = False,
) -> None:
    """List directories and files; without PATH, the mounts.

    Names that start with a dot are shown like all others. A directory ends in /, a link that
    leads nowhere in @. A PATTERN is matched against the path inside the directory, and * matches
    / too. With --json: one line for each entry.
    """
    session: Session = ctx.obj
    if not paths:
        if include:
            raise typer.BadParameter(
                "it chooses among what is in a directory: give its PATH", param_hint="--include"
            )
        configuring.mounts(ctx, as_json=as_json)
        return
    filters = Filters(include)
    order = None if recursive and sort == "name" and not reverse else _SORTS[sort]
    for number, text in enumerate(paths):
        with session.attempt():
            node = session.resolve(text)
            info = node._look()
            infos: Iterable[FileInfo] = (info,)
            if info.type == "directory":
                infos = _below(session, node, recursive=recursive)
                if filters:
                    infos = (each for each in infos if _is_wanted(filters, node, each))
                if order is not None:
                    infos = sorted(infos, key=order, reverse=reverse)
                if len(paths) > 1 and not as_json:
                    heading = shown(node.fullpath).removesuffix(":")
                    print(f"{'' if number == 0 else chr(10)}{heading}:")
            elif filters.leaves_out(node.name):
                continue
            if (
                not _print_entries(node, infos, long=long, exact=exact, as_json=as_json)
                and not filters
            ):
                _note_why_empty(session, node)


def _is_wanted(filters: Filters, node: StorageNode, info: FileInfo) -> bool:
    start = len(node._path) + 1 if node._path else 0
    return not filters.leaves_out(info.path[start:])


def _below(session: Session, node: StorageNode, *, recursive: bool) -> Iterator[FileInfo]:
    mount, path = node._mount, node._path
    if not recursive:
        yield from mount.scan(path)
    elif mount.capabilities.symbolic_links:
        for step in walk(mount, path, session.report):
            yield step.info
    else:
        yield from mount.find(path)  # an object store lists the whole tree at once


def _print_entries(
    node: StorageNode, infos: Iterable[FileInfo], *, long: bool, exact: bool, as_json: bool
) -> bool:
    """Whether there were any."""
    mount, path = node._mount, node._path
    start = len(path) + 1 if path else 0
    some = False
    for info in infos:
        some = True
        if as_json:
            print_json(entry(mount, info), line=True)
            continue
        # What was named itself is shown as it was named, what is below by its name there.
        name = info.path[start:] if info.path != path else node.fullpath
        text = paint(shown(name), info.type) + _MARKS.get(info.type, "")
        if not long:
            print(text)
        elif exact:
            count = "-" if info.size is None else str(info.size)
            print(f"{count:>15}  {utc(info.mtime):20}  {text}")
        else:
            print(f"{size(info.size):>6}  {age(info.mtime):>6}  {text}")
    return some


def _note_why_empty(session: Session, node: StorageNode) -> None:
    """An archive that its first file will make looks like an empty one, or like a slip in a name."""
    why = not_there_yet(node._mount)
    if why:
        session.note(f"{node._mount.label('')} is empty: {why}")


# -- tree -----------------------------------------------------------------------------------------


def tree(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A directory.")],
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=1, metavar="N", help="Levels to go down.")
    ] = None,
    dirs_only: Annotated[bool, typer.Option("--dirs-only", help="Leave files out.")] = False,
    as_json: Json = False,
) -> None:
    """Draw a directory with everything below it.

    Links to directories are shown and not entered. With --json: one line for each entry, with
    its depth.
    """
    session: Session = ctx.obj
    node = session.resolve(path)
    root = node._look()
    mount = node._mount
    if not as_json:
        print(paint(shown(node.fullpath), root.type))
    files = directories = total = 0
    before = session.reported
    steps: Iterable[Step] = ()
    if root.type == "directory":

        def keep(info: FileInfo) -> bool:
            return not dirs_only or info.type == "directory"

        steps = walk(mount, node._path, session.report, depth=depth, keep=keep)
    guides = _guides()
    for info, last in steps:
        if info.type == "directory":
            directories += 1
        else:
            files += 1
            total += info.size or 0
        if as_json:
            print_json(entry(mount, info, depth=len(last)), line=True)
            continue
        branch = "".join(guides[0] if ended else guides[1] for ended in last[:-1])
        branch += guides[2] if last[-1] else guides[3]
        text = paint(shown(info.name), info.type) + _MARKS.get(info.type, "")
        detail = f"  {paint(_amount(info), 'faint')}" if info.type == "file" else ""
        print(f"{paint(branch, 'faint')}{text}{detail}")
    if not as_json:
        counts = _plural(directories, "directory", "directories")
        if not dirs_only:
            counts += f", {_plural(files, 'file', 'files')}, {amount(total)}"
        unseen = session.reported - before
        if unseen:
            counts += f"; {_plural(unseen, 'directory', 'directories')} could not be listed"
        print(f"\n{counts}")
    if not (files or directories):
        _note_why_empty(session, node)


def _amount(info: FileInfo) -> str:
    return "-" if info.size is None else amount(info.size)


def _guides() -> tuple[str, str, str, str]:
    try:
        "│├└─".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "    ", "|   ", "`-- ", "|-- "
    return "    ", "│   ", "└── ", "├── "


def _plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
