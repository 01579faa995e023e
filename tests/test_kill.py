"""Writers killed with SIGKILL at random moments: the old content or the new, never a mixture."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
import traceback

import pytest

from genro_storage import StorageManager

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "fork"), reason="the writers are forked, which this system cannot do"
    ),
]

SIZE = 4 * 1024 * 1024
SEED = int(os.environ.get("GENRO_STORAGE_KILL_SEED", "20261120"))
CONTENTS = [bytes([letter]) * SIZE for letter in b"on"]  # wholly old, wholly new


def manager(root, **options) -> StorageManager:
    storage = StorageManager()
    storage.configure([{"name": "disk", "type": "local", "path": str(root), **options}])
    return storage


class Writer:
    """A child process that repeats ``step`` until it is killed."""

    def __init__(self, step):
        ready, announce = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            # Nothing of the parent (pytest's handlers, its buffers) may run in the child.
            try:
                os.close(ready)
                count = 0
                while True:
                    step(count)
                    count += 1
                    if count == 1:
                        os.write(announce, b".")
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(3)
        os.close(announce)
        self._ready = ready

    def wait_until_writing(self):
        told = os.read(self._ready, 1)
        os.close(self._ready)
        assert told, "the writer died by itself; its traceback stands above"

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.bury()

    def bury(self):
        _, status = os.waitpid(self.pid, 0)
        # Ended by our signal, not by an error of its own.
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def names_in(directory):
    return sorted(os.listdir(directory))


def whole(data, where):
    """The content is one of the two, entirely."""
    assert len(data) == SIZE, f"{where}: {len(data)} bytes of {SIZE} (seed {SEED})"
    assert data in CONTENTS, f"{where}: a mixture of old and new (seed {SEED})"


def write_bytes(storage, sources):
    def step(count):
        storage.node("disk:f").write_bytes(CONTENTS[count % 2])

    return step


def open_in_pieces(storage, sources):
    def step(count):
        data = CONTENTS[count % 2]
        with storage.node("disk:f").open("wb") as handle:
            for start in range(0, SIZE, 256 * 1024):
                handle.write(data[start : start + 256 * 1024])

    return step


def update_in_place(storage, sources):
    def step(count):
        with storage.node("disk:f").open("r+b") as handle:
            handle.write(CONTENTS[count % 2])

    return step


def copy_within_the_mount(storage, sources):
    for name, data in zip("on", CONTENTS, strict=True):
        storage.node(f"disk:source-{name}").write_bytes(data)

    def step(count):
        storage.node(f"disk:source-{'on'[count % 2]}").copy_to("disk:f")

    return step


def copy_from_memory(storage, sources):
    storage.configure([{"name": "ram", "type": "memory"}])
    for name, data in zip("on", CONTENTS, strict=True):
        storage.node(f"ram:{name}").write_bytes(data)

    def step(count):
        storage.node(f"ram:{'on'[count % 2]}").copy_to("disk:f")

    return step


def upload(storage, sources):
    mount = storage.node("disk:")._mount

    def step(count):
        mount.upload(sources[count % 2], "f")

    return step


WAYS = [
    write_bytes,
    open_in_pieces,
    update_in_place,
    copy_within_the_mount,
    copy_from_memory,
    upload,
]
KILLS = dict.fromkeys(WAYS, 34)  # 204 in all


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_write_killed_at_a_random_moment_leaves_the_old_content_or_the_new(way, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    storage = manager(root)
    node = storage.node("disk:f")
    node.write_bytes(CONTENTS[0])
    sources = [tmp_path / "old", tmp_path / "new"]
    for source, data in zip(sources, CONTENTS, strict=True):
        source.write_bytes(data)
    step = way(storage, sources)
    moments = random.Random(f"{SEED}-{way.__name__}")
    settled = names_in(root)
    strays = 0
    for _ in range(KILLS[way]):
        writer = Writer(step)
        writer.wait_until_writing()
        time.sleep(moments.uniform(0, 0.02))
        writer.kill()
        whole(node.read_bytes(), way.__name__)
        left = [name for name in names_in(root) if name not in settled]
        strays += len(left)
        # What is left is invisible to the mount ...
        assert sorted(child.name for child in node.parent.children()) == settled
    # ... and the next write to that name takes it away.
    node.write_bytes(CONTENTS[1])
    assert node.read_bytes() == CONTENTS[1]
    assert names_in(root) == settled
    # Had no kill ever hit the middle of a write, this test would prove nothing.
    assert strays > 0, f"no kill out of {KILLS[way]} hit a write (seed {SEED})"


def test_killing_concurrent_writers_of_one_name_leaves_it_whole_and_cleanup_removes_the_rest(
    tmp_path,
):
    storage = manager(tmp_path)
    node = storage.node("disk:f")
    node.write_bytes(CONTENTS[0])
    moments = random.Random(f"{SEED}-slots")
    most = 0
    rounds = 0
    # The moments are random: go on until several writers were killed in the middle at once.
    while rounds < 12 or (most < 2 and rounds < 100):
        rounds += 1
        writers = [Writer(open_in_pieces(storage, None)) for _ in range(4)]
        for writer in writers:
            writer.wait_until_writing()
        time.sleep(moments.uniform(0, 0.03))
        # All at once, or the last ones alive would clean up behind the first.
        for writer in writers:
            os.kill(writer.pid, signal.SIGSTOP)
        for writer in writers:
            writer.kill()
        most = max(most, len(names_in(tmp_path)) - 1)
        whole(node.read_bytes(), "concurrent writers")
        node.write_bytes(CONTENTS[1])
        storage.cleanup("disk", older_than=0)
        assert names_in(tmp_path) == ["f"], f"seed {SEED}"
    assert most > 1, f"no two writers were ever killed at once (seed {SEED})"


def test_a_killed_writer_does_not_stop_the_others(tmp_path):
    storage = manager(tmp_path)
    node = storage.node("disk:f")
    node.write_bytes(CONTENTS[0])
    survivor = Writer(write_bytes(storage, None))
    survivor.wait_until_writing()
    for _ in range(5):
        victim = Writer(write_bytes(storage, None))
        victim.wait_until_writing()
        victim.kill()
        whole(node.read_bytes(), "beside a survivor")
    before = node.stat().mtime
    deadline = time.monotonic() + 10
    while node.stat().mtime == before:
        assert time.monotonic() < deadline, "the surviving writer writes no more"
        time.sleep(0.005)
    survivor.kill()
    node.write_bytes(b"end")
    assert names_in(tmp_path) == ["f"]


def test_cleanup_removes_what_killed_writers_left_and_nothing_that_is_in_use(tmp_path):
    storage = manager(tmp_path)
    strays: list[str] = []
    for attempt in range(40):
        writer = Writer(
            lambda _, name=f"dir/f{attempt}": storage.node(f"disk:{name}").write_bytes(CONTENTS[0])
        )
        writer.wait_until_writing()
        writer.kill()
        strays = [name for name in names_in(tmp_path / "dir") if not name.startswith("f")]
        if len(strays) >= 3:
            break
    assert strays, "no kill hit a write"
    with storage.node("disk:dir/held").open("wb") as held:
        held.write(b"x" * SIZE)
        assert storage.cleanup("disk", older_than=3600) == 0  # young: may be somebody's
        assert storage.cleanup("disk", older_than=0) == len(strays)
    assert storage.node("disk:dir/held").size == SIZE
    assert all(name.startswith(("f", "held")) for name in names_in(tmp_path / "dir"))


def test_a_directory_that_only_holds_a_killed_writers_file_can_be_removed(tmp_path):
    storage = manager(tmp_path)
    moments = random.Random(f"{SEED}-rmdir")
    for _ in range(300):  # until one hits: the moments are random
        writer = Writer(lambda _: storage.node("disk:d/f").write_bytes(CONTENTS[0]))
        writer.wait_until_writing()
        time.sleep(moments.uniform(0, 0.01))
        writer.kill()
        if len(names_in(tmp_path / "d")) > 1:
            break
    assert len(names_in(tmp_path / "d")) > 1, "no kill hit a write"
    storage.node("disk:d/f").unlink()
    assert storage.node("disk:d").children() == []
    storage.node("disk:d").rmdir()
    assert names_in(tmp_path) == []


def test_a_write_with_fsync_survives_a_kill_the_same_way(tmp_path):
    storage = manager(tmp_path, fsync=True)
    node = storage.node("disk:f")
    node.write_bytes(CONTENTS[0])
    moments = random.Random(f"{SEED}-fsync")
    for _ in range(12):
        writer = Writer(write_bytes(storage, None))
        writer.wait_until_writing()
        time.sleep(moments.uniform(0, 0.03))
        writer.kill()
        whole(node.read_bytes(), "fsync")
    node.write_bytes(b"end")
    assert names_in(tmp_path) == ["f"]


def test_a_killed_append_never_damages_what_was_there(tmp_path):
    """A kill in the very moment of appending may leave a part of the addition, no more."""
    storage = manager(tmp_path)
    node = storage.node("disk:log")
    line = b"0123456789abcde\n" * 4096
    moments = random.Random(f"{SEED}-append")

    def step(_):
        with node.open("ab") as handle:
            handle.write(line)

    written = b""
    for _ in range(25):
        writer = Writer(step)
        writer.wait_until_writing()
        time.sleep(moments.uniform(0, 0.01))
        writer.kill()
        now = node.read_bytes()
        assert now.startswith(written), f"seed {SEED}"
        added = now[len(written) :]
        whole_lines = len(added) // len(line)
        rest = added[whole_lines * len(line) :]
        assert added.startswith(line * whole_lines), f"seed {SEED}"
        assert line.startswith(rest), f"seed {SEED}"
        if rest:
            with contextlib.closing(node.open("ab")) as handle:
                handle.write(line[len(rest) :])
        written = node.read_bytes()
    assert names_in(tmp_path) == ["log"]


def test_a_tree_copy_that_is_killed_leaves_only_whole_files_and_a_second_run_completes_it(tmp_path):
    storage = manager(tmp_path)
    for number in range(20):
        storage.node(f"disk:src/{number:02}").write_bytes(CONTENTS[number % 2][: SIZE // 4])
    moments = random.Random(f"{SEED}-tree")
    for _ in range(10):
        storage.node("disk:dst").delete()
        writer = Writer(lambda _: storage.node("disk:src").copy_to("disk:dst"))
        writer.wait_until_writing()
        time.sleep(moments.uniform(0, 0.03))
        writer.kill()
        for copied in storage.node("disk:dst").children():
            expected = storage.node(f"disk:src/{copied.name}")
            assert copied.read_bytes() == expected.read_bytes(), f"{copied} (seed {SEED})"
    storage.node("disk:src").copy_to("disk:dst", skip="hash")
    storage.cleanup("disk", older_than=0)
    assert names_in(tmp_path / "dst") == names_in(tmp_path / "src")
