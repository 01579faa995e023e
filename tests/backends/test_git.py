"""Local git repositories: refs, names, links, submodules, errors; what is shown is a commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pygit2
import pytest
from pygit2.enums import ObjectType

from genro_storage import (
    StorageConfigError,
    StorageError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from genro_storage.testing.ground import AWKWARD_NAMES
from tests.support.git_repositories import Link, Submodule, commit, make_repository


@pytest.fixture
def path(tmp_path):
    return tmp_path / "repository"


@pytest.fixture
def repository(path):
    made = make_repository(path)
    yield made
    made.free()


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def root(storage, repository, path):
    """The root of a mount without options."""
    storage.add_mount({"name": "git", "type": "git", "path": str(path)})
    return storage.node("git:")


def names(node):
    return [child.name for child in node.children()]


def mount(storage, path, **options):
    name = f"m{len(storage.get_mount_names())}"
    storage.add_mount({"name": name, "type": "git", "path": str(path), **options})
    return storage.node(f"{name}:")


# -- configuring --------------------------------------------------------------------------------


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout


def test_configuring_opens_nothing_and_imports_no_library(tmp_path):
    code = """
import sys
from genro_storage import StorageManager
with StorageManager() as storage:
    storage.configure([{"name": "g", "type": "git", "path": sys.argv[1]}])
    assert storage.node("g:").capabilities.version_access
    print("pygit2" in sys.modules)
"""
    assert run(code, tmp_path / "nothing") == "False\n"


def test_a_missing_library_is_told_at_the_first_use(tmp_path):
    code = """
import sys
sys.modules["pygit2"] = None
from genro_storage import StorageManager, StorageMissingExtraError
with StorageManager() as storage:
    storage.configure([{"name": "g", "type": "git", "path": sys.argv[1]}])
    try:
        storage.node("g:a").exists
    except StorageMissingExtraError as error:
        print(error)
