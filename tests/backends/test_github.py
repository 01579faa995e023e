"""GitHub: what is asked, what it refuses and why, and that nothing of the token is told."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pygit2
import pytest
from pygit2.enums import ObjectType

from genro_storage import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageVersionError,
)
from genro_storage.testing.ground import AWKWARD_NAMES
from tests.services.github import ORG, TOKEN
from tests.support.git_repositories import Link, Submodule, commit

pytestmark = pytest.mark.services
START = 1_700_000_000


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def named(github):
    name, repository = github.new_repository()
    yield name, repository
    repository.free()


@pytest.fixture
def repository(named):
    return named[1]


@pytest.fixture
def mount(storage, github, named):
    """Mounts the repository with further options; returns the root's node."""

    def make(**options):
        name = f"m{len(storage.get_mount_names())}"
        base = {"org": ORG, "repo": named[0], "base_url": github.url, "token": TOKEN}
        storage.add_mount({"name": name, "type": "github", "retries": 0, **base, **options})
        return storage.node(f"{name}:")

    return make


@pytest.fixture
def root(mount):
    return mount()


def names(node):
    return [child.name for child in node.children()]


def asked(github):
    """The requests since the last call, without what all their paths begin with."""
    return [
        (each["path"].split("/repos/")[-1].partition("/")[2].partition("/")[2], each["status"])
        for each in github.requests()
    ]


def at(minutes):
    return START + 60 * minutes


# -- configuring --------------------------------------------------------------------------------


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    ).stdout


def test_configuring_asks_nothing_and_imports_no_client():
    code = """
import socket, sys
from genro_storage import StorageManager
socket.socket.connect = None
with StorageManager() as storage:
    storage.configure([{"name": "g", "type": "github", "org": "o", "repo": "r"}])
    assert storage.node("g:").capabilities.version_access
    print({"httpx", "pygit2", "fsspec", "requests"} & set(sys.modules))
"""
    assert run(code) == "set()\n"


def test_a_missing_client_is_told_at_the_first_use():
    code = """
import sys
sys.modules["httpx"] = None
from genro_storage import StorageManager, StorageMissingExtraError
with StorageManager() as storage:
    storage.configure([{"name": "g", "type": "github", "org": "o", "repo": "r"}])
    try:
        storage.node("g:a").exists
    except StorageMissingExtraError as error:
        print(error)
"""
    said = run(code)
    assert "mount 'g' (github): the module 'httpx' is not installed" in said
    assert 'pip install "genro-storage[github]"' in said


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"repo": "a/b"}, "repo"),
        ({"org": ".."}, "org"),
        ({"ref": "a b"}, "ref"),
        ({"ref": "../../x"}, "ref"),
        ({"ref": ""}, "ref"),
        ({"ref": "a", "sha": "b"}, "two names of one option"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "https://u:hunter2@x"}, "use 'token'"),
        ({"base_url": "https://x:port"}, "base_url"),
        ({"base_url": "http://ghe.example/api/v3", "token": "hunter2"}, "unencrypted"),
        ({"base_url": "HTTP://ghe.example/api/v3", "token": "hunter2"}, "unencrypted"),
        ({"username": "me"}, "'username' needs a 'token'"),
        ({"token": "hunter2\n"}, "line end"),
        ({"token": "hunter2é"}, "line end"),
        ({"prefix": "../x"}, "prefix"),
        ({"timeout": 0}, "timeout"),
        ({"refresh": -1}, "refresh"),
    ],
)
def test_wrong_options(storage, wrong, match):
    with pytest.raises(StorageConfigError, match=match) as caught:
        storage.add_mount({"name": "g", "type": "github", "org": "o", "repo": "r", **wrong})
    assert "hunter2" not in str(caught.value)


