"""Reading from web servers: ranges that are believed only where they are right, one content."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genro_storage import (
    StorageConnectionError,
    StorageFullError,
    StorageIOError,
    StorageManager,
    StorageNotFoundError,
    StoragePathError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnsupportedError,
)
from tests.services.cable import Cable

pytestmark = pytest.mark.services

_DATA = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def mount():
    """Make a mount ``web`` of a URL and return a function that gives its nodes."""
    managers = []

    def make(url, **options):
        manager = StorageManager()
        managers.append(manager)
        config = {"name": "web", "type": "http", "base_url": url, "retries": 0, **options}
        manager.configure([config])
        return lambda path: manager.node("web", path)

    yield make
    for manager in managers:
        manager.close()


def at(service, location, files):
    return f"http://127.0.0.1:{service.port}/{location}/{files.name}"


# -- a server that says what a test wants it to say ----------------------------------------------


class _Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.command, self.path, self.headers.get("Range")))
        status, headers, body = self.server.script(self)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def scripted():
    """Start a server whose answers ``script(request) -> (status, headers, body)`` makes."""
    servers = []

    def start(script):
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Scripted)
        server.script, server.asked, server.daemon_threads = script, [], True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return server, f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def span(request, size):
    """First byte and the one after the last of a request for a range."""
    first, last = request.headers["Range"].removeprefix("bytes=").split("-")
    return int(first), min(size, int(last) + 1 if last else size)


def ranged(request, data, **headers):
    """What a good server answers."""
    headers = {"ETag": '"1"', "Accept-Ranges": "bytes", **headers}
    if request.headers.get("Range") is None:
        return 200, headers, data
    first, end = span(request, len(data))
    if first >= len(data):
        return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
    return 206, headers, data[first:end]


# -- ranges -------------------------------------------------------------------------------------

_RANGES = [(0, 5), (3, 7), (5, None), (1000, 70_000), (1_000_000, 2_000_000), (2_000_000, None)]


@pytest.mark.parametrize("location", ["html", "whole", "unversioned", "pressed"])
def test_a_part_is_the_part_whatever_the_server_does(nginx, mount, location):
    files = nginx.fresh()
    (files / "x.txt").write_bytes(_DATA)
    node = mount(at(nginx, location, files))("x.txt")
    for start, end in _RANGES:
        assert node._mount.read_bytes("x.txt", start, end) == _DATA[start:end]
    assert node.read_bytes() == _DATA


def test_a_part_is_the_part_from_a_server_without_ranges(python_http, mount):
    files = python_http.fresh()
    (files / "x.txt").write_bytes(_DATA)
    node = mount(f"http://127.0.0.1:{python_http.port}/{files.name}")("x.txt")
    for start, end in _RANGES:
        assert node._mount.read_bytes("x.txt", start, end) == _DATA[start:end]


def test_a_small_part_of_a_large_file_costs_little(nginx, mount):
    files = nginx.fresh()
    (files / "x.bin").write_bytes(bytes(64 * 1024 * 1024))
    with Cable(nginx.port) as cable:
        node = mount(f"http://127.0.0.1:{cable.port}/html/{files.name}")("x.bin")
        assert node._mount.read_bytes("x.bin", 50_000_000, 50_000_100) == bytes(100)
        assert cable.passed < 4096
        with node.open("rb") as stream:
            stream.seek(-10, io.SEEK_END)
            assert stream.read() == bytes(10)
        # Without ranges the rest is not transferred either.
        node = mount(f"http://127.0.0.1:{cable.port}/whole/{files.name}")("x.bin")
        assert node._mount.read_bytes("x.bin", 0, 100) == bytes(100)
        assert cable.passed < 32 * 1024 * 1024


@pytest.mark.parametrize(
    "wrong",
    [
        "bytes 0-3/10",  # another range
        "bytes 2-9/10",  # longer than what follows
        "bytes 2-5",
        "bytes 5-2/10",
        "bytes 2-5/4",
        "",
    ],
)
def test_a_range_that_is_another_one_is_refused(scripted, mount, wrong):
    _, url = scripted(lambda _: (206, {"Content-Range": wrong, "ETag": '"1"'}, b"0123"))
    node = mount(url)("x")
    with pytest.raises(StorageConnectionError, match="range"):
        node._mount.read_bytes("x", 2, 6)


def test_a_range_that_nobody_asked_for_is_refused(scripted, mount):
    _, url = scripted(lambda _: (206, {"Content-Range": "bytes 0-3/10", "ETag": '"1"'}, b"0123"))
    with pytest.raises(StorageConnectionError, match="range"):
        mount(url)("x").read_bytes()


def test_a_server_that_gives_less_than_was_asked_is_asked_for_the_rest(scripted, mount):
    def script(request):
        if "Range" in request.headers:
            first, end = span(request, 1000)
            request.headers.replace_header("Range", f"bytes={first}-{min(end, first + 100) - 1}")
        return ranged(request, _DATA[:1000])

    server, url = scripted(script)
    node = mount(url)("x")
    assert node._mount.read_bytes("x", 10, 990) == _DATA[10:990]
    assert len(server.asked) == 10


@pytest.mark.parametrize("said", ["bytes */1000", "", "bytes */5"])
def test_a_range_that_is_refused_is_the_end_only_where_the_server_says_so(scripted, mount, said):
    def script(request):
        if request.headers.get("Range"):
            return 416, {"Content-Range": said}, b""
        return 200, {"ETag": '"1"'}, _DATA[:1000]

    _, url = scripted(script)
    read = mount(url)("x")._mount.read_bytes
    assert read("x", 10, 20) == (b"" if said == "bytes */5" else _DATA[10:20])
    assert read("x", 1000, 1010) == b""


def test_a_file_that_ends_too_early_is_no_file(scripted, mount):
    def script(request):
        request.close_connection = True
        return 200, {"ETag": '"1"', "Content-Length": "1000"}, b"x" * 400

    _, url = scripted(script)
    node = mount(url)("x")
    with pytest.raises(StorageConnectionError, match="web:x"):
        node.read_bytes()
    with node.open("rb") as stream, pytest.raises(StorageConnectionError, match="web:x"):
        stream.read()


def test_no_length_is_no_size_and_the_content_is_whole(scripted, mount):
    body = (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (b"abc", b"defgh")) + b"0\r\n\r\n"
    )
    headers = {"Transfer-Encoding": "chunked"}
    _, url = scripted(lambda _: (200, headers, body))
    node = mount(url)("x")
    assert node.stat().size is None
    assert node.size == 8
    assert node.read_bytes() == b"abcdefgh"
    with node.open("rb") as stream:
        assert stream.seek(0, io.SEEK_END) == 8
        stream.seek(2)
        assert stream.read(3) == b"cde"


@pytest.mark.parametrize(
    ("status", "headers", "error", "text"),
    [
        (300, {}, StorageConnectionError, "redirects without saying where"),
        (301, {"Location": "http://[bad/"}, StorageConnectionError, "no usable URL"),
        (401, {}, StoragePermissionError, "give 'username'"),
        (405, {}, StorageUnsupportedError, "does not serve this for reading"),
        (407, {}, StoragePermissionError, "'proxy'"),
        (408, {}, StorageTimeoutError, "408"),
        (414, {}, StoragePathError, "so long a URL"),
        (429, {"Retry-After": "Fri, 20 Nov 2099 16:00:00 GMT"}, StorageConnectionError, "to wait"),
        (429, {"Retry-After": "Mon, 20 Nov 2000 16:00:00 GMT"}, StorageConnectionError, "wait 0 s"),
        (503, {"Retry-After": "soon"}, StorageConnectionError, "try again later"),
        (502, {}, StorageConnectionError, "not available"),
        (504, {}, StorageTimeoutError, "504"),
        (507, {}, StorageFullError, "no space"),
        (599, {}, StorageConnectionError, "599"),
    ],
)
def test_statuses_mean_what_they_say(scripted, mount, status, headers, error, text):
    server, url = scripted(lambda _: (status, headers, b"why"))
    node = mount(url)("x")
    for step in (node.read_bytes, node.stat, lambda: node.exists):
        with pytest.raises(error, match=text) as caught:
            step()
        assert type(caught.value) is error
    assert len(server.asked) <= 5


def test_a_login_that_is_offered_beside_another_was_refused(scripted, mount):
    asked = 'Digest realm="x", Basic realm="x"'
    _, url = scripted(lambda _: (401, {"WWW-Authenticate": asked}, b""))
    node = mount(url, username="me", password="wrong")("x")
    with pytest.raises(StoragePermissionError, match="refuses the credentials"):
        node.read_bytes()


def test_a_failure_that_passes_is_passed_over(scripted, mount):
    def script(request):
        if len(request.server.asked) < 3:
            return 503, {"Retry-After": "0"}, b""
        return 200, {}, b"at last"

    server, url = scripted(script)
    assert mount(url, retries=2)("x").read_bytes() == b"at last"
    assert len(server.asked) == 3


def test_a_server_that_says_when_to_come_back_is_obeyed(scripted, mount):
    def script(request):
        if len(request.server.asked) < 2:
            return 503, {"Retry-After": "2"}, b""
        return 200, {}, b"at last"

    _, url = scripted(script)
    started = time.monotonic()
    assert mount(url, retries=1)("x").read_bytes() == b"at last"
    assert time.monotonic() - started >= 2
    # Not longer than one attempt may take.
    server, url = scripted(lambda _: (503, {"Retry-After": "60"}, b""))
    with pytest.raises(StorageConnectionError, match="asks to wait 60 seconds"):
        mount(url, retries=5, timeout=30)("x").read_bytes()
    assert len(server.asked) == 1


def test_what_another_server_refuses_is_not_blamed_on_the_credentials(scripted, mount):
    _, other = scripted(lambda _: (403, {}, b""))
    _, url = scripted(lambda _: (302, {"Location": f"{other}x"}, b""))
    with pytest.raises(
        StoragePermissionError, match="credentials are sent to the server of 'base_"
    ):
        mount(url, token="t")("x").read_bytes()


def test_a_redirect_with_a_slash_to_nothing_is_nothing(scripted, mount):
    def script(request):
        if request.path.endswith("/"):
            return 404, {}, b""
        return 301, {"Location": request.path + "/"}, b""

    _, url = scripted(script)
    assert not mount(url)("x").exists


def test_the_first_byte_of_a_file_without_a_length_tells_its_size(scripted, mount):
    def script(request):
        if request.command == "HEAD":
            return 200, {"Transfer-Encoding": "chunked"}, b""
        return ranged(request, b"12345")

    _, url = scripted(script)
    assert mount(url)("x").size == 5


# -- compression --------------------------------------------------------------------------------


def test_what_a_server_compresses_on_the_way_is_undone(nginx, mount):
    files = nginx.fresh()
    (files / "x.txt").write_bytes(_DATA)
    node = mount(at(nginx, "pressed", files))("x.txt")
    assert node.stat().size in (None, len(_DATA))  # nginx compresses only what has a body
    assert node.size == len(_DATA)
    with node.open("rb") as stream:
        assert stream.seek(0, io.SEEK_END) == len(_DATA)
        stream.seek(500_000)
        assert stream.read(7) == _DATA[500_000:500_007]


def test_a_compressed_file_is_the_file_itself(apache_http, mount):
    files = apache_http.fresh()
    packed = gzip.compress(_DATA)
    (files / "x.txt.gz").write_bytes(packed)
    node = mount(at(apache_http, "fancy", files))("x.txt.gz")  # sent with Content-Encoding
    assert node.size == len(packed)
    assert node.read_bytes() == packed
    assert node._mount.read_bytes("x.txt.gz", 5, 15) == packed[5:15]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(_DATA[:100_000])[:-9]),
        ("gzip", gzip.compress(_DATA[:100_000])[:200]),
        ("gzip", gzip.compress(_DATA[:100_000])[:-8] + bytes(8)),
        ("gzip", gzip.compress(_DATA[:50_000]) + gzip.compress(_DATA[50_000:100_000])[:-1]),
        ("deflate", zlib.compress(_DATA[:100_000])[:-1]),
        ("deflate", b"no deflate at all"),
    ],
)
def test_what_was_compressed_and_cut_short_is_no_file(scripted, mount, encoding, packed, framing):
    """A whole answer can hold half a file: of one that broke off behind what compresses it."""
    headers = {"Content-Encoding": encoding, "ETag": '"1"'}
    body = packed
    if framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    _, url = scripted(lambda _: (200, headers, body))
    node = mount(url)("x.txt")
    with pytest.raises(StorageConnectionError, match="compresses what it sends, and not well"):
        node.read_bytes()
    with node.open("rb") as stream, pytest.raises(StorageConnectionError, match="not well"):
        stream.read()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(_DATA[:50_000]) + gzip.compress(_DATA[50_000:100_000])),
        ("X-GZip", gzip.compress(_DATA[:100_000])),
        ("deflate", zlib.compress(_DATA[:100_000])),
    ],
)
def test_what_was_compressed_is_undone_to_its_end(scripted, mount, encoding, packed):
    _, url = scripted(lambda _: (200, {"Content-Encoding": encoding, "ETag": '"1"'}, packed))
    node = mount(url)("x.txt")
    assert node.read_bytes() == _DATA[:100_000]
    assert node._mount.read_bytes("x.txt", 60_000, 60_010) == _DATA[60_000:60_010]


def test_a_compression_that_nobody_can_undo_is_refused(scripted, mount):
    headers = {"Content-Encoding": "private", "ETag": '"1"'}
    _, url = scripted(lambda _: (200, headers, b"???"))
    with pytest.raises(StorageConnectionError, match=r"compresses what it sends.*'private'"):
        mount(url)("x.txt").read_bytes()


# -- streams ------------------------------------------------------------------------------------


@pytest.fixture
def archive():
    """A zip file with many members: whoever reads it goes back and forth."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for number in range(40):
            packed.writestr(f"{number}.bin", hashlib.sha512(bytes([number])).digest() * 300)
    return target.getvalue()


