from __future__ import annotations

import dataclasses
import itertools
import pickle
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from genro_storage.exceptions import StorageIOError, StorageValueError
from genro_storage.info import Checksum, FileInfo
from genro_storage.paths import order_key
from genro_storage.strategy import SkipStrategy, parse_strategy
from genro_storage.transfer.planning.actions import (
    Conflict,
    CopyFile,
    Filtered,
    MakeDirectory,
    SkipFile,
)
from genro_storage.transfer.planning.filters import Filters
from genro_storage.transfer.planning.plan import plan_file, plan_tree
from genro_storage.transfer.planning.rules import decide_by

EXISTS = decide_by(SkipStrategy.EXISTS)


def listing(*names: str, root: str = "", size: int | None = 1) -> list[FileInfo]:
    """Infos in key order; a name that ends in a slash is a directory."""
    infos = []
    for name in names:
        path = f"{root}/{name}" if root else name
        if name.endswith("/"):
            infos.append(FileInfo(path[:-1], "directory"))
        else:
            infos.append(FileInfo(path, "file", size))
    return sorted(infos, key=order_key)


def kinds(actions) -> dict[str, type]:
    return {action.relpath: type(action) for action in actions}


# -- the merge ------------------------------------------------------------------------------------


def test_what_is_missing_is_copied_and_what_is_there_is_decided_on():
    actions = list(
        plan_tree(
            listing("d/", "d/a", "d/b", "e/", "f", root="src"),
            listing("d/", "d/a", "d/z", "g", root="deep/dst"),
            EXISTS,
            source_root="src",
            target_root="deep/dst",
        )
    )
    assert kinds(actions) == {
        "d/a": SkipFile,
        "d/b": CopyFile,
        "e": MakeDirectory,
        "f": CopyFile,
    }
    assert actions[0].source.path == "src/d/a"
    assert actions[0].target.path == "deep/dst/d/a"


def test_the_order_trap_of_keys_and_directories_loses_nothing():
    names = ("a-b", "a/", "a/x", "a0", "a.txt")
    assert kinds(plan_tree(listing(*names), listing(*names), EXISTS)) == dict.fromkeys(
        ("a-b", "a/x", "a0", "a.txt"), SkipFile
    )


def test_an_unlisted_target_means_copy_all():
    actions = list(plan_tree(listing("d/", "d/a", "b"), None, EXISTS))
    assert kinds(actions) == {"d": MakeDirectory, "d/a": CopyFile, "b": CopyFile}
    assert actions[0].target is None


def test_a_directory_stands_before_what_is_in_it():
    order = [a.relpath for a in plan_tree(listing("d/", "d/e/", "d/e/f", "d-"), [], EXISTS)]
    assert order.index("d") < order.index("d/e") < order.index("d/e/f")


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_listing_out_of_order_is_an_error(side):
    wrong = [FileInfo("b", "file"), FileInfo("a", "file"), FileInfo("c", "file")]
    right = listing("a", "b", "c")
    source, target = (wrong, right) if side == "source" else (right, wrong)
    with pytest.raises(StorageIOError, match=f"listing of the {side} is out of order.*'a'.*'b'"):
        list(plan_tree(source, target, EXISTS))


def test_a_directory_sorted_like_a_file_is_out_of_order():
    wrong = [FileInfo("a", "directory"), FileInfo("a/x", "file"), FileInfo("a-b", "file")]
    with pytest.raises(StorageIOError, match="out of order"):
        list(plan_tree(wrong, [], EXISTS))


def test_a_name_listed_twice_is_an_error():
    with pytest.raises(StorageIOError, match="out of order"):
        list(plan_tree([FileInfo("a", "file")] * 2, [], EXISTS))


def test_a_name_that_would_leave_the_tree_is_a_conflict():
    infos = [FileInfo("../evil", "file"), FileInfo("a..b", "file", 1)]
    evil, good = plan_tree(infos, [], EXISTS)
    assert isinstance(evil, Conflict)
    assert evil.kind == "path"
    assert isinstance(good, CopyFile)


# -- files where directories are, and the reverse ---------------------------------------------------


@pytest.mark.parametrize("between", [(), ("a-b",), ("a!", "a-", "a-b/", "a-b/c", "a.")])
def test_a_file_over_a_directory_is_a_conflict_whatever_stands_between(between):
    actions = kinds(plan_tree(listing("a", *between), listing("a/", "a/x", *between), EXISTS))
    assert actions.pop("a") is Conflict
    assert set(actions.values()) <= {SkipFile}