def test_the_token_is_shown_nowhere(github, mount):
    node = mount(token="ghp_hunter2")
    backend = node._mount.backend
    with pytest.raises(StoragePermissionError) as caught:
        node.children()
    told = [repr(caught.value), str(caught.value.__cause__), node.url(), backend.address("")]
    told += [repr(backend._source), repr(node), repr(node._mount)]
    assert "hunter2" not in str(told)


# -- refs ---------------------------------------------------------------------------------------


def test_the_default_branch_is_the_repositorys(mount, repository):
    repository.set_head("refs/heads/trunk")
    commit(repository, {"a.txt": b"x"}, branch="trunk")
    commit(repository, {"b.txt": b"x"}, branch="other")
    assert names(mount()) == ["a.txt"]


def test_every_kind_of_ref(mount, repository):
    first = commit(repository, {"first": b""})
    second = commit(repository, {"second": b""})
    commit(repository, {"third": b""})
    commit(repository, {"side": b""}, branch="feature/x#1%", parents=[first])
    repository.references.create("refs/tags/v2", second)
    for ref in ("v2", second, second[:8]):
        assert names(mount(ref=ref)) == ["first", "second"], ref
    assert names(mount(sha="feature/x#1%")) == ["first", "side"]


def test_a_branch_that_moves_is_followed(root, repository, mount):
    patient = mount(refresh=3600)
    commit(repository, {"a.txt": b"1"})
    assert (root / "a.txt").read_bytes() == (patient / "a.txt").read_bytes() == b"1"
    commit(repository, {"a.txt": b"22"})
    assert (root / "a.txt").read_bytes() == b"22"
    assert (patient / "a.txt").read_bytes() == b"1"
    patient._mount.check()
    assert (patient / "a.txt").read_bytes() == b"22"


def test_a_ref_that_is_not_there(mount, repository):
    commit(repository, {"a.txt": b""})
    for ref in ("mian", "0" * 40, "feature/nothing"):
        with pytest.raises(
            StorageNotFoundError, match=f"no branch.*'{ref}' in .*branches: main\\)"
        ):
            mount(ref=ref).children()


def test_without_commits_it_is_empty(root, mount, repository):
    assert names(root) == []
    assert root.isdir and not (root / "a").exists
    assert names(mount(ref="main")) == []
    commit(repository, {"a.txt": b""})
    assert names(root) == ["a.txt"]


def test_a_prefix_is_the_root(mount, repository):
    commit(repository, {"docs/en/a.txt": b"x", "c.txt": b"z"})
    node = mount(prefix="docs/en")
    assert names(node) == ["a.txt"]
    assert (node / "a.txt").read_bytes() == b"x"
    assert (node / "a.txt").version_count == 1
    with pytest.raises(StorageNotFoundError, match=r"no directory 'c\.txt'"):
        mount(path="c.txt").children()


# -- what is asked ------------------------------------------------------------------------------


def test_what_is_known_is_not_asked_again(root, github, repository):
    commit(repository, {"d/a.txt": b"x", "d/b.txt": b"y"})
    assert names(root / "d") == ["a.txt", "b.txt"]
    asked(github)
    for step in (lambda: names(root / "d"), lambda: (root / "d/a.txt").size):
        step()
        # Not modified: GitHub does not count it.
        assert asked(github) == [("commits?per_page=1", 304)]
    pinned = (root / "d/a.txt").read_bytes()
    assert pinned == b"x"
    assert [status for _, status in asked(github)] == [304, 200]


def test_a_commit_by_its_id_is_never_asked_for_again(mount, github, repository):
    id_ = commit(repository, {"a.txt": b"x"})
    node = mount(ref=id_)
    assert names(node) == ["a.txt"]
    asked(github)
    assert (node / "a.txt").size == 1
    assert asked(github) == []
    node._mount.check()
    assert asked(github) == [("", 200)]


def test_a_tree_is_found_by_one_request(root, github, repository):
    files = {f"d{number}/e/f{number}": b"%d" % number for number in range(30)}
    commit(repository, files)
    asked(github)
    assert len(list(root._mount.find(""))) == 90
    assert [path.partition("?")[2] for path, _ in asked(github)] == ["per_page=1", "recursive=1"]
    assert len(list(root._mount.find(""))) == 90
    assert [status for _, status in asked(github)] == [304]


