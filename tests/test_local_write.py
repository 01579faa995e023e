"""What a local write keeps of the file that it replaces, and what it never leaves behind."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

import pytest

from genro_storage import StorageManager
from genro_storage.backends import local_write
from genro_storage.backends.local import LocalBackend

IS_ROOT = os.geteuid() == 0

WAYS = {
    "write_bytes": lambda node: node.write_bytes(b"new"),
    "open w": lambda node: write(node, "wb"),
    "open r+": lambda node: write(node, "r+b"),
    "copy": lambda node: source(node).copy_to(node),
    "copy from memory": lambda node: source(node).copy_to("ram:f").copy_to(node),
}


def write(node, mode):
    with node.open(mode) as handle:
        handle.write(b"new")


def source(node):
    made = node._manager.node("disk:source")
    made.write_bytes(b"new")
    return made


@pytest.fixture
def storage(tmp_path):
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(tmp_path)},
            {"name": "ram", "type": "memory"},
        ]
    )
    return made


@pytest.fixture(params=WAYS)
def rewrite(request):
    return WAYS[request.param]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_the_mode_of_a_file_stays(storage, tmp_path, rewrite, mode):
    file = tmp_path / "f"
    file.write_bytes(b"old")
    file.chmod(mode)
    rewrite(storage.node("disk:f"))
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_gets_its_mode_from_the_umask(storage, tmp_path, umask):
    before = os.umask(umask)
    try:
        storage.node("disk:one").write_bytes(b"x")
        with storage.node("disk:two").open("wb") as handle:
            handle.write(b"x")
        storage.node("disk:three").touch()
    finally:
        os.umask(before)
    for name in ("one", "two", "three"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_the_owner_of_a_file_stays(storage, tmp_path, rewrite):
    file = tmp_path / "f"
    file.write_bytes(b"old")
    os.chown(file, 12345, 23456)
    rewrite(storage.node("disk:f"))
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


def test_extended_attributes_stay(storage, tmp_path, rewrite):
    file = tmp_path / "f"
    file.write_bytes(b"old")
    try:
        os.setxattr(file, "user.genro", b"kept")
    except OSError as error:
        pytest.skip(f"this file system keeps no extended attributes: {error}")
    rewrite(storage.node("disk:f"))
    assert os.getxattr(file, "user.genro") == b"kept"


def test_an_extended_attribute_that_is_refused_does_not_cost_the_others(
    storage, tmp_path, rewrite, monkeypatch
):
    file = tmp_path / "f"
    file.write_bytes(b"old")
    attributes = [f"user.genro{number}" for number in range(4)]
    try:
        for name in attributes:
            os.setxattr(file, name, b"kept")
    except OSError as error:
        pytest.skip(f"this file system keeps no extended attributes: {error}")
    setxattr, refused = os.setxattr, os.listxattr(file)[0]

    def set_most(path, name, value):
        if name == refused:
            raise PermissionError(errno.EPERM, "only root may set this")
        setxattr(path, name, value)

    monkeypatch.setattr(os, "setxattr", set_most)
    rewrite(storage.node("disk:f"))
    assert sorted(os.listxattr(file)) == sorted(set(attributes) - {refused})


def test_the_other_names_of_a_hard_linked_file_keep_the_old_content(storage, tmp_path, rewrite):
    (tmp_path / "other").write_bytes(b"old")
    os.link(tmp_path / "other", tmp_path / "f")
    rewrite(storage.node("disk:f"))
    assert (tmp_path / "f").read_bytes() == b"new"
    assert (tmp_path / "other").read_bytes() == b"old"


def test_writing_through_a_link_replaces_what_it_leads_to(storage, tmp_path, rewrite):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "f").symlink_to("real")
    rewrite(storage.node("disk:f"))
    assert (tmp_path / "f").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_handle_that_is_dropped_writes_nothing_and_says_so(storage, tmp_path):
    storage.node("disk:f").write_bytes(b"old")
    handle = storage.node("disk:f").open("wb")
    handle.write(b"new")
    with pytest.warns(ResourceWarning, match="disk:f"):
        del handle
    assert (tmp_path / "f").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_abort_leaves_everything_as_it_was(storage, tmp_path):
    handle = storage.node("disk:f").open("wb")
    handle.write(b"new")
    handle.abort()
    handle.close()
    assert os.listdir(tmp_path) == []


def test_two_handles_on_one_name_do_not_mix(storage, tmp_path):
    one, two = storage.node("disk:f").open("wb"), storage.node("disk:f").open("wb")
    one.write(b"one" * 100_000)
    two.write(b"two" * 100_000)
    one.close()
    assert (tmp_path / "f").read_bytes() == b"one" * 100_000
    two.close()
    assert (tmp_path / "f").read_bytes() == b"two" * 100_000
    assert os.listdir(tmp_path) == ["f"]


def test_a_forked_child_that_ends_does_not_end_its_parents_write(storage, tmp_path):
    handle = storage.node("disk:f").open("wb")
    handle.write(b"whole" * 100_000)
    pid = os.fork()
    if pid == 0:
        handle.raw.inner.abort()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    handle.close()
    assert (tmp_path / "f").read_bytes() == b"whole" * 100_000


def test_without_locks_a_living_writers_file_is_not_taken_for_a_stale_one(
    storage, tmp_path, monkeypatch
):
    def no_locks(*args):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(local_write.fcntl, "flock", no_locks)
    one = storage.node("disk:f").open("wb")
    one.write(b"one")
    storage.node("disk:f").write_bytes(b"two")
    assert storage.cleanup("disk") == 0
    one.close()
    assert (tmp_path / "f").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["f"]
    assert fcntl.flock is no_locks


def test_a_leftover_that_cannot_be_judged_is_no_obstacle(storage, tmp_path):
    """A directory, or another user's file, where the temporary file would go."""
    os.mkdir(local_write._temporary_path(str(tmp_path), "f", 0))
    storage.node("disk:f").write_bytes(b"x")
    assert (tmp_path / "f").read_bytes() == b"x"