"""
    said = run(code, tmp_path)
    assert "mount 'g' (git): the module 'pygit2' is not installed" in said
    assert 'pip install "genro-storage[git]"' in said


def test_a_relative_path_belongs_into_a_configuration_file(storage, repository, tmp_path):
    commit(repository, {"a.txt": b"x"})
    with pytest.raises(StorageConfigError, match=r"mount 'g' \(git\).*not absolute"):
        storage.add_mount({"name": "g", "type": "git", "path": "repository"})
    (tmp_path / "mounts.yaml").write_text("- {name: g, type: git, path: repository}\n")
    storage.configure(str(tmp_path / "mounts.yaml"))
    assert names(storage.node("g:")) == ["a.txt"]


@pytest.mark.parametrize("key", ["path", "base_path", "fo"])
def test_the_repository_has_three_names(storage, repository, path, key):
    commit(repository, {"a.txt": b"x"})
    storage.add_mount({"name": "g", "type": "git", key: str(path)})
    assert names(storage.node("g:")) == ["a.txt"]


def test_a_path_object_will_do(storage, repository, path):
    storage.add_mount({"name": "g", "type": "git", "path": path, "ref": None})
    assert names(storage.node("g:")) == []


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"path": ""}, "path"),
        ({"path": "/a", "base_path": "/b"}, "two names of one option"),
        ({"path": "/a\0b"}, "NUL"),
        ({"path": "/a", "ref": ""}, "ref"),
        ({"path": "/a", "prefix": "../b"}, "prefix"),
        ({"path": "/a", "branch": "b"}, "branch"),
        ({}, "path"),
    ],
)
def test_wrong_options(storage, wrong, match):
    with pytest.raises(StorageConfigError, match=match):
        storage.add_mount({"name": "g", "type": "git", **wrong})


def test_it_is_not_to_be_written(storage, path):
    with pytest.raises(StorageConfigError, match="read-only"):
        mount(storage, path, permissions="readwrite")
    with pytest.raises(StorageUnsupportedError):
        (mount(storage, path) / "a.txt").write_text("x")


# -- repositories and refs ----------------------------------------------------------------------


def test_a_repository_that_is_not_there(storage, path):
    node = mount(storage, path)
    with pytest.raises(StorageNotFoundError, match=r"m0:.*does not exist; clone it.*'path'"):
        node.children()
    assert storage.node("m0:a.txt").exists is False
    with pytest.raises(StorageNotFoundError, match="does not exist"):
        node._mount.check()
    path.mkdir()
    with pytest.raises(StorageNotFoundError, match=r"is not a git repository; correct 'path'"):
        node.children()


def test_a_directory_of_a_repository_is_none(storage, tmp_path):
    made = make_repository(tmp_path / "r", bare=False)
    commit(made, {"d/a.txt": b"x"})
    (tmp_path / "r" / "d").mkdir()
    with pytest.raises(StorageNotFoundError, match="not a git repository"):
        mount(storage, tmp_path / "r" / "d").children()
    assert names(mount(storage, tmp_path / "r")) == ["d"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_a_repository_of_another_user_is_not_trusted(storage, repository, path):
    for each in [path, *path.rglob("*")]:
        os.chown(each, 65534, 65534)
    with pytest.raises(StoragePermissionError, match=r"m0:.*another user.*safe\.directory") as info:
        mount(storage, path).children()
    assert str(path) in str(info.value)


def test_a_damaged_repository(storage, repository, path):
    commit(repository, {"a.txt": b"x", "b.txt": b"y"})
    lost = pygit2.hash(b"x")
    (path / "objects" / str(lost)[:2] / str(lost)[2:]).unlink()
    node = mount(storage, path)
    # The name is there, as it is in a partial clone.
    assert [(child.name, child._look().size) for child in node.children()] == [
        ("a.txt", None),
        ("b.txt", 1),
    ]
    with pytest.raises(StorageError, match=r"m0:a\.txt.*damaged or a partial clone"):
        (node / "a.txt").read_bytes()
    assert (node / "b.txt").read_bytes() == b"y"


def test_without_commits_it_is_empty(root, storage, path, repository):
    assert root.isdir
    assert names(root) == []
    assert not (root / "a.txt").exists
    assert names(mount(storage, path, ref="main")) == []
    with pytest.raises(
        StorageNotFoundError, match="the ref 'other' does not exist; branches: none"
    ):
        mount(storage, path, ref="other").children()
    commit(repository, {"a.txt": b"x"})
    assert names(root) == ["a.txt"]


def test_the_default_is_head_whatever_the_branch_is_called(tmp_path, storage):
    made = pygit2.init_repository(str(tmp_path / "r"), bare=True, initial_head="trunk")
    commit(made, {"a.txt": b"x"}, branch="trunk")
    assert names(mount(storage, tmp_path / "r")) == ["a.txt"]


def test_every_kind_of_ref(storage, repository, path):
    first = commit(repository, {"first": b""})
    second = commit(repository, {"second": b""})
    commit(repository, {"third": b""})
    commit(repository, {"side": b""}, branch="feature/x#1%", parents=[first])
    who = pygit2.Signature("A", "a@example.org")
    repository.create_tag("v2", pygit2.Oid(hex=second), ObjectType.COMMIT, who, "annotated")
    repository.references.create("refs/tags/light", second)
    for ref in ("v2", "light", second, second[:8], "main~1", "refs/tags/v2"):
        assert names(mount(storage, path, ref=ref)) == ["first", "second"], ref
    assert names(mount(storage, path, ref="feature/x#1%")) == ["first", "side"]
    assert names(mount(storage, path, ref="main")) == ["first", "second", "third"]


def test_a_ref_that_leads_nowhere(storage, repository, path):
    id_ = commit(repository, {"a.txt": b"x"})
    repository.references.create("refs/tags/v1", id_)
    blob = repository.references.create("refs/tags/blob", pygit2.hash(b"x"))
    assert blob.target
    with pytest.raises(StorageNotFoundError) as caught:
        mount(storage, path, ref="mian").children()
    assert "the ref 'mian' does not exist; branches: main; tags: blob, v1" in str(caught.value)
    assert "m0:" in str(caught.value)
    with pytest.raises(StorageNotFoundError, match="it is a blob"):
        mount(storage, path, ref="blob").children()
    for number in range(12):
        repository.references.create(f"refs/heads/b{number:02}", id_)
    with pytest.raises(StorageNotFoundError, match="b09 and 3 more"):
        mount(storage, path, ref="mian").children()


def test_a_branch_that_moves_is_followed(root, repository):
    commit(repository, {"a.txt": b"1"})
    node = root / "a.txt"
    assert node.read_bytes() == b"1"
    commit(repository, {"a.txt": b"22", "b.txt": b""})
    assert node.read_bytes() == b"22"
    assert names(root) == ["a.txt", "b.txt"]


def test_a_listing_is_of_one_commit(root, repository):
    commit(repository, {"a/1.txt": b"", "b/1.txt": b""})
    for verb in (root._mount.find, root._mount.scan):
        listing = verb("")
        before = [next(listing).path]
        commit(repository, {"a/2.txt": b"", "b/2.txt": b"", "c": b""})
        assert not [info.path for info in listing if "2" in info.path or info.path == "c"]
        commit(repository, {"a/2.txt": None, "b/2.txt": None, "c": None})
        assert before


def test_a_prefix_is_the_root(storage, repository, path):
    commit(repository, {"docs/en/a.txt": b"x", "docs/b.txt": b"y", "c.txt": b"z"})
    node = mount(storage, path, prefix="/docs/en/")
    assert names(node) == ["a.txt"]
    assert (node / "a.txt").read_bytes() == b"x"
    for wrong in ("nothing", "c.txt", "c.txt/d"):
        with pytest.raises(StorageNotFoundError, match=f"no directory '{wrong}'.*'prefix'"):
            mount(storage, path, prefix=wrong).children()


def test_a_repository_that_is_made_anew(root, repository, path):
    commit(repository, {"a.txt": b"old"})
    assert (root / "a.txt").read_bytes() == b"old"
    shutil.rmtree(path)
    with pytest.raises(StorageNotFoundError, match="does not exist"):
        root.children()
    commit(make_repository(path), {"b.txt": b"new"})
    assert (root / "b.txt").read_bytes() == b"new"


def test_mounts_of_one_commit_show_one_place(storage, repository, path):
    commit(repository, {"d/a.txt": b"x"})
    one, other = mount(storage, path), mount(storage, path, ref="main", prefix="d")
    assert one._mount.same_place("d/a.txt", other._mount, "a.txt")
    before = mount(storage, path, ref=str(repository.head.target))
    commit(repository, {"d/a.txt": b"y"})
    assert not one._mount.same_place("d/a.txt", before._mount, "d/a.txt")
    assert one / "d/a.txt" != before / "d/a.txt"


def test_nothing_of_the_repository_is_run(storage, tmp_path):
    made = make_repository(tmp_path / "r", bare=False)
    witness = tmp_path / "witness"
    made.config["filter.bad.smudge"] = f"touch {witness}"
    made.config["filter.bad.required"] = "true"
    made.config["core.fsmonitor"] = f"touch {witness}"
    commit(made, {".gitattributes": b"* filter=bad text eol=crlf\n", "a.txt": b"x\n"})
    node = mount(storage, tmp_path / "r")
    assert (node / "a.txt").read_bytes() == b"x\n"
    assert len(list(node.walk())) == 1
    assert not witness.exists()


# -- names and kinds ----------------------------------------------------------------------------


def test_every_awkward_name(root, repository):
    commit(repository, {f"d/{name}": name.encode() for name in AWKWARD_NAMES})
    commit(repository, {f"{name}/inside": name.encode() for name in AWKWARD_NAMES})
    assert sorted(names(root / "d")) == sorted(AWKWARD_NAMES)
    for name in AWKWARD_NAMES:
        assert (root / "d" / name).read_bytes() == name.encode()
        assert (root / name).isdir
        assert [info.path for info in root._mount.find(name)] == [f"{name}/inside"]
        assert len((root / "d" / name).versions) == 1
        assert (root / "d" / name).mtime is not None


def test_names_that_are_not_utf8(root, repository, storage, tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    commit(repository, {name: b"latin", f"{name}.d/x": b"below"})
    assert names(root) == sorted([name, f"{name}.d"])
    assert (root / name).read_bytes() == b"latin"
    assert (root / name).mtime is not None
    assert len((root / name).versions) == 1
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    root.copy_to(storage.node("disk:copied"))
    assert (tmp_path / "copied" / name).read_bytes() == b"latin"


def test_a_directory_is_no_file(root, repository):
    commit(repository, {"d/a.txt": b"x"})
    for node in (root, root / "d"):
        with pytest.raises(StorageIsDirectoryError):
            node.read_bytes()
        with pytest.raises(StorageIsDirectoryError):
            node._mount.versions(node._path)
    info = (root / "d/a.txt").stat()
    assert (info.path, info.name, info.size) == ("d/a.txt", "a.txt", 1)
    assert info.etag == str(pygit2.hash(b"x"))


def test_links_inside_are_followed(root, repository):
    commit(
        repository,
        {
            "real/a.txt": b"here",
            "real/up": Link("../real/a.txt"),
            "file": Link("real/a.txt"),
            "dir": Link("real"),
            "twice": Link("dir/up"),
        },
    )
    for name in ("file", "dir/a.txt", "twice", "dir/up"):
        assert (root / name).read_bytes() == b"here", name
        assert (root / name).size == 4
    kinds = {info.name: (info.type, info.symlink, info.size) for info in root._mount.scan("")}
    assert kinds == {
        "dir": ("directory", True, None),
        "file": ("file", True, 4),
        "real": ("directory", False, None),
        "twice": ("file", True, 4),
    }
    assert (root / "file").stat().symlink
    assert (root / "file").mtime == (root / "real/a.txt").mtime
    assert [info.path for info in root._mount.find("dir")] == ["dir/a.txt", "dir/up"]
    found = [info.path for info in root._mount.find("")]
    assert found == ["dir", "dir/a.txt", "dir/up", "file", "real", "real/a.txt", "real/up", "twice"]


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("missing", StorageNotFoundError),
        ("a.txt/below", StorageError),
        ("/etc/passwd", StoragePermissionError),
        ("../outside", StoragePermissionError),
        ("../../etc/passwd", StoragePermissionError),
        ("link", StoragePermissionError),
    ],
)
def test_links_that_lead_nowhere_or_out_are_links(storage, repository, path, target, error):
    commit(repository, {"in/a.txt": b"x", "outside": b"secret", "in/link": Link(target)})
    node = mount(storage, path, prefix="in")
    assert names(node) == ["a.txt", "link"]
    for info in ((node / "link").stat(), [*node._mount.scan("")][1], [*node._mount.find("")][1]):
        assert (info.type, info.size, info.symlink) == ("link", None, True)
    assert not (node / "link").exists
    with pytest.raises(error):
        (node / "link").read_bytes()


def test_links_in_circles_end(root, repository):
    commit(repository, {"d/self": Link("."), "d/e/up": Link(".."), "d/a.txt": b"x"})
    found = {info.path: info.type for info in root._mount.find("")}
    assert found["d/a.txt"] == "file"
    assert found["d/self"] == found["d/e/up"] == "link"
    assert (root / "d/self/self/e/up/a.txt").read_bytes() == b"x"


def test_a_submodule_is_something_else(root, repository, storage, tmp_path):
    commit(repository, {"sub": Submodule("1" * 40), "a.txt": b"x"})
    assert {info.name: info.type for info in root._mount.scan("")} == {
        "a.txt": "file",
        "sub": "other",
    }
    assert (root / "sub").exists
    assert not (root / "sub").isfile and not (root / "sub").isdir
    with pytest.raises(StorageUnsupportedError, match="submodule"):
        (root / "sub").read_bytes()
    assert not (root / "sub/x").exists
    assert [info.path for info in root._mount.find("")] == ["a.txt", "sub"]


# -- in many threads ----------------------------------------------------------------------------


def test_eight_threads_share_a_mount(root, repository):
    files = {f"d{number % 7}/f{number}": b"%d" % number * 100 for number in range(200)}
    commit(repository, files)

    def work(offset):
        for path in list(files)[offset::8]:
            assert (root / path).read_bytes() == files[path]
            assert (root / path).mtime is not None
            assert len((root / path).versions) == 1
        return len(list(root._mount.find("")))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {207}
    root._mount.close()
    assert (root / "d0/f0").read_bytes() == b"0" * 100


def test_a_stream_outlives_the_thread_and_the_mount(root, repository):
    commit(repository, {"a.bin": bytes(range(256)) * 1000})
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(lambda: root._mount.open_read("a.bin")).result()
    root._mount.close()
    with stream:
        assert stream.read() == bytes(range(256)) * 1000
        assert stream.seek(-1, os.SEEK_END) == 255_999
        assert stream.read() == b"\xff"
