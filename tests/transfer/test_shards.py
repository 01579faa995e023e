"""Plans are split in shards that hold no keys, and nothing is lost or done twice."""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from concurrent.futures import CancelledError, Future

import pytest

from genro_storage import StorageManager
from genro_storage.exceptions import (
    StorageConfigError,
    StorageError,
    StorageExistsError,
    StorageIOError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageValueError,
)
from genro_storage.info import Checksum, FileInfo
from genro_storage.transfer import (
    CompareFile,
    Conflict,
    CopyFile,
    MakeDirectory,
    Place,
    ShardedExecutor,
    SkipFile,
    StorageTransferError,
    TransferReport,
)
from genro_storage.transfer.execution.shards import Shard, SharedPlace, _packed, _unpacked, portable
from genro_storage.transfer.report import Failure
from genro_storage.transfer.terms import Terms
from tests.support.pools import Couriers, Lost
from tests.support.sharing import make_home

MOUNTS = """
- {name: src, type: local, path: src}
- {name: dst, type: local, path: dst}
- {name: below, path: "dst:below", permissions: readwrite}
"""


@pytest.fixture
def home(tmp_path):
    """A configuration file with two directories, of which one has 300 files."""
    return make_home(tmp_path, MOUNTS, files=300, directories=7)


@pytest.fixture
def storage(home):
    storage = StorageManager()
    storage.configure(home / "mounts.yaml")
    return storage


@pytest.fixture
def pool():
    with Couriers() as pool:
        yield pool


def tree(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
    }


# -- what travels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        CopyFile("a.txt", FileInfo("root/a.txt", "file", 3, 1.5, '"tag"'), None, "missing"),
        CopyFile(
            "a",
            FileInfo("elsewhere", "file", metadata={"k": "v"}),
            FileInfo("t/a", "file", 1, checksum=Checksum("md5", "00")),
            "size differs",
        ),
        CompareFile("d/a", FileInfo("root/d/a", "file", 3), FileInfo("t/d/a", "file", 3)),
        SkipFile("a", FileInfo("root/a", "file"), None, "same"),
        MakeDirectory("d"),
        Conflict("d", "a file is there", "not_directory"),
    ],
    ids=lambda action: type(action).__name__,
)
def test_an_action_comes_out_as_it_went_in(action):
    packed = pickle.loads(pickle.dumps(_packed(action, "root")))
    assert _unpacked(packed, "root") == action


def test_a_file_costs_less_than_a_hundred_bytes(storage, pool):
    report = storage.node("src:").plan_copy("dst:").apply(executor=pool)
    assert report.copied == 300
    assert sum(map(len, pool.sent)) < 100 * 300


def test_no_key_is_in_a_shard_nor_anything_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_SHARD_SECRET", "SECRETFROMENVIRONMENT")
    (tmp_path / "mounts.yaml").write_text(
        "- {name: bucket, type: s3, bucket: a-bucket, prefix: p, key: AKIAKEYINFILE,"
        " secret: '${TEST_SHARD_SECRET}', endpoint_url: 'http://127.0.0.1:9'}\n"
        "- {name: inner, path: 'bucket:2026', permissions: readonly}\n"
    )
    storage = StorageManager()
    storage.configure(tmp_path / "mounts.yaml")
    place = Place(storage.node("inner:x")._mount, "x")
    shared = SharedPlace.of(place)
    action = CopyFile("a", FileInfo("x/a", "file", 1), None, "missing")
    data = Shard.of(shared, shared, Terms(), None, [action]).to_bytes()
    for secret in (b"AKIAKEYINFILE", b"SECRETFROMENVIRONMENT", b"a-bucket", b"127.0.0.1"):
        assert secret not in data
    assert str(tmp_path / "mounts.yaml").encode() in data
    opened = pickle.loads(data).source.open()
    mount = opened.mount
    assert (mount.name, mount.prefix, mount.permissions) == ("inner", "2026", "readonly")
    assert str(opened) == "inner:x"
    with pytest.raises(StoragePermissionError):
        mount.require_write("x")


