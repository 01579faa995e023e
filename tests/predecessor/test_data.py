"""Faults that lost files, or gave wrong data."""

from __future__ import annotations

import io
import os
import threading
import time
import zipfile

import pytest

from genro_storage import StorageError, StorageManager
from genro_storage.exceptions import StorageConfigError


def tree(node):
    """Path below ``node`` -> content (None: a directory)."""
    found = {}
    for directory, directories, files in node.walk():
        here = directory.relative_to(node)
        for name in directories:
            found[f"{here}/{name}".lstrip("/")] = None
        for name in files:
            found[f"{here}/{name}".lstrip("/")] = directory.child(name).read_bytes()
    return found


# -- comparing --------------------------------------------------------------------------------


def test_a_skip_function_that_fails_overwrites_nothing(manager, mount):
    """W5: a skip_fn dividing by zero overwrote the destination, without a word."""
    manager.node(f"{mount}:src/f").write_text("new")
    manager.node("other:dst/f").write_text("old")
    for source, target in ((f"{mount}:src", "other:dst"), (f"{mount}:src/f", "other:dst/f")):
        with pytest.raises(ZeroDivisionError):
            manager.node(source).copy_to(target, skip="custom", skip_fn=lambda a, b: 1 / 0)
    assert manager.node("other:dst/f").read_text() == "old"


@pytest.mark.parametrize("typo", ["exist", "sizes", "", "NEVER", None, 1])
def test_an_unknown_strategy_is_an_error_and_copies_nothing(manager, mount, typo):
    """W5: skip='exist' copied everything."""
    manager.node(f"{mount}:f").write_text("new")
    manager.node("other:f").write_text("old")
    with pytest.raises(ValueError, match="skip strategy"):
        manager.node(f"{mount}:f").copy_to("other:f", skip=typo)
    assert manager.node("other:f").read_text() == "old"


def test_a_destination_that_cannot_be_read_is_not_overwritten(manager, mount, monkeypatch):
    """W5: an error while comparing counted as "different"."""
    manager.node(f"{mount}:f").write_text("new")
    manager.node("other:f").write_text("old")
    backend = type(manager._table["other"].backend)

    def fail(*args, **options):
        raise PermissionError("no")

    with monkeypatch.context() as patched:
        patched.setattr(backend, "read_bytes", fail)
        patched.setattr(backend, "open_read", fail)
        with pytest.raises(StorageError, match="other:f"):
            manager.node(f"{mount}:f").copy_to("other:f", skip="hash")
    assert manager.node("other:f").read_text() == "old"


# -- moving and copying -----------------------------------------------------------------------


@pytest.mark.parametrize("what", ["f", "d"])
def test_moving_onto_itself_loses_nothing(manager, mount, what):
    """W6: the file was gone, on memory and on disk through a relative mount."""
    manager.node(f"{mount}:sub/f").write_text("x")
    manager.node(f"{mount}:sub/d/f").write_text("y")
    manager.configure([{"name": "rel", "path": f"{mount}:sub"}])
    before = tree(manager.node(f"{mount}:"))
    for source, target in (
        (f"{mount}:sub/{what}", f"{mount}:sub/{what}"),
        (f"{mount}:sub/{what}", f"rel:{what}"),
        (f"rel:{what}", f"{mount}:sub/{what}"),
        (f"{mount}:sub/{what}", f"{mount}:./sub/./{what}"),
    ):
        manager.node(source).move_to(target)
        assert tree(manager.node(f"{mount}:")) == before, (source, target)


@pytest.mark.parametrize("what", ["f", "d"])
def test_copying_onto_itself_loses_nothing(manager, mount, what):
    """W6: the same for a copy, which could truncate what it reads."""
    manager.node(f"{mount}:sub/f").write_text("x")
    manager.node(f"{mount}:sub/d/f").write_text("y")
    manager.configure([{"name": "rel", "path": f"{mount}:sub"}])
    before = tree(manager.node(f"{mount}:"))
    for target in (f"{mount}:sub/{what}", f"rel:{what}"):
        manager.node(f"{mount}:sub/{what}").copy_to(target)
        assert tree(manager.node(f"{mount}:")) == before


