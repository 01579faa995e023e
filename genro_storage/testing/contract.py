"""The write contract: a write is visible whole or not at all, whatever interrupts it."""

from __future__ import annotations

import errno
import gc
import io
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from ..backends.base import Backend
from ..capabilities import BackendCapabilities
from ..exceptions import StorageError, StorageIOError, StorageNotFoundError
from ..info import FileInfo
from ..mount import Mount
from .ground import Ground, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..backends.base import WriteHandle
    from ..node import StorageNode

__all__ = ["WriteContractConformance"]

_OLD = b"the old content, which is longer"


class _InterruptedError(Exception):
    """What the tests raise inside a ``with``."""


class _BrokenStream(io.RawIOBase):
    """Three chunks, then the connection is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 3

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            raise OSError(errno.EIO, "the connection broke in the middle")
        self._left -= 1
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


class _BrokenSource(Backend):
    """A storage whose only file cannot be read to its end."""

    capabilities = BackendCapabilities(write=False, delete=False, mkdir=False, readonly=True)

    def stat(self, path: str) -> FileInfo:
        if path != "broken.bin":
            raise FileNotFoundError(errno.ENOENT, "not found")
        return FileInfo(path, "file", 64 * 1024 * 1024)

    def scan(self, path: str) -> Iterator[FileInfo]:
        return iter([self.stat("broken.bin")])

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self.stat(path)
        stream: Any = _BrokenStream()
        return stream  # type: ignore[no-any-return]

    def open_write(self, path: str, **_: Any) -> WriteHandle:
        raise self._unsupported("writing")

    def mkdir(self, path: str) -> None:
        raise self._unsupported("writing")

    def remove(self, path: str) -> None:
        raise self._unsupported("writing")


class WriteContractConformance(Ground):
    """No interruption may show: not in the content, not in a listing, not in the next write."""

    @pytest.mark.parametrize("error", [_InterruptedError, KeyboardInterrupt])
    @pytest.mark.parametrize("mode", ["wb", "w", "w+b", "r+b", "r+", "ab", "a", "a+b"])
    def test_an_exception_inside_with_leaves_the_old_content(
        self, root: StorageNode, mode: str, error: type[BaseException]
    ) -> None:
        node = root / "d/file.bin"
        node.write_bytes(_OLD)
        if mode in ("ab", "a") and not self.declares(root, "append_mode", lambda: node.open(mode)):
            return
        with pytest.raises(error), node.open(mode) as stream:
            stream.write(b"new" if "b" in mode else "new")
            stream.flush()
            raise error
        self._untouched(node)

    @pytest.mark.parametrize("mode", ["wb", "w", "xb", "x", "w+b", "x+b", "ab", "a+b"])
    def test_an_exception_inside_with_makes_no_file(self, root: StorageNode, mode: str) -> None:
        node = root / "fresh.bin"
        if mode == "ab" and not self.declares(root, "append_mode", lambda: node.open(mode)):
            return
        with pytest.raises(_InterruptedError), node.open(mode) as stream:
            stream.write(b"new" if "b" in mode else "new")
            raise _InterruptedError
        assert not node.exists
        self._no_strays(root, [])
        node.write_bytes(b"next")
        assert node.read_bytes() == b"next"

    def test_a_large_write_that_fails_late_leaves_the_old_content(self, root: StorageNode) -> None:
        node = root / "d/file.bin"
        node.write_bytes(_OLD)
        with pytest.raises(_InterruptedError), node.open("wb") as stream:
            for _ in range(9):
                stream.write(bytes(1024 * 1024))
            raise _InterruptedError
        self._untouched(node)

    def test_nothing_shows_before_the_handle_is_closed(self, root: StorageNode) -> None:
        node = root / "d/file.bin"
        node.write_bytes(_OLD)
        with node.open("wb") as stream:
            stream.write(b"new" * 100_000)
            stream.flush()
            if root.capabilities.atomic_operations:
                assert node.read_bytes() == _OLD
                self._no_strays(node.parent, ["file.bin"])
        assert node.read_bytes() == b"new" * 100_000

    @pytest.mark.parametrize("mode", ["wb", "w", "r+b"])
    def test_a_dropped_handle_writes_nothing_and_warns(self, root: StorageNode, mode: str) -> None:
        node = root / "d/file.bin"
        node.write_bytes(_OLD)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stream = node.open(mode)
            stream.write(b"new" if "b" in mode else "new")
            del stream
            gc.collect()
        assert any(
            issubclass(warning.category, ResourceWarning) and node.fullpath in str(warning.message)
            for warning in caught
        )
        self._untouched(node)

    def test_a_handle_can_be_given_up(self, root: StorageNode) -> None:
        node = root / "d/file.bin"
        node.write_bytes(_OLD)
        stream: Any = node.open("wb")
        stream.write(b"new")
        stream.abort()
        assert stream.closed
        stream.close()
        self._untouched(node)

    def test_closing_twice_writes_once(self, root: StorageNode) -> None:
        node = root / "d/file.bin"
        stream = node.open("wb")
        stream.write(b"first")
        stream.close()
        node.write_bytes(_OLD)
        stream.close()
        self._untouched(node)

    def test_a_source_that_breaks_off_leaves_the_old_content(self, root: StorageNode) -> None:
        node = root / "d/file.bin"
        node.write_bytes(_OLD)
        source = root._derive("broken.bin")
        source._mount = Mount("broken", _BrokenSource())
        with pytest.raises(StorageIOError, match=r"broken:broken\.bin"):
            source.copy_to(node)
        self._untouched(node)

    def test_a_tool_that_fails_leaves_the_old_content(self, root: StorageNode) -> None:
        node = root / "d/file.bin"
        if node.resolved_path is not None:
            return  # a local mount gives the file itself, as documented
        for mode in ("w", "rw"):
            node.write_bytes(_OLD)
            with pytest.raises(_InterruptedError), node.local_path(mode) as path:
                with open(path, "wb") as stream:
                    stream.write(b"half")
                raise _InterruptedError
            self._untouched(node)

    def test_what_took_the_name_meanwhile_is_not_replaced(self, root: StorageNode) -> None:
        node = root / "once.txt"
        with pytest.raises(StorageError), node.open("xb") as stream:
            stream.write(b"late")
            node.write_bytes(_OLD)
        assert node.read_bytes() == _OLD

    # -- what must hold afterwards --------------------------------------------------------------

    def _untouched(self, node: StorageNode) -> None:
        assert node.read_bytes() == _OLD
        self._no_strays(node.parent, [node.name])
        node.write_bytes(b"next")
        assert node.read_bytes() == b"next"
        self._no_strays(node.parent, [node.name])

    @staticmethod
    def _no_strays(directory: StorageNode, expected: list[str]) -> None:
        if not directory.capabilities.list_dir:
            return
        try:
            found = names_in(directory)
            below = [info.name for info in directory._mount.find(directory._path)]
        except StorageNotFoundError:  # a store that knows directories by their files only
            assert not directory.capabilities.mkdir
            found = below = []
        assert found == expected
        assert below == expected