@pytest.mark.parametrize("location", ["html", "whole", "unversioned", "pressed"])
def test_an_archive_is_read_in_place(nginx, mount, archive, location):
    files = nginx.fresh()
    (files / "x.zip").write_bytes(archive)
    node = mount(at(nginx, location, files))("x.zip")
    with node.open("rb") as stream, zipfile.ZipFile(stream) as packed:
        for number in reversed(range(40)):
            expected = hashlib.sha512(bytes([number])).digest() * 300
            assert packed.read(f"{number}.bin") == expected
    if location in ("whole", "unversioned"):
        nginx.requests()
        with node.open("rb") as stream, zipfile.ZipFile(stream) as packed:
            assert packed.testzip() is None
        # Once to look, and at most once more to keep what is looked at again and again.
        assert len(nginx.requests()) <= 2


def test_a_stream_that_was_closed_says_so(nginx, mount):
    files = nginx.fresh()
    (files / "x.bin").write_bytes(_DATA)
    stream = mount(at(nginx, "html", files))("x.bin")._mount.backend.open_read("x.bin")
    stream.close()
    for step in (stream.read, stream.tell, lambda: stream.seek(0), lambda: stream.read(1)):
        with pytest.raises(ValueError, match="closed file"):
            step()


# -- one content --------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["html", "whole"])
@pytest.mark.parametrize("same_size", [True, False])
def test_a_file_that_changes_while_it_is_read_is_an_error(nginx, mount, location, same_size):
    files = nginx.fresh()
    (files / "x.bin").write_bytes(b"A" * 8_000_000)
    os.utime(files / "x.bin", (1, 1))
    node = mount(at(nginx, location, files), retries=2)("x.bin")
    with node.open("rb") as stream:
        assert stream.read(10) == b"A" * 10
        (files / "new").write_bytes(b"B" * (8_000_000 if same_size else 7_000_000))
        os.replace(files / "new", files / "x.bin")
        stream.seek(5_000_000 if location == "html" else 0)
        if location == "whole":
            # What was buffered already is still the old content; go far beyond it, and back.
            stream.seek(1_000_000)
            stream.read(1)
            stream.seek(500_000)
        with pytest.raises(StorageIOError, match=r"web:x\.bin.*changed"):
            stream.read(10)
    assert node.read_bytes()[:1] == b"B"


