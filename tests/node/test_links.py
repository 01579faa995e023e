"""Links to directories: copying follows them, moving and removing never do."""

from __future__ import annotations

import operator
import os

import pytest

from genro_storage import StorageManager, StorageNotDirectoryError
from genro_storage.paths import order_key


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
    for link in ("a-link", "sub/link"):
        assert storage.node(f"memory:moved/{link}/file.txt").read_text() == "kept"
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


@pytest.fixture
def linking_each_other(tmp_path):
    """Directories of which each has a file, and links to all others."""
    names = [f"d{number}" for number in range(8)]
    for name in names:
        (tmp_path / "each" / name).mkdir(parents=True)
        (tmp_path / "each" / name / "file").write_text(name)
        # Between a directory's name and what is in it.
        (tmp_path / "each" / name / "to-d0-").write_text(name)
        for other in names:
            if other != name:
                (tmp_path / "each" / name / f"to-{other}").symlink_to(f"../{other}")
    return names


@pytest.mark.parametrize("kind", ["local", "fsspec"])
def test_directories_that_link_each_other_do_not_multiply(tmp_path, linking_each_other, kind):
    row = {"local": {}, "fsspec": {"filesystem": "file"}}[kind]
    with StorageManager() as manager:
        manager.configure([{"name": "disk", "type": kind, "path": str(tmp_path), **row}])
        found = list(manager.node("disk:each")._mount.find("each"))
        assert len(found) < 5000
        keys = [order_key(info) for info in found]
        assert sum(map(operator.gt, keys, keys[1:])) == 0
        files = {info.path for info in found if info.type == "file"}
        for name in linking_each_other:
            assert f"each/{name}/file" in files
            assert all(
                f"each/{name}/to-{other}/file" in files
                for other in linking_each_other
                if other != name
            )


def test_a_tree_whose_directories_link_each_other_is_copied(storage, linking_each_other):
    left = []
    storage.node("disk:each").copy_to("memory:copy", on_skip=lambda node, _: left.append(node.path))
    for name in linking_each_other:
        assert storage.node(f"memory:copy/{name}/file").read_text() == name
    assert "each/d0/to-d1/to-d0" in left


def test_copying_takes_what_links_in_links_lead_to(storage, tmp_path):
    for number in range(3):
        (tmp_path / f"chain{number}").mkdir()
        (tmp_path / f"chain{number}" / "file").write_text(str(number))
    for number in range(2):
        (tmp_path / f"chain{number}" / "next").symlink_to(f"../chain{number + 1}")
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "link").symlink_to("../chain0")
    (tmp_path / "start" / "other").symlink_to("../chain0")
    storage.node("disk:start").copy_to("memory:copy")
    for link in storage.node("memory:copy").children():
        for path, text in {"file": "0", "next/file": "1", "next/next/file": "2"}.items():
            assert link.child(path).read_text() == text
