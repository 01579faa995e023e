"""Managers: what configure() takes and refuses, and where mounts start."""

from __future__ import annotations

import json

import pytest

from genro_storage import StorageConfigError, StorageManager


def test_a_new_manager_is_empty():
    storage = StorageManager()
    assert storage.get_mount_names() == []
    assert repr(storage) == "StorageManager(mounts=[none])"


def test_the_repr_of_a_manager_lists_its_mounts(storage):
    assert repr(storage) == "StorageManager(mounts=[disk, ram, b64])"


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".YAML", ".json", ".JSON"])
def test_configure_reads_a_file_by_its_suffix(tmp_path, suffix):
    file = tmp_path / f"mounts{suffix}"
    # JSON is YAML too.
    file.write_text(json.dumps([{"name": "m", "type": "memory"}]))
    storage = StorageManager()
    assert storage.configure(str(file)) is None
    assert storage.get_mount_names() == ["m"]


def test_another_suffix_is_a_configuration_error(tmp_path):
    file = tmp_path / "mounts.ini"
    file.write_text("")
    with pytest.raises(StorageConfigError):
        StorageManager().configure(str(file))


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        StorageManager().configure(str(tmp_path / "missing.yaml"))


@pytest.mark.parametrize(
    ("suffix", "text"), [(".yaml", "- name: [unclosed"), (".json", '[{"name": }]')]
)
def test_a_syntax_error_is_a_configuration_error(tmp_path, suffix, text):
    file = tmp_path / f"mounts{suffix}"
    file.write_text(text)
    with pytest.raises(StorageConfigError):
        StorageManager().configure(str(file))


def test_a_top_level_that_is_no_list_is_a_configuration_error(tmp_path):
    file = tmp_path / "mounts.yaml"
    file.write_text("name: m\ntype: memory\n")
    with pytest.raises(StorageConfigError):
        StorageManager().configure(str(file))


@pytest.mark.parametrize("source", [42, 4.2, None, b"mounts.yaml", object()])
def test_another_kind_of_source_is_a_type_error(source):
    with pytest.raises(TypeError):
        StorageManager().configure(source)


def test_configure_takes_a_pathlib_path(tmp_path):
    """Decision 7: a Path was a TypeError."""
    file = tmp_path / "mounts.yaml"
    file.write_text("- {name: m, type: memory}")
    storage = StorageManager()
    storage.configure(file)
    assert storage.has_mount("m")


def test_configuring_a_name_again_replaces_it_and_others_stay(storage, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    storage.configure([{"name": "disk", "type": "local", "path": str(other)}])
    assert storage.get_mount_names().count("disk") == 1
    assert storage.get_mount_names() == ["disk", "ram", "b64"]
    storage.node("disk:f").write_text("x")
    assert (other / "f").read_text() == "x"


def test_add_mount_and_delete_mount(storage):
    storage.add_mount({"name": "extra", "type": "memory"})
    assert storage.has_mount("extra")
    storage.add_mount({"name": "extra", "type": "memory"})
    assert storage.get_mount_names().count("extra") == 1
    assert storage.delete_mount("extra") is None
    assert not storage.has_mount("extra")
    with pytest.raises(KeyError):
        storage.delete_mount("extra")


def test_the_mounts_are_reached_by_name(storage):
    assert "disk" in storage._mounts
    assert "nope" not in storage._mounts
    assert len(storage._mounts) == 3
    assert list(storage._mounts) == ["disk", "ram", "b64"]
    with pytest.raises(KeyError):
        storage._mounts["nope"]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"type": "memory"}, "name"),
        ({"name": "m"}, "type"),
        ({"name": "m", "type": "local"}, "path"),
        ({"name": "m", "protocol": "local"}, "path"),
    ],
)
def test_missing_fields(entry, field):
    with pytest.raises(StorageConfigError, match=f"missing required field: '{field}'"):
        StorageManager().configure([entry])


def test_an_unknown_type():
    with pytest.raises(StorageConfigError, match="Unknown storage type"):
        StorageManager().configure([{"name": "m", "type": "nope"}])


def test_protocol_and_base_path_are_the_newer_names(tmp_path):
    storage = StorageManager()
    storage.configure([{"name": "d", "protocol": "local", "base_path": str(tmp_path)}])
    storage.node("d:f").write_text("x")
    assert (tmp_path / "f").exists()


def test_where_a_local_mount_may_start(tmp_path):
    storage = StorageManager()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="not absolute"):
        storage.configure([{"name": "d", "type": "local", "path": "relative/path"}])
    with pytest.raises(FileNotFoundError):
        storage.configure([{"name": "d", "type": "local", "path": str(tmp_path / "missing")}])
    with pytest.raises(ValueError, match="not a directory"):
        storage.configure([{"name": "d", "type": "local", "path": str(tmp_path / "file")}])
    assert storage.get_mount_names() == []


def test_a_callable_root_is_asked_at_each_operation_and_not_before(tmp_path):
    for user in ("ann", "bob"):
        (tmp_path / user).mkdir()
    now, calls = ["ann"], []

    def root():
        calls.append(now[0])
        return str(tmp_path / now[0])

    storage = StorageManager()
    storage.configure([{"name": "home", "type": "local", "path": root}])
    assert calls == []
    node = storage.node("home:f")
    assert calls == []
    node.write_text("ann's")
    assert str(node._backend.base_path) == str(tmp_path / "ann")
    now[0] = "bob"
    assert not node.exists
    node.write_text("bob's")
    assert str(node._backend.base_path) == str(tmp_path / "bob")
    assert (tmp_path / "ann/f").read_text() == "ann's"
    assert (tmp_path / "bob/f").read_text() == "bob's"


def test_a_switched_mount_asks_with_the_first_component(tmp_path):
    (tmp_path / "s1/in").mkdir(parents=True)
    (tmp_path / "s1/in/f").write_text("x")

    def root(site):
        if site != "s1":
            raise ValueError(f"unknown site {site}")
        return str(tmp_path / site / "in")

    storage = StorageManager()
    storage.configure([{"name": "site", "type": "local", "path": root}])
    assert storage.node("site:s1/f").read() == "x"
    with pytest.raises(ValueError, match="unknown site s2"):
        storage.node("site:s2/f").read()
    with pytest.raises(ValueError, match="Path escapes base directory"):
        storage.node("site:sys/../../etc")
