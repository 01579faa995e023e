"""Permissions and relative mounts."""

from __future__ import annotations

import pytest

from genro_storage import StorageConfigError, StorageManager, StoragePermissionError


@pytest.fixture
def narrowed(storage):
    storage.node("disk:pub/f").write_text("x")
    storage.configure(
        [
            {"name": "ro", "path": "disk:pub", "permissions": "readonly"},
            {"name": "rw", "path": "disk:pub", "permissions": "readwrite"},
            {"name": "all", "path": "disk:pub", "permissions": "delete"},
            {"name": "plain", "path": "disk:pub"},
            {"name": "nested", "path": "plain:sub"},
            {"name": "whole", "path": "disk:"},
        ]
    )
    return storage


def test_bad_permissions():
    with pytest.raises(StorageConfigError, match="Invalid permissions"):
        StorageManager().configure([{"name": "m", "type": "memory", "permissions": "all"}])


@pytest.mark.parametrize("permissions", ["readwrite", "delete"])
def test_a_read_only_backend_cannot_be_given_more(permissions):
    with pytest.raises(StorageConfigError, match="read-only"):
        StorageManager().configure([{"name": "m", "type": "base64", "permissions": permissions}])


def test_an_unknown_parent():
    with pytest.raises(StorageConfigError, match="Parent mount 'nope' not found"):
        StorageManager().configure([{"name": "m", "path": "nope:sub"}])


def test_relative_mounts_nest_and_may_have_no_sub_path(narrowed):
    narrowed.node("nested:f").write_text("deep")
    assert narrowed.node("disk:pub/sub/f").read() == "deep"
    assert narrowed.node("whole:pub/f").read() == "x"


@pytest.mark.parametrize(
    "act",
    [
        lambda node: node.write("x"),
        lambda node: node.write_text("x"),
        lambda node: node.parent.child("new").mkdir(),
        lambda node: node.open("w"),
        lambda node: node.open("ab"),
        lambda node: node.local_path("w"),
        lambda node: node.local_path("rw"),
        lambda node: node.set_metadata({}),
        lambda node: node.delete(),
        lambda node: node._backend.delete_version("f", "1"),
        lambda node: node._manager.node("disk:pub/f").copy_to(node.parent.child("copy")),
    ],
)
def test_a_read_only_mount_refuses_to_be_changed(narrowed, act):
    with pytest.raises(PermissionError):
        act(narrowed.node("ro:f"))
    assert narrowed.node("ro:f").read() == "x"
    assert [child.name for child in narrowed.node("ro:").children()] == ["f"]


def test_denied_operations_are_storage_permission_errors(narrowed):
    for act in (
        lambda: narrowed.node("ro:f").write("x"),
        lambda: narrowed.node("ro:f").delete(),
        lambda: narrowed.node("rw:f").delete(),
        lambda: narrowed.node("rw:f").open("rb") and narrowed.node("ro:f").open("wb"),
    ):
        with pytest.raises(StoragePermissionError):
            act()


def test_what_is_always_allowed(narrowed):
    node = narrowed.node("ro:f")
    assert node.read() == "x"
    assert node.url() is None
    assert node.versions == []
    assert len(node.parent.children()) == 1
    narrowed.node("rw:f").write("y")
    narrowed.node("all:f").delete()
    assert not node.exists


def test_closing_a_child_leaves_the_parent_open(narrowed):
    narrowed._mounts["plain"].close()
    narrowed.delete_mount("plain")
    assert narrowed.node("disk:pub/f").read() == "x"
