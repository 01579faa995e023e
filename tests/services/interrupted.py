"""What every server that dies in the middle of a transfer must leave behind: nothing."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from genro_storage import StorageError, StorageManager, StorageNode

from .cable import Cable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .base import Service

__all__ = ["InterruptedTransfers", "within"]


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block must not hang: it may take this long, which is generous for a busy machine.

    That is so also where it ends by the error that a test waits for.
    """
    started = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - started < seconds


class InterruptedTransfers:
    """Tests that stop a server; ``service`` is one of their own, that no other test uses.

    A subclass has a fixture ``service`` (started) and writes ``config``. The mounts are ``direct``,
    ``wired`` (the same through a cable that can be pulled out) and ``disk``.
    """

    #: Bytes of the file that is transferred; far more than all buffers on the way.
    size: ClassVar[int] = 16 * 1024 * 1024
    #: Seconds for each attempt, and how many more there are, of the mounts.
    timeout: ClassVar[float] = 2.0
    retries: ClassVar[int] = 1
    #: Seconds that a failure may take: attempts, pauses, and a busy machine.
    bound: ClassVar[float] = 30.0

    @pytest.fixture
    def service(self) -> Service:
        raise NotImplementedError

    def config(self, service: Any, port: int) -> dict[str, Any]:
        """The mount, without name, timeout and retries, of this server on that port."""
        raise NotImplementedError

    def seed(self, service: Any, storage: StorageManager, path: str, data: bytes) -> None:
        """Put content on the server; override it where the mount cannot."""
        storage.node("direct", path).write_bytes(data)

    @pytest.fixture
    def cable(self, service: Service) -> Iterator[Cable]:
        with Cable(service.port) as cable:
            yield cable

    @pytest.fixture
    def storage(self, service: Service, cable: Cable, tmp_path: Path) -> Iterator[StorageManager]:
        bounds = {"timeout": self.timeout, "retries": self.retries}
        (tmp_path / "disk").mkdir()
        with StorageManager() as manager:
            manager.configure(
                [
                    {"name": "direct", **self.config(service, service.port), **bounds},
                    {"name": "wired", **self.config(service, cable.port), **bounds},
                    {"name": "disk", "type": "local", "path": str(tmp_path / "disk")},
                ]
            )
            yield manager

    @staticmethod
    def _blackout(service: Service, cable: Cable) -> None:
        # The cable too: some servers leave a process behind for each connection.
        service.kill()
        cable.cut()

    def test_configuring_connects_to_nothing(self, storage: StorageManager, cable: Cable) -> None:
        assert storage.has_mount("wired")
        assert cable.passed == 0

    def test_a_download_that_breaks_off(
        self, storage: StorageManager, service: Service, cable: Cable
    ) -> None:
        data = bytes(range(256)) * (self.size // 256)
        self.seed(service, storage, "big.bin", data)
        source, target = storage.node("wired:big.bin"), storage.node("disk:big.bin")
        cable.after(self.size // 2, lambda: self._blackout(service, cable))
        with pytest.raises(StorageError, match="wired:"), within(self.bound):
            source.copy_to(target)
        assert not cable.is_due, "the server was to die in the middle"
        assert list(storage.node("disk:").children()) == []
        service.start()
        cable.mend()
        source.copy_to(target)
        assert target.read_bytes() == data

    def test_a_read_that_breaks_off(
        self, storage: StorageManager, service: Service, cable: Cable
    ) -> None:
        data = bytes(range(256)) * (self.size // 256)
        self.seed(service, storage, "big.bin", data)
        cable.after(self.size // 2, lambda: self._blackout(service, cable))
        source = storage.node("wired:big.bin")
        with pytest.raises(StorageError, match=r"wired:big\.bin"), within(self.bound):
            self._read(source)
        assert not cable.is_due, "the server was to die in the middle"
        service.start()
        cable.mend()
        assert self._read(source) == data

    @staticmethod
    def _read(source: StorageNode) -> bytes:
        parts: list[bytes] = []
        with source.open("rb") as stream:
            while part := stream.read(1024 * 1024):
                parts.append(part)
        return b"".join(parts)

    def test_an_upload_that_breaks_off(
        self, storage: StorageManager, service: Service, cable: Cable
    ) -> None:
        seen = storage.node("direct:d/big.bin")
        if not seen.capabilities.write:
            pytest.skip("the backend does not declare 'write'")
        seen.write_bytes(b"old")
        data = bytes(range(256)) * (self.size // 256)
        source = storage.node("disk:big.bin")
        source.write_bytes(data)
        target = storage.node("wired:d/big.bin")
        assert target.read_bytes() == b"old"  # connects
        cable.after(self.size // 2, lambda: self._blackout(service, cable))
        with pytest.raises(StorageError, match=r"wired:d/big\.bin"), within(self.bound):
            source.copy_to(target)
        assert not cable.is_due, "the server was to die in the middle"
        assert source.read_bytes() == data
        service.start()
        cable.mend()
        assert seen.read_bytes() == b"old"
        assert [child.name for child in seen.parent.children()] == ["big.bin"]
        source.copy_to(target)
        assert seen.read_bytes() == data
        assert [child.name for child in seen.parent.children()] == ["big.bin"]

    def test_a_server_that_is_gone(self, storage: StorageManager, service: Service) -> None:
        self.seed(service, storage, "a.txt", b"here")
        node = storage.node("direct:a.txt")
        assert node.read_bytes() == b"here"
        service.stop()
        steps = [node.read_bytes, lambda: node.exists, lambda: node.size]
        if node.capabilities.list_dir:
            steps.append(lambda: list(node.parent.children()))
        for step in steps:
            with pytest.raises(StorageError, match="direct:"), within(self.bound):
                step()
        service.start()
        assert node.read_bytes() == b"here"

    def test_a_server_that_is_silent(self, storage: StorageManager, service: Service) -> None:
        self.seed(service, storage, "a.txt", b"here")
        node = storage.node("direct:a.txt")
        with service.frozen(), pytest.raises(StorageError, match="direct:"), within(self.bound):
            node.read_bytes()
        assert node.read_bytes() == b"here"
        # Nor does a new connection wait for ever.
        fresh = storage.node("wired:a.txt")
        with service.frozen(), pytest.raises(StorageError, match="wired:"), within(self.bound):
            fresh.read_bytes()
        assert fresh.read_bytes() == b"here"
