"""Answers that neither server of the tests can be made to give, over real connections."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from genro_storage import (
    StorageConnectionError,
    StorageError,
    StorageFullError,
    StorageIOError,
    StorageManager,
    StorageNotFoundError,
    StoragePathError,
    StoragePermissionError,
    StorageTimeoutError,
)

pytestmark = pytest.mark.services

FILE = """<?xml version="1.0"?><multistatus xmlns="DAV:"><response><href>{path}</href><propstat>
<prop><resourcetype/><getcontentlength>{size}</getcontentlength><getetag>{etag}</getetag></prop>
<status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"""


class Scripted(ThreadingHTTPServer):
    """Answers each method as ``answers[method]`` says: a status, or a function of the handler."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.requests = []

    def handle_error(self, request, client_address):
        """Clients hang up on what they do not believe."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.respond
        raise AttributeError(name)

    def respond(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        answer = self.server.answers[self.command]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer(self)
        else:
            self.give(answer)

    def log_message(self, *_):
        pass

    def give(self, status, body=b"", **headers):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def described(size=10, etag='"1"'):
    return lambda handler: handler.give(
        207, FILE.format(path=handler.path, size=size, etag=etag).encode()
    )


@pytest.fixture
def server():
    with Scripted() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, daemon=True)
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def node(server):
    with StorageManager() as storage:
        mount = {"type": "webdav", "url": f"http://127.0.0.1:{server.server_port}/dav"}
        storage.configure([{"name": "w", **mount, "retries": 2, "timeout": 5, "commit": "put"}])
        yield storage.node("w:a.txt")


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, StorageIOError, "does not understand"),
        (403, StoragePermissionError, "forbids"),
        (405, StoragePermissionError, "read-only"),
        (408, StorageTimeoutError, "gave up"),
        (413, StorageFullError, "of this size"),
        (414, StoragePathError, "too long"),
        (418, StorageIOError, "status 418"),
        (423, StoragePermissionError, "locked"),
        (429, StorageConnectionError, "429"),
        (500, StorageConnectionError, "500"),
        (501, StoragePermissionError, "does not allow PUT"),
        (503, StorageConnectionError, "503"),
        (507, StorageFullError, "quota"),
        (508, StorageConnectionError, "508"),
    ],
)
def test_a_status_has_its_class_and_words(server, node, status, kind, message):
    server.answers = {"PROPFIND": described(), "PUT": status}
    with pytest.raises(kind, match=message) as caught:
        node.write_bytes(b"x")
    assert type(caught.value) is kind
    assert str(caught.value).startswith("w:a.txt")


@pytest.mark.parametrize("status", [423, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server, node, status):
    server.answers = {"PROPFIND": described(), "PUT": [status, status, 201]}
    node.write_bytes(b"x")
    assert [method for method, *_ in server.requests].count("PUT") == 3


def test_a_server_that_says_when_to_come_back_is_obeyed(server, node, caplog):
    def busy(seconds):
        return lambda handler: handler.give(503, Retry_After=seconds)

    server.answers = {"PROPFIND": described(), "PUT": [busy("2"), 201]}
    started = time.monotonic()
    with caplog.at_level("INFO", "genro_storage"):
        node.write_bytes(b"x")
    assert time.monotonic() - started >= 2
    # How long it meant to wait, not how long that took on a busy machine.
    (pause,) = [each.args[1] for each in caplog.records if each.msg.startswith("attempt %d failed")]
    assert 2 <= pause < 2.5
    # Not longer than one attempt may take.
    server.requests.clear()
    server.answers = {"PROPFIND": described(), "PUT": busy("60")}
    with pytest.raises(StorageConnectionError, match="asks to wait 60 seconds"):
        node.write_bytes(b"x")
    assert [method for method, *_ in server.requests].count("PUT") == 1


def test_a_page_instead_of_a_multistatus_is_told(server, node):
    for status in (200, 405, 501):
        server.answers = {"PROPFIND": status}
        with pytest.raises(StorageConnectionError, match=r"no WebDAV server at .*check 'url'"):
            node.exists
    server.answers = {"PROPFIND": lambda handler: handler.give(207, b"<html>hello</html>")}
    with pytest.raises(StorageIOError, match="no WebDAV multistatus"):
        node.exists


def test_a_document_type_is_refused(server, node):
    bomb = b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><multistatus xmlns="DAV:">&b;'
    server.answers = {"PROPFIND": lambda handler: handler.give(207, bomb)}
    with pytest.raises(StorageIOError, match="document type"):
        node.exists


def test_a_proxy_may_show_another_path_than_the_server_knows(server, node):
    listing = """<multistatus xmlns="DAV:">
