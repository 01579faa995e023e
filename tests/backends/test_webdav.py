"""What is peculiar to WebDAV, on Apache and wsgidav: refusals, replacing, reading, names, TLS."""

from __future__ import annotations

import gzip
import logging
import os
import secrets
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from genro_storage import (
    MountRootNotFoundError,
    StorageConfigError,
    StorageConnectionError,
    StorageExistsError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
)
from tests.services.cable import Cable
from tests.services.webdav import KEY_PASSWORD, PASSWORD, TOKEN, USER

pytestmark = pytest.mark.services

LOGIN = httpx.BasicAuth(USER.encode(), PASSWORD.encode())


@pytest.fixture
def opened():
    """Opens mounts: ``opened(config, **more)`` is the root of a new one."""
    with StorageManager() as storage:
        count = 0

        def open_mount(config, **more):
            nonlocal count
            count += 1
            storage.configure([{"name": f"w{count}", **config, **more}])
            return storage.node(f"w{count}:")

        yield open_mount


@pytest.fixture(params=["apache", "apache by put", "wsgidav"])
def server(request):
    return request.getfixturevalue(request.param.partition(" ")[0])


@pytest.fixture
def config(request, server):
    put = {"commit": "put"} if "put" in str(request.node.callspec.params["server"]) else {}
    return {**server.mount(secrets.token_hex(8)), **put}


@pytest.fixture
def root(opened, config):
    return opened(config)


@pytest.fixture
def on_apache(opened, apache):
    return opened(apache.mount(secrets.token_hex(8)))


def at(server, path, **more):
    return {"type": "webdav", "url": f"{server.url}{path}", "retries": 0, **more}


def login(**more):
    return {"username": USER, "password": PASSWORD, **more}


@pytest.fixture
def requests(caplog):
    """The methods that were sent since it was asked last."""
    caplog.set_level(logging.INFO, "httpx")

    def sent():
        found = [record.args[0] for record in caplog.records if record.name == "httpx"]
        caplog.clear()
        return found

    return sent


# -- refusals -----------------------------------------------------------------------------------


STEPS = {
    "reading": lambda node: node.read_bytes(),
    "looking": lambda node: node.exists,
    "listing": lambda node: list(node.parent.children()),
    "writing": lambda node: node.write_bytes(b"x"),
    "creating": lambda node: node.touch(exist_ok=False),
    "making": lambda node: (node / "d").mkdir(parents=True),
}
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


@each_step
@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("apache", {"username": USER, "password": "wr0ng"}, "check 'username' and 'password'"),
        ("wsgidav", {"username": USER, "password": "wr0ng"}, "check 'username' and 'password'"),
        ("apache", {}, "give 'username' and 'password', or 'token'"),
        ("wsgidav", {"token": "wr0ng"}, "check 'token'"),
    ],
)
def test_credentials_that_are_refused_say_which(request, opened, kind, more, message, step):
    server = request.getfixturevalue(kind)
    node = opened(at(server, "", **more)) / "a.txt"
    with pytest.raises(StoragePermissionError) as caught:
        step(node)
    assert message in str(caught.value)
    assert str(caught.value).startswith("w1:")
    assert "wr0ng" not in str(caught.value)


@each_step
def test_what_is_forbidden_is_not_missing(opened, apache, step):
    node = opened(at(apache, "forbidden", **login())) / "a.txt"
    with pytest.raises(StoragePermissionError, match="forbids"):
        step(node)


@each_step
def test_a_collection_that_is_missing_is_said_to_be(opened, server, step):
    node = opened(at(server, "no/such", **login())) / "a.txt"
    if step is STEPS["looking"]:
        assert step(node) is False
        return
    with pytest.raises(StorageNotFoundError, match=r"w1:.*no/such/ does not exist.*'url'"):
        step(node)


def test_checking_a_mount_asks_the_server(opened, server):
    opened(server.mount(secrets.token_hex(8)))._mount.check()
    for path, more, kind in (
        ("no/such", login(), StorageNotFoundError),
        ("", {"username": USER, "password": "wr0ng"}, StoragePermissionError),
    ):
        with pytest.raises(kind):
            opened(at(server, path, **more))._mount.check()


