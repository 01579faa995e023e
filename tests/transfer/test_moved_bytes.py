"""Whoever follows a copy hears of the bytes of large files while they move, each once."""

from __future__ import annotations

from collections import Counter

import pytest

from genro_storage import StorageManager
from genro_storage.transfer.events import BytesMoved, FileDone, FileStarted, Finished, Started

pytestmark = pytest.mark.services

SIZE = 70 * 1024 * 1024


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("bandwidth", [None, "2G"])
def test_all_bytes_of_a_large_file_are_told_once(moto_server, tmp_path, resume, bandwidth):
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "disk", "type": "local", "path": str(tmp_path)},
                {"name": "far", **moto_server.mount()},
            ]
        )
        (tmp_path / "in").mkdir()
        (tmp_path / "in/large.bin").write_bytes(bytes(SIZE))
        (tmp_path / "in/small.txt").write_bytes(b"small")
        for source, target in (
            ("disk:in", "far:up"),
            ("far:up", "disk:down"),
            ("disk:in", "disk:c"),
        ):
            events = []
            storage.node(source).copy_to(
                target, reporter=events.append, resume=resume, bandwidth=bandwidth
            )
            moved = Counter()
            for event in events:
                if isinstance(event, BytesMoved):
                    moved[event.relpath] += event.count
            assert moved["large.bin"] == SIZE, (source, target)
            steps = sum(isinstance(e, BytesMoved) and e.relpath == "large.bin" for e in events)
            assert steps > 1
            kinds = [type(e) for e in events if not isinstance(e, BytesMoved)]
            assert kinds[0] is Started
            assert kinds[-1] is Finished
            assert (kinds.count(FileStarted), kinds.count(FileDone)) == (2, 2)
            assert Started(2, SIZE + 5) in events
