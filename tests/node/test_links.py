"""Links to directories: copying follows them, moving and removing never do."""

from __future__ import annotations

import os

import pytest

from genro_storage import StorageManager, StorageNotDirectoryError


@pytest.fixture
def storage(tmp_path):
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "kept" / "empty").mkdir(parents=True)
    (tmp_path / "kept" / "file.txt").write_text("kept")
    (tmp_path / "tree" / "own.txt").write_text("own")
    (tmp_path / "tree" / "a-link").symlink_to("../kept")
    (tmp_path / "tree" / "sub" / "link").symlink_to("../../kept")
    with StorageManager() as manager:
        manager.configure(
            [
                {"name": "disk", "type": "local", "path": str(tmp_path)},
                {"name": "memory", "type": "memory"},
            ]
        )
        yield manager


def test_a_listing_says_what_is_a_link(storage):
    mount = storage.node("disk:")._mount
    links = [info.path for info in mount.find("tree") if info.symlink]
    assert links == ["tree/a-link", "tree/sub/link"]
    assert mount.stat("tree/a-link").symlink
    assert not mount.stat("tree").symlink


def test_moving_a_tree_to_another_storage_leaves_what_its_links_lead_to(storage, tmp_path):
    storage.node("disk:tree").move_to("memory:moved")
    assert storage.node("memory:moved/a-link/file.txt").read_text() == "kept"
    assert (tmp_path / "kept" / "file.txt").read_text() == "kept"
    assert (tmp_path / "kept" / "empty").is_dir()
    assert not (tmp_path / "tree").exists()


def test_moving_a_link_to_another_storage_removes_the_link_alone(storage, tmp_path):
    storage.node("disk:tree/a-link").move_to("memory:moved")
    assert storage.node("memory:moved/file.txt").read_text() == "kept"
    assert (tmp_path / "kept" / "file.txt").read_text() == "kept"
    assert not os.path.lexists(tmp_path / "tree" / "a-link")
    assert (tmp_path / "tree" / "own.txt").exists()


def test_a_link_to_a_directory_is_unlinked_and_no_directory_to_rmdir(storage, tmp_path):
    link = storage.node("disk:tree/a-link")
    with pytest.raises(StorageNotDirectoryError):
        link.rmdir()
    (tmp_path / "kept/empty-link").symlink_to("empty")
    with pytest.raises(StorageNotDirectoryError):
        storage.node("disk:kept/empty-link").rmdir()
    link.unlink()
    assert not os.path.lexists(tmp_path / "tree/a-link")
    assert (tmp_path / "kept/file.txt").exists()