def test_moving_onto_the_same_file_through_overlapping_local_mounts_loses_nothing(tmp_path):
    """W6: two mounts of one disk are one place, also through a symbolic link."""
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "d")
    storage = StorageManager()
    storage.configure(
        [
            {"name": "a", "type": "local", "path": str(tmp_path)},
            {"name": "b", "type": "local", "path": str(tmp_path / "d")},
            {"name": "c", "type": "local", "path": str(tmp_path / "link")},
            {"name": "dynamic", "type": "local", "path": lambda: str(tmp_path / "d")},
            {"name": "fs", "type": "fsspec", "filesystem": "file", "path": str(tmp_path / "d")},
        ]
    )
    (tmp_path / "d/f").write_text("x")
    for source in ("a:d/f", "b:f", "c:f", "a:link/f", "dynamic:f", "fs:f"):
        for target in ("a:d/f", "b:f", "c:f", "a:link/f", "dynamic:f", "fs:f"):
            storage.node(source).move_to(target)
            assert (tmp_path / "d/f").read_text() == "x", (source, target)


def test_moving_onto_the_same_file_through_overlapping_mounts_of_one_store_loses_nothing():
    """W6: two mounts of one fsspec store, one inside the other."""
    common = {"type": "fsspec", "filesystem": "memory"}
    storage = StorageManager()
    storage.configure(
        [
            {**common, "name": "a", "path": "/overlap"},
            {**common, "name": "b", "path": "/overlap/d"},
        ]
    )
    storage.node("a:d/f").write_text("x")
    assert storage.node("a:d/f").samefile("b:f")
    for source, target in (("a:d/f", "b:f"), ("b:f", "a:d/f")):
        storage.node(source).move_to(target)
        assert storage.node("a:d/f").read_text() == "x"
    with pytest.raises(ValueError, match="into itself"):
        storage.node("a:d").copy_to("b:sub")
    assert not storage.node("b:g").samefile("a:g")
    storage.node("a:").delete(root=True)


def test_a_move_that_may_not_delete_leaves_no_copy_behind(manager, mount):
    """W6: moving from a 'readwrite' mount raised, and left the copy."""
    manager.node(f"{mount}:sub/f").write_text("x")
    for permissions in ("readonly", "readwrite"):
        manager.configure([{"name": "p", "path": f"{mount}:sub", "permissions": permissions}])
        with pytest.raises(PermissionError, match="p:f"):
            manager.node("p:f").move_to("other:f")
        assert not manager.node("other:f").exists
    assert manager.node(f"{mount}:sub/f").read_text() == "x"


@pytest.mark.parametrize("verb", ["copy_to", "move_to"])
def test_a_directory_does_not_go_into_itself(manager, mount, verb):
    """W7: RecursionError, and 986 nested directories on disk."""
    manager.node(f"{mount}:d/f").write_text("x")
    manager.configure([{"name": "rel", "path": f"{mount}:d"}])
    before = tree(manager.node(f"{mount}:"))
    for target in (f"{mount}:d/sub", f"{mount}:d/sub/deeper", "rel:sub"):
        with pytest.raises(ValueError, match="into itself"):
            getattr(manager.node(f"{mount}:d"), verb)(target)
        assert tree(manager.node(f"{mount}:")) == before


def test_a_sibling_with_a_longer_name_is_not_inside(manager, mount):
    """W7: the check is by components, not by letters."""
    manager.node(f"{mount}:d/f").write_text("x")
    manager.node(f"{mount}:d").copy_to(f"{mount}:d2")
    assert manager.node(f"{mount}:d2/f").read_text() == "x"


def test_copying_a_directory_twice_merges(manager, mount):
    """W8: the second copy ended in dst/src on memory and S3."""
    manager.node("other:src/f").write_text("x")
    manager.node("other:src/d/g").write_text("y")
    manager.node(f"{mount}:dst/kept").write_text("kept")
    for _ in range(2):
        manager.node("other:src").copy_to(f"{mount}:dst")
        assert tree(manager.node(f"{mount}:dst")) == {
            "f": b"x",
            "d": None,
            "d/g": b"y",
            "kept": b"kept",
        }
    manager.node(f"{mount}:dst").copy_to(f"{mount}:dst2")
    manager.node(f"{mount}:dst").copy_to(f"{mount}:dst2")
    assert tree(manager.node(f"{mount}:dst2")) == tree(manager.node(f"{mount}:dst"))


def test_moving_a_directory_onto_another_merges(manager, mount):
    """W8: as copying."""
    manager.node(f"{mount}:src/f").write_text("x")
    manager.node(f"{mount}:dst/kept").write_text("kept")
    manager.node(f"{mount}:src").move_to(f"{mount}:dst")
    assert tree(manager.node(f"{mount}:")) == {"dst": None, "dst/f": b"x", "dst/kept": b"kept"}


# -- deleting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local", "fsspec-local"])
@pytest.mark.parametrize("target", ["file", "directory"])
def test_deleting_a_link_leaves_what_it_leads_to(manager, tmp_path, kind, target):
    """W9: the link's target was removed, and the link left."""
    root = tmp_path / kind
    (root / "directory").mkdir()
    (root / "directory/inner").write_text("x")
    (root / "file").write_text("x")
    (root / "link").symlink_to(root / target)
    manager.node(f"{kind}:link").delete()
    assert not os.path.lexists(root / "link")
    assert (root / "directory/inner").read_text() == (root / "file").read_text() == "x"


