"""On real mounts: local to local, inside one store, memory to memory, and between them."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genro_storage import StorageManager
from genro_storage.backends.base64 import Base64Backend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.capabilities import BackendCapabilities
from genro_storage.exceptions import (
    StorageIOError,
    StorageIsDirectoryError,
    StorageMissingExtraError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
)
from genro_storage.info import Checksum, FileInfo, FileVersion
from genro_storage.mount import Mount
from genro_storage.strategy import SkipStrategy
from genro_storage.transfer import (
    Conflict,
    CopyFile,
    Done,
    Filtered,
    MakeDirectory,
    Place,
    RichProgress,
    SkipFile,
    Transfer,
    copy_file,
    plan_copy,
)
from tests.support.trees import TREE, Streaming, content, fill, make

PAIRS = [
    ("local", "local"),
    ("local", "memory"),
    ("memory", "local"),
    ("memory", "memory"),
    ("streaming", "streaming"),
    ("local", "same"),
    ("memory", "same"),
    ("streaming", "same"),
]


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request, tmp_path):
    """A source mount and a target mount; "same" is one mount for both."""
    first, second = request.param
    source = make(first, "src", tmp_path)
    return source, source if second == "same" else make(second, "dst", tmp_path)


@pytest.fixture
def memory():
    return Mount("mem", MemoryBackend())


# -- one file ----------------------------------------------------------------------------------------


def test_a_file_arrives_whole_with_its_modification_time(pair):
    source, target = pair
    data = os.urandom(2_500_000)
    source.write_bytes("in/a.bin", data)
    source.set_mtime("in/a.bin", 1_000_000_000.25)
    report = plan_copy(Place(source, "in/a.bin"), Place(target, "out/b.bin")).apply()
    assert target.read_bytes("out/b.bin") == data
    assert target.stat("out/b.bin").mtime == pytest.approx(1_000_000_000.25, abs=1e-3)
    assert (report.copied, report.bytes_copied, report.skipped) == (1, len(data), 0)


def test_copy_file_is_usable_by_itself(pair):
    source, target = pair
    source.write_bytes("a", b"content")
    result = copy_file(Place(source, "a"), source.stat("a"), Place(target, "x/y"))
    assert target.read_bytes("x/y") == b"content"
    assert result == (None, 7, False)


def test_a_single_file_calls_every_callback_once_and_ignores_filters(pair):
    source, target = pair
    source.write_bytes("a.txt", b"1")
    calls: list[object] = []
    plan = plan_copy(Place(source, "a.txt"), Place(target, "b.txt"), include="*.py", skip="exists")
    plan.apply(lambda *n: calls.append(n), lambda action: calls.append(type(action)))
    assert calls == [CopyFile, (1, 1)]
    calls.clear()
    again = plan_copy(Place(source, "a.txt"), Place(target, "b.txt"), skip="exists")
    again.apply(lambda *n: calls.append(n), on_skip=lambda action: calls.append(action.reason))
    assert calls == ["destination exists", (1, 1)]


def test_a_missing_source_is_named(pair):
    source, target = pair
    with pytest.raises(StorageNotFoundError, match="Source not found: src:nope"):
        plan_copy(Place(source, "nope"), Place(target, "x"))


def test_a_file_onto_a_directory_and_the_reverse_are_refused(pair):
    source, target = pair
    fill(source, "in", {"f": b"1", "d/x": b"2"})
    fill(target, "out", {"f": b"old", "d/x": b"old"})
    with pytest.raises(StorageIsDirectoryError, match="out/d: a file cannot be copied onto"):
        plan_copy(Place(source, "in/f"), Place(target, "out/d"))
    with pytest.raises(StorageNotDirectoryError, match="out/f: a directory cannot be copied onto"):
        plan_copy(Place(source, "in/d"), Place(target, "out/f"))
    assert content(target, "out") == {"f": b"old", "d/x": b"old"}


def test_a_readonly_target_is_refused_before_anything_is_looked_at(memory):
    target = Mount("ro", MemoryBackend(), permissions="readonly")
    with pytest.raises(StoragePermissionError, match="ro:x"):
        plan_copy(Place(memory, "does not even exist"), Place(target, "x"))


def test_base64_as_a_target_gives_the_new_path(memory):
    target = Mount("b64", Base64Backend())
    memory.write_bytes("a", b"hello")
    report = plan_copy(Place(memory, "a"), Place(target, "")).apply()
    assert report.new_path == "aGVsbG8="
    with pytest.raises(StorageUnsupportedError, match="a directory cannot be copied"):
        plan_copy(Place(memory, ""), Place(target, ""))


def test_base64_as_a_source(memory):
    plan_copy(Place(Mount("b64", Base64Backend()), "aGVsbG8="), Place(memory, "x")).apply()
    assert memory.read_bytes("x") == b"hello"


# -- failures in the middle ------------------------------------------------------------------------


class Shrinking(Streaming):
    """Says one size and gives another: a source that changes while it is being copied."""

    def stat(self, path: str) -> FileInfo:
        info = super().stat(path)
        return info._replace(size=info.size + 1) if info.size is not None else info


def test_a_source_that_changes_meanwhile_is_an_error_and_leaves_the_target(memory):
    source = Mount("src", Shrinking())
    source.write_bytes("a", b"12345")
    memory.write_bytes("b", b"old")
    with pytest.raises(StorageIOError, match=r"src:a: changed while .*5 bytes read, 6 expected"):
        plan_copy(Place(source, "a"), Place(memory, "b")).apply()
    assert memory.read_bytes("b") == b"old"


def test_a_source_that_disappears_is_named_with_what_was_done_before(pair):
    source, target = pair
    fill(source, "in", {"a": b"1", "b": b"2"})

    def remove_next(action):
        if source.exists("in/b"):
            source.remove("in/b")

    plan = plan_copy(Place(source, "in"), Place(target, "out"))
    with pytest.raises(StorageNotFoundError, match="src:in/b") as caught:
        plan.apply(lambda current, total: None, remove_next)
    assert "1 copied, 0 skipped, 1 failed" in caught.value.__notes__[-1]
    assert content(target, "out") == {"a": b"1"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_source_is_named_and_not_the_target(tmp_path):
    source, target = make("local", "src", tmp_path), make("local", "dst", tmp_path)
    source.write_bytes("a", b"1")
    (tmp_path / "src" / "a").chmod(0)
    with pytest.raises(StoragePermissionError, match="src:a"):
        plan_copy(Place(source, "a"), Place(target, "b")).apply()


# -- trees ---------------------------------------------------------------------------------------------


def test_a_tree_arrives_with_its_empty_directories(pair):
    source, target = pair
    fill(source, "in", TREE)
    source.mkdir("in/empty")
    report = plan_copy(Place(source, "in"), Place(target, "deep/out")).apply()
    assert content(target, "deep/out") == {**TREE, "empty": b"<dir>"}
    assert (report.copied, report.bytes_copied) == (4, 6)
    assert report.directories == 5


def test_copying_a_tree_twice_merges(pair):
    source, target = pair
    fill(source, "in", TREE)
    fill(target, "out", {"kept": b"k", "a.txt": b"old", "d/own": b"o"})
    for _ in range(2):
        plan_copy(Place(source, "in"), Place(target, "out")).apply()
    assert content(target, "out") == {**TREE, "kept": b"k", "d/own": b"o"}


def test_a_whole_mount_is_copied_root_to_root(tmp_path):
    source, target = make("local", "src", tmp_path), make("memory", "dst", tmp_path)
    fill(source, "", TREE)
    plan_copy(Place(source, ""), Place(target, "")).apply()
    assert content(target, "") == TREE


@pytest.mark.parametrize("strategy", ["exists", "size", "hash"])
def test_an_unchanged_tree_is_skipped(pair, strategy):
    source, target = pair
    fill(source, "in", TREE)
    plan_copy(Place(source, "in"), Place(target, "out")).apply()
    report = plan_copy(Place(source, "in"), Place(target, "out"), skip=strategy).apply()
    reason = {"exists": "destination exists", "size": "same size", "hash": "same content"}
    assert str(report) == f"0 copied, 4 skipped ({reason[strategy]})"
    assert report.directories == 0


def test_hash_sees_a_change_that_keeps_the_size(pair):
    source, target = pair
    fill(source, "in", {"a": b"one", "b": b"same"})
    fill(target, "out", {"a": b"two", "b": b"same"})
    seen: list[str] = []
    plan = plan_copy(Place(source, "in"), Place(target, "out"), skip=SkipStrategy.HASH)
    plan.apply(on_skip=lambda action: seen.append(action.reason))
    assert content(target, "out") == {"a": b"one", "b": b"same"}
    assert seen == [f"same content (MD5: {hashlib.md5(b'same').hexdigest()[:8]}...)"]


def test_empty_directories_are_made_even_where_all_files_are_filtered_out(pair):
    source, target = pair
    fill(source, "in", {"d/a.txt": b"1"})
    skipped: list[object] = []
    plan = plan_copy(Place(source, "in"), Place(target, "out"), include="*.py")
    report = plan.apply(on_skip=skipped.append)
    assert content(target, "out") == {"d": b"<dir>"}
    assert (report.copied, report.filtered) == (0, 1)
    assert [type(action) for action in skipped] == [Filtered]


def test_filtered_files_are_counted_where_nobody_listens(pair):
    source, target = pair
    fill(source, "in", {"a.py": b"1", "b.txt": b"2"})
    report = plan_copy(Place(source, "in"), Place(target, "out"), include="*.py").apply()
    assert str(report) == "1 copied, 0 skipped, 1 filtered"


def test_filtered_files_are_reported_before_the_first_copy_and_progress_counts_the_others(pair):
    source, target = pair
    fill(source, "in", {"a.py": b"1", "b.py": b"2", "z.txt": b"3"})
    fill(target, "out", {"b.py": b"there"})
    events: list[object] = []
    plan = plan_copy(Place(source, "in"), Place(target, "out"), exclude="*.txt", skip="exists")
    plan.apply(
        lambda current, total: events.append((current, total)),
        lambda action: events.append("copied " + action.relpath),
        lambda action: events.append(f"{action.reason} {action.relpath}"),
    )
    assert events == [
        "matching exclude pattern '*.txt' z.txt",
        "copied a.py",
        (1, 2),
        "destination exists b.py",
        (2, 2),
    ]


def test_a_callback_that_raises_stops_the_copy(memory):
    fill(memory, "in", {"a": b"1", "b": b"2"})

    def stop(action):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan_copy(Place(memory, "in"), Place(memory, "out")).apply(on_file=stop)
    assert content(memory, "out") == {"a": b"1"}


@pytest.mark.parametrize("skip", ["never", "exists"])
def test_a_directory_where_a_file_should_go_is_an_error_and_stays(pair, skip):
    source, target = pair
    fill(source, "in", {"a": b"1", "a-b": b"2"})
    fill(target, "out", {"a/x": b"old"})
    with pytest.raises(StorageIsDirectoryError, match="out/a"):
        plan_copy(Place(source, "in"), Place(target, "out"), skip=skip).apply()
    assert content(target, "out")["a/x"] == b"old"


@pytest.mark.parametrize("skip", ["never", "exists"])
def test_a_file_where_a_directory_should_go_is_an_error_and_stays(pair, skip):
    source, target = pair
    fill(source, "in", {"a/x": b"1", "b": b"2"})
    fill(target, "out", {"a": b"old"})
    with pytest.raises(StorageNotDirectoryError, match="out/a"):
        plan_copy(Place(source, "in"), Place(target, "out"), skip=skip).apply()
    assert target.read_bytes("out/a") == b"old"


def test_links_that_lead_nowhere_are_skipped_with_the_reason(tmp_path, memory):
    source = make("local", "src", tmp_path)
    fill(source, "in", {"a": b"1"})
    (tmp_path / "src" / "in" / "dead").symlink_to("nowhere")
    (tmp_path / "src" / "in" / "out").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "src" / "in" / "pipe")
    seen: dict[str, str] = {}
    report = plan_copy(Place(source, "in"), Place(memory, "out")).apply(
        on_skip=lambda action: seen.update({action.relpath: action.reason})
    )
    link = "symbolic link that leads nowhere or out of the mount"
    assert seen == {"dead": link, "out": link, "pipe": "not a regular file"}
    assert (report.copied, report.skipped) == (1, 3)
    with pytest.raises(StorageNotFoundError, match="Source not found"):
        plan_copy(Place(source, "in/dead"), Place(memory, "x"))
    with pytest.raises(StorageValueError, match="not a regular file"):
        plan_copy(Place(source, "in/pipe"), Place(memory, "x"))


# -- comparisons that fail --------------------------------------------------------------------------


def test_a_skip_function_that_raises_overwrites_nothing_and_is_named(pair):
    source, target = pair
    fill(source, "in", {"a": b"new"})
    fill(target, "out", {"a": b"old"})
    plan = plan_copy(
        Place(source, "in"), Place(target, "out"), skip="custom", skip_fn=lambda s, t: 1 / 0
    )
    with pytest.raises(ZeroDivisionError) as caught:
        plan.apply()
    assert any("src:in/a" in note for note in caught.value.__notes__)
    assert target.read_bytes("out/a") == b"old"


class Unreadable(Streaming):
    """Lists its files and refuses to read them."""

    def read_bytes(self, path, start=0, end=None, *, version=None):
        raise PermissionError(13, "no")


def test_an_unreadable_target_is_an_error_and_not_overwritten(memory):
    target = Mount("dst", Unreadable())
    memory.write_bytes("a", b"new")
    target.write_bytes("a", b"old")
    with pytest.raises(StoragePermissionError, match="dst:a"):
        plan_copy(Place(memory, "a"), Place(target, "a"), skip="hash").apply()


def test_a_misspelt_strategy_is_refused_before_anything_is_written(memory):
    with pytest.raises(StorageValueError, match="did you mean 'exists'"):
        plan_copy(Place(memory, "a"), Place(memory, "b"), skip="exist")
    with pytest.raises(StorageValueError, match="skip='custom' requires skip_fn"):
        plan_copy(Place(memory, "a"), Place(memory, "b"), skip="custom")


@pytest.mark.parametrize("size", [10, 2_500_000])
@pytest.mark.parametrize("where", [0, -1])
def test_one_differing_byte_is_found_anywhere(pair, size, where):
    source, target = pair
    data = bytearray(os.urandom(size))
    source.write_bytes("a", bytes(data))
    target.write_bytes("b", bytes(data))
    plan = plan_copy(Place(source, "a"), Place(target, "b"), skip="hash")
    assert [action.reason for action in plan] == [
        f"same content (MD5: {hashlib.md5(data).hexdigest()[:8]}...)"
    ]
    data[where] ^= 1
    target.write_bytes("b", bytes(data))
    assert [action.reason for action in plan] == ["content differs"]


def test_a_size_that_nobody_says_is_no_obstacle_to_comparing_content(memory):
    class Silent(Streaming):
        def stat(self, path):
            return super().stat(path)._replace(size=None)

    source = Mount("src", Silent())
    source.write_bytes("a", b"123")
    memory.write_bytes("b", b"123")
    memory.write_bytes("c", b"1234")
    (same,) = plan_copy(Place(source, "a"), Place(memory, "b"), skip="hash")
    (longer,) = plan_copy(Place(source, "a"), Place(memory, "c"), skip="hash")
    assert isinstance(same, SkipFile)
    assert isinstance(longer, CopyFile)


class Hashed(Streaming):
    """Knows digests without reading, as object stores do; counts what is read all the same."""

    algorithm = "sha256"
    reads = 0

    def checksum(self, info):
        data = super().read_bytes(info.path)
        return Checksum(self.algorithm, hashlib.new(self.algorithm, data).hexdigest())

    def read_bytes(self, path, start=0, end=None, *, version=None):
        self.reads += 1
        return super().read_bytes(path, start, end, version=version)


def test_checksums_of_one_algorithm_are_compared_without_reading():
    left, right = Mount("l", Hashed()), Mount("r", Hashed())
    for mount in (left, right):
        fill(mount, "", {"a": b"1"})
    (action,) = plan_copy(Place(left, "a"), Place(right, "a"), skip="hash")
    assert isinstance(action, SkipFile)
    assert action.reason == f"same content (SHA256: {hashlib.sha256(b'1').hexdigest()[:8]}...)"
    assert (left.backend.reads, right.backend.reads) == (0, 0)


def test_only_the_side_without_a_checksum_is_read(memory):
    left = Mount("l", Hashed())
    for mount in (left, memory):
        fill(mount, "", {"a": b"1"})
    (action,) = plan_copy(Place(left, "a"), Place(memory, "a"), skip="hash")
    assert isinstance(action, SkipFile)
    assert left.backend.reads == 0


@pytest.mark.parametrize("size", [5, 1_500_000])
@pytest.mark.parametrize("change", [0, 1])
def test_checksums_of_two_algorithms_are_made_comparable_by_reading_one_side(size, change):
    class Md5(Hashed):
        algorithm = "md5"

    left, right = Mount("l", Hashed()), Mount("r", Md5())
    left.write_bytes("a", bytes(size))
    right.write_bytes("a", bytes(size - 1) + bytes([change]))
    (action,) = plan_copy(Place(left, "a"), Place(right, "a"), skip="hash")
    assert isinstance(action, CopyFile if change else SkipFile)
    assert (left.backend.reads, right.backend.reads) == (1, 0)


def test_a_store_without_directories_gets_the_files_only(memory):
    class Flat(Streaming):
        capabilities = BackendCapabilities(mkdir=False, temporary=True)

    fill(memory, "in", TREE)
    memory.mkdir("in/empty")
    target = Mount("dst", Flat())
    report = plan_copy(Place(memory, "in"), Place(target, "out")).apply()
    assert content(target, "out") == TREE
    assert report.directories == 0


# -- places that are the same, or inside each other ---------------------------------------------------


def test_copying_onto_itself_does_nothing(pair):
    source, _ = pair
    fill(source, "in", TREE)
    inner = source.narrow("inner", "in")
    for place, other in [
        (Place(source, "in"), Place(source, "in")),
        (Place(source, "in/a.txt"), Place(inner, "a.txt")),
        (Place(inner, ""), Place(source, "in")),
    ]:
        plan = plan_copy(place, other)
        assert list(plan) == []
        assert plan.apply().copied == 0
    assert content(source, "in") == TREE


def test_copying_a_directory_into_itself_is_refused_before_any_write(pair):
    source, _ = pair
    fill(source, "in", TREE)
    with pytest.raises(StorageValueError, match="cannot copy src:in into itself"):
        plan_copy(Place(source, "in"), Place(source, "in/d/copy"))
    with pytest.raises(StorageValueError, match="into itself"):
        plan_copy(Place(source, ""), Place(source.narrow("inner", "in"), "x"))
    assert content(source, "") == {"in/" + name: data for name, data in TREE.items()}


def test_a_sibling_with_the_same_beginning_is_not_inside(pair):
    source, _ = pair
    fill(source, "in", TREE)
    plan_copy(Place(source, "in"), Place(source, "in-2")).apply()
    assert content(source, "in-2") == TREE


@pytest.mark.parametrize("skip", ["never", "hash"])
@pytest.mark.parametrize("narrowed", [False, True])
def test_a_directory_onto_the_one_above_it_copies_what_was_there(pair, skip, narrowed):
    source, _ = pair
    fill(source, "top/sub", {"z": b"outer", "sub/z": b"inner", "sub/sub/z": b"inmost"})
    start = Place(source.narrow("n", "top/sub"), "") if narrowed else Place(source, "top/sub")
    plan_copy(start, Place(source, "top"), skip=skip).apply()
    assert content(source, "top") == {
        "z": b"outer",
        "sub/z": b"inner",
        "sub/sub/z": b"inmost",
        "sub/sub/sub/z": b"inmost",  # stays: a copy removes nothing
    }


def test_a_child_with_the_name_of_the_source_is_read_before_it_is_replaced(pair):
    # top/sub/sub/z goes to top/sub/z, which is the source of top/z.
    source, _ = pair
    fill(source, "top/sub", {"sub/z": b"from inside", "z": b"from outside"})
    plan_copy(Place(source, "top/sub"), Place(source, "top")).apply()
    assert source.read_bytes("top/z") == b"from outside"
    assert source.read_bytes("top/sub/z") == b"from inside"


# -- the plan as a value ------------------------------------------------------------------------------


def test_a_plan_changes_nothing_until_it_is_applied_and_can_be_looked_at_twice(pair):
    source, target = pair
    fill(source, "in", TREE)
    target.write_bytes("out/a.txt", b"old")
    plan = plan_copy(Place(source, "in"), Place(target, "out"), skip="exists")
    assert list(plan) == list(plan)
    assert plan.count() == 7
    assert str(plan.summary()) == "3 to copy, 1 to skip (destination exists)"
    assert content(target, "out") == {"a.txt": b"old"}


def test_a_conflict_shows_in_the_plan(memory):
    fill(memory, "in", {"a": b"1"})
    fill(memory, "out", {"a/x": b"2"})
    (action,) = plan_copy(Place(memory, "in"), Place(memory, "out"), skip="exists")
    assert isinstance(action, Conflict)


class Backwards:
    """An executor of one's own: it sees all actions and chooses the order."""

    def run(self, actions, transfer: Transfer):
        for action in reversed(list(actions)):
            yield Done(action, transfer.perform(action))


