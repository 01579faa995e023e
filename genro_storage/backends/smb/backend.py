"""A share as a backend: what is left to do above the filesystem of ``smb_files``."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import logging
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from ...exceptions import locating
from ...info import FileInfo
from ...paths import is_addressable, order_key, parent_of
from ..base import COPY_CHUNK
from ..errors import RootNotFoundError
from ..fsspec_backend import _is_unfinished as is_unfinished
from ..fsspec_info import Profile
from ..fsspec_write import Content
from ..handoff import interruptible
from ..remote import RemoteFilesystem, missing_extra
from ..remote_names import RemoteNames
from ..temporary_names import refuse_temporary
from .names import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...info import Attributes
    from ..fsspec_info import Filesystem
    from . import SmbOptions

__all__ = ["SmbBackend"]

_log = logging.getLogger("genro_storage")

_PROFILE = Profile(commit="rename", appends=True, copies=True, threadsafe=True)


class SmbBackend(RemoteNames):
    """A share. Connects at its first use; one connection serves all threads."""

    concurrency: ClassVar[int] = 4
    kept_attributes: frozenset[str] = frozenset({"mtime"})
    folds_case: ClassVar[bool] = True  # as every share that nobody has set up otherwise

    def __init__(self, options: SmbOptions, mount: str) -> None:
        self._options = options
        self._mount_name = mount
        self._remote = RemoteFilesystem(
            self._connect, "smb", bounds=options.bounds, explain=self._explain
        )
        super().__init__(self._remote, profile=_PROFILE)

    def _connect(self) -> Filesystem:
        try:
            from .files import SmbFiles
        except ImportError as error:
            raise missing_extra(error, self._mount_name, "smb", "smb") from error
        found: Any = SmbFiles(self._options, self._options.bounds)
        return found  # type: ignore[no-any-return]

    def _explain(self, error: Exception) -> Exception:
        # Whatever came from the client, its module has been imported by then.
        from .errors import explained

        return explained(error, self._options)

    def _call(self, step: Callable[[Any], Any], *, repeat: bool = True) -> Any:
        return self._remote.call(step) if repeat else self._remote.once(step)

    def _can_rename(self) -> bool:
        return True

    def address(self, path: str) -> tuple[object, str] | None:
        options = self._options
        # Names that differ in case only are one on most servers, but not on all: saying that two
        # places are different costs a copy at worst, saying that they are one loses one of them.
        store = ("smb", options.host.lower(), options.port, options.share.lower())
        return store, "/".join(part for part in (options.path, path) if part)

    def check(self) -> None:
        self._call(lambda fs: fs.reach())

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        try:
            return super().stat(path)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # What the server cannot hold is not there.
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error

    def _require_file(self, path: str) -> FileInfo:
        # Opening says what is there in the same round trip.
        return FileInfo(path, "file")

    def _is_link(self, path: str) -> bool:
        return bool(self._call(lambda fs: fs.is_link(path)))

    def _listed(self, path: str) -> tuple[int, list[tuple[FileInfo, int]]]:
        """A directory's identity, and its entries with theirs."""
        here, raws = self._call(lambda fs: fs.survey(path))
        found: list[tuple[FileInfo, int]] = []
        for raw in raws:
            if is_addressable(raw["name"]):
                found.append((self._describe(raw["name"], raw), raw["identity"]))
            else:
                _log.warning("left out the entry %r, whose name no path can express", raw["name"])
        return here, found

    def _read_listing(self, path: str, full: str) -> list[FileInfo]:
        return [info for info, _ in self._listed(path)[1]]

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """As the base has it. A directory that a link of the server leads back to is a ``link``."""
        levels = [self._level_below(path, [])]
        while levels:
            info = next(levels[-1][1], None)
            if info is None:
                levels.pop()
                continue
            if info.type != "directory":
                yield info
                continue
            below = None
            with locating(info.path), contextlib.suppress(FileNotFoundError):  # somebody was faster
                if enter is None or enter(info):
                    below = self._level_below(info.path, [here for here, _ in levels])
            yield info
            if below is not None:
                levels.append(below)

    def _level_below(self, path: str, above: list[int]) -> tuple[int, Iterator[FileInfo]]:
        here, listed = self._listed(path)
        circle = {identity for identity in (*above, here) if identity}
        level = [
            info._replace(type="link", symlink=True)
            if info.type == "directory" and identity in circle
            else info
            for info, identity in listed
            if not is_unfinished(info)
        ]
        return here, iter(sorted(level, key=order_key))

    # -- writing ------------------------------------------------------------------------------

    def _require_write(self, path: str, if_absent: bool) -> None:
        refuse(path)
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        refuse_temporary(path)
        try:
            raw = self._call(lambda fs: fs.look(path))
        except RootNotFoundError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            # Its directory is missing as well: the base looks what is in the way.
            super()._require_write(path, if_absent)
            return
        if raw is None:
            return
        found = self._describe(path, raw).type
        if found == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if if_absent:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        if found != "file":
            raise PermissionError(errno.EACCES, f"not a regular file: {found}", path)

    def _publish(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        # Directories are made where they turn out to be missing: asking first costs each write.
        try:
            self._publish_here(content, path, if_absent, attributes)
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            self.make_parents(path)
            self._publish_here(content, path, if_absent, attributes)

    def _publish_here(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        with self._sibling(path) as temporary:
            self._put(content, temporary, {})
            if isinstance(content, bytes):
                self._date(temporary, attributes)
            else:
                self._settle(temporary, path, attributes)
            if if_absent:
                self._rename_if_absent(temporary, path, path)
            else:
                self._rename(temporary, path)

    def _rename_if_absent(self, source: str, target: str, path: str) -> None:
        # Not repeated: the name may be taken by the first attempt itself.
        self._call(lambda fs: fs.rename(source, target, replace=False), repeat=False)

    def _settle(self, temporary: str, target: str, attributes: Attributes | None) -> None:
        self._date(temporary, attributes)
        # Much time may have passed since it was looked whether the name can be written to.
        self._call(lambda fs: fs.look(target))

    def _date(self, temporary: str, attributes: Attributes | None) -> None:
        if attributes is not None and attributes.mtime is not None:
            mtime = attributes.mtime
            self._call(lambda fs: fs.set_time(temporary, mtime, strict=False))

    def _append(self, content: Content, full: str) -> None:
        """By another thread where this one can be interrupted.

        What was added is taken back by the connection that has added it, while it still has the
        file to itself; a message that an interrupt cut in two would have been its last.
        """
        given_up = threading.Event()

        def chunks() -> Iterator[bytes]:
            for chunk in _pieces(content):
                if given_up.is_set():
                    raise InterruptedError(errno.EINTR, "given up")
                yield chunk

        context = contextvars.copy_context()
        interruptible(
            lambda: context.run(
                lambda: self._call(lambda fs: fs.append(full, chunks), repeat=False)
            ),
            self._options.bounds.timeout,
            given_up.set,
        )

    def set_mtime(self, path: str, mtime: float) -> None:
        self._call(lambda fs: fs.set_time(path, mtime))

    # -- names --------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        refuse(path)
        if not path:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        try:
            self._make_directory(path)
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            if self.stat(parent_of(path)).type != "directory":
                raise NotADirectoryError(
                    errno.ENOTDIR, "is not a directory", parent_of(path)
                ) from None
            raise

    def _remove_directory(self, full: str) -> None:
        try:
            super()._remove_directory(full)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            left = [info for info, _ in self._listed(full)[1]]
            if not left:
                raise OSError(
                    errno.ENOTEMPTY,
                    "the server keeps something in it that it does not show, such as links that "
                    "lead out of the share or nowhere; remove that on the server",
                ) from error
            if all(is_unfinished(info) for info in left):
                raise OSError(
                    errno.ENOTEMPTY,
                    "a file that was deleted in it is still open elsewhere, and goes when it is "
                    "closed there",
                ) from error
            raise

    def remove_tree(self, path: str) -> None:
        if path and self.stat(path).type == "directory":
            others = self._call(lambda fs: fs.twins(path))
            if others:
                raise PermissionError(
                    errno.EACCES,
                    f"the server shows this directory as {', '.join(map(repr, others))} too, by a "
                    "symbolic link, and does not say which is which; remove the link on the server",
                )
        super().remove_tree(path)

    def move(self, source: str, target: str) -> None:
        refuse(target)
        super().move(source, target)


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), COPY_CHUNK):
            yield content[start : start + COPY_CHUNK]
        return
    with content.open("rb") as source:
        while chunk := source.read(COPY_CHUNK):
            yield chunk
