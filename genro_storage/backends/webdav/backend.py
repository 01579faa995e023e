"""The backend of a WebDAV collection: the write contract with as few requests as it takes."""

from __future__ import annotations

import contextlib
import errno
import logging
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TypeVar, cast

from ...exceptions import locating
from ...hearing import note_retry
from ...info import CleanupCount, FileInfo
from ...paths import join, parent_of
from ..base import COPY_CHUNK
from ..errors import RootNotFoundError
from ..fsspec_info import Profile
from ..fsspec_write import Content, GuardedReader
from ..remote import RemoteFilesystem, missing_extra
from ..remote_names import RemoteNames
from ..temporary_names import is_temporary, refuse_temporary
from .attempts import beside
from .settings import BadRequestError, FailedError, components, is_misread
from .spelling import first_difference, respell
from .turns import is_turn, turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...capabilities import BackendCapabilities
    from ...info import Attributes
    from ..fsspec_info import Filesystem
    from .filesystem import WebdavFilesystem
    from .settings import Settings

__all__ = ["WebdavBackend"]

T = TypeVar("T")

_log = logging.getLogger("genro_storage")

#: How often a name is tried that others take and give back.
_ATTEMPTS = 10
_PROFILE = Profile(commit="rename", copies=True, threadsafe=True)


