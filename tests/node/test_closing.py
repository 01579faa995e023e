"""A node holds the mount that it was made with: it outlives the manager's table, and says so nowhere."""

from __future__ import annotations

import zipfile

import pytest

from genro_storage import MountNotFoundError, StorageManager


def goes_on(mount):
    """A node after everything that takes its mount from the manager, and a way to read it."""
    storage = StorageManager()
    storage.configure([{"name": "old", **mount}, {"name": "inner", "path": "old:d"}])
    nodes = [storage.node("old:d/a"), storage.node("inner:a")]
    if nodes[0].capabilities.write:
        nodes[0].write_text("x")
    for leave in (lambda: storage.delete_mount("inner"), storage.close, storage.close):
        leave()
        for node in nodes:
            assert node.exists
            assert node.read_text() == "x"
            assert [child.name for child in node.parent.children()] == ["a"]
            assert node.parent.child("a") == node
    with pytest.raises(MountNotFoundError):
        storage.node("old:d/a")
    # What is used after the manager was closed is closed by whoever uses it.
    nodes[0]._mount.close()


@pytest.mark.parametrize("kind", ["local", "memory", "zip", "fsspec"])
def test_a_node_goes_on_after_its_manager_was_closed(tmp_path, kind):
    (tmp_path / "d").mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/a", "x")
    goes_on({
        "local": {"type": "local", "path": str(tmp_path)},
        "memory": {"type": "memory"},
        "zip": {"type": "zip", "file": str(tmp_path / "a.zip"), "mode": "r"},
        "fsspec": {"type": "fsspec", "filesystem": "file", "path": str(tmp_path)},
    }[kind])  # fmt: skip


@pytest.mark.services
@pytest.mark.parametrize("kind", ["s3", "gcs", "azure"])
def test_a_node_of_a_bucket_connects_anew_after_its_manager_was_closed(request, kind):
    goes_on(request.getfixturevalue(f"{kind}_mount"))
