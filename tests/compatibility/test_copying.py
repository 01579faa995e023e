"""Copying and moving: filters, skip strategies, callbacks."""

from __future__ import annotations

import hashlib
import os

import pytest

from genro_storage import SkipStrategy, StorageNode
from tests.support.compatibility import BOTH, write_tree


@pytest.mark.parametrize("target", ["disk", "ram"])
@BOTH
def test_copy_to_returns_the_destination_that_was_given(storage, mount, target):
    source = storage.node(f"{mount}:f")
    source.write_text("x")
    dest = storage.node(f"{target}:new/g")
    assert source.copy_to(dest) is dest
    assert dest.read() == "x"
    by_name = source.copy_to(f"{target}:h")
    assert isinstance(by_name, StorageNode)
    assert by_name.fullpath == f"{target}:h"
    assert by_name.read() == "x"


@BOTH
def test_copying_what_is_missing(storage, mount):
    with pytest.raises(FileNotFoundError, match="Source not found"):
        storage.node(f"{mount}:missing").copy_to(f"{mount}:g")


@pytest.mark.parametrize("target", ["disk", "ram"])
@BOTH
def test_a_directory_is_copied_with_its_empty_directories(storage, mount, target):
    write_tree(storage.node(f"{mount}:src"))
    storage.node(f"{mount}:src").copy_to(f"{target}:dst")
    assert storage.node(f"{target}:dst/d/x.py").read() == "d/x.py"
    assert storage.node(f"{target}:dst/empty").isdir


def test_a_directory_is_made_though_all_its_files_are_filtered_out(storage):
    write_tree(storage.node("disk:src"))
    storage.node("disk:src").copy_to("disk:dst", include="*.nothing")
    assert storage.node("disk:dst/d").isdir
    assert not storage.node("disk:dst/a.py").exists


def test_a_local_copy_keeps_the_modification_time(storage, tmp_path):
    node = storage.node("disk:f")
    node.write_text("x")
    os.utime(tmp_path / "disk/f", (1_000_000_000.25, 1_000_000_000.25))
    assert node.copy_to("disk:g").mtime == 1_000_000_000.25


def copied(storage, **options):
    write_tree(storage.node("ram:src"))
    seen = []
    storage.node("ram:src").copy_to(
        "disk:dst", on_file=lambda node: seen.append(node.path.removeprefix("src/")), **options
    )
    return sorted(seen)


def test_a_pattern_without_a_slash_matches_at_any_depth(storage):
    assert copied(storage, include="*.py") == ["a.py", "d/x.py"]


def test_a_pattern_matches_what_is_below_a_directory(storage):
    assert "__pycache__/z.pyc" not in copied(storage, exclude="__pycache__/*")


def test_patterns_come_in_lists(storage):
    assert copied(storage, include=["*.py", "*.txt"], exclude=["d/*"]) == ["a.py", "b.txt"]


def test_a_filter_gets_the_node_and_its_path_below_the_source(storage):
    asked = []

    def wanted(node, relpath):
        assert isinstance(node, StorageNode)
        asked.append((node.fullpath, relpath))
        return node.size > 5

    assert copied(storage, include="*.py", filter=wanted) == ["d/x.py"]
    assert sorted(asked) == [("ram:src/a.py", "a.py"), ("ram:src/d/x.py", "d/x.py")]


def test_a_filter_that_raises_excludes_the_file_and_says_so(storage):
    reasons = []

    def wanted(node, relpath):
        if relpath == "b.txt":
            raise ZeroDivisionError("boom")
        return True

    write_tree(storage.node("ram:src"))
    storage.node("ram:src").copy_to(
        "disk:dst", filter=wanted, on_skip=lambda node, reason: reasons.append((node.name, reason))
    )
    assert reasons == [("b.txt", "filter error: boom")]
    assert not storage.node("disk:dst/b.txt").exists


def test_filters_are_ignored_for_a_single_file(storage):
    storage.node("ram:f.txt").write_text("x")
    storage.node("ram:f.txt").copy_to(
        "disk:f", include="*.py", exclude="*", filter=lambda *_: False
    )
    assert storage.node("disk:f").read() == "x"


