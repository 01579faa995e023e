"""Moving between storages: only what has arrived goes."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import replace

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from genro_storage import StorageError, StorageManager, StorageNotEmptyError, StorageValueError
from genro_storage.backends.memory import MemoryBackend


def test_files_that_appear_while_a_tree_is_moved_are_not_lost():
    with StorageManager() as storage:
        storage.configure([{"name": name, "type": "memory"} for name in ("here", "there")])
        for number in range(300):
            storage.node(f"here:tree/{number:03}/file").write_text("old")
        written: list[str] = []
        started, stop = threading.Event(), threading.Event()

        def write_meanwhile():
            while not stop.is_set():
                name = f"tree/{len(written) % 300:03}/new-{len(written)}"
                storage.node("here", name).write_text("new")
                written.append(name)
                started.set()
                stop.wait(0.0005)

        writer = threading.Thread(target=write_meanwhile)
        writer.start()
        started.wait()
        # The directories that got new files in the end cannot be removed.
        with contextlib.suppress(StorageNotEmptyError):
            storage.node("here:tree").move_to("there:tree")
        stop.set()
        writer.join()
        lost = [
            name
            for name in written
            if not (storage.node("here", name).exists or storage.node("there", name).exists)
        ]
        assert lost == []
        assert all(storage.node(f"there:tree/{number:03}/file").exists for number in range(300))
        assert any(storage.node("here", name).exists for name in written)


def tree(node):
    return {found.path: found.read_text() for found in node.rglob("*") if found.isfile}


@pytest.fixture(params=["memory", "local"])
def place(request, tmp_path):
    with StorageManager() as storage:
        row = {"name": "m", "type": request.param}
        storage.configure([row | ({"path": tmp_path} if request.param == "local" else {})])
        yield storage.node("m:")


def test_a_directory_moved_onto_one_above_it_keeps_all_its_files(place):
    for number, path in enumerate(["sub/x", "sub/sub/x", "sub/sub/sub/x", "sub/y", "z"]):
        place.child("P", path).write_text(str(number))
    place.child("P/sub/sub/e").mkdir()
    place.child("P/sub").move_to(place.child("P"))
    assert tree(place) == {"P/x": "0", "P/sub/x": "1", "P/sub/sub/x": "2", "P/y": "3", "P/z": "4"}
    assert place.child("P/sub/e").isdir
    assert not place.child("P/sub/sub/e").exists


def test_what_a_link_at_the_destination_leads_back_to_is_not_removed(tmp_path):
    for path in ("here/d/x", "here/y", "there/z"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "there/d").symlink_to("../here/d")
    (tmp_path / "there/y").symlink_to("../here/y")
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": tmp_path}])
        storage.node("disk:here").move_to("disk:there")
        there = {info.path for info in storage.node("disk:there").rglob("*") if info.isfile}
        assert there == {"there/d/x", "there/y", "there/z"}
        assert storage.node("disk:there/d/x").read_text() == "here/d/x"
        assert storage.node("disk:there/y").read_text() == "here/y"


class Meddled(MemoryBackend):
    """Somebody writes to a file right after it has been read for a copy."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def open_read(self, path, *, version=None):
        stream = super().open_read(path, version=version)
        self.change(self, path)
        return stream

    def load(self, path):
        found = super().load(path)
        self.change(self, path)
        return found


def test_a_file_that_changes_while_it_is_moved_stays_and_is_named():
    def change(backend, path):
        if path.endswith("b"):
            backend.write_bytes(path, b"NEW")

    with StorageManager() as storage:
        storage.configure([{"name": name, "type": "memory"} for name in ("here", "there")])
        mount = replace(storage.node("here:")._mount, backend=Meddled(change))
        root = storage.node("here:")._derive("")
        root._mount = mount
        for name in ("d/a", "d/b", "d/e/b", "d/f/c"):
            mount.write_bytes(name, b"old")
        with pytest.raises(StorageError, match=r"here:d/b \(and 1 more files\): changed"):
            root.child("d").move_to("there:d")
        assert tree(root) == {"d/b": "NEW", "d/e/b": "NEW"}
        assert tree(storage.node("there:")) == dict.fromkeys(
            ["d/a", "d/b", "d/e/b", "d/f/c"], "old"
        )
        with pytest.raises(StorageError, match="here:d/b: changed"):
            root.child("d/b").move_to("there:x")
        assert root.child("d/b").read_text() == "NEW"


