"""Commits made straight in the object database of a repository, of any content and any names."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pygit2
from pygit2.enums import ObjectType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Link", "Submodule", "commit", "make_repository", "raw_commit"]


@dataclass(frozen=True)
class Link:
    """A symbolic link that says this."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """The commit of another repository."""

    commit: str


Content = bytes | Link | Submodule | None
_Tree = dict[bytes, tuple[int, pygit2.Oid]]


def make_repository(path: Path, *, bare: bool = True) -> pygit2.Repository:
    """A repository without commits, whose branch will be ``main``."""
    return pygit2.init_repository(str(path), bare=bare, initial_head="main")


def commit(
    repository: pygit2.Repository,
    changes: Mapping[str, Content],
    *,
    branch: str = "main",
    when: int | None = None,
    parents: list[str] | None = None,
) -> str:
    """Commit these changes (None removes) on top of a branch; the id of the new commit."""
    name = f"refs/heads/{branch}"
    if parents is None:
        head = repository.references.get(name)
        parents = [] if head is None else [str(head.target)]
    base = repository[parents[0]].peel(pygit2.Commit).tree_id if parents else None
    pieces = {
        tuple(part.encode("utf-8", "surrogateescape") for part in path.split("/")): content
        for path, content in changes.items()
    }
    tree = _write(repository, base, pieces)
    made = raw_commit(repository, tree, parents, when)
    repository.references.create(name, made, force=True)
    return made


def raw_commit(
    repository: pygit2.Repository, tree: pygit2.Oid, parents: list[str], when: int | None = None
) -> str:
    """A commit that no branch leads to."""
    author = pygit2.Signature("A", "a@example.org", int(time.time() if when is None else when), 0)
    return str(repository.create_commit(None, author, author, "a change", tree, parents))


def _write(
    repository: pygit2.Repository,
    base: pygit2.Oid | None,
    changes: Mapping[tuple[bytes, ...], Content],
) -> pygit2.Oid:
    entries: _Tree = {}
    if base is not None:
        for each in repository[base].peel(pygit2.Tree):
            entries[each.raw_name] = int(each.filemode), each.id
    below: dict[bytes, dict[tuple[bytes, ...], Content]] = {}
    for path, content in changes.items():
        if len(path) > 1:
            below.setdefault(path[0], {})[path[1:]] = content
        elif content is None:
            entries.pop(path[0], None)
        elif isinstance(content, Link):
            target = content.target.encode("utf-8", "surrogateescape")
            entries[path[0]] = 0o120000, repository.create_blob(target)
        elif isinstance(content, Submodule):
            entries[path[0]] = 0o160000, pygit2.Oid(hex=content.commit)
        else:
            entries[path[0]] = 0o100644, repository.create_blob(content)
    for name, inner in below.items():
        mode, id_ = entries.get(name, (0, None))
        made = _write(repository, id_ if mode == 0o40000 else None, inner)
        entries[name] = 0o40000, made
        if not len(repository[made].peel(pygit2.Tree)):
            del entries[name]
    ordered = sorted(entries.items(), key=lambda each: _key(each[0], each[1][0]))
    raw = b"".join(b"%o %s\0%s" % (mode, name, id_.raw) for name, (mode, id_) in ordered)
    return repository.odb.write(ObjectType.TREE, raw)


def _key(name: bytes, mode: int) -> bytes:
    return name + b"/" if mode == 0o40000 else name
