"""Web servers: names, places, options, credentials, and what goes wrong in plain words."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from genro_storage import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageIOError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnsupportedError,
)
from genro_storage.hearing import hearing_retries
from genro_storage.testing import AWKWARD_NAMES
from tests.services.base import free_port, running
from tests.services.cable import Cable
from tests.services.http import Nginx
from tests.services.interrupted import within

pytestmark = pytest.mark.services

SECRET = "5ecret-w0rd"


@pytest.fixture
def mount():
    """Make a mount ``web`` and return its manager."""
    managers = []

    def make(url, **options):
        manager = StorageManager()
        managers.append(manager)
        manager.configure([{"name": "web", "type": "http", "base_url": url, **options}])
        return manager

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def files(nginx):
    """An empty directory in the document root, and its name."""
    return nginx.fresh()


def where(service, location, files):
    return f"http://127.0.0.1:{service.port}/{location}/{files.name}"


# -- names --------------------------------------------------------------------------------------

_NAMES = [name for name in AWKWARD_NAMES if name not in (".", "..")]


@pytest.mark.parametrize("location", ["html", "json"])
def test_nginx_holds_every_name_literally(nginx, files, mount, location):
    web = mount(where(nginx, location, files), listing=True)
    # It leaves hidden files out of its listings, whatever one says.
    _check_names(files, web, hidden=[name for name in _NAMES if name.startswith(".")])


@pytest.mark.parametrize("location", ["fancy", "plain", "table"])
def test_apache_holds_every_name_literally(apache_http, mount, location):
    files = apache_http.fresh()
    web = mount(where(apache_http, location, files), listing=True)
    _check_names(files, web)


def test_python_holds_every_name_literally(python_http, mount):
    files = python_http.fresh()
    web = mount(f"http://127.0.0.1:{python_http.port}/{files.name}", listing=True)
    _check_names(files, web)


def _check_names(files, web, hidden=()):
    (files / "d").mkdir()
    for name in _NAMES:
        (files / name).mkdir()
        (files / name / "inner.txt").write_text(name)
        (files / "d" / name).write_text(name)
    root = web.node("web:")
    shown = set(_NAMES) - set(hidden)
    assert {child.name for child in root.children()} == shown | {"d"}
    listed = (root / "d").children()
    assert {child.name for child in listed} == shown
    assert len(listed) == len(shown)
    for child in listed:
        assert child.isfile
        assert child.read_text() == child.name
        assert child.size == len(child.name.encode())
    for name in _NAMES:
        if "\\" in name:
            continue  # a node of that name comes from a listing only
        assert (root / name).isdir
        assert (root / name / "inner.txt").read_text() == name


def test_a_name_with_a_hash_is_not_another_file(nginx, files, mount):
    (files / "a").write_text("wrong")
    (files / "a#b c.txt").write_text("right")
    (files / "100%25.txt").write_text("wrong too")
    web = mount(where(nginx, "html", files))
    assert web.node("web:a#b c.txt").read_text() == "right"
    assert not web.node("web:100%.txt").exists


def test_names_that_are_no_text_are_read(nginx, files, mount):
    name = os.fsdecode(b"latin\xe9.txt")
    (files / name).write_text("found")
    web = mount(where(nginx, "html", files), listing=True)
    (child,) = web.node("web:").children()
    assert child.name == name
    assert child.read_text() == "found"


# -- places -------------------------------------------------------------------------------------


def test_the_url_is_public_and_quoted(nginx, files, mount):
    login = {"username": "me", "password": SECRET}
    web = mount(where(nginx, "html", files), **login)
    node = web.node("web:a b/c#d.txt")
    assert node.url() == f"{where(nginx, 'html', files)}/a%20b/c%23d.txt"
    capabilities = node.capabilities
    assert capabilities.public_urls and capabilities.readonly
    assert not capabilities.list_dir


def test_a_base_url_may_be_written_in_quotes_of_its_own(nginx, files, mount):
    (files / "a b#c").mkdir()
    (files / "a b#c" / "x.txt").write_text("found")
    web = mount(f"{where(nginx, 'html', files)}/a%20b%23c/", listing=True)
    assert [child.read_text() for child in web.node("web:").children()] == ["found"]


def test_two_mounts_of_one_server_are_one_store(nginx, files, mount):
    (files / "d e").mkdir()
    (files / "d e" / "x.txt").write_text("same")
    web = mount(where(nginx, "html", files))
    below = where(nginx, "html", files) + "/d%20e"
    web.add_mount({"name": "below", "type": "http", "base_url": below, "token": SECRET})
    here, there = web.node("web:d e/x.txt"), web.node("below:x.txt")
    assert here._mount.same_place(here._path, there._mount, there._path)
    other = web.node("below:y.txt")
    assert not here._mount.same_place(here._path, other._mount, other._path)


def test_what_a_look_tells(nginx, files, mount):
    (files / "x.txt").write_bytes(b"abc")
    os.utime(files / "x.txt", (1_700_000_000, 1_700_000_000))
    info = mount(where(nginx, "html", files)).node("web:x.txt").stat()
    assert (info.type, info.size, info.mtime) == ("file", 3, 1_700_000_000.0)
    assert info.etag == "6553f100-3"
    assert info.content_type == "text/plain; charset=utf-8"


def test_a_weak_mark_of_apache_is_no_change(apache_http, mount):
    files = apache_http.fresh()
    (files / "x.txt").write_text("abc")
    node = mount(where(apache_http, "fancy", files)).node("web:x.txt")
    first = node.stat().etag  # weak, since the file is younger than a second
    os.utime(files / "x.txt", ns=((stat := (files / "x.txt").stat()).st_atime_ns, stat.st_mtime_ns))
    time.sleep(1.1)
    assert node.stat().etag == first


@pytest.mark.parametrize("location", ["headless", "shy"])
def test_a_server_that_refuses_to_be_asked_about_a_file_is_asked_for_its_first_byte(
    nginx, files, mount, location
):
    (files / "x.txt").write_bytes(b"abcdef")
    (files / "empty.txt").touch()
    web = mount(where(nginx, location, files))
    assert web.node("web:x.txt").size == 6
    assert web.node("web:empty.txt").size == 0
    assert web.node("web:x.txt").mtime is not None
    assert not web.node("web:y.txt").exists


def test_directories_are_told_from_files(nginx, files, mount):
    (files / "d").mkdir()
    (files / "d" / "x.txt").touch()
    for location, listing in (("html", True), ("html", False), ("quiet", False)):
        web = mount(where(nginx, location, files), listing=listing)
        assert web.node("web:d").isdir
        assert web.node("web:d/x.txt").isfile
        assert not web.node("web:e").exists
        assert not web.node("web:d/x.txt/y").exists
        assert web.node("web:").isdir


def test_reading_needs_one_request(nginx, files, mount):
    (files / "x.txt").write_bytes(b"0123456789")
    node = mount(where(nginx, "html", files)).node("web:x.txt")
    nginx.requests()
    assert node.read_bytes() == b"0123456789"
    assert node._mount.read_bytes("x.txt", 2, 5) == b"234"
    path = f"/html/{files.name}/x.txt"
    assert nginx.requests(2) == [f"GET {path} 200 range=-", f"GET {path} 206 range=bytes=2-4"]


def test_one_connection_serves_many_requests(nginx, files, mount):
    (files / "x.txt").write_bytes(b"abc")
    with Cable(nginx.port) as cable:
        web = mount(f"http://127.0.0.1:{cable.port}/html/{files.name}")
        for _ in range(20):
            assert web.node("web:x.txt").read_bytes() == b"abc"
            assert not web.node("web:missing.txt").exists
        assert len(cable._open) == 2  # the two ends of one


# -- credentials --------------------------------------------------------------------------------


def test_user_and_password_let_in(nginx, files, mount):
    (files / "x.txt").write_text("private")
    url = where(nginx, "private", files)
    web = mount(url, username="me", password="let me in", listing=True)
    assert [child.read_text() for child in web.node("web:").children()] == ["private"]
    web.node("web:")._mount.backend.check()


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"username": "me", "password": SECRET}, "check 'username' and 'password'"),
        ({"token": SECRET}, "check 'token'"),
        ({}, "give 'username' and 'password', or 'token'"),
    ],
)
def test_wrong_credentials_are_named_and_not_shown(nginx, files, mount, options, fix):
    (files / "x.txt").touch()
    web = mount(where(nginx, "private", files), listing=True, **options)
    node = web.node("web:x.txt")
    steps = (node.read_bytes, lambda: node.exists, web.node("web:").children, node.stat)
    for step in (*steps, web.node("web:")._mount.check):
        with pytest.raises(StoragePermissionError, match="web:") as caught:
            step()
        assert fix in str(caught.value)
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {web!r} {node!r}"


def test_a_token_lets_in(nginx, files, mount):
    (files / "x.txt").write_text("for the bearer")
    assert mount(where(nginx, "token", files), token="the-token").node("web:x.txt").read_text()


def test_a_login_that_is_not_supported_is_named(nginx, mount):
    web = mount(nginx.url("digest"), username="me", password="let me in")
    with pytest.raises(StoragePermissionError, match=r"not supported \(digest, 401\).*'basic'"):
        web.node("web:x.txt").read_bytes()


_ALL = {
    "token": SECRET,
    "headers": {"X-Key": f"key-{SECRET}"},
    "cookies": {"id": f"id-{SECRET}"},
}


def test_headers_and_cookies_are_sent(nginx, mount):
    sent = mount(nginx.url("echo")[: -len("echo/")], **_ALL).node("web:echo").read_text()
    assert sent == f"Bearer {SECRET}|key-{SECRET}|id=id-{SECRET}|identity"


def test_credentials_never_follow_a_redirect_to_another_server(nginx, mount):
    assert mount(nginx.url("away"), **_ALL).node("web:x").read_text() == "|||identity"


def test_credentials_are_not_sent_on_the_way_back_either(nginx, mount):
    # Away, and back to the server that would be entitled to them.
    with Cable(nginx.other) as cable:
        web = mount(f"http://127.0.0.1:{cable.port}/back", **_ALL)
        assert web.node("web:x").read_text() == "|||identity"


def test_secrets_show_nowhere(nginx, files, mount):
    web = mount(where(nginx, "html", files), proxy=f"http://u:{SECRET}@127.0.0.1:1", **_ALL)
    backend = web.node("web:")._mount.backend
    settings = backend._client._make.__closure__
    shown = [repr(web), repr(backend), repr([cell.cell_contents for cell in settings])]
    with pytest.raises(StorageError) as caught:
        web.node("web:x").read_bytes()
    assert SECRET not in " ".join([*shown, str(caught.value), repr(caught.value.__cause__)])


# -- redirects ----------------------------------------------------------------------------------


def test_redirects_are_followed(nginx, files, mount):
    (files / "d e").mkdir()
    (files / "d e" / "x#.txt").write_bytes(b"0123456789")
    web = mount(where(nginx, "moved", files), listing=True)
    node = web.node("web:d e/x#.txt")
    assert node.size == 10
    assert node._mount.read_bytes(node._path, 3, 5) == b"34"
    assert web.node("web:d e").isdir
    assert [child.name for child in web.node("web:d e").children()] == ["x#.txt"]


@pytest.mark.parametrize(
    ("location", "options", "error", "text"),
    [
        ("loop", {}, StorageConnectionError, "redirects more than 10 times"),
        ("nowhere", {}, StorageConnectionError, "no usable URL"),
        ("moved", {"redirects": "none"}, StoragePermissionError, "'redirects: none' forbids it"),
        ("away", {"redirects": "same-server"}, StoragePermissionError, "same-server"),
    ],
)
def test_redirects_have_limits(nginx, files, mount, location, options, error, text):
    node = mount(where(nginx, location, files), **options).node("web:x.txt")
    with pytest.raises(error, match=text):
        node.read_bytes()


def test_a_redirect_to_a_place_without_encryption_is_refused(nginx, files, mount):
    (files / "x.txt").touch()
    url = f"https://127.0.0.1:{nginx.tls}/down/{files.name}"
    node = mount(url, verify_ssl=str(nginx.certificate)).node("web:x.txt")
    with pytest.raises(StoragePermissionError, match="not encrypted; refused"):
        node.read_bytes()


# -- TLS and proxies ----------------------------------------------------------------------------


def test_a_server_with_a_trusted_certificate(nginx, files, mount):
    (files / "x.txt").write_text("encrypted")
    url = f"https://127.0.0.1:{nginx.tls}/html/{files.name}"
    web = mount(url, verify_ssl=str(nginx.certificate), listing=True)
    assert [child.read_text() for child in web.node("web:").children()] == ["encrypted"]


def test_a_certificate_that_is_not_trusted_names_the_fix(nginx, mount):
    web = mount(f"https://127.0.0.1:{nginx.tls}/html/", retries=5, timeout=10)
    told = []
    refused = pytest.raises(StorageConnectionError, match=r"self-signed.*'verify_ssl'")
    with hearing_retries(told.append), refused:
        web.node("web:x.txt").read_bytes()
    assert told == []  # it would be the same again


@pytest.mark.filterwarnings("default::urllib3.exceptions.InsecureRequestWarning")
def test_a_certificate_need_not_be_trusted(nginx, files, mount):
    (files / "x.txt").write_text("encrypted")
    url = f"https://127.0.0.1:{nginx.tls}/html/{files.name}"
    with pytest.warns(UserWarning.__base__, match="[Uu]nverified HTTPS"):
        assert mount(url, verify_ssl=False).node("web:x.txt").read_text() == "encrypted"


def test_a_port_without_tls_is_named(nginx, mount):
    with pytest.raises(StorageConnectionError, match="does not speak TLS; correct 'base_url'"):
        mount(f"https://127.0.0.1:{nginx.port}/").node("web:x").read_bytes()


def test_a_client_certificate_is_shown(nginx, files, mount):
    (files / "x.txt").write_text("for the owner of the key")
    url = f"https://127.0.0.1:{nginx.mutual}/html/{files.name}"
    trusted = {"verify_ssl": str(nginx.certificate)}
    pair = [str(nginx.certificate), str(nginx.key)]
    assert mount(url, cert=pair, **trusted).node("web:x.txt").read_text()
    with pytest.raises(StorageIOError, match="status 400"):
        mount(url, **trusted).node("web:x.txt").read_text()


def test_a_certificate_without_its_key_is_named(nginx, mount):
    web = mount(f"https://127.0.0.1:{nginx.mutual}/", cert=str(nginx.certificate))
    with pytest.raises(StorageConfigError, match=r"'web'.*'cert'.*certificate with its key"):
        web.node("web:x.txt").read_text()


def has_lines(log, count):
    """A server writes its log after it has answered."""
    deadline = time.monotonic() + 30
    while len(log.read_text().splitlines()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(log.read_text().splitlines()) == count


def test_a_proxy_is_used(nginx, files, mount, monkeypatch):
    (files / "x.txt").write_text("passed on")
    passed = nginx.directory / "passed.log"
    url = where(nginx, "html", files)
    proxy = f"http://127.0.0.1:{nginx.proxy}"
    lines = len(passed.read_text().splitlines())
    assert mount(url, proxy=proxy).node("web:x.txt").read_text() == "passed on"
    has_lines(passed, lines + 1)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.delenv("REQUEST_METHOD", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert mount(url).node("web:x.txt").read_text() == "passed on"
    has_lines(passed, lines + 2)
    assert mount(url, trust_env=False).node("web:x.txt").read_text() == "passed on"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert mount(url).node("web:x.txt").read_text() == "passed on"
    has_lines(passed, lines + 2)


def test_a_dead_proxy_is_named(nginx, mount, unused_port):
    login = f"http://me:{SECRET}@127.0.0.1:{unused_port}"
    for url in (nginx.url("html"), f"https://127.0.0.1:{nginx.tls}/"):
        node = mount(url, proxy=login, retries=0).node("web:x")
        with pytest.raises(StorageConnectionError, match="check 'proxy'") as caught:
            node.read_bytes()
        assert SECRET not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__!r}"


def test_a_proxy_of_another_kind_is_named(nginx, mount, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"socks5://me:{SECRET}@127.0.0.1:1")
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageConfigError, match="trust_env: false") as caught:
        mount(nginx.url("html")).node("web:x").read_bytes()
    assert SECRET not in str(caught.value)


def test_a_proxy_that_cannot_be_read_is_named(nginx, mount, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@127.0.0.1:port")
    for name in ("http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageConfigError, match="cannot be read; correct 'proxy'") as caught:
        mount(nginx.url("html")).node("web:x").read_bytes()
    assert SECRET not in str(caught.value)


def test_headers_of_ones_own_replace_the_usual_ones(nginx, mount):
    web = mount(nginx.url("agent")[: -len("agent/")], headers={"user-agent": "mine/1"})
    assert web.node("web:agent").read_text() == "mine/1"


# -- other errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "error", "text"),
    [
        ("forbidden", StoragePermissionError, r"refuses access \(403\)"),
        ("broken", StorageConnectionError, "status 500"),
        ("gone", StorageNotFoundError, "not found"),
        ("teapot", StorageIOError, "status 418"),
        ("later", StorageConnectionError, "asks to wait 3600 seconds"),
    ],
)
def test_refusals_in_plain_words(nginx, mount, location, error, text):
    web = mount(nginx.url(location), listing=True, retries=1)
    node = web.node("web:x.txt")
    for step in (node.read_bytes, node.stat):
        with within(10), pytest.raises(error, match=text) as caught:
            step()
        assert type(caught.value) is error
        assert "web:x.txt" in str(caught.value)


def test_a_busy_server_is_asked_again_when_it_says(nginx, mount):
    node = mount(nginx.url("busy"), retries=1).node("web:x.txt")
    nginx.requests()
    started = time.monotonic()
    with pytest.raises(StorageConnectionError, match="asks to wait 1 seconds"):
        node.read_bytes()
    assert time.monotonic() - started >= 1
    assert len(nginx.requests(2)) == 2


def test_a_busy_server_that_asks_for_more_patience_than_there_is(nginx, mount):
    node = mount(nginx.url("later"), retries=3).node("web:x.txt")
    nginx.requests()
    with within(20), pytest.raises(StorageConnectionError, match="429"):
        node.read_bytes()
    assert len(nginx.requests(1)) == 1


def test_a_missing_root_is_named(nginx, mount):
    web = mount(nginx.url("html/no/such"), listing=True)
    for step in (web.node("web:").children, web.node("web:")._mount.check, web.node("web:").stat):
        with pytest.raises(StorageNotFoundError, match=r"nothing at 'base_url'.*correct it"):
            step()
    assert not web.node("web:x.txt").exists


def test_a_check_without_listings(nginx, files, mount):
    (files / "x.txt").touch()
    check = mount(where(nginx, "quiet", files)).node("web:")._mount.check
    check()
    with pytest.raises(StoragePermissionError, match="403"):
        mount(nginx.url("forbidden")).node("web:")._mount.check()
    missing = nginx.url("html/no/such")
    with pytest.raises(StorageNotFoundError, match="name in 'probe'"):
        mount(missing).node("web:")._mount.check()
    mount(where(nginx, "html", files), probe="x.txt").node("web:")._mount.check()
    with pytest.raises(StorageNotFoundError, match="'probe'"):
        mount(where(nginx, "html", files), probe="y.txt").node("web:")._mount.check()


def test_a_dead_server_and_an_unknown_host(mount, unused_port):
    dead = mount(f"http://127.0.0.1:{unused_port}/", retries=1, listing=True)
    for step in (dead.node("web:x").read_bytes, dead.node("web:")._mount.check):
        with within(10), pytest.raises(StorageConnectionError, match=r"[Cc]onnection refused"):
            step()
    unknown = mount("http://no-such-host.invalid/", retries=0)
    with pytest.raises(StorageConnectionError, match=r"no such host.*'base_url'"):
        unknown.node("web:x").read_bytes()


@pytest.fixture
def unused_port():
    return free_port()


def test_a_silent_server_is_an_error_in_time(python_http, mount):
    node = mount(f"http://127.0.0.1:{python_http.port}/", timeout=0.5, retries=1).node("web:x")
    with python_http.frozen(), within(20), pytest.raises(StorageTimeoutError, match="'timeout'"):
        node.read_bytes()


def test_nothing_can_be_written(nginx, files, mount):
    node = mount(where(nginx, "html", files)).node("web:x.txt")
    for step in (lambda: node.write_bytes(b"x"), node.mkdir, node.delete, lambda: node.open("ab")):
        with pytest.raises(StorageUnsupportedError, match="web:"):
            step()
    assert list(files.iterdir()) == []


# -- laziness -----------------------------------------------------------------------------------


def _run(code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


_CONFIGURE = """
import sys
{before}
from genro_storage import StorageManager
manager = StorageManager()
manager.configure([dict(name='web', type='http', base_url='http://127.0.0.1:1/', token='t')])
assert manager.node('web:x').capabilities.public_urls
assert manager.node('web:x').url() == 'http://127.0.0.1:1/x'
{after}
"""


def test_configuring_imports_no_client():
    after = "assert not {'urllib3', 'fsspec', 'tenacity', 'ssl'} & set(sys.modules), sys.modules"
    done = _run(_CONFIGURE.format(before="", after=after))
    assert done.returncode == 0, done.stderr


def test_a_missing_client_says_what_to_install():
    done = _run(_CONFIGURE.format(before="sys.modules['urllib3'] = None", after=_MISSING))
    assert done.returncode == 0, done.stderr


_MISSING = """
from genro_storage import StorageMissingExtraError
for step in (manager.node('web:x').read_bytes, manager.node('web:x').stat):
    try:
        step()
    except StorageMissingExtraError as error:
        assert 'pip install "genro-storage[http]"' in str(error), error
        assert "'web' (http)" in str(error), error
    else:
        raise AssertionError