<response><href>/internal/files/b%20c</href><propstat><prop><resourcetype/></prop></propstat>
</response><response><href>http://inside:8080/internal/files/</href><propstat><prop>
<resourcetype><collection/></resourcetype></prop></propstat></response></multistatus>"""
    server.answers = {"PROPFIND": lambda handler: handler.give(207, listing.encode())}
    assert [info.path for info in node.parent._mount.scan("")] == ["b c"]


def test_a_part_that_was_not_asked_for_is_refused(server, node):
    def wrong(handler):
        handler.give(206, b"345", ETag='"1"', Content_Range="bytes 3-5/10")

    server.answers = {"PROPFIND": described(), "GET": wrong}
    with pytest.raises(StorageIOError, match="another range"):
        node._mount.read_bytes("a.txt", 4, 7)


def test_a_content_that_ends_too_early_is_no_content(server, node):
    def short(handler):
        handler.give(200, b"01234", ETag='"1"', Content_Length="10")
        handler.close_connection = True

    server.answers = {"PROPFIND": described(), "GET": short}
    with pytest.raises(StorageConnectionError, match="broke"):
        node.read_bytes()


def test_a_stream_that_breaks_goes_on_where_it_was(server, node):
    data = bytes(range(256)) * 8192

    def broken(handler):
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = data[start : start + 700_000]
        length = str(len(data) - start)
        where = f"bytes {start}-{len(data) - 1}/{len(data)}"
        status = 206 if start else 200
        handler.give(status, rest, ETag='"1"', Content_Length=length, Content_Range=where)
        handler.close_connection = True

    server.answers = {"PROPFIND": described(size=len(data)), "GET": broken}
    with node.open("rb") as stream:
        parts = [stream.read(500_000) for _ in range(5)]
    assert b"".join(parts) == data


def test_a_server_whose_tags_never_agree_is_believed(server, node):
    def tagged(handler):
        handler.give(200, b"0123456789", ETag='"1-gzip"')

    server.answers = {"PROPFIND": described(), "GET": tagged}
    assert node.read_bytes() == b"0123456789"
    assert [method for method, *_ in server.requests].count("GET") == 2


def test_a_server_without_tags_and_times_is_believed(server, node):
    server.answers = {"PROPFIND": described(etag=""), "GET": lambda h: h.give(200, b"0123456789")}
    assert node.read_bytes() == b"0123456789"
    assert node.stat().etag is None
    assert node.stat().mtime is None


def test_a_collection_whose_page_can_be_read_is_a_directory(server, node):
    collection = b"""<multistatus xmlns="DAV:"><response><href>/dav/a.txt/</href><propstat><prop>
<resourcetype><collection/></resourcetype></prop></propstat></response></multistatus>"""
    server.answers = {
        "PROPFIND": lambda handler: handler.give(207, collection),
        "GET": lambda handler: handler.give(200, b"<html>a page</html>"),
    }
    with pytest.raises(IsADirectoryError):
        node.read_bytes()


def test_a_part_of_a_tree_that_stays_is_an_error(server, node):
    left = b"""<multistatus xmlns="DAV:"><response><href>/dav/a.txt/x</href>