@pytest.mark.parametrize("strategy", list(SkipStrategy))
def test_what_is_missing_at_the_destination_is_never_skipped(storage, strategy):
    storage.node("ram:f").write_text("x")
    storage.node("ram:f").copy_to("disk:f", skip=strategy, skip_fn=lambda *_: True)
    assert storage.node("disk:f").read() == "x"


@pytest.mark.parametrize("spelled", ["exists", SkipStrategy.EXISTS])
def test_skip_takes_a_string_or_the_strategy(storage, spelled):
    storage.node("ram:f").write_text("new")
    storage.node("disk:f").write_text("old")
    storage.node("ram:f").copy_to("disk:f", skip=spelled)
    assert storage.node("disk:f").read() == "old"


def test_custom_needs_a_function(storage):
    storage.node("ram:f").write_text("x")
    with pytest.raises(ValueError, match=r"skip='custom' requires skip_fn"):
        storage.node("ram:f").copy_to("disk:f", skip="custom")


def test_skip_fn_gets_both_nodes(storage):
    storage.node("ram:f").write_text("new")
    storage.node("disk:f").write_text("old")
    seen = []

    def skip(source, dest):
        seen.append((source.read(), dest.read()))
        return True

    storage.node("ram:f").copy_to("disk:f", skip="custom", skip_fn=skip)
    assert seen == [("new", "old")]
    assert storage.node("disk:f").read() == "old"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"skip": "exists"}, "destination exists"),
        ({"skip": "size"}, "same size (4 bytes)"),
        ({"skip": "hash"}, f"same content (MD5: {hashlib.md5(b'same').hexdigest()[:8]}...)"),
        ({"skip": "custom", "skip_fn": lambda a, b: True}, "custom function returned True"),
        ({"include": "*.py"}, "not matching include patterns"),
        ({"exclude": ["*.py", "f*"]}, "matching exclude pattern 'f*'"),
        ({"filter": lambda node, path: False}, "filtered by custom function"),
    ],
)
def test_the_reasons_for_skipping(storage, options, reason):
    storage.node("ram:src/f").write_text("same")
    storage.node("disk:dst/f").write_text("same")
    skipped = []
    storage.node("ram:src").copy_to(
        "disk:dst", on_skip=lambda node, why: skipped.append((node.fullpath, why)), **options
    )
    assert skipped == [("ram:src/f", reason)]


def test_progress_counts_every_file_that_the_filters_keep(storage):
    write_tree(storage.node("ram:src"))
    storage.node("disk:dst/a.py").write_text("there")
    calls, events = [], []
    storage.node("ram:src").copy_to(
        "disk:dst",
        include="*.py",
        skip="exists",
        progress=lambda current, total: calls.append((current, total)),
        on_skip=lambda node, reason: events.append(("skip", node.name, reason)),
        on_file=lambda node: events.append(("file", node.name)),
    )
    assert calls == [(1, 2), (2, 2)]
    filtered = [event for event in events if event[-1] == "not matching include patterns"]
    # Filtered files are reported before anything is copied.
    assert events[: len(filtered)] == filtered
    assert len(filtered) == 3
    assert events[len(filtered) :] == [("skip", "a.py", "destination exists"), ("file", "x.py")]


def test_on_file_is_called_for_a_single_file_too(storage):
    source = storage.node("ram:f")
    source.write_text("x")
    seen = []
    source.copy_to("disk:f", on_file=seen.append)
    assert [node.fullpath for node in seen] == ["ram:f"]


@pytest.mark.parametrize("target", ["disk", "ram"])
@BOTH
def test_move_to_makes_the_node_the_one_at_the_destination(storage, mount, target):
    node = storage.node(f"{mount}:f")
    node.write_text("x")
    assert node.move_to(f"{target}:new/g") is node
    assert node.fullpath == f"{target}:new/g"
    assert node.read() == "x"
    assert not storage.node(f"{mount}:f").exists