def test_a_tree_that_is_cut_short_is_listed_by_directories(mount, root, github, repository):
    files = {f"d{number}/e/f{number}": b"%d" % number for number in range(8)}
    commit(repository, files)
    github.control(truncate=5)
    found = [info.path for info in root._mount.find("")]
    assert sorted(path for path in found if "/f" in path) == sorted(files)
    github.control(truncate_one=5)
    for step in (lambda: names(mount()), lambda: list(mount()._mount.scan(""))):
        with pytest.raises(StorageError, match="lists only 5 entries"):
            step()


def test_a_listing_is_of_one_commit(root, repository):
    commit(repository, {"a/1": b"", "b/1": b""})
    listing = root._mount.find("")
    next(listing)
    commit(repository, {"a/2": b"", "b/2": b""})
    assert [info.path for info in listing] == ["a/1", "b", "b/1"]


# -- names and kinds ----------------------------------------------------------------------------


def test_every_awkward_name(root, repository, storage):
    commit(repository, {f"d/{name}": name.encode() for name in AWKWARD_NAMES})
    commit(repository, {f"{name}/inside": name.encode() for name in AWKWARD_NAMES})
    assert sorted(names(root / "d")) == sorted(AWKWARD_NAMES)
    for name in AWKWARD_NAMES:
        assert (root / "d" / name).read_bytes() == name.encode()
        assert [info.path for info in root._mount.find(name)] == [f"{name}/inside"]
        assert len((root / "d" / name).versions) == 1


@pytest.mark.parametrize("kind", ["github", "git"])
def test_names_that_lead_elsewhere_are_left_out(root, repository, storage, kind):
    """A tree that git itself would not check out, made by hand."""
    blob = repository.create_blob(b"x")

    def tree(*entries):
        raw = (b"%o %b\0" % (mode, name) + bytes.fromhex(str(id_)) for mode, name, id_ in entries)
        return repository.odb.write(ObjectType.TREE, b"".join(raw))

    leaf = tree((0o100644, b"x", blob))
    below = tree((0o100644, b".", blob), (0o40000, b"..", leaf), (0o100644, b"ok", blob))
    top = tree((0o40000, b"..", leaf), (0o40000, b"d", below), (0o100644, b"good", blob))
    who = pygit2.Signature("A", "a@example.org", START, 0)
    repository.create_commit("refs/heads/main", who, who, "m", top, [])
    if kind == "git":
        storage.add_mount({"name": "local", "type": "git", "path": repository.path})
        root = storage.node("local:")
    assert [node.path for node in root.rglob("*")] == ["d", "d/ok", "good"]
    assert names(root / "d") == ["ok"]


def test_links_and_submodules(root, repository):
    commit(
        repository,
        {
            "d/a.txt": b"here",
            "file": Link("d/a.txt"),
            "dir": Link("d"),
            "out": Link("../x"),
            "sub": Submodule("1" * 40),
        },
    )
    kinds = {info.path: (info.type, info.size) for info in root._mount.find("")}
    assert kinds == {
        "d": ("directory", None),
        "d/a.txt": ("file", 4),
        "dir": ("directory", None),
        "dir/a.txt": ("file", 4),
        "file": ("file", 4),
        "out": ("link", None),
        "sub": ("other", None),
    }
    assert (root / "dir/a.txt").read_bytes() == (root / "file").read_bytes() == b"here"
    with pytest.raises(StorageUnsupportedError, match="submodule"):
        (root / "sub").read_bytes()
    with pytest.raises(StoragePermissionError, match="leads out"):
        (root / "out").read_bytes()
    with pytest.raises(StorageIsDirectoryError):
        (root / "d").read_bytes()
    assert root.mtime is (root / "file").mtime is None


