"""Versions and times of files in git repositories: what git itself says of them."""

from __future__ import annotations

import random
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from pygit2.enums import ObjectType

from genro_storage import (
    StorageManager,
    StorageNotFoundError,
    StorageUnsupportedError,
    StorageVersionError,
)
from tests.support.git_repositories import Link, commit, make_repository

START = 1_700_000_000


@pytest.fixture
def repository(tmp_path):
    made = make_repository(tmp_path / "repository")
    yield made
    made.free()


@pytest.fixture
def storage(tmp_path, repository):
    with StorageManager() as manager:
        manager.configure([{"name": "g", "type": "git", "path": str(tmp_path / "repository")}])
        yield manager


def at(minutes):
    return START + 60 * minutes


def ids(node):
    return [version["version_id"] for version in node.versions]


@pytest.fixture
def history(repository):
    """Four commits; the third does not touch a.txt."""
    return [
        commit(repository, {"a.txt": b"1", "d/x": b"x"}, when=at(0)),
        commit(repository, {"a.txt": b"22"}, when=at(1)),
        commit(repository, {"d/x": b"y"}, when=at(2)),
        commit(repository, {"a.txt": b"333"}, when=at(3)),
    ]


# -- versions -----------------------------------------------------------------------------------


def test_one_version_for_each_commit_that_changed_the_file(storage, history):
    node = storage.node("g:a.txt")
    first, second, third = node.versions
    assert ids(node) == [history[0], history[1], history[3]]
    assert [version["is_latest"] for version in node.versions] == [False, False, True]
    assert [version["size"] for version in node.versions] == [1, 2, 3]
    assert first["last_modified"] == datetime.fromtimestamp(at(0), UTC)
    assert third["etag"] == node.stat().etag != second["etag"]
    assert node.version_count == 3
    assert storage.node("g:d/x").version_count == 2


def test_reading_the_past(storage, history):
    node = storage.node("g:a.txt")
    for version, expected in [(0, b"1"), (-1, b"333"), (-2, b"22"), (1, b"22")]:
        with node.open("rb", version=version) as stream:
            assert stream.read() == expected
    with node.open("rb", version=history[1]) as stream:
        assert stream.read() == b"22"
    with node.open("rb", as_of=datetime.fromtimestamp(at(2), UTC)) as stream:
        assert stream.read() == b"22"
    with pytest.raises(StorageNotFoundError, match="did not exist"):
        node.open("rb", as_of=datetime.fromtimestamp(at(-1), UTC))
    with pytest.raises(IndexError, match="out of range"):
        node.open("rb", version=3)