def test_a_worker_may_do_no_more_than_its_own_configuration_says(storage, home):
    shared = SharedPlace.of(Place(storage.node("dst:")._mount, ""))
    (home / "mounts.yaml").write_text(
        MOUNTS.replace("path: dst}", "path: dst, permissions: readonly}")
    )
    with pytest.raises(StoragePermissionError):
        shared.open().mount.require_write("a")


def test_a_file_that_was_written_anew_is_read_again(storage, home):
    shared = SharedPlace.of(Place(storage.node("dst:")._mount, ""))
    assert shared.open().mount is not None
    (home / "other").mkdir()
    (home / "mounts.yaml").write_text(MOUNTS.replace("path: dst}", "path: other}"))
    shared.open().mount.write_bytes("a", b"a")
    assert (home / "other" / "a").exists()


def test_an_archive_is_opened_with_the_mount_that_it_lies_on(home):
    (home / "more.yaml").write_text("- {name: z, type: zip, file: 'dst:a.zip'}\n")
    storage = StorageManager()
    storage.configure(home / "mounts.yaml")
    storage.configure(home / "more.yaml")
    storage.node("z:in.txt").write_text("in")
    shared = pickle.loads(pickle.dumps(SharedPlace.of(Place(storage.node("z:")._mount, ""))))
    assert shared.open().mount.read_bytes("in.txt") == b"in"


# -- what cannot travel ----------------------------------------------------------------------------


def test_a_mount_that_no_other_process_can_open_is_named_with_the_fix(storage, home, pool):
    storage.configure(
        [
            {"name": "code", "type": "local", "path": str(home / "dst")},
            {"name": "memory", "type": "memory"},
            {"name": "given", "type": "local", "path": lambda: str(home / "dst")},
            {"name": "child", "path": "code:x"},
            {"name": "archive", "type": "zip", "file": "dst:a.zip"},
        ]
    )
    cases = {
        "code:": "storage.reference = ",
        "child:": "storage.reference = ",
        "memory:": "memory of this process",
        "given:": "a fixed path",
        "archive:": "only one process writes",
    }
    for target, fix in cases.items():
        with pytest.raises(StorageValueError, match=fix) as caught:
            storage.node("src:").copy_to(target, executor=pool)
        assert str(caught.value).startswith(target)
    assert not pool.sent


FACTORY = """
from genro_storage import StorageManager

def manager():
    storage = StorageManager()
    storage.configure([
        {{"name": "src", "type": "local", "path": {home!r} + "/src"}},
        {{"name": "dst", "type": "local", "path": {home!r} + "/dst"}},
    ])
    storage.reference = "{module}:manager"
    return storage

def wrong():
    return None

text = "text"
"""


@pytest.fixture
def factory(home, monkeypatch):
    """A module of the user's, with a function that makes his manager."""
    name = f"mounts_of_{home.name}".replace("-", "_")
    (home / f"{name}.py").write_text(FACTORY.format(home=str(home), module=name))
    monkeypatch.syspath_prepend(home)
    yield name
    sys.modules.pop(name, None)


def test_mounts_of_code_are_opened_by_the_function_that_makes_them(home, factory, pool):
    storage = sys.modules[factory].manager() if factory in sys.modules else None
    storage = storage or __import__(factory).manager()
    report = storage.node("src:").plan_copy("dst:").apply(executor=pool)
    assert report.copied == 300
    assert tree(home / "dst") == tree(home / "src")


@pytest.mark.parametrize("name", ["{}:wrong", "{}:missing", "{}:text", "no_such_module:x"])
def test_a_function_that_makes_no_manager_is_named(storage, factory, pool, name):
    storage.reference = name.format(factory)
    with pytest.raises(StorageConfigError, match=r"storage\.reference"):
        storage.node("src:").copy_to("dst:", executor=pool)