# -- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_ranges_and_seeking(github, root, repository, ranges):
    data = b"".join(b"%07d\n" % number for number in range(500_000))  # 4 MB
    commit(repository, {"big.bin": data})
    github.control(ranges=ranges)
    read = root._mount.read_bytes
    assert read("big.bin", 3_000_000, 3_000_010) == data[3_000_000:3_000_010]
    assert read("big.bin", len(data) - 5) == data[-5:]
    assert read("big.bin", len(data)) == read("big.bin", 10, 10) == b""
    assert read("big.bin", len(data) - 5, len(data) + 5) == data[-5:]
    github.requests()
    with (root / "big.bin").open("rb") as stream:
        for position in (10, 3_000_000, 3_500_000, 0, len(data) - 3, 2_000_000):
            assert stream.seek(position) == position
            assert stream.read(20) == data[position : position + 20]
        assert stream.seek(-2, os.SEEK_END) == len(data) - 2
        assert stream.read() == data[-2:]
        assert stream.seek(5, os.SEEK_END) == len(data) + 5
        assert stream.read() == b""


def test_a_large_file_takes_little_memory(github, root, repository, storage, tmp_path):
    import tracemalloc

    size = 48 * 1024 * 1024
    commit(repository, {"big.bin": bytes(size)})
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    assert (root / "big.bin").size == size
    tracemalloc.start()
    try:
        (root / "big.bin").copy_to(storage.node("disk:big.bin"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "big.bin").stat().st_size == size
    assert peak < 16 * 1024 * 1024


def test_a_file_above_githubs_limit(github, root, repository):
    commit(repository, {"big.bin": bytes(1001)})
    github.control(largest_blob=1000)
    with pytest.raises(StorageError, match="no file above 100 MB") as caught:
        (root / "big.bin").read_bytes()
    assert not isinstance(caught.value, StoragePermissionError)


def test_eight_threads_share_a_mount(root, repository):
    files = {f"d{number % 7}/f{number}": b"%d" % number * 100 for number in range(80)}
    commit(repository, files)

    def work(offset):
        for path in list(files)[offset::8]:
            assert (root / path).read_bytes() == files[path]
        return len(list(root._mount.find("")))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(8))) == {87}


def test_many_open_streams_do_not_wait_for_each_other(root, repository):
    commit(repository, {"a.bin": bytes(4_000_000)})
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(root._mount.open_read("a.bin")) for _ in range(12)]
        assert all(stream.read(10) == bytes(10) for stream in streams)


# -- versions -----------------------------------------------------------------------------------


@pytest.fixture
def history(repository):
    return [
        commit(repository, {"a.txt": b"1", "d/x": b"x"}, when=at(0)),
        commit(repository, {"a.txt": b"22"}, when=at(1)),
        commit(repository, {"d/x": b"y"}, when=at(2)),
        commit(repository, {"a.txt": b"333"}, when=at(3)),
    ]


def test_versions(root, storage, history):
    node = root / "a.txt"
    assert [version["version_id"] for version in node.versions] == [
        *(history[0], history[1], history[3])
    ]
    assert [version["is_latest"] for version in node.versions] == [False, False, True]
    assert [version["size"] for version in node.versions] == [None, None, 3]
    assert node.versions[0]["last_modified"] == datetime.fromtimestamp(at(0), UTC)
    for version, expected in [(0, b"1"), (-1, b"333"), (1, b"22"), (history[1][:9], b"22")]:
        with node.open("rb", version=version) as stream:
            assert stream.read() == expected
    with node.open("rb", as_of=datetime.fromtimestamp(at(2), UTC)) as stream:
        assert stream.read() == b"22"
    for version in (1, history[1], history[1][:9], history[2]):
        old = storage.node("m0:a.txt", version=version)
        assert (old.size, old.mtime, old.read_bytes()) == (2, at(1), b"22")