def test_a_snapshot_is_one_version_everywhere(storage, history, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    for version in (1, history[1], history[1][:10], history[2]):
        node = storage.node("g:a.txt", version=version)
        assert node.size == 2
        assert node.mtime == at(1)
        assert node.exists and node.isfile
        assert node.read_bytes() == b"22"
        node.copy_to(storage.node("disk:copied"))
        assert (tmp_path / "copied").read_bytes() == b"22"
        assert not node.capabilities.versioning
        with node.local_path() as path, open(path, "rb") as stream:
            assert stream.read() == b"22"


def test_what_is_no_version_of_this_ref(storage, repository, history):
    other = commit(repository, {"a.txt": b"secret"}, branch="other", parents=[history[0]])
    repository.references.create(f"refs/heads/{'abcdef1'}", other)
    for version in (other, "0" * 40, "abcdef1", "other", "main", "HEAD", "abc", history[0].upper()):
        with pytest.raises(StorageNotFoundError, match=r"g:a\.txt.*no version"):
            storage.node("g:a.txt").open("rb", version=version)
        node = storage.node("g:a.txt", version=version)
        assert not node.exists
        with pytest.raises(StorageVersionError, match="no version"):
            _ = node.size
        with pytest.raises(StorageNotFoundError):
            node.read_bytes()


def test_a_file_that_was_not_there_yet(storage, repository, history):
    commit(repository, {"new.txt": b"n"}, when=at(4))
    node = storage.node("g:new.txt", version=history[0])
    assert not node.exists
    with pytest.raises(StorageNotFoundError, match=r"g:new\.txt"):
        node.read_bytes()
    with pytest.raises(StorageNotFoundError):
        storage.node("g:never.txt")._mount.versions("never.txt")


def test_removals_are_no_content(storage, repository, history):
    removed = commit(repository, {"a.txt": None}, when=at(4))
    node = storage.node("g:a.txt")
    assert not node.exists
    assert node.open("rb", version=-1).read() == b"333"
    back = commit(repository, {"a.txt": b"4444"}, when=at(6))
    versions = node._mount.versions("a.txt")
    assert [each.version_id for each in versions if not each.is_delete_marker] == [
        *(history[0], history[1], history[3], back)
    ]
    assert [each.version_id for each in versions if each.is_delete_marker] == [removed]
    assert node.open("rb", version=-2).read() == b"333"
    with pytest.raises(StorageNotFoundError, match="did not exist"):
        node.open("rb", as_of=datetime.fromtimestamp(at(5), UTC))
    with pytest.raises(StorageVersionError, match=r"no version|delete marker"):
        _ = storage.node("g:a.txt", version=removed).size


def test_renames_are_not_followed(storage, repository, history):
    commit(repository, {"a.txt": None, "b.txt": b"333"}, when=at(4))
    assert storage.node("g:b.txt").version_count == 1


def test_a_link_has_the_versions_of_its_file(storage, repository, history):
    commit(repository, {"link": Link("a.txt")}, when=at(4))
    assert ids(storage.node("g:link")) == ids(storage.node("g:a.txt"))


def test_versions_are_not_removed(storage, history):
    with pytest.raises(StorageUnsupportedError):
        storage.node("g:")._mount.delete_version("a.txt", history[0])
    assert storage.node("g:a.txt").compact_versions(dry_run=True) == 0


def test_versions_below_a_prefix(storage, repository, history, tmp_path):
    storage.add_mount(
        {"name": "d", "type": "git", "path": str(tmp_path / "repository"), "prefix": "d"}
    )
    assert ids(storage.node("d:x")) == [history[0], history[2]]
    assert storage.node("d:x", version=0).read_bytes() == b"x"
    assert storage.node("d:x").mtime == at(2)
    commit(repository, {"d/x": None, "d/z": b""})
    assert len(storage.node("d:")._mount.versions("x")) == 3


# -- times --------------------------------------------------------------------------------------


def test_the_time_is_that_of_the_last_change(storage, repository, history):
    for _ in range(2):  # the second time from memory
        assert {info.path: info.mtime for info in storage.node("g:")._mount.find("")} == {
            "a.txt": at(3),
            "d": at(2),
            "d/x": at(2),
        }
        assert storage.node("g:").mtime == at(3)
        assert storage.node("g:d").mtime == at(2)
    commit(repository, {"d/z": b""}, when=at(9))
    assert storage.node("g:d").mtime == at(9)
    assert storage.node("g:d/x").mtime == at(2)
    assert storage.node("g:a.txt").mtime == at(3)
    assert storage.node("g:").mtime == at(9)


def test_times_can_be_left_out(storage, history, tmp_path):
    storage.add_mount(
        {"name": "t", "type": "git", "path": str(tmp_path / "repository"), "times": False}
    )
    assert {info.mtime for info in storage.node("t:")._mount.find("")} == {None}
    assert storage.node("t:a.txt").mtime is None
    assert storage.node("t:a.txt").version_count == 3


def test_a_history_that_was_rewritten(storage, repository, history):
    assert storage.node("g:a.txt").mtime == at(3)
    commit(repository, {"a.txt": b"5"}, when=at(1), parents=[history[0]])
    assert storage.node("g:a.txt").mtime == at(1)
    assert storage.node("g:d/x").mtime == at(0)


def test_times_of_unusual_commits(storage, repository):
    commit(repository, {"a.txt": b"x"})
    tree = repository.head.peel().tree_id
    for seconds, year in ((2**55, 9999), (0, 1970)):
        who = f"A <a@example.org> {seconds} +0000"
        said = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nfar\n"
        odd = repository.odb.write(ObjectType.COMMIT, said.encode())
        repository.references.create("refs/heads/main", odd, force=True)
        assert storage.node("g:a.txt").mtime == seconds
        assert storage.node("g:a.txt").versions[0]["last_modified"].year == year


# -- the same as git ----------------------------------------------------------------------------


def _git(repository, *arguments):
    command = ["git", "--literal-pathspecs", "-C", repository.path, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _random_history(repository, seed):
    """Three branches that change, remove and merge files in directories small and large."""
    chance = random.Random(seed)
    many = {f"many/f{number:03}": b"0" for number in range(500)}
    base = commit(repository, {"a": b"0", "d/b": b"0", "d/e/c": b"0", **many}, when=at(0))
    heads = {"main": base, "left": base, "right": base}
    paths = ["a", "d/b", "d/e/c", "d/e/n", "new/x", "many/f007", "many/f499", "many/g"]
    for step in range(1, 60):
        branch = chance.choice(list(heads))
        parents = [heads[branch]]
        if chance.random() < 0.25:
            other = heads[chance.choice(list(heads))]
            if other not in parents:
                parents.append(other)
        changes = {}
        for path in chance.sample(paths, chance.choice([0, 1, 1, 2])):
            changes[path] = chance.choice([b"%d" % chance.randrange(4), b"%d" % step, None])
        # git orders by time and breaks ties by the order of its queue: no two are the same.
        heads[branch] = commit(repository, changes, branch=branch, parents=parents, when=at(step))
    commit(repository, {}, parents=[heads["main"], heads["left"], heads["right"]], when=at(99))
    return paths


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("seed", range(6))
def test_times_and_versions_are_those_of_git_log(storage, repository, seed):
    paths = _random_history(repository, seed)
    mount = storage.node("g:")._mount
    infos = {info.path: info for info in mount.find("")}
    for path in ("d", "d/e", "many", *paths):
        if path in infos:
            (expected,) = _git(repository, "log", "-1", "--format=%ct", "main", "--", path)
            assert infos[path].mtime == int(expected), path
            with StorageManager() as fresh:
                fresh.configure([{"name": "g", "type": "git", "path": repository.path}])
                assert fresh.node(f"g:{path}").mtime == int(expected), path
    for path in paths:
        expected = _git(repository, "log", "--format=%H", "main", "--", path)
        if expected:
            found = [each.version_id for each in mount.versions(path)]
            assert found == expected[::-1], path
    # One more commit: what is remembered serves, and is not wrong.
    commit(repository, {"d/b": b"last", "many/h": b""}, when=at(100))
    for info in mount.find(""):
        known = infos.get(info.path)
        if info.path in ("d/b", "d", "many", "many/h"):
            assert info.mtime == at(100)
        else:
            assert known is not None and info.mtime == known.mtime, info.path


def test_a_listing_that_leaves_directories_out_has_the_same_times(storage, repository, history):
    found = storage.node("g:")._mount.find("", enter=lambda info: False)
    assert {info.path: info.mtime for info in found} == {"a.txt": at(3), "d": at(2)}
