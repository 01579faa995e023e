"""The verbs of whoever moves many files: what a listing has told is not asked again.

Each has a default, so that a backend overrides one only where it can do better.
"""

from __future__ import annotations

import errno
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ..hearing import note_bytes
from ..info import Attributes, Coming, Loaded
from ..open_files import path_of_open
from ..paths import Folding
from .resuming import ResumingVerbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..info import Checksum, FileInfo
    from .base import Backend, WriteHandle

__all__ = ["TransferVerbs"]

_COPY_CHUNK = 1024 * 1024


class TransferVerbs(ResumingVerbs):
    """The part of :class:`~genro_storage.backends.base.Backend` for the transfer engine."""

    #: How many transfers at a time pay here: many where the answer takes its time.
    concurrency: ClassVar[int] = 1
    #: Whether ``find_tree`` tells as much as a look, for the price of its first request.
    lists_at_once: ClassVar[bool] = False
    #: Whether the times in listings are those that writes keep, rather than those of writing.
    lists_times: ClassVar[bool] = True

    # -- as in ``Backend`` --------------------------------------------------------------------

    @abstractmethod
    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes: ...

    @abstractmethod
    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle: ...

    @abstractmethod
    def copy(self, source: str, target: str) -> None: ...

    @abstractmethod
    def copy_from(self, other: Backend, source: str, target: str) -> None: ...

    @abstractmethod
    def stat(self, path: str) -> FileInfo: ...

    @abstractmethod
    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]: ...

    # -- a tree -------------------------------------------------------------------------------

    def find_tree(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """As ``find``, of what may be a file: ``NotADirectoryError`` then, by the first step.

        Also where there is a directory of the same name, as there may be in a store of objects.
        """
        if self.stat(path).type != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        yield from self.find(path, enter=enter)

    # -- one file among many ------------------------------------------------------------------

    def load(self, path: str) -> Loaded:
        """All of a small file, and what was kept with it, as far as reading it tells by itself."""
        return Loaded(self.read_bytes(path), Attributes(offered=True))

    def load_each(self, paths: Sequence[str]) -> Coming[Loaded] | None:
        """As ``load`` of several, whose contents come one after the other before any is used.

        In fewer steps than it takes with other work in between. None where there is no such way.
        """
        return None

    def open_local(self, path: str) -> int | None:
        """A descriptor to read a file of this machine by, which the caller closes; else None.

        Of a regular file inside the root, as it is found now: ``PermissionError`` for what is
        none, or lies behind a link that leads out. It waits for nobody.
        """
        return None

    def upload_open(
        self,
        source: int,
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        """As ``upload``, of a regular file that is open for reading, positioned at its start."""
        named = path_of_open(source)
        if named is not None:
            return self.upload(named, path, if_absent=if_absent, attributes=attributes)
        with (
            open(source, "rb", closefd=False) as stream,
            self.open_write(path, if_absent=if_absent, attributes=attributes) as handle,
        ):
            while chunk := stream.read(_COPY_CHUNK):
                view = memoryview(chunk)
                while view:
                    view = view[handle.write(view) or 0 :]
                note_bytes(len(chunk))
        return handle.new_path

    def probable_checksum(self, info: FileInfo) -> Checksum | None:
        """A digest from the listing that proves a content which has it, and disproves none.

        An ETag that may be an MD5, say: where a file has that MD5, it is this content.
        """
        return info.checksum

    def copy_listed(self, info: FileInfo, target: str, origin: Backend | None) -> None:
        """Copy a file of ``origin`` (None: of this backend; or one that ``copies_from`` takes).

        As ``copy`` and ``copy_from``; ``info`` is from a listing, and tells size and ETag.
        """
        if origin is None:
            self.copy(info.path, target)
        else:
            self.copy_from(origin, info.path, target)

    def copy_together(
        self,
        origin: Backend,
        directory: str,
        files: Iterable[FileInfo],
        target: str,
        sizes: list[int],
    ) -> None:
        """Copy small files of ``directory`` of ``origin`` to ``target`` here, in their order.

        They are given as a listing has told them, and are to be like that still: of their paths only
        the names count.

        Each by a name that nothing has there, with its mode and time, whole or not at all; the
        bytes of each are added to ``sizes`` when it is there. It ends, and says nothing, before the
        first that cannot be copied so, for whatever reason: copied by itself, that file tells.
        Here none can; only files of this machine have such a way.
        """

    def write_together(
        self,
        directory: str,
        files: Sequence[tuple[str, bytes, Attributes]],
        arrived: Callable[[int], bool],
    ) -> None:
        """Write small files of ``directory``: the name, the content and what is offered with each.

        In their order, each whole or not at all, up to the first about which there is any question:
        written by itself, that file tells. ``arrived`` gets the bytes of each when it is there,
        and says whether the next is to be begun. Files of this machine are new names only, as
        ``copy_together`` says; a store that replaces without a question does. Missing directories
        are made. What ``write_bytes`` of the next one would raise is raised, and its retries are
        noted as ever.

        Not by the main thread, which must be interruptible: it may make none there.
        """

    # -- names --------------------------------------------------------------------------------

    def folding(self, path: str) -> Folding:
        """Which spellings of a name are one file in the directory ``path``.

        Of the nearest one above it that exists; the whole storage may be taken to be like that.
        No claim where it cannot be told.
        """
        return Folding()
