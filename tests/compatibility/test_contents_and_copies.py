"""What code written for 0.4 relies on: reading, writing, copying, virtual nodes.

Where this library deviates on purpose, the decision is asserted instead and says so.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from io import BytesIO

import pytest

from genro_storage import (
    SkipStrategy,
    StorageManager,
    StorageNode,
)

BOTH = pytest.mark.parametrize("mount", ["disk", "ram"])


@pytest.fixture
def storage(tmp_path):
    root = tmp_path / "disk"
    root.mkdir()
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(root)},
            {"name": "ram", "type": "memory"},
            {"name": "b64", "type": "base64"},
        ]
    )
    return made


def write_tree(node):
    for path in ("a.py", "b.txt", "d/x.py", "d/y.txt", "__pycache__/z.pyc"):
        node.child(path).write_text(path)
    node.child("empty").mkdir()


# -- 1.5: reading and writing -----------------------------------------------------------------


@BOTH
def test_read(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_bytes("çà".encode("latin-1"))
    assert node.read("rb") == b"\xe7\xe0"
    assert node.read("r", "latin-1") == "çà"
    assert node.read(encoding="latin-1") == node.read_text("latin-1")
    with pytest.raises(ValueError, match="mode"):
        node.read("w")
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").read()
    storage.node(f"{mount}:d").mkdir()
    with pytest.raises(IsADirectoryError):
        storage.node(f"{mount}:d").read()


def test_reading_invalid_base64(storage):
    with pytest.raises(FileNotFoundError, match="cannot be empty"):
        storage.node("b64:").read()
    with pytest.raises(FileNotFoundError, match="Invalid base64"):
        storage.node("b64:!!").read()


@BOTH
def test_write(storage, mount):
    node = storage.node(f"{mount}:new/parents/f")
    assert node.write("text") is True
    assert node.write(b"bytes", "wb") is True
    assert node.read("rb") == b"bytes"
    for data, mode in (("text", "wb"), (b"bytes", "w")):
        with pytest.raises(TypeError):
            node.write(data, mode)
    with pytest.raises(ValueError, match="mode"):
        node.write("x", "a")
    with pytest.raises(TypeError):
        node.write_text(b"bytes")
    with pytest.raises(TypeError):
        node.write_bytes("text")
    assert node.read_bytes() == b"bytes"


@BOTH
def test_skip_if_unchanged(storage, mount):
    node = storage.node(f"{mount}:f")
    assert node.write("one", skip_if_unchanged=True) is True
    before = node.stat()
    assert node.write("one", skip_if_unchanged=True) is False
    assert node.stat() == before
    assert node.write_text("two", skip_if_unchanged=True) is True
    assert node.write_bytes(b"two", skip_if_unchanged=True) is False
    assert node.read() == "two"


def test_writing_through_a_snapshot(storage):
    node = storage.node("ram:f", version=-1)
    for write in (lambda: node.write("x"), lambda: node.write_bytes(b"x")):
        with pytest.raises(ValueError, match="Cannot write to versioned snapshot"):
            write()
    for mode in ("w", "wb", "a", "ab"):
        with pytest.raises(ValueError, match="Cannot write to versioned snapshot"):
            node.open(mode)
    with pytest.raises(ValueError, match="snapshot"):
        node.open("r", version=1)


@BOTH
def test_open_makes_parents_and_appends(storage, mount):
    node = storage.node(f"{mount}:new/f")
    with node.open("w") as handle:
        handle.write("one\n")
    with node.open("a") as handle:
        handle.write("two\n")
    with node.open() as handle:
        assert list(handle) == ["one\n", "two\n"]
    with node.open("rb") as handle:
        handle.seek(4)
        assert handle.read() == b"two\n"


@BOTH
def test_delete(storage, mount):
    storage.node(f"{mount}:missing").delete()
    node = storage.node(f"{mount}:d/e/f")
    node.write_text("x")
    assert storage.node(f"{mount}:d").delete() is None
    assert not node.exists
    assert not storage.node(f"{mount}:d").exists


def test_deleting_base64(storage):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:YWJj").delete()


# -- 1.5: copying -----------------------------------------------------------------------------


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


# -- 1.5: virtual nodes, zip, directories -----------------------------------------------------


def test_an_iternode_is_read_when_it_is_read(storage):
    one, two = storage.node("ram:1"), storage.node("disk:2")
    node = storage.iternode(one)
    node.append(two)
    one.write_text("a")
    two.write_text("b")
    assert (node.read(), node.read("rb")) == ("ab", b"ab")
    one.write_text("changed ")
    assert node.read() == "changed b"
    node.extend(one, two)
    assert node.read() == "changed bchanged b"
    assert (storage.iternode().read(), storage.iternode().read("rb")) == ("", b"")


def test_virtual_nodes_have_no_place(storage):
    node = storage.node("ram:f")
    node.write_text("x")
    for virtual in (storage.iternode(node), storage.diffnode(node, node), storage.node()):
        assert virtual.exists is False
        assert virtual.path is None
        assert virtual.fullpath == "None:"
        with pytest.raises(ValueError, match=r"[Cc]annot write|virtual|no path"):
            virtual.write("x")
        with pytest.raises(ValueError, match=r"[Cc]annot write|virtual|no path"):
            virtual.open("wb")
    with pytest.raises(ValueError, match="iternode"):
        storage.diffnode(node, node).append(node)
    with pytest.raises(ValueError, match="iternode"):
        storage.node().append(node)


def test_a_diffnode_is_a_unified_diff(storage):
    one, two = storage.node("ram:one"), storage.node("ram:two")
    one.write_text("a\nb\n")
    two.write_text("a\nc\n")
    diff = storage.diffnode(one, two).read()
    assert diff.splitlines()[:2] == ["--- ram:one", "+++ ram:two"]
    assert "-b" in diff
    assert "+c" in diff
    assert storage.diffnode(one, one).read() == ""


@pytest.mark.parametrize("data", [b"a\0b", b"\xff\xfe\xfa"])
def test_binary_files_have_no_diff(storage, data):
    one, two = storage.node("ram:one"), storage.node("ram:two")
    one.write_text("a")
    two.write_bytes(data)
    with pytest.raises(ValueError, match=r"[Cc]annot diff.*binary"):
        storage.diffnode(one, two).read()


def test_a_virtual_source_is_copied_by_its_content(storage):
    storage.node("ram:f").write_text("x")
    dest = storage.node("disk:g")
    assert storage.iternode(storage.node("ram:f")).copy_to(dest) is dest
    assert dest.read() == "x"


def names(data):
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return sorted(name for name in archive.namelist() if not name.endswith("/"))


@BOTH
def test_zip(storage, mount):
    write_tree(storage.node(f"{mount}:src"))
    assert names(storage.node(f"{mount}:src/a.py").zip()) == ["a.py"]
    assert names(storage.node(f"{mount}:src").zip()) == [
        *("__pycache__/z.pyc", "a.py", "b.txt", "d/x.py", "d/y.txt"),
    ]
    sources = storage.iternode(
        storage.node(f"{mount}:src/a.py"), storage.node(f"{mount}:src/d/x.py")
    )
    assert names(sources.zip()) == ["a.py", "x.py"]
    assert names(storage.iternode().zip()) == []
    with pytest.raises(ValueError, match="zip"):
        storage.diffnode(sources, sources).zip()


@BOTH
def test_children(storage, mount):
    write_tree(storage.node(f"{mount}:src"))
    children = storage.node(f"{mount}:src").children()
    assert isinstance(children, list)
    assert {child.name for child in children} == {"a.py", "b.txt", "d", "__pycache__", "empty"}
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").children()
    with pytest.raises(ValueError, match="directory"):
        storage.node(f"{mount}:src/a.py").children()


def test_base64_has_no_directories(storage):
    with pytest.raises(ValueError, match="no directory structure"):
        storage.node("b64:YWJj").children()


def test_child_joins_its_parts(storage):
    assert storage.node("ram:a").child("b", "c/d").fullpath == "ram:a/b/c/d"


@BOTH
def test_mkdir(storage, mount):
    node = storage.node(f"{mount}:d")
    assert node.mkdir() is None
    assert node.isdir
    with pytest.raises(FileExistsError):
        node.mkdir()
    node.mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:x/y").mkdir()
    storage.node(f"{mount}:x/y").mkdir(parents=True)
    assert storage.node(f"{mount}:x/y").isdir


def test_making_a_directory_in_base64(storage):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:x").mkdir()