def test_the_root_of_a_mount_is_not_deleted_by_accident(manager, mount):
    """W9: delete() on the root removed the base directory."""
    manager.node(f"{mount}:sub/f").write_text("x")
    manager.configure([{"name": "rel", "path": f"{mount}:sub"}])
    for root in (f"{mount}:", "rel:", f"{mount}:.", f"{mount}:./."):
        with pytest.raises(PermissionError, match="root"):
            manager.node(root).delete()
        with pytest.raises(PermissionError, match="root"):
            manager.node(root).move_to("other:moved")
    assert manager.node(f"{mount}:sub/f").read_text() == "x"
    manager.node(f"{mount}:").delete(root=True)
    assert manager.node(f"{mount}:").children() == []
    manager.node(f"{mount}:again").write_text("x")


def test_one_outward_link_does_not_stop_the_work_on_a_tree(manager, tmp_path):
    """W9: one outward link made zip(), copy_to() and children() raise."""
    outside = tmp_path / "outside"
    outside.write_text("secret")
    root = tmp_path / "local"
    (root / "d").mkdir()
    (root / "d/f").write_text("x")
    (root / "d/out").symlink_to(outside)
    node = manager.node("local:d")
    assert {child.name: child.exists for child in node.children()} == {"f": True, "out": False}
    with zipfile.ZipFile(io.BytesIO(node.zip())) as archive:
        assert archive.namelist() == ["f"]
    skipped = []
    node.copy_to("memory:d", on_skip=lambda n, reason: skipped.append((n.name, reason)))
    assert tree(manager.node("memory:d")) == {"f": b"x"}
    assert [name for name, _ in skipped] == ["out"]
    node.delete()
    assert outside.read_text() == "secret"


# -- base64 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff", b"abc\xff\xff\xff\xff", b"\xfb\xef\xbe" * 5, bytes(range(256))]
)
def test_base64_paths_are_not_normalised(manager, data):
    """W10: '////' was unreadable, and 'YWJj/////w==' lost bytes silently."""
    import base64

    path = base64.b64encode(data).decode()
    assert manager.node(f"b64:{path}").read_bytes() == data
    assert manager.node("b64", path).read_bytes() == data
    assert manager.node(f"b64:{path}").path == path
    assert manager.node(f"b64:{path}").copy_to("other:f").read_bytes() == data


def test_copying_to_base64_always_moves_the_node(manager, mount):
    """W10: copying from local, and through a relative mount, left the path ''."""
    manager.node(f"{mount}:f").write_bytes(b"\xff\xff\xff")
    manager.configure([{"name": "rel64", "path": "b64:"}])
    for name in ("b64", "rel64"):
        dest = manager.node(f"{name}:")
        manager.node(f"{mount}:f").copy_to(dest)
        assert dest.path == "////"
        assert dest.read_bytes() == b"\xff\xff\xff"
        dest.write_bytes(b"abc")
        assert dest.path == "YWJj"


# -- whole or not at all ----------------------------------------------------------------------