def test_versions_of_many_pages(root, repository, github):
    for number in range(205):
        commit(repository, {"a.txt": b"%d" % number}, when=at(number))
    asked(github)
    assert root.child("a.txt").version_count == 205
    assert len([path for path, _ in asked(github) if "per_page=100" in path]) == 3
    with (root / "a.txt").open("rb", version=-100) as stream:
        assert stream.read() == b"105"


def test_long_histories_are_not_kept_in_memory(root, repository):
    """An answer of a hundred commits with long messages, for each of many files."""
    who = pygit2.Signature("A", "a@example.org", START, 0)
    parents, entries = [], 20
    for number in range(50):
        builder = repository.TreeBuilder()
        for name in range(entries):
            blob = repository.create_blob(f"{number} {name}".encode())
            builder.insert(f"{name}.txt", blob, 0o100644)
        tree = builder.write()
        parents = [repository.create_commit(None, who, who, "word " * 1600, tree, parents)]
    repository.references.create("refs/heads/main", parents[0])
    assert len((root / "0.txt").versions) == 50
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert all(len((root / f"{name}.txt").versions) == 50 for name in range(entries))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 2_000_000
    finally:
        tracemalloc.stop()


def test_commits_of_forks_and_other_branches_are_no_versions(root, storage, repository, history):
    other = commit(repository, {"a.txt": b"evil"}, branch="pull", parents=[history[3]])
    for version in (other, other[:10], "0" * 40, "main", "pull", "abc"):
        with pytest.raises(StorageNotFoundError, match=r"m0:a\.txt.*no version"):
            (root / "a.txt").open("rb", version=version)
        with pytest.raises(StorageVersionError, match="no version"):
            _ = storage.node("m0:a.txt", version=version).size


def test_a_file_that_was_removed_keeps_its_versions(root, repository, history):
    commit(repository, {"a.txt": None}, when=at(4))
    node = root / "a.txt"
    assert not node.exists
    with node.open("rb", version=-1) as stream:
        assert stream.read() == b"333"
    with pytest.raises(StorageNotFoundError, match="did not exist"):
        node.open("rb", as_of=datetime.fromtimestamp(at(5), UTC))
    with pytest.raises(StorageNotFoundError):
        root._mount.versions("never.txt")


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"username": "me"}], ids=["bearer", "basic"])
def test_the_token_is_sent(mount, github, repository, options):
    commit(repository, {"a.txt": b""})
    github.control(private=True)
    assert names(mount(**options)) == ["a.txt"]
    kinds = {each["authorization"].partition(" ")[0] for each in github.requests()}
    assert kinds == {"Basic" if options else "Bearer"}


def test_an_empty_token_is_none(mount, github, repository):
    commit(repository, {"a.txt": b""})
    assert names(mount(token="")) == ["a.txt"]
    assert {each["authorization"] for each in github.requests()} == {""}


def test_a_wrong_token(mount, repository):
    commit(repository, {"a.txt": b""})
    node = mount(token="ghp_expired")
    for step in (node.children, lambda: (node / "a.txt").exists, node._mount.check):
        with pytest.raises(StoragePermissionError, match=r"m0:.*token was refused.*check 'token'"):
            step()


def test_what_may_not_be_seen_looks_like_nothing(mount, github, repository):
    commit(repository, {"a.txt": b""})
    github.control(private=True)
    node = mount(token=None)
    for step in (node.children, node._mount.check, lambda: node._mount.versions("a")):
        with pytest.raises(StorageNotFoundError, match=r"m0:.*is private and needs a 'token'"):
            step()
    with pytest.raises(StorageNotFoundError, match="or the token may not see it"):
        mount(repo="nothing").children()
    with pytest.raises(StorageNotFoundError, match="or the token may not see it"):
        mount(repo="nothing", ref="main").children()


def test_a_token_without_the_permission(mount, github, named):
    commit(named[1], {"a.txt": b""})
    github.control(forbidden=[named[0]])
    with pytest.raises(StoragePermissionError, match="not accessible by personal access token"):
        mount().children()


