"""StorageManager: its life, what it keeps, and what it never gives away."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path

import pytest

from genro_storage import (
    MountNotFoundError,
    StorageConfigError,
    StorageManager,
    StoragePermissionError,
)

SECRET = "s3cr3t-pa55word"


def test_an_unknown_mount_gets_the_nearest_name():
    storage = StorageManager()
    with pytest.raises(MountNotFoundError, match="none is configured"):
        storage.node("uploads:f")
    storage.configure([{"name": "uploads", "type": "memory"}])
    with pytest.raises(MountNotFoundError, match="did you mean 'uploads'"):
        storage.node("upload:f")


def test_closing_forgets_the_mounts_and_memory(tmp_path):
    with StorageManager() as storage:
        storage.configure(
            [{"name": "m", "type": "memory"}, {"name": "d", "type": "local", "path": tmp_path}]
        )
        storage.node("m:f").write_text("x")
        storage.node("d:f").write_text("x")
    assert storage.get_mount_names() == []
    storage.configure([{"name": "m", "type": "memory"}])
    assert not storage.node("m:f").exists
    assert (tmp_path / "f").read_text() == "x"


def test_a_node_goes_on_with_the_mount_that_it_was_made_with(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    storage = StorageManager()
    storage.configure([{"name": "d", "type": "local", "path": tmp_path / "one"}])
    node = storage.node("d:f")
    storage.configure([{"name": "d", "type": "local", "path": tmp_path / "two"}])
    node.write_text("x")
    assert (tmp_path / "one/f").exists()
    assert not storage.node("d:f").exists


def test_a_relative_mount_follows_its_parent_and_survives_it(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
    storage = StorageManager()
    storage.configure(
        [{"name": "d", "type": "local", "path": tmp_path / "one"}, {"name": "r", "path": "d:sub"}]
    )
    storage.configure([{"name": "d", "type": "local", "path": tmp_path / "two"}])
    storage.delete_mount("d")
    storage.node("r:f").write_text("x")
    assert (tmp_path / "two/sub/f").exists()


def test_a_parent_that_comes_later_says_so():
    with pytest.raises(StorageConfigError, match="before"):
        StorageManager().configure(
            [{"name": "r", "path": "m:sub"}, {"name": "m", "type": "memory"}]
        )


def test_rights_only_shrink():
    storage = StorageManager()
    storage.configure(
        [
            {"name": "m", "type": "memory"},
            {"name": "ro", "path": "m:a", "permissions": "readonly"},
            {"name": "again", "path": "ro:b", "permissions": "delete"},
        ]
    )
    assert storage.node("again:").capabilities.readonly
    with pytest.raises(PermissionError):
        storage.node("again:f").write_text("x")


@pytest.fixture
def from_file(tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_TEST_SECRET", SECRET)
    (tmp_path / "files").mkdir()
    file = tmp_path / "mounts.yaml"
    file.write_text(
        "signing_key: ${STORAGE_TEST_SECRET}\n"
        "mounts:\n"
        "- {name: d, type: local, path: files}\n"
        "- name: s\n  type: fsspec\n  filesystem: memory\n  path: /pickled\n"
        "  options: {password: '${STORAGE_TEST_SECRET}'}\n"
    )
    storage = StorageManager()
    storage.configure(file)
    return storage


def test_a_pickle_holds_no_secret_of_a_file_or_the_environment(from_file):
    from_file.node("d:f").write_text("x")
    for thing in (from_file, from_file.node("s:f"), from_file.iternode(from_file.node("s:f"))):
        assert SECRET.encode() not in pickle.dumps(thing)
    loaded = pickle.loads(pickle.dumps(from_file))
    assert loaded.get_mount_names() == ["d", "s"]
    assert loaded.node("d:f").read_text() == "x"


def test_a_pickle_whose_file_has_changed_says_so(from_file, tmp_path):
    pickled = pickle.dumps(from_file)
    (tmp_path / "mounts.yaml").write_text("- {name: d, type: local, path: files}\n")
    with pytest.raises(StorageConfigError, match="'s'"):
        pickle.loads(pickled)


def test_no_repr_and_no_error_shows_a_secret(from_file):
    node = from_file.node("s:f")
    shown = [repr(from_file), repr(node), repr(node._mount), repr(from_file._table)]
    try:
        node.read_bytes()
    except FileNotFoundError as error:
        shown.append("".join(traceback.format_exception(error)))
    assert len(shown) == 5
    assert not [text for text in shown if SECRET in text]


def test_cleanup_names_an_unknown_mount_and_needs_the_right_to_delete():
    storage = StorageManager()
    storage.configure(
        [{"name": "m", "type": "memory"}, {"name": "r", "path": "m:", "permissions": "readonly"}]
    )
    assert storage.cleanup("m") == 0
    with pytest.raises(PermissionError):
        storage.cleanup("r")
    with pytest.raises(MountNotFoundError):
        storage.cleanup("x")


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "b", "type": "local", "path": "/missing-root-of-a-mount"},
        {"name": "b", "path": "nobody:x"},
    ],
    ids=["missing root", "missing parent"],
)
def test_a_configuration_that_fails_leaves_no_directory_behind(tmp_path, broken):
    wanted = {"name": "a", "type": "local", "path": str(tmp_path / "made/deep"), "create": True}
    with StorageManager() as storage, pytest.raises(StorageConfigError):
        storage.configure([wanted, broken])
    assert list(tmp_path.iterdir()) == []


def test_what_stood_before_a_failed_configuration_stays(tmp_path):
    (tmp_path / "made").mkdir()
    wanted = {"name": "a", "type": "local", "path": str(tmp_path / "made/deep"), "create": True}
    with StorageManager() as storage, pytest.raises(StorageConfigError):
        storage.configure([wanted, {"name": "b", "path": "nobody:x"}])
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_stands_below_a_mount_follows_it(tmp_path):
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "p", "type": "local", "path": str(tmp_path)},
                {"name": "child", "path": "p:sub"},
                {"name": "grandchild", "path": "child:below"},
            ]
        )
        storage.node("grandchild:a").write_text("old")
        storage.add_mount(
            {"name": "p", "type": "local", "path": str(tmp_path), "permissions": "readonly"}
        )
        for name in ("child:x", "grandchild:a"):
            with pytest.raises(StoragePermissionError):
                storage.node(name).write_text("new")
        assert storage.node("grandchild:a").read_text() == "old"
        storage.add_mount({"name": "p", "type": "memory"})
        assert not storage.node("grandchild:a").exists


def test_a_failed_configuration_leaves_no_directory_in_a_memory_mount():
    with StorageManager() as storage:
        storage.configure([{"name": "m", "type": "memory"}])
        with pytest.raises(StorageConfigError):
            storage.configure(
                [
                    {"name": "m", "type": "memory", "base_path": "ghost/x"},
                    {"name": "b", "path": "no:"},
                ]
            )
        assert storage.node("m:").children() == []


def configured(*mounts):
    storage = StorageManager()
    for group in mounts:
        storage.configure(group if isinstance(group, list) else [group])
    return storage


def test_rights_that_a_parent_has_lost_are_lost_whatever_the_order(tmp_path):
    p = {"name": "p", "type": "local", "path": str(tmp_path)}
    c, g = {"name": "c", "path": "p:sub"}, {"name": "g", "path": "c:x"}
    locked = {**p, "permissions": "readonly"}
    for storage in (
        configured({"name": "g", "type": "memory"}, p, c, g, locked),
        configured(p, c, g, [locked, g]),
    ):
        with storage:
            for name in ("p:z", "c:z", "g:z"):
                with pytest.raises(StoragePermissionError):
                    storage.node(name).write_text("x")
            again = pickle.loads(pickle.dumps(storage))
            assert sorted(again.get_mount_names()) == ["c", "g", "p"]


def test_a_parent_that_is_replaced_further_on_must_come_first(tmp_path):
    p = {"name": "p", "type": "local", "path": str(tmp_path)}
    c = {"name": "c", "path": "p:sub"}
    with configured(p, c) as storage, pytest.raises(StorageConfigError, match="before this mount"):
        storage.configure([c, {**p, "permissions": "readonly"}])


def test_no_mount_stands_below_itself(tmp_path):
    p = {"name": "p", "type": "local", "path": str(tmp_path)}
    with configured(p, {"name": "a", "path": "p:x"}, {"name": "b", "path": "a:y"}) as storage:
        for name, path in (("p", "p:sub"), ("a", "b:z")):
            with pytest.raises(StorageConfigError, match="below itself"):
                storage.add_mount({"name": name, "path": path})
        storage.node("b:f").write_text("x")
        assert (tmp_path / "x/y/f").read_text() == "x"


#: What takes the name of a mount, or of a node, in every place where one can be written.
TAKES_TEXT = {
    "fs": lambda storage, given: storage.fs(given),
    "store": lambda storage, given: storage.store(given),
    "doctor": lambda storage, given: storage.doctor(given),
    "check": lambda storage, given: storage.check("m", given),
    "cleanup": lambda storage, given: storage.cleanup(given),
    "delete_mount": lambda storage, given: storage.delete_mount(given),
    "node": lambda storage, given: storage.node(given, "a"),
    "node, its path": lambda storage, given: storage.node("m", "a", given),
}


@pytest.mark.parametrize("take", TAKES_TEXT.values(), ids=TAKES_TEXT)
def test_what_is_no_text_is_told_by_its_kind_with_what_is_wanted(take):
    with configured({"name": "m", "type": "memory"}) as storage:
        for given in (3, b"m", Path("m"), ["m"], {"secret": SECRET}, storage.node("m:x")):
            with pytest.raises(TypeError, match=rf"text, .*, not {type(given).__name__}") as caught:
                take(storage, given)
            assert SECRET not in str(caught.value)
            assert not storage.has_mount(given)
        assert storage.get_mount_names() == ["m"]


def test_no_mount_is_called_nothing_and_nothing_is_no_part_of_a_path():
    with configured({"name": "m", "type": "memory"}) as storage:
        for name, take in TAKES_TEXT.items():
            if name != "node":  # without arguments it is the node of no place
                with pytest.raises(TypeError, match=r"text, .*, not NoneType"):
                    take(storage, None)
        with pytest.raises(TypeError, match="as_posix"):
            storage.node("m", Path("a/b"))
        with pytest.raises(TypeError, match="'fullpath'"):
            storage.node(storage.node("m:a"))


def test_diffnodes_and_iternodes_take_nodes():
    with configured({"name": "m", "type": "memory"}) as storage:
        node = storage.node("m:x")
        for given in (None, "m:x", Path("x")):
            for make in (storage.iternode, lambda one: storage.diffnode(node, one)):
                with pytest.raises(TypeError, match=f"nodes, not {type(given).__name__}"):
                    make(given)


def test_nor_is_anything_but_text_below_a_node_or_a_target():
    with configured({"name": "m", "type": "memory"}) as storage:
        node = storage.node("m:x")
        for given in (None, 3, b"m", Path("x")):
            kind = type(given).__name__
            for step in (node.child, node.joinpath, lambda part: node / part, node.with_name):
                with pytest.raises(TypeError, match=f"m:x: .*text, not {kind}"):
                    step(given)
            for step in (node.copy_to, node.move_to, node.plan_copy):
                with pytest.raises(TypeError, match=f"m:x: .*text, 'mount:path', not {kind}"):
                    step(given)
