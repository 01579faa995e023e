"""The backend of type ``s3``: a bucket, or a prefix of one."""

from __future__ import annotations

import contextlib
import errno
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast
from urllib.parse import urlsplit

from ...info import Checksum, CleanupCount, FileInfo
from ..errors import RootNotFoundError, root_missing
from ..fsspec_info import Profile
from ..object_stores.engine import Facts
from ..object_stores.kept import shown
from ..object_stores.listing import Entry, Page, in_any_order, in_key_order, scanned
from ..object_stores.verifying import VerifiedReader, verifier_for
from ..temporary_names import is_temporary
from .fast_facts import info_of
from .identity import is_same_customer
from .many import ManyObjects
from .metadata import as_metadata, is_md5, is_plain
from .other_clients import open_filesystem
from .resuming import S3Resuming
from .streaming import StreamedWrite
from .urls import S3Urls, offered

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from ...capabilities import BackendCapabilities
    from ...info import Attributes, Finding
    from ..base import Backend, WriteHandle
    from .fast_stream import FastStream
    from .filesystem import S3Filesystem
    from .stream import S3Stream

__all__ = ["PROFILE", "S3Backend"]

PROFILE = Profile(
    commit="put", implicit_directories=True, exclusive=True, copies=True, threadsafe=True
)