def test_a_server_that_is_no_webdav_server_is_told(opened, apache):
    node = opened(at(apache, "elsewhere", **login()))
    with pytest.raises(
        StorageIOError, match=r"sends us to http://localhost:1,.*correct 'url'"
    ) as e:
        node.exists
    assert "signature" not in str(e.value)


def test_a_read_only_server_can_be_read_and_says_that_it_is(opened, apache):
    (apache.data / "readonly/a.txt").write_bytes(b"kept")
    root = opened(at(apache, "readonly", **login()))
    node = root / "a.txt"
    assert node.read_bytes() == b"kept"
    assert [child.name for child in root.children()] == ["a.txt"]
    for step in (
        lambda: node.write_bytes(b"x"),
        lambda: (root / "b.txt").touch(exist_ok=False),
        lambda: (root / "d").mkdir(),
        node.delete,
        lambda: node.copy_to(root / "c.txt"),
        lambda: node.move_to(root / "c.txt"),
    ):
        with pytest.raises(StoragePermissionError, match="forbids"):
            step()
    assert os.listdir(apache.data / "readonly") == ["a.txt"]


def test_a_token_opens_what_asks_for_one(opened, apache):
    root = opened(at(apache, "token", token=TOKEN))
    (root / "a.txt").write_bytes(b"x")
    assert (root / "a.txt").read_bytes() == b"x"


def test_nothing_is_sent_to_where_a_server_redirects(opened, apache):
    with Cable(apache.port) as other:
        root = opened(at(apache, f"to/{other.port}", **login()))
        for step in STEPS.values():
            with pytest.raises(StorageIOError, match="sends us to"):
                step(root / "a.txt")
        assert other.passed == 0


def test_a_locked_file_is_said_to_be_locked(opened, server, config):
    node = opened(config, retries=0) / "a.txt"
    node.write_bytes(b"old")
    with httpx.Client(auth=LOGIN) as client:
        token = lock(client, f"{config['url']}/a.txt")
        with pytest.raises(StoragePermissionError, match=r"w1:a\.txt.*locked by another client"):
            node.write_bytes(b"new")
        with pytest.raises(StoragePermissionError, match="locked"):
            node.delete()
        assert node.read_bytes() == b"old"
        unlock(client, f"{config['url']}/a.txt", token)
    node.write_bytes(b"new")
    assert [child.name for child in node.parent.children()] == ["a.txt"]


def test_a_short_lock_is_waited_for(opened, server, config):
    node = opened(config, retries=20) / "a.txt"
    node.write_bytes(b"old")
    with httpx.Client(auth=LOGIN) as client:
        token = lock(client, f"{config['url']}/a.txt")
        later = threading.Timer(0.3, unlock, (client, f"{config['url']}/a.txt", token))
        later.start()
        node.write_bytes(b"new")
        later.join()
    assert node.read_bytes() == b"new"


def lock(client, url):
    body = (
        '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope>'
        "<locktype><write/></locktype></lockinfo>"
    )
    headers = {"Depth": "0", "Timeout": "Second-60", "Content-Type": "application/xml"}
    answer = client.request("LOCK", url, content=body, headers=headers)
    assert answer.status_code == 200
    return answer.headers["Lock-Token"]


def unlock(client, url, token):
    assert client.request("UNLOCK", url, headers={"Lock-Token": token}).status_code == 204


# -- what is said about a file ------------------------------------------------------------------


def test_a_file_is_described_as_everywhere(root):
    node = root / "d/a.txt"
    before = time.time()
    node.write_bytes(b"0123456789")
    found = node.stat()
    assert (found.type, found.size, found.path) == ("file", 10, "d/a.txt")
    assert found.content_type is None or found.content_type.startswith("text/plain")
    assert isinstance(found.mtime, float) and abs(found.mtime - before) < 5
    assert found.etag and not found.etag.startswith("W/") and '"' not in found.etag
    listed = next(iter(node._mount.scan("d")))
    assert listed == found
    directory = (root / "d").stat()
    assert (directory.type, directory.size) == ("directory", None)


def test_a_tag_that_was_weak_is_the_same_a_second_later(on_apache):
    node = on_apache / "a.txt"
    node.write_bytes(b"x")
    before = node.stat()
    time.sleep(1.2)  # Apache calls it weak for the first second
    assert node.stat() == before


