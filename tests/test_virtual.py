"""iternode and diffnode: ordinary read-only nodes over other nodes."""

from __future__ import annotations

import copy
import io
import pickle
import zipfile
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genro_storage import StorageManager, StorageNotFoundError
from genro_storage.backends.memory import MemoryBackend


@pytest.fixture
def storage():
    made = StorageManager()
    made.configure([{"name": "m", "type": "memory"}])
    return made


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=50), max_size=6), size=st.integers(1, 20))
def test_an_iternode_reads_as_the_join_of_its_sources(storage, contents, size):
    sources = []
    for number, content in enumerate(contents):
        node = storage.node(f"m:{number}")
        node.write_bytes(content)
        sources.append(node)
    node = storage.iternode(*sources)
    whole = b"".join(contents)
    assert node.read_bytes() == whole
    assert node.size == len(whole)
    with node.open("rb") as handle:
        assert b"".join(iter(lambda: handle.read(size), b"")) == whole


def test_a_character_is_not_cut_and_a_mark_not_doubled_at_a_seam(storage):
    for name in ("a", "b"):
        storage.node(f"m:{name}").write_text("é", encoding="utf-16")
    node = storage.iternode(storage.node("m:a"), storage.node("m:b"))
    assert node.read_text("utf-16") == "éé"


def test_a_missing_source_is_named(storage):
    node = storage.iternode(storage.node("m:missing"))
    for act in (node.read, node.read_bytes, lambda: node.size, node.zip):
        with pytest.raises(StorageNotFoundError, match="m:missing"):
            act()


def test_only_nodes_are_sources(storage):
    for wrong in ("m:a", None, b"x"):
        with pytest.raises(TypeError):
            storage.iternode(wrong)
        with pytest.raises(TypeError):
            storage.iternode().append(wrong)


def test_iternodes_nest(storage):
    storage.node("m:a").write_text("a")
    inner = storage.iternode(storage.node("m:a"), storage.node("m:a"))
    assert storage.iternode(inner, storage.node("m:a"), inner).read() == "aaaaa"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_virtual_nodes_are_copied(storage, again):
    storage.node("m:a").write_text("a\n")
    storage.node("m:b").write_text("b\n")
    a, b = storage.node("m:a"), storage.node("m:b")
    assert again(storage.iternode(a, b)).read() == "a\nb\n"
    assert again(storage.diffnode(a, b)).read() == storage.diffnode(a, b).read()


def test_virtual_nodes_are_pickled_by_reference(tmp_path):
    storage = StorageManager()
    storage.configure([{"name": "d", "type": "local", "path": str(tmp_path)}])
    (tmp_path / "f").write_text("x")
    node = pickle.loads(pickle.dumps(storage.iternode(storage.node("d:f"))))
    (tmp_path / "f").write_text("changed")
    assert node.read() == "changed"


def test_a_zip_of_an_iternode_keeps_each_source(storage):
    storage.node("m:a/x").write_text("1")
    storage.node("m:b/x").write_text("2")
    inner = storage.iternode(storage.node("m:a/x"))
    data = storage.iternode(storage.node("m:a/x"), storage.node("m:b/x"), inner).zip()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.read(name) for name in archive.namelist()) == [b"1", b"1", b"2"]


def test_a_diff_shows_a_missing_newline_and_names(storage):
    storage.node("m:a").write_text("one\n")
    storage.node("m:b").write_text("one")
    text = storage.diffnode(storage.node("m:a"), storage.node("m:b")).read()
    assert text.startswith("--- m:a\n+++ m:b\n")
    assert "-one\n" in text
    assert "+one" in text


def test_nothing_lies_below_or_beside_a_virtual_node(storage):
    node = storage.iternode()
    for act in (lambda: node.child("x"), lambda: node / "x", node.children):
        with pytest.raises(ValueError, match=r"virtual|directory"):
            act()


def test_no_node_equals_the_node_of_nothing(storage):
    storage.node("m:a").write_text("a")
    nothing = storage.node()
    assert storage.node("m:a") != nothing
    assert nothing != storage.node("m:missing")
    assert nothing == nothing  # noqa: PLR0124
    assert nothing != storage.node()
    assert storage.node("m:a") in [nothing, storage.node("m:a")]


def test_a_copy_of_an_iternode_takes_further_sources_for_itself(storage):
    storage.node("m:a").write_text("a")
    node = storage.iternode(storage.node("m:a"))
    twin = copy.copy(node)
    twin.append(storage.node("m:a"))
    assert (node.read(), twin.read()) == ("a", "aa")


class Counting(MemoryBackend):
    """Counts how often a content is read."""

    def __init__(self):
        super().__init__()
        self.reads = []

    def read_bytes(self, path, start=0, end=None, *, version=None):
        self.reads.append(path)
        return super().read_bytes(path, start, end, version=version)


@pytest.fixture
def counted(storage):
    backend = Counting()
    root = storage.node("m:")._derive("")
    root._mount = replace(root._mount, backend=backend)
    for name in ("a", "b"):
        root.child(name).write_text(f"{name}\n")
    return root, backend.reads


@pytest.mark.parametrize("kind", ["iternode", "diffnode"])
@pytest.mark.parametrize(
    ("act", "times"),
    [
        (lambda node: node.isfile, 0),
        (lambda node: node.isdir, 0),
        (lambda node: node.stat(), 0),
        (lambda node: node.md5hash, 1),
        (lambda node: node.to_base64(), 1),
        (lambda node: node.read_bytes(), 1),
        (lambda node: node.copy_to("m:copy"), 1),
    ],
)
def test_a_virtual_node_reads_its_sources_no_more_than_once(storage, counted, kind, act, times):
    root, reads = counted
    act(getattr(storage, kind)(root.child("a"), root.child("b")))
    assert sorted(reads) == ["a", "b"] * times


def test_the_size_of_an_iternode_is_the_sum_of_what_its_sources_say(storage, counted):
    root, reads = counted
    node = storage.iternode(root.child("a"), storage.iternode(root.child("b")), root.child("a"))
    assert node.size == 6
    assert reads == []
    a = root.child("a")
    a.write_text("longer than before")
    assert node.size == 38


def test_what_does_not_say_its_size_is_counted_and_copied(storage, counted):
    root, _ = counted
    diff = storage.diffnode(root.child("a"), root.child("b"))
    text = diff.read_text()
    assert (diff.stat().size, diff.size) == (None, len(text))
    both = storage.iternode(diff, root.child("a"))
    assert (both.stat().size, both.size) == (None, len(text) + 2)
    for skip in ("never", "hash", "exists"):
        assert both.copy_to("m:copy", skip=skip).read_text() == text + "a\n"


def test_a_virtual_node_over_nothing_is_no_file(storage):
    storage.node("m:d/f").write_text("x")
    missing = storage.node("m:missing")
    for node in (storage.iternode(missing), storage.diffnode(missing, storage.node("m:d/f"))):
        assert not node.isfile
        assert node != storage.node("m:d/f")