@pytest.mark.parametrize("between", [(), ("a-b",), ("a!", "a-", "a-b/", "a-b/c", "a.")])
def test_a_directory_over_a_file_is_one_conflict_for_all_that_is_in_it(between):
    source = listing("a/", "a/x", "a/y/", "a/y/z", "b", *between)
    actions = kinds(plan_tree(source, listing("a", *between), EXISTS))
    assert actions.pop("a") is Conflict
    assert actions.pop("b") is CopyFile
    assert not [relpath for relpath in actions if relpath.startswith("a/")]


def test_a_file_that_waits_for_its_place_is_copied_when_no_directory_comes():
    actions = list(plan_tree(listing("a", "a-b"), listing("a-", "a-b", "a-c", "a0"), EXISTS))
    assert kinds(actions) == {"a": CopyFile, "a-b": SkipFile}


def test_an_object_store_may_have_a_key_and_the_same_name_as_a_prefix():
    names = ("a", "a/", "a/x")
    assert Conflict not in kinds(plan_tree(listing(*names), listing("a"), EXISTS)).values()
    assert kinds(plan_tree(listing(*names), listing(*names), EXISTS)) == {
        "a": SkipFile,
        "a/x": SkipFile,
    }


def test_a_single_file_over_a_directory_is_a_conflict():
    action = plan_file(FileInfo("a", "file", 1), FileInfo("b", "directory"), EXISTS)
    assert isinstance(action, Conflict)
    assert action.kind == "is_directory"


# -- against a model -------------------------------------------------------------------------------

names = st.text("a-/.0", min_size=1, max_size=5).filter(
    lambda name: all(part not in ("", ".", "..") for part in name.split("/"))
)


@st.composite
def trees(draw) -> set[str]:
    """A file system as a set of keys: directories end in a slash, no name is both."""
    tree: set[str] = set()
    for name in draw(st.lists(names, max_size=12)):
        parts = name.split("/")
        parents = {"/".join(parts[:n]) for n in range(1, len(parts))}
        is_dir = draw(st.booleans())
        if parents & tree or ((name + "/" in tree) != is_dir and {name, name + "/"} & tree):
            continue
        tree |= {parent + "/" for parent in parents} | {name + "/" if is_dir else name}
    return tree


def model(source: set[str], target: set[str]) -> dict[str, type]:
    expected: dict[str, type] = {}
    dead = [key for key in source if key.endswith("/") and key[:-1] in target]
    for key in source:
        if any(key.startswith(above) and key != above for above in dead):
            continue
        relpath = key.rstrip("/")
        if key.endswith("/"):
            if relpath in target:
                expected[relpath] = Conflict
            elif key not in target:
                expected[relpath] = MakeDirectory
        elif key + "/" in target:
            expected[relpath] = Conflict
        else:
            expected[relpath] = SkipFile if key in target else CopyFile
    return expected


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine
@given(trees(), trees())
@example({"a-b", "a/", "a/x", "a0"}, {"a", "a-b", "a-b0"})
@example({"a", "a-b", "a-b-"}, {"a/", "a/x", "a-", "a-b/"})
def test_the_merge_is_the_set_model(source, target):
    actions = list(plan_tree(listing(*source), listing(*target), EXISTS))
    assert kinds(actions) == model(source, target)
    assert len(actions) == len(kinds(actions))


@given(trees(), trees())
def test_applying_a_plan_without_conflicts_gives_the_union(source, target):
    result = set(target)
    for action in plan_tree(listing(*source), listing(*target), decide_by(SkipStrategy.NEVER)):
        if isinstance(action, CopyFile):
            result.add(action.relpath)
        elif isinstance(action, MakeDirectory):
            result.add(action.relpath + "/")
        elif isinstance(action, Conflict):
            return
    assert result == source | target


def test_memory_stays_constant_whatever_the_number_of_entries():
    def many(count: int):
        for n in range(count):
            yield FileInfo(f"{n:07d}", "file", 1)

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in plan_tree(many(count), itertools.islice(many(count), 0, None, 2), EXISTS):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    assert peak(20_000) < peak(1_000) + 20_000


# -- filters and what is no regular file --------------------------------------------------------------


def test_filtered_files_are_named_and_directories_are_kept():
    actions = list(plan_tree(listing("d/", "d/a.txt"), [], EXISTS, filters=Filters("*.py")))
    assert actions == [
        MakeDirectory("d"),
        Filtered("d/a.txt", FileInfo("d/a.txt", "file", 1), "not matching include patterns"),
    ]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("link", "symbolic link that leads nowhere or out of the mount"),
        ("other", "not a regular file"),
    ],
)
def test_links_and_devices_are_skipped_with_the_reason(kind, reason):
    (action,) = plan_tree([FileInfo("x", kind)], [], EXISTS)
    assert isinstance(action, SkipFile)
    assert action.reason == reason


# -- the strategies ----------------------------------------------------------------------------------