def test_nothing_is_cached(opened, server, config):
    here, there = opened(config), opened(config)
    assert list(here.children()) == []
    (there / "a.txt").write_bytes(b"1")
    assert [child.name for child in here.children()] == ["a.txt"]
    assert (here / "a.txt").read_bytes() == b"1"
    (there / "a.txt").write_bytes(b"22")
    assert (here / "a.txt").size == 2
    (there / "a.txt").delete()
    assert not (here / "a.txt").exists


def test_two_mounts_of_one_place_know_it(opened, server, config):
    outer = opened(config)
    (outer / "in/a.txt").write_bytes(b"x")
    inner = opened(config, path="in")
    assert (outer / "in/a.txt").samefile(inner / "a.txt")
    assert not (outer / "a.txt").samefile(inner / "a.txt")
    below = opened({**config, "url": f"{config['url']}/in/"})
    assert (outer / "in/a.txt").samefile(below / "a.txt")
    assert below.children()[0].read_bytes() == b"x"


# -- requests -----------------------------------------------------------------------------------


def test_few_requests_are_made(opened, apache, requests):
    config = apache.mount(secrets.token_hex(8))
    put, move = opened(config, commit="put") / "a.txt", opened(config) / "a.txt"
    put.write_bytes(b"x")
    move.write_bytes(b"x")
    requests()
    for step, expected in (
        (lambda: put.write_bytes(b"y"), ["PUT"]),
        (lambda: move.write_bytes(b"z"), ["PUT", "PROPFIND", "MOVE"]),
        (put.read_bytes, ["GET", "PROPFIND"]),
        (lambda: put.exists, ["PROPFIND"]),
        (lambda: list(put.parent.children()), ["PROPFIND"]),
        (lambda: put.delete(), ["PROPFIND", "DELETE"]),
        (lambda: put.parent._mount.scan("no-such"), []),
    ):
        step()
        assert requests() == expected


def test_a_tree_is_removed_by_one_request(on_apache, requests):
    for name in ("t/a", "t/b/c", "t/b/d/e"):
        (on_apache / name).write_bytes(b"x")
    requests()
    (on_apache / "t").delete()
    assert requests().count("DELETE") == 1
    assert not (on_apache / "t").exists


# -- reading ------------------------------------------------------------------------------------


def test_a_server_that_ignores_ranges_gives_the_right_bytes(opened, apache):
    root = opened(at(apache, "unranged", **login())) / secrets.token_hex(8)
    data = bytes(range(256)) * 4096
    node = root / "a.bin"
    node.write_bytes(data)
    read = node._mount.read_bytes
    for start, end in ((0, 5), (7, 300), (500_000, 500_010), (1_000_000, None), (2_000_000, None)):
        assert read(node._path, start, end) == data[start:end]
    with node.open("rb") as stream:
        for position in (700_000, 10, 300_000, 2_000_000, 0):
            stream.seek(position)
            assert stream.read(1000) == data[position : position + 1000]


def test_ranges_are_asked_for_and_not_cut_out(opened, apache):
    name = secrets.token_hex(8)
    apache.fresh(name)
    with Cable(apache.port) as cable:
        root = opened({**at(apache, "", **login()), "url": f"http://127.0.0.1:{cable.port}/{name}"})
        node = root / "a.bin"
        data = os.urandom(8 * 1024 * 1024)
        node.write_bytes(data)
        before = cable.passed
        assert node._mount.read_bytes(node._path, 5_000_000, 5_000_010) == data[5_000_000:5_000_010]
        with node.open("rb") as stream:
            stream.seek(-1000, os.SEEK_END)
            assert stream.read() == data[-1000:]
        assert cable.passed - before < len(data) // 2


def test_a_packed_file_stays_packed(on_apache):
    data = gzip.compress(b"packed" * 1000)
    node = on_apache / "a.txt.gz"  # which Apache sends as text that is encoded
    node.write_bytes(data)
    assert node.read_bytes() == data
    assert node._mount.read_bytes(node._path, 3, 9) == data[3:9]


