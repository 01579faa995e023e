"""Eight threads on one manager: no wrong byte, no foreign error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ..exceptions import StorageExistsError, StorageNotFoundError
from .ground import Ground, names_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..node import StorageNode
    from .ground import Shelf

__all__ = ["ConcurrencyConformance"]

_THREADS = 8


def together(work: Callable[[int], object], count: int = _THREADS) -> list[object]:
    """Run ``work(0)`` … ``work(count - 1)`` at the same moment; the first error is raised."""
    barrier = threading.Barrier(count, timeout=60)

    def start(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(start, n) for n in range(count)]]


def _content(number: int) -> bytes:
    """Recognisable at each byte, and of its own length."""
    return bytes([65 + number]) * (1_000 + 20_011 * number)


class ConcurrencyConformance(Ground):
    """What the threads of one process see of each other."""

    def test_threads_with_files_of_their_own(self, root: StorageNode) -> None:
        def work(number: int) -> None:
            for turn in range(6):
                data = f"{number}-{turn}".encode() * (turn * 500 + 1)
                node = root / f"shared/t{number}/f{turn}.bin"
                node.write_bytes(data)
                assert node.read_bytes() == data
                assert node.size == len(data)

        together(work)
        for number in range(_THREADS):
            assert (root / f"shared/t{number}/f3.bin").read_bytes() == f"{number}-3".encode() * 1501

    def test_readers_share_one_file(self, shelf: Shelf) -> None:
        data = bytes(range(256)) * 1000
        node = shelf.put("shared.bin", data)

        def work(number: int) -> None:
            for _ in range(5):
                assert node.read_bytes() == data
                start = number * 1000
                assert (
                    node._mount.read_bytes(node._path, start, start + 9)
                    == (data[start : start + 9])
                )
                with node.open("rb") as stream:
                    assert stream.read(300) == data[:300]
                    assert stream.read() == data[300:]

        together(work)

    def test_one_file_is_always_whole(self, root: StorageNode) -> None:
        node = root / "d/contended.bin"
        node.write_bytes(_content(0))
        allowed = {_content(number) for number in range(_THREADS)}
        whole = root.capabilities.atomic_operations

        def work(number: int) -> None:
            for turn in range(12):
                if number % 2:
                    data = _content(number)
                    if turn % 2:
                        node.write_bytes(data)
                    else:
                        with node.open("wb") as stream:
                            stream.write(data[:500])
                            stream.write(data[500:])
                elif whole:
                    assert node.read_bytes() in allowed
                    with node.open("rb") as stream:
                        assert stream.read() in allowed

        together(work)
        assert node.read_bytes() in allowed
        if root.capabilities.list_dir:
            assert names_in(root / "d") == ["contended.bin"]

    def test_one_of_many_makes_a_directory(self, root: StorageNode) -> None:
        self.need_directories(root)

        def work(_number: int) -> bool:
            try:
                (root / "raced").mkdir()
            except StorageExistsError:
                return False
            return True

        assert together(work).count(True) == 1
        together(lambda _: (root / "a/b/c/d").mkdir(parents=True, exist_ok=True))
        assert (root / "a/b/c/d").isdir

    def test_one_of_many_creates_a_file(self, root: StorageNode) -> None:
        node = root / "d/once.txt"

        def work(number: int) -> int | None:
            try:
                with node.open("xb") as stream:
                    stream.write(_content(number))
            except StorageExistsError:
                return None
            return number

        winners = [number for number in together(work) if isinstance(number, int)]
        assert len(winners) == 1 if self.exclusive_creation else winners
        assert node.read_bytes() in {_content(number) for number in winners}

    def test_appended_pieces_stay_in_one_piece(self, root: StorageNode) -> None:
        node = root / "log.txt"
        if not root.capabilities.append_mode:
            pytest.skip("the backend does not declare 'append_mode'")

        def work(number: int) -> None:
            for _ in range(4):
                with node.open("ab") as stream:
                    stream.write(bytes([65 + number]) * 100 + b"\n")

        together(work)
        lines = node.read_bytes().splitlines()
        assert len(lines) == 4 * _THREADS
        assert all(len(line) == 100 and len(set(line)) == 1 for line in lines)

    def test_listing_while_others_write(self, root: StorageNode) -> None:
        self.need_listing(root)
        steady = [f"steady{number}.txt" for number in range(5)]
        for name in steady:
            (root / "d" / name).write_bytes(b"x")

        def work(number: int) -> None:
            for turn in range(8):
                if number % 2:
                    (root / f"d/t{number}-{turn}.txt").write_bytes(b"new")
                else:
                    names = names_in(root / "d")
                    assert [name for name in names if name.startswith("steady")] == steady
                    assert len(set(names)) == len(names)
                    found = [info.path for info in root._mount.find("")]
                    assert len(set(found)) == len(found)

        together(work)
        assert len(names_in(root / "d")) == 5 + 4 * 8

    def test_deleting_while_others_write(self, root: StorageNode) -> None:
        self.need_deletion(root)
        node = root / "d/contended.bin"
        allowed = {_content(number) for number in range(_THREADS)}
        whole = root.capabilities.atomic_operations

        def work(number: int) -> None:
            for _ in range(10):
                if number < 3:
                    node.write_bytes(_content(number))
                elif number < 6:
                    node.delete()
                else:
                    try:
                        data = node.read_bytes()
                    except StorageNotFoundError:
                        continue
                    assert not whole or data in allowed

        together(work)
        node.write_bytes(b"last")
        assert node.read_bytes() == b"last"