HERE = FileInfo("s", "file", 5)
SAME_SIZE = FileInfo("t", "file", 5)
OTHER_SIZE = FileInfo("t", "file", 6)
MD5 = Checksum("md5", "0cc175b9c0f1b6a831c399e269772661")


def test_never_copies():
    assert isinstance(decide_by(SkipStrategy.NEVER)("r", HERE, SAME_SIZE), CopyFile)


def test_exists_skips_with_its_reason():
    assert EXISTS("r", HERE, OTHER_SIZE).reason == "destination exists"


def test_size_skips_the_same_size_only():
    decide = decide_by(SkipStrategy.SIZE)
    assert decide("r", HERE, SAME_SIZE) == SkipFile("r", HERE, SAME_SIZE, "same size (5 bytes)")
    assert isinstance(decide("r", HERE, OTHER_SIZE), CopyFile)


@pytest.mark.parametrize(
    ("source", "target", "side"),
    [(HERE, FileInfo("t", "file"), "destination"), (FileInfo("s", "file"), SAME_SIZE, "source")],
)
def test_an_unknown_size_is_a_conflict_and_no_reason_to_overwrite(source, target, side):
    action = decide_by(SkipStrategy.SIZE)("r", source, target)
    assert isinstance(action, Conflict)
    assert f"the {side} does not say its size" in action.message


def test_hash_skips_the_same_content_only():
    equal = decide_by(SkipStrategy.HASH, same=lambda source, target: MD5)
    assert equal("r", HERE, SAME_SIZE).reason == "same content (MD5: 0cc175b9...)"
    differing = decide_by(SkipStrategy.HASH, same=lambda source, target: None)
    assert isinstance(differing("r", HERE, SAME_SIZE), CopyFile)


def test_custom_skips_where_the_function_says_so():
    skipping = decide_by(SkipStrategy.CUSTOM, skip_fn=lambda source, target: 1)
    assert skipping("r", HERE, SAME_SIZE).reason == "custom function returned True"
    copying = decide_by(SkipStrategy.CUSTOM, skip_fn=lambda source, target: 0)
    assert isinstance(copying("r", HERE, SAME_SIZE), CopyFile)


@pytest.mark.parametrize("strategy", [SkipStrategy.SIZE, SkipStrategy.HASH, SkipStrategy.CUSTOM])
def test_a_target_that_cannot_be_read_is_not_compared(strategy):
    decide = decide_by(strategy, same=lambda s, t: None, skip_fn=lambda s, t: False)
    action = decide("r", HERE, FileInfo("t", "link"))
    assert isinstance(action, Conflict)
    assert action.kind == "incomparable"


@pytest.mark.parametrize("strategy", ["hash", "custom"])
def test_a_comparison_that_raises_is_not_swallowed(strategy):
    def broken(source, target):
        raise ZeroDivisionError

    decide = decide_by(SkipStrategy(strategy), same=broken, skip_fn=broken)
    with pytest.raises(ZeroDivisionError):
        decide("r", HERE, SAME_SIZE)


def test_a_strategy_misses_what_it_needs():
    with pytest.raises(StorageValueError, match="skip='custom' requires skip_fn"):
        decide_by(SkipStrategy.CUSTOM)
    with pytest.raises(StorageValueError, match="skip='hash' requires"):
        decide_by(SkipStrategy.HASH)


def test_strategies_equal_their_strings():
    assert SkipStrategy.HASH == "hash"
    assert [s.value for s in SkipStrategy] == ["never", "exists", "size", "mtime", "hash", "custom"]
    assert parse_strategy("size") is parse_strategy(SkipStrategy.SIZE) is SkipStrategy.SIZE


def test_an_unknown_strategy_suggests_the_nearest():
    with pytest.raises(StorageValueError, match="unknown skip strategy 'exist'; did you mean 'exi"):
        parse_strategy("exist")
    with pytest.raises(
        StorageValueError, match="use one of never, exists, size, mtime, hash, custom"
    ):
        parse_strategy("zzz")


@pytest.mark.parametrize("kind", [CopyFile, SkipFile])
def test_the_values_of_a_plan_are_what_dataclasses_are(kind):
    info = FileInfo("a", "file", 1)
    made = kind(relpath="r", source=info, target=None, reason="why")
    assert dataclasses.astuple(made)[0] == made.relpath == "r"
    assert (made.source, made.target, made.reason) == (info, None, "why")
    assert made == pickle.loads(pickle.dumps(made)) == kind("r", info, None, "why")
    assert hash(made) == hash(kind("r", info, None, "why"))
    assert made != dataclasses.replace(made, reason="another")
    assert made not in [other("r", info, None, "why") for other in {CopyFile, SkipFile} - {kind}]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.relpath = "s"
    with pytest.raises(TypeError, match=rf"{kind.__name__}\.__init__\(\) missing 1 .*'reason'"):
        kind("r", info, None)
