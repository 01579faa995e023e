"""Faults of the interface: errors, identity, capabilities, configuration."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from genro_storage import StorageConfigError, StorageError, StorageManager
from genro_storage.backends import StorageBackend


def test_every_failure_is_a_storage_error_that_names_the_node(manager, mount):
    """W27: most were builtin or botocore errors; a bad local path was a ValueError."""
    manager.node(f"{mount}:d/f").write_text("x")
    missing, directory, file = (manager.node(f"{mount}:{p}") for p in ("missing", "d", "d/f"))
    for node, act in (
        (missing, lambda: missing.read_text()),
        (missing, lambda: missing.open()),
        (missing, lambda: missing.size),
        (missing, lambda: missing.mtime),
        (missing, lambda: missing.md5hash),
        (missing, lambda: missing.children()),
        (missing, lambda: missing.copy_to("other:x")),
        (missing, lambda: missing.move_to("other:x")),
        (missing, lambda: missing.unlink()),
        (missing, lambda: missing.to_base64()),
        (missing, lambda: missing.zip()),
        (missing, lambda: missing.open("r+b")),
        (directory, lambda: directory.read_bytes()),
        (directory, lambda: directory.open("wb")),
        (directory, lambda: directory.write_text("x")),
        (directory, lambda: directory.rmdir()),
        (directory, lambda: directory.unlink()),
        (directory, lambda: directory.mkdir()),
        (file, lambda: file.children()),
        (file, lambda: file.rmdir()),
        (file, lambda: file.mkdir()),
        (file, lambda: file.open("xb").close()),
        (file.child("below"), lambda: file.child("below").write_text("x")),
    ):
        with pytest.raises(StorageError) as caught:
            act()
        assert node.fullpath in str(caught.value), caught.value
        assert "/tmp" not in str(caught.value).replace(node.fullpath, ""), caught.value
    for path in ("relative", "/no/such/directory", "", 42):
        with pytest.raises(StorageConfigError, match="'x'"):
            manager.configure([{"name": "x", "type": "local", "path": path}])


def test_a_refused_request_is_not_a_missing_file(manager, mount, monkeypatch):
    """W27: errors leaked from exists, or became False."""

    def refuse(*args, **options):
        raise PermissionError("403")

    monkeypatch.setattr(type(manager._table[mount].backend), "stat", refuse)
    node = manager.node(f"{mount}:f")
    for act in (lambda: node.exists, lambda: node.isfile, lambda: node.isdir, lambda: node.size):
        with pytest.raises(StorageError, match=f"{mount}:f"):
            act()


def test_an_unhashable_node_says_what_to_use(manager):
    """W28: nodes were unhashable without a word."""
    with pytest.raises(TypeError, match="fullpath"):
        {manager.node("local:f")}
    with pytest.raises(TypeError, match="fullpath"):
        hash(manager.iternode())


def test_virtual_nodes_are_compared_by_what_they_read(manager):
    """W28: iternode(a) == iternode(b) was True for any a and b."""
    a, b, same = (manager.node(f"local:{name}") for name in ("a", "b", "same"))
    a.write_text("a")
    b.write_text("b")
    same.write_text("a")
    assert manager.iternode(a) != manager.iternode(b)
    assert manager.iternode(a) == manager.iternode(same)
    assert manager.iternode(a) == a
    assert manager.iternode(a, b) != manager.iternode(b, a)


def test_virtual_nodes_answer_like_nodes(manager):
    """W28: most members raised AttributeError or TypeError."""
    manager.node("local:f").write_text("text")
    node = manager.iternode(manager.node("local:f"), manager.node("local:f"))
    assert node.size == 8
    assert node.read_bytes() == b"texttext"
    assert node.md5hash == manager.iternode(node).md5hash
    assert node.isfile
    assert not node.isdir
    assert node.to_base64(include_uri=False) == "dGV4dHRleHQ="
    assert node.copy_to("memory:f").read_text() == "texttext"
    with node.local_path() as path:
        assert Path(path).read_text() == "texttext"
    assert (node.versions, node.version_count, node.get_metadata()) == ([], 0, {})
    assert node.url() is None
    assert node.resolved_path is None
    for member in dir(node):
        if not member.startswith("_"):
            for each in (node, manager.node()):
                try:
                    getattr(each, member)
                except StorageError:
                    continue  # said in our words


def test_the_node_of_nothing_says_so(manager):
    """W28: AttributeError on every use."""
    for act in (
        lambda n: n.read(),
        lambda n: n.size,
        lambda n: n.write("x"),
        lambda n: n.children(),
    ):
        with pytest.raises(StorageError):
            act(manager.node())


def test_the_capabilities_of_a_mount_follow_its_permissions(manager, mount):
    """W29: a read-only mount said write=True readonly=False."""
    manager.configure(
        [
            {"name": "ro", "path": f"{mount}:", "permissions": "readonly"},
            {"name": "rw", "path": f"{mount}:", "permissions": "readwrite"},
        ]
    )
    ro, rw = manager.node("ro:").capabilities, manager.node("rw:").capabilities
    assert (ro.read, ro.write, ro.delete, ro.mkdir, ro.append_mode) == (True, *[False] * 4)
    assert ro.readonly
    assert (rw.write, rw.delete, rw.readonly) == (True, False, False)
    assert manager.node("ro:f").capabilities == ro


def test_what_is_declared_works(manager, mount):
    """W29: declared capabilities failed, undeclared ones worked."""
    flags, node = manager.node(f"{mount}:").capabilities, manager.node(f"{mount}:f")
    node.write_bytes(b"x")
    if flags.append_mode:
        with node.open("ab") as handle:
            handle.write(b"y")
        assert node.read_bytes() == b"xy"
    else:
        with pytest.raises(PermissionError):
            node.open("ab")
    assert flags.public_urls == (node.url() is not None)
    assert flags.versioning == bool(node.versions)
    base64 = manager.node("b64:eA==")
    assert base64.capabilities.public_urls == (base64.url() is not None)


@pytest.mark.parametrize("name", ["x:y", "C:\\data", "a:b:c"])
def test_a_colon_in_a_path_is_an_ordinary_character(tmp_path, name):
    """W30: ':' in any path meant a relative mount."""
    (tmp_path / name).mkdir()
    storage = StorageManager()
    storage.configure([{"name": "m", "type": "local", "path": str(tmp_path / name)}])
    storage.node("m:a:b").write_text("x")
    assert (tmp_path / name / "a:b").read_text() == "x"


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "a:b", "type": "memory"},
        {"name": "", "type": "memory"},
        {"name": "m", "type": "memory", "colour": "red"},
        {"name": "m", "type": "memory", "permissions": "all"},
        {"name": 1, "type": "memory"},
        {"name": "m", "type": "memory", "protocol": "local"},
        "m",
    ],
)
def test_a_wrong_mount_is_refused_and_changes_nothing(manager, entry):
    """W30: unknown keys and odd names were accepted; a failing list left earlier mounts."""
    before = dict(manager._table)
    with pytest.raises(StorageConfigError):
        manager.configure(
            [{"name": "first", "type": "memory"}, {"name": "local", "type": "memory"}, entry]
        )
    assert manager._table == before


def test_a_root_that_fails_late_changes_nothing_either(manager, tmp_path):
    """W30: the first mounts of a list stayed when the last one failed."""
    before = dict(manager._table)
    missing = {"name": "z", "type": "local", "path": str(tmp_path / "missing")}
    with pytest.raises(StorageConfigError):
        manager.configure([{"name": "memory", "type": "memory", "base_path": "x"}, missing])
    assert manager._table == before


def test_a_path_object_is_a_path(tmp_path):
    """W30: Path was refused."""
    storage = StorageManager()
    storage.configure([{"name": "m", "type": "local", "path": tmp_path}])
    storage.node("m:f").write_text("x")


def test_memory_belongs_to_one_manager_and_survives_its_reconfiguration(manager):
    """W31: two managers' memory mounts were one store."""
    other = StorageManager()
    other.configure([{"name": "memory", "type": "memory"}])
    manager.node("memory:f").write_text("x")
    assert not other.node("memory:f").exists
    manager.configure([{"name": "memory", "type": "memory", "permissions": "readwrite"}])
    assert manager.node("memory:f").read_text() == "x"
    manager.configure([{"name": "memory2", "type": "memory"}])
    assert not manager.node("memory2:f").exists