def test_an_executor_may_choose_the_order(pair):
    source, target = pair
    fill(source, "in", TREE)
    plan = plan_copy(Place(source, "in"), Place(target, "out"))
    assert [type(a) for a in plan].count(MakeDirectory) == 4
    report = plan.apply(executor=Backwards())
    assert report.copied == 4
    assert content(target, "out") == TREE


# -- versions -----------------------------------------------------------------------------------------


class Versioned(Streaming):
    """Keeps every content; version ids count from 0."""

    capabilities = BackendCapabilities(
        versioning=True, version_listing=True, version_access=True, copy_optimization=True
    )

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[bytes] = []

    def put(self, path, data, **options):
        self.kept.append(data)
        super().put(path, data, **options)

    def versions(self, path):
        when = datetime(2020, 1, 1, tzinfo=UTC)
        last = len(self.kept) - 1
        return [FileVersion(str(n), n == last, when, len(data)) for n, data in enumerate(self.kept)]

    def read_bytes(self, path, start=0, end=None, *, version=None):
        if version is None:
            return super().read_bytes(path, start, end)
        return self.kept[int(version)][start:end]


def test_a_version_is_copied_and_compared_as_that_version(memory):
    source = Mount("v", Versioned())
    source.write_bytes("a", b"one")
    source.write_bytes("a", b"three!")
    plan_copy(Place(source, "a"), Place(memory, "b"), version="0").apply()
    assert memory.read_bytes("b") == b"one"
    assert memory.stat("b").mtime == datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    (action,) = plan_copy(Place(source, "a"), Place(memory, "b"), version="0", skip="hash")
    assert isinstance(action, SkipFile)
    (action,) = plan_copy(Place(source, "a"), Place(memory, "b"), skip="hash")
    assert isinstance(action, CopyFile)
    with pytest.raises(StorageVersionError, match="v:a: no version '9'"):
        plan_copy(Place(source, "a"), Place(memory, "b"), version="9")