@pytest.mark.parametrize("value", ["", "a.b", ":f", "a:", "a b:f", "__main__:f", 7])
def test_a_reference_is_a_module_and_a_function(storage, value):
    with pytest.raises(StorageValueError, match=r"storage\.reference"):
        storage.reference = value
    assert storage.reference is None


def test_a_worker_without_the_configuration_stops_the_copy_and_is_named(storage, home, pool):
    plan = storage.node("src:").plan_copy("dst:")
    (home / "mounts.yaml").unlink()
    with pytest.raises(StorageNotFoundError) as caught:
        plan.apply(executor=pool, on_error="collect")
    assert "mounts.yaml" in str(caught.value)
    assert any("could not open the mounts" in note for note in caught.value.__notes__)
    assert tree(home / "dst") == {}


def test_a_worker_whose_mount_is_another_place_is_noticed(storage, home, pool):
    plan = storage.node("src:").plan_copy("dst:")
    (home / "other").mkdir()
    (home / "mounts.yaml").write_text(MOUNTS.replace("path: dst}", "path: other}"))
    with pytest.raises(
        StorageIOError, match=r"dst:d0/\S+: the worker \S+ says .* different places"
    ):
        plan.apply(executor=pool, on_error="collect")


# -- carrying out ----------------------------------------------------------------------------------


def test_a_tree_is_copied_with_its_empty_directories_into_a_mount_of_fewer_rights(
    storage, home, pool
):
    told = []
    plan = storage.node("src:").plan_copy("below:deep", exclude="d0/*")
    report = plan.apply(executor=pool, progress=lambda *at: told.append(at), verify="checksum")
    wanted = {k: v for k, v in tree(home / "src").items() if not k.startswith("d0/")}
    assert tree(home / "dst" / "below" / "deep") == wanted
    assert report.copied == report.verified == len(told) == told[-1][1]
    assert report.bytes_copied == sum(len(each or b"") for each in wanted.values())


def test_what_the_listings_leave_open_is_compared_by_the_workers(storage, home, pool):
    storage.node("src:").copy_to("dst:")
    changed = home / "dst" / "d1" / "1.txt"
    changed.write_text("X,")
    told = []
    report = (
        storage.node("src:")
        .plan_copy("dst:", skip="hash")
        .apply(on_skip=told.append, executor=pool)
    )
    assert (report.copied, report.skipped, dict(report.skip_reasons)) == (
        1,
        299,
        {"same content": 299},
    )
    assert len(told) == 299 and tree(home / "dst") == tree(home / "src")


def test_a_bandwidth_is_divided_among_the_workers(storage, pool):
    executor = ShardedExecutor(pool, in_flight=4)
    storage.node("src:").copy_to("dst:", executor=executor, bandwidth="40M")
    shared = {pickle.loads(data).terms.bandwidth.bytes_per_second for data in pool.sent}
    assert shared == {10 * 1024 * 1024}


def test_a_reporter_hears_of_each_file_once_and_of_lost_workers(storage, home):
    heard = []
    with Couriers(lambda number: "after" if number == 1 else None) as pool:
        storage.node("src:").copy_to("dst:", executor=pool, reporter=heard.append)
    kinds = Counter(each.event for each in heard)
    assert kinds["file_started"] == kinds["file_done"] == 300 and kinds["retried"] == 1
    assert sum(each.size for each in heard if each.event == "file_done") == sum(
        len(each or b"") for each in tree(home / "src").values()
    )


def test_a_mirror_removes_at_the_end_what_only_the_target_has(storage, home, pool):
    (home / "dst" / "extra.txt").write_text("extra")
    report = storage.node("src:").sync("dst:", delete=True, executor=pool)
    assert (report.copied, report.deleted) == (300, 1)
    assert tree(home / "dst") == tree(home / "src")