class WebdavBackend(RemoteNames):
    """A collection of a WebDAV server, from ``root`` downwards.

    A write goes to a temporary file beside its target and takes the target's name by MOVE.
    Servers delete what is there before (Apache, wsgidav, everything on sabre/dav), so that a
    reader may meet nothing for an instant, though never a part: ``atomic_operations`` is False.
    With ``direct`` it goes to the target by PUT, which the servers that this is meant for make
    visible when it is complete: then it is True.

    Whatever a file must not replace is asked for before a MOVE, which would delete a whole tree
    to make room.
    """

    concurrency: ClassVar[int] = 4
    kept_attributes: frozenset[str] = frozenset({"content_type"})

    def __init__(self, settings: Settings, root: str = "", *, direct: bool = False) -> None:
        self._settings = settings
        self._direct = direct
        remote = RemoteFilesystem(
            self._connect, "webdav", bounds=settings.bounds, explain=self._explain
        )
        super().__init__(cast("Filesystem", remote), root, profile=_PROFILE)
        self._remote = remote
        self.capabilities: BackendCapabilities = replace(
            self.capabilities, atomic_operations=direct
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._settings.base}/>"

    def _connect(self) -> Filesystem:
        try:
            from .filesystem import WebdavFilesystem
        except ImportError as error:
            raise missing_extra(error, self._settings.mount, "webdav", "webdav") from error
        return cast("Filesystem", WebdavFilesystem(self._settings))

    def _explain(self, error: Exception) -> Exception:
        from .http import explained

        return explained(error, self._settings)

    def _call(self, step: Callable[[WebdavFilesystem], T]) -> T:
        """A call of ours that ``Filesystem`` does not have, repeated where the network fails."""
        return self._remote.call(lambda fs: step(cast("WebdavFilesystem", fs)))

    def address(self, path: str) -> tuple[object, str] | None:
        above = components(self._settings.base) or ()
        return ("webdav", self._settings.origin), join("/".join(above), self._full(path))

    # -- looking ------------------------------------------------------------------------------

    def _info(self, path: str) -> dict[str, Any]:
        full = self._full(path)
        try:
            # Without a slash at its end, many servers only redirect to a collection.
            return self._call(lambda fs: fs.info(full, directory=not path))
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            if path:
                raise
            raise self._root_missing() from error

    def _root_missing(self) -> RootNotFoundError:
        return RootNotFoundError(
            f"the collection {self._settings.address(self._root, directory=True)} does not exist; "
            "create it, or correct 'url' and 'path'"
        )

    def _is_directory(self, path: str) -> bool:
        """Whether a directory is there; ``FileNotFoundError`` where nothing is. One request."""
        full = self._full(path)
        try:
            found = self._call(lambda fs: fs.info(full, directory=True))
        except NotADirectoryError:
            return False
        except FileNotFoundError:
            # A file with a slash at its end is not found on some servers.
            return self.stat(path).type == "directory"
        return bool(found["type"] == "directory")

    def scan(self, path: str) -> Iterator[FileInfo]:
        return (info for info in super().scan(path) if not is_turn(info))

    def _entries(self, path: str) -> list[FileInfo]:
        try:
            return super()._entries(path)
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            if path:
                raise
            raise self._root_missing() from error

    # -- reading ------------------------------------------------------------------------------

    # Without a look before: the stream looks itself.

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self._refuse_version(version)
        stream = self._fs.open(self._full(path), "rb")
        return cast("BinaryIO", GuardedReader(stream, self._guard))

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        self._refuse_version(version)
        if end is not None and end <= start:
            self._require_file(path)
            return b""
        return self._fs.cat_file(self._full(path), start, end)

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        self._refuse_version(version)
        self._fs.get_file(self._full(path), str(target))

    # -- writing ------------------------------------------------------------------------------

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._require_name(path)
        self._publish(bytes(data), path, if_absent, attributes)
        return None

    def _require_name(self, path: str) -> None:
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        refuse_temporary(path)

    def _require_write(self, path: str, if_absent: bool) -> None:
        """Refuse early what could not be published; what is above shows when it is published."""
        self._require_name(path)
        found = self._kind(path)
        if found == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if found is not None and if_absent:
            raise FileExistsError(errno.EEXIST, "already exists", path)

    def _kind(self, path: str) -> str | None:
        try:
            return self.stat(path).type
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            return None

    def _publish(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        full = self._full(path)
        headers = _put_headers(attributes)
        misread = is_misread(full)
        if (self._direct or misread) and not if_absent:
            self._making_room(path, lambda: self._put_over(content, path, headers))
            return
        if if_absent:
            self._require_write(path, if_absent)  # saves sending what is not wanted
        if misread:
            self.make_parents(path)
            with turn(self._remote, full):
                self._require_write(path, if_absent)
                # Not repeated: what is there at a second attempt may be its own, or another's.
                self._put_over(content, path, {**headers, "mode": "create"})
            return

        def put(fs: WebdavFilesystem, name: str) -> None:
            if isinstance(content, bytes):
                fs.pipe_file(name, content, **headers)
            else:
                fs.put_file(str(content), name, **headers)

        with beside(self._remote, self._settings.bounds, full) as attempt:
            temporary = self._making_room(path, lambda: attempt(put))
            self._take_name(temporary, path, if_absent)

    def _put_over(self, content: Content, path: str, options: dict[str, str]) -> None:
        try:
            self._put(content, self._full(path), options)
        except OSError as error:
            # No server says clearly that it was a collection.
            if not isinstance(error, ConnectionError | TimeoutError) and (
                self._kind(path) == "directory"
            ):
                raise IsADirectoryError(errno.EISDIR, "is a directory", path) from error
            raise

    def _making_room(self, path: str, step: Callable[[], T]) -> T:
        """``step``, and again with the directories above where they were missing."""
        try:
            return step()
        except RootNotFoundError:
            raise
        except (FileNotFoundError, BadRequestError):
            self.make_parents(path)
            return step()

    def _take_name(self, temporary: str, path: str, if_absent: bool) -> None:
        """Give a finished file its name: never a directory's, and nobody else's if_absent."""
        full = self._full(path)
        if if_absent:
            with turn(self._remote, full):
                self._move_if_absent(temporary, full)
            return
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                # One after the other from the second attempt on.
                with turn(self._remote, full) if attempt > 1 else contextlib.nullcontext():
                    self._take_name_once(temporary, full, path)
                return
            except (RootNotFoundError, IsADirectoryError):
                raise
            except (FileExistsError, FileNotFoundError, FailedError) as error:
                # Several who replace one file get in each other's way on the server: it does not
                # find what it was to delete. Then what was to be moved is still there.
                if attempt == _ATTEMPTS or not self._is_file(temporary):
                    raise
                _log.debug("%r is contended: %s", full, error)
                note_retry(error)

    def _take_name_once(self, temporary: str, full: str, path: str) -> None:
        found = self._kind(path)
        if found == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if found is not None:
            self._fs.mv(temporary, full)
        else:
            # Somebody may have made a directory in the meantime.
            self._move_if_absent(temporary, full)

    def _is_file(self, full: str) -> bool:
        try:
            return bool(self._fs.info(full)["type"] == "file")
        except FileNotFoundError:
            return False

    def _move_if_absent(self, source: str, full: str) -> None:
        # Of a source that is gone at the second attempt, the first has made the target.
        self._remote.call_until_done(
            lambda fs: cast("WebdavFilesystem", fs).mv_if_absent(source, full), FileNotFoundError
        )

    def _makes_siblings(self) -> bool:
        return not self._direct

    def mkdir(self, path: str) -> None:
        if not path:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        try:
            self._fs.mkdir(self._full(path), create_parents=False)
        except RootNotFoundError:
            raise
        except OSError as error:
            if isinstance(error, FileExistsError | ConnectionError | TimeoutError):
                raise
            # What is wrong with the place is clearer than what the server said.
            if not self._is_directory(parent_of(path)):
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path) from error
            raise

    def make_parents(self, path: str) -> None:
        """Make what is missing above ``path``; one request where nothing is."""
        missing: list[str] = []
        above = parent_of(path)
        while above:
            try:
                if not self._is_directory(above):
                    raise NotADirectoryError(errno.ENOTDIR, "is not a directory", above)
                break
            except RootNotFoundError:
                raise
            except FileNotFoundError:
                missing.append(above)
                above = parent_of(above)
        for directory in reversed(missing):
            # Another thread may be making the same directories.
            with contextlib.suppress(FileExistsError):
                self.mkdir(directory)

    # -- names --------------------------------------------------------------------------------

    def copy(self, source: str, target: str) -> None:
        self._require_file(source)
        self._require_name(target)
        here, there = self._full(source), self._full(target)
        if here == there:
            return
        if is_misread(there) or self._is_replaced_by_put(target):
            self._copy_through_here(source, target)
            return
        with beside(self._remote, self._settings.bounds, there) as attempt:
            temporary = self._making_room(
                target, lambda: attempt(lambda fs, name: fs.cp_file(here, name))
            )
            self._take_name(temporary, target, False)

    def _is_replaced_by_put(self, target: str) -> bool:
        """Whether a file is there that is to be replaced at once, as no COPY or MOVE does it."""
        return self._direct and self._kind(target) == "file"

    def _copy_through_here(self, source: str, target: str) -> None:
        with self.open_read(source) as reader, self.open_write(target) as writer:
            while chunk := reader.read(COPY_CHUNK):
                writer.write(chunk)

    def move(self, source: str, target: str) -> None:
        if not source or not target:
            raise PermissionError(errno.EPERM, "the root cannot be moved or replaced")
        moved = self.stat(source).type
        here, there = self._full(source), self._full(target)
        if here == there:
            return
        if is_misread(there):
            raise self._unsupported("renaming to a name with '?', ';' or a control character")
        if moved != "directory":
            self._require_name(target)
        if moved == "file" and self._is_one_file(source, target):
            respell(self._remote, here, there, lambda name: self._take_name(name, target, False))
            return
        if moved == "file" and self._is_replaced_by_put(target):
            self._copy_through_here(source, target)
            self._remove_file(here)
            return
        self.make_parents(target)
        if moved == "directory":
            self._move_if_absent(here, there)
        else:
            self._take_name(here, target, False)

    def _is_one_file(self, source: str, target: str) -> bool:
        """Whether the server takes both for one, of which its listing shows the one name it has."""
        found = first_difference(source, target)
        if found is None or self._kind(target) is None:
            return False
        above, *names = found
        return not {info.name for info in self.scan(above)}.issuperset(names)

    def _remove_file(self, full: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._fs.rm_file(full)
                return
            except FailedError as error:
                if attempt == _ATTEMPTS:
                    raise
                note_retry(error)
                # Somebody removes it and somebody else makes it, all the time.
                time.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - not a secret

    def remove(self, path: str) -> None:
        if not self._require_removable(path):
            self._remove_file(self._full(path))
            return
        if next(self.scan(path), None) is not None:
            raise OSError(errno.ENOTEMPTY, "directory not empty", path)
        self._fs.rmdir(self._full(path))

    def remove_tree(self, path: str) -> None:
        """One request: a server removes a collection with everything in it."""
        if self._require_removable(path):
            self._fs.rmdir(self._full(path))
        else:
            self._remove_file(self._full(path))

    def cleanup(self, path: str, older_than: float) -> int:
        limit = time.time() - older_than
        removed = left = 0
        pending = [path]
        while pending:
            here = pending.pop()
            with locating(here), contextlib.suppress(FileNotFoundError):  # somebody was faster
                for info in self._entries(here):
                    if not is_temporary(info.name) or not (info.type == "file" or is_turn(info)):
                        pending += [info.path] if info.type == "directory" else []
                    elif older_than <= 0 or (info.mtime is not None and info.mtime <= limit):
                        with contextlib.suppress(FileNotFoundError):
                            self.remove_tree(info.path)
                            removed += 1
                    else:
                        left += 1
        return CleanupCount(removed, left)

    def check(self) -> None:
        self.stat("")


def _put_headers(attributes: Attributes | None) -> dict[str, str]:
    """What a PUT can carry of what a writer asks to keep."""
    if attributes is None or attributes.content_type is None:
        return {}
    kind = attributes.content_type
    return {"Content-Type": kind} if kind.isascii() and kind.isprintable() else {}
