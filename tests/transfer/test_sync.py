"""Mirrors, comparisons of trees, and digests that are remembered."""

from __future__ import annotations

import os

import pytest

from genro_storage import ChecksumCache, StorageManager, StorageTransferError
from genro_storage.exceptions import (
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageValueError,
)
from genro_storage.info import Checksum
from genro_storage.mount import Mount
from genro_storage.transfer import DeleteDirectory, DeleteFile, PlanSummary
from tests.support.trees import Streaming, content, fill

TREE = {"a.txt": b"a", "d/b.txt": b"bb", "d/e/c.txt": b"ccc"}


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    with StorageManager() as manager:
        for name in ("src", "dst"):
            options = {"type": "memory"}
            if request.param == "local":
                options = {"type": "local", "path": str(tmp_path / name), "create": True}
            manager.configure([{"name": name, **options}])
        fill(manager.node("src:")._mount, "in", TREE)
        yield manager


def there(storage, path="out"):
    return content(storage.node("dst:")._mount, path)


# -- mirrors --------------------------------------------------------------------------------------


def test_sync_brings_up_to_date_and_removes_nothing(storage):
    fill(storage.node("dst:")._mount, "out", {"own.txt": b"own", "a.txt": b"old"})
    report = storage.node("src:in").sync("dst:out")
    assert (report.copied, report.deleted) == (3, 0)
    assert there(storage) == {**TREE, "own.txt": b"own"}
    again = storage.node("src:in").sync("dst:out")
    assert str(again) == "0 copied, 3 skipped (same size and time)"


def test_a_mirror_has_what_its_source_has_and_nothing_else(storage):
    mount = storage.node("dst:")._mount
    fill(mount, "out", {"own.txt": b"1", "a-.txt": b"2", "d/own": b"3", "gone/x/y": b"4"})
    plan = storage.node("src:in").plan_copy("dst:out", delete=True)
    extras = [each.relpath for each in plan if isinstance(each, DeleteFile | DeleteDirectory)]
    assert extras == ["a-.txt", "d/own", "gone", "gone/x", "gone/x/y", "own.txt"]
    assert plan.summary().to_delete == 6
    report = storage.node("src:in").sync("dst:out", delete=True)
    assert there(storage) == TREE
    assert (report.copied, report.deleted) == (3, 6)


def test_what_the_filters_leave_out_is_removed_on_neither_side(storage):
    mount = storage.node("dst:")._mount
    fill(mount, "out", {"own.log": b"1", "d/own.log": b"2", "own.txt": b"3", "old/x.log": b"4"})
    fill(storage.node("src:")._mount, "in", {"a.log": b"not copied"})
    seen = []
    report = storage.node("src:in").sync(
        "dst:out", delete=True, exclude="*.log", progress=lambda *now: seen.append(now)
    )
    assert there(storage) == {**TREE, "own.log": b"1", "d/own.log": b"2", "old/x.log": b"4"}
    assert (report.deleted, report.filtered, seen[-1]) == (1, 1, (3, 3))


def test_what_a_function_leaves_out_at_the_source_stays_at_the_destination(storage):
    fill(storage.node("dst:")._mount, "out", {"a.txt": b"of before"})
    for progress in (None, lambda *_: None):
        report = storage.node("src:in").sync(
            "dst:out",
            delete=True,
            filter=lambda node, relpath: node._mount.name != "src" or relpath != "a.txt",
            progress=progress,
        )
        assert there(storage)["a.txt"] == b"of before"
        assert report.deleted == 0


def test_more_than_max_delete_removes_nothing(storage):
    fill(storage.node("dst:")._mount, "out", {"x": b"1", "y": b"2"})
    with pytest.raises(
        StorageError, match="2 files are not in src:in, and max_delete allows to re"
    ):
        storage.node("src:in").sync("dst:out", delete=True, max_delete=1)
    assert there(storage) == {**TREE, "x": b"1", "y": b"2"}
    assert storage.node("src:in").sync("dst:out", delete=True, max_delete=2).deleted == 2


def test_an_empty_source_is_mirrored_only_where_somebody_says_how_much_may_go(storage):
    storage.node("src:nothing").mkdir()
    fill(storage.node("dst:")._mount, "out", TREE)
    with pytest.raises(StorageError, match="would remove all 3 here; nothing was removed"):
        storage.node("src:nothing").sync("dst:out", delete=True)
    assert there(storage) == TREE
    storage.node("src:nothing").sync("dst:out", delete=True, max_delete=3)
    assert there(storage) == {}


def test_nothing_is_removed_where_something_was_not_copied(storage):
    fill(storage.node("dst:")._mount, "out", {"own": b"1", "a.txt/in the way": b"2"})
    before = there(storage)
    with pytest.raises(StorageError, match="a directory is where a file should go"):
        storage.node("src:in").sync("dst:out", delete=True)
    report = storage.node("src:in").sync("dst:out", delete=True, on_error="collect")
    assert (report.failed, report.deleted) == (1, 0)
    assert there(storage).items() >= before.items()