"""


def test_a_fork_does_not_share_connections(nginx, files, mount):
    (files / "x.txt").write_text("shared by nobody")
    node = mount(where(nginx, "html", files)).node("web:x.txt")
    assert node.read_text()
    pool = node._mount.backend._client.get()._pools
    node._mount.backend._client.get()._process = -1  # as it is in a child
    assert node.read_text()
    assert node._mount.backend._client.get()._pools is not pool
    for each in pool.values():
        each.clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_stream_goes_on_in_a_forked_process_and_in_its_parent(nginx, files, mount):
    data = os.urandom(8 * 1024 * 1024)
    (files / "x.bin").write_bytes(data)
    node = mount(where(nginx, "html", files)).node("web:x.bin")
    with node.open("rb") as stream:
        begun = stream.read(10)
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                status = 0 if begun + stream.read() == data else 2
            os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert begun + stream.read() == data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_another_thread_connects_waits_for_nobody(nginx, files, mount):
    (files / "x.txt").write_text("still there")
    node = mount(where(nginx, "html", files)).node("web:x.txt")
    client = node._mount.backend._client.get()
    with client._lock:  # as another thread does, while it reads the authorities
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                signal.alarm(10)
                status = 0 if node.read_text() == "still there" else 2
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_server_that_was_restarted_needs_no_second_attempt(tmp_path_factory, mount):
    for service in (services := running(Nginx, tmp_path_factory)):
        (service.data / "x.txt").write_text("back again")
        node = mount(service.url("html"), retries=0).node("web:x.txt")
        assert node.read_text() == "back again"
        service.stop()
        service.start()
        assert node.read_text() == "back again"
        services.close()


def test_a_closed_backend_opens_again(nginx, files, mount):
    (files / "x.txt").write_text("still there")
    backend = mount(where(nginx, "html", files)).node("web:")._mount.backend
    assert backend.read_bytes("x.txt") == b"still there"
    backend.close()
    assert backend.read_bytes("x.txt") == b"still there"
    backend.close()