def test_a_directory_that_was_made_is_there(manager, mount):
    """W32: mkdir did nothing on S3, and failed at the root of memory."""
    node = manager.node(f"{mount}:zz")
    node.mkdir()
    assert node.exists
    assert node.isdir
    assert node.children() == []
    assert [child.name for child in manager.node(f"{mount}:").children()] == ["zz"]


def test_progress_is_told_of_a_single_file(manager, mount):
    """W34: progress was not called for a single file."""
    manager.node(f"{mount}:f").write_text("x")
    calls = []
    manager.node(f"{mount}:f").copy_to("other:f", progress=lambda *numbers: calls.append(numbers))
    assert calls == [(1, 1)]


def test_the_failure_of_a_background_call_can_be_heard(manager, mount):
    """W34: it reached only threading.excepthook."""
    heard, told = [], threading.Event()

    def failed(error):
        heard.append(error)
        told.set()

    manager.node(f"{mount}:f").call(
        sys.executable, "-c", "raise SystemExit(3)", async_mode=True, on_error=failed
    )
    assert told.wait(30)
    assert heard[0].returncode == 3


@pytest.mark.parametrize("name", ["a#b c.txt", "100%.txt", "a?b", "a%23b", "[1].txt", "*.txt"])
def test_no_character_of_a_name_is_special(manager, mount, name):
    """W34: 'a#b c.txt' read the file 'a'."""
    manager.node(f"{mount}:a").write_text("wrong")
    manager.node(f"{mount}:x.txt").write_text("wrong")
    node = manager.node(f"{mount}:{name}")
    node.write_text("right")
    assert node.read_text() == "right"
    assert name in [child.name for child in manager.node(f"{mount}:").children()]
    node.delete()
    assert sorted(c.name for c in manager.node(f"{mount}:").children()) == ["a", "x.txt"]


def test_no_node_reaches_a_backend_but_through_its_mount(manager):
    """W29: what a mount forbids cannot be had by another way."""
    node = manager.node("local:f")
    for slot in ("_mount", "_manager", "_path", "_snapshot", "_info"):
        assert not isinstance(getattr(node, slot), StorageBackend)
