"""Mounts whose content is a file of another mount: finding it, circles, the order of pickling."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest

from genro_storage import (
    MountNotFoundError,
    StorageConfigError,
    StorageManager,
    StorageNotFoundError,
    StorageUnsupportedError,
)
from genro_storage.config import MountSpec
from genro_storage.places import PlaceFinder, parents_first, refuse_circles


@pytest.fixture
def storage(tmp_path):
    with StorageManager() as manager:
        manager.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        yield manager


def packed(name, file, **more):
    return {"name": name, "type": "zip", "file": file, **more}


# -- finding --------------------------------------------------------------------------------------


def finder(storage, mount="packed", later=()):
    return PlaceFinder(mount, storage._table, set(later), storage._mount)


def test_a_place_is_found_and_noted(storage, tmp_path):
    found = finder(storage)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.zip").write_bytes(b"abc")
    place = found("disk:d//./a.zip")
    assert found.used == ("disk",)
    assert place.label == "disk:d/a.zip"
    assert repr(place) == "<MountPlace disk:d/a.zip>"
    assert place.stat().size == 3
    assert place.read_bytes(1, 2) == b"b"
    assert place.local_path() == str(tmp_path / "d/a.zip")
    assert place.writable


@pytest.mark.parametrize(
    ("text", "later", "words"),
    [
        ("a.zip", (), "is no node; one is written 'mount:path'"),
        ("nowhere:a.zip", (), "the mount 'nowhere' of .* configure it first"),
        ("disk:a.zip", ("disk",), "define it before this mount"),
        ("disk:", (), "is a whole mount; name a file in it"),
        ("disk:.", (), "is a whole mount; name a file in it"),
    ],
)
def test_what_is_no_place_is_refused_with_the_fix(storage, text, later, words):
    found = finder(storage, later=later)
    with pytest.raises(StorageConfigError, match=words) as caught:
        found(text)
    assert str(caught.value).startswith("mount 'packed'")
    assert found.used == ()


def test_a_place_does_not_lead_out_of_its_mount(storage):
    with pytest.raises(StorageConfigError, match=r"mount 'packed': .*'\.\.'"):
        storage.add_mount(packed("packed", "disk:../a.zip"))
    assert not storage.has_mount("packed")


def test_a_mount_is_no_place_of_itself(storage):
    storage.add_mount(packed("packed", "disk:a.zip"))
    with pytest.raises(StorageConfigError, match=r"'packed' of 'packed:b\.zip' is not configured"):
        storage.add_mount(packed("packed", "packed:b.zip"))
    (storage.node("packed:x.txt")).write_bytes(b"still there")


# -- circles --------------------------------------------------------------------------------------


def test_a_circle_is_refused_and_nothing_changes(storage, tmp_path):
    storage.configure([packed("one", "disk:one.zip"), packed("two", "one:two.zip")])
    storage.node("two:x.txt").write_bytes(b"x")
    with pytest.raises(StorageConfigError, match="would be in a file of its own") as caught:
        storage.add_mount(packed("one", "two:one.zip"))
    assert "break the circle" in str(caught.value)
    assert storage.node("two:x.txt").read_bytes() == b"x"
    assert os.listdir(tmp_path) == ["one.zip"]


def test_a_circle_by_way_of_a_narrowed_mount_is_refused(storage):
    storage.configure(
        [packed("one", "disk:one.zip"), {"name": "part", "path": "one:sub"}],
    )
    with pytest.raises(StorageConfigError, match="would be in a file of its own"):
        storage.add_mount(packed("one", "part:one.zip"))
    storage.node("part:x.txt").write_bytes(b"x")
    assert storage.node("one:sub/x.txt").read_bytes() == b"x"


def test_a_circle_that_closes_after_a_holder_was_deleted_is_refused(storage):
    storage.configure([packed("one", "disk:one.zip"), packed("two", "one:two.zip")])
    storage.delete_mount("one")
    with pytest.raises(StorageConfigError, match="would be in a file of its own"):
        storage.add_mount(packed("one", "two:one.zip"))
    assert not storage.has_mount("one")


def test_many_archives_in_one_another_are_no_circle():
    names = [f"m{number}" for number in range(3000)]
    table = dict.fromkeys(names)
    holders = {name: (names[at - 1],) for at, name in enumerate(names) if at}
    specs = dict.fromkeys((), MountSpec)
    refuse_circles(table, specs, holders)
    assert parents_first(dict.fromkeys(reversed(names)), specs, holders) == names
    holders[names[0]] = (names[-1],)
    with pytest.raises(StorageConfigError, match="break the circle"):
        refuse_circles(table, specs, holders)


def test_two_archives_on_one_mount_are_no_circle(storage):
    storage.configure([packed("one", "disk:one.zip"), packed("two", "disk:two.zip")])
    storage.configure([packed("in_one", "one:a.zip"), packed("in_two", "two:a.zip")])
    storage.node("in_one:x.txt").write_bytes(b"1")
    storage.node("in_two:x.txt").write_bytes(b"2")
    assert storage.node("in_one:x.txt").read_bytes() == b"1"


# -- pickling -------------------------------------------------------------------------------------


def test_a_holder_is_configured_before_what_it_holds(storage, tmp_path):
    storage.configure(
        [
            packed("one", "disk:one.zip"),
            {"name": "part", "path": "one:sub"},
            packed("two", "part:two.zip"),
        ]
    )
    storage.node("two:x.txt").write_bytes(b"x")
    # Made anew, it stands behind those that need it.
    storage.delete_mount("disk")
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    assert storage.get_mount_names()[-1] == "disk"
    with pickle.loads(pickle.dumps(storage)) as again:
        assert again.node("two:x.txt").read_bytes() == b"x"
        names = again.get_mount_names()
        assert sorted(names, key=["disk", "one", "part", "two"].index) == names


def test_unpickling_without_the_holder_says_what_is_missing(storage):
    storage.add_mount(packed("one", "disk:one.zip"))
    storage.delete_mount("disk")
    data = pickle.dumps(storage)
    with pytest.raises(StorageConfigError, match=r"'disk' of 'disk:one\.zip' is not configured"):
        pickle.loads(data)


# -- a holder that changes ------------------------------------------------------------------------


def test_a_deleted_holder_is_said_and_found_again(storage, tmp_path):
    storage.add_mount(packed("one", "disk:one.zip"))
    node = storage.node("one:x.txt")
    node.write_bytes(b"x")
    storage.delete_mount("disk")
    for step in (node.read_bytes, lambda: node.write_bytes(b"y"), node.open):
        with pytest.raises(StorageNotFoundError, match="'disk'"):
            step()
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    assert node.read_bytes() == b"x"


def test_a_holder_that_became_read_only_makes_the_archive_so(storage, tmp_path):
    storage.add_mount(packed("one", "disk:one.zip"))
    node = storage.node("one:x.txt")
    node.write_bytes(b"x")
    storage.configure(
        [{"name": "disk", "type": "local", "path": str(tmp_path), "permissions": "readonly"}]
    )
    assert not node.capabilities.write
    with pytest.raises(StorageUnsupportedError):
        node.write_bytes(b"y")
    assert node.read_bytes() == b"x"


def test_a_holder_replaced_in_the_middle_of_a_write_gets_no_foreign_entries(
    storage, tmp_path, monkeypatch
):
    # What was read from one archive must not be written over another one.
    (tmp_path / "other").mkdir()
    storage.add_mount(packed("one", "disk:a.zip"))
    storage.node("one:old.txt").write_bytes(b"old")
    with zipfile.ZipFile(tmp_path / "other/a.zip", "w") as archive:
        archive.writestr("theirs.txt", "theirs")
    from genro_storage.backends.archives.zip import ZipBackend

    compose = ZipBackend._compose

    def replaced(self, *args):
        monkeypatch.setattr(ZipBackend, "_compose", compose)
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path / "other")})
        compose(self, *args)

    monkeypatch.setattr(ZipBackend, "_compose", replaced)
    storage.node("one:new.txt").write_bytes(b"new")
    with zipfile.ZipFile(tmp_path / "other/a.zip") as archive:
        assert sorted(archive.namelist()) == ["new.txt", "theirs.txt"]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["old.txt"]


def test_checking_says_that_the_holder_is_gone(storage):
    storage.add_mount(packed("one", "disk:one.zip"))
    storage.delete_mount("disk")
    (health,) = storage.check("one")
    assert not health.ok
    assert "'disk'" in health.reason
    with pytest.raises(MountNotFoundError):
        storage.check("disk")
