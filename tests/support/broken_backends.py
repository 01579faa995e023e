"""Backends with one fault each, under the conformance suite: what tests/test_testing.py runs.

Not collected by itself, because each class has a test that must fail.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from genro_storage import BackendCapabilities, BackendType, Checksum, FileInfo, register
from genro_storage.backends.base import Backend, WriteHandle
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.backends.options import BackendOptions
from genro_storage.paths import parent_of
from genro_storage.testing import BackendConformance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Options(BackendOptions):
    """Where the broken local backends write."""

    path: str | None = None


def mounted(backend: type[Backend]) -> dict[str, str]:
    """Register a backend of these and say how to mount it."""

    def build(options: Options, _context: object) -> Backend:
        make: Any = backend
        made: Backend = make(options.path) if options.path is not None else make()
        return made

    register(BackendType(backend.__name__, Options, build), replace=True)
    return {"type": backend.__name__}


class Handle(WriteHandle):
    """Collects pieces and gives them to ``commit``; ``abort`` is told too."""

    def __init__(self, commit: Any, abort: Any = lambda _data: None) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._do_commit, self._do_abort = commit, abort

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def _commit(self) -> None:
        self._do_commit(b"".join(self._pieces))

    def _abort(self) -> None:
        self._do_abort(b"".join(self._pieces))


class CommitsOnError(MemoryBackend):
    def open_write(self, path: str, **options: Any) -> WriteHandle:
        def put(data: bytes) -> None:
            self.put(path, data, **options)

        return Handle(put, put)


class LeavesTemporaries(MemoryBackend):
    def open_write(self, path: str, **options: Any) -> WriteHandle:
        self.put(f"{path}.part", b"")

        def put(data: bytes) -> None:
            self.put(path, data, **options)
            self.remove(f"{path}.part")

        return Handle(put)


class TimeIsNow(MemoryBackend):
    def stat(self, path: str) -> FileInfo:
        return super().stat(path)._replace(mtime=time.time())


class TimeIsInvented(MemoryBackend):
    def stat(self, path: str) -> FileInfo:
        return super().stat(path)._replace(mtime=0.0)


class RemovesPatterns(MemoryBackend):
    def remove_tree(self, path: str) -> None:
        super().remove_tree(path)
        for info in list(self.scan(parent_of(path))):
            if fnmatch.fnmatchcase(info.path, path):
                super().remove_tree(info.path)


class RemovesPrefixes(MemoryBackend):
    def remove_tree(self, path: str) -> None:
        for info in list(self.scan(parent_of(path))):
            if info.path.startswith(path):
                super().remove_tree(info.path)


class MissingIsNone(MemoryBackend):
    def stat(self, path: str) -> FileInfo:
        try:
            return super().stat(path)
        except FileNotFoundError:
            return None  # type: ignore[return-value]


class MissingIsEmpty(MemoryBackend):
    def read_bytes(self, path: str, *arguments: Any, **options: Any) -> bytes:
        try:
            return super().read_bytes(path, *arguments, **options)
        except FileNotFoundError:
            return b""


class WritesInTwoSteps(MemoryBackend):
    def put(self, path: str, data: bytes, **options: Any) -> None:
        super().put(path, data[: len(data) // 2], **options)
        time.sleep(0.001)
        super().put(path, data, **options)


class AppendsByOverwriting(MemoryBackend):
    def open_write(self, path: str, *, append: bool = False, **options: Any) -> WriteHandle:
        return super().open_write(path, **options)


class OverwritesWithoutTruncating(MemoryBackend):
    def put(self, path: str, data: bytes, **options: Any) -> None:
        with contextlib.suppress(FileNotFoundError):
            data += self.read_bytes(path)[len(data) :]
        super().put(path, data, **options)


class IgnoresIfAbsent(MemoryBackend):
    def open_write(self, path: str, *, if_absent: bool = False, **options: Any) -> WriteHandle:
        return super().open_write(path, **options)


class FindsUnsorted(MemoryBackend):
    def find(self, path: str, **options: Any) -> Iterator[FileInfo]:
        return reversed(list(super().find(path, **options)))


class FindsByName(MemoryBackend):
    def find(self, path: str, **options: Any) -> Iterator[FileInfo]:
        return iter(sorted(super().find(path, **options), key=lambda info: info.path))


class ListsWithoutSizes(MemoryBackend):
    def scan(self, path: str) -> Iterator[FileInfo]:
        return (info._replace(size=None) for info in super().scan(path))


class SizesAreWrong(MemoryBackend):
    def stat(self, path: str) -> FileInfo:
        info = super().stat(path)
        return info if info.size is None else info._replace(size=info.size + 1)


class RangesIncludeTheirEnd(MemoryBackend):
    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, **options: Any
    ) -> bytes:
        return super().read_bytes(path, start, None if end is None else end + 1, **options)


class CallsAnEtagMd5(MemoryBackend):
    def checksum(self, info: FileInfo) -> Checksum | None:
        return Checksum("md5", "0" * 32)


class ClaimsMetadata(MemoryBackend):
    capabilities = BackendCapabilities(temporary=True, metadata=True)

    def set_metadata(self, path: str, metadata: Any) -> None:
        """Silently nothing."""


class ClaimsTags(MemoryBackend):
    capabilities = BackendCapabilities(temporary=True, tags=True)

    def set_tags(self, path: str, tags: Any) -> None:
        """Silently nothing."""

    def get_tags(self, path: str, *, version: str | None = None) -> dict[str, str]:
        return {}


class DecodesNames(MemoryBackend):
    def _at(self, path: str) -> str:
        return super()._at(unquote(path))


class FoldsCase(MemoryBackend):
    def _at(self, path: str) -> str:
        return super()._at(path.lower())


class ForgetsSomeOfMany(MemoryBackend):
    def remove_many(self, paths: Iterable[str]) -> None:
        super().remove_many(list(paths)[:1])


class MakesDirectoriesTwice(MemoryBackend):
    def mkdir(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            super().mkdir(path)


class WritesInPlace(LocalBackend):
    """What most programs do: truncate the file, then fill it."""

    def open_write(self, path: str, **_: Any) -> WriteHandle:
        full = Path(self.base_path, path)
        full.parent.mkdir(parents=True, exist_ok=True)
        return InPlace(full)


class InPlace(WriteHandle):
    def __init__(self, full: Path) -> None:
        super().__init__()
        self._descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def write(self, data: Any) -> int:
        return os.write(self._descriptor, data)

    def _commit(self) -> None:
        os.close(self._descriptor)

    _abort = _commit


#: The fault, and the test that must fail because of it.
FAULTS: dict[type[Backend], str] = {
    CommitsOnError: "test_an_exception_inside_with_leaves_the_old_content",
    LeavesTemporaries: "test_an_exception_inside_with_makes_no_file",
    TimeIsNow: "test_looking_and_reading_do_not_change_the_time",
    TimeIsInvented: "test_the_modification_time_is_honest",
    RemovesPatterns: "test_removing_one_file_leaves_the_others",
    RemovesPrefixes: "test_deleting_takes_the_tree_and_nothing_else",
    MissingIsNone: "test_what_is_missing_is_nothing",
    MissingIsEmpty: "test_what_is_missing_cannot_be_read",
    WritesInTwoSteps: "test_one_file_is_always_whole",
    AppendsByOverwriting: "test_appending_adds_to_the_end",
    OverwritesWithoutTruncating: "test_overwriting_replaces_the_whole_content",
    IgnoresIfAbsent: "test_exclusive_creation_never_replaces",
    FindsUnsorted: "test_a_tree_is_found_in_key_order",
    FindsByName: "test_a_tree_is_found_in_key_order",
    ListsWithoutSizes: "test_a_listing_says_what_a_look_says",
    SizesAreWrong: "test_the_size_is_the_length",
    RangesIncludeTheirEnd: "test_a_range_is_what_a_slice_would_be",
    CallsAnEtagMd5: "test_a_digest_from_metadata_is_the_digest_of_the_content",
    ClaimsMetadata: "test_metadata",
    ClaimsTags: "test_tags",
    DecodesNames: "test_a_file_keeps_its_name",
    FoldsCase: "test_names_that_differ_only_in_case",
    ForgetsSomeOfMany: "test_several_files_are_removed_at_once",
    MakesDirectoriesTwice: "test_mkdir_says_what_is_wrong",
    WritesInPlace: "test_a_killed_writer_leaves_the_old_content_or_the_new",
}


class _Suite(BackendConformance):
    __test__ = False
    backend: type[Backend] = MemoryBackend
    child_setup = "import tests.support.broken_backends"

    @pytest.fixture
    def mount_config(self, tmp_path: Path) -> dict[str, str]:
        config = mounted(self.backend)
        if issubclass(self.backend, LocalBackend):
            (tmp_path / "root").mkdir()
            config["path"] = str(tmp_path / "root")
        return config


class TestWithoutFault(_Suite):
    __test__ = True


class TestLocalWithoutFault(_Suite):
    __test__ = True
    backend = LocalBackend


_ALL: tuple[type[Backend], ...] = (MemoryBackend, LocalBackend, *FAULTS)
for _backend in _ALL:
    mounted(_backend)  # here too, for the processes that the suite starts

for _fault in FAULTS:
    _name = f"Test{_fault.__name__}"
    globals()[_name] = type(_name, (_Suite,), {"__test__": True, "backend": _fault})