def test_a_function_that_decides_runs_here_only(storage, home, pool):
    storage.node("src:").copy_to("dst:")
    report = (
        storage.node("src:")
        .plan_copy("dst:", skip="custom", skip_fn=lambda ours, theirs: ours.size > 10)
        .apply(executor=pool)
    )
    assert report.copied + report.skipped == 300 and report.copied and report.skipped


def test_errors_come_back_with_their_class_place_and_notes(storage, home, pool):
    for name in ("d1/1.txt", "d2/2.txt"):
        (home / "dst" / name).mkdir(parents=True)
    with pytest.raises(StorageTransferError) as caught:
        storage.node("src:").copy_to("dst:", executor=pool, on_error="collect")
    report = caught.value.report
    assert (report.copied, report.failed) == (298, 2)
    assert {type(each.error).__name__ for each in report.failures} == {"StorageIsDirectoryError"}
    assert {each.error.node for each in report.failures} == {"dst:d1/1.txt", "dst:d2/2.txt"}


def test_the_first_error_stops_the_copy(storage, home, pool):
    (home / "dst" / "d0" / "0.txt").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"dst:d0/0\.txt"):
        storage.node("src:").copy_to(
            "dst:", executor=ShardedExecutor(pool, max_files=5, in_flight=1)
        )
    assert len(pool.sent) <= 2


def test_at_most_so_many_shards_are_under_way_and_the_plan_is_read_no_further(storage, pool):
    plan = storage.node("src:").plan_copy("dst:")
    transfer = plan.transfer(Terms())
    taken = 0

    def actions():
        nonlocal taken
        for action in plan.actions():
            taken += 1
            yield action

    done = 0
    for _ in ShardedExecutor(pool, max_files=10, in_flight=3).run(actions(), transfer):
        done += 1
        assert taken - done <= 4 * 10
    assert done == taken > 300
    assert pool.most <= 3
    assert len(pool.sent) >= 30


def test_large_files_make_small_shards(storage, home, pool):
    executor = ShardedExecutor(pool, max_bytes=1)
    report = storage.node("src:").plan_copy("dst:", include="d1/*").apply(executor=executor)
    full = sum(each not in (None, b"") for each in tree(home / "src" / "d1").values())
    assert 1 < full <= report.copied and len(pool.sent) >= full


def test_an_error_of_the_plan_is_raised_when_what_is_under_way_has_ended(storage, home, pool):
    plan = storage.node("src:").plan_copy("dst:")
    transfer = plan.transfer(Terms())

    def actions():
        for number, action in enumerate(plan.actions()):
            if number == 40:
                raise StorageIOError("the listing broke off")
            yield action

    done = []
    with pytest.raises(StorageIOError, match="broke off"):
        done.extend(ShardedExecutor(pool, max_files=10).run(actions(), transfer))
    copied = sum(1 for each in tree(home / "dst").values() if each is not None)
    assert copied == sum(isinstance(each.action, CopyFile) for each in done) > 0


def test_a_callback_that_raises_ends_the_copy(storage, pool):
    def stop(action):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        storage.node("src:").plan_copy("dst:").apply(executor=pool, on_file=stop)
    assert pool.submit(len, b"abc").result(10) == 3  # it is still the caller's


# -- lost workers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["before", "after"])
@pytest.mark.parametrize("if_absent", [False, True])
def test_a_lost_shard_is_done_again_and_counted_once(storage, home, fate, if_absent):
    with Couriers(lambda number: fate if number in (1, 4) else None) as pool:
        executor = ShardedExecutor(pool, max_files=40, in_flight=2)
        plan = storage.node("src:").plan_copy("dst:", if_absent=if_absent)
        seen = []
        report = plan.apply(executor=executor, on_file=lambda action: seen.append(action.relpath))
    assert (report.copied, report.failed, report.retried) == (300, 0, 2)
    assert "Lost: worker" in report.retries[0].error
    assert len(seen) == len(set(seen)) == 300
    assert report.bytes_copied == sum(len(each or b"") for each in tree(home / "src").values())
    assert tree(home / "dst") == tree(home / "src")


