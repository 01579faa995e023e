"""Repositories on GitHub through its REST API, read-only.

Git's objects never change, so trees are asked for once and found by their ids afterwards; only
which commit a branch leads to is asked each time.
"""

from __future__ import annotations

import errno
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast
from urllib.parse import quote, urlsplit

from ...capabilities import BackendCapabilities
from ...info import FileInfo, FileVersion
from ..errors import RootNotFoundError
from .github_client import SHA, Api, RefusedError, Source
from .github_objects import GithubSnapshot, Objects
from .github_stream import BlobStream
from .trees import EMPTY_TREE, READ_ONLY, Entry, Snapshot, TreeBackend

if TYPE_CHECKING:
    from ..remote import Bounds

__all__ = ["GithubBackend", "Source"]

#: Versions whose times are remembered, over all files.
_MOST_LISTED = 10_000
#: Names of branches in the message about a ref that is not there.
_SHOWN = 10
_PER_PAGE = 100
_HEX = frozenset("0123456789abcdef")


class GithubBackend(TreeBackend):
    """One ref of one repository; without a ref, its default branch."""

    concurrency: ClassVar[int] = 4
    capabilities: BackendCapabilities = replace(READ_ONLY, public_urls=True)

    def __init__(
        self,
        source: Source,
        ref: str | None = None,
        *,
        prefix: str = "",
        bounds: Bounds,
        refresh: float = 0.0,
    ) -> None:
        super().__init__(prefix)
        self._source = source
        self._ref = ref
        self._refresh = refresh
        self._api = Api(source, bounds)
        self._objects = Objects(self._api)
        self._lock = Lock()
        self._seen: tuple[float, str | None] | None = None
        #: Commits that were listed as versions of files: the times, by commit and path.
        self._listed: OrderedDict[str, dict[str, float]] = OrderedDict()

    # -- commits ------------------------------------------------------------------------------

    def _resolve(self) -> GithubSnapshot:
        seen = self._seen
        if seen is None or not 0 <= time.monotonic() - seen[0] < self._refresh:
            asked = time.monotonic()
            seen = self._seen = asked, self._head()
        return self._shown(seen[1])

    def _shown(self, commit: str | None) -> GithubSnapshot:
        tree = EMPTY_TREE if commit is None else self._objects.tree_of(commit)
        return GithubSnapshot(self._objects, self._read, commit, tree)

    def _head(self) -> str | None:
        """The commit that the ref leads to now; None where the repository has none yet."""
        try:
            if self._ref is None:
                with self._api.understood():
                    newest = self._api.get("/commits", per_page=1).value[0]
                    self._objects.know(str(newest["sha"]), str(newest["commit"]["tree"]["sha"]))
                    return str(newest["sha"])
            if _is_whole_id(self._ref):
                self._objects.tree_of(self._ref)
                return self._ref
            return str(self._api.get(f"/commits/{quote(self._ref)}", accept=SHA).value)
        except RefusedError as error:
            if error.status == 409:  # a repository without commits
                return None
            raise self._api.missing(self._no_ref) from error

    def _no_ref(self) -> RootNotFoundError:
        what = "commit on the default branch"
        if self._ref is not None:
            what = f"branch, tag or commit {self._ref!r}"
        with self._api.understood():
            answer = self._api.get("/branches", per_page=_SHOWN)
            branches = ", ".join(str(each["name"]) for each in answer.value) or "none"
        more = ", …" if answer.has_next else ""
        return RootNotFoundError(
            f"there is no {what} in {self._source.name}; correct 'ref' (branches: {branches}{more})"
        )

    def _resolve_version(self, version: str) -> GithubSnapshot:
        """A commit by its id or the beginning of it, if it belongs to the history of the ref."""
        missing = FileNotFoundError(
            errno.ENOENT,
            f"there is no version {version!r} in the history of {self._ref or 'the default branch'}",
        )
        if len(version) < 4 or not _HEX.issuperset(version):
            raise missing
        if version in self._listed:
            return self._shown(version)
        head = self._head()
        if head is None:
            raise missing
        try:
            commit = version
            if not _is_whole_id(version):
                commit = str(self._api.get(f"/commits/{version}", accept=SHA).value)
            # GitHub finds the commits of every fork under the name of each of them.
            with self._api.understood():
                answer = self._api.get(f"/compare/{commit}...{head}", per_page=1, page=2)
                relation = str(answer.value["status"])
        except RefusedError as error:
            raise self._api.missing(lambda: missing) from error
        if not commit.startswith(version) or relation not in ("ahead", "identical"):
            raise missing
        return self._shown(commit)

    # -- versions -----------------------------------------------------------------------------

    def versions(self, path: str) -> list[FileVersion]:
        """The commits that changed the file, oldest first; one request for each hundred.

        Size and ETag are known of the latest one only: GitHub tells them of one commit at a time.
        """
        snapshot = self._snapshot()
        root = self._root(snapshot)
        entry: Entry | None = None
        try:
            real, entry = self._locate_file(snapshot, path)
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            real = f"{root.path}/{path}" if root.path else path
        changes = [] if snapshot.commit is None else self._changes(snapshot.commit, real)
        if not changes:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", path)
        newest = changes[0][0]
        return [
            FileVersion(
                commit,
                commit == newest,
                when,
                entry.size if entry is not None and commit == newest else None,
                entry.id if entry is not None and commit == newest else None,
                is_delete_marker=entry is None and commit == newest,
            )
            for commit, when in reversed(changes)
        ]

    def _changes(self, commit: str, real: str) -> list[tuple[str, datetime]]:
        """The commits that changed a path, newest first."""
        found: list[tuple[str, datetime]] = []
        page = 1
        while True:
            with self._api.understood():
                answer = self._api.get(
                    "/commits", sha=commit, path=real, per_page=_PER_PAGE, page=page
                )
                found += [(str(each["sha"]), _date(each)) for each in answer.value]
            if not answer.has_next:
                break
            page += 1
        with self._lock:
            for id_, when in found:
                self._listed.setdefault(id_, {})[real] = when.timestamp()
            while len(self._listed) > _MOST_LISTED:
                self._listed.popitem(last=False)
        return found

    def stat_version(self, path: str, version: str) -> FileInfo | None:
        """Any commit of the history will do, by its id or the beginning of it."""
        try:
            snapshot = self._resolve_version(version)
            found = self._locate_file(snapshot, path)
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            return None  # the list of versions, in which it is not, is asked for the message
        commit, entry = snapshot.commit, found.entry
        assert commit is not None
        when = self._listed.get(commit, {}).get(found.path)
        if when is None:
            with self._api.understood():
                answer = self._api.get("/commits", sha=commit, path=found.path, per_page=1).value
                when = _date(answer[0]).timestamp() if answer else None
        return FileInfo(path, "file", entry.size, when, entry.id, version=commit)

    # -- reading ------------------------------------------------------------------------------

    def _open(self, snapshot: Snapshot, entry: Entry) -> BinaryIO:
        return cast("BinaryIO", self._stream(entry))

    def _stream(self, entry: Entry, start: int = 0, stop: int | None = None) -> BlobStream:
        size = entry.size
        if size is None:
            with self._api.understood():
                size = int(self._api.get(f"/git/blobs/{entry.id}").value["size"])
        return BlobStream(self._api, entry.id, size, start=start, stop=stop).open()

    def _read(self, entry: Entry) -> bytes:
        with self._stream(entry) as stream:
            return stream.readall()

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        snapshot = self._snapshot(version)
        entry = self._locate_file(snapshot, path).entry
        with self._stream(entry, start, end) as stream:
            return stream.readall()

    # -- the place ----------------------------------------------------------------------------

    def url(self, path: str, *, expires_in: int = 3600, **options: Any) -> str | None:
        """Where GitHub's website serves the file: for everybody if the repository is public.

        It never expires, holds no token, and follows the branch. Nothing is asked for it.
        """
        inside = "/".join(part for part in (self._prefix, path) if part)
        name, ref = self._source.name, quote(self._ref or "HEAD")
        return f"{_website(self._source.base_url)}/{name}/raw/{ref}/{_quoted(inside)}"

    def check(self) -> None:
        """Ask for the repository, then for the ref and the root in it."""
        try:
            self._api.get("")
        except RefusedError as error:
            raise self._api.no_repository() from error
        self._seen = None
        super().check()

    def address(self, path: str) -> tuple[object, str] | None:
        inside = "/".join(part for part in (self._prefix, path) if part)
        source = self._source
        name = source.name.lower()  # GitHub's names are of one case
        return ("github", source.base_url, name, self._ref), inside

    def close(self) -> None:
        self._api.close()


def _is_whole_id(text: str) -> bool:
    return len(text) == 40 and _HEX.issuperset(text)


def _date(said: dict[str, Any]) -> datetime:
    """When a commit was made, as it is listed."""
    commit = said["commit"]
    who = commit.get("committer") or commit.get("author") or {}
    return datetime.fromisoformat(who.get("date") or "1970-01-01T00:00:00Z")


def _quoted(path: str) -> str:
    return quote(path, errors="surrogateescape")


def _website(base_url: str) -> str:
    """The website that belongs to an API.

    >>> _website("https://api.github.com"), _website("https://ghe.example/api/v3")
    ('https://github.com', 'https://ghe.example')
    """
    parts = urlsplit(base_url)
    host = parts.netloc.removeprefix("api.")
    return f"{parts.scheme}://{host}{parts.path.removesuffix('/api/v3')}"
