"""A WebDAV collection as a ``Filesystem``: one request a call, names quoted, answers checked."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import TYPE_CHECKING, Any

import httpx

from ..base import COPY_CHUNK
from ..fsspec_info import moment
from .http import LocalFile, WebdavConnection
from .settings import BadRequestError, FailedError, components
from .stream import WebdavStream
from .xml import ASKED, Entry, read_multistatus

if TYPE_CHECKING:
    from datetime import datetime

    from .settings import Settings

__all__ = ["WebdavFilesystem"]

_CONDITIONS: dict[str, dict[str, str]] = {"overwrite": {}, "create": {"If-None-Match": "*"}}
_XML = {"Content-Type": 'application/xml; charset="utf-8"'}


class WebdavFilesystem:
    """The calls of ``Filesystem``. Paths are plain ones below the mount's URL."""

    protocol: str | tuple[str, ...] = "webdav"
    root_marker = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server = WebdavConnection(settings)

    def _strip_protocol(self, path: str) -> str:
        return path

    # -- looking ------------------------------------------------------------------------------

    def _propfind(self, path: str, depth: str, *, directory: bool) -> list[Entry]:
        headers = {"Depth": depth, **_XML}
        try:
            answer = self._server.ask(
                "PROPFIND", path, directory=directory, headers=headers, content=ASKED
            )
        except BadRequestError as error:
            # Apache has no better word for a path below a file, or a slash behind one.
            if self._leads_through_a_file(path if directory else path.rpartition("/")[0]):
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory") from error
            raise
        if answer.status_code != 207:
            raise self._server.no_webdav(answer.status_code)
        self._server.seen()
        return read_multistatus(answer.content)

    def _leads_through_a_file(self, path: str) -> bool:
        while path:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return bool(self.info(path)["type"] == "file")
            path = path.rpartition("/")[0]
        return False

    def info(self, path: str, *, directory: bool = False) -> dict[str, Any]:
        """What is at ``path``; ``directory`` saves a request where it is one."""
        entries = self._propfind(path, "0", directory=directory)
        if not entries or not entries[0].href:
            raise OSError(errno.EIO, "the server's answer to PROPFIND names nothing")
        status = entries[0].status
        if status is not None and status >= 400:
            raise FileNotFoundError(errno.ENOENT, "not found")
        return _described(path, entries[0])

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        """The entries of a directory; ``NotADirectoryError`` for a file."""
        try:
            entries = self._propfind(path, "1", directory=True)
        except (FileNotFoundError, NotADirectoryError):
            # A file is not found with a slash at its end.
            if path and self.info(path)["type"] != "directory":
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory") from None
            raise
        places = [components(entry.href) for entry in entries]
        # The collection itself has the shortest path: compared with each other rather than with
        # what was asked for, since a proxy may show another path than the server knows.
        known = [place for place in places if place is not None]
        here = min(known, key=len, default=())
        found: list[dict[str, Any]] = []
        for place, entry in zip(places, entries, strict=True):
            if place == here:
                if not entry.collection:
                    raise NotADirectoryError(errno.ENOTDIR, "is not a directory")
            elif place is not None and place[:-1] == here:
                found.append(_described(f"{path}/{place[-1]}" if path else place[-1], entry))
        return found

    def modified(self, path: str) -> datetime:
        """When the content was changed last."""
        found: datetime = self.info(path)["modified"]
        return found

    # -- reading ------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **_: Any) -> WebdavStream:
        """A stream of the content; there is none to write to."""
        if mode != "rb":
            raise NotImplementedError(f"no stream of mode {mode!r}")
        return WebdavStream(self._server, self.info, path, lazy=True)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to ``end``, neither of them negative."""
        with WebdavStream(self._server, self.info, path, start or 0, end) as stream:
            return stream.read()

    def get_file(self, rpath: str, lpath: str) -> None:
        """Copy the content into a local file."""
        with WebdavStream(self._server, self.info, rpath) as stream, open(lpath, "wb") as sink:
            while chunk := stream.read(COPY_CHUNK):
                sink.write(chunk)

    # -- writing ------------------------------------------------------------------------------

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **headers: str) -> None:
        """Upload bytes; with the mode "create" only where nothing is, as far as servers know."""
        self._server.ask("PUT", path, headers={**headers, **_CONDITIONS[mode]}, content=value)

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **headers: str) -> None:
        """Upload a local file, read as it is sent, with its length announced.

        ``OSError`` where it is written into meanwhile, before the server has the whole of it.
        """
        with open(lpath, "rb") as file:
            content = LocalFile(file)
            headers = {**headers, **_CONDITIONS[mode], "Content-Length": str(content.size)}
            self._server.ask("PUT", rpath, headers=headers, content=content)

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        """Make one collection; ``FileExistsError`` where something is."""
        try:
            self._server.ask("MKCOL", path, directory=True)
        except (PermissionError, BadRequestError, FailedError) as error:
            # 405 is what it should say; of several at once Apache tells the others 403, and
            # wsgidav 500.
            if not self._is_there(path):
                raise
            raise FileExistsError(errno.EEXIST, "already exists") from error

    def _is_there(self, path: str) -> bool:
        try:
            self.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a collection and those above it."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            try:
                self.mkdir("/".join(parts[:depth]))
            except FileExistsError:
                if depth == len(parts) and not exist_ok:
                    raise

    def cp_file(self, path1: str, path2: str) -> None:
        """Copy a file on the server, replacing what is there."""
        self._transfer("COPY", path1, path2, overwrite=True)

    def mv(self, path1: str, path2: str) -> None:
        """Rename, replacing what is there, which some servers delete first."""
        self._transfer("MOVE", path1, path2, overwrite=True)

    def mv_if_absent(self, path1: str, path2: str) -> None:
        """Rename; ``FileExistsError`` where something is."""
        self._transfer("MOVE", path1, path2, overwrite=False)

    def _transfer(self, method: str, source: str, target: str, *, overwrite: bool) -> None:
        headers = {
            # Absolute: Apache takes nothing else, although RFC 4918 allows a path. In the spelling
            # of the request: the host in ASCII, and no port that goes without saying.
            "Destination": str(httpx.URL(self._settings.address(target))),
            "Overwrite": "T" if overwrite else "F",
        }
        if method == "COPY":
            headers["Depth"] = "0"
        answer = self._server.ask(method, source, headers=headers)
        self._require_whole(answer, target)

    def rm_file(self, path: str) -> None:
        """Remove a file."""
        try:
            answer = self._server.ask("DELETE", path)
        except FailedError:
            # So wsgidav calls it that somebody was faster.
            if not self._is_there(path):
                raise FileNotFoundError(errno.ENOENT, "not found") from None
            raise
        self._require_whole(answer, path)

    def rmdir(self, path: str) -> None:
        """Remove a collection with everything in it."""
        self._require_whole(self._server.ask("DELETE", path, directory=True), path)

    def _require_whole(self, answer: httpx.Response, path: str) -> None:
        """A multistatus tells what was refused of a whole tree."""
        if answer.status_code != 207:
            return
        for entry in read_multistatus(answer.content):
            if entry.status is not None and entry.status >= 400 and entry.status != 424:
                refused = httpx.Response(entry.status, request=answer.request)
                raise self._server.refusal(refused, path)

    def age(self, path: str) -> float | None:
        """How many seconds ago a collection was changed, by the server's own clock."""
        headers = {"Depth": "0", **_XML}
        answer = self._server.ask("PROPFIND", path, directory=True, headers=headers, content=ASKED)
        now = moment(answer.headers.get("Date")) or time.time()
        entries = read_multistatus(answer.content)
        then = moment(entries[0].properties.get("getlastmodified")) if entries else None
        return None if then is None else now - then

    def close(self) -> None:
        """Drop the connections."""
        self._server.close()


def _described(path: str, entry: Entry) -> dict[str, Any]:
    """An entry in the words that ``file_info`` knows."""
    properties = entry.properties
    kind = "directory" if entry.collection else "file"
    etag = properties.get("getetag", "")
    return {
        "name": path,
        "type": kind,
        "size": properties.get("getcontentlength") if kind == "file" else None,
        "modified": properties.get("getlastmodified"),
        # Apache calls a tag weak until the file is a second old, and changes nothing else in it.
        "etag": etag.removeprefix("W/") or None,
        "content_type": properties.get("getcontenttype") or None,
    }
