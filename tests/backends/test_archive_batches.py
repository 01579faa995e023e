"""A tree that is copied into an archive: one rewrite for many files, and nothing is said too early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import zipfile

import pytest

from genro_storage import (
    StorageExistsError,
    StorageFullError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from genro_storage.backends.archives import batch as archive_batch
from genro_storage.backends.archives import sources as archive_sources
from genro_storage.backends.archives.writing import WritableArchive

KINDS = {"zip": "a.zip", "tar": "a.tar", "tar.gz": "a.tar.gz"}


@pytest.fixture
def rewrites(monkeypatch):
    """One entry for each time that an archive is written anew."""
    found = []
    swap = WritableArchive._swap

    def noting(self, *args, **kwargs):
        found.append(self)
        return swap(self, *args, **kwargs)

    monkeypatch.setattr(WritableArchive, "_swap", noting)
    return found


@pytest.fixture
def patient(monkeypatch):
    """Nothing is due before the end, however slow this machine is."""
    monkeypatch.setattr(archive_batch, "AT_LEAST", 3600.0)


@pytest.fixture
def impatient(monkeypatch):
    """Whatever comes is due at once."""
    monkeypatch.setattr(archive_batch, "AT_LEAST", 0.0)
    monkeypatch.setattr(archive_batch, "SHARE", 0.0)


@pytest.fixture(params=KINDS)
def archive(request, tmp_path):
    return tmp_path / KINDS[request.param]


@pytest.fixture
def storage(tmp_path, archive):
    (tmp_path / "disk").mkdir()
    kind, _, _ = archive.suffixes[0][1:].partition(".")
    with StorageManager() as manager:
        manager.configure(
            [
                {"name": "disk", "type": "local", "path": str(tmp_path / "disk")},
                {"name": "packed", "type": kind, "file": str(archive), "mode": "a"}
                | ({} if kind == "zip" else {"create": True}),
            ]
        )
        yield manager


@pytest.fixture
def source(storage):
    """Forty files in four directories, one of them empty."""
    root = storage.node("disk:from")
    for number in range(40):
        (root / f"d{number % 3}/{number:02}.txt").write_bytes(b"%d " % number * 100)
    (root / "empty").mkdir()
    return root


def content(node):
    """What lies below a directory, as its own listing names it: bytes, or None for a directory."""
    mount, start = node._mount, len(node.path) + 1 if node.path else 0
    return {
        info.path[start:]: None if info.is_dir else mount.read_bytes(info.path)
        for info in mount.find(node.path)
    }


def names_in(archive):
    """What another program sees in the archive."""
    if not archive.exists():
        return []
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            return [name.rstrip("/") for name in opened.namelist()]
    with tarfile.open(archive) as opened:
        return opened.getnames()


@pytest.mark.usefixtures("patient")
def test_a_tree_is_one_rewrite(storage, source, archive, rewrites):
    expected = content(source)
    report = source.plan_copy("packed:to").apply()
    assert report.copied == 40
    assert report.bytes_copied == sum(len(data) for data in expected.values() if data)
    assert len(rewrites) == 1
    assert content(storage.node("packed:to")) == expected
    again = source.plan_copy("packed:to", skip="hash").apply()
    assert (again.copied, again.skipped, len(rewrites)) == (0, 40, 1)
    assert sorted(names_in(archive)) == sorted(["to", *(f"to/{path}" for path in expected)])


def test_what_is_due_goes_at_once(storage, source, rewrites, impatient):
    source.copy_to("packed:to")
    assert len(rewrites) >= 40
    assert content(storage.node("packed:to")) == content(source)


def test_much_content_does_not_wait(storage, source, rewrites, monkeypatch, patient):
    monkeypatch.setattr(archive_batch, "MOST", 1)
    source.copy_to("packed:to")
    assert len(rewrites) >= 40
    assert content(storage.node("packed:to")) == content(source)


@pytest.mark.usefixtures("patient")
def test_whoever_listens_is_told_of_what_is_there(storage, source):
    told = []

    def on_file(node):
        copied = storage.node("packed:to").child(node.path.removeprefix("from/"))
        told.append(copied.read_bytes() == node.read_bytes())

    source.copy_to("packed:to", on_file=on_file, progress=lambda *_: None)
    assert told == [True] * 40


@pytest.mark.usefixtures("patient")
def test_what_was_copied_before_an_error_stays_and_is_counted(storage, source, archive, rewrites):
    storage.node("packed:old.txt").write_bytes(b"old")
    taken = storage.node("packed:to/d1")
    taken.write_bytes(b"a file where a directory should go")
    del rewrites[:]
    with pytest.raises(StorageNotDirectoryError) as caught:
        source.copy_to("packed:to")
    there = content(storage.node("packed:to"))
    copied = [path for path in there if path.startswith("d0/")]
    assert len(copied) == 14
    assert any(f"{len(copied)} copied" in note for note in caught.value.__notes__)
    assert len(rewrites) == 1
    assert taken.read_bytes() == b"a file where a directory should go"
    assert storage.node("packed:old.txt").read_bytes() == b"old"


@pytest.mark.usefixtures("patient")
def test_a_source_that_cannot_be_read_is_named(storage, source, tmp_path):
    def vanish(node, _):
        if node.name == "20.txt":
            (tmp_path / "disk/from/d2/38.txt").unlink(missing_ok=True)
        return True

    with pytest.raises(StorageNotFoundError, match=r"disk:from/d2/38\.txt"):
        source.copy_to("packed:to", filter=vanish)
    assert len([path for path in content(storage.node("packed:to")) if "/" in path]) == 39


@pytest.mark.usefixtures("patient")
def test_an_interrupt_leaves_the_archive_as_it_was(storage, source, archive):
    storage.node("packed:old.txt").write_bytes(b"old")
    before = archive.read_bytes()

    def interrupt(node, _):
        if node.name == "38.txt":
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        source.copy_to("packed:to", filter=interrupt)
    assert archive.read_bytes() == before
    assert sorted(each.name for each in archive.parent.iterdir()) == [archive.name, "disk"]


@pytest.mark.usefixtures("patient")
def test_a_storage_that_fails_while_it_is_published(storage, source, archive, monkeypatch):
    storage.node("packed:old.txt").write_bytes(b"old")
    before = archive.read_bytes()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    told = []
    with monkeypatch.context() as patched:
        patched.setattr(WritableArchive, "_swap", full)
        with pytest.raises(StorageFullError, match=r"packed:.*[Nn]o space") as caught:
            source.copy_to("packed:to", on_file=told.append)
    assert told == []
    assert any("0 copied" in note for note in caught.value.__notes__)
    assert archive.read_bytes() == before
    source.copy_to("packed:to", skip="hash")
    assert content(storage.node("packed:to")) == content(source)


@pytest.mark.usefixtures("patient")
def test_an_error_is_told_before_that_of_publishing(storage, source, monkeypatch):
    storage.node("packed:to/d2/38.txt").write_bytes(b"there")

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    def skip_fn(*_):
        raise LookupError("the user's own")

    monkeypatch.setattr(WritableArchive, "_swap", full)
    with pytest.raises(LookupError, match="the user's own") as caught:
        source.copy_to("packed:to", skip="custom", skip_fn=skip_fn)
    assert any("could not be written either" in note for note in caught.value.__notes__)
    assert any("0 copied" in note for note in caught.value.__notes__)


@pytest.mark.usefixtures("patient")
def test_a_move_removes_what_is_in_the_archive(storage, source):
    expected = content(source)
    there = source.move_to("packed:to")
    assert content(there) == expected
    assert not storage.node("disk:from").exists


@pytest.mark.usefixtures("patient")
def test_a_move_that_fails_removes_nothing(storage, source, monkeypatch):
    expected = content(source)

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WritableArchive, "_swap", full)
    with pytest.raises(StorageFullError):
        source.move_to("packed:to")
    assert content(storage.node("disk:from")) == expected


@pytest.mark.usefixtures("patient")
def test_another_writer_in_the_meantime_loses_nothing(storage, source, tmp_path):
    def meddle(node, _):
        if node.name == "38.txt":
            storage.node("packed:to/d0/00.txt").write_bytes(b"from somebody else")
            storage.node("packed:theirs.txt").write_bytes(b"theirs")
        return True

    source.copy_to("packed:to", filter=meddle)
    assert content(storage.node("packed:to")) == content(source)
    assert storage.node("packed:theirs.txt").read_bytes() == b"theirs"


@pytest.mark.usefixtures("patient")
def test_a_conflict_that_appears_meanwhile_is_named_and_keeps_the_archive(storage, source, archive):
    def meddle(node, _):
        if node.name == "38.txt":
            storage.node("packed:to/d0/00.txt").mkdir(parents=True)
        return True

    with pytest.raises(StorageIsDirectoryError, match=r"to/d0/00\.txt"):
        source.copy_to("packed:to", filter=meddle)
    assert content(storage.node("packed:")) == {"to": None, "to/d0": None, "to/d0/00.txt": None}


@pytest.mark.usefixtures("patient")
def test_times_permissions_and_links_are_those_of_single_writes(storage, source, tmp_path, archive):
    (tmp_path / "disk/from/d0/00.txt").chmod(0o640)
    os.utime(tmp_path / "disk/from/d0/00.txt", (1_500_000_000, 1_500_000_000))
    source.copy_to("packed:to")
    assert storage.node("packed:to/d0/00.txt").mtime == 1_500_000_000
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            assert opened.getinfo("to/d0/00.txt").external_attr >> 16 & 0o777 == 0o640
    else:
        with tarfile.open(archive) as opened:
            assert opened.getmember("to/d0/00.txt").mode == 0o640


@pytest.mark.usefixtures("patient")
def test_a_batch_refuses_what_the_archive_would(storage):
    storage.node("packed:there/file").write_bytes(b"x")
    batch = storage.node("packed:")._mount.begin_batch()
    mount = batch.mount
    mount.write_bytes("new/a", b"a")
    mount.mkdir("made")
    for refused, step in (
        (StorageNotDirectoryError, lambda: mount.write_bytes("new/a/b", b"")),
        (StorageNotDirectoryError, lambda: mount.make_parents("new/a/b/c")),
        (StorageNotDirectoryError, lambda: mount.write_bytes("there/file/b", b"")),
        (StorageIsDirectoryError, lambda: mount.write_bytes("new", b"")),
        (StorageIsDirectoryError, lambda: mount.write_bytes("made", b"")),
        (StorageIsDirectoryError, lambda: mount.write_bytes("there", b"")),
        (StorageExistsError, lambda: mount.write_bytes("new/a", b"", if_absent=True)),
        (StorageExistsError, lambda: mount.write_bytes("there/file", b"", if_absent=True)),
        (StorageExistsError, lambda: mount.mkdir("made")),
        (StorageExistsError, lambda: mount.mkdir("new")),
        (StorageExistsError, lambda: mount.mkdir("new/a")),
        (StorageExistsError, lambda: mount.mkdir("there")),
        (StorageNotFoundError, lambda: mount.mkdir("no/such")),
        (StorageUnsupportedError, lambda: mount.remove("there/file")),
        (StorageUnsupportedError, lambda: mount.open_write("new/a", append=True)),
    ):
        with pytest.raises(refused):
            step()
    mount.write_bytes("new/a", b"again")
    assert (mount.stat("new/a").size, mount.stat("made").type) == (5, "directory")
    assert not storage.node("packed:new").exists
    assert not batch.is_empty
    batch.publish()
    assert batch.is_empty
    assert content(storage.node("packed:")) == {
        "made": None, "new": None, "new/a": b"again", "there": None, "there/file": b"x",
    }  # fmt: skip
    mount.write_bytes("forgotten", b"x")
    batch.discard()
    batch.publish()
    assert not storage.node("packed:forgotten").exists


def test_a_mount_that_only_reads_has_no_batch(storage, source, archive):
    source.copy_to("packed:to")
    storage.add_mount({"name": "locked", "path": "packed:", "permissions": "readonly"})
    with pytest.raises(StoragePermissionError):
        storage.node("locked:")._mount.begin_batch()
    assert storage.node("disk:")._mount.begin_batch() is None
    with StorageManager() as other:
        kind = archive.suffixes[0][1:]
        other.add_mount({"name": "packed", "type": kind, "file": str(archive), "mode": "r"})
        with pytest.raises(StorageUnsupportedError):
            other.node("packed:")._mount.begin_batch()


@pytest.mark.usefixtures("patient")
def test_a_limit_costs_what_goes_beyond_it_only(source, archive):
    kind, options = archive.suffixes[0][1:], {"max_entries": 45, "mode": "a"}
    with StorageManager() as other:
        other.add_mount({"name": "packed", "type": kind, "file": str(archive), **options})
        (source / "extra").write_bytes(b"more than there is room for")
        with pytest.raises(StoragePermissionError, match=r"packed:to.*'max_entries'") as caught:
            source.copy_to(other.node("packed:to"))
        there = content(other.node("packed:"))
        copied = sum(data is not None for data in there.values())
        assert len(there) == 45
        assert any(f"{copied} copied" in note for note in caught.value.__notes__)
        # What is replaced counts once.
        (source / "d1").copy_to(other.node("packed:to/d1"))
        assert len(content(other.node("packed:"))) == 45


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("room", [0, 4_000_000, 9_000_000])
def test_a_full_temporary_directory_loses_nothing_that_came_before(
    storage, source, tmp_path, monkeypatch, room
):
    for number in range(3):
        (tmp_path / f"disk/from/d0/big{number}").write_bytes(os.urandom(3_500_000))
    expected = content(source)
    left, write = room, os.write

    def full(descriptor, data):
        nonlocal left
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(tmp_path)):
            return write(descriptor, data)  # the archive itself
        if left == 0:
            raise OSError(28, "No space left on device")
        left -= (count := write(descriptor, data[:left]))
        return count

    monkeypatch.setattr(archive_sources.os, "write", full)
    with pytest.raises(StorageFullError, match=r"packed:to/d0/big2") as caught:
        source.copy_to("packed:to")
    there = content(storage.node("packed:to"))
    assert sum(data is not None for data in there.values()) == 16
    assert there.items() <= expected.items()
    assert any("16 copied" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("before", [1000, archive_sources.SPOOL + 1000])
def test_what_a_failed_write_left_stands_in_front_of_nothing(monkeypatch, before):
    spool = archive_sources.Spool()
    spool.write(b"a" * before)
    write, left = os.write, 10

    def full(descriptor, data):
        nonlocal left
        if left == 0:
            raise OSError(28, "No space left on device")
        left -= (count := write(descriptor, data[:left]))
        return count

    with monkeypatch.context() as patched:
        patched.setattr(archive_sources.os, "write", full)
        with pytest.raises(OSError, match="TMPDIR"):
            spool.write(b"b" * (archive_sources.SPOOL + 1))
    spool.write(b"good")
    assert spool.size == before + 4
    assert spool.read_at(before - 2, 100) == b"aagood"
    spool.close()


@pytest.mark.slow
def test_large_content_waits_in_no_memory(tmp_path):
    script = """