def test_a_file_that_vanishes_while_it_is_read_is_an_error(nginx, mount):
    files = nginx.fresh()
    (files / "x.bin").write_bytes(b"A" * 8_000_000)
    with mount(at(nginx, "html", files))("x.bin").open("rb") as stream:
        assert stream.read(10)
        (files / "x.bin").unlink()
        stream.seek(5_000_000)
        with pytest.raises(StorageNotFoundError, match=r"web:x\.bin"):
            stream.read(10)


def test_answers_that_cannot_be_shown_to_be_of_one_content_are_not_mixed(scripted, mount):
    server, url = scripted(lambda request: ranged(request, _DATA, ETag=""))
    with mount(url)("x").open("rb") as stream:
        stream.seek(500_000)
        assert stream.read(10) == _DATA[500_000:500_010]
        stream.seek(0)
        assert stream.read(10) == _DATA[:10]
    assert len(server.asked) == 1


def test_a_break_is_mended_where_the_content_is_the_same(nginx, mount):
    files = nginx.fresh()
    data = os.urandom(16 * 1024 * 1024)
    (files / "x.bin").write_bytes(data)
    for location in ("html", "whole"):
        with Cable(nginx.port) as cable:
            url = f"http://127.0.0.1:{cable.port}/{location}/{files.name}"
            node = mount(url, retries=2)("x.bin")

            def hiccup(cable=cable):
                cable.cut()
                cable.mend()

            cable.after(6_000_000, hiccup)
            with node.open("rb") as stream:
                assert hashlib.sha256(stream.read()).digest() == hashlib.sha256(data).digest()
            assert not cable.is_due
            cable.after(6_000_000, hiccup)
            assert node.read_bytes() == data
            assert not cable.is_due


