"""The verbs of a mount for whoever moves many files, whose listing has told what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .backends.dynamic import DynamicRoot
from .backends.local_read import length_of
from .exceptions import StorageError, StorageValueError, translate, translating
from .info import Coming
from .mount_resuming import MountResuming
from .paths import Folding, join
from .sharing import SharedMount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .info import Attributes, Checksum, FileInfo, Loaded

__all__ = ["MountTransfers"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MountTransfers(MountResuming):
    """As the verbs of one file, without asking for what is known."""

    @property
    def concurrency(self) -> int:
        """How many transfers at a time pay here."""
        return 1 if isinstance(self.backend, DynamicRoot) else self.backend.concurrency

    @property
    def lists_at_once(self) -> bool:
        """Whether listing a directory costs as much as a look at it, and tells more."""
        return not isinstance(self.backend, DynamicRoot) and self.backend.lists_at_once

    @property
    def lists_times(self) -> bool:
        """Whether the times in listings are those that writes keep."""
        return isinstance(self.backend, DynamicRoot) or self.backend.lists_times

    @property
    def keeps_times(self) -> bool:
        """Whether a write keeps the time that it is given."""
        return isinstance(self.backend, DynamicRoot) or "mtime" in self.backend.kept_attributes

    @property
    def keeps_metadata(self) -> bool:
        """Whether a write keeps the user metadata that it is given."""
        return isinstance(self.backend, DynamicRoot) or "metadata" in self.backend.kept_attributes

    def shared(self) -> SharedMount:
        """What another process opens the same mount by; no keys are in it.

        ``StorageValueError`` where no other process can.
        """
        label = self.label("")
        if isinstance(self.backend, DynamicRoot):
            why = "a function gives its root, and may give another one there; give it a fixed path"
        elif self.backend.capabilities.temporary:
            why = "its files are in the memory of this process; copy without executor="
        elif self.origin is None:
            why = "it is no mount of a configuration; define it in a configuration file"
        else:
            try:
                reference = self.origin.reference()
            except LookupError as error:
                why = str(error)
            else:
                return SharedMount(reference, self.name, self.prefix, self.permissions)
        raise StorageValueError(
            f"{label}: other processes cannot open this mount: {why}", node=label
        )

    def load(self, path: str) -> Loaded:
        """All of a small file, and what was kept with it."""
        backend, real = self._at(path)
        return self._loaded(path, lambda: backend.load(real))

    def load_each(self, paths: Sequence[str]) -> Coming[Loaded] | None:
        """As ``load`` of several, whose contents come together; None where there is no such way."""
        places = [self._at(path) for path in paths]
        if not all(backend is places[0][0] for backend, _ in places):
            return None
        try:
            found = places[0][0].load_each([real for _, real in places]) if places else None
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(paths[0]), action="reading") from error
        return found and found.ended_by(paths, self._loaded)

    def _loaded(self, path: str, end: Callable[[], Loaded]) -> Loaded:
        try:
            return end()
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(path), action="reading") from error

    def open_local(self, path: str) -> int | None:
        """A descriptor to read a file of this machine by, checked now; None where it is no such."""
        backend, real = self._at(path)
        try:
            return backend.open_local(real)
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(path), action="reading") from error

    def upload_open(
        self,
        source: int,
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> tuple[str | None, int]:
        """As ``upload``, of an open file; how many bytes it had, besides."""
        self.require_write(path)
        self.require_attributes(path, attributes)
        backend, real = self._at(path)
        with translating(lambda: self.label(path), "writing"):
            count = length_of(source)
            new = backend.upload_open(source, real, if_absent=if_absent, attributes=attributes)
        return new, count

    def probable_checksum(self, info: FileInfo) -> Checksum | None:
        """A digest from the listing that proves a content which has it, and disproves none."""
        backend, real = self._at(info.path)
        inner = info if real == info.path else info._replace(path=real)
        # Asked of every file that is compared by its content: without the steps of `translating`.
        try:
            return backend.probable_checksum(inner)
        except StorageError:
            raise
        except Exception as error:
            raise translate(error, node=self.label(info.path), action="comparing") from error

    def copy_listed(self, info: FileInfo, target: MountTransfers, target_path: str) -> None:
        """As ``copy``, of a file whose size and ETag a listing has told."""
        target.require_write(target_path, "copying")
        backend, real = self._at(info.path)
        there, target_real = target._at(target_path)
        inner = info if real == info.path else info._replace(path=real)
        with translating(lambda: self._way(info.path, target, target_path), "copying"):
            there.copy_listed(inner, target_real, None if there is backend else backend)

    def copy_together(
        self,
        directory: str,
        files: Iterable[FileInfo],
        target: MountTransfers,
        target_directory: str,
        sizes: list[int],
    ) -> None:
        """Copy small new files of one directory, as many as there are no questions about.

        See the verb of the backend: ``sizes`` gets the bytes of each that was copied.
        """
        target.require_write(target_directory, "copying")
        backend, real = self._at(directory)
        there, target_real = target._at(target_directory)
        with translating(lambda: self._way(directory, target, target_directory), "copying"):
            there.copy_together(backend, real, files, target_real, sizes)

    def write_together(
        self,
        directory: str,
        files: Sequence[tuple[str, bytes, Attributes]],
        arrived: Callable[[int], bool],
    ) -> None:
        """Write small files of one directory, as many as there are no questions about.

        See the verb of the backend; of the attributes, which are offered, it keeps what it can.
        """
        if not files or self._is_switched():  # whose files may go to several places
            return
        count = 0

        def counted(size: int) -> bool:
            nonlocal count
            count += 1
            return arrived(size)

        def path() -> str:
            return join(directory, files[count][0] if count < len(files) else "")

        self.require_write(path())
        backend, real = self._at(directory)
        with translating(lambda: self.label(path()), "writing"):
            backend.write_together(real, files, counted)

    def folding(self, path: str) -> Folding:
        """Which spellings of a name are one file in the directory ``path``, or where it will be.

        May make an empty file there for a moment, whose name no listing shows.
        """
        self.require_write(path, "looking at how it takes names")
        if not path and not self.prefix and self._is_switched():
            return Folding()  # it is not one storage
        backend, real = self._at(path)
        with translating(lambda: self.label(path), "looking at how it takes names"):
            return backend.folding(real)
