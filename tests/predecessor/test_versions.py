"""Faults around versions, on a store that keeps them."""

from __future__ import annotations

import io
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from genro_storage import StorageError, StorageNotFoundError
from tests.support.versioned import START


def write(storage, path, *contents):
    node = storage.node(f"v:{path}")
    for content in contents:
        node.write_text(content)
        storage.store.tick()
    return node


def test_a_keys_neighbours_are_not_its_versions(versioned):
    """W2: a.txt had the versions of a.txt.bak too."""
    node = write(versioned, "a.txt", "old")
    write(versioned, "a.txt.bak", "new")
    assert node.version_count == 1
    assert node.compact_versions() == 0
    assert node.version_count == 1


def test_a_write_is_not_skipped_because_a_neighbour_has_the_content(versioned):
    """W2: skip_if_unchanged returned False, because a.txt.bak held the new content."""
    node = write(versioned, "a.txt", "old")
    write(versioned, "a.txt.bak", "new")
    assert node.write_text("new", skip_if_unchanged=True) is True
    assert node.read_text() == "new"


def test_an_unchanged_write_adds_no_version(versioned):
    """W2: and only an unchanged one is skipped, compared with the current content alone."""
    node = write(versioned, "a", "one", "two")
    assert node.write_text("two", skip_if_unchanged=True) is False
    assert node.version_count == 2
    assert node.write_text("one", skip_if_unchanged=True) is True
    assert node.version_count == 3
    assert node.read_text() == "one"


def test_errors_of_listing_versions_are_raised(versioned, monkeypatch):
    """W2: errors became an empty list."""
    node = write(versioned, "a", "one")

    def fail(path):
        raise PermissionError("no")

    monkeypatch.setattr(versioned.store, "versions", fail)
    with pytest.raises(StorageError, match="v:a"):
        node.versions
    with pytest.raises(StorageError):
        node.compact_versions()


@pytest.fixture
def snapshot(versioned):
    write(versioned, "f.txt", "one", "three!")
    return versioned.node("v:f.txt", version=-2)


def test_a_snapshot_reads_as_its_version(snapshot):
    """W3: size, hash and the rest were those of the current file."""
    assert snapshot.read_text() == "one"
    assert snapshot.read_bytes() == b"one"
    assert snapshot.size == 3
    assert snapshot.stat().size == 3
    assert snapshot.mtime == START.timestamp()
    assert snapshot.ext_attributes == (START.timestamp(), 3, False)
    assert snapshot.md5hash == "f97c5d29941bfb1b2fdab0874906ab82"
    assert snapshot.to_base64(include_uri=False) == "b25l"
    with snapshot.open() as handle:
        assert handle.read() == "one"


def test_a_snapshot_is_copied_as_its_version(versioned, snapshot):
    """W3: copy_to wrote the current content."""
    versioned.configure([{"name": "ram", "type": "memory"}])
    snapshot.copy_to("ram:f")
    assert versioned.node("ram:f").read_text() == "one"
    snapshot.copy_to("v:restored")
    assert versioned.node("v:restored").read_text() == "one"


def test_a_snapshot_can_be_restored_over_the_current_file(versioned, snapshot):
    """W3: copying a version onto its own name is no copy onto itself."""
    snapshot.copy_to("v:f.txt")
    assert versioned.node("v:f.txt").read_text() == "one"
    assert versioned.node("v:f.txt").version_count == 3


def test_skipping_compares_the_snapshot_not_the_current_file(versioned, snapshot):
    """W3: skip='hash' and 'size' looked at the current file."""
    versioned.configure([{"name": "ram", "type": "memory"}])
    versioned.node("ram:f").write_text("three!")
    snapshot.copy_to("ram:f", skip="hash")
    assert versioned.node("ram:f").read_text() == "one"
    versioned.node("ram:f").write_text("three!")
    snapshot.copy_to("ram:f", skip="size")
    assert versioned.node("ram:f").read_text() == "one"


def test_the_local_path_of_a_snapshot_holds_its_version(snapshot):
    """W3: local_path held the current content."""
    with snapshot.local_path() as path:
        assert Path(path).read_text() == "one"
        assert path.endswith(".txt")
    out = snapshot.call(
        sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", snapshot,
        return_output=True,
    )  # fmt: skip
    assert out == "one\n"


def test_a_snapshot_is_compared_and_zipped_as_its_version(versioned, snapshot):
    """W3: a snapshot was equal to the current file."""
    assert snapshot != versioned.node("v:f.txt")
    write(versioned, "same", "one")
    assert snapshot == versioned.node("v:same")
    assert versioned.iternode(snapshot, snapshot).read() == "oneone"
    with zipfile.ZipFile(io.BytesIO(snapshot.zip())) as archive:
        assert archive.read("f.txt") == b"one"


@pytest.mark.parametrize(
    "act",
    [
        lambda node: node.delete(),
        lambda node: node.unlink(),
        lambda node: node.write_text("x"),
        lambda node: node.write_bytes(b"three!", skip_if_unchanged=True),
        lambda node: node.open("wb"),
        lambda node: node.open("r+b"),
        lambda node: node.touch(),
        lambda node: node.mkdir(),
        lambda node: node.move_to("v:moved"),
        lambda node: node._manager.node("v:f.txt").copy_to(node),
        lambda node: node.set_metadata({"a": "b"}),
        lambda node: node.local_path("rw"),
        lambda node: node.compact_versions(),
        lambda node: node.delete_version(0),
        lambda node: node.restore(0),
    ],
)
def test_nothing_is_changed_through_a_snapshot(versioned, snapshot, act):
    """W3: delete() on a snapshot deleted the current file."""
    before = list(versioned.store.kept)
    with pytest.raises(ValueError, match="snapshot"):
        act(snapshot)
    assert versioned.store.kept == before