def test_nothing_is_removed_where_the_listing_breaks_off():
    class Breaking(Streaming):
        def find(self, path, **options):
            yield from list(super().find(path, **options))[:1]
            raise ConnectionResetError("broke off")

    with StorageManager() as storage:
        storage.configure([{"name": name, "type": "memory"} for name in ("src", "dst")])
        fill(storage.node("dst:")._mount, "out", {"own": b"1"})
        node = storage.node("src:in")
        node._mount = Mount("src", Breaking())
        fill(node._mount, "in", TREE)
        with pytest.raises(StorageConnectionError):
            node.sync("dst:out", delete=True, on_error="collect")
        assert there(storage)["own"] == b"1"


def test_a_mirror_of_a_file_or_around_its_source_is_refused(storage):
    with pytest.raises(StorageValueError, match="delete= is for directories"):
        storage.node("src:in/a.txt").copy_to("dst:x", delete=True)
    with pytest.raises(StorageValueError, match="the mirror would remove its source"):
        storage.node("src:in/d").sync("src:in", delete=True)
    assert content(storage.node("src:")._mount, "in") == TREE


def test_a_mirror_needs_the_right_to_delete(tmp_path):
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "src", "type": "memory"},
                {"name": "dst", "type": "local", "path": str(tmp_path), "permissions": "readwrite"},
            ]
        )
        fill(storage.node("src:")._mount, "in", TREE)
        with pytest.raises(StoragePermissionError, match="dst:out"):
            storage.node("src:in").sync("dst:out", delete=True)
        assert not (tmp_path / "out").exists()


def test_what_lies_behind_a_link_is_left_alone_and_the_link_goes(tmp_path):
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        mount = storage.node("disk:")._mount
        fill(mount, "in", {"d/a": b"1", "x": b"2"})
        fill(mount, "elsewhere", {"own": b"precious"})
        fill(mount, "out", {"x": b"2"})
        (tmp_path / "out/d").symlink_to("../elsewhere")
        (tmp_path / "out/e").symlink_to("../elsewhere")
        (tmp_path / "out/f").symlink_to("../elsewhere/own")
        storage.node("disk:in").sync("disk:out", delete=True)
        assert sorted(os.listdir(tmp_path / "out")) == ["d", "x"]
        assert content(mount, "elsewhere") == {"own": b"precious", "a": b"1"}


# -- dry runs -------------------------------------------------------------------------------------


def test_a_dry_run_tells_everything_and_changes_nothing(storage):
    fill(storage.node("dst:")._mount, "out", {"own": b"1", "a.txt": b"a"})
    before = there(storage)
    files, skips, counts = [], [], []
    summary = storage.node("src:in").sync(
        "dst:out",
        skip="hash",
        delete=True,
        dry_run=True,
        on_file=lambda node: files.append(node.path),
        on_skip=lambda node, why: skips.append((node.path, why)),
        progress=lambda *now: counts.append(now),
    )
    assert isinstance(summary, PlanSummary)
    assert str(summary) == "2 to copy, 1 to skip (same content), 1 to delete"
    assert (files, [path for path, _ in skips]) == (["in/d/b.txt", "in/d/e/c.txt"], ["in/a.txt"])
    assert counts == [(1, 3), (2, 3), (3, 3)]
    assert storage.node("src:in").copy_to("dst:out", dry_run=True).fullpath == "dst:out"
    assert there(storage) == before


# -- times ----------------------------------------------------------------------------------------


def test_mtime_copies_what_has_another_time_or_size(storage):
    source = storage.node("src:in")
    source.copy_to("dst:out")
    mount = storage.node("src:")._mount
    mount.set_mtime("in/a.txt", 1_000_000_000)
    mount.write_bytes("in/d/b.txt", b"longer than before")
    seen = {}
    plan = source.plan_copy("dst:out", skip="mtime")
    for action in plan:
        seen[action.relpath] = action.reason
    assert seen == {
        "a.txt": "time differs",
        "d/b.txt": "size differs",
        "d/e/c.txt": "same size and time (3 bytes)",
    }


def test_a_store_that_keeps_no_times_is_as_new_as_it_was_written():
    class Forgetful(Streaming):
        kept_attributes = frozenset()

    with StorageManager() as storage:
        storage.configure([{"name": "src", "type": "memory"}])
        source = storage.node("src:")
        fill(source._mount, "in", TREE)
        source._mount.set_mtime("in/a.txt", 1_000_000_000)
        target = storage.node("src:out")
        target._mount = Mount("dst", Forgetful())
        storage.node("src:in").copy_to(target)
        assert storage.node("src:in").sync(target).skipped == 3
        source._mount.set_mtime("in/a.txt", 4_000_000_000)
        assert storage.node("src:in").sync(target).copied == 1


# -- copy_to with collected errors ----------------------------------------------------------------


def test_copy_to_raises_when_all_others_are_copied(storage):
    fill(storage.node("dst:")._mount, "out", {"a.txt/in the way": b"2"})
    with pytest.raises(StorageTransferError, match="1 of 3 files were not copied to dst:out") as e:
        storage.node("src:in").copy_to("dst:out", on_error="collect")
    assert [each.relpath for each in e.value.report.failures] == ["a.txt"]
    assert (e.value.report.copied, e.value.__cause__) == (2, e.value.report.failures[0].error)


