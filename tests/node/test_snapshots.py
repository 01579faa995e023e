"""A snapshot is one version: what is only known of the current file is not told in its name."""

from __future__ import annotations

import os

import pytest

from genro_storage import (
    StorageManager,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
)
from tests.support.versioned import register_versioned


@pytest.fixture
def storage():
    register_versioned()
    with StorageManager() as manager:
        manager.configure([{"name": "v", "type": "versioned"}])
        yield manager


def test_metadata_and_urls_of_a_snapshot_are_not_those_of_the_current_file(storage, tmp_path):
    for text in ("old", "new"):
        storage.node("v:f").write_text(text)
    storage.node("v:f").set_metadata({"state": "new"})
    storage.add_mount({"name": "d", "type": "local", "path": tmp_path})
    for old in (storage.node("v:f", version=0), storage.node("d:f", version="1")):
        for ask in (old.get_metadata, old.url, old.internal_url):
            with pytest.raises(StorageUnsupportedError, match="current file"):
                ask()
        assert old.resolved_path is None
        with pytest.raises(TypeError):
            os.fspath(old)
    assert storage.node("v:f").get_metadata() == {"state": "new"}
    assert storage.node("d:f").resolved_path == str(tmp_path / "f")


def test_the_descriptor_of_a_snapshot_says_what_the_list_of_versions_says(storage):
    for text in ("old", "newer"):
        storage.node("v:f").write_text(text)
    old = storage.node("v:f", version=0)
    found = old.descriptor()
    assert (found.path, found.type, found.size) == ("f", "file", 3)
    assert found.version == storage.node("v:f").versions[0]["version_id"]
    with pytest.raises(StorageVersionError, match="no version 'none'"):
        storage.node("v:f", version="none").descriptor()


def test_a_snapshot_shows_its_version_and_says_how_it_is_restored(storage):
    for text in ("old", "new"):
        storage.node("v:f").write_text(text)
    old = storage.node("v:f", version=-2)
    assert repr(old) == "StorageNode('v:f', version=-2)"
    assert (str(old), repr(storage.node("v:f"))) == ("v:f", "StorageNode('v:f')")
    with pytest.raises(StorageValueError, match=r"as node\.restore\(version=-2\)"):
        old.restore()
    name = storage.node("v:f").versions[0]["version_id"]
    with pytest.raises(StorageValueError, match=rf"as node\.restore\(version='{name}'\)"):
        storage.node("v:f", version=name).restore()
    storage.node("v:f").restore(version=-2)
    assert storage.node("v:f").read_text() == "old"