def test_a_reader_never_sees_a_part_of_a_write(manager, mount):
    """W11: 1607 partial contents in 60 rewrites."""
    if mount == "fsspec-memory":
        pytest.skip("its capabilities say that writes are not atomic there, which is tested below")
    node = manager.node(f"{mount}:f")
    size = 2 * 1024 * 1024
    node.write_bytes(b"0" * size)
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            data = manager.node(f"{mount}:f").read_bytes()
            seen.add((len(data), len(set(data[:: 64 * 1024]))))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(40):
        with node.open("wb") as handle:
            for _ in range(4):
                handle.write(str(number % 10).encode() * (size // 4))
    stop.set()
    for reader in readers:
        reader.join()
    assert seen == {(size, 1)}


def test_an_exception_in_a_with_block_leaves_the_old_content(manager, mount):
    """W11: opening truncated the file, and leaving by an exception published a part."""
    node = manager.node(f"{mount}:d/f")
    node.write_text("old")
    for mode in ("wb", "ab", "r+b", "w+b"):
        with pytest.raises(ZeroDivisionError), node.open(mode) as handle:
            handle.write(b"half" * 100_000)
            raise ZeroDivisionError
        assert node.read_text() == "old", mode
    with pytest.raises(ZeroDivisionError), manager.node(f"{mount}:d/new").open("wb") as handle:
        handle.write(b"half")
        raise ZeroDivisionError
    assert [child.name for child in node.parent.children()] == ["f"]


# -- what others changed ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local", "fsspec-local"])
def test_what_another_program_changed_is_seen_at_once(manager, tmp_path, kind):
    """W13: a cached listing missed the new file, and gave the old size and hash."""
    root, node = tmp_path / kind, manager.node(f"{kind}:")
    (root / "a").write_text("old")
    child = manager.node(f"{kind}:a")
    assert [c.name for c in node.children()] == ["a"]
    assert (child.size, child.md5hash) == (3, "149603e6c03516362a8da23f624db945")
    (root / "a").write_text("changed")
    (root / "b").write_text("")
    assert [c.name for c in node.children()] == ["a", "b"]
    assert (child.size, child.read_text()) == (7, "changed")
    assert child.md5hash != "149603e6c03516362a8da23f624db945"
    (root / "a").unlink()
    assert not child.exists


def test_two_managers_see_each_others_changes(tmp_path):
    """W13: the same through fsspec's shared instances."""
    made = []
    for _ in range(2):
        storage = StorageManager()
        storage.configure(
            [{"name": "m", "type": "fsspec", "filesystem": "file", "path": str(tmp_path)}]
        )
        made.append(storage)
    one, two = made
    one.node("m:f").write_text("x")
    assert [c.name for c in two.node("m:").children()] == ["f"]
    two.node("m:g").write_text("y")
    assert [c.name for c in one.node("m:").children()] == ["f", "g"]


def test_a_modification_time_is_not_invented(manager, mount):
    """W14: memory said "now" at each call, others gave a datetime."""
    node = manager.node(f"{mount}:f")
    before = time.time()
    node.write_text("x")
    first = node.mtime
    time.sleep(0.02)
    assert node.mtime == first
    assert first is None or (isinstance(first, float) and abs(first - before) < 5)


def test_a_zip_keeps_the_times_of_its_files(manager, tmp_path):
    """W14: an entry of 2001 reported 2026."""
    (tmp_path / "local/f").write_text("x")
    os.utime(tmp_path / "local/f", (1_000_000_000, 1_000_000_000))
    with zipfile.ZipFile(io.BytesIO(manager.node("local:f").zip())) as archive:
        assert archive.getinfo("f").date_time[0] == 2001


def test_names_in_a_zip_are_unique(manager, mount):
    """W15: two sources of one name became one entry twice."""
    manager.node(f"{mount}:a/x.txt").write_text("one")
    manager.node(f"{mount}:b/x.txt").write_text("two")
    sources = manager.iternode(manager.node(f"{mount}:a/x.txt"), manager.node(f"{mount}:b/x.txt"))
    with zipfile.ZipFile(io.BytesIO(sources.zip())) as archive:
        names = archive.namelist()
        assert len(set(names)) == 2
        assert sorted(archive.read(name) for name in names) == [b"one", b"two"]


def test_a_stored_name_with_dots_leaves_neither_the_zip_nor_the_copy(versioned, tmp_path):
    """W15: the key dir/../evil.txt was zipped as ../evil.txt, and copied outside."""
    (tmp_path / "safe").mkdir()
    versioned.configure([{"name": "disk", "type": "local", "path": str(tmp_path / "safe")}])
    versioned.store.put("dir/../evil.txt", b"evil")
    versioned.store.put("dir/ok.txt", b"ok")
    node = versioned.node("v:dir")
    with zipfile.ZipFile(io.BytesIO(node.zip())) as archive:
        assert not any(".." in name.split("/") for name in archive.namelist())
        assert "ok.txt" in archive.namelist()
    node.copy_to("disk:in")
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == ["ok.txt"]
    assert (tmp_path / "safe/in/ok.txt").read_text() == "ok"


def test_moving_to_base64_moves_the_node_with_its_content(manager, mount):
    """W10: where the content is the path, losing the path loses the content."""
    node = manager.node(f"{mount}:f")
    node.write_bytes(b"\xff\xff\xff")
    assert node.move_to(manager.node("b64:")) is node
    assert node.fullpath == "b64:////"
    assert node.read_bytes() == b"\xff\xff\xff"
    assert not manager.node(f"{mount}:f").exists


def test_a_read_only_backend_is_refused_as_a_place_for_moves_before_anything_moves(manager, mount):
    """W6: nothing is half done where the target cannot take it."""
    manager.node(f"{mount}:d/f").write_text("x")
    with pytest.raises(StorageError):
        manager.node(f"{mount}:d").move_to("b64:")
    assert manager.node(f"{mount}:d/f").read_text() == "x"
    with pytest.raises(StorageConfigError):
        manager.configure([{"name": "x", "path": "b64:", "permissions": "delete"}])