class S3Backend(ManyObjects, S3Resuming, S3Urls):
    """Keys as paths: a directory is there as long as some key begins with its name.

    A file and a directory of one name, which keys allow, are listed as the file; what is below it
    is found all the same. Keys that no path can express (``a//b``, ``../x``) are left out of
    listings, with a warning.
    """

    address_is_sure: ClassVar[bool] = False

    def __init__(self, store: S3Filesystem, prefix: str = "") -> None:
        self._store = store
        options = store.client.options
        self._has_broker = options.credentials_url is not None
        self._believes = options.believes_checksums
        if store.client.options.disable_tagging:
            self.kept_attributes: frozenset[str] = self.kept_attributes - {"tags"}
        self._prepared = {}
        super().__init__(store, prefix, profile=PROFILE)

    def _full(self, path: str) -> str:
        if self._has_broker:
            # The broker says where that is, once. Asked each time: that a bucket is known does not
            # mean that the thread which found it out has come to the next line.
            self._root = self._store.client.root.prefix
        root = self._root
        if not root or not path:
            return root or path
        return f"{root}/{path}"

    def _declare(self) -> BackendCapabilities:
        from dataclasses import replace

        urls, reasons = offered(self._store.client.options)
        self.why_not: Mapping[str, str] = reasons
        tags = "tags" in self.kept_attributes
        if not tags:
            self.why_not = {**reasons, "tags": "tags are switched off by 'disable_tagging'"}
        return replace(super()._declare(), metadata=True, tags=tags, **urls)

    def __repr__(self) -> str:
        return f"<S3Backend {self._store.client.options.bucket or 'of a broker'}>"

    def address(self, path: str) -> tuple[object, str] | None:
        client = self._store.client
        place = client.place
        if place.is_amazon:
            return ("s3", "amazon", place.partition, client.bucket), self._full(path)
        # Elsewhere there are tenants: their buckets may have one name, and the key tells them apart.
        options, endpoint = client.options, urlsplit(place.endpoint or "")
        server = endpoint._replace(netloc=endpoint.netloc.lower()).geturl()
        tenant = (options.key, options.profile, options.anon)
        return ("s3", server, tenant, client.bucket), self._full(path)

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        try:
            found = self._store.look(self._full(path))
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            if not path:
                return FileInfo("", "directory")  # the bucket is there
            # Anew, since a key is not what people wrote.
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error
        if found is None:
            return FileInfo(path, "directory")
        if isinstance(found, Facts):
            return info_of(path, found, self._believes, lambda: self._is_express)
        return self._describe(path, {"type": "file", "name": path, **found})

    def exists(self, path: str) -> bool:
        if path:
            self._store.look(self._full(path))  # what it is costs more than this on a server nearby
            return True
        return super().exists(path)

    def _describe(self, path: str, raw: Mapping[str, Any]) -> FileInfo:
        info = super()._describe(path, raw)
        if info.mtime is not None:
            # Several servers list fractions of seconds, which no HEAD can say.
            info = info._replace(mtime=float(math.floor(info.mtime)))
        if "Metadata" not in raw:
            return info
        metadata = as_metadata(raw["Metadata"])
        return info._replace(
            metadata=shown(metadata),
            checksum=self._plain_digest(raw, info.etag) or self._kept_digest(metadata, info.size),
        )

    def _plain_digest(self, answer: Mapping[str, Any], etag: str | None) -> Checksum | None:
        return self._digest(etag) if is_plain(answer) else None

    @property
    def _is_express(self) -> bool:
        """Whether it is a directory bucket."""
        return self._store.client.bucket.endswith("--x-s3") or self._store.client.options.is_express

    def _digest(self, etag: str | None) -> Checksum | None:
        # Directory buckets (S3 Express) have ETags of another kind.
        if self._is_express:
            return None
        if etag is None or not is_md5(etag):
            return None
        return Checksum("md5", etag)

    def checksum(self, info: FileInfo) -> Checksum | None:
        if info.checksum is not None or info.type != "file":
            return info.checksum
        if info.metadata is not None and self._digest(info.etag) is None:
            return None  # somebody has looked: nothing was kept
        # A listing does not say whether the object is encrypted, nor what digest we have kept.
        head = self._store.head(self._full(info.path))
        found = self._describe(info.path, {"type": "file", "name": info.path, **head})
        return found.checksum if found.etag == info.etag else None

    def _as_entries(self, found: Iterable[Mapping[str, Any]]) -> list[Entry]:
        """The entries of a page; by fewer steps than ``_describe``, as there are many."""
        cut = len(self._prefix(""))
        entries: list[Entry] = []
        for raw in found:
            key: str = raw["name"][cut:]
            if key.endswith("/"):  # it stands for a directory, which may be empty
                entries.append(Entry(key))
                continue
            etag, mtime = raw.get("ETag"), raw.get("LastModified")
            # Several servers list fractions of seconds, which no HEAD can say.
            since = None if mtime is None else mtime.timestamp() // 1
            name = etag.strip('"') if etag else None
            entries.append(Entry(key, FileInfo(key, "file", raw.get("size"), since, name)))
        return entries

    def _one_level(self, path: str) -> Iterator[Entry]:
        return iter(self._as_entries(self._store.ls(self._full(path))))

    def _read_listing(self, path: str, full: str) -> list[FileInfo]:
        return scanned(path, self._one_level(path))

    def _listing(self, path: str, after: str | None = None) -> Iterator[Page]:
        """Everything below a directory."""
        start = None if after is None else self._prefix("") + after
        for found, is_last in self._store.keys_below(self._prefix(path), start):
            yield Page(self._as_entries(found), None if is_last else "more")

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """As everywhere, from one flat listing: a request for a thousand keys."""
        return self._found(path, lambda after: self._listing(path, after), enter)

    def find_tree(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        if not path:
            return self.find(path, enter=enter)
        if self._is_express:
            return super().find_tree(path, enter=enter)
        return self._found(path, lambda after: self._listing_of_tree(path, after), enter)

    def _listing_of_tree(self, path: str, after: str | None) -> Iterator[Page]:
        """As ``_listing``, whose first page also shows whether the path is a file.

        That file would be the first of all keys that begin with the path; siblings follow.
        """
        full, below = self._full(path), self._prefix(path)
        for found, is_last in self._store.keys_below(full) if after is None else ():
            if not found and not is_last:
                continue
            if found and found[0]["name"] == full:
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
            inside = [raw for raw in found if raw["name"].startswith(below)]
            if is_last or (found[-1]["name"] > below and inside[-1:] != found[-1:]):
                yield Page(self._as_entries(inside))
                return
            yield Page(self._as_entries(inside), "more")
            if inside:
                after = inside[-1]["name"][len(self._prefix("")) :]
            break
        yield from self._listing(path, after)

    def _found(
        self,
        path: str,
        listed: Callable[[str | None], Iterator[Page]],
        enter: Callable[[FileInfo], bool] | None,
    ) -> Iterator[FileInfo]:
        """The tree that these pages spell; ``listed`` gives them from its beginning or after a key."""
        empty = True

        def listing(after: str | None) -> Iterator[Page]:
            nonlocal empty
            for page in listed(after):
                empty = empty and not page.entries
                yield page

        if self._is_express:  # these list in no order
            found = in_any_order(
                path, lambda below: next(self._listing(below)), self._one_level, enter
            )
        else:
            found = in_key_order(path, listing, enter)
        for info in found:
            if info.type != "file" or not is_temporary(info.name):
                empty = False
                yield info
        if empty and self.stat(path).type != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)

    def check(self) -> None:
        try:
            self._store.has_any(self._prefix(""))
        except FileNotFoundError as error:
            raise root_missing(error) from error

    def _prefix(self, path: str) -> str:
        """What the keys below a directory begin with."""
        full = self._full(path)
        return f"{full}/" if full else ""

    # -- reading ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self, path: str) -> Generator[None]:
        """Reading asks nothing first; what is wrong is found out where it fails."""
        if not path:
            raise _is_directory(path)
        try:
            yield
        except FileNotFoundError:
            raise self._missing(path) from None

    def _missing(self, path: str) -> FileNotFoundError:
        """What to raise for a file that was not there; raises for what is there and no file."""
        self._require_file(path)
        return FileNotFoundError(errno.ENOENT, "not found", path)

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self._refuse_version(version)
        with self._reading(path):
            stream = self._store.open(self._full(path))
        return self._verified(stream)

    def open_whole(self, path: str) -> BinaryIO:
        with self._reading(path):
            stream = self._store.open(self._full(path), whole=True)
        return self._verified(stream)

    def _verified(self, stream: S3Stream | FastStream) -> BinaryIO:
        """The stream for whoever reads, compared where all of it is read."""
        known = stream.known
        verifier = verifier_for(known, stream.size) if self._verifies else None
        return cast("BinaryIO", VerifiedReader(stream, self._guard, verifier, known.kept))

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        if version is not None:
            self._refuse_version(version)
        if not path:
            raise _is_directory(path)
        if end is not None and end <= start:
            self._require_file(path)
            return b""
        try:  # `_reading` would be a tenth of what a server nearby takes
            return self._store.cat_file(self._full(path), start, end)
        except FileNotFoundError:
            raise self._missing(path) from None

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        self._refuse_version(version)
        with self._reading(path):
            self._store.get_file(self._full(path), str(target))

    # -- writing ------------------------------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        if append:
            raise self._unsupported("appending")
        self._require_write(path, if_absent)
        full = self._full(path)
        return StreamedWrite(
            self._store,
            full,
            if_absent,
            self._store.facts(full, self._put_options(attributes)),
            lambda content: self._publish(content, path, if_absent, attributes),
        )

    def copy(self, source: str, target: str) -> None:
        self._require_write(target, False)
        with self._reading(source):
            about = self._store.head(self._full(source))
        if self._full(source) != self._full(target):
            self._store.copy(self._full(source), self._full(target), about, self._new_copy())

    def copies_from(self, other: Backend) -> bool:
        if not isinstance(other, S3Backend):
            return False
        ours, theirs = self._store.client, other._store.client
        return (
            is_same_customer(ours.options, theirs.options)
            and ours.place.endpoint == theirs.place.endpoint
            and ours.place.partition == theirs.place.partition
        )

    def copy_from(self, other: Backend, source: str, target: str) -> None:
        assert isinstance(other, S3Backend)
        self._require_write(target, False)
        with other._reading(source):
            about = other._store.head(other._full(source))
        self._store.copy(
            other._full(source), self._full(target), about, self._new_copy(), origin=other._store
        )

    # -- removing -----------------------------------------------------------------------------

    def remove(self, path: str) -> None:
        if not self._require_removable(path):
            self._store.rm_file(self._full(path))
            return
        marker = self._prefix(path)
        # Also what no listing shows, because no path can express it.
        if any(key != marker for key in self._store.some_keys(marker, 2)):
            raise OSError(errno.ENOTEMPTY, "directory not empty", path)
        self._store.rm_file(marker)

    def remove_many(self, paths: Iterable[str]) -> None:
        if not self.capabilities.delete:
            raise self._unsupported("deleting")
        self._store.rm_files(self._full(path) for path in paths if path)

    def remove_tree(self, path: str) -> None:
        """Remove all keys that begin with the directory's name, also those that no path shows."""
        if not self._require_removable(path):
            self._store.rm_file(self._full(path))
            return
        pages = self._store.keys_below(self._prefix(path))
        self._store.rm_files(raw["name"] for page, _ in pages for raw in page)

    def cleanup(self, path: str, older_than: float) -> int:
        """Forget the uploads that killed writers have begun; returns how many."""
        limit = None if older_than <= 0 else datetime.now(UTC) - timedelta(seconds=older_than)
        full = self._full(path)
        below = self._store.abort_uploads(self._prefix(path), limit)
        root = self._full("")
        if not path:
            return below.below(root)
        itself = self._store.abort_uploads(full, limit, exactly=True)
        return CleanupCount(
            below + itself,
            below.left + itself.left,
            below.names + itself.names,
            below.left_names + itself.left_names,
        ).below(root)

    # -- for other libraries ------------------------------------------------------------------

    def filesystem(self) -> Any:
        """A new ``s3fs.S3FileSystem``; paths in it begin with the bucket."""
        return open_filesystem(self._store.client)

    def store(self) -> Any:
        """The obstore store of the bucket, without the prefix."""
        return self._store.store()

    def diagnose(self, *, ask: bool = True) -> list[Finding]:
        from .doctor import facts

        return facts(self._store.client, lambda: self._prefix(""), ask=ask)


def _is_directory(path: str) -> IsADirectoryError:
    return IsADirectoryError(errno.EISDIR, "is a directory", path)
