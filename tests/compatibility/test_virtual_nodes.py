"""Nodes without a place (iternode, diffnode), and zip."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from tests.support.compatibility import BOTH, write_tree


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
