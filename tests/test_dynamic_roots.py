"""Roots that a function decides: once per operation, in the caller's context."""

from __future__ import annotations

import contextvars
import sys
import threading

import pytest

from genro_storage import StorageManager, StorageNotFoundError
from genro_storage.info import Attributes

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")


@pytest.fixture
def calls():
    return []


@pytest.fixture
def storage(tmp_path, calls):
    (tmp_path / "root/d/e").mkdir(parents=True)
    (tmp_path / "root/f.txt").write_text("text")
    (tmp_path / "root/d/e/g").write_text("g")

    def root():
        calls.append(threading.get_ident())
        return str(tmp_path / "root")

    made = StorageManager()
    made.configure(
        [{"name": "dyn", "type": "local", "path": root}, {"name": "ram", "type": "memory"}]
    )
    made.node("ram:src/a").write_text("a")
    made.node("ram:src/b/c").write_text("c")
    assert calls == []
    return made


def edit(node):
    with node.open("r+b") as handle:
        handle.write(b"T")


def write(node, mode):
    with node.open(mode) as handle:
        handle.write(b"x")


ONCE = {
    "exists": lambda f, d: f.exists,
    "isfile": lambda f, d: f.isfile,
    "isdir": lambda f, d: f.isdir,
    "is_file": lambda f, d: f.is_file(),
    "is_dir": lambda f, d: f.is_dir(),
    "size": lambda f, d: f.size,
    "mtime": lambda f, d: f.mtime,
    "stat": lambda f, d: f.stat(),
    "ext_attributes": lambda f, d: f.ext_attributes,
    "md5hash": lambda f, d: f.md5hash,
    "digest": lambda f, d: f.digest("sha256"),
    "resolved_path": lambda f, d: f.resolved_path,
    "fspath": lambda f, d: f.__fspath__(),
    "read": lambda f, d: f.read(),
    "read_text": lambda f, d: f.read_text(),
    "read_bytes": lambda f, d: f.read_bytes(),
    "open r": lambda f, d: f.open("rb").read(),
    "open w": lambda f, d: write(f, "wb"),
    "open a": lambda f, d: write(f, "ab"),
    "open r+": lambda f, d: edit(f),
    "open w+": lambda f, d: write(f, "w+b"),
    "open x": lambda f, d: write(d.child("new"), "xb"),
    "write": lambda f, d: f.write("x"),
    "write_bytes": lambda f, d: f.write_bytes(b"x"),
    "write if changed": lambda f, d: f.write_text("x", skip_if_unchanged=True),
    "to_base64": lambda f, d: f.to_base64(),
    "touch": lambda f, d: f.touch(),
    "touch new": lambda f, d: d.child("new").touch(),
    "unlink": lambda f, d: f.unlink(),
    "delete": lambda f, d: f.delete(),
    "delete tree": lambda f, d: d.delete(),
    "delete missing": lambda f, d: d.child("missing").delete(),
    "rmdir": lambda f, d: d.child("empty").rmdir(),
    "mkdir": lambda f, d: d.child("new").mkdir(),
    "mkdir parents": lambda f, d: d.child("x/y/z").mkdir(parents=True, exist_ok=True),
    "mkdir exist_ok": lambda f, d: d.mkdir(exist_ok=True),
    "children": lambda f, d: [(c.size, c.mtime) for c in d.children() if c.isfile],
    "iterdir": lambda f, d: list(d.iterdir()),
    "glob": lambda f, d: list(d.glob("*/*")),
    "rglob": lambda f, d: list(d.rglob("*")),
    "walk": lambda f, d: list(d.walk()),
    "zip": lambda f, d: d.zip(),
    "zip file": lambda f, d: f.zip(),
    "local_path": lambda f, d: f.local_path("rw").__enter__(),
    "call": lambda f, d: f.call(sys.executable, "-c", "pass", f),
    "get_metadata": lambda f, d: f.get_metadata(),
    "url": lambda f, d: f.url(),
    "internal_url": lambda f, d: f.internal_url(),
    "copy to ram": lambda f, d: f.copy_to("ram:x"),
    "copy from ram": lambda f, d: f._manager.node("ram:src/a").copy_to(f, skip="hash"),
    "copy tree to ram": lambda f, d: d.copy_to("ram:x"),
    "copy tree from ram": lambda f, d: f._manager.node("ram:src").copy_to(d, skip="hash"),
    "move to ram": lambda f, d: f.move_to("ram:x"),
    "move tree to ram": lambda f, d: d.move_to("ram:x"),
}

NEVER = {
    "node": lambda f, d: f._manager.node("dyn:x"),
    "names": lambda f, d: (f.name, f.stem, f.suffix, f.parent, f.parents, f.parts, f.fullpath),
    "derived": lambda f, d: (f.with_name("x"), f.with_suffix(".y"), d / "x", d.child("y")),
    "capabilities": lambda f, d: f.capabilities,
    "mimetype": lambda f, d: f.mimetype,
    "repr": lambda f, d: (repr(f), str(f), repr(f._manager), f == f._manager.node("dyn:f.txt")),
    "configure again": lambda f, d: f._manager.configure([{"name": "rel", "path": "dyn:d"}]),
}


@pytest.mark.parametrize("name", ONCE)
def test_the_function_is_asked_exactly_once_by(storage, tmp_path, calls, name):
    (tmp_path / "root/d/empty").mkdir()
    ONCE[name](storage.node("dyn:f.txt"), storage.node("dyn:d"))
    assert len(calls) == 1


