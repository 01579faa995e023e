"""Local git repositories, bare or with a working tree, through libgit2.

What is shown is a commit, never the working tree. Nothing is written, and nothing of the
repository is run: no hook, no filter, no command of its configuration.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from ...info import FileInfo, FileVersion
from ..errors import RootNotFoundError
from ..positioned import PositionedStream
from .history import file_changes, moment
from .objects import GitSnapshot, Repository, raw, text
from .times import Times
from .trees import EMPTY_TREE, Entry, Found, Snapshot, TreeBackend

if TYPE_CHECKING:
    from pathlib import Path

    import pygit2

__all__ = ["GitBackend"]

#: Names of branches and of tags in the message about a ref that is not there.
_SHOWN = 10
_HEX = frozenset("0123456789abcdef")


class GitBackend(TreeBackend):
    """One ref of a repository at a local path."""

    address_is_sure: ClassVar[bool] = True

    def __init__(
        self, path: str, ref: str = "HEAD", *, prefix: str = "", times: bool = True, mount: str = ""
    ) -> None:
        super().__init__(prefix)
        self._place = Repository(path, mount)
        self._ref = ref
        self._times = Times(self._place) if times else None

    # -- commits ------------------------------------------------------------------------------

    def _resolve(self) -> GitSnapshot:
        with self._place.opened() as repository:
            return self._shown(self._head(repository))

    def _shown(self, commit: pygit2.Commit | None) -> GitSnapshot:
        if commit is None:
            return GitSnapshot(self._place, None, EMPTY_TREE)
        return GitSnapshot(self._place, str(commit.id), str(commit.tree_id))

    def _head(self, repository: pygit2.Repository) -> pygit2.Commit | None:
        """The commit that the ref leads to; None where the repository has none yet."""
        try:
            return _commit(repository, self._ref)
        except KeyError:
            if self._is_unborn(repository):
                return None
            raise self._no_ref(repository) from None
        except ValueError as error:  # ambiguous, or the name of something else; it says which
            raise RootNotFoundError(
                f"the ref {self._ref!r} does not name one commit ({error}); correct 'ref'"
            ) from error

    def _is_unborn(self, repository: pygit2.Repository) -> bool:
        """Whether the ref is the branch that the first commit of the repository will make."""
        if not repository.head_is_unborn:
            return False
        branch = str(repository.lookup_reference("HEAD").target)
        return self._ref in ("HEAD", branch, branch.removeprefix("refs/heads/"))

    def _no_ref(self, repository: pygit2.Repository) -> RootNotFoundError:
        names = sorted(map(text, repository.raw_listall_references()))
        branches = [name[11:] for name in names if name.startswith("refs/heads/")]
        tags = [name[10:] for name in names if name.startswith("refs/tags/")]
        said = f"the ref {self._ref!r} does not exist; branches: {_some(branches)}"
        return RootNotFoundError(f"{said}; tags: {_some(tags)}" if tags else said)

    def _resolve_version(self, version: str) -> GitSnapshot:
        """A commit by its id or the beginning of it, if it belongs to the history of the ref."""
        with self._place.opened() as repository:
            head = self._head(repository)
            missing = FileNotFoundError(
                errno.ENOENT, f"there is no version {version!r} in the history of {self._ref!r}"
            )
            # Only ids: anything else could name a commit that the mount is not meant to show.
            if head is None or len(version) < 4 or not _HEX.issuperset(version):
                raise missing
            try:
                commit = _commit(repository, version)
            except (KeyError, ValueError):
                raise missing from None
            if not str(commit.id).startswith(version):
                raise missing  # a branch whose name looks like an id
            if commit.id != head.id and not repository.descendant_of(head.id, commit.id):
                raise missing
            return self._shown(commit)

    # -- looking ------------------------------------------------------------------------------

    def _time(self, snapshot: Snapshot, found: Found) -> float | None:
        if self._times is None or snapshot.commit is None:
            return None
        assert isinstance(snapshot, GitSnapshot)
        return self._times.of(snapshot, found)

    def versions(self, path: str) -> list[FileVersion]:
        """The commits that changed the file, oldest first, as ``git log -- path`` lists them.

        A commit that removed it is a delete marker. A file that is no longer there has versions.
        """
        snapshot = cast("GitSnapshot", self._snapshot())
        real = self._real_file(snapshot, path)
        if snapshot.commit is None:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", path)
        with self._place.opened() as repository:
            changes = file_changes(repository, snapshot.commit, raw(real))
        if not changes:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", path)
        return [
            FileVersion(
                change.commit,
                change is changes[0],
                moment(change.time),
                self._blob_size(snapshot, change.blob, change.is_link),
                change.blob,
                is_delete_marker=change.blob is None,
            )
            for change in reversed(changes)
        ]

    def _real_file(self, snapshot: GitSnapshot, path: str) -> str:
        """Where the file is in the repository, or was."""
        root = self._root(snapshot)
        try:
            return self._locate_file(snapshot, path).path
        except FileNotFoundError as error:
            if isinstance(error, RootNotFoundError):
                raise
            return f"{root.path}/{path}" if root.path else path

    @staticmethod
    def _blob_size(snapshot: GitSnapshot, blob: str | None, is_link: bool) -> int | None:
        return None if blob is None or is_link else snapshot.size(Entry("", "file", blob))

    def stat_version(self, path: str, version: str) -> FileInfo | None:
        """Any commit of the history will do, by its id or the beginning of it."""
        try:
            snapshot = self._resolve_version(version)
            found = self._locate_file(snapshot, path)
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            return None  # the list of versions, in which it is not, is asked for the message
        assert snapshot.commit is not None
        with self._place.opened() as repository:
            changes = file_changes(repository, snapshot.commit, raw(found.path), only_last=True)
        entry = found.entry
        when = moment(changes[0].time).timestamp() if changes else None
        return FileInfo(path, "file", snapshot.size(entry), when, entry.id, version=snapshot.commit)

    # -- reading ------------------------------------------------------------------------------

    def _open(self, snapshot: Snapshot, entry: Entry) -> BinaryIO:
        return cast("BinaryIO", _BlobReader(self._content(entry)))

    def _content(self, entry: Entry) -> memoryview:
        with self._place.opened() as repository:
            # The blob's own memory: libgit2 has unpacked it whole, and it need not be there twice.
            return memoryview(cast("Any", repository[entry.id]))

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        snapshot = self._snapshot(version)
        return bytes(self._content(self._locate_file(snapshot, path).entry)[start:end])

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        snapshot = self._snapshot(version)
        content = self._content(self._locate_file(snapshot, path).entry)
        with target.open("wb") as sink:
            sink.write(content)

    # -- the place ----------------------------------------------------------------------------

    def address(self, path: str) -> tuple[object, str] | None:
        """The commit and the path in it: what two mounts show of one commit is the same."""
        with self._place.opened() as repository:
            commit = self._head(repository)
            store = os.path.realpath(repository.path)
        inside = "/".join(part for part in (self._prefix, path) if part)
        return ("git", store, None if commit is None else str(commit.id)), inside

    def close(self) -> None:
        self._place.forget()


def _commit(repository: pygit2.Repository, expression: str) -> pygit2.Commit:
    """The commit that an expression of gitrevisions(7) names.

    ``KeyError`` where nothing has that name, ``ValueError`` where it is ambiguous or no commit.
    """
    import pygit2

    found = repository.revparse_single(expression)
    try:
        return found.peel(pygit2.Commit)
    except (pygit2.GitError, ValueError) as error:
        raise ValueError(f"it is a {found.type_str}") from error


def _some(names: list[str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


class _BlobReader(PositionedStream):
    """A stream over a blob that libgit2 holds in memory."""

    def __init__(self, content: memoryview) -> None:
        super().__init__()
        self._content = content

    def readinto(self, buffer: Any) -> int:
        self._require_open()
        view = memoryview(buffer).cast("B")
        part = self._content[self._position : self._position + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def readall(self) -> bytes:
        self._require_open()
        rest = bytes(self._content[self._position :])
        self._position += len(rest)
        return rest

    def _end(self) -> int:
        return len(self._content)

    def close(self) -> None:
        if not self.closed:
            self._content = memoryview(b"")
            super().close()