def test_a_version_of_a_store_that_lists_none_is_copied_without_a_known_size(memory):
    class Unlisted(Versioned):
        capabilities = BackendCapabilities(versioning=True, version_access=True)

    source = Mount("v", Unlisted())
    source.write_bytes("a", b"one")
    source.write_bytes("a", b"three!")
    plan_copy(Place(source, "a"), Place(memory, "b"), version="0").apply()
    assert memory.read_bytes("b") == b"one"


def test_an_old_version_onto_its_own_file_restores_it():
    source = Mount("v", Versioned())
    source.write_bytes("a", b"one")
    source.write_bytes("a", b"two")
    plan_copy(Place(source, "a"), Place(source, "a"), version="0").apply()
    assert source.read_bytes("a") == b"one"


# -- against a model ----------------------------------------------------------------------------------

trees = st.dictionaries(
    st.text("a-/.0", min_size=1, max_size=5).filter(
        lambda name: all(part not in ("", ".", "..") for part in name.split("/"))
    ),
    st.binary(max_size=3),
    max_size=6,
).filter(lambda tree: not any(o.startswith(n + "/") for n in tree for o in tree))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(trees, trees, st.sampled_from(["never", "exists", "size", "hash"]))
def test_a_copy_is_the_model_on_the_local_disk(tmp_path_factory, source_tree, target_tree, skip):
    both = source_tree | target_tree
    if any(o.startswith(n + "/") for n in both for o in both):
        return
    where = tmp_path_factory.mktemp("model")
    source, target = make("local", "s", where), make("local", "t", where)
    fill(source, "", source_tree)
    fill(target, "", target_tree)
    plan_copy(Place(source, ""), Place(target, ""), skip=skip).apply()
    expected = dict(target_tree)
    for name, data in source_tree.items():
        there = target_tree.get(name)
        if (
            there is None
            or skip in ("never", "hash")
            or (skip == "size" and len(there) != len(data))
        ):
            expected[name] = data
    assert {n: d for n, d in content(target, "").items() if d != b"<dir>"} == expected


