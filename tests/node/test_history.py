"""Restoring and deleting versions, on a store that keeps them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from genro_storage import (
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
)
from tests.support.versioned import START, register_versioned


@pytest.fixture
def storage():
    register_versioned()
    with StorageManager() as manager:
        manager.configure([{"name": "v", "type": "versioned"}])
        manager.store = manager._table["v"].backend
        for text in ("one", "two", "three"):
            manager.node("v:f").write_text(text)
            manager.store.tick()
        yield manager


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"version": 0}, "one"),
        ({"version": -2}, "two"),
        ({"as_of": START}, "one"),
        ({"as_of": START + timedelta(seconds=61)}, "two"),
        ({"as_of": START.replace(tzinfo=None)}, "one"),
    ],
)
def test_a_version_is_restored_by_index_or_time(storage, arguments, expected):
    node = storage.node("v:f")
    assert node.size == 5
    storage.store.log.clear()
    node.restore(**arguments)
    assert storage.store.log == [("versions", "f"), ("put", "f")]
    assert (node.read_text(), node.size) == (expected, 3)
    assert node.version_count == 4


def test_a_version_is_restored_and_deleted_by_its_id(storage):
    node = storage.node("v:f")
    first = node.versions[0]["version_id"]
    node.restore(first)
    assert node.read_text() == "one"
    node.delete_version(first)
    assert [each["size"] for each in node.versions] == [3, 5, 3]
    node.delete_version(-1)
    assert node.read_text() == "three"


@pytest.mark.parametrize("arguments", [{}, {"version": 0, "as_of": START}])
def test_what_to_restore_is_said_once(storage, arguments):
    with pytest.raises(StorageValueError, match=r"v:f: .*version and as_of"):
        storage.node("v:f").restore(**arguments)


def test_what_there_is_not_is_not_restored(storage):
    node = storage.node("v:f")
    with pytest.raises(StorageVersionError, match="out of range"):
        node.restore(3)
    with pytest.raises(StorageVersionError, match="out of range"):
        node.delete_version(-4)
    with pytest.raises(StorageNotFoundError, match="did not exist at"):
        node.restore(as_of=START - timedelta(seconds=1))
    for step in (lambda: node.restore("none"), lambda: node.delete_version("none")):
        with pytest.raises(StorageNotFoundError, match="v:f"):
            step()
    assert node.version_count == 3


def test_rights_are_asked_before_the_storage(storage):
    storage.configure(
        [
            {"name": "ro", "path": "v:", "permissions": "readonly"},
            {"name": "rw", "path": "v:", "permissions": "readwrite"},
        ]
    )
    storage.store.log.clear()
    for step in (
        lambda: storage.node("ro:f").restore(0),
        lambda: storage.node("ro:f").delete_version(0),
        lambda: storage.node("rw:f").delete_version(0),
        lambda: storage.node("rw:f").compact_versions(),
    ):
        with pytest.raises(StoragePermissionError, match=r"r[ow]:f"):
            step()
    assert storage.store.log == []
    storage.node("rw:f").restore(0)
    assert storage.node("v:f").read_text() == "one"


def test_what_keeps_no_versions_says_so(storage):
    storage.configure([{"name": "m", "type": "memory"}])
    storage.node("m:f").write_text("x")
    for node in (storage.node("m:f"), storage.iternode(storage.node("m:f"))):
        for step in (lambda node=node: node.restore(0), lambda node=node: node.delete_version(0)):
            with pytest.raises(StorageUnsupportedError):
                step()
    assert storage.node("m:f").read_text() == "x"


@pytest.mark.parametrize("version", [True, 1.5, b"x", "", [1], {}])
def test_what_names_no_version_is_refused_before_the_storage_is_asked(storage, version):
    node = storage.node("v:f")
    storage.store.log.clear()
    for step in (
        lambda: node.open("rb", version=version),
        lambda: node.restore(version),
        lambda: node.delete_version(version),
        lambda: storage.node("v:f", version=version).read_bytes(),
        lambda: storage.node("v:f", version=version).size,
    ):
        with pytest.raises(StorageValueError, match=r"v:f: version is .*; give an index"):
            step()
    assert storage.store.log == []


def test_no_version_at_all_is_not_deleted(storage):
    with pytest.raises(StorageValueError, match="v:f: version is None"):
        storage.node("v:f").delete_version(None)


@pytest.mark.parametrize("when", ["2026", 5, START.date()])
def test_what_is_no_point_in_time_is_refused(storage, when):
    node = storage.node("v:f")
    for step in (lambda: node.open("rb", as_of=when), lambda: node.restore(as_of=when)):
        with pytest.raises(StorageValueError, match=r"v:f: as_of is .*; give a datetime"):
            step()
