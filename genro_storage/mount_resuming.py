"""The verbs of a mount for large files that go on where an earlier run was interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .backends.dynamic import DynamicRoot
from .draining import DescriptorSink, TargetFailedError
from .exceptions import StorageError, translate, translating
from .mount_extras import MountExtras

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from .backends.resuming import Missing, Notes, PartialHandle
    from .info import Attributes

__all__ = ["MountResuming", "PartialWriter"]


class PartialWriter:
    """A file in the making that can be left for a later run; its errors name the node."""

    def __init__(self, handle: PartialHandle, node: str) -> None:
        self._handle = handle
        self._node = node
        self.name: str = handle.name
        self.is_reopened: bool = handle.is_reopened

    def sink(self) -> DescriptorSink:
        """Where to write, from any thread; to be closed before this is."""
        return DescriptorSink(self._handle.random_access())

    def empty(self) -> None:
        """Forget what was written."""
        with translating(self._node, "writing"):
            self._handle.truncate(0)

    def failed(self, error: TargetFailedError) -> StorageError:
        """What to raise where a write to the sink has failed."""
        return translate(error.error, node=self._node, action="writing")

    def publish(self, mtime: float | None) -> None:
        """Put it in the target's place, with this time if there is one, or forget it."""
        with translating(self._node, "writing"):
            if mtime is not None:
                self._handle.set_mtime(mtime)
            self._handle.close()

    def keep(self) -> None:
        """Leave it for a later run."""
        with translating(self._node, "writing"):
            self._handle.keep()

    def abort(self) -> None:
        """Forget it; nothing happens after ``publish`` or ``keep``."""
        with translating(self._node, "abandoning a write"):
            self._handle.abort()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MountResuming(MountExtras):
    """As the verbs that begin anew; ``Notes`` are kept by whoever calls."""

    def _declares(self, flag: str) -> bool:
        return not isinstance(self.backend, DynamicRoot) and bool(getattr(self.backend, flag))

    @property
    def resumes_uploads(self) -> bool:
        """Whether an upload that was interrupted leaves something to go on from."""
        return self._declares("resumes_uploads")

    @property
    def resumes_downloads(self) -> bool:
        """Whether any range of a file can be fetched that is surely of one content."""
        return self._declares("resumes_downloads")

    @property
    def keeps_partial_files(self) -> bool:
        """Whether ``open_partial`` works."""
        return self._declares("keeps_partial_files")

    def lasting_address(self, path: str) -> str | None:
        """A text that names this place in every process, through whatever mounts, if there is one."""
        backend, real = self._at(path)
        with translating(lambda: self.label(path), "finding its place"):
            found = backend.address(real)
        return None if found is None else json.dumps(found, default=str)

    def resume_upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        notes: Notes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        take: Callable[[int], object] | None = None,
    ) -> str | None:
        """As ``upload``, from what an interrupted one has left on the server."""
        self.require_write(path)
        self.require_attributes(path, attributes)
        backend, real = self._at(path)
        with translating(lambda: self.label(path), "writing"):
            return backend.resume_upload(
                Path(source), real, notes, if_absent=if_absent, attributes=attributes, take=take
            )

    def resume_download(self, path: str, target: Missing) -> float | None:
        """What ``target`` misses of the file, compared as a whole; the time that was kept with it."""
        backend, real = self._at(path)
        try:
            return backend.resume_download(real, target)
        except (StorageError, TargetFailedError):
            raise  # the latter is the writer's, who says so in its own words
        except Exception as error:
            raise translate(error, node=self.label(path), action="reading") from error

    def open_partial(
        self,
        path: str,
        name: str | None,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        noted: Callable[[str], object] | None = None,
    ) -> PartialWriter:
        """A write that can be left for a later run; ``name`` is what an earlier one was called.

        ``noted`` is told what a new one will be called, before it is there.
        """
        self.require_write(path)
        self.require_attributes(path, attributes)
        backend, real = self._at(path)
        with translating(lambda: self.label(path), "opening for writing"):
            handle = backend.open_partial(
                real, name, if_absent=if_absent, attributes=attributes, noted=noted
            )
        return PartialWriter(handle, self.label(path))
