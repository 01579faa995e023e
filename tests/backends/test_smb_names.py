"""Names on shares: what is refused, what differs in case only, what a link of the server hides."""

from __future__ import annotations

import os
import uuid

import pytest

from genro_storage import (
    StorageError,
    StorageManager,
    StorageNotEmptyError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageValueError,
)

pytestmark = pytest.mark.services

_REFUSED = (
    "a?", "a*", 'a"', "a<", "a>", "a|", "a:b", "a:stream:$DATA", "a\\b", "a\n", "a\x01", "a\x1f",
    "a.", "a ", "...", "CON", "con", "con.txt", "Nul", "AUX.tar.gz", "COM1", "LPT9.log", "PRN .x",
    "\ud800", "n" * 256, "\U0001f600" * 128,
)  # fmt: skip
_HELD = (
    "CONSOLE", "COM10", "COM0", "nul-1", ".con", "a.con", "CLOCK$", "a\x7f", "~1", "ABC~1.TXT",
    "n" * 255, "\u00fc" * 127, "%3F", "a.b.c", ".hidden", "a..b", "x ..y",
)  # fmt: skip


@pytest.fixture
def place(samba):
    """A fresh directory of the server."""
    path = samba.data / f"names-{uuid.uuid4().hex}"
    path.mkdir()
    return path


@pytest.fixture
def root(samba, place):
    """The root of a mount of it."""
    with StorageManager() as manager:
        manager.add_mount({"name": "mine", **samba.mount(path=place.name)})
        yield manager.node("mine:")


# -- names that cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize("name", _REFUSED, ids=ascii)
def test_a_name_that_no_share_can_hold_is_refused_before_anything_is_made(root, place, name):
    (root / "there.txt").write_bytes(b"x")
    steps = (
        lambda: (root / name).write_bytes(b"x"),
        lambda: (root / "deep/er" / name).write_bytes(b"x"),
        lambda: (root / name / "f.txt").write_bytes(b"x"),
        lambda: (root / name).open("wb").close(),
        lambda: (root / name).open("ab").close(),
        lambda: (root / name).mkdir(),
        lambda: (root / "there.txt").move_to(root / "deep" / name),
        lambda: (root / "there.txt").copy_to(root / "deep" / name),
    )
    for step in steps:
        with pytest.raises(StorageValueError):
            step()
    assert os.listdir(place) == ["there.txt"]


@pytest.mark.parametrize("name", ["a?", "a:b", "a\\b", "n" * 256], ids=ascii)
def test_a_name_that_cannot_be_is_not_there(root, name):
    assert not (root / name).exists
    with pytest.raises(StorageNotFoundError):
        (root / name).read_bytes()
    with pytest.raises(StorageNotFoundError):
        (root / name).children()


@pytest.mark.parametrize("name", _HELD, ids=ascii)
def test_a_name_that_looks_odd_is_held(root, place, name):
    (root / name).write_bytes(b"x")
    assert os.listdir(place) == [name]
    assert [child.name for child in root.children()] == [name]
    assert (root / name).read_bytes() == b"x"


def test_what_the_server_calls_differently_can_be_read_and_removed(root, place):
    # Made on the server itself; Samba lists these under invented names.
    for number, name in enumerate(("what?.txt", "dot.", "CON", "colon:x")):
        (place / name).write_bytes(str(number).encode())
    children = root.children()
    assert {child.read_bytes() for child in children} == {b"0", b"1", b"2", b"3"}
    for child in children:
        child.delete()
    assert os.listdir(place) == []


# -- upper and lower case -------------------------------------------------------------------------


def test_a_file_is_found_in_any_case(root):
    (root / "Dir/File.txt").write_bytes(b"x")
    assert (root / "dIR/fILE.TXT").read_bytes() == b"x"
    assert [child.name for child in root.children()] == ["Dir"]
    (root / "DIR/FILE.TXT").write_bytes(b"y")
    assert [child.name for child in (root / "dir").children()] == ["File.txt"]
    assert (root / "Dir/File.txt").read_bytes() == b"y"


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_name_can_be_given_another_case(root, place, kind):
    here = root / "name"
    if kind == "file":
        here.write_bytes(b"x")
    else:
        (here / "f.txt").write_bytes(b"x")
    for name in ("NAME", "Name", "name"):
        here.move_to(root / name)
        assert os.listdir(place) == [name]
        found = root / name if kind == "file" else root / name / "f.txt"
        assert found.read_bytes() == b"x"


def test_a_copy_onto_another_case_of_itself_loses_nothing(root, place):
    (root / "a.txt").write_bytes(b"x")
    (root / "a.txt").copy_to(root / "A.TXT")
    assert len(os.listdir(place)) == 1
    assert (root / "a.txt").read_bytes() == b"x"


def test_creating_refuses_another_case_too(root):
    (root / "a.txt").write_bytes(b"x")
    for step in ((lambda: (root / "A.txt").open("xb").close()), (root / "A.TXT").mkdir):
        with pytest.raises(FileExistsError):
            step()
    assert (root / "a.txt").read_bytes() == b"x"


# -- links ----------------------------------------------------------------------------------------


