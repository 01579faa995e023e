"""Repositories of this machine, opened through libgit2, and one commit of them as a tree."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import TYPE_CHECKING, cast

from ..errors import RootNotFoundError
from ..remote import missing_extra
from .trees import EMPTY_TREE, Entry, Found, Snapshot, kind_of

if TYPE_CHECKING:
    from collections.abc import Generator

    import pygit2

__all__ = ["GitSnapshot", "Repository", "raw", "text"]


def raw(name: str) -> bytes:
    """A name as git holds it: bytes, which need not be UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def text(name: bytes) -> str:
    """The name that ``raw`` makes these bytes of."""
    return name.decode("utf-8", "surrogateescape")


class Repository:
    """One open repository for each thread: libgit2's objects belong to the thread that made them.

    Everything that libgit2 raises comes out of ``opened`` as an exception of the standard library.
    """

    def __init__(self, path: str, mount: str) -> None:
        self.path = path
        self._mount = mount
        self._local = threading.local()

    @contextlib.contextmanager
    def opened(self) -> Generator[pygit2.Repository]:
        try:
            import pygit2
        except ImportError as error:
            raise missing_extra(error, self._mount, "git", "git") from error
        try:
            yield self._of_this_thread()
        except pygit2.GitError as error:
            raise OSError(errno.EIO, f"the repository cannot be read: {error}") from error
        except KeyError as error:
            raise OSError(
                errno.EIO,
                f"the object {error} is not in the repository, which is damaged or a partial clone",
            ) from error

    def _of_this_thread(self) -> pygit2.Repository:
        found: pygit2.Repository | None = getattr(self._local, "repository", None)
        if found is None or not os.path.exists(found.path):
            found = self._local.repository = self._open()
        return found

    def _open(self) -> pygit2.Repository:
        import pygit2
        from pygit2.enums import RepositoryOpenFlag

        try:
            return pygit2.Repository(self.path, RepositoryOpenFlag.NO_SEARCH)
        except pygit2.GitError as error:
            raise self._explained(str(error)) from error

    def _explained(self, said: str) -> OSError:
        if "not owned by" in said:
            return PermissionError(
                errno.EACCES,
                f"the repository {self.path!r} belongs to another user, and git trusts no such "
                f"one; run: git config --global --add safe.directory {self.path}",
            )
        if not os.path.isdir(self.path):
            return RootNotFoundError(
                f"the repository {self.path!r} does not exist; clone it there, or correct 'path'"
            )
        if "not found" in said.lower():
            if not os.access(self.path, os.R_OK | os.X_OK):
                return PermissionError(
                    errno.EACCES, f"the directory {self.path!r} may not be read by this user"
                )
            return RootNotFoundError(
                f"the directory {self.path!r} is not a git repository; correct 'path'"
            )
        return OSError(errno.EIO, f"the repository {self.path!r} cannot be opened: {said}")

    def forget(self) -> None:
        """Close what is open, as soon as nobody uses it any more."""
        self._local = threading.local()


class GitSnapshot(Snapshot):
    """One commit. Any thread may use it: it opens what it needs in the thread that asks."""

    def __init__(self, place: Repository, commit: str | None, tree: str) -> None:
        super().__init__(commit, tree)
        self._place = place
        #: Set where a whole tree is about to be listed: the times in each directory of it.
        self.times: dict[str, dict[bytes, int]] | None = None
        self.whole: str | None = None

    def entries(self, tree: str) -> list[Entry]:
        if tree == EMPTY_TREE:
            return []
        with self._place.opened() as repository:
            listed = cast("pygit2.Tree", repository[tree])
            return [_entry(each) for each in listed]

    def entry(self, tree: str, name: str) -> Entry | None:
        if tree == EMPTY_TREE:
            return None
        with self._place.opened() as repository:
            listed = cast("pygit2.Tree", repository[tree])
            return _entry(listed[name]) if name in listed else None

    def link_target(self, entry: Entry) -> str:
        with self._place.opened() as repository:
            return text(cast("pygit2.Blob", repository[entry.id]).data)

    def size(self, entry: Entry) -> int | None:
        with self._place.opened() as repository:
            try:
                # The header: a blob's own size would unpack the whole content.
                return int(repository.odb.read_header(entry.id)[1])
            except KeyError:  # a partial clone knows the name and not the content
                return None

    def prepare(self, found: Found, *, pruned: bool) -> None:
        # Of a few directories the times are found sooner one by one: history is longer for all.
        self.whole = None if pruned else found.path


def _entry(found: pygit2.Object) -> Entry:
    return Entry(text(found.raw_name or b""), kind_of(int(found.filemode or 0)), str(found.id))
