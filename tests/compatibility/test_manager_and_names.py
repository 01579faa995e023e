"""What code written for 0.4 relies on: the package, the manager, and what a node says of itself.

Where this library deviates on purpose, the decision is asserted instead and says so.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import genro_storage
from genro_storage import (
    SkipStrategy,
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageNode,
    StorageNotFoundError,
    StoragePermissionError,
)

BOTH = pytest.mark.parametrize("mount", ["disk", "ram"])


@pytest.fixture
def storage(tmp_path):
    root = tmp_path / "disk"
    root.mkdir()
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(root)},
            {"name": "ram", "type": "memory"},
            {"name": "b64", "type": "base64"},
        ]
    )
    return made


# -- 1.1 and 1.2: the package and its errors --------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("__version__", "StorageManager", "StorageNode", "SkipStrategy", "StorageError"),
        *("StorageNotFoundError", "StoragePermissionError", "StorageConfigError"),
    ],
)
def test_the_names_of_the_package(name):
    assert name in genro_storage.__all__
    # The version needs the installed package's metadata; tests/test_package.py looks at it.
    assert name == "__version__" or getattr(genro_storage, name) is not None


def test_the_package_ships_its_types():
    assert (Path(genro_storage.__file__).parent / "py.typed").is_file()


def test_skip_strategy_is_importable_from_the_nodes_module():
    from genro_storage.node import SkipStrategy as from_node

    assert from_node is SkipStrategy


def test_the_backend_classes_keep_their_names():
    from genro_storage import backends

    assert {"StorageBackend", "LocalStorage", "Base64Backend"} <= set(backends.__all__)
    assert issubclass(backends.LocalStorage, backends.StorageBackend)
    assert issubclass(backends.Base64Backend, backends.StorageBackend)
    assert not hasattr(backends, "RelativeMountBackend")  # decision: a relative mount wraps nothing


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (StorageNotFoundError, FileNotFoundError),
        (StoragePermissionError, PermissionError),
        (StorageConfigError, ValueError),
    ],
)
def test_each_error_is_the_builtin_one_too(ours, builtin):
    assert issubclass(ours, StorageError)
    assert issubclass(ours, builtin)


# -- 1.3: the manager -------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "arguments", [("ram:a/b",), ("ram", "a", "b"), ("ram:a", "b"), ("ram", "a/b"), ("ram:", "a/b")]
)
def test_the_spellings_of_a_node(storage, arguments):
    assert storage.node(*arguments).fullpath == "ram:a/b"


def test_a_mounts_name_alone_is_its_root(storage):
    assert storage.node("ram").fullpath == "ram:"
    assert storage.node("ram").path == ""


def test_a_node_splits_at_the_first_colon(storage):
    assert storage.node("ram:a:b/c:d").path == "a:b/c:d"


def test_an_unknown_mount(storage):
    with pytest.raises(StorageNotFoundError, match=r"Mount point 'nope' not found"):
        storage.node("nope:f")


def test_version_is_keyword_only(storage):
    kind = inspect.signature(StorageManager.node).parameters["version"].kind
    assert kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("users//1///a.jpg", "users/1/a.jpg"),
        ("/users/1/", "users/1"),
        ("./a/./b", "./a/./b"),
        ("a\\b", "a\\b"),
        ("with space/ünï", "with space/ünï"),
        ("", ""),
        ("///", ""),
    ],
)
def test_how_paths_are_normalised(storage, written, kept):
    assert storage.node(f"ram:{written}").path == kept


@pytest.mark.parametrize("path", ["..", "../x", "a/../b", "a/.."])
def test_parent_directories_are_refused(storage, path):
    with pytest.raises(ValueError, match="Parent directory traversal"):
        storage.node(f"ram:{path}")
    with pytest.raises(ValueError, match="Parent directory traversal"):
        storage.node("ram", *path.split("/"))


def test_the_mounts_are_reached_by_name(storage):
    assert "disk" in storage._mounts
    assert "nope" not in storage._mounts
    assert len(storage._mounts) == 3
    assert list(storage._mounts) == ["disk", "ram", "b64"]
    with pytest.raises(KeyError):
        storage._mounts["nope"]


# -- 1.4: properties --------------------------------------------------------------------------

PROPERTIES = [
    *("fullpath", "path", "basename", "stem", "suffix", "parent", "dirname", "ext"),
    *("ext_attributes", "resolved_path", "exists", "isfile", "isdir", "size", "mtime", "md5hash"),
    *("mimetype", "capabilities", "versions", "version_count"),
]
METHODS = [
    *("open", "read", "write", "read_text", "read_bytes", "write_text", "write_bytes", "delete"),
    *("copy_to", "move_to", "append", "extend", "zip", "children", "child", "mkdir", "local_path"),
    *("call", "get_metadata", "set_metadata", "url", "internal_url", "compact_versions"),
    *("fill_from_url", "to_base64", "splitext"),
]


@pytest.mark.parametrize("name", PROPERTIES)
def test_it_is_a_property(name):
    assert isinstance(inspect.getattr_static(StorageNode, name), property)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("append", "extend")])
def test_it_is_a_method(name):
    assert inspect.isfunction(inspect.getattr_static(StorageNode, name))


SIGNATURES = {
    "open": {"mode": "r", "version": None, "as_of": None},
    "read": {"mode": "r", "encoding": "utf-8"},
    "write": {"data": ..., "mode": "w", "encoding": "utf-8", "skip_if_unchanged": False},
    "read_text": {"encoding": "utf-8"},
    "read_bytes": {},
    "write_text": {"text": ..., "encoding": "utf-8", "skip_if_unchanged": False},
    "write_bytes": {"data": ..., "skip_if_unchanged": False},
    "copy_to": {
        "dest": ...,
        "include": None,
        "exclude": None,
        "filter": None,
        "skip": "never",
        "skip_fn": None,
        "progress": None,
        "on_file": None,
        "on_skip": None,
    },
    "move_to": {"dest": ...},
    "mkdir": {"parents": False, "exist_ok": False},
    "local_path": {"mode": "r"},
    "set_metadata": {"metadata": ...},
    "url": {"expires_in": 3600},
    "internal_url": {"nocache": False},
    "compact_versions": {"dry_run": False},
    "fill_from_url": {"url": ..., "timeout": 30},
    "to_base64": {"mime": None, "include_uri": True},
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_parameters_keep_their_names_order_and_defaults(name):
    parameters = list(inspect.signature(getattr(StorageNode, name)).parameters.values())[1:]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    found = {p.name: ... if p.default is p.empty else p.default for p in positional}
    assert found == SIGNATURES[name]
    assert list(found) == list(SIGNATURES[name])


def test_the_parameters_of_call():
    parameters = inspect.signature(StorageNode.call).parameters
    assert parameters["args"].kind is inspect.Parameter.VAR_POSITIONAL
    assert parameters["subprocess_kwargs"].kind is inspect.Parameter.VAR_KEYWORD
    defaults = {name: parameters[name].default for name in ("callback", "async_mode")}
    assert defaults == {"callback": None, "async_mode": False}
    assert parameters["return_output"].default is False


def test_the_parts_of_a_name(storage):
    node = storage.node("ram:dir/a.tar.gz")
    assert (node.basename, node.stem, node.suffix) == ("a.tar.gz", "a.tar", ".gz")
    assert (node.ext, node.dirname) == ("gz", "ram:dir")
    assert node.splitext() == ("dir/a.tar", ".gz")
    dotfile = storage.node("ram:.profile")
    assert (dotfile.suffix, dotfile.stem, dotfile.ext) == ("", ".profile", "")
    assert dotfile.splitext() == (".profile", "")


def test_parents_end_at_the_root(storage):
    assert storage.node("ram:a/b").parent.fullpath == "ram:a"
    assert storage.node("ram:a").parent.fullpath == "ram:"
    assert storage.node("ram:").parent.fullpath == "ram:"


def test_a_subclass_keeps_its_type_in_parent_child_and_children(storage):
    class Special(StorageNode):
        def __init__(self, manager, mount_name, path="", *, extra):
            super().__init__(manager, mount_name, path)
            self.extra = extra

        def _create_node(self, manager, mount_name, path):
            return type(self)(manager, mount_name, path, extra=self.extra)

    storage.node("ram:d/f").write_text("x")
    node = Special(storage, "ram", "d", extra=7)
    for other in (node.parent, node.child("f"), *node.children()):
        assert type(other) is Special
        assert other.extra == 7


@BOTH
def test_exists_isfile_and_isdir(storage, mount):
    node = storage.node(f"{mount}:d/f")
    assert (node.exists, node.isfile, node.isdir) == (False, False, False)
    node.write_text("x")
    assert (node.exists, node.isfile, node.isdir) == (True, True, False)
    assert (node.parent.exists, node.parent.isfile, node.parent.isdir) == (True, False, True)


def test_base64_is_never_a_directory_and_invalid_text_does_not_exist(storage):
    assert storage.node("b64:YWJj").exists is True
    assert storage.node("b64:YWJj").isdir is False
    assert storage.node("b64:not base64!").exists is False
    assert storage.node("b64:").exists is False


@BOTH
def test_size(storage, mount):
    node = storage.node(f"{mount}:d/f")
    with pytest.raises(FileNotFoundError):
        node.size
    node.write_bytes(b"12345")
    assert node.size == 5
    with pytest.raises(ValueError, match="directory"):
        node.parent.size


def test_the_size_in_base64_is_that_of_the_content(storage):
    assert storage.node("b64:YWJj").size == 3


@BOTH
def test_mtime(storage, mount):
    node = storage.node(f"{mount}:f")
    with pytest.raises(FileNotFoundError):
        node.mtime
    before = time.time()
    node.write_text("x")
    assert isinstance(node.mtime, float)
    assert before - 2 <= node.mtime <= time.time() + 2
    assert isinstance(storage.node(f"{mount}:").mtime, float)


def test_the_mtime_of_base64_is_fixed(storage):
    first = storage.node("b64:YWJj").mtime
    time.sleep(0.01)
    assert isinstance(first, float)
    assert storage.node("b64:ZGVm").mtime == first


@BOTH
def test_md5hash(storage, mount):
    node = storage.node(f"{mount}:d/f")
    with pytest.raises(FileNotFoundError):
        node.md5hash
    node.write_bytes(b"hello")
    assert node.md5hash == hashlib.md5(b"hello").hexdigest()
    with pytest.raises(ValueError, match="Cannot compute hash of directory"):
        node.parent.md5hash


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain"),
        ("A.TXT", "text/plain"),
        ("a.py", "text/x-python"),
        ("a.wav", "audio/x-wav"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("a.svg", "image/svg+xml"),
        ("a.csv", "text/csv"),
        ("a", "application/octet-stream"),
        ("a.unknown-thing", "application/octet-stream"),
    ],
)
def test_mimetype(storage, name, expected):
    assert storage.node(f"ram:{name}").mimetype == expected


def test_the_mimetype_of_a_directory_and_of_base64(storage):
    storage.node("ram:d").mkdir()
    assert storage.node("ram:d").mimetype == "application/octet-stream"
    assert storage.node("b64:YWJj").mimetype == "application/octet-stream"


@BOTH
def test_backends_without_versions(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_text("x")
    assert node.versions == []
    assert node.version_count == 0
    for arguments in ({"version": -1}, {"as_of": datetime.now(UTC)}, {"version": "id"}):
        with pytest.raises(PermissionError, match="does not support versioning"):
            node.open("r", **arguments)
    with pytest.raises(ValueError, match="Cannot specify both"):
        node.open("r", version=-1, as_of=datetime.now(UTC))
    with pytest.raises(PermissionError, match="does not support versioning"):
        node.compact_versions()
    with pytest.raises(PermissionError, match="does not support versioning"):
        node.compact_versions(dry_run=True)
    with pytest.raises(IndexError, match="No versions available"):
        node._resolve_version_index(-1)
    assert node._resolve_version_at_date(datetime.now(UTC)) is None


def test_the_capabilities_of_a_node_with_a_version_lack_versions(storage):
    flags = storage.node("ram:f", version=-1).capabilities
    assert (flags.versioning, flags.version_listing, flags.version_access) == (False,) * 3


def test_equality_is_by_content(storage):
    a, b, c = (storage.node(f"{m}:f") for m in ("disk", "ram", "b64"))
    a.write_text("same")
    b.write_text("same")
    c.write_text("same")
    assert a == b
    assert b == c
    assert not a != b
    b.write_text("else")
    assert a != b
    assert not a == b


def test_equality_with_something_else(storage):
    node = storage.node("ram:f")
    node.write_text("x")
    assert (node == "ram:f") is False
    assert (node != "ram:f") is True
    assert node.__eq__(1) is NotImplemented


def test_the_same_place_is_equal_without_being_read(storage):
    assert storage.node("ram:missing") == storage.node("ram:missing")
    assert storage.node("ram:missing") != storage.node("ram:gone")


def test_directories_are_not_equal_to_each_other(storage):
    storage.node("ram:a").mkdir()
    storage.node("ram:b").mkdir()
    assert storage.node("ram:a") != storage.node("ram:b")


def test_repr_and_str(storage):
    node = storage.node("ram:d/f")
    assert repr(node) == "StorageNode('ram:d/f')"
    assert str(node) == "ram:d/f"
    assert str(storage.node("ram:")) == "ram:"


@BOTH
def test_ext_attributes(storage, mount):
    node = storage.node(f"{mount}:d/f")
    assert node.ext_attributes == (None, None, False)
    node.write_text("abc")
    assert node.ext_attributes == (node.mtime, 3, False)
    mtime, size, is_directory = node.parent.ext_attributes
    assert isinstance(mtime, float)
    assert (size, is_directory) == (None, True)
    assert storage.iternode().ext_attributes[2] is False


def test_resolved_path(storage, tmp_path):
    assert storage.node("disk:missing/f").resolved_path == str(tmp_path / "disk/missing/f")
    assert storage.node("ram:f").resolved_path is None
    assert storage.node("b64:YWJj").resolved_path is None
