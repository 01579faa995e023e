"""The mount over SFTP: every write beside its target and renamed, links kept inside the root."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, ClassVar, TypeVar, cast

from ...exceptions import locating
from ...info import FileInfo
from ..errors import RootNotFoundError
from ..fsspec_info import Profile
from ..fsspec_write import Content, SpooledWrite
from ..remote import RemoteFilesystem, repeated
from ..remote_names import RemoteNames
from ..temporary_names import refuse_temporary, unique_name
from .files import COPY_DATA, SftpFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ...capabilities import BackendCapabilities
    from ...info import Attributes
    from ..base import WriteHandle
    from ..fsspec_info import Filesystem
    from ..remote import Bounds

__all__ = ["SftpBackend"]

T = TypeVar("T")

_PROFILE = Profile(commit="rename", exclusive=True, appends=True, threadsafe=True)
#: Files that are removed by requests on the way at once.
_MANY = 256


class _Remote(RemoteFilesystem):
    """Repeats and explains what is asked of ``SftpFiles``, which has more than ``Filesystem``."""

    def ask(self, step: Callable[[SftpFiles], T]) -> T:
        """``step(files)``, repeated where the network fails."""
        return self.call(lambda files: step(cast("SftpFiles", files)))

    def ask_once(self, step: Callable[[SftpFiles], T]) -> T:
        """The same, where a second attempt could do harm."""
        return self.once(lambda files: step(cast("SftpFiles", files)))

    def ask_until_done(
        self, step: Callable[[SftpFiles, Callable[[], None]], object], done: type[OSError]
    ) -> None:
        """``step(files, asking)``, repeated; ``done`` is no error after an attempt that had asked.

        An attempt that failed before, since nobody listened, has done nothing: then what ``done``
        says was so already.
        """
        asked: list[int] = []

        def attempt(number: int) -> None:
            may_be_done = bool(asked)
            try:
                self.once(
                    lambda files: step(cast("SftpFiles", files), lambda: asked.append(number))
                )
            except RootNotFoundError:
                raise
            except done:
                if not may_be_done:
                    raise

        repeated(self._bounds, attempt)


class SftpBackend(RemoteNames):
    """A directory of an SFTP server. ``store`` is equal for mounts of the same login.

    ``copy_optimization`` is declared from the moment when a server has said that it copies.
    """

    concurrency: ClassVar[int] = 4
    kept_attributes: frozenset[str] = frozenset({"mtime", "mode"})

    def __init__(
        self,
        connect: Callable[[Callable[[dict[bytes, bytes]], None]], SftpFiles],
        *,
        bounds: Bounds,
        explain: Callable[[Exception], Exception],
        store: tuple[object, ...],
        root: str,
        atomic: bool,
    ) -> None:
        self._files: _Remote = _Remote(
            lambda: cast("Filesystem", connect(self._learn)),
            "sftp",
            bounds=bounds,
            explain=explain,
        )
        self._atomic = atomic
        super().__init__(self._files, profile=_PROFILE)
        self._store = store
        self._shown_root = root.strip("/")

    def _declare(self) -> BackendCapabilities:
        return replace(super()._declare(), symbolic_links=True, atomic_operations=self._atomic)

    def _learn(self, extensions: dict[bytes, bytes]) -> None:
        known = self.capabilities
        if not known.copy_optimization and COPY_DATA in extensions:
            self.capabilities: BackendCapabilities = replace(known, copy_optimization=True)

    def address(self, path: str) -> tuple[object, str] | None:
        return self._store, "/".join(part for part in (self._shown_root, path) if part)

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        return self._files.ask(lambda files: files.info(path))

    def _entries(self, path: str) -> list[FileInfo]:
        return self._files.ask(lambda files: files.entries(path))

    def check(self) -> None:
        self._files.ask(lambda files: files.check())

    def _is_link(self, path: str) -> bool:
        return self.stat(path).symlink

    def _real_directory(self, path: str) -> str:
        return self._files.ask(lambda files: files.real_directory(path))

    # -- reading ------------------------------------------------------------------------------

    def _require_file(self, path: str) -> FileInfo:
        # Every reading looks at what is there, in the same breath.
        return FileInfo(path, "file")

    def _open_stream(self, path: str) -> BinaryIO:
        return cast("BinaryIO", self._files.open(path))

    # -- writing ------------------------------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        self._require_write(path, if_absent)
        # Refused now rather than at the end, when everything has been spooled.
        self._files.ask(lambda files: files.check_target(path, if_absent=if_absent))
        if append:
            return SpooledWrite(lambda content: self._add(content, path), seekable=False)
        return SpooledWrite(lambda content: self._publish(content, path, if_absent, attributes))

    def _require_write(self, path: str, if_absent: bool) -> None:
        # What is in the way is seen in the same breath as the parents, by whoever writes.
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        refuse_temporary(path)

    def _publish(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        with self._unfinished(path) as another:
            names = self._files.ask(
                lambda files: files.put(path, another(), content, attributes, if_absent=if_absent)
            )
            if if_absent:
                self._files.ask_once(lambda files: files.publish_if_absent(*names))
            else:
                self._name(names)

    def _name(self, names: tuple[bytes, bytes]) -> None:
        # Of a temporary file that is gone at the second attempt, the first has made the target.
        self._files.ask_until_done(
            lambda files, asking: files.publish(*names, asking=asking), FileNotFoundError
        )

    @contextlib.contextmanager
    def _unfinished(self, path: str) -> Generator[Callable[[], str]]:
        """Temporary names beside the target, which are gone again after the block.

        A new one for each attempt: a request of a former attempt may be on its way still, and
        empty a file of the same name while the next attempt is writing it.
        """
        names: list[str] = []

        def another() -> str:
            names.append(unique_name(path.rpartition("/")[2]))
            return names[-1]

        try:
            yield another
        except BaseException:
            self._discard(path, names)
            raise
        self._discard(path, names[:-1])

    def _discard(self, path: str, names: list[str]) -> None:
        # What comes of the write matters more than whether its parts can be removed, and cleanup()
        # finds them.
        if names:
            with contextlib.suppress(Exception):
                self._files.ask_once(lambda files: files.discard(path, names))

    def _add(self, content: Content, path: str) -> None:
        self._files.ask_once(lambda files: files.append(path, content))

    def set_mtime(self, path: str, mtime: float) -> None:
        self._files.ask(lambda files: files.set_mtime(path, mtime))

    # -- names --------------------------------------------------------------------------------

    def _make_empty(self, path: str) -> None:
        name = path.rpartition("/")[2]
        self._files.ask(lambda files: files.put(path, name, b"", None, if_absent=False))

    def mkdir(self, path: str) -> None:
        if not path:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        self._files.ask_until_done(
            lambda files, asking: files.mkdir(path, asking=asking), FileExistsError
        )

    def make_parents(self, path: str) -> None:
        if "/" in path:
            self._files.ask(lambda files: files.make_parents(path))

    def copy(self, source: str, target: str) -> None:
        if not self.capabilities.copy_optimization:
            raise self._unsupported("copy inside the store")
        self._require_write(target, if_absent=False)
        if source == target:
            self._files.ask(lambda files: files.check_source(source))
            return
        with self._unfinished(target) as another:
            self._name(self._files.ask(lambda files: files.copy(source, target, another())))

    def move(self, source: str, target: str) -> None:
        if not source or not target:
            raise PermissionError(errno.EPERM, "the root cannot be moved or replaced")
        refuse_temporary(target)
        self._files.ask_until_done(
            lambda files, asking: files.mv(source, target, asking=asking), FileNotFoundError
        )

    # -- removing -----------------------------------------------------------------------------

    def _require_removable(self, path: str) -> bool:
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        info = self.stat(path)
        return info.type == "directory" and not info.symlink

    def remove_tree(self, path: str) -> None:
        if not self._require_removable(path):
            self._remove_file(path)
            return
        # A stack rather than recursion: trees may be deeper than Python's call stack.
        levels = [(path, self._empty(path))]
        while levels:
            directory, below = levels[-1]
            here = below[-1] if below else directory
            # What another client has removed already needs no removing.
            with locating(here), contextlib.suppress(FileNotFoundError):
                if below:
                    below.pop()
                    try:
                        levels.append((here, self._empty(here)))
                    except NotADirectoryError:
                        # A link by now; some servers list links as what they lead to, too.
                        self._remove_file(here)
                else:
                    levels.pop()
                    self._remove_directory(here)

    def _empty(self, directory: str) -> list[str]:
        """Remove what is no directory in one, many at a time; returns the directories in it."""
        entries = self._files.ask(lambda files: files.entries(directory, follow=False))
        plain = [info.name for info in entries if info.type != "directory" or info.symlink]
        for start in range(0, len(plain), _MANY):
            some = plain[start : start + _MANY]
            self._files.ask(lambda files, some=some: files.remove_files(directory, some))  # type: ignore[misc]
        return [info.path for info in entries if info.type == "directory" and not info.symlink]