@pytest.fixture
def linked(samba, root, place):
    """A tree with every kind of link that the server follows."""
    for path in ("kept/deep/f.txt", "d/e/g.txt", "d/v1/h.txt"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(path.encode())
    outside = samba.directory / f"outside-{place.name}"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    links = {
        "d/file": "../kept/deep/f.txt",
        "d/aside": "../kept",
        "d/up": "..",
        "d/e/top": "../..",
        "d/self": ".",
        "d/out": str(outside),
        "d/out.txt": str(outside / "secret.txt"),
        "d/nowhere": "missing",
    }
    for name, target in links.items():
        (place / name).symlink_to(target)
    return outside


def test_a_link_that_leads_out_is_not_followed(root, linked):
    for path in ("d/out", "d/out/secret.txt", "d/out.txt"):
        node = root / path
        with pytest.raises((StorageNotFoundError, StoragePermissionError)):
            node.read_bytes()
        with pytest.raises(StorageError):
            (root / "d/out/new.txt").write_bytes(b"x")
    assert os.listdir(linked) == ["secret.txt"]


def test_a_walk_does_not_go_in_circles(root, linked):
    found = {info.path: info.type for info in root._mount.find("")}
    assert found == {
        "d": "directory",
        "d/aside": "directory",
        "d/aside/deep": "directory",
        "d/aside/deep/f.txt": "file",
        "d/e": "directory",
        "d/e/g.txt": "file",
        "d/e/top": "link",
        "d/file": "file",
        "d/self": "link",
        "d/up": "link",
        "d/v1": "directory",
        "d/v1/h.txt": "file",
        "kept": "directory",
        "kept/deep": "directory",
        "kept/deep/f.txt": "file",
    }


def test_removing_a_tree_does_not_empty_what_a_link_leads_to(root, place, linked):
    for path in ("d/aside", "d/up", "d/e/top", "d/self", "d"):
        with pytest.raises(StoragePermissionError, match="symbolic link"):
            (root / path).delete()
        assert (place / "kept/deep/f.txt").read_bytes() == b"kept/deep/f.txt"
    for name in ("aside", "up", "self", "e/top"):
        if (place / "d" / name).is_symlink():
            (place / "d" / name).unlink()
    # Of the links that lead out, or nowhere, Samba shows nothing, and removes none.
    with pytest.raises(StorageNotEmptyError, match="does not show"):
        (root / "d").delete()
    for name in ("out", "out.txt", "nowhere"):
        (place / "d" / name).unlink()
    (root / "d").delete()
    assert os.listdir(place) == ["kept"]
    assert (linked / "secret.txt").read_bytes() == b"secret"


def test_a_link_to_a_file_or_an_empty_directory_goes_alone(root, place):
    (place / "real.txt").write_bytes(b"x")
    (place / "empty").mkdir()
    (place / "d").mkdir()
    (place / "d/link.txt").symlink_to("../real.txt")
    (place / "d/link").symlink_to("../empty")
    (root / "d/link.txt").delete()
    (root / "d/link").delete()
    assert sorted(os.listdir(place)) == ["d", "empty", "real.txt"]
    assert os.listdir(place / "d") == []


def test_a_link_beside_what_it_leads_to_cannot_be_told_from_it(root, place):
    (place / "v1").mkdir()
    (place / "v1/f.txt").write_bytes(b"x")
    (place / "current").symlink_to("v1")
    for name, other in (("v1", "current"), ("current", "v1")):
        with pytest.raises(StoragePermissionError, match=f"'{other}'"):
            (root / name).delete()
    assert (root / "current/f.txt").read_bytes() == b"x"
    # With what is above them both go, and it does not matter which is which.
    (root / "up/v1/f.txt").write_bytes(b"x")
    (place / "up/current").symlink_to("v1")
    (root / "up").delete()
    assert sorted(os.listdir(place)) == ["current", "v1"]


def test_replacing_a_link_leaves_what_it_led_to(root, place):
    (place / "real.txt").write_bytes(b"real")
    (place / "link.txt").symlink_to("real.txt")
    assert (root / "link.txt").read_bytes() == b"real"
    (root / "link.txt").write_bytes(b"new")
    assert (root / "link.txt").read_bytes() == b"new"
    assert (place / "real.txt").read_bytes() in (b"real", b"new")


# -- distributed file systems ---------------------------------------------------------------------


def test_a_root_of_a_distributed_file_system_works_and_its_links_are_explained(samba, place):
    (place / "there").symlink_to("msdfs:127.0.0.1\\share")
    with StorageManager() as manager:
        manager.add_mount({"name": "dfs", **samba.mount(share="dfs", path=place.name)})
        node = manager.node("dfs:d/a.txt")
        for data in (b"one", b"two"):
            node.write_bytes(data)
            assert node.read_bytes() == data
        node.copy_to("dfs:d/b.txt").move_to("dfs:d/c.txt")
        assert sorted(child.name for child in manager.node("dfs:d").children()) == [
            "a.txt",
            "c.txt",
        ]
        with pytest.raises(StoragePermissionError, match="DFS"):
            manager.node("dfs:there/x").read_bytes()