def test_a_stream_does_not_mix_two_contents(root):
    node = root / "a.bin"
    node.write_bytes(b"A" * 4_000_000)
    with node.open("rb") as stream:
        assert stream.read(10) == b"A" * 10
        node.write_bytes(b"B" * 3_000_000)
        with pytest.raises(StorageIOError, match="replaced while it was read"):
            stream.seek(2_000_000)
            stream.read(10)


@pytest.mark.slow
def test_a_reader_gets_one_content_while_others_replace_it(opened, apache):
    """Apache reads the length of the old file and may then open the new one."""
    node = opened(apache.mount(secrets.token_hex(8)), commit="put") / "a.bin"
    contents = [b"A" * 300_000, b"B" * 200_001]
    node.write_bytes(contents[0])
    done = threading.Event()

    def write():
        while not done.is_set():
            for data in contents:
                node.write_bytes(data)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            for _ in range(300):
                assert node.read_bytes() in contents
        finally:
            done.set()
        writer.result()


@pytest.mark.slow
def test_large_files_do_not_fill_the_memory(root, tmp_path):
    size = 64 * 1024 * 1024
    source, target = tmp_path / "source", tmp_path / "target"
    block = os.urandom(1024 * 1024)
    with source.open("wb") as stream:
        for _ in range(size // len(block)):
            stream.write(block)
    node = root / "big.bin"
    node.write_bytes(b"connected")
    tracemalloc.start()
    try:
        node._mount.upload(source, node._path)
        node._mount.download(node._path, target)
        with node.open("rb") as stream:
            assert sum(len(part) for part in iter(lambda: stream.read(1024 * 1024), b"")) == size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * 1024 * 1024
    assert node.size == size
    with target.open("rb") as stream:
        assert stream.read(len(block)) == block


# -- writing ------------------------------------------------------------------------------------


def test_a_file_never_takes_the_place_of_a_tree(root):
    (root / "tree/inner/a.txt").write_bytes(b"kept")
    (root / "file.txt").write_bytes(b"new")
    backend = root._mount.backend
    for step in (
        lambda: backend.write_bytes("tree", b"x"),
        lambda: backend.copy("file.txt", "tree"),
        lambda: backend.move("file.txt", "tree"),
        lambda: backend.open_write("tree"),
    ):
        with pytest.raises(IsADirectoryError):
            step()
    with pytest.raises(StorageIsDirectoryError):
        (root / "tree").write_bytes(b"x")
    with pytest.raises(FileExistsError):
        backend.move("tree/inner", "file.txt")
    assert (root / "tree/inner/a.txt").read_bytes() == b"kept"
    assert sorted(child.name for child in root.children()) == ["file.txt", "tree"]


@pytest.mark.parametrize("name", ["note?.txt", "note;v=1", "note\t", "why?/note"])
def test_names_that_a_server_misreads_leave_their_neighbours_alone(root, name):
    """wsgidav moves to ``note`` what is to become ``note?.txt``."""
    others = ("note", "why", ".txt") if "/" not in name else ("note", ".txt")
    for other in others:
        (root / other).write_bytes(b"kept")
    node = root / name
    node.write_bytes(b"one")
    with (root / name).open("wb") as stream:
        stream.write(b"two")
    (root / "copied").write_bytes(b"three")
    (root / "copied").copy_to(node)
    assert node.read_bytes() == b"three"
    (root / "copied").move_to(node)
    assert not (root / "copied").exists or node.read_bytes() == b"three"
    with pytest.raises(StorageExistsError), node.open("xb") as stream:
        stream.write(b"four")
    (root / name).delete()
    with (root / name).open("xb") as stream:
        stream.write(b"five")
    assert (root / name).read_bytes() == b"five"
    for other in others:
        assert (root / other).read_bytes() == b"kept"


def test_one_of_many_clients_creates_a_file(opened, server, config):
    """Neither server keeps ``If-None-Match`` or ``Overwrite: F`` exactly."""
    roots = [opened(config, retries=5) for _ in range(6)]
    for number in range(5):
        barrier = threading.Barrier(len(roots))

        def create(root, number=number, barrier=barrier):
            barrier.wait()
            try:
                with (root / f"once{number}").open("xb") as stream:
                    stream.write(root.fullpath.encode())
            except StorageExistsError:
                return None
            return root.fullpath.encode()

        with ThreadPoolExecutor(len(roots)) as pool:
            winners = [name for name in pool.map(create, roots) if name is not None]
        assert [(roots[0] / f"once{number}").read_bytes()] == winners
    assert [child.name for child in roots[0].children()] == [f"once{n}" for n in range(5)]


def test_the_turn_of_a_killed_client_is_taken_away(opened, server, config):
    root = opened(config)
    from genro_storage.backends.webdav.turns import _turn_of

    left = server.data / config["url"].rpartition("/")[2] / _turn_of("once")
    left.mkdir()
    server.own(left)
    long_ago = time.time() - 600
    os.utime(left, (long_ago, long_ago))
    assert list(root.children()) == []
    (root / "once").touch(exist_ok=False)
    assert [child.name for child in root.children()] == ["once"]
    assert not left.exists()


def test_what_killed_writers_left_is_hidden_and_cleaned_up(opened, server, config):
    root = opened(config)
    from genro_storage.backends.temporary_names import unique_name
    from genro_storage.backends.webdav.turns import _turn_of

    (root / "d/a.txt").write_bytes(b"x")
    place = server.data / config["url"].rpartition("/")[2] / "d"
    (place / unique_name("a.txt")).write_bytes(b"half")
    (place / _turn_of("b.txt")).mkdir()
    server.own(place)
    assert [child.name for child in (root / "d").children()] == ["a.txt"]
    young = root._mount.cleanup("", 3600)
    assert (young, young.left) == (0, 2)
    assert root._mount.cleanup("", 0) == 2
    assert os.listdir(place) == ["a.txt"]


# -- TLS ----------------------------------------------------------------------------------------


def secure(server, path="", **more):
    return {"type": "webdav", "url": f"{server.secure_url}{path}", "retries": 0, **login(), **more}


@pytest.fixture
def with_tls(apache):
    if "LoadModule ssl" not in (apache.directory / "httpd.conf").read_text():
        pytest.skip("Apache has no mod_ssl here")
    return apache


def test_a_certificate_that_nobody_signed_is_refused(opened, with_tls):
    root = opened(secure(with_tls))
    with pytest.raises(StoragePermissionError, match=r"not trusted.*'verify_ssl'") as caught:
        root.exists
    assert PASSWORD not in str(caught.value)


def test_a_certificate_is_checked_against_the_authority_given(opened, with_tls):
    authority = str(with_tls.directory / "authority.pem")
    name = secrets.token_hex(8)
    with_tls.fresh(name)
    for verify in (authority, False):
        root = opened(secure(with_tls, name, verify_ssl=verify))
        (root / "a.txt").write_bytes(b"x")
        (root / "a.txt").copy_to(root / "b.txt")
        assert (root / "b.txt").read_bytes() == b"x"


def test_a_client_certificate_is_shown_where_one_is_wanted(opened, with_tls):
    place = with_tls.directory
    place_of = {"verify_ssl": str(place / "authority.pem")}
    (with_tls.data / "certified").mkdir(exist_ok=True)
    with_tls.own(with_tls.data / "certified")
    ours = {"cert": [str(place / "client.pem"), str(place / "client.key")]}
    root = opened(secure(with_tls, "certified", **place_of, **ours, cert_password=KEY_PASSWORD))
    (root / "a.txt").write_bytes(b"x")
    assert (root / "a.txt").read_bytes() == b"x"
    refused = opened(secure(with_tls, "certified", **place_of))
    with pytest.raises((StoragePermissionError, StorageConnectionError)):
        (refused / "a.txt").read_bytes()
    for password in ({}, {"cert_password": "wr0ng"}):
        wrong = opened(secure(with_tls, "certified", **place_of, **ours, **password))
        with pytest.raises(StorageConfigError, match=r"'cert'.*'cert_password'") as caught:
            wrong.exists
        assert "wr0ng" not in str(caught.value)


def test_a_missing_mount_root_is_no_configuration_error(opened, apache):
    # The collection may be made later: the mount is right.
    root = opened(at(apache, "later", **login()))
    with pytest.raises(StorageNotFoundError) as caught:
        list(root.children())
    assert not isinstance(caught.value, MountRootNotFoundError)
