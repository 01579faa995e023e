"""What code written for 0.4 relies on: programs, values, configuration, permissions, backends.

Where this library deviates on purpose, the decision is asserted instead and says so.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import sys
import threading
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired

import pytest

from genro_storage import (
    BackendCapabilities,
    SkipStrategy,
    StorageConfigError,
    StorageManager,
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
