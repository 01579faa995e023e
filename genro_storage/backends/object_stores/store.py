"""What the mounts of object stores share: keys for files, prefixes for directories, one put.

A row gives a client with a few requests (``ObjectClient``); everything else stands here, on the
seam of ``FsspecBackend``. Puts are atomic, so that a write needs no temporary name.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from ...capabilities import BackendCapabilities
from ...info import FileInfo
from ...paths import join
from ..errors import RootNotFoundError, root_missing
from ..fsspec_info import Filesystem, Profile
from ..remote import Bounds, RemoteFilesystem, is_transient, repeated
from ..temporary_names import is_temporary
from .attributes import Keeping
from .client import ObjectClient, in_parallel
from .direct import DirectAccess, ObjectUrls
from .kept import KeptChecksum
from .listing import Entry, Page, in_any_order, in_key_order, pages, scanned
from .other_clients import LendsClients
from .reader import PIECE
from .resuming import StoreResuming

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...info import Checksum, Finding
    from ..base import Backend

__all__ = ["Asking", "ObjectStoreBackend", "PublicStoreBackend"]

T = TypeVar("T")
#: A way to do something with the client; it connects where it has not yet.
Asking = Callable[[Callable[[Any], Any]], Any]

_DELETERS = 8


class ObjectStoreBackend(LendsClients, StoreResuming, ObjectUrls):
    """A bucket, from a prefix downwards.

    ``connect`` makes the client, at its first use. ``store`` names the bucket in ``address``.
    ``check_key`` raises for a key that the service cannot hold, before anything is sent.
    ``ordered`` says that the service lists keys in the order of their UTF-8 bytes, ``folders``
    that an object without a slash can stand for a directory, ``direct`` what clients can do
    themselves. ``default_type`` is the content type of a file whose name tells none. ``copies``:
    the service copies inside.

    ``address`` is not sure here, since one server can be known by several names; it is in
    ``PublicStoreBackend``.
    """

    #: Up to how many bytes are put by one request.
    single_put: ClassVar[int] = PIECE
    concurrency: ClassVar[int] = 16
    lists_at_once: ClassVar[bool] = True
    lists_times: ClassVar[bool] = False
    #: How many keys ``delete_many`` takes at most.
    batch: ClassVar[int] = 256

    def __init__(
        self,
        connect: Callable[[], ObjectClient],
        *,
        kind: str,
        root: str,
        store: tuple[str, ...],
        bounds: Bounds,
        check_key: Callable[[str], None],
        ordered: bool,
        folders: bool = False,
        direct: DirectAccess,
        facts: Callable[[Asking | None], list[Finding]] | None = None,
        keeping: Keeping | None = None,
        default_type: str | None = None,
        copies: bool = True,
    ) -> None:
        self._remote = RemoteFilesystem(
            lambda: cast("Filesystem", connect()), kind, bounds=bounds, explain=_as_it_is
        )
        self._bounds = bounds
        self._store = store
        self._check_key = check_key
        self._ordered = ordered
        self._folders = folders
        self._offer(direct)
        self._facts = facts
        self._default_type = default_type
        self._keep(keeping or Keeping())
        super().__init__(
            self._remote,
            root,
            profile=Profile(
                commit="put",
                implicit_directories=True,
                exclusive=True,
                copies=copies,
                threadsafe=True,
            ),
            capabilities=BackendCapabilities(
                mkdir=False,
                copy_optimization=copies,
                metadata=True,
                conditional_writes=True,
                tags=self._keeping.tags,
                **direct.declared,
            ),
        )

    def _again(self, step: Callable[[], T]) -> T:
        """A part of a long transfer, repeated on its own."""
        return repeated(self._bounds, lambda _: step())

    def diagnose(self, *, ask: bool = True) -> list[Finding]:
        return [] if self._facts is None else self._facts(self._ask if ask else None)

    def address(self, path: str) -> tuple[object, str] | None:
        return self._store, self._full(path)

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        if path:
            try:
                return self._ask(lambda client: client.head(self._full(path)))._replace(path=path)
            except RootNotFoundError:
                raise
            except FileNotFoundError:
                pass  # then it is a directory, or nothing
        if self._some(path, 1) or not path:
            return FileInfo(path, "directory")
        raise FileNotFoundError(errno.ENOENT, "not found", path)

    def checksum(self, info: FileInfo) -> Checksum | None:
        is_sure = info.checksum is not None and not isinstance(info.checksum, KeptChecksum)
        if is_sure or info.type != "file" or info.etag is None:
            return info.checksum
        key, etag = self._full(info.path), info.etag
        return self._ask(lambda client: client.checksum(key, etag))

    def probable_checksum(self, info: FileInfo) -> Checksum | None:
        # What only the uploader answers for proves nothing.
        return None if isinstance(info.checksum, KeptChecksum) else info.checksum

    def check(self) -> None:
        try:
            self._page("", flat=True, limit=1)
        except FileNotFoundError as error:
            raise root_missing(error) from error

    def _prefix(self, path: str) -> str:
        full = self._full(path)
        return full + "/" if full else ""

    def _page(
        self,
        path: str,
        *,
        flat: bool,
        limit: int | None = None,
        start: str | None = None,
        token: str | None = None,
    ) -> Page:
        """One page of what is below a directory, with keys as seen from the mount."""
        prefix, cut = self._prefix(path), len(self._prefix(""))
        first = None if start is None else self._prefix("") + start
        found = self._ask(
            lambda client: client.page(prefix, flat=flat, limit=limit, start=first, token=token)
        )
        if not cut:
            return found
        return found._replace(entries=[Entry(key[cut:], info) for key, info in found.entries])

    def _pages(
        self, path: str, *, flat: bool, limit: int | None = None, start: str | None = None
    ) -> Iterator[Page]:
        def ask(token: str | None) -> Page:
            first = start if token is None else None
            return self._page(path, flat=flat, limit=limit, start=first, token=token)

        return pages(ask, lambda page: page.next)

    def _some(self, path: str, count: int) -> list[Entry]:
        """So many entries below a directory, at any depth, or all there are."""
        found = self._pages(path, flat=True, limit=count)
        return list(itertools.islice((entry for page in found for entry in page.entries), count))

    def _one_level(self, path: str) -> Iterator[Entry]:
        for page in self._pages(path, flat=False):
            yield from page.entries

    def _read_listing(self, path: str, full: str) -> list[FileInfo]:
        return scanned(path, self._one_level(path))

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        page = self._page(path, flat=True)
        # A file lists itself nowhere, and below what is missing there is nothing.
        if not page.entries and path and self.stat(path).type != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        for info in self._find(path, page, enter):
            # As in ``scan``: what other mounts' writers have left came here by copying.
            if info.type != "file" or not is_temporary(info.name):
                yield info

    def find_tree(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        with contextlib.suppress(FileNotFoundError):
            if path and self._ask(lambda client: client.head(self._full(path))).type == "file":
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        yield from self.find(path, enter=enter)

    def _find(
        self, path: str, page: Page, enter: Callable[[FileInfo], bool] | None
    ) -> Iterator[FileInfo]:
        """``page`` is the first one of everything below ``path``."""
        first: list[Page] = [page]
        if self._ordered:
            return in_key_order(path, lambda after: self._listing(path, first, after), enter)

        def flat(directory: str) -> Page:
            return first.pop() if first else self._page(directory, flat=True)

        return in_any_order(path, flat, self._one_level, enter)

    def _listing(self, path: str, first: list[Page], after: str | None) -> Iterator[Page]:
        if after is not None:
            return self._pages(path, flat=True, start=after)

        def ask(token: str | None) -> Page:
            return first.pop() if token is None else self._page(path, flat=True, token=token)

        return pages(ask, lambda page: page.next)

    # -- writing ------------------------------------------------------------------------------

    def _require_write(self, path: str, if_absent: bool) -> None:
        if path:
            self._check_key(self._full(path))
        super()._require_write(path, if_absent)

    def copy_listed(self, info: FileInfo, target: str, origin: Backend | None) -> None:
        if origin is not None:
            super().copy_listed(info, target, origin)
            return
        if not self.capabilities.copy_optimization:
            raise self._unsupported("copy inside the store")
        self._require_write(target, False)
        source, there = self._full(info.path), self._full(target)
        if source != there:
            self._begun(info.path, lambda client: client.copy(source, there))

    def _copy_file(self, source: str, target: str) -> None:
        self._ask(lambda client: client.copy(source, target))

    # -- removing -----------------------------------------------------------------------------

    def _remove_file(self, full: str) -> None:
        self._remote.call_until_done(
            lambda client: cast("ObjectClient", client).delete(full), FileNotFoundError
        )

    def remove(self, path: str) -> None:
        if not self._require_removable(path):
            self._remove_file(self._full(path))
            return
        entries = self._some(path, 2)
        if any(entry.path != path or entry.info is not None for entry in entries):
            raise OSError(errno.ENOTEMPTY, "directory not empty", path)
        self._delete([entry.key for entry in entries])
        self._drop_folder(path)

    def remove_tree(self, path: str) -> None:
        if not self._require_removable(path):
            self._remove_file(self._full(path))
            return
        folders: list[str] = []
        for page in self._pages(path, flat=True):
            folders += [entry.key for entry in page.entries if entry.info is None]
            self._delete([entry.key for entry in page.entries if entry.info is not None])
        # A store that has real folders wants them empty, the innermost first.
        for key in sorted(folders, reverse=True):
            self._delete([key])
        self._drop_folder(path)

    def _drop_folder(self, path: str) -> None:
        """Remove what stands for a directory and lies beside its contents, not among them."""
        if self._folders:
            full = self._full(path)
            with contextlib.suppress(FileNotFoundError):
                if self._ask(lambda client: client.head(full)).type == "directory":
                    self._remove_file(full)

    def remove_many(self, paths: Iterable[str]) -> None:
        if not self.capabilities.delete:
            raise self._unsupported("deleting")
        self._delete(list(paths))

    def _delete(self, paths: list[str]) -> None:
        """Delete these keys; what is gone already is no error, what fails is reported."""
        failed: dict[str, Exception] = {}
        keys = [join(self._root, path) for path in paths]
        for start in range(0, len(keys), self.batch):
            part = keys[start : start + self.batch]
            found = (
                self._ask(lambda client, part=part: client.delete_many(part))  # type: ignore[misc]
                if len(part) > 1
                else None
            )
            if found is None:
                in_parallel(lambda key: self._delete_one(key, failed), part, _DELETERS)
            else:
                failed.update(found)
        if failed:
            key, error = next(iter(failed.items()))
            number = (error.errno if isinstance(error, OSError) else None) or errno.EIO
            reason = getattr(error, "strerror", None) or str(error)
            path = key.removeprefix(self._prefix(""))
            raise OSError(
                number,
                f"{len(failed)} of {len(keys)} files could not be deleted; {path!r}: {reason}",
            ) from error

    def _delete_one(self, key: str, failed: dict[str, Exception]) -> None:
        try:
            self._remove_file(key)
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            pass  # that is what was wanted
        except OSError as error:
            if is_transient(error):
                raise  # who is silent once is silent for all of them, one timeout after the other
            failed[key] = error


class PublicStoreBackend(ObjectStoreBackend):
    """A bucket at the one address of its public service, where each has a name of its own."""

    address_is_sure: ClassVar[bool] = True


def _as_it_is(error: Exception) -> Exception:
    return error  # the clients raise standard errors already