def test_temporary_files_are_not_listed(storage, tmp_path):
    with storage.node("disk:f").open("wb") as handle:
        handle.write(b"x" * 1_000_000)
        assert storage.node("disk:").children() == []
        assert list(storage.node("disk:").rglob("*")) == []
    assert [child.name for child in storage.node("disk:").children()] == ["f"]


def test_a_write_with_fsync_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    storage = StorageManager()
    storage.configure([{"name": "d", "type": "local", "path": str(tmp_path), "fsync": True}])
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append("fsync") or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append("rename") or replace(a, b))
    storage.node("d:f").write_bytes(b"old")
    events.clear()
    storage.node("d:f").write_bytes(b"new")
    assert events == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize("existing", [False, True])
def test_fsync_reaches_the_disk_before_the_name_does(tmp_path, monkeypatch, existing):
    backend = LocalBackend(tmp_path, fsync=True)
    if existing:
        (tmp_path / "f").write_bytes(b"old")
    order = []
    for name in ("fsync", "replace", "link"):
        real = getattr(os, name)

        def spy(*arguments, _real=real, _name=name, **options):
            order.append(_name)
            return _real(*arguments, **options)

        monkeypatch.setattr(os, name, spy)
    backend.write_bytes("f", b"new")
    # The content, the name, and the directory that holds the name.
    assert order == ["fsync", "replace" if existing else "link", "fsync"]


def test_a_directory_that_took_the_name_meanwhile_leaves_no_stray_file(storage, tmp_path):
    handle = storage.node("disk:f").open("wb")
    handle.write(b"x")
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        handle.close()
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_copy_onto_a_file_replaces_it_whole_each_time(tmp_path, size):
    backend = LocalBackend(tmp_path)
    for turn in range(3):
        content = bytes([turn]) * (size + turn)
        backend.write_bytes("source", content)
        backend.copy("source", "d/target")
        assert (tmp_path / "d/target").read_bytes() == content
        assert (tmp_path / "d/target").stat().st_mtime_ns == (
            tmp_path / "source"
        ).stat().st_mtime_ns
    backend.copy("source", "d/other")
    assert sorted(os.listdir(tmp_path / "d")) == ["other", "target"]
