"""Directory pages of web servers: what is listed, and what is no listing."""

from __future__ import annotations

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genro_storage import (
    StorageIOError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnsupportedError,
)
from genro_storage.backends.http.listing import NoListingError, read_listing
from tests.services.interrupted import within
from tests.support.effort import assert_no_square

_URL = "http://host/files/d%20e/"


def entries(page, kind="text/html; charset=utf-8", **options):
    found = read_listing(_URL, kind, [page.encode()[:70], page.encode()[70:]], **options)
    return [(entry.name, entry.type) for entry in found]


def test_a_page_without_an_end_is_refused(monkeypatch):
    from genro_storage.backends.http import backend as http_backend

    class Endless:
        def read(self, size):
            return b"x" * size

    monkeypatch.setattr(http_backend, "_LARGEST_PAGE", 3 * 1024 * 1024)
    with pytest.raises(NoListingError, match="more than 3 MiB"):
        read_listing(_URL, "text/html", http_backend._chunks(Endless()))


@pytest.mark.parametrize("beginning", ["<!--", "<a href='", "<", "&#"])
def test_a_page_of_beginnings_is_no_work(beginning):
    """Each could be the one that a later end belongs to, if one looked for that."""

    def work(size):
        assert entries(beginning * (size // len(beginning)), any_page=True) == []

    assert_no_square(work, 12_500)


# -- pages, as servers of each kind write them ---------------------------------------------------


def test_links_that_are_no_entries_are_left_out():
    page = """<html><head><title>Index of /files/d e/</title></head><body><h1>Index of</h1>
    <a href="?C=N;O=D">Name</a> <a href="/files/">Parent</a> <a href="../">../</a> <a href="./">.</a>
    <a href="/files/d%20e/whole%23.txt">whole</a> <A HREF='sub/'>sub</A> <a href="sub/deep.txt">d</a>
    <a href="http://host/files/d%20e/same.txt">s</a> <a href="http://else/files/d%20e/x">x</a>
    <a href="https://host/files/d%20e/x">x</a> <a href="mailto:me@host">m</a> <a name="x">n</a>
    <a href="javascript:alert(1)">j</a> <a href="a%2Fb">slash</a> <a href="%2e%2e">up</a>
    <a href="./zip?download=zip">z</a> <a href="//else/x">e</a> <a href="#top">t</a> <a href="">.</a>
    <a href="with&amp;amp;.txt">&amp;</a> <a href="#">h</a> <a href="http://[bad/x">b</a>
    </body></html>"""
    assert entries(page) == [
        ("whole#.txt", "file"),
        ("sub", "directory"),
        ("same.txt", "file"),
        ("..", "file"),  # left out later, with everything that no path can express
        ("with&amp;.txt", "file"),
    ]


@pytest.mark.parametrize(
    "page",
    [
        "<!doctype html>\n<pre>\n<a href='x'>x</a>\n</pre>",  # Go
        "<title>/files/d e</title><h1>d e</h1><a href='./?sort=size'>s</a><a href='./x'>x</a>",
        "<title>Directory listing for /d/</title><ul><li><a href='x'>x</a></ul>",  # Python
        "<html><title>Directory: /d/</title><a href='x'>x</a>",  # Jetty
        "<html><title>Directory Listing For [/d/]</title><a href='x'>x</a>",  # Tomcat
    ],
)
def test_pages_of_many_servers_are_known(page):
    assert entries(page) == [("x", "file")]


@pytest.mark.parametrize(
    ("page", "kind", "reason"),
    [
        ("<title>Welcome\n to us</title><a href='x'>x</a>", "text/html", "called 'Welcome to us'"),
        ("<body><pre><a href='x'>x</a></pre></body>", "text/html", "page of its own"),
        ("just text", "text/plain", "type 'text/plain'"),
        ("PK", "", "type 'unknown'"),
        ('{"a": 1}', "application/json", "not a list of entries"),
        ('["a"]', "application/json", "not a list of entries"),
        ('[{"name": "a"}]', "application/json", "not a list of entries"),
        ("[", "application/json", "cannot be read"),
        ("[" * 200_000, "application/json", "cannot be read"),
    ],
)
def test_another_page_is_no_listing(page, kind, reason):
    with pytest.raises(NoListingError, match=reason):
        entries(page, kind)


def test_links_of_any_page_where_that_is_wanted():
    page = "<title>Our downloads</title><a href='a.zip'>A</a> <a href='/about'>us</a>"
    assert entries(page, any_page=True) == [("a.zip", "file")]


def test_json_of_caddy():
    page = """[{"name":"a.txt","size":3,"url":"./a.txt","mod_time":"2026-11-20T16:00:00.9Z",
    "mode":420,"is_dir":false,"is_symlink":false},{"name":"d/","size":4096,"is_dir":true,
    "url":"./d/","mod_time":"2026-11-20T16:00:00Z","mode":2147484141,"is_symlink":false}]"""
    found = read_listing(_URL, "application/json; charset=utf-8", [page.encode()])
    assert [(e.name, e.type, e.size, e.is_whole) for e in found] == [
        ("a.txt", "file", 3, True),
        ("d", "directory", None, True),
    ]
    assert found[0].mtime == 1_795_190_400.0


# -- servers ------------------------------------------------------------------------------------


@pytest.fixture
def mount():
    managers = []

    def make(service, location, files, **options):
        manager = StorageManager()
        managers.append(manager)
        url = f"http://127.0.0.1:{service.port}/{location}{files.name}"
        config = {"name": "web", "type": "http", "base_url": url, "listing": True, **options}
        manager.configure([config])
        return manager.node("web:")

    yield make
    for manager in managers:
        manager.close()


@pytest.mark.services
@pytest.mark.parametrize("location", ["html", "json", "rounded"])
def test_sizes_and_times_are_exact_however_the_page_rounds_them(nginx, mount, location):
    files = nginx.fresh()
    (files / "big.bin").write_bytes(bytes(123_457))
    os.utime(files / "big.bin", (1_700_000_001, 1_700_000_001))
    (files / ("long" * 30)).write_bytes(b"1234567")
    root = mount(nginx, f"{location}/", files)
    nginx.requests()
    children = {child.name: child for child in root.children()}
    assert children["big.bin"].size == 123_457
    assert children["big.bin"].mtime == 1_700_000_001.0
    assert children["long" * 30].size == 7
    asked = nginx.requests(1 if location == "json" else 3)
    assert len(asked) == (1 if location == "json" else 3)


@pytest.mark.services
def test_looking_at_each_file_can_be_switched_off(nginx, mount):
    files = nginx.fresh()
    (files / "x.bin").write_bytes(bytes(1000))
    root = mount(nginx, "html/", files, details=False)
    nginx.requests()
    (info,) = root._mount.scan("")
    assert (info.name, info.size, info.mtime) == ("x.bin", None, None)
    assert len(nginx.requests(1)) == 1
    (child,) = root.children()
    nginx.requests()
    assert child.size == 1000
    assert [line.split()[0] for line in nginx.requests(1)] == ["HEAD"]  # not read to be counted


@pytest.mark.services
@pytest.mark.parametrize("location", ["fancy", "table", "plain"])
def test_apache_lists_with_its_icons_and_sorting(apache_http, mount, location):
    files = apache_http.fresh()
    (files / ("a very long name that is cut off" * 3 + ".txt")).write_bytes(b"1")
    (files / "sub").mkdir()
    root = mount(apache_http, f"{location}/", files)
    assert {child.name: child.isdir for child in root.children()} == {
        "a very long name that is cut off" * 3 + ".txt": False,
        "sub": True,
    }


@pytest.mark.services
def test_a_page_of_its_own_is_no_listing(nginx, mount):
    files = nginx.fresh()
    (files / "index.html").write_text("<title>Welcome</title><a href='x.txt'>x</a>")
    (files / "x.txt").write_text("x")
    root = mount(nginx, "pages/", files)
    for step in (root.children, root._mount.check):
        with pytest.raises(StorageIOError, match=r"web:.*no directory listing.*'Welcome'.*links"):
            step()
    assert (root / "x.txt").read_text() == "x"
    links = mount(nginx, "pages/", files, listing="links")
    assert [child.name for child in links.children()] == ["x.txt"]


@pytest.mark.services
def test_a_directory_that_is_not_shown_is_no_empty_one(nginx, mount):
    files = nginx.fresh()
    (files / "d").mkdir()
    root = mount(nginx, "quiet/", files)
    for node in (root, root / "d"):
        with pytest.raises(StoragePermissionError, match="does not show what is in this directory"):
            node.children()
    assert (root / "d").isdir


@pytest.mark.services
def test_a_directory_that_is_missing_or_a_file(nginx, mount):
    files = nginx.fresh()
    (files / "x.txt").touch()
    for location in ("html", "json"):
        root = mount(nginx, f"{location}/", files)
        with pytest.raises(StorageNotFoundError, match="web:no"):
            (root / "no").children()
        with pytest.raises(StorageNotDirectoryError, match=r"web:x\.txt"):
            (root / "x.txt").children()


@pytest.mark.services
def test_links_that_lead_nowhere_are_left_out(nginx, mount):
    files = nginx.fresh()
    (files / "x.txt").touch()
    (files / "broken").symlink_to(files / "missing")
    (files / "d").mkdir()
    (files / "linked").symlink_to(files / "d")
    root = mount(nginx, "html/", files)
    assert {child.name: child.isdir for child in root.children()} == {
        "d": True,
        "linked": True,
        "x.txt": False,
    }


@pytest.mark.services
def test_without_a_listing_nothing_is_listed(nginx, mount):
    root = mount(nginx, "html/", nginx.fresh(), listing=False)
    assert not root.capabilities.list_dir
    nginx.requests()
    with pytest.raises(StorageUnsupportedError, match=r"web:.*write `listing: true`"):
        root.children()
    assert nginx.requests() == []


@pytest.mark.services
def test_a_server_that_cannot_be_asked_about_files_lists_them(nginx, mount):
    files = nginx.fresh()
    (files / "x.txt").write_bytes(b"12345")
    root = mount(nginx, "headless/", files)
    assert [(child.name, child.size) for child in root.children()] == [("x.txt", 5)]
    root._mount.check()
    assert root.isdir


@pytest.mark.services
def test_many_entries_come_back_in_order(nginx, mount):
    files = nginx.fresh()
    names = [f"{number:04}.txt" for number in range(700)]
    for name in names:
        (files / name).write_text(name)
    root = mount(nginx, "html/", files)
    assert [child.name for child in root.children()] == names
    assert all(child.size == 8 for child in root.children())


@pytest.mark.services
def test_a_server_that_has_directories_only_with_a_slash(rclone_http, mount):
    files = rclone_http.fresh()
    (files / "d").mkdir()
    (files / "d" / "a#b.txt").write_bytes(b"12345")
    root = mount(rclone_http, "", files)
    assert [info.path for info in root._mount.find("")] == ["d", "d/a#b.txt"]
    assert (root / "d").isdir
    assert not (root / "e").exists
    assert (root / "d/a#b.txt").size == 5
    for step in ((root / "d").read_bytes, (root / "d").open):
        with pytest.raises(StorageIsDirectoryError, match="web:d"):
            step()
    with pytest.raises(StorageIsDirectoryError, match="web:d"):
        root._mount.read_bytes("d", 3, 3)


@pytest.mark.services
def test_a_file_that_may_not_be_read_is_listed_all_the_same(apache_http, mount):
    files = apache_http.fresh()
    (files / "x.txt").touch()
    (files / "x.txt").chmod(0)
    (files / "y.txt").write_bytes(b"12345")
    root = mount(apache_http, "fancy/", files)
    found = {info.name: (info.type, info.size) for info in root._mount.scan("")}
    if os.geteuid() == 0:  # else the server is the owner, and nginx and apache hide nothing
        assert found["x.txt"] == ("file", None)
        with pytest.raises(StoragePermissionError, match=r"web:x\.txt.*403"):
            (root / "x.txt").read_bytes()
    assert found["y.txt"] == ("file", 5)


class Silent(ThreadingHTTPServer):
    """Lists fifty files and says nothing about any of them, for as long as a test may take."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _SilentHandler)
        self.asked = set()
        self.is_asked, self.over = threading.Event(), threading.Event()


class _SilentHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        links = "".join(f"<a href='{number}.txt'>x</a>" for number in range(50))
        body = f"<title>Index of /</title>{links}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.server.asked.add(self.path)
        self.server.is_asked.set()
        self.server.over.wait(120)

    def log_message(self, *_):
        pass


@pytest.fixture
def silent():
    with Silent() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def listed(storage, silent, timeout):
    url = f"http://127.0.0.1:{silent.server_port}/"
    storage.configure(
        [{"name": "web", "type": "http", "base_url": url, "listing": True, "timeout": timeout}]
    )
    return storage.node("web:").children()


@pytest.mark.slow
def test_a_listing_ends_with_the_first_error(silent):
    with StorageManager() as storage:
        with pytest.raises(StorageTimeoutError, match="no answer within 'timeout'"):
            listed(storage, silent, timeout=1)
        # Eight at a time; who waits for all of them asks about all fifty.
        assert len(silent.asked) < 40


def test_an_interrupt_ends_a_listing_at_once(silent):
    def interrupt():
        if silent.is_asked.wait(60):
            os.kill(os.getpid(), signal.SIGINT)

    with StorageManager() as storage:
        thread = threading.Thread(target=interrupt)
        thread.start()
        # Whoever waits for an answer waits for a minute.
        with within(30), pytest.raises(KeyboardInterrupt):
            listed(storage, silent, timeout=60)
        thread.join()