def test_an_unknown_keyword_is_a_type_error(storage):
    with pytest.raises(TypeError, match="nonsense"):
        storage.node("src:in").copy_to("dst:out", nonsense=1)


# -- comparing ------------------------------------------------------------------------------------


def test_check_tells_the_state_of_every_file(storage):
    fill(
        storage.node("dst:")._mount,
        "out",
        {"a.txt": b"a", "d/b.txt": b"BB", "own": b"1", "d/e/c.txt/sub": b"2"},
    )
    report = storage.node("src:in").check("dst:out")
    assert {each.relpath: each.state for each in report.differences} == {
        "d/b.txt": "different",
        "own": "extra",
        "d/e/c.txt": "different",
        "d/e/c.txt/sub": "extra",
    }
    assert str(report) == "1 same, 2 different, 2 extra"
    assert report.to_dict()["counts"] == {"same": 1, "different": 2, "extra": 2}
    one_way = storage.node("src:in").check("dst:out", by="size", one_way=True)
    assert str(one_way) == "2 same, 1 different"
    assert not storage.node("src:in").check("dst:nowhere").ok


def test_check_needs_no_rights_and_changes_nothing(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a")
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "src", "type": "memory"},
                {"name": "dst", "type": "local", "path": str(tmp_path), "permissions": "readonly"},
            ]
        )
        storage.node("src:a.txt").write_bytes(b"a")
        assert storage.node("src:").check("dst:").ok
        assert storage.node("src:a.txt").check("dst:a.txt").ok


def test_what_cannot_be_compared_is_unknown_and_never_the_same():
    class Unreadable(Streaming):
        def open_read(self, path, *_, **__):
            raise PermissionError(13, "denied", path)

        read_bytes = open_read

    with StorageManager() as storage:
        storage.configure([{"name": "src", "type": "memory"}])
        fill(storage.node("src:")._mount, "", {"a": b"1", "b": b"22"})
        target = storage.node("src:")
        target._mount = Mount("dst", Unreadable())
        fill(target._mount, "", {"a": b"2", "b": b"2"})
        report = storage.node("src:").check(target)
        assert {each.relpath: each.state for each in report.differences} == {
            "a": "unknown",
            "b": "different",
        }
        assert "dst:a: permission denied" in report.differences[0].reason


@pytest.mark.parametrize("by", ["exists", "custom", "md5"])
def test_there_are_three_ways_to_compare(storage, by):
    with pytest.raises(StorageValueError, match="by= takes 'size', 'mtime' or 'hash'"):
        storage.node("src:in").check("dst:out", by=by)


# -- digests that are remembered ------------------------------------------------------------------


def counted(calls, value="0" * 32):
    def compute():
        calls.append(value)
        return Checksum("md5", value)

    return compute


def test_a_digest_is_computed_once_as_long_as_the_file_looks_the_same(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    calls = []
    for _ in range(2):
        with ChecksumCache(tmp_path / "digests") as cache:
            for _ in range(2):
                assert cache.get(str(file), "md5", counted(calls)).hexdigest == "0" * 32
    assert len(calls) == 1
    changes = [
        lambda: os.utime(file, (1_000_000_001, 1_000_000_001)),
        lambda: file.write_bytes(b"12"),
        lambda: (file.unlink(), file.write_bytes(b"12"), os.utime(file, (5, 5))),
    ]
    with ChecksumCache(tmp_path / "digests") as cache:
        for number, change in enumerate(changes, 2):
            change()
            cache.get(str(file), "md5", counted(calls))
            assert len(calls) == number


def test_a_file_that_was_modified_a_moment_ago_is_not_believed(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    calls = []
    with ChecksumCache(tmp_path / "digests") as cache:
        for _ in range(2):
            cache.get(str(file), "md5", counted(calls))
    assert len(calls) == 2


def test_a_comparison_by_hash_reads_an_unchanged_local_tree_once(tmp_path, monkeypatch):
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "disk", "type": "local", "path": str(tmp_path)},
                {"name": "mem", "type": "memory"},
            ]
        )
        fill(storage.node("disk:")._mount, "in", TREE)
        for name in TREE:
            os.utime(tmp_path / "in" / name, (1_000_000_000, 1_000_000_000))
        storage.node("disk:in").copy_to("mem:out")
        with ChecksumCache(tmp_path / "digests") as cache:
            for _ in range(2):
                report = storage.node("disk:in").sync("mem:out", skip="hash", checksums=cache)
                assert report.skipped == 3
            kind = type(storage.node("disk:")._mount.backend)
            monkeypatch.setattr(kind, "read_bytes", None)
            monkeypatch.setattr(kind, "open_read", None)
            assert (
                storage.node("disk:in").sync("mem:out", skip="hash", checksums=cache).skipped == 3
            )


def test_a_place_where_no_digests_can_be_kept_is_named(tmp_path):
    with pytest.raises(StorageValueError, match=r"missing.digests: cannot be used to remember"):
        ChecksumCache(tmp_path / "missing" / "digests")
