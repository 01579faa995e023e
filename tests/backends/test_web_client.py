"""What webdav and github share: closing, forks, proxies, answers without an end."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import StorageConfigError, StorageIOError, StorageManager
from genro_storage.backends import web_client
from tests.services.github import ORG, TOKEN
from tests.support.git_repositories import commit

pytestmark = pytest.mark.services

DATA = os.urandom(3_000_000)
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD")


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture(params=["webdav", "github"])
def config(request):
    """A mount that holds ``big.bin``."""
    if request.param == "webdav":
        apache = request.getfixturevalue("apache")
        found = apache.mount(secrets.token_hex(8))
        place = apache.data / found["url"].rpartition("/")[2]
        (place / "big.bin").write_bytes(DATA)
        apache.own(place)
    else:
        github = request.getfixturevalue("github")
        name, repository = github.new_repository()
        commit(repository, {"big.bin": DATA})
        repository.free()
        found = {"type": "github", "org": ORG, "repo": name, "base_url": github.url, "token": TOKEN}
    return {"name": "m", "retries": 0, **found}


@pytest.fixture
def node(storage, config):
    storage.configure([config])
    return storage.node("m:big.bin")


def test_a_mount_that_is_replaced_disturbs_nobody(storage, config, node):
    done = threading.Event()

    def read():
        count = 0
        while not done.is_set():
            assert storage.node("m:big.bin").read_bytes() == DATA
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        try:
            for number in range(40):
                storage.configure([{**config, "timeout": 20 + number}])
                time.sleep(0.02)
        finally:
            done.set()
        assert all(reader.result() for reader in readers)


def test_a_stream_goes_on_when_its_mount_is_closed(storage, node):
    with node.open("rb") as stream:
        begun = stream.read(100_000)
        storage.close()
        assert begun + stream.read() == DATA
        stream.seek(-100, os.SEEK_END)
        assert stream.read() == DATA[-100:]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nothing tells what is open")
def test_what_is_closed_holds_no_connection(storage, node):
    before = len(os.listdir("/proc/self/fd"))
    streams = [node.open("rb") for _ in range(4)]
    assert all(stream.read(10) == DATA[:10] for stream in streams)
    storage.close()
    for stream in streams:
        stream.close()
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_processes_leave_the_connections_alone(node):
    assert node.read_bytes() == DATA  # leaves a connection behind
    stream = node.open("rb")  # has one under way
    assert stream.read(10) == DATA[:10]
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                signal.alarm(60)
                whole = all(node.read_bytes() == DATA for _ in range(4))
                rest = stream.read() if number == 0 else DATA[10:]
                status = 0 if whole and rest == DATA[10:] else 2
            os._exit(status)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert statuses == [0, 0, 0]
    assert stream.read() == DATA[10:]
    stream.close()
    assert node.read_bytes() == DATA


def test_an_answer_without_an_end_is_refused(node, monkeypatch):
    monkeypatch.setattr(web_client, "_LARGEST", 10)
    with pytest.raises(StorageIOError, match="the server's answer has more than"):
        node.size


# -- proxies ------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch):
    def change(**values):
        for name in _VARIABLES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return change


def test_a_proxy_of_the_environment_is_used(node, nginx, environment):
    passed = nginx.directory / "passed.log"
    before = len(passed.read_text().splitlines())
    environment(HTTP_PROXY=f"127.0.0.1:{nginx.proxy}")
    assert node.read_bytes() == DATA
    deadline = time.monotonic() + 30
    while len(passed.read_text().splitlines()) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(passed.read_text().splitlines()) > before


@pytest.mark.parametrize("excepted", ["10.0.0.0/8,::1/128,127.0.0.1", "[::1],127.0.0.1", "*"])
def test_networks_without_a_proxy_are_no_error(node, environment, excepted):
    environment(NO_PROXY=excepted, HTTP_PROXY="http://127.0.0.1:1")
    assert node.read_bytes() == DATA


@pytest.mark.parametrize(
    ("proxy", "problem"),
    [
        ("http://me:secret@127.0.0.1:port", "cannot be read"),
        ("ftp://me:secret@127.0.0.1", "http:// and https://"),
        ("http://me:secret@", "cannot be read"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(node, environment, proxy, problem):
    environment(HTTP_PROXY=proxy)
    with pytest.raises(StorageConfigError, match=f"mount 'm' .*{problem}.*NO_PROXY") as caught:
        node.read_bytes()
    assert "secret" not in str(caught.value)