def test_a_rate_limit_says_when_to_try_again(mount, github, repository):
    commit(repository, {"a.txt": b""})
    reset = int(time.time()) + 754
    when = datetime.fromtimestamp(reset, UTC).strftime("%Y-%m-%d %H:%M")
    for status in (403, 429):
        github.control(rate_limit={"reset": reset, "status": status})
        github.requests()
        with pytest.raises(StorageConnectionError) as caught:
            mount(retries=3).children()
        assert f"at {when}" in str(caught.value) and "UTC" in str(caught.value)
        assert "try again in 75" in str(caught.value)
        assert not isinstance(caught.value, PermissionError)
        assert len(github.requests()) == 1, "a rate limit is not to be pressed"
    with pytest.raises(StorageConnectionError, match="with a 'token' it is far higher"):
        mount(token=None).children()


@pytest.mark.parametrize(("after", "seconds"), [(30, 30), (None, 60)])
def test_a_secondary_rate_limit(mount, github, repository, after, seconds):
    github.control(secondary_limit={"retry_after": after})
    with pytest.raises(StorageConnectionError, match=f"try again in {seconds} seconds"):
        mount().children()


def test_a_server_that_fails_for_a_moment(mount, github, repository):
    commit(repository, {"a.txt": b"x"})
    node = mount(retries=2)
    github.control(failing={"route": "/git/blobs", "times": 2, "status": 502})
    assert (node / "a.txt").read_bytes() == b"x"
    github.control(failing={"route": "/git/trees", "times": 99, "status": 503})
    with pytest.raises(StorageConnectionError, match="status 503"):
        names(mount(retries=1))


def test_a_renamed_repository_is_followed_on_its_server_only(mount, github, named, github_server):
    commit(named[1], {"a.txt": b"x"})
    github.control(renamed={"old-name": named[0]})
    node = mount(repo="old-name")
    assert names(node) == ["a.txt"]
    assert (node / "a.txt").read_bytes() == b"x"
    # "localhost" is another host, whatever it leads to: it must not get the token.
    elsewhere = f"http://localhost:{github_server.port}"
    github.control(renamed={"old-name": named[0]}, redirect_to=elsewhere)
    github.requests()
    with pytest.raises(StorageError, match="another server, 'localhost:"):
        mount(repo="old-name").children()
    assert len(github.requests()) == 1


def test_an_address_that_is_not_the_api(mount, github):
    node = mount(base_url=github.url.removesuffix("/api/v3"))
    with pytest.raises(StorageError, match="m0:"):
        node.children()


@pytest.mark.parametrize("other", [{}, [], None, "x", [{"sha": 1}], {"tree": [{"path": "a"}]}])
@pytest.mark.parametrize("route", ["commits", "trees"])
def test_answers_of_another_api_are_told(mount, github, repository, route, other):
    commit(repository, {"d/a.txt": b"x"})
    github.control(foreign=route, answer=other)
    for step in (
        lambda node: node.children(),
        lambda node: node.rglob("*"),
        lambda node: (node / "d/a.txt").read_bytes(),
        lambda node: (node / "d/a.txt").versions,
    ):
        with pytest.raises(StorageIOError, match="correct 'base_url'"):
            list(step(mount()))


def test_what_is_compressed_on_the_way_is_not_taken_for_the_content(mount, github, repository):
    commit(repository, {"a.txt": b"plain " * 100})
    node = mount() / "a.txt"
    github.control(compressed=True)
    with pytest.raises(StorageIOError, match="compresses files"):
        node.read_bytes()
    github.control(foreign="blobs", answer={"content": "cGxhaW4="})
    with pytest.raises(StorageIOError, match="something else than the file"):
        node.read_bytes()