@pytest.fixture(params=[False, True], ids=["onto the view", "from the view"])
def two_views(request):
    """One filesystem seen twice, which the two mounts cannot know."""
    fs = MemoryFileSystem()
    fs.makedirs("/zz", exist_ok=True)
    inner = {"path": "/zz", "target_protocol": "memory"}
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "real", "type": "fsspec", "filesystem": "memory", "path": "/zz"},
                {"name": "view", "type": "fsspec", "filesystem": "dir", "options": inner},
            ]
        )
        names = ("view", "real") if request.param else ("real", "view")
        yield tuple(storage.node(f"{name}:") for name in names)
    fs.rm("/zz", recursive=True)


def test_moving_onto_itself_through_another_filesystem_object_loses_nothing(two_views):
    here, there = two_views
    written = {"d/f": "text", "d/e/g": "more", "h": "x" * 3_000_000}
    for path, text in written.items():
        here.child(path).write_text(text)
    for name in ("d", "h", "d/f"):
        here.child(name).move_to(there.child(name))
        assert tree(here) == tree(there) == written


def test_moving_beside_itself_through_another_filesystem_object_is_a_move(two_views):
    here, there = two_views
    here.child("d/f").write_text("text")
    there.child("g").write_text("TEXT")
    there.child("e/f").write_text("TEXT")
    here.child("d").move_to(there.child("e"))
    assert tree(here) == {"e/f": "text", "g": "TEXT"}
    here.child("e/f").move_to(there.child("g"))
    assert tree(here) == {"g": "text"}


def test_overlapping_moves_through_two_filesystem_objects_are_refused(two_views):
    here, there = two_views
    for path in ("a/x", "a/a/x", "x"):
        here.child(path).write_text(path)
    for source, target in (("a", ""), ("a", "a/a")):
        with pytest.raises(StorageValueError, match="overlap"):
            here.child(source).move_to(there.child(target))
    assert tree(here) == {"a/x": "a/x", "a/a/x": "a/a/x", "x": "x"}


@pytest.mark.parametrize("target", ["src/new", "src/a/b"])
def test_a_place_that_two_stores_show_is_not_moved_or_copied_into_itself_for_ever(tmp_path, target):
    inner = fsspec.filesystem("file", skip_instance_cache=True)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/f").write_bytes(b"kept")
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "a", "type": "local", "path": str(tmp_path)},
                {
                    "name": "b",
                    "type": "fsspec",
                    "filesystem": "dir",
                    "options": {"path": str(tmp_path), "fs": inner},
                },
            ]
        )
        with pytest.raises(StorageValueError, match="overlap"):
            storage.node("a:src").move_to(f"b:{target}")
        assert (tmp_path / "src/f").read_bytes() == b"kept"
        storage.node("a:src").copy_to(f"b:{target}")
        assert (tmp_path / target / "f").read_bytes() == b"kept"
        assert not list(tmp_path.glob(f"{target}/**/f"))[1:]


@pytest.mark.parametrize(
    "options", [{}, {"progress": print}, {"skip": "size"}, {"delete": True}], ids=str
)
def test_a_link_to_where_the_copy_goes_is_not_copied_for_ever(tmp_path, options):
    for name in ("x/sub", "x/y"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "x/f").write_text("f")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/g").write_text("g")
    (tmp_path / "a/l").symlink_to("../x")
    with StorageManager() as storage:
        storage.add_mount({"name": "m", "type": "local", "path": str(tmp_path)})
        storage.add_mount({"name": "y", "type": "local", "path": str(tmp_path / "x/y")})
        source = storage.node("m:a")
        for target in ("m:x/y", "y:"):
            with pytest.raises(StorageError, match=r"l: the link m:a/l leads .* leave out 'l/\*'"):
                source.copy_to(target, **options)
            assert storage.node("m:x/y/g").read_text() == "g"
            assert not storage.node("m:x/y/l").exists
        # A link beside it is one as any other.
        assert source.copy_to("m:z").child("l/sub").exists
        source.copy_to("m:x/y", **{**options, "exclude": "l/*"})
        assert sorted(os.listdir(tmp_path / "x/y")) == ["g"]


def test_a_link_to_where_the_copy_goes_is_told_also_where_nothing_is_there_yet(tmp_path):
    (tmp_path / "dst").mkdir()
    (tmp_path / "src/s").mkdir(parents=True)
    (tmp_path / "src/m").symlink_to("../dst")
    with StorageManager() as storage:
        storage.add_mount({"name": "m", "type": "local", "path": str(tmp_path)})
        for _ in range(2):
            with pytest.raises(StorageError, match=r"^m:dst/new/m: the link m:src/m leads to"):
                storage.node("m:src").copy_to("m:dst/new")
