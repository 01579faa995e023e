"""Small new files of one directory of this machine, copied by one call."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from genro_storage import StorageError, StorageManager, StoragePermissionError
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.local_write import CAN_LINK
from genro_storage.backends.memory import MemoryBackend
from genro_storage.backends.temporary_names import numbered_name
from genro_storage.hearing import note_retry
from genro_storage.info import Attributes, Coming, FileInfo
from genro_storage.mount import Mount
from genro_storage.mount_transfers import MountTransfers
from genro_storage.transfer import Place, ThreadedExecutor, plan_copy
from genro_storage.transfer.events import FileDone, FileStarted
from genro_storage.transfer.execution import crew, together
from genro_storage.transfer.execution.execute import Transfer
from tests.support.together import noted_calls

pytestmark = pytest.mark.skipif(not CAN_LINK, reason="files without a name are Linux's")


#: The name of what a writer has in the making.
HIDDEN = numbered_name("a", 0)


@pytest.fixture
def place(tmp_path):
    """A root with a tree of 100 files in three directories."""
    for number in range(100):
        path = tmp_path / "src" / ("." if number < 40 else f"d{number % 2}") / f"f{number:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number * (number + 1))
        os.chmod(path, 0o640 + number % 8)
        os.utime(path, ns=(10**18 + number, 10**18 + 7 * number))
    return tmp_path


@pytest.fixture(params=["one mount", "two mounts"])
def ends(request, place):
    """The source and the target of a copy, through one mount and through two."""
    with StorageManager() as storage:
        if request.param == "one mount":
            storage.add_mount({"name": "m", "type": "local", "path": str(place)})
            yield storage.node("m:src"), storage.node("m:to")
        else:
            (place / "to").mkdir()
            for name in ("src", "to"):
                storage.add_mount({"name": name, "type": "local", "path": str(place / name)})
            yield storage.node("src:"), storage.node("to:")


def copied(ends, target=None, *, skip="never", **options):
    """The report of a copy."""
    return ends[0].plan_copy(target or ends[1], skip=skip).apply(**options)


@pytest.fixture
def calls(monkeypatch):
    """How many files each call has copied."""
    found: list[int] = []
    copy_together = MountTransfers.copy_together

    def counting(self, directory, files, target, target_directory, sizes):
        try:
            copy_together(self, directory, files, target, target_directory, sizes)
        finally:
            found.append(len(sizes))

    monkeypatch.setattr(MountTransfers, "copy_together", counting)
    return found


def told(directory: Path, *names: str) -> list[FileInfo]:
    """As a listing of it has these files, or would have them."""
    found = []
    for name in names:
        path = directory / name
        size, mtime = (path.stat().st_size, path.stat().st_mtime) if path.exists() else (3, 1.0)
        found.append(FileInfo(f"some/where/{name}", "file", size, mtime))
    return found


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    return {
        path.relative_to(root).as_posix(): (
            path.read_bytes(),
            stat.S_IMODE(path.stat().st_mode),
            path.stat().st_mtime_ns,
        )
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_tree_is_copied_in_few_calls(ends, place, calls, monkeypatch):
    report = copied(ends)
    assert calls == [30, 30, 40]
    assert tree(place / "to") == tree(place / "src")
    monkeypatch.setattr(Transfer, "may_copy_together", False)
    other = copied(ends, ends[1] / "other")
    assert len(calls) == 3
    assert tree(place / "to/other") == tree(place / "src")
    assert (report.copied, report.bytes_copied) == (other.copied, other.bytes_copied)
    assert report.copied == 100
    assert report.bytes_copied == sum(len(data) for data, *_ in tree(place / "src").values())


@pytest.mark.parametrize("callback", ["on_file", "on_skip", "progress", "reporter"])
def test_whoever_follows_each_file_has_it_before_the_next(ends, place, calls, callback):
    seen: list[int] = []

    def follow(*_):
        seen.append(len(tree(place / "to")))

    assert copied(ends, **{callback: follow}).copied == 100
    assert calls == []
    if callback in ("on_file", "progress"):
        assert seen == list(range(1, 101))


def test_what_is_there_is_replaced_one_by_one(ends, place, calls):
    copied(ends)
    calls.clear()
    for path in (place / "src").rglob("*.txt"):
        path.write_bytes(b"new")
    assert copied(ends).copied == 100
    assert calls == [0] * 8
    assert {data for data, *_ in tree(place / "to").values()} == {b"new"}


def test_what_is_new_is_copied_together_also_where_something_is_there(ends, place, calls):
    copied(ends)
    for number in range(0, 40, 10):
        (place / f"to/f{number:02}.txt").unlink()
    for number in range(50, 60):
        (place / f"to/d{number % 2}/f{number:02}.txt").unlink()
    calls.clear()
    report = copied(ends, skip="size")
    assert (report.copied, report.skipped) == (14, 86)
    assert sum(calls) == 10  # the others stand alone
    assert tree(place / "to") == tree(place / "src")


@pytest.mark.parametrize("problem", ["pipe", "changing", "taken"])
def test_one_that_cannot_be_copied_so_keeps_no_other_from_it(
    ends, place, calls, problem, monkeypatch
):
    odd = place / "src/f10.txt"
    copy_file_range = os.copy_file_range
    size = odd.stat().st_size

    def meeting(source, target, count):
        if count == size and problem == "changing":
            monkeypatch.setattr(os, "copy_file_range", copy_file_range)
            os.utime(odd, (5, 5))
        if count == size and problem == "taken" and not (place / "to/f10.txt").exists():
            (place / "to/f10.txt").write_bytes(b"another writer's")
            (place / "to/f10.txt").chmod(0o640 + 10 % 8)  # which the new content keeps
        if problem == "pipe" and not stat.S_ISFIFO(os.lstat(odd).st_mode):
            odd.unlink()
            os.mkfifo(odd)
        return copy_file_range(source, target, count)

    monkeypatch.setattr(os, "copy_file_range", meeting)
    report = copied(ends, on_error="collect")
    assert calls == [30, 30, 10, 29]
    if problem == "pipe":
        assert (report.copied, report.failed) == (99, 1)
        assert not (place / "to/f10.txt").exists()
        odd.unlink()
    else:
        assert (report.copied, report.failed) == (100, 0)
    assert tree(place / "to") == tree(place / "src")


def test_at_the_first_failure_nothing_more_is_copied(ends, place):
    (place / "to").mkdir(exist_ok=True)
    (place / "to/f10.txt").mkdir()
    with pytest.raises(StorageError, match=r"f10\.txt") as caught:
        copied(ends)
    assert "70 copied, 0 skipped, 1 failed" in caught.value.__notes__[-1]
    assert len(tree(place / "to")) == 70
    assert not (place / "to/f11.txt").exists()


def interrupt(monkeypatch, owner, name, at):
    """Have the call of that number be interrupted before it does anything."""
    call, numbers = getattr(owner, name), itertools.count(1)

    def interrupted(*arguments):
        if next(numbers) == at:
            raise KeyboardInterrupt
        return call(*arguments)

    monkeypatch.setattr(owner, name, interrupted)


def test_what_an_interrupt_left_is_told(ends, place, monkeypatch):
    interrupt(monkeypatch, os, "copy_file_range", 50)
    with pytest.raises(KeyboardInterrupt) as caught:
        copied(ends)
    assert "49 copied" in caught.value.__notes__[-1]
    assert len(tree(place / "to")) == 49


def test_an_interrupt_while_results_are_noted_leaves_none_out(ends, place, monkeypatch):
    interrupt(monkeypatch, together, "CopyResult", 3)
    with pytest.raises(KeyboardInterrupt) as caught:
        copied(ends)
    there = len(tree(place / "to"))
    assert there > 3
    assert f"{there} copied" in caught.value.__notes__[-1]


def test_a_listing_that_fails_keeps_what_came_before_it(ends, place, monkeypatch):
    find = Mount.find

    def failing(self, path, **options):
        for number, info in enumerate(find(self, path, **options)):
            if number == 20 and not info.path.startswith("to"):
                raise StorageError("the disk is broken")
            yield info

    monkeypatch.setattr(Mount, "find", failing)
    with pytest.raises(StorageError, match="the disk is broken"):
        copied(ends)
    there = tree(place / "to")
    assert len(there) > 10
    assert there.items() <= tree(place / "src").items()


def test_a_directory_that_leads_out_is_refused(ends, place, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (place / "to").mkdir(exist_ok=True)
    (place / "to/d0").symlink_to(outside)
    report = copied(ends, on_error="collect")
    assert report.copied == 70
    assert os.listdir(outside) == []


@pytest.mark.parametrize(
    "options", [{"verify": "size"}, {"resume": True}, {"bandwidth": "1GB"}], ids=str
)
def test_where_more_is_wanted_of_each_file(ends, place, calls, options):
    assert copied(ends, **options).copied == 100
    assert calls == []
    assert {name: each[0] for name, each in tree(place / "to").items()} == {
        name: each[0] for name, each in tree(place / "src").items()
    }


def test_nothing_stays_open_where_closing_fails(tmp_path, monkeypatch):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "here/a").write_bytes(b"aaa")
    backend, close = LocalBackend(tmp_path), os.close
    before = sorted(os.listdir("/proc/self/fd"))

    def failing(descriptor):
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        close(descriptor)
        if is_file:
            raise OSError(errno.EIO, "the disk is full, and says it late")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", failing)
        backend.copy_together(backend, "here", told(tmp_path / "here", "a"), "there", [])
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_backend_leaves_nothing_open_and_knows_its_own(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "here").mkdir(exist_ok=True)
        (tmp_path / "here" / name).write_bytes(name.encode() * 3)
    (tmp_path / "here" / HIDDEN).touch()
    (tmp_path / "there").mkdir()
    backend, sizes = LocalBackend(tmp_path), []
    before = len(os.listdir("/proc/self/fd"))
    listed = told(tmp_path / "here", "a", "missing", "b")
    backend.copy_together(backend, "here", listed, "there", sizes)
    assert sizes == [3]
    files = told(tmp_path / "here", "b")
    backend.copy_together(backend, "here", files, "nowhere", sizes)
    backend.copy_together(backend, "here", told(tmp_path / "here", HIDDEN), "there", sizes)
    backend.copy_together(MemoryBackend(), "here", files, "there", sizes)
    LocalBackend(tmp_path, fsync=True).copy_together(backend, "here", files, "there", sizes)
    MemoryBackend().copy_together(backend, "here", files, "there", sizes)
    assert sizes == [3]
    assert os.listdir(tmp_path / "there") == ["a"]
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("change", ["longer", "shorter", "newer"])
def test_what_is_not_as_it_was_listed_is_left_to_a_closer_look(tmp_path, change):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "here" / name).write_bytes(name.encode() * 9)
    listed, sizes = told(tmp_path / "here", "a", "b", "c"), []
    if change == "newer":
        os.utime(tmp_path / "here/b", (1, 1))
    else:
        (tmp_path / "here/b").write_bytes(b"b" * {"longer": 10, "shorter": 8}[change])
        os.utime(tmp_path / "here/b", (listed[1].mtime, listed[1].mtime))
    LocalBackend(tmp_path).copy_together(LocalBackend(tmp_path), "here", listed, "there", sizes)
    assert sizes == [9]
    assert os.listdir(tmp_path / "there") == ["a"]


def test_what_changes_between_the_listing_and_the_copy_arrives_as_it_is(ends, place, monkeypatch):
    copy_together = MountTransfers.copy_together

    def late(self, directory, files, *rest):
        (place / "src/f03.txt").write_bytes(b"changed meanwhile")
        os.utime(place / "src/f03.txt", (9, 9))
        copy_together(self, directory, files, *rest)

    monkeypatch.setattr(MountTransfers, "copy_together", late)
    copied(ends)
    assert tree(place / "to") == tree(place / "src")
    assert (place / "to/f03.txt").read_bytes() == b"changed meanwhile"


def test_where_the_system_copies_nothing_by_itself_it_is_read_and_written(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "copy_file_range", refused)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "here/a").write_bytes(b"aaa")
    os.chmod(tmp_path / "here/a", 0o640)
    backend, sizes = LocalBackend(tmp_path), []
    backend.copy_together(backend, "here", told(tmp_path / "here", "a"), "there", sizes)
    assert sizes == [3]
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def noted(sizes):
    """What notes each that has arrived, and goes on."""
    return lambda size: sizes.append(size) is None


def test_what_is_written_together_is_new_and_of_this_directory(tmp_path):
    backend, sizes = LocalBackend(tmp_path), []
    note = noted(sizes)
    before = len(os.listdir("/proc/self/fd"))
    files = [
        ("a", b"12", Attributes(1.5, 0o600)),
        ("b", b"345", Attributes()),
        ("a", b"again", Attributes()),
        ("c", b"", Attributes()),
    ]
    backend.write_together("x/y", files, note)
    assert sizes == [2, 3]
    assert sorted(os.listdir(tmp_path / "x/y")) == ["a", "b"]
    assert (tmp_path / "x/y/a").read_bytes() == b"12"
    status = (tmp_path / "x/y/a").stat()
    assert (status.st_mtime, stat.S_IMODE(status.st_mode)) == (1.5, 0o600)
    (tmp_path / "z").touch()
    backend.write_together("z/sub", files, note)
    backend.write_together("x", [(HIDDEN, b"", Attributes())], note)
    LocalBackend(tmp_path, fsync=True).write_together("w", files, note)
    MemoryBackend().write_together("w", files, note)
    assert sizes == [2, 3]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_on_the_way_that_leads_out_is_refused(tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "e").mkdir()
    (outside / "e/secret").write_bytes(b"secret")
    (tmp_path / "in/e").mkdir(parents=True)
    (tmp_path / "in/e/f").write_bytes(b"1")
    (tmp_path / "d").symlink_to(outside)
    backend, sizes = LocalBackend(tmp_path), []
    backend.copy_together(backend, "in/e", told(tmp_path / "in/e", "f"), "d/e", sizes)
    backend.copy_together(backend, "d/e", told(outside / "e", "secret"), "in/e", sizes)
    for directory in ("d/e", "d"):
        with contextlib.suppress(OSError):
            backend.write_together(directory, [("f", b"1", Attributes())], noted(sizes))
    assert sizes == []
    assert (os.listdir(outside), os.listdir(outside / "e")) == (["e"], ["secret"])
    assert os.listdir(tmp_path / "in/e") == ["f"]


class Careful(LocalBackend):
    """Has a say in what is written."""

    def upload_open(self, source, path, **options):
        raise PermissionError(errno.EACCES, "not like this")

    copy = write_bytes = upload_open


def test_a_backend_that_derives_from_the_local_one_is_asked_for_each_file(place, store):
    (place / "to").mkdir()
    careful = Mount("dst", Careful(place / "to"))
    for source in (Mount("src", LocalBackend(place / "src")), store):
        report = plan_copy(Place(source, ""), Place(careful, "")).apply(on_error="collect")
        assert report.copied == 0
    assert tree(place / "to") == {}
    sizes = []
    files = told(place / "src", "f00.txt")
    LocalBackend(place).copy_together(Careful(place / "src"), "", files, "to", sizes)
    assert sizes == []


def test_a_plan_that_fails_after_a_file_has_is_not_what_is_told(ends, place, monkeypatch):
    find = Mount.find

    def failing(self, path, **options):
        for number, info in enumerate(find(self, path, **options)):
            if number == 20 and "to" not in (self.name, path):
                raise StorageError("the disk is broken")
            yield info

    (place / "to/d0/f44.txt").mkdir(parents=True)
    monkeypatch.setattr(Mount, "find", failing)
    with pytest.raises(StorageError, match=r"f44\.txt") as caught:
        copied(ends)
    assert "2 copied, 0 skipped, 1 failed" in caught.value.__notes__[-1]


def test_what_is_there_is_counted_where_telling_it_is_interrupted(ends, place):
    class Silent:
        follows_files = needs_totals = False
        count = 0

        def __call__(self, event):
            if isinstance(event, FileDone):
                self.count += 1
                if self.count == 3:
                    raise KeyboardInterrupt

    silent = Silent()
    with pytest.raises(KeyboardInterrupt) as caught:
        copied(ends, reporter=silent)
    assert f"{len(tree(place / 'to'))} copied" in caught.value.__notes__[-1]
    assert silent.count == 3


def test_directories_of_one_file_do_not_end_it(place, calls):
    for number in range(12):
        path = place / f"src/a{number:02}/f"
        path.parent.mkdir()
        path.write_bytes(b"1")
    with StorageManager() as storage:
        storage.add_mount({"name": "m", "type": "local", "path": str(place)})
        assert copied((storage.node("m:src"), storage.node("m:to"))).copied == 112
    assert calls == [30, 30, 40]


def test_a_readonly_mount_says_so(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    mount = Mount("m", LocalBackend(tmp_path), permissions="readonly")
    with pytest.raises(StoragePermissionError):
        mount.copy_together("", told(tmp_path, "a"), mount, "to", [])


# -- what has come from a store ---------------------------------------------------------------------


class Store(MemoryBackend):
    """Brings several files at once; for ``shaky`` ones a request has to be repeated."""

    shaky: frozenset[str] = frozenset()

    def load_each(self, paths):
        return Coming([functools.partial(self.load, path) for path in paths], True)

    def load(self, path):
        if path in self.shaky:
            note_retry(ConnectionResetError(path))
        return super().load(path)


FILES = {f"d{number % 3}/f{number:03}": b"%d" % number for number in range(150)}


@pytest.fixture
def store():
    mount = Mount("src", Store())
    for path, data in FILES.items():
        mount.backend.write_bytes(path, data, attributes=Attributes(10**9 + len(data)))
    return mount


@pytest.fixture
def written(monkeypatch):
    """How many files each call has written, of how many."""
    monkeypatch.setattr(crew, "_SECONDS", 3600.0)
    return noted_calls(monkeypatch)


def brought(source, root, *, skip="never", **options):
    target = Mount("dst", LocalBackend(root))
    plan = plan_copy(Place(source, ""), Place(target, "out"), skip=skip)
    return plan.apply(executor=ThreadedExecutor(2), **options)


def test_what_has_come_is_written_in_few_calls(store, tmp_path, written, monkeypatch):
    report = brought(store, tmp_path)
    there = tree(tmp_path / "out")
    assert {name: data for name, (data, *_) in there.items()} == FILES
    assert {time for *_, time in there.values()} == {10**9 * (10**9 + n) for n in (1, 2, 3)}
    assert (report.copied, report.bytes_copied) == (150, sum(map(len, FILES.values())))
    assert all(count == of for count, of in written)
    assert sum(count for count, _ in written) > 100
    assert len(written) < 30
    written.clear()
    monkeypatch.setattr(Transfer, "may_write_together", False)
    (tmp_path / "other").mkdir()
    other = brought(store, tmp_path / "other")
    assert tree(tmp_path / "other/out") == there
    assert (other.copied, other.bytes_copied) == (report.copied, report.bytes_copied)
    assert written == []


def test_what_came_is_used_also_where_it_is_not_written_so(store, tmp_path, written):
    brought(store, tmp_path)
    for path in FILES:
        store.backend.write_bytes(path, b"new")
    written.clear()
    report = brought(store, tmp_path)
    assert report.copied == 150
    assert {count for count, _ in written} == {0}
    assert len(written) <= 16  # eight in a row, of two threads
    assert {data for data, *_ in tree(tmp_path / "out").values()} == {b"new"}


def test_one_that_cannot_be_written_is_told_and_the_others_arrive(
    store, tmp_path, tmp_path_factory, written
):
    outside = tmp_path_factory.mktemp("outside")
    (tmp_path / "out/d1/f100/sub").mkdir(parents=True)
    (tmp_path / "out/d2").symlink_to(outside)
    report = brought(store, tmp_path, on_error="collect")
    lost = {"d1/f100", *(name for name in FILES if name.startswith("d2/"))}
    assert {each.relpath for each in report.failures} == {*lost, "d2"}
    for each in report.failures:
        assert str(each.error).startswith(f"dst:out/{each.relpath}")
    assert tree(tmp_path / "out").keys() == FILES.keys() - lost
    assert os.listdir(outside) == []


def test_what_was_overcome_is_in_the_report_once(store, tmp_path, written):
    store.backend.shaky = frozenset({"d0/f030", "d1/f100", "d2/f149"})
    (tmp_path / "out/d1").mkdir(parents=True)
    (tmp_path / "out/d1/f100").write_bytes(b"there already")
    report = brought(store, tmp_path)
    assert report.copied == 150
    assert sorted(each.relpath for each in report.retries) == sorted(store.backend.shaky)


def test_whoever_follows_a_copy_hears_of_each_file(store, tmp_path, written):
    events: list[object] = []
    assert brought(store, tmp_path, reporter=events.append).copied == 150
    assert written == []
    assert len([each for each in events if isinstance(each, FileStarted)]) == 150


def test_one_that_was_there_keeps_no_other_from_it(store, tmp_path, written):
    for name in ("d0/f030", "d1/f100", "d2/f050"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(b"old")
    assert brought(store, tmp_path).copied == 150
    assert {name: data for name, (data, *_) in tree(tmp_path / "out").items()} == FILES
    assert sum(count for count, _ in written) > 90


def test_what_has_another_length_than_was_listed_is_looked_at_anew(store, tmp_path, written):
    plan = plan_copy(Place(store, ""), Place(Mount("dst", LocalBackend(tmp_path)), "out"))
    load = store.backend.load

    def longer(path):
        found = load(path)
        if path != "d0/f030" or store.backend.shaky:
            return found
        store.backend.shaky = frozenset({"never"})
        store.backend.write_bytes(path, b"longer than it was")
        return load(path)._replace(data=b"longer")

    store.backend.load = longer
    report = plan.apply(executor=ThreadedExecutor(1))
    assert report.copied == 150
    assert [each.relpath for each in report.retries] == ["d0/f030"]
    assert (tmp_path / "out/d0/f030").read_bytes() == b"longer than it was"


@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
def test_an_interrupt_counts_what_is_there_and_begins_nothing_more(
    store, tmp_path, written, monkeypatch, together
):
    utime, count, main = os.utime, 0, threading.main_thread().ident

    def interrupting(*arguments, **options):
        nonlocal count
        count += 1
        if count == 75:
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.3)
        utime(*arguments, **options)

    if not together:
        monkeypatch.setattr(Transfer, "may_write_together", False)
    monkeypatch.setattr(os, "utime", interrupting)
    with pytest.raises(KeyboardInterrupt) as caught:
        plan_copy(Place(store, ""), Place(Mount("dst", LocalBackend(tmp_path)), "out")).apply(
            executor=ThreadedExecutor(1)
        )
    assert len(tree(tmp_path / "out")) == 75
    assert "75 copied" in caught.value.__notes__[-1]
    assert bool(written) is together


def test_what_had_come_when_nobody_had_it_yet_is_counted(store, tmp_path, monkeypatch):
    """An interrupt may come when waiting has ended and its result is not assigned."""
    waited = crew._Results.wait
    count = 0

    def interrupted(self, seconds=None):
        nonlocal count
        found = waited(self, seconds)
        count += found is not None
        if count == 5:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(crew._Results, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        brought(store, tmp_path)
    assert f"{len(tree(tmp_path / 'out'))} copied" in caught.value.__notes__[-1]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_whoever_is_told_by_threads_and_raises_has_all_of_it_counted(store, tmp_path, kind):
    told: list[str] = []

    def third(action):
        told.append(action.relpath)
        if len(told) == 3:
            raise kind("enough")

    with pytest.raises(kind) as caught:
        brought(store, tmp_path, on_file=third)
    assert len(told) == 3
    assert f"{len(tree(tmp_path / 'out'))} copied" in caught.value.__notes__[-1]