def test_missing_authorities_are_no_missing_file(tmp_path, nginx):
    """What no longer exists is deleted by those who keep a copy of it."""
    code = f"""
from genro_storage import StorageConnectionError, StorageManager
with StorageManager() as storage:
    base_url = "https://127.0.0.1:{nginx.tls}/api/v3"
    mount = {{"name": "g", "type": "github", "org": "o", "repo": "r", "base_url": base_url}}
    storage.configure([{{**mount, "retries": 0}}])
    try:
        print(storage.node("g:a").exists)
    except StorageConnectionError as error:
        print(error)
"""
    said = run(code, SSL_CERT_FILE=str(tmp_path / "missing.pem"))
    assert "CERTIFICATE_VERIFY_FAILED" in said and "SSL_CERT_FILE" in said


def test_a_private_authority_is_named_by_the_environment(nginx):
    code = f"""
from genro_storage import StorageManager, StorageNotFoundError
with StorageManager() as storage:
    base_url = "https://127.0.0.1:{nginx.tls}/api/v3"
    mount = {{"name": "g", "type": "github", "org": "o", "repo": "r", "base_url": base_url}}
    storage.configure([{{**mount, "retries": 0}}])
    try:
        storage.node("g:a").size
    except StorageNotFoundError as error:
        print(error)
"""
    assert "the repository o/r" in run(code, SSL_CERT_FILE=str(nginx.certificate))


def test_nobody_listens(mount):
    with pytest.raises(StorageConnectionError, match="m0:"):
        mount(base_url="http://127.0.0.1:1").children()


def test_a_moved_branch_whose_old_blob_is_gone(root, repository, github):
    commit(repository, {"a.txt": b"x"})
    node = root / "a.txt"
    assert node.size == 1
    backend = root._mount.backend
    lost = backend._snapshot().entry(backend._snapshot().tree, "a.txt")
    with pytest.raises(FileNotFoundError, match="no longer in the repository"):
        backend._open(None, type(lost)("a.txt", "file", "0" * 40, 1))


# -- addresses ----------------------------------------------------------------------------------


def test_the_url_serves_the_file(mount, repository, github):
    import httpx

    commit(repository, {"d/a #1?.txt": b"published"})
    url = (mount(prefix="d") / "a #1?.txt").url()
    assert TOKEN not in url
    assert httpx.get(url).content == b"published"
    assert httpx.get(url, headers={"Range": "bytes=3-5"}).content == b"lis"
    assert (mount(ref="main") / "x").url().endswith("/raw/main/x")


def test_the_website_of_github(storage):
    storage.add_mount({"name": "g", "type": "github", "org": "o", "repo": "r", "ref": "v1"})
    assert storage.node("g:d/a.txt").url() == "https://github.com/o/r/raw/v1/d/a.txt"


def test_mounts_of_one_repository_know_each_other(mount, named, repository):
    commit(repository, {"d/a.txt": b"x"})
    one, other = mount(), mount(prefix="d", repo=named[0].upper())
    assert one._mount.same_place("d/a.txt", other._mount, "a.txt")
    assert not one._mount.same_place("d/a.txt", mount(ref="main")._mount, "d/a.txt")


# -- a connection that breaks ---------------------------------------------------------------------


def test_a_read_goes_on_where_the_connection_broke(github, mount, repository):
    """A blob never changes, so that an interrupted download is continued and not begun anew."""
    from tests.services.cable import Cable

    data = hashlib.sha512(b"seed").digest() * 100_000
    commit(repository, {"big.bin": data})
    github.control(ranges=True)
    with Cable(github.port) as cable:
        node = mount(base_url=f"http://127.0.0.1:{cable.port}/api/v3", retries=3) / "big.bin"
        assert node.size == len(data)

        def hiccup():
            cable.cut()
            cable.mend()

        cable.after(len(data) // 2, hiccup)
        github.requests()
        assert node.read_bytes() == data
        assert not cable.is_due
    ranges = [each["range"] for each in github.requests() if "blobs" in each["path"]]
    assert ranges[0] == "" and len(ranges) == 2
    assert int(ranges[1].removeprefix("bytes=").rstrip("-")) > 1_000_000