import resource, sys
from genro_storage import StorageManager
from genro_storage.backends.archives import batch
batch.AT_LEAST = 3600.0
with StorageManager() as storage:
    storage.configure([
        {"name": "disk", "type": "local", "path": sys.argv[1] + "/disk"},
        {"name": "packed", "type": "zip", "file": sys.argv[1] + "/a.zip"},
    ])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    storage.node("disk:").copy_to("packed:")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    (tmp_path / "disk").mkdir()
    block = os.urandom(1024 * 1024)
    for number in range(96):
        (tmp_path / f"disk/{number}").write_bytes(block)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 48 * 1024  # KiB, of the 96 MiB that wait
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        assert len(opened.namelist()) == 96


@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_the_old_archive_or_a_whole_one(
    storage, source, archive, tmp_path
):
    storage.node("packed:old.txt").write_bytes(b"old")
    script = """
import sys
from genro_storage import StorageManager
from genro_storage.backends.archives import batch
batch.AT_LEAST = batch.SHARE = 0.0
print("begun", flush=True)
with StorageManager() as storage:
    storage.configure([
        {"name": "disk", "type": "local", "path": sys.argv[1]},
        {"name": "packed", "type": sys.argv[2], "file": sys.argv[3], "mode": "a"},
    ])
    while True:
        storage.node("disk:from").copy_to("packed:to")
"""
    kind = archive.suffixes[0][1:]
    for wait in (0.0, 0.3, 0.5):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "disk"), kind, str(archive)],
            stdout=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        assert storage.node("packed:old.txt").read_bytes() == b"old"
        expected = content(source)
        there = content(storage.node("packed:to")) if storage.node("packed:to").exists else {}
        assert all(expected[path] == data for path, data in there.items())
        names_in(archive)
