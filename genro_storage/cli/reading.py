"""``cat``, ``stat`` and ``hash``."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import StorageError
from .configuring import permissions
from .options import Json, Paths, Version, at_version, entry
from .output import age, print_json, print_table, shown, size, utc
from .streams import write_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..info import FileInfo
    from ..node import StorageNode
    from .targets import Session

__all__ = ["cat", "hash", "stat"]


def cat(
    ctx: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files.")],
    version: Version = None,
) -> None:
    """Write files to standard output, byte for byte."""
    session: Session = ctx.obj
    for text in paths:
        with session.attempt():
            write_out(at_version(session, text, version))


def stat(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or directory.")],
    as_json: Json = False,
) -> None:
    """Show all that is known about a file or directory.

    That includes what its mount can do.
    """
    session: Session = ctx.obj
    node = session.resolve(path)
    info = node._look()
    mount = node._mount
    metadata = node.get_metadata() if info.type == "file" else {}
    checksum = mount.checksum(info) if info.type == "file" else None
    if checksum is not None:
        info = info._replace(checksum=checksum)
    if as_json:
        can = {name: flag for name, flag in vars(mount.capabilities).items() if flag}
        print_json(
            entry(
                mount,
                info,
                metadata=metadata,
                local_path=_local_path(node),
                permissions=permissions(mount),
                capabilities=sorted(can),
            )
        )
        return
    rows = [
        ("path", mount.fullpath(info.path)),
        ("type", info.type),
        ("size", _full_size(info.size)),
        ("modified", f"{utc(info.mtime)} ({age(info.mtime)})" if info.mtime else "unknown"),
        ("etag", info.etag or ""),
        ("checksum", "" if info.checksum is None else ":".join(info.checksum)),
        ("content type", info.content_type or ""),
        ("version", info.version or ""),
        ("local path", _local_path(node) or ""),
        *((f"metadata {name}", value) for name, value in metadata.items()),
        ("permissions", permissions(mount)),
        ("mount can", str(mount.capabilities)),
    ]
    print_table(("", ""), [row for row in rows if row[1]])


def _full_size(count: int | None) -> str:
    if count is None:
        return ""
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    return f"{size(count)} ({count} bytes)"


def _local_path(node: StorageNode) -> str | None:
    try:
        return node.resolved_path
    except StorageError:
        return None  # a link that leads out of its mount has none that may be used


# -- hash -----------------------------------------------------------------------------------------


def hash(  # noqa: A001 - the command's name
    ctx: typer.Context,
    paths: Paths,
    algorithm: Annotated[
        str, typer.Option("--algorithm", "-a", metavar="NAME", help="md5, sha1, sha256 ...")
    ] = "md5",
    tree_only: Annotated[
        bool, typer.Option("--tree", help="For a directory, only the digest of the whole.")
    ] = False,
    relative: Annotated[
        bool, typer.Option("--relative", help="Names as seen from the PATH, for md5sum -c there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print digests of files, in the format of md5sum and its kin.

    Those know no mounts: what md5sum -c is to check is named by local paths, or by --relative
    names in the directory itself.

    A directory gives one line for each file below it and, as a comment that md5sum -c passes
    over, one digest of the whole: that of the lines "name NUL digest LF", sorted by the bytes of
    the names as seen from the directory. Equal trees have equal digests on every mount.
    """
    if not _is_fixed_length(algorithm):
        raise typer.BadParameter(
            f"unknown algorithm {algorithm!r}; known: {', '.join(_algorithms())}",
            param_hint="--algorithm",
        )
    session: Session = ctx.obj
    if relative:
        _refuse_two_directories(session, paths)
    files: list[dict[str, Any]] = []
    trees: list[dict[str, Any]] = []
    for text in paths:
        with session.attempt():
            node = session.resolve(text)
            info = node._look()
            found: dict[bytes, str] = {}
            for name, file in _files(session, node, info):
                with session.attempt():
                    digest = file.digest(algorithm)
                    found[name.encode("utf-8", "surrogateescape")] = digest
                    told = (name or node.name) if relative else file.fullpath
                    if as_json:
                        files.append({"path": told, "digest": digest})
                    elif not (tree_only and info.is_dir):
                        print(_line(digest, told))
            if info.is_dir:
                whole = _tree_digest(found, algorithm)
                trees.append({"path": node.fullpath, "digest": whole, "files": len(found)})
                if not as_json:
                    line = _line(whole, node.fullpath)
                    print(line if tree_only else f"# tree {line}")
    if as_json:
        document = {"algorithm": algorithm, "files": [] if tree_only else files, "trees": trees}
        print_json(document)


def _refuse_two_directories(session: Session, paths: list[str]) -> None:
    """Names as seen from two places would be mixed, and one list can be checked in one place only."""
    directories = 0
    for text in paths if len(paths) > 1 else ():
        with contextlib.suppress(StorageError):  # which is reported where its turn comes
            directories += session.resolve(text).isdir
    if directories > 1:
        raise typer.BadParameter(
            "the names are as seen from one directory; give one at a time", param_hint="--relative"
        )


def _algorithms() -> list[str]:
    return sorted(filter(_is_fixed_length, hashlib.algorithms_available))


def _is_fixed_length(name: str) -> bool:
    try:
        return hashlib.new(name, usedforsecurity=False).digest_size > 0
    except ValueError:
        return False


def _files(
    session: Session, node: StorageNode, info: FileInfo
) -> Iterator[tuple[str, StorageNode]]:
    """The files of a tree by their names in it; what cannot be read is a failure."""
    if not info.is_dir:
        yield "", node
        return
    mount = node._mount.bind()
    start = len(node._path) + 1 if node._path else 0
    for below in mount.find(node._path):
        if below.type == "file":
            yield below.path[start:], node._derive(below.path, below)
        elif below.type != "directory":
            what = "a link that leads nowhere, out or in circles"
            kind = what if below.type == "link" else "no regular file"
            session.complain(f"{mount.label(below.path)}: {kind}; it has no digest")


def _tree_digest(found: dict[bytes, str], algorithm: str) -> str:
    total = hashlib.new(algorithm, usedforsecurity=False)
    for name, digest in sorted(found.items()):
        total.update(name + b"\0" + digest.encode("ascii") + b"\n")
    return total.hexdigest()


def _line(digest: str, name: str) -> str:
    """As GNU coreutils print it: a name with a line end or a backslash is escaped, and says so."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{digest}  {shown(escaped)}"
