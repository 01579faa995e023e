"""What code written for genro-storage 0.4 relies on, fact by fact.

Where this library deviates on purpose, the decision is asserted instead and says so.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import inspect
import json
import os
import sys
import threading
import time
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired

import pytest

import genro_storage
from genro_storage import (
    BackendCapabilities,
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


def write_tree(node):
    for path in ("a.py", "b.txt", "d/x.py", "d/y.txt", "__pycache__/z.pyc"):
        node.child(path).write_text(path)
    node.child("empty").mkdir()


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


# -- 1.5: reading and writing -----------------------------------------------------------------


@BOTH
def test_read(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_bytes("çà".encode("latin-1"))
    assert node.read("rb") == b"\xe7\xe0"
    assert node.read("r", "latin-1") == "çà"
    assert node.read(encoding="latin-1") == node.read_text("latin-1")
    with pytest.raises(ValueError, match="mode"):
        node.read("w")
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").read()
    storage.node(f"{mount}:d").mkdir()
    with pytest.raises(IsADirectoryError):
        storage.node(f"{mount}:d").read()


def test_reading_invalid_base64(storage):
    with pytest.raises(FileNotFoundError, match="cannot be empty"):
        storage.node("b64:").read()
    with pytest.raises(FileNotFoundError, match="Invalid base64"):
        storage.node("b64:!!").read()


@BOTH
def test_write(storage, mount):
    node = storage.node(f"{mount}:new/parents/f")
    assert node.write("text") is True
    assert node.write(b"bytes", "wb") is True
    assert node.read("rb") == b"bytes"
    for data, mode in (("text", "wb"), (b"bytes", "w")):
        with pytest.raises(TypeError):
            node.write(data, mode)
    with pytest.raises(ValueError, match="mode"):
        node.write("x", "a")
    with pytest.raises(TypeError):
        node.write_text(b"bytes")
    with pytest.raises(TypeError):
        node.write_bytes("text")
    assert node.read_bytes() == b"bytes"


@BOTH
def test_skip_if_unchanged(storage, mount):
    node = storage.node(f"{mount}:f")
    assert node.write("one", skip_if_unchanged=True) is True
    before = node.stat()
    assert node.write("one", skip_if_unchanged=True) is False
    assert node.stat() == before
    assert node.write_text("two", skip_if_unchanged=True) is True
    assert node.write_bytes(b"two", skip_if_unchanged=True) is False
    assert node.read() == "two"


def test_writing_through_a_snapshot(storage):
    node = storage.node("ram:f", version=-1)
    for write in (lambda: node.write("x"), lambda: node.write_bytes(b"x")):
        with pytest.raises(ValueError, match="Cannot write to versioned snapshot"):
            write()
    for mode in ("w", "wb", "a", "ab"):
        with pytest.raises(ValueError, match="Cannot write to versioned snapshot"):
            node.open(mode)
    with pytest.raises(ValueError, match="snapshot"):
        node.open("r", version=1)


@BOTH
def test_open_makes_parents_and_appends(storage, mount):
    node = storage.node(f"{mount}:new/f")
    with node.open("w") as handle:
        handle.write("one\n")
    with node.open("a") as handle:
        handle.write("two\n")
    with node.open() as handle:
        assert list(handle) == ["one\n", "two\n"]
    with node.open("rb") as handle:
        handle.seek(4)
        assert handle.read() == b"two\n"


@BOTH
def test_delete(storage, mount):
    storage.node(f"{mount}:missing").delete()
    node = storage.node(f"{mount}:d/e/f")
    node.write_text("x")
    assert storage.node(f"{mount}:d").delete() is None
    assert not node.exists
    assert not storage.node(f"{mount}:d").exists


def test_deleting_base64(storage):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:YWJj").delete()


# -- 1.5: copying -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["disk", "ram"])
@BOTH
def test_copy_to_returns_the_destination_that_was_given(storage, mount, target):
    source = storage.node(f"{mount}:f")
    source.write_text("x")
    dest = storage.node(f"{target}:new/g")
    assert source.copy_to(dest) is dest
    assert dest.read() == "x"
    by_name = source.copy_to(f"{target}:h")
    assert isinstance(by_name, StorageNode)
    assert by_name.fullpath == f"{target}:h"
    assert by_name.read() == "x"


@BOTH
def test_copying_what_is_missing(storage, mount):
    with pytest.raises(FileNotFoundError, match="Source not found"):
        storage.node(f"{mount}:missing").copy_to(f"{mount}:g")


@pytest.mark.parametrize("target", ["disk", "ram"])
@BOTH
def test_a_directory_is_copied_with_its_empty_directories(storage, mount, target):
    write_tree(storage.node(f"{mount}:src"))
    storage.node(f"{mount}:src").copy_to(f"{target}:dst")
    assert storage.node(f"{target}:dst/d/x.py").read() == "d/x.py"
    assert storage.node(f"{target}:dst/empty").isdir


def test_a_directory_is_made_though_all_its_files_are_filtered_out(storage):
    write_tree(storage.node("disk:src"))
    storage.node("disk:src").copy_to("disk:dst", include="*.nothing")
    assert storage.node("disk:dst/d").isdir
    assert not storage.node("disk:dst/a.py").exists


def test_a_local_copy_keeps_the_modification_time(storage, tmp_path):
    node = storage.node("disk:f")
    node.write_text("x")
    os.utime(tmp_path / "disk/f", (1_000_000_000.25, 1_000_000_000.25))
    assert node.copy_to("disk:g").mtime == 1_000_000_000.25


def copied(storage, **options):
    write_tree(storage.node("ram:src"))
    seen = []
    storage.node("ram:src").copy_to(
        "disk:dst", on_file=lambda node: seen.append(node.path.removeprefix("src/")), **options
    )
    return sorted(seen)


def test_a_pattern_without_a_slash_matches_at_any_depth(storage):
    assert copied(storage, include="*.py") == ["a.py", "d/x.py"]


def test_a_pattern_matches_what_is_below_a_directory(storage):
    assert "__pycache__/z.pyc" not in copied(storage, exclude="__pycache__/*")


def test_patterns_come_in_lists(storage):
    assert copied(storage, include=["*.py", "*.txt"], exclude=["d/*"]) == ["a.py", "b.txt"]


def test_a_filter_gets_the_node_and_its_path_below_the_source(storage):
    asked = []

    def wanted(node, relpath):
        assert isinstance(node, StorageNode)
        asked.append((node.fullpath, relpath))
        return node.size > 5

    assert copied(storage, include="*.py", filter=wanted) == ["d/x.py"]
    assert sorted(asked) == [("ram:src/a.py", "a.py"), ("ram:src/d/x.py", "d/x.py")]


def test_a_filter_that_raises_excludes_the_file_and_says_so(storage):
    reasons = []

    def wanted(node, relpath):
        if relpath == "b.txt":
            raise ZeroDivisionError("boom")
        return True

    write_tree(storage.node("ram:src"))
    storage.node("ram:src").copy_to(
        "disk:dst", filter=wanted, on_skip=lambda node, reason: reasons.append((node.name, reason))
    )
    assert reasons == [("b.txt", "filter error: boom")]
    assert not storage.node("disk:dst/b.txt").exists


def test_filters_are_ignored_for_a_single_file(storage):
    storage.node("ram:f.txt").write_text("x")
    storage.node("ram:f.txt").copy_to(
        "disk:f", include="*.py", exclude="*", filter=lambda *_: False
    )
    assert storage.node("disk:f").read() == "x"


@pytest.mark.parametrize("strategy", list(SkipStrategy))
def test_what_is_missing_at_the_destination_is_never_skipped(storage, strategy):
    storage.node("ram:f").write_text("x")
    storage.node("ram:f").copy_to("disk:f", skip=strategy, skip_fn=lambda *_: True)
    assert storage.node("disk:f").read() == "x"


@pytest.mark.parametrize("spelled", ["exists", SkipStrategy.EXISTS])
def test_skip_takes_a_string_or_the_strategy(storage, spelled):
    storage.node("ram:f").write_text("new")
    storage.node("disk:f").write_text("old")
    storage.node("ram:f").copy_to("disk:f", skip=spelled)
    assert storage.node("disk:f").read() == "old"


def test_custom_needs_a_function(storage):
    storage.node("ram:f").write_text("x")
    with pytest.raises(ValueError, match=r"skip='custom' requires skip_fn"):
        storage.node("ram:f").copy_to("disk:f", skip="custom")


def test_skip_fn_gets_both_nodes(storage):
    storage.node("ram:f").write_text("new")
    storage.node("disk:f").write_text("old")
    seen = []

    def skip(source, dest):
        seen.append((source.read(), dest.read()))
        return True

    storage.node("ram:f").copy_to("disk:f", skip="custom", skip_fn=skip)
    assert seen == [("new", "old")]
    assert storage.node("disk:f").read() == "old"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"skip": "exists"}, "destination exists"),
        ({"skip": "size"}, "same size (4 bytes)"),
        ({"skip": "hash"}, f"same content (MD5: {hashlib.md5(b'same').hexdigest()[:8]}...)"),
        ({"skip": "custom", "skip_fn": lambda a, b: True}, "custom function returned True"),
        ({"include": "*.py"}, "not matching include patterns"),
        ({"exclude": ["*.py", "f*"]}, "matching exclude pattern 'f*'"),
        ({"filter": lambda node, path: False}, "filtered by custom function"),
    ],
)
def test_the_reasons_for_skipping(storage, options, reason):
    storage.node("ram:src/f").write_text("same")
    storage.node("disk:dst/f").write_text("same")
    skipped = []
    storage.node("ram:src").copy_to(
        "disk:dst", on_skip=lambda node, why: skipped.append((node.fullpath, why)), **options
    )
    assert skipped == [("ram:src/f", reason)]


def test_progress_counts_every_file_that_the_filters_keep(storage):
    write_tree(storage.node("ram:src"))
    storage.node("disk:dst/a.py").write_text("there")
    calls, events = [], []
    storage.node("ram:src").copy_to(
        "disk:dst",
        include="*.py",
        skip="exists",
        progress=lambda current, total: calls.append((current, total)),
        on_skip=lambda node, reason: events.append(("skip", node.name, reason)),
        on_file=lambda node: events.append(("file", node.name)),
    )
    assert calls == [(1, 2), (2, 2)]
    filtered = [event for event in events if event[-1] == "not matching include patterns"]
    # Filtered files are reported before anything is copied.
    assert events[: len(filtered)] == filtered
    assert len(filtered) == 3
    assert events[len(filtered) :] == [("skip", "a.py", "destination exists"), ("file", "x.py")]


def test_on_file_is_called_for_a_single_file_too(storage):
    source = storage.node("ram:f")
    source.write_text("x")
    seen = []
    source.copy_to("disk:f", on_file=seen.append)
    assert [node.fullpath for node in seen] == ["ram:f"]


@pytest.mark.parametrize("target", ["disk", "ram"])
@BOTH
def test_move_to_makes_the_node_the_one_at_the_destination(storage, mount, target):
    node = storage.node(f"{mount}:f")
    node.write_text("x")
    assert node.move_to(f"{target}:new/g") is node
    assert node.fullpath == f"{target}:new/g"
    assert node.read() == "x"
    assert not storage.node(f"{mount}:f").exists


# -- 1.5: virtual nodes, zip, directories -----------------------------------------------------


def test_an_iternode_is_read_when_it_is_read(storage):
    one, two = storage.node("ram:1"), storage.node("disk:2")
    node = storage.iternode(one)
    node.append(two)
    one.write_text("a")
    two.write_text("b")
    assert (node.read(), node.read("rb")) == ("ab", b"ab")
    one.write_text("changed ")
    assert node.read() == "changed b"
    node.extend(one, two)
    assert node.read() == "changed bchanged b"
    assert (storage.iternode().read(), storage.iternode().read("rb")) == ("", b"")


def test_virtual_nodes_have_no_place(storage):
    node = storage.node("ram:f")
    node.write_text("x")
    for virtual in (storage.iternode(node), storage.diffnode(node, node), storage.node()):
        assert virtual.exists is False
        assert virtual.path is None
        assert virtual.fullpath == "None:"
        with pytest.raises(ValueError, match=r"[Cc]annot write|virtual|no path"):
            virtual.write("x")
        with pytest.raises(ValueError, match=r"[Cc]annot write|virtual|no path"):
            virtual.open("wb")
    with pytest.raises(ValueError, match="iternode"):
        storage.diffnode(node, node).append(node)
    with pytest.raises(ValueError, match="iternode"):
        storage.node().append(node)


def test_a_diffnode_is_a_unified_diff(storage):
    one, two = storage.node("ram:one"), storage.node("ram:two")
    one.write_text("a\nb\n")
    two.write_text("a\nc\n")
    diff = storage.diffnode(one, two).read()
    assert diff.splitlines()[:2] == ["--- ram:one", "+++ ram:two"]
    assert "-b" in diff
    assert "+c" in diff
    assert storage.diffnode(one, one).read() == ""


@pytest.mark.parametrize("data", [b"a\0b", b"\xff\xfe\xfa"])
def test_binary_files_have_no_diff(storage, data):
    one, two = storage.node("ram:one"), storage.node("ram:two")
    one.write_text("a")
    two.write_bytes(data)
    with pytest.raises(ValueError, match=r"[Cc]annot diff.*binary"):
        storage.diffnode(one, two).read()


def test_a_virtual_source_is_copied_by_its_content(storage):
    storage.node("ram:f").write_text("x")
    dest = storage.node("disk:g")
    assert storage.iternode(storage.node("ram:f")).copy_to(dest) is dest
    assert dest.read() == "x"


def names(data):
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return sorted(name for name in archive.namelist() if not name.endswith("/"))


@BOTH
def test_zip(storage, mount):
    write_tree(storage.node(f"{mount}:src"))
    assert names(storage.node(f"{mount}:src/a.py").zip()) == ["a.py"]
    assert names(storage.node(f"{mount}:src").zip()) == [
        *("__pycache__/z.pyc", "a.py", "b.txt", "d/x.py", "d/y.txt"),
    ]
    sources = storage.iternode(
        storage.node(f"{mount}:src/a.py"), storage.node(f"{mount}:src/d/x.py")
    )
    assert names(sources.zip()) == ["a.py", "x.py"]
    assert names(storage.iternode().zip()) == []
    with pytest.raises(ValueError, match="zip"):
        storage.diffnode(sources, sources).zip()


@BOTH
def test_children(storage, mount):
    write_tree(storage.node(f"{mount}:src"))
    children = storage.node(f"{mount}:src").children()
    assert isinstance(children, list)
    assert {child.name for child in children} == {"a.py", "b.txt", "d", "__pycache__", "empty"}
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").children()
    with pytest.raises(ValueError, match="directory"):
        storage.node(f"{mount}:src/a.py").children()


def test_base64_has_no_directories(storage):
    with pytest.raises(ValueError, match="no directory structure"):
        storage.node("b64:YWJj").children()


def test_child_joins_its_parts(storage):
    assert storage.node("ram:a").child("b", "c/d").fullpath == "ram:a/b/c/d"


@BOTH
def test_mkdir(storage, mount):
    node = storage.node(f"{mount}:d")
    assert node.mkdir() is None
    assert node.isdir
    with pytest.raises(FileExistsError):
        node.mkdir()
    node.mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:x/y").mkdir()
    storage.node(f"{mount}:x/y").mkdir(parents=True)
    assert storage.node(f"{mount}:x/y").isdir


def test_making_a_directory_in_base64(storage):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:x").mkdir()


# -- 1.5: programs, metadata, URLs ------------------------------------------------------------


def test_the_local_path_of_a_local_node_is_the_real_one(storage, tmp_path):
    with storage.node("disk:new/f").local_path("w") as path:
        assert path == str(tmp_path / "disk/new/f")
    assert not (tmp_path / "disk/new").exists()


def test_the_local_path_of_another_node_is_a_temporary_file(storage):
    node = storage.node("ram:f.jpg")
    node.write_bytes(b"old")
    with node.local_path() as path:
        assert isinstance(path, str)
        assert path.endswith(".jpg")
        assert Path(path).read_bytes() == b"old"
    assert not Path(path).exists()
    with node.local_path("rw") as path:
        Path(path).write_bytes(Path(path).read_bytes() + b" and new")
    assert node.read_bytes() == b"old and new"
    with node.local_path("w") as path:
        Path(path).write_bytes(b"written")
    assert node.read_bytes() == b"written"


def test_a_body_that_raises_uploads_nothing(storage):
    node = storage.node("ram:f")
    node.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), node.local_path("w") as path:
        Path(path).write_bytes(b"half")
        raise ZeroDivisionError
    assert node.read_bytes() == b"old"


def test_writing_nothing_uploads_an_empty_file_and_reading_nothing_gives_one(storage):
    with storage.node("ram:new").local_path("w"):
        pass
    assert storage.node("ram:new").size == 0
    with storage.node("ram:missing").local_path("r") as path:
        assert Path(path).read_bytes() == b""


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_a_local_path_for_writing_base64_is_refused_at_the_call(storage, mode):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:YWJj").local_path(mode)


def test_call_runs_a_program_over_nodes(storage):
    source, target = storage.node("ram:in.txt"), storage.node("disk:out.txt")
    source.write_text("hello")
    target.write_text("")
    called = []
    script = "import sys, shutil; shutil.copyfile(sys.argv[1], sys.argv[2]); print('done')"
    output = source.call(
        *(sys.executable, "-c", script, source, target),
        callback=lambda: called.append(True),
        return_output=True,
    )
    assert output == "done\n"
    assert target.read() == "hello"
    assert called == [True]
    assert source.call(sys.executable, "-c", "pass") is None


def test_how_call_fails(storage):
    node = storage.node("ram:f")
    called = []
    with pytest.raises(CalledProcessError):
        node.call(sys.executable, "-c", "raise SystemExit(3)", callback=lambda: called.append(1))
    with pytest.raises(FileNotFoundError):
        node.call("no-such-command-anywhere")
    with pytest.raises(TimeoutExpired):
        node.call(sys.executable, "-c", "import time; time.sleep(30)", timeout=0.2)
    assert called == []


def test_call_in_the_background_returns_at_once(storage):
    done = threading.Event()
    result = storage.node("ram:f").call(
        sys.executable, "-c", "pass", callback=done.set, async_mode=True
    )
    assert result is None
    assert done.wait(30)


@pytest.mark.parametrize("place", ["disk:f", "ram:f", "b64:YWJj"])
def test_metadata_where_the_backend_keeps_none(storage, place):
    node = storage.node(place)
    if place != "b64:YWJj":
        node.write_text("x")
    assert node.get_metadata() == {}
    with pytest.raises(PermissionError, match="does not support metadata"):
        node.set_metadata({"a": "b"})


@BOTH
def test_urls_where_there_are_none(storage, mount):
    node = storage.node(f"{mount}:f")
    node.write_text("x")
    assert node.url() is None
    assert node.url(expires_in=60) is None
    assert node.internal_url() is None
    assert node.internal_url(nocache=True) is None


def test_a_local_mount_with_a_base_url_has_urls(tmp_path):
    storage = StorageManager()
    storage.configure(
        [{"name": "d", "type": "local", "path": str(tmp_path), "base_url": "https://x.org/f/"}]
    )
    assert storage.node("d:a/b.txt").url() == "https://x.org/f/a/b.txt"


@pytest.mark.parametrize("url", ["ftp://example.org/x", "file:///etc/passwd", "nonsense", ""])
def test_fill_from_url_takes_http_only(storage, url):
    with pytest.raises(ValueError, match="Invalid URL"):
        storage.node("ram:f").fill_from_url(url)


def test_a_failing_download_is_an_os_error(storage):
    node = storage.node("ram:f")
    node.write_text("old")
    with pytest.raises(OSError, match="Failed to download"):
        node.fill_from_url("http://127.0.0.1:9/x", timeout=2, allow_private=True)
    assert node.read() == "old"


@BOTH
def test_to_base64(storage, mount):
    node = storage.node(f"{mount}:d/f.txt")
    node.write_bytes(b"hello")
    encoded = base64.b64encode(b"hello").decode()
    assert node.to_base64() == f"data:text/plain;base64,{encoded}"
    assert node.to_base64(mime="image/png") == f"data:image/png;base64,{encoded}"
    assert node.to_base64(include_uri=False) == encoded
    with pytest.raises(ValueError, match="Cannot encode directory"):
        node.parent.to_base64()
    with pytest.raises(FileNotFoundError):
        storage.node(f"{mount}:missing").to_base64()


# -- 1.6 and 1.7: values ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["never", "exists", "size", "hash", "custom"])
def test_strategies_equal_their_strings(name):
    assert SkipStrategy[name.upper()] == name
    assert isinstance(SkipStrategy(name), str)


def test_capabilities_keep_their_order_and_defaults():
    """Decision 8 (a declared capability works): append_mode is declared where it does."""
    defaults = {field.name: field.default for field in dataclasses.fields(BackendCapabilities)}
    expected = {
        **dict.fromkeys(["read", "write", "delete", "mkdir", "list_dir"], True),
        **dict.fromkeys(["versioning", "version_listing", "version_access", "metadata"], False),
        **dict.fromkeys(["presigned_urls", "public_urls"], False),
        "atomic_operations": True,
        **dict.fromkeys(["symbolic_links", "copy_optimization", "hash_on_metadata"], False),
        "append_mode": False,
        "seek_support": True,
        "readonly": False,
        "temporary": False,
    }
    kept = {name: default for name, default in defaults.items() if name in expected}
    assert list(kept.items()) == list(expected.items())


def test_capabilities_are_values():
    one = BackendCapabilities(versioning=True, readonly=True)
    assert one == BackendCapabilities(versioning=True, readonly=True)
    assert hash(one) == hash(BackendCapabilities(versioning=True, readonly=True))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.read = False
    assert "BackendCapabilities" in repr(one)
    assert "read=" in repr(one)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("versioning", "versioning"),
        ("metadata", "metadata"),
        ("presigned_urls", "presigned URLs"),
        ("copy_optimization", "server-side copy"),
        ("hash_on_metadata", "fast hashing"),
        ("symbolic_links", "symbolic links"),
        ("readonly", "read-only"),
        ("temporary", "temporary storage"),
    ],
)
def test_capabilities_read_as_words(flag, text):
    assert str(BackendCapabilities(**{flag: True})) == text
    assert str(BackendCapabilities()) == "basic file operations"
    assert str(BackendCapabilities(versioning=True, temporary=True)) == (
        "versioning, temporary storage"
    )


def flags(storage, mount):
    return {
        name
        for name, on in dataclasses.asdict(storage.node(f"{mount}:").capabilities).items()
        if on
    }


def test_what_each_backend_declares(storage):
    common = {"read", "seek_support"}
    writable = common | {"write", "delete", "mkdir", "list_dir", "atomic_operations"}
    local = writable | {"symbolic_links", "copy_optimization", "append_mode"}
    assert flags(storage, "disk") == (local if os.name != "nt" else local - {"symbolic_links"})
    assert flags(storage, "ram") == writable | {"copy_optimization", "append_mode", "temporary"}
    base64_flags = flags(storage, "b64")
    assert {"public_urls", "readonly"} <= base64_flags
    assert not base64_flags & {"write", "delete", "mkdir", "list_dir"}


def test_a_relative_mount_can_what_its_parent_can(storage):
    storage.configure([{"name": "rel", "path": "disk:sub"}])
    assert storage.node("rel:").capabilities == storage.node("disk:").capabilities


# -- 1.8: configuration -----------------------------------------------------------------------


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


# -- 1.9: permissions and relative mounts -----------------------------------------------------


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


# -- 1.10: base64 -----------------------------------------------------------------------------


def test_blanks_in_base64_are_ignored(storage):
    assert storage.node("b64:YW Jj\nZG Vm").read() == "abcdef"


def test_writing_base64_moves_the_node(storage):
    node = storage.node("b64:")
    for text in ("one", "two, longer"):
        node.write(text)
        assert node.path == base64.b64encode(text.encode()).decode()
        assert node.read() == text


def test_copying_to_base64_moves_the_destination(storage):
    storage.node("ram:f").write_text("x")
    dest = storage.node("b64:")
    assert storage.node("ram:f").copy_to(dest) is dest
    assert dest.path == "eA=="
    assert dest.read() == "x"


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_opening_base64_for_writing_gives_a_buffer(storage, mode):
    """Decision 8: what is written is no longer thrown away, the node follows it."""
    node = storage.node("b64:YWJj")
    with node.open(mode) as handle:
        handle.write(b"new" if mode == "wb" else "new")
    assert node.read() == "new"


# -- 1.11: the objects behind storage._mounts -------------------------------------------------


@BOTH
def test_the_verbs_of_a_backend(storage, mount):
    backend = storage._mounts[mount]
    assert backend.write_bytes("d/f.txt", b"abc") is None
    assert backend.write_text("d/g.txt", "çà", encoding="latin-1") is None
    assert backend.exists("d/f.txt")
    assert not backend.exists("missing")
    assert (backend.is_file("d/f.txt"), backend.is_dir("d/f.txt")) == (True, False)
    assert (backend.is_file("d"), backend.is_dir("d")) == (False, True)
    assert backend.size("d/f.txt") == 3
    assert isinstance(backend.mtime("d/f.txt"), float)
    assert backend.read_bytes("d/f.txt") == b"abc"
    assert backend.read_text("d/g.txt", "latin-1") == "çà"
    assert sorted(backend.list_dir("d")) == ["f.txt", "g.txt"]
    with backend.open("d/f.txt") as handle:
        assert handle.read() == b"abc"
    with backend.open("d/f.txt", "w") as handle:
        handle.write("text")
    assert backend.get_hash("d/f.txt") is None
    assert backend.get_metadata("d/f.txt") == {}
    assert backend.get_versions("d/f.txt") == []
    assert backend.url("d/f.txt", expires_in=60) is None
    assert backend.internal_url("d/f.txt", nocache=True) is None
    assert backend.ext_attributes("d/f.txt")[1:] == (4, False)
    with backend.local_path("d/f.txt", "r") as path:
        assert Path(path).read_text() == "text"
    backend.mkdir("x/y", parents=True, exist_ok=True)
    with pytest.raises(FileExistsError):
        backend.mkdir("x/y", parents=False, exist_ok=False)
    with pytest.raises(OSError, match="not empty"):
        backend.delete("x")
    backend.delete("x", recursive=True)
    backend.delete("d/f.txt")
    assert backend.list_dir("d") == ["g.txt"]
    assert backend.copy("d/g.txt", storage._mounts["disk"], "copied") is None
    assert storage._mounts["disk"].read_bytes("copied") == b"\xe7\xe0"
    assert backend.capabilities == storage.node(f"{mount}:").capabilities
    with pytest.raises(PermissionError, match="does not support metadata"):
        backend.set_metadata("d/g.txt", {"a": "b"})
    with pytest.raises(PermissionError, match="does not support versioning"):
        backend.open_version("d/g.txt", "1", mode="rb")


@pytest.mark.parametrize("mount", ["disk", "ram", "b64"])
def test_deleting_versions_where_there_are_none(storage, mount):
    with pytest.raises(PermissionError, match="does not support version deletion"):
        storage._mounts[mount].delete_version("YWJj", "1")


def test_the_base64_backend_returns_new_paths(storage):
    backend = storage._mounts["b64"]
    assert backend.write_bytes("", b"abc") == "YWJj"
    assert backend.write_text("", "abc") == "YWJj"
    storage._mounts["ram"].write_bytes("f", b"abc")
    assert storage._mounts["ram"].copy("f", backend, "") == "YWJj"
    assert backend.get_hash("YWJj") == hashlib.md5(b"abc").hexdigest()


def test_the_root_of_a_backend(storage, tmp_path):
    assert str(storage._mounts["disk"].base_path) == str(tmp_path / "disk")
    assert storage._mounts["disk"].resolved_path("a") == str(tmp_path / "disk/a")
    assert storage._mounts["ram"].resolved_path("a") is None
    assert storage.node("disk:x")._backend.capabilities == storage._mounts["disk"].capabilities
