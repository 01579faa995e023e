"""Base64, where the content is the path."""

from __future__ import annotations

import base64

import pytest


def test_blanks_in_base64_are_ignored(storage):
    assert storage.node("b64:YW Jj\nZG Vm").read() == "abcdef"


def test_writing_base64_moves_the_node(storage):
    node = storage.node("b64:")
    for text in ("one", "two, longer"):
        node.write(text)
        assert node.path == base64.b64encode(text.encode()).decode()
        assert node.read() == text


def test_copying_to_base64_moves_the_destination(storage):
    storage.node("ram:f").write_text("x")
    dest = storage.node("b64:")
    assert storage.node("ram:f").copy_to(dest) is dest
    assert dest.path == "eA=="
    assert dest.read() == "x"


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_opening_base64_for_writing_gives_a_buffer(storage, mode):
    """Decision 8: what is written is no longer thrown away, the node follows it."""
    node = storage.node("b64:YWJj")
    with node.open(mode) as handle:
        handle.write(b"new" if mode == "wb" else "new")
    assert node.read() == "new"


def test_what_must_be_absent_is_not_replaced(storage):
    node = storage.node("b64:YWJj")
    for act in (lambda: node.touch(exist_ok=False), lambda: node.open("xb")):
        with pytest.raises(FileExistsError):
            act()
    assert node.read_bytes() == b"abc"


def test_messages_show_the_beginning_of_a_long_content_and_the_node_all_of_it(storage):
    whole = "QUJD" * 300_000
    node = storage.node("b64:" + whole)
    acts = (
        node.delete,
        node.mkdir,
        node.children,
        lambda: node.open("ab"),
        lambda: node.open("?"),
        lambda: node.move_to("ram:x"),
        lambda: node.call("cat", node, shell=True),
        lambda: node.read(mode="?"),
        lambda: hash(node),
        lambda: storage.node("b64:" + whole + "!").read_bytes(),
    )
    for act in acts:
        with pytest.raises((OSError, ValueError, TypeError)) as caught:
            act()
        assert len(str(caught.value)) < 500
    with pytest.raises(OSError, match=r"b64:(QUJD){15}… \(1200000 characters\)"):
        node.mkdir()
    assert node.fullpath == str(node) == "b64:" + whole