@pytest.mark.parametrize("name", NEVER)
def test_the_function_is_not_asked_by(storage, calls, name):
    NEVER[name](storage.node("dyn:f.txt"), storage.node("dyn:d"))
    assert calls == []


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.node("dyn:d").copy_to("dyn:d2"),
        lambda s: s.node("dyn:d").move_to("dyn:d2"),
        lambda s: s.node("dyn:f.txt").copy_to("dyn:f2"),
        lambda s: s.node("dyn:f.txt").rename("dyn:f2"),
        lambda s: s.node("dyn:f.txt") == s.node("dyn:d/e/g"),
        lambda s: s.node("dyn:f.txt") == s.node("dyn:same.txt"),
        lambda s: s.node("dyn:f.txt").samefile("dyn:d/e/g"),
        lambda s: s.node("dyn:f.txt").copy_to("dyn:same.txt", skip="hash"),
    ],
)
def test_an_operation_with_both_sides_on_one_mount_asks_once(storage, tmp_path, calls, act):
    (tmp_path / "root/same.txt").write_text("text")
    act(storage)
    assert len(calls) == 1


def test_a_tree_is_copied_from_one_root_though_the_function_changes_its_mind(tmp_path):
    for name in ("one", "two"):
        for number in range(5):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{number}").write_text(name)
    turns = iter(["one", "two"] * 50)
    storage = StorageManager()
    storage.configure(
        [
            {"name": "dyn", "type": "local", "path": lambda: str(tmp_path / next(turns))},
            {"name": "ram", "type": "memory"},
        ]
    )
    storage.node("dyn:").copy_to("ram:copy")
    texts = {child.read_text() for child in storage.node("ram:copy").children()}
    assert texts == {"one"}


def test_context_variables_are_those_of_the_caller(tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
    storage = StorageManager()
    storage.configure([{"name": "home", "type": "local", "path": lambda: tmp_path / tenant.get()}])
    node = storage.node("home:f")

    def work(name):
        tenant.set(name)
        node.write_text(name)
        assert node.read_text() == name

    threads = [
        threading.Thread(target=contextvars.Context().run, args=(work, name))
        for name in ("ann", "bob")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: (tmp_path / name / "f").read_text() for name in ("ann", "bob")} == {
        "ann": "ann",
        "bob": "bob",
    }
    with pytest.raises(LookupError) as caught:
        node.read_text()
    assert any("home" in note for note in caught.value.__notes__)


class RefusedError(Exception):
    """An application's own error."""


@pytest.mark.parametrize("name", [*ONCE])
def test_the_functions_errors_pass_unchanged_with_a_note(tmp_path, name):
    refusal = RefusedError("not today")

    def root():
        raise refusal

    storage = StorageManager()
    storage.configure(
        [{"name": "dyn", "type": "local", "path": root}, {"name": "ram", "type": "memory"}]
    )
    storage.node("ram:src/a").write_text("a")
    with pytest.raises(RefusedError) as caught:
        ONCE[name](storage.node("dyn:f.txt"), storage.node("dyn:d"))
    assert caught.value is refusal
    assert any("'dyn'" in note for note in refusal.__notes__)


@pytest.fixture
def switched(tmp_path, calls):
    for site in ("s1", "s2"):
        (tmp_path / site).mkdir()

    def root(site):
        calls.append(site)
        return tmp_path / site

    storage = StorageManager()
    storage.configure(
        [
            {"name": "site", "type": "local", "path": root},
            {"name": "sub", "path": "site:s1/pub", "permissions": "readwrite"},
        ]
    )
    assert calls == []
    return storage


def test_a_switched_mount_gives_the_first_component_to_its_function(switched, tmp_path, calls):
    switched.node("site:s1/a/f").write_text("one")
    switched.node("site:s2/f").write_text("two")
    assert calls == ["s1", "s2"]
    assert (tmp_path / "s1/a/f").read_text() == "one"
    assert switched.node("site:s1/a/f").copy_to("site:s2/g").read_text() == "one"
    switched.node("site:s1/a").copy_to("site:s2/tree")
    assert (tmp_path / "s2/tree/f").read_text() == "one"
    switched.node("sub:f").write_text("below")
    assert (tmp_path / "s1/pub/f").read_text() == "below"
    with pytest.raises(PermissionError):
        switched.node("sub:f").delete()


def test_the_root_of_a_switched_mount_has_no_place(switched, calls):
    for act in (
        lambda: switched.node("site:").children(),
        lambda: switched.node("site:").write_text("x"),
        lambda: switched.node("site:").delete(root=True),
    ):
        with pytest.raises(OSError, match="site:"):
            act()
    assert switched.node("site:").exists and switched.node("site:").isdir
    assert calls == []


def test_files_of_several_places_are_not_written_by_one_call(switched, tmp_path):
    mount, arrived = switched.node("site:s1")._mount, []
    for directory in ("", "s1"):
        mount.write_together(directory, [("s2", b"x", Attributes())], arrived.append)
    assert arrived == []
    switched.node("sub:")._mount.write_together("d", [("f", b"x", Attributes())], arrived.append)
    assert arrived == []


def test_what_a_switch_stands_for_is_not_deleted(switched, tmp_path):
    (tmp_path / "s1/f").write_text("x")
    with pytest.raises(PermissionError):
        switched.node("site:s1").delete()
    assert (tmp_path / "s1/f").exists()


def test_nothing_exists_where_the_root_is_missing(switched, tmp_path):
    switched.configure([{"name": "dyn", "type": "local", "path": lambda: str(tmp_path / "gone")}])
    for node in (switched.node("site:gone/a"), switched.node("dyn:a")):
        assert not node.exists
        assert not node.isfile
        assert not node.isdir
    with pytest.raises(StorageNotFoundError, match="site:gone/a/b: the directory above"):
        switched.node("site:gone/a/b").mkdir()
