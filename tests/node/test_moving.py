"""Moving between storages: only what has arrived goes."""

from __future__ import annotations

import contextlib
import threading

from genro_storage import StorageManager, StorageNotEmptyError


def test_files_that_appear_while_a_tree_is_moved_are_not_lost():
    with StorageManager() as storage:
        storage.configure([{"name": name, "type": "memory"} for name in ("here", "there")])
        for number in range(300):
            storage.node(f"here:tree/{number:03}/file").write_text("old")
        written: list[str] = []
        started, stop = threading.Event(), threading.Event()

        def write_meanwhile():
            while not stop.is_set():
                name = f"tree/{len(written) % 300:03}/new-{len(written)}"
                storage.node("here", name).write_text("new")
                written.append(name)
                started.set()
                stop.wait(0.0005)

        writer = threading.Thread(target=write_meanwhile)
        writer.start()
        started.wait()
        # The directories that got new files in the end cannot be removed.
        with contextlib.suppress(StorageNotEmptyError):
            storage.node("here:tree").move_to("there:tree")
        stop.set()
        writer.join()
        lost = [
            name
            for name in written
            if not (storage.node("here", name).exists or storage.node("there", name).exists)
        ]
        assert lost == []
        assert all(storage.node(f"there:tree/{number:03}/file").exists for number in range(300))
        assert any(storage.node("here", name).exists for name in written)