# -- progress ------------------------------------------------------------------------------------------


def test_without_rich_the_fix_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(StorageMissingExtraError, match=r'pip install "genro-storage\[cli\]"'):
        RichProgress()


def test_the_bar_shows_how_many_files_are_done(memory):
    console = pytest.importorskip("rich.console")
    fill(memory, "in", TREE)
    screen = console.Console(record=True, force_terminal=True, width=80)
    with RichProgress("photos", console=screen) as progress:
        plan_copy(Place(memory, "in"), Place(memory, "out")).apply(progress)
    assert "4/4" in screen.export_text()


def test_a_plan_looks_again_when_it_is_applied(memory: Mount) -> None:
    memory.write_bytes("a", b"ours")
    plan = plan_copy(Place(memory, "a"), Place(memory, "b"), skip="exists")
    memory.write_bytes("b", b"precious")
    assert plan.apply().skipped == 1
    assert memory.read_bytes("b") == b"precious"


@pytest.mark.parametrize("listener", ["nobody", "on_skip", "progress", "dry run"])
def test_what_is_copied_does_not_depend_on_who_listens(memory: Mount, listener: str) -> None:
    for name in ("src/build/x/y.txt", "src/keep.txt"):
        memory.write_bytes(name, b"x")
    memory.mkdir("src/build/empty")
    plan = plan_copy(Place(memory, "src"), Place(memory, "dst"), exclude="build/*")
    if listener == "dry run":
        made = {a.relpath for a in plan if isinstance(a, CopyFile | MakeDirectory) and a.relpath}
    else:
        hear = {"nobody": {}, "on_skip": {"on_skip": print}, "progress": {"progress": print}}
        plan.apply(**hear[listener])
        made = {info.path[4:] for info in memory.find("dst")}
    assert made == {"build", "keep.txt"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delete": "no"}, "delete= is True or False, not 'no'"),
        ({"if_absent": 1}, "if_absent= is True or False, not 1"),
        ({"dry_run": "no"}, "dry_run= is True or False, not 'no'"),
        ({"resume": "yes"}, "resume= is True or False, not 'yes'"),
        ({"max_delete": "3", "delete": True}, "max_delete= is a whole number, at least 0, not '3'"),
        (
            {"max_delete": True, "delete": True},
            "max_delete= is a whole number, at least 0, not True",
        ),
        ({"max_delete": -1, "delete": True}, "max_delete= is a whole number, at least 0, not -1"),
        (
            {"skip": "newer"},
            (
                "unknown skip strategy 'newer'; 'mtime' copies whatever has another time, also where "
                "the destination is newer; to leave that alone, say 'custom' with a skip_fn that "
                "compares mtime"
            ),
        ),
        ({"skip": "checksum"}, "unknown skip strategy 'checksum'; did you mean 'hash'?"),
        ({"retries": -1}, "retries= is a whole number, at least 0, not -1"),
        ({"retries": "x"}, "retries= is a whole number, at least 0, not 'x'"),
        ({"concurrency": "4"}, "concurrency= is a whole number, at least 1, not '4'"),
        ({"concurrency": 0}, "concurrency= is a whole number, at least 1, not 0"),
    ],
    ids=str,
)
def test_a_value_of_another_kind_changes_nothing(tmp_path, options, message):
    for name in ("src/a", "dst/only"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    with StorageManager() as storage:
        for name in ("src", "dst"):
            storage.add_mount({"name": name, "type": "local", "path": str(tmp_path / name)})
        with pytest.raises(StorageValueError, match=f"^{re.escape(message)}$"):
            storage.node("src:").copy_to("dst:", **options)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "dst", "only", "src"]