def test_a_break_is_an_error_where_a_change_would_not_show(nginx, mount):
    files = nginx.fresh()
    (files / "x.bin").write_bytes(bytes(16 * 1024 * 1024))
    with Cable(nginx.port) as cable:
        node = mount(f"http://127.0.0.1:{cable.port}/unversioned/{files.name}", retries=2)("x.bin")
        cable.after(6_000_000, lambda: (cable.cut(), cable.mend()))
        with pytest.raises(StorageConnectionError, match=r"web:x\.bin"):
            node.read_bytes()
        assert node.read_bytes() == bytes(16 * 1024 * 1024)


# -- size and threads ---------------------------------------------------------------------------

_BIG = 160 * 1024 * 1024
_CHILD = """
import sys
from genro_storage import StorageManager
manager = StorageManager()
manager.configure([
    dict(name='web', type='http', base_url=sys.argv[1], listing=True),
    dict(name='disk', type='local', path=sys.argv[2]),
])
manager.node('web:small.bin').copy_to('disk:small.bin')
before = int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
manager.node('web:big.bin').copy_to('disk:big.bin')
with manager.node('web:big.bin').open('rb') as stream:
    stream.seek(100_000_000)
    while stream.read(1 << 20):
        pass
print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before)
manager.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("location", ["html", "whole"])
def test_a_big_file_needs_little_memory(nginx, tmp_path, location):
    files = nginx.fresh()
    (files / "small.bin").write_bytes(b"x")
    with (files / "big.bin").open("wb") as stream:
        stream.truncate(_BIG)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _CHILD, at(nginx, location, files), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40 * 1024  # KiB
    assert (tmp_path / "big.bin").stat().st_size == _BIG
    (files / "big.bin").unlink()


def test_eight_threads_read_each_their_own(nginx, mount):
    files = nginx.fresh()
    for number in range(8):
        (files / f"{number}.bin").write_bytes(bytes([number]) * 500_000)
    node = mount(at(nginx, "html", files), listing=True)

    def work(number):
        for turn in range(10):
            assert node(f"{number}.bin").read_bytes() == bytes([number]) * 500_000
            with node(f"{number}.bin").open("rb") as stream:
                stream.seek(turn * 40_000)
                assert stream.read(3) == bytes([number]) * 3
            assert len(node("").children()) == 8

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
