"""The files of a web server, to read.

Not on top of ``FsspecBackend``: what that adds is the contract of writing, and it looks before
each reading, where the answer to the reading itself tells everything.
"""

from __future__ import annotations

import contextvars
import errno
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, ClassVar, NoReturn, cast

from ...capabilities import BackendCapabilities
from ...info import FileInfo
from ...paths import is_addressable, join
from ..base import COPY_CHUNK, Backend
from ..errors import RootNotFoundError
from ..remote import Opened, missing_extra
from .listing import Entry, NoListingError, read_listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...info import Attributes
    from ..base import WriteHandle
    from . import Listing
    from .client import Answer, Client
    from .settings import Settings
    from .urls import Site

__all__ = ["HttpBackend"]

_log = logging.getLogger("genro_storage")

#: Statuses that say "not this method" rather than anything about the file.
_NO_HEAD = (403, 405, 501)
_MISSING = (404, 410)
#: Requests at a time for what a page in HTML does not say.
_LOOKS = 8
_BATCH = 256
#: Bytes of a page, some 500,000 entries: one without an end would fill the memory.
_LARGEST_PAGE = 64 * COPY_CHUNK


class HttpBackend(Backend):
    """A web server from a base URL downwards; ``settings`` are made by ``http.build``."""

    concurrency: ClassVar[int] = 8
    why_not: Mapping[str, str] = MappingProxyType(
        {
            "list_dir": "directories of this mount cannot be listed, because `listing` is false (the "
            "default); write `listing: true` if the server shows what is in them"
        }
    )

    def __init__(
        self,
        settings: Settings,
        *,
        listing: Listing = False,
        details: bool = True,
        probe: str | None = None,
    ) -> None:
        self._mount: str = settings.mount
        self._site: Site = settings.site
        self._listing: Listing = listing
        self._details = details
        self._probe = probe
        self._client: Opened[Client] = Opened(lambda: self._connect(settings))
        self.capabilities: BackendCapabilities = BackendCapabilities(
            list_dir=listing is not False, public_urls=True
        ).without_writing()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._site.url}>"

    def _connect(self, settings: Settings) -> Client:
        try:
            from .client import Client
        except ImportError as error:
            raise missing_extra(error, self._mount, "http", "http") from error
        return Client(settings)

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        client = self._client.get()
        if path:
            return client.repeat(lambda: self._look(client, path))
        if self.capabilities.list_dir:
            client.repeat(lambda: self._look_at_root(client))
        # Without listings many servers have nothing to say where there is no file.
        return FileInfo("", "directory")

    def _look(self, client: Client, path: str) -> FileInfo:
        with client.send("HEAD", path, accept=(*_NO_HEAD, *_MISSING)) as answer:
            if answer.is_slash:
                return self._directory(client, path)
            status, facts = answer.status, answer.facts
            is_encoded = answer.is_encoded
        if status in _MISSING:
            return self._directory(client, path, sure=False)
        if status in _NO_HEAD or (facts.size is None and not is_encoded):
            one = {"Range": "bytes=0-0"}
            with client.send("GET", path, headers=one, accept=(*_MISSING, 416)) as answer:
                if answer.is_slash:
                    return self._directory(client, path)
                if answer.status in _MISSING:
                    return self._directory(client, path, sure=False)
                facts = answer.facts
        return facts.info(path)

    def _directory(self, client: Client, path: str, *, sure: bool = True) -> FileInfo:
        """The directory that a redirect speaks of, or that only a slash finds (not ``sure``)."""
        if not sure and not self.capabilities.list_dir:
            raise FileNotFoundError(errno.ENOENT, "not found", path)
        accept = (*_NO_HEAD, *_MISSING)
        with client.send("HEAD", path, directory=True, accept=accept) as answer:
            found = answer.status not in (_MISSING if sure else accept)
        if not found:
            raise FileNotFoundError(errno.ENOENT, "not found", path)
        return FileInfo(path, "directory")

    def _look_at_root(self, client: Client) -> None:
        with client.send("HEAD", "", accept=(*_NO_HEAD, *_MISSING)) as answer:
            status = answer.status
        if status in _NO_HEAD:
            with client.send("GET", "", accept=_MISSING) as answer:
                status = answer.status
        if status in _MISSING:
            raise self._no_root(status)

    def _no_root(self, status: int) -> RootNotFoundError:
        return RootNotFoundError(
            f"the server has nothing at 'base_url' ({self._site.url}, status {status}); correct it"
        )

    # -- listing ------------------------------------------------------------------------------

    def scan(self, path: str) -> Iterator[FileInfo]:
        client = self._client.get()
        entries = self._entries(client, path)
        for start in range(0, len(entries), _BATCH):
            yield from self._described(client, path, entries[start : start + _BATCH])

    def _entries(self, client: Client, path: str) -> list[Entry]:
        if not self.capabilities.list_dir:
            raise self._unsupported("listing directories")
        try:
            found = client.repeat(lambda: self._read_page(client, path))
        except FileNotFoundError:
            if not path:
                raise self._no_root(404) from None
            if self.stat(path).type == "directory":
                raise FileNotFoundError(errno.ENOENT, "not found", path) from None
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path) from None
        except NoListingError as error:
            raise OSError(
                errno.EIO,
                f"what the server shows at {self._site.url_of(path, directory=True)} is no "
                f"directory listing: {error}; where the links of such pages are the entries, "
                "write `listing: links`, and `listing: false` where nothing can be listed",
            ) from error
        kept = {entry.name: entry for entry in found if entry.name and "/" not in entry.name}
        for name in [name for name in kept if not is_addressable(name)]:
            del kept[name]
            if name not in (".", ".."):
                _log.warning("left out the entry %r, whose name no path can express", name)
        return list(kept.values())

    def _read_page(self, client: Client, path: str) -> list[Entry]:
        headers = {"Accept": "text/html, application/json"}
        try:
            answer = client.send("GET", path, directory=True, headers=headers)
        except PermissionError as error:
            text = f"{error.strerror}; perhaps the server does not show what is in this directory"
            raise PermissionError(error.errno, text) from error
        with answer:
            answer.require_readable()
            kind = answer.headers.get("Content-Type") or ""
            any_page = self._listing == "links"
            return read_listing(answer.url, kind, _chunks(answer), any_page=any_page)

    def _described(self, client: Client, path: str, entries: list[Entry]) -> Iterator[FileInfo]:
        """Entries as the library knows them, with what the page has left out."""
        unknown = [e for e in entries if e.type == "file" and not e.is_whole and self._details]
        over = threading.Event()

        def look(entry: Entry) -> FileInfo | None:
            child = join(path, entry.name)
            try:
                return client.repeat(lambda: self._look(client, child), lambda _: not over.is_set())
            except FileNotFoundError:
                return None  # gone since, or a link that leads nowhere
            except PermissionError:
                return FileInfo(child, "file")  # there, as the page says, and not for us

        looked: dict[str, FileInfo | None] = {}
        if unknown:
            pool = ThreadPoolExecutor(min(_LOOKS, len(unknown)), "genro-storage-http")
            try:
                # In the context of the caller, who may want to hear of what is tried again.
                looks = [
                    pool.submit(contextvars.copy_context().run, look, each) for each in unknown
                ]
                found = (each.result() for each in looks)
                looked = {e.name: info for e, info in zip(unknown, found, strict=True)}
            finally:
                # After an error or an interrupt nobody waits for the others, each of which ends
                # with the attempt that it is at.
                over.set()
                pool.shutdown(wait=False, cancel_futures=True)
        for entry in entries:
            info: FileInfo | None = looked.get(entry.name, _info(path, entry))
            if info is not None:
                yield info

    # -- reading ------------------------------------------------------------------------------

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self._refuse(path, version)
        client = self._client.get()
        from .stream import HttpStream

        try:
            return cast("BinaryIO", HttpStream(client, path))
        except FileNotFoundError:
            self._explain_missing(path)

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        self._refuse(path, version)
        if end is not None and end <= start:
            if self.stat(path).type == "directory":
                raise IsADirectoryError(errno.EISDIR, "is a directory", path)
            return b""
        client = self._client.get()
        from .stream import Download

        try:
            download = Download(client, path, start, end)
        except FileNotFoundError:
            self._explain_missing(path)
        parts: list[bytes] = []
        position = start
        try:
            while end is None or position < end:
                size = COPY_CHUNK if end is None else min(COPY_CHUNK, end - position)
                part = download.read_at(position, size)
                if not part:
                    break
                parts.append(part)
                position += len(part)
        finally:
            download.close()
        return b"".join(parts)

    def _refuse(self, path: str, version: str | None) -> None:
        if version is not None:
            raise self._unsupported("versioning")
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)

    def _explain_missing(self, path: str) -> NoReturn:
        """Some servers have a directory only with a slash at its end."""
        if self.stat(path).type == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory", path) from None
        raise FileNotFoundError(errno.ENOENT, "not found", path) from None

    # -- the rest -----------------------------------------------------------------------------

    def url(self, path: str, *, expires_in: int = 3600, **options: object) -> str | None:
        """The public URL. It holds no credentials, and works as long as the server does."""
        return self._site.url_of(path)

    def check(self) -> None:
        """Ask for the listing, or for ``probe``, or whether the server refuses everything."""
        client = self._client.get()
        if self.capabilities.list_dir:
            self._entries(client, "")
        elif self._probe is None:
            client.repeat(lambda: self._check_blindly(client))
        else:
            try:
                self.stat(self._probe)
            except FileNotFoundError:
                raise RootNotFoundError(
                    f"{self._site.url_of(self._probe)} is not there; correct 'base_url' or 'probe'"
                ) from None

    def _check_blindly(self, client: Client) -> None:
        with client.send("HEAD", "", accept=(*_NO_HEAD, *_MISSING)) as answer:
            status = answer.status
        if status in _MISSING:
            raise RootNotFoundError(
                f"the server has nothing at 'base_url' ({self._site.url}, status {status}); "
                "correct it, or name in 'probe' a file that is there"
            )
        if status == 403:
            # A directory that is not shown, or a server that refuses everything: the answer for
            # what cannot be there tells them apart.
            with client.send("HEAD", f"{uuid.uuid4()}.probe", accept=(405, 501, *_MISSING)):
                pass

    def address(self, path: str) -> tuple[object, str] | None:
        return ("http", self._site.origin), self._site.key(path)

    def close(self) -> None:
        client = self._client.take()
        if client is not None:
            client.close()

    # -- what a web server does not do --------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        raise self._unsupported("writing")

    def mkdir(self, path: str) -> None:
        raise self._unsupported("making directories")

    def remove(self, path: str) -> None:
        raise self._unsupported("deleting")


def _info(path: str, entry: Entry) -> FileInfo:
    child = join(path, entry.name)
    if entry.type == "directory":
        return FileInfo(child, "directory")
    if entry.type == "other":
        return FileInfo(child, "other")
    return FileInfo(child, "file", entry.size, entry.mtime)


def _chunks(answer: Answer) -> Iterator[bytes]:
    total = 0
    while data := answer.read(COPY_CHUNK):
        total += len(data)
        if total > _LARGEST_PAGE:
            raise NoListingError(f"it has more than {_LARGEST_PAGE // COPY_CHUNK} MiB")
        yield data