<status>HTTP/1.1 423 Locked</status></response></multistatus>"""
    server.answers = {"PROPFIND": described(), "DELETE": lambda handler: handler.give(207, left)}
    with pytest.raises(StoragePermissionError, match="locked"):
        node.delete()


def test_a_removal_whose_answer_was_lost_is_done(server, node):
    server.answers = {"PROPFIND": described(), "DELETE": [503, 404]}
    node.unlink()
    server.answers = {"PROPFIND": described(), "DELETE": [404]}
    with pytest.raises(StorageNotFoundError):
        node.unlink()


def test_the_headers_of_the_options_are_sent(server):
    with StorageManager() as storage:
        url = f"http://127.0.0.1:{server.server_port}/dav"
        given = {"X-Tenant": "north", "User-Agent": "ours"}
        storage.configure([{"name": "w", "type": "webdav", "url": url, "headers": given}])
        server.answers = {"PROPFIND": described()}
        assert storage.node("w:a b#c?.txt").exists
    method, path, headers = server.requests[0]
    assert (method, path) == ("PROPFIND", "/dav/a%20b%23c%3F.txt")
    assert (headers["X-Tenant"], headers["User-Agent"]) == ("north", "ours")
    assert headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in headers


def test_every_refusal_is_ours(server, node):
    for status in (300, 301, 302, 307, 402, 406, 409, 411, 415, 417, 422, 424, 451, 505, 599):
        server.answers = dict.fromkeys(
            ("PROPFIND", "PUT", "GET", "MKCOL", "MOVE", "DELETE", "COPY"), status
        )
        for step in (node.read_bytes, lambda: node.write_bytes(b"x"), node.stat):
            with pytest.raises(StorageError, match="w:a"):
                step()


def test_what_is_compressed_on_the_way_is_not_taken_for_the_content(server, node):
    packed = gzip.compress(b"0123456789")

    def compressed(handler):
        handler.give(200, packed, ETag='"1"', Content_Encoding="gzip")

    server.answers = {"PROPFIND": described(), "GET": compressed}
    with pytest.raises(StorageIOError, match="compresses what it sends"):
        node.read_bytes()
    # A file that is itself so is what it is, whatever it is called.
    server.answers = {"PROPFIND": described(size=len(packed)), "GET": compressed}
    assert node.read_bytes() == packed


def test_a_part_that_is_shorter_than_asked_for_is_not_the_end(server, node):
    data = bytes(range(256)) * 40

    def stingy(handler):
        first, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
        start = int(first)
        end = min(int(last or len(data) - 1) + 1, start + 1000, len(data))
        where = f"bytes {start}-{end - 1}/{len(data)}"
        handler.give(206, data[start:end], ETag='"1"', Content_Range=where)

    server.answers = {"PROPFIND": described(size=len(data)), "GET": stingy}
    read = node._mount.read_bytes
    assert read("a.txt", 10, 5010) == data[10:5010]
    assert read("a.txt", 10, None) == data[10:]
    with node.open("rb") as stream:
        stream.seek(3)
        assert stream.read() == data[3:]


def test_an_end_that_the_answer_does_not_show_is_known_all_the_same(server, node):
    """Without a length the end of the connection is the end of the content, or a break."""

    def unframed(handler):
        handler.send_response_only(200)
        handler.send_header("ETag", '"1"')
        handler.end_headers()
        handler.wfile.write(b"01234")
        handler.close_connection = True

    server.answers = {"PROPFIND": described(size=10), "GET": unframed}
    with pytest.raises(StorageConnectionError, match="too early"):
        node.read_bytes()
    server.answers = {"PROPFIND": described(size=5), "GET": unframed}
    assert node.read_bytes() == b"01234"


def test_an_upload_that_is_carried_out_late_does_no_harm(server):
    """A server that wakes up too late carries out what the client has given up and repeated."""
    files, late, done = {}, threading.Event(), threading.Event()

    def put(handler):
        if not files:
            files[handler.path] = b""
            late.wait(20)
            files[handler.path] = b"01234"  # the rest was not sent any more
            done.set()
            return
        files[handler.path] = b"0123456789"
        handler.give(201)

    def move(handler):
        late.set()
        done.wait(20)
        target = handler.headers["Destination"].partition(f":{server.server_port}")[2]
        files[target] = files.pop(handler.path)
        handler.give(201)

    def look(handler):
        if handler.path == "/dav/":
            described()(handler)
        else:
            handler.give(404)

    server.answers = {"PROPFIND": look, "PUT": put, "MOVE": move, "DELETE": 204}
    with StorageManager() as storage:
        mount = {"type": "webdav", "url": f"http://127.0.0.1:{server.server_port}/dav"}
        storage.configure([{"name": "w", **mount, "retries": 1, "timeout": 1}])
        storage.node("w:a.txt").write_bytes(b"0123456789")
    assert files["/dav/a.txt"] == b"0123456789"
    assert [method for method, *_ in server.requests][-1] == "DELETE", "of what came late"


@pytest.mark.parametrize(
    "said", [{}, {"Content_Range": "bytes */4"}, {"Content_Range": "bytes */x"}]
)
def test_a_range_that_is_refused_is_the_end_only_where_the_file_ends(server, node, said):
    content = bytes(range(10))

    def whole(handler):
        if "Range" in handler.headers:
            handler.give(416, **said)
        else:
            handler.give(200, content, ETag='"1"')

    server.answers = {"PROPFIND": described(), "GET": whole}
    mount = node._mount
    assert mount.read_bytes("a.txt", 4) == content[4:]
    assert mount.read_bytes("a.txt", 4, 6) == content[4:6]
    assert mount.read_bytes("a.txt", 10) == b""
    with node.open("rb") as stream:
        stream.seek(7)
        assert stream.read(2) == content[7:9]
        stream.seek(2)
        assert stream.read() == content[2:]
        stream.seek(10)
        assert stream.read() == b""
    server.answers["GET"] = lambda handler: handler.give(416, **said)
    with pytest.raises(StorageIOError, match="that nobody asked for"):
        mount.read_bytes("a.txt", 4)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ('Digest realm="x"', "not supported .digest, 401.*let it accept 'basic'"),
        ("Negotiate, NTLM", "not supported .negotiate, 401"),
        ('Digest realm="x", Basic realm="x"', "refused the user name or the password"),
        ('Basic realm="x"', "refused the user name or the password"),
    ],
)
def test_a_login_that_is_not_supported_is_named(server, asked, message):
    server.answers = {"PROPFIND": lambda handler: handler.give(401, WWW_Authenticate=asked)}
    url = f"http://127.0.0.1:{server.server_port}/dav"
    with StorageManager() as storage:
        config = {"name": "w", "type": "webdav", "url": url, "username": "u", "password": "p"}
        storage.configure([config])
        with pytest.raises(StoragePermissionError, match=message):
            storage.node("w:a.txt").size


@pytest.mark.parametrize("location", ["http://[", "ftp://h/x", ""])
def test_a_redirect_to_nowhere_is_told(server, node, location):
    server.answers = {"PROPFIND": lambda handler: handler.give(302, Location=location)}
    with pytest.raises(StorageIOError, match="the server sends us to"):
        node.size


def only(name):
    """A look that finds one file, and nothing else but collections that end with a slash."""

    def look(handler):
        if handler.path.endswith("/"):
            collection = FILE.replace(
                "<resourcetype/>", "<resourcetype><collection/></resourcetype>"
            )
            handler.give(207, collection.format(path=handler.path, size=0, etag="").encode())
        elif handler.path.endswith(name):
            described()(handler)
        else:
            handler.give(404)

    return look


def test_the_target_of_a_copy_is_in_the_spelling_of_the_request(server):
    server.answers = {"PROPFIND": only("a.txt"), "COPY": 201, "MOVE": 201}
    with StorageManager() as storage:
        url = f"http://LOCALHOST:{server.server_port}/d%61v"
        storage.configure([{"name": "w", "type": "webdav", "url": url}])
        (storage.node("w:a.txt")).copy_to(storage.node("w:b.txt"))
    asked = next(headers for method, _, headers in server.requests if method == "MOVE")
    assert asked["Destination"] == f"http://{asked['Host']}/d%61v/b.txt"


def test_a_host_that_is_no_ascii_can_be_a_target(server, monkeypatch):
    """No header can hold it as it is written. The server stands in for it, as a proxy."""
    for name in ("NO_PROXY", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    server.answers = {"PROPFIND": only("a.txt"), "COPY": 201, "MOVE": 201}
    with StorageManager() as storage:
        url = "http://b\u00fccher.example:80/\u00fc"
        storage.configure([{"name": "w", "type": "webdav", "url": url}])
        storage.node("w:a.txt").copy_to(storage.node("w:b#.txt"))
    asked = next(headers for method, _, headers in server.requests if method == "MOVE")
    assert asked["Destination"] == "http://xn--bcher-kva.example/%C3%BC/b%23.txt"
    assert asked["Host"] == "xn--bcher-kva.example"


def test_a_creation_whose_answer_was_lost_is_no_file_of_somebody_else(server, node):
    """Of a name that cannot be renamed to: the same condition again would meet its own file."""

    def hang_up(handler):
        handler.close_connection = True

    server.answers = {
        "PROPFIND": only("/"),
        "MKCOL": 201,
        "DELETE": 204,
        "PUT": [hang_up, 412],
    }
    with pytest.raises(StorageConnectionError):
        (node.parent / "why?.txt").touch(exist_ok=False)
    assert [method for method, *_ in server.requests].count("PUT") == 1