def test_a_file_of_somebody_else_is_not_taken_for_ones_own_work(storage, home, pool):
    (home / "dst" / "d1").mkdir()
    (home / "dst" / "d1" / "1.txt").write_text("somebody else's")
    with pytest.raises(StorageExistsError, match=r"dst:d1/1\.txt"):
        storage.node("src:").copy_to("dst:", if_absent=True, executor=pool)
    assert (home / "dst" / "d1" / "1.txt").read_text() == "somebody else's"


def test_a_shard_that_is_lost_again_and_again_fails_and_the_others_go_on(storage, home):
    first = []

    def lose(number):
        # The first shard, whenever it comes: its bytes are always the same.
        first.append(pool.sent[0])
        return "before" if pool.sent[number - 1] == first[0] else None

    with Couriers(lose) as pool:
        executor = ShardedExecutor(pool, max_files=40, in_flight=2, again=2)
        with pytest.raises(StorageTransferError, match="was lost, 3 times") as caught:
            storage.node("src:").copy_to("dst:", executor=executor, on_error="collect")
    report = caught.value.report
    assert 0 < report.failed <= 40
    assert report.copied + sum(each.relpath.endswith(".txt") for each in report.failures) == 300
    assert isinstance(report.failures[0].error.__cause__, Lost)
    assert len([each for each in pool.sent if each == pool.sent[0]]) == 3


def test_a_pool_that_takes_nothing_more_fails_the_rest(storage, home):
    pool = Couriers()
    pool.shutdown()
    with pytest.raises(StorageTransferError) as caught:
        storage.node("src:").copy_to("dst:", executor=pool, on_error="collect")
    report = caught.value.report
    assert report.copied == 0
    assert sum(each.relpath.endswith(".txt") for each in report.failures) == 300


def test_a_shard_that_somebody_cancels_is_handed_in_again(storage, home):
    class Cancelling(Couriers):
        def submit(self, fn, /, *args, **kwargs):
            found = super().submit(fn, *args, **kwargs)
            if len(self.sent) > 1:
                return found
            found.result()
            cancelled = Future()
            cancelled.cancel()
            return cancelled

    with Cancelling() as pool:
        report = storage.node("src:").plan_copy("dst:").apply(executor=pool)
    assert (report.copied, report.retried) == (300, 1)
    assert CancelledError.__name__ in report.retries[0].error


# -- errors ----------------------------------------------------------------------------------------


def test_an_error_travels_as_it_is_or_says_the_same():
    ours = StorageNotFoundError("m:a: not found", node="m:a")
    ours.add_note("a note")
    again = pickle.loads(pickle.dumps(portable(ours)))
    assert (type(again), str(again), again.node, again.__notes__) == (
        StorageNotFoundError,
        "m:a: not found",
        "m:a",
        ["a note"],
    )

    class OfAClient(Exception):  # noqa: N818
        def __init__(self, one, two):
            super().__init__(one)

    held = ValueError("odd")
    held.args = (lambda: 0,)
    for error in (OfAClient("text", 2), held):
        found = portable(error)
        assert type(found) is StorageIOError and type(error).__name__ in str(found)
    assert portable(KeyError("a")).args == ("a",)


def test_the_error_of_a_whole_copy_travels_with_its_report():
    failure = Failure("a", StorageNotFoundError("m:a: not found", node="m:a"))
    error = StorageTransferError(
        "m:: 1 failed", report=TransferReport(failed=1, failures=(failure,))
    )
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, StorageError)
    assert (str(again), again.report.failed, str(again.report.failures[0].error)) == (
        "m:: 1 failed",
        1,
        "m:a: not found",
    )
