"""The verbs of a backend for large files that go on where an earlier run was interrupted.

An upload goes on from the parts that the server has, a download from the ranges that a local file
has. What a run must know of the one before is in ``Notes``, which somebody above keeps.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ..info import Attributes

__all__ = ["Missing", "Notes", "PartialHandle", "ResumingVerbs"]


class Notes(Protocol):
    """What one transfer leaves for its next run: lines, which outlive the process. No secrets.

    Nothing raises: where they cannot be written (any more), ``are_kept`` is False.
    """

    @property
    def are_kept(self) -> bool:
        """Whether the next run will find what is noted now."""
        ...

    def lines(self) -> Sequence[Mapping[str, Any]]:
        """What was noted, the oldest first."""
        ...

    def begin(self, **facts: Any) -> None:
        """Forget all that was noted, and note this."""
        ...

    def add(self, **facts: Any) -> None:
        """Note this, too."""
        ...

    def forget(self) -> None:
        """There is nothing to go on with."""
        ...


class Missing(Protocol):
    """A local file that has some of a content. ``write`` may be called by several threads."""

    def begin(self, pin: str, size: int, /) -> None:
        """What is to come is the content that ``pin`` names; what is there of another is dropped."""
        ...

    def missing(self) -> list[tuple[int, int]]:
        """The ranges, from and up to, that are still to be written."""
        ...

    def write(self, at: int, data: bytes, /) -> None:
        """All of ``data``, from the byte ``at`` on."""
        ...

    def read(self, start: int, end: int, /) -> bytes:
        """What was written there."""
        ...


class PartialHandle(Protocol):
    """A file in the making that outlives this process; ``WriteHandle`` with these besides."""

    #: The name of the file beside its target.
    name: str
    #: Whether it is the one that was asked for, with what was written to it.
    is_reopened: bool

    def random_access(self) -> int: ...
    def truncate(self, size: int | None = None) -> int: ...
    def set_mtime(self, mtime: float) -> None: ...
    def keep(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class ResumingVerbs(ABC):
    """The part of :class:`~genro_storage.backends.base.Backend` that resumes.

    Whoever does not declare one of the three is not asked for it.
    """

    #: Whether ``resume_upload`` goes on where an earlier one was interrupted.
    resumes_uploads: ClassVar[bool] = False
    #: Whether ``resume_download`` works.
    resumes_downloads: ClassVar[bool] = False
    #: Whether ``open_partial`` works.
    keeps_partial_files: ClassVar[bool] = False

    # -- as in ``Backend`` --------------------------------------------------------------------

    @abstractmethod
    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None: ...

    # -- large files --------------------------------------------------------------------------

    def resume_upload(
        self,
        source: Path,
        path: str,
        notes: Notes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        take: Callable[[int], object] | None = None,
    ) -> str | None:
        """As ``upload``; what an interruption leaves on the server is used by the next call.

        What it has sent stays there where it fails and the notes are kept; not where ``if_absent``
        and a file are the reason. ``take`` is told, in any thread, how many bytes are to be sent
        next, and may wait, or raise to end it.
        """
        return self.upload(source, path, if_absent=if_absent, attributes=attributes)

    def resume_download(self, path: str, target: Missing) -> float | None:
        """Write what ``target`` misses, and compare the whole; the time that was kept with it.

        All of one content, or an error: ``OSError`` where it was replaced meanwhile.
        """
        raise io.UnsupportedOperation("this kind of mount does not resume downloads")

    def open_partial(
        self,
        path: str,
        name: str | None,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        noted: Callable[[str], object] | None = None,
    ) -> PartialHandle:
        """A write that can be left for a later process: ``keep()`` instead of ``close()``.

        ``name`` is that of an earlier one, which is opened if it is still there and in nobody's
        use; else a new one is made, whose name ``noted`` is told before it is there. The
        earlier one is removed where ``if_absent`` and a file make this fail.
        """
        raise io.UnsupportedOperation("this kind of mount keeps no partial files")