def test_a_snapshot_stays_the_version_that_it_was_when_first_used(versioned, snapshot):
    """W3: an index must not slide to another version under the hands of whoever holds it."""
    assert snapshot.read_text() == "one"
    write(versioned, "f.txt", "newest")
    assert snapshot.read_text() == "one"
    assert snapshot.size == 3


def test_versions_written_in_one_second_keep_their_order(versioned):
    """W4: with equal times, 0 gave the newest and -1 the oldest."""
    node = versioned.node("v:f")
    for number in range(1, 6):
        node.write_text(f"v{number}")  # the clock stands still
    reads = [node.open(version=index).read() for index in (0, 1, -2, -1)]
    assert reads == ["v1", "v2", "v4", "v5"]
    assert [version["is_latest"] for version in node.versions] == [False] * 4 + [True]
    assert versioned.node("v:f", version=0).read_text() == "v1"


def test_a_time_picks_the_newest_version_that_is_not_newer(versioned):
    """W4: as_of with equal, earlier, naive and later times."""
    node = write(versioned, "f", "one", "two")
    assert node.open(as_of=START).read() == "one"
    assert node.open(as_of=START + timedelta(seconds=59)).read() == "one"
    assert node.open(as_of=START + timedelta(seconds=60)).read() == "two"
    assert node.open(as_of=START.replace(tzinfo=None)).read() == "one"
    with pytest.raises(StorageNotFoundError):
        node.open(as_of=START - timedelta(seconds=1))
    with pytest.raises(IndexError, match="out of range"):
        node.open(version=2)


def test_only_true_repetitions_are_compacted(versioned):
    """W2: of A A B B A, the second A and the second B go, oldest first; nothing else."""
    node = write(versioned, "f", "A", "A", "B", "B", "A")
    assert node.compact_versions(dry_run=True) == 2
    assert node.version_count == 5
    assert node.compact_versions() == 2
    assert [node.open(version=index).read() for index in range(3)] == ["A", "B", "A"]


def test_a_version_that_cannot_be_deleted_is_not_counted_as_removed(versioned):
    """W2: a removal was reported that did not happen."""
    node = write(versioned, "f", "A", "A", "A")
    versioned.store.undeletable.add(node.versions[1]["version_id"])
    with pytest.warns(RuntimeWarning, match="v:f"):
        assert node.compact_versions() == 1
    assert node.version_count == 2


def test_metadata_is_written_read_and_copied(versioned):
    """W12: set_metadata always failed, get_metadata was always empty."""
    node = write(versioned, "f", "x")
    node.set_metadata({"author": "ann", "größe": "ß"})
    assert node.get_metadata() == {"author": "ann", "größe": "ß"}
    node.copy_to("v:g")
    assert versioned.node("v:g").get_metadata() == {"author": "ann", "größe": "ß"}
    node.set_metadata({})
    assert node.get_metadata() == {}
    for wrong in (["a"], {"a": 1}, {1: "a"}):
        with pytest.raises(ValueError, match="metadata"):
            node.set_metadata(wrong)


def test_reading_an_input_writes_no_version(versioned):
    """W26: cat over a node made a second version of it."""
    node = write(versioned, "f.txt", "x")
    read = "import sys; print(open(sys.argv[1]).read())"
    assert node.call(sys.executable, "-c", read, node, return_output=True) == "x\n"
    assert node.version_count == 1


def test_a_program_reads_a_file_of_a_read_only_mount(versioned):
    """W26: call() raised StoragePermissionError for an input on a read-only mount."""
    write(versioned, "f.txt", "x")
    versioned.configure([{"name": "ro", "path": "v:", "permissions": "readonly"}])
    node = versioned.node("ro:f.txt")
    read = "import sys; print(open(sys.argv[1]).read())"
    assert node.call(sys.executable, "-c", read, node, return_output=True) == "x\n"


def copied_by(storage, act):
    storage.store.log.clear()
    act()
    return storage.store.log


@pytest.mark.parametrize("permissions", [None, "readonly", "readwrite", "delete"])
def test_a_narrowed_mount_still_copies_inside_the_store(versioned, permissions):
    """W25: any permissions or relative mount disabled the server-side copy."""
    write(versioned, "in/f", "x")
    narrow = {"name": "n", "path": "v:in"}
    versioned.configure([narrow if permissions is None else {**narrow, "permissions": permissions}])
    log = copied_by(versioned, lambda: versioned.node("n:f").copy_to("v:g"))
    assert "get" not in [verb for verb, _ in log]
    assert versioned.node("v:g").read_text() == "x"


def test_copying_again_asks_once_per_directory_and_not_per_file(versioned):
    """W24: 30 unchanged files cost 124 requests, and 171 with skip='exists'."""
    for number in range(30):
        write(versioned, f"src/{number:02}", f"content {number}")
    versioned.node("v:src").copy_to("v:dst")
    for skip in ("exists", "size", "hash"):
        log = copied_by(
            versioned, lambda skip=skip: versioned.node("v:src").copy_to("v:dst", skip=skip)
        )
        assert "put" not in [verb for verb, _ in log]
        assert len(log) < 10, log


def test_a_listed_childs_facts_cost_no_further_request(versioned):
    """W24: each child's size and type was asked for again."""
    for number in range(10):
        write(versioned, f"d/{number}", "x")
    log = copied_by(
        versioned,
        lambda: [(c.size, c.isfile, c.isdir, c.mtime) for c in versioned.node("v:d").children()],
    )
    assert len(log) <= 2, log
