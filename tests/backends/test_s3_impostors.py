"""Web servers that are no object store, and answer 200 all the same: neither empty nor healthy."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import threading

import pytest

from genro_storage import StorageConfigError, StorageConnectionError, StorageError, StorageManager
from tests.services.answers import Answer, AnswerServer

pytestmark = pytest.mark.services

MIB = 1024 * 1024
KEYS = {"key": "AK", "secret": "do-not-show-me"}
ENGINES = ("obstore", "fsspec")
_DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
_HTML = ("Content-Type", "text/html; charset=utf-8")
_PAGE = b"<html><body>Welcome!</body></html>"


def page(_):
    """As from a single-page application: whatever is asked for is there."""
    return Answer(200, _PAGE, (_HTML,))


def framework(request):
    """The same from a framework that makes ETags of what it sends."""
    return Answer(200, _PAGE, (_HTML, ("ETag", 'W/"22-x"')))


def created(_):
    return Answer(201, _PAGE, (_HTML,))


def soup(_):
    """A page that is no XML."""
    return Answer(200, b"<!DOCTYPE html>\n<meta charset=utf-8><p>Welcome & hello", (_HTML,))


def reading_only(request):
    if request.method in ("GET", "HEAD"):
        return page(request)
    return Answer(405, b"<html>405 Not Allowed</html>", (_HTML,))


def nothing(_):
    return Answer(200)


SLOW = pytest.mark.slow
SERVERS = (
    page,
    soup,
    reading_only,
    *(pytest.param(each, marks=SLOW) for each in (framework, created, nothing)),
)
KINDS = ("s3", *(pytest.param(kind, marks=SLOW) for kind in ("gcs", "azure")))
STEPS = {
    "check": lambda node: node._mount.check(),
    "exists": lambda node: node.exists,
    "children": lambda node: list(node.parent.children()),
    "find": lambda node: list(node._mount.find("")),
    "read": lambda node: node.read_bytes(),
    "open": lambda node: node.open("rb"),
    "write": lambda node: node.write_bytes(b"x"),
    "write large": lambda node: node.write_bytes(bytes(33 * MIB)),
    "create": lambda node: node.write_bytes(b"x", if_absent=True),
    "copy": lambda node: node._mount.copy("a.txt", node._mount, "b.txt"),
    "delete": lambda node: node.delete(),
    "remove_many": lambda node: node._mount.remove_many(["a", "b"]),
}


@contextlib.contextmanager
def mounted(server, **more):
    with StorageManager() as storage:
        storage.add_mount({
            "name": "up", "type": "s3", "bucket": "uploads", "endpoint_url": server.url,
            "retries": 1, "timeout": 5, **KEYS, **more,
        })  # fmt: skip
        yield storage


def elsewhere(kind, server):
    return {
        "gcs": {"type": "gcs", "bucket": "uploads", "endpoint_url": server.url, "anon": True},
        "azure": {
            "type": "azure",
            "container": "uploads",
            "endpoint_url": f"{server.url}/acc",
            "account_name": "acc",
            "account_key": "a2V5",
        },
    }[kind]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("answer", SERVERS, ids=lambda each: each.__name__)
def test_nothing_works_on_a_server_that_is_not_s3_and_all_says_why(answer, engine):
    with AnswerServer(answer) as server, mounted(server, engine=engine) as storage:
        node = storage.node("up:a.txt")
        for name, step in STEPS.items():
            if answer is nothing and name in ("delete", "remove_many"):
                continue  # an empty answer to a deletion is S3's own
            with pytest.raises(StorageConnectionError) as caught:
                step(node)
            said = str(caught.value)
            assert f"{server.url} answers, but not like S3 (" in said, (name, said)
            assert said.endswith("check 'endpoint_url'"), (name, said)
        (found,) = storage.check()
        assert (found.state, "not like S3" in found.reason) == ("unusable", True)


@SLOW
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["gcs", "azure"])
@pytest.mark.parametrize(
    "answer", [page, created, soup, reading_only], ids=lambda each: each.__name__
)
def test_nor_on_one_that_is_not_google_or_azure(kind, answer, engine):
    with AnswerServer(answer) as server, StorageManager() as storage:
        config = elsewhere(kind, server)
        storage.add_mount({"name": "up", "retries": 0, "timeout": 5, "engine": engine, **config})
        node = storage.node("up:a.txt")
        for name, step in STEPS.items():
            with pytest.raises(StorageConnectionError, match="does not answer as") as caught:
                step(node)
            assert str(caught.value).endswith("check 'endpoint_url'"), name
        (found,) = storage.check()
        assert found.state == "unusable", found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", None),
        (b'{"ok": true}', "application/json"),
        (b"<rss/>", "application/xml"),
        (b"hello", "text/plain"),
    ],
)
def test_whatever_is_no_listing_is_no_empty_bucket(kind, body, said):
    answer = Answer(200, body, () if said is None else (("Content-Type", said),))
    with (
        AnswerServer(lambda _: answer) as server,
        any_kind(kind, server.url, "obstore") as storage,
    ):
        (found,) = storage.check()
        assert found.state == "unusable" and "'endpoint_url'" in found.reason, found
        with pytest.raises(StorageConnectionError, match="'endpoint_url'"):
            storage.node("up:").children()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refusal_without_words_has_its_status(engine):
    with AnswerServer(lambda _: Answer(418)) as server, mounted(server, engine=engine) as storage:
        with pytest.raises(StorageError) as caught:
            storage.node("up:a.txt").write_bytes(b"x")
        assert "answered: 418" in str(caught.value)


# -- uploads that are answered without an ETag ----------------------------------------------------


class Forgetful:
    """An S3 server that names no content in its answers to uploads; ``keeps``: whether it stores."""

    def __init__(self, keeps, stored=b"", etag=None):
        """``stored`` is what lies there before; its ETag is the MD5 or the one that is given."""
        self.keeps = keeps
        self.etag = etag
        self.stored = {"/uploads/a.txt": stored} if stored else {}
        self.parts = {}

    def __call__(self, request):
        key, _, query = request.path.partition("?")
        if request.method == "POST" and "uploads" in query:
            return Answer(200, b"<R><UploadId>u</UploadId></R>")
        if "uploadId" in query and request.method == "PUT":
            self.parts[query] = request.body
            return Answer(200, b"", (("ETag", '"e"'),))
        if request.method == "POST":
            if self.keeps:
                by_number = sorted(
                    self.parts, key=lambda each: int(each.split("partNumber=")[1][0])
                )
                self.stored[key] = b"".join(self.parts[each] for each in by_number)
            return Answer(200, b"<CompleteMultipartUploadResult/>")
        if "uploadId" in query and request.method == "GET":
            if self.keeps:
                return Answer(404, b"<Error><Code>NoSuchUpload</Code></Error>")
            return Answer(200, b"<ListPartsResult><UploadId>u</UploadId></ListPartsResult>")
        if request.method == "PUT":
            if self.keeps:
                self.stored[key] = request.body
            return Answer(200)
        if "list-type" in query:
            return Answer(200, b"<ListBucketResult/>")
        if key not in self.stored:
            return Answer(404)
        digest = hashlib.md5(self.stored[key], usedforsecurity=False).hexdigest()
        etag = self.etag or f'"{digest}"'
        return Answer(200, self.stored[key], (("ETag", etag), ("Last-Modified", _DATE)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "size",
    [1, 2 * MIB, pytest.param(40 * MIB, marks=SLOW)],
    ids=["small", "at once", "in parts"],
)
def test_an_upload_that_names_no_content_is_looked_at(engine, size):
    answer = Forgetful(keeps=True)
    with AnswerServer(answer) as server, mounted(server, engine=engine) as storage:
        storage.node("up:a.txt").write_bytes(b"x" * size)
        assert answer.stored["/uploads/a.txt"].count(b"x") == size
    # Nor is an older file taken for it, of the same size.
    for older in (b"", b"o" * (size + 1), b"o" * size):
        with (
            AnswerServer(Forgetful(keeps=False, stored=older)) as server,
            mounted(server, engine=engine) as storage,
            pytest.raises(StorageConnectionError, match="no ETag of what was sent"),
        ):
            storage.node("up:a.txt").write_bytes(b"x" * size)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_store_whose_etags_are_no_md5_and_come_later_is_believed_what_it_holds(engine):
    answer = Forgetful(keeps=True, etag='"of-another-kind"')
    with AnswerServer(answer) as server, mounted(server, engine=engine) as storage:
        for content in (b"x", b"", b"y"):
            storage.node("up:a.txt").write_bytes(content)
            assert answer.stored["/uploads/a.txt"] in (content, b"0\r\n\r\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_page_with_an_etag_that_is_as_long_as_the_file_is_not_the_file(engine):
    about = (_HTML, ("ETag", '"5f-6a"'), ("Last-Modified", _DATE))
    with (
        AnswerServer(lambda _: Answer(200, _PAGE, about)) as server,
        mounted(server, engine=engine) as storage,
    ):
        for _ in range(2):
            with pytest.raises(StorageConnectionError, match="not like S3"):
                storage.node("up:a.txt").write_bytes(b"x" * len(_PAGE))


def test_a_gateway_that_tells_no_date_is_read():
    about = (("ETag", '"5f-6a"'),)
    with AnswerServer(lambda _: Answer(200, b"found", about)) as server, mounted(server) as storage:
        assert storage.node("up:a.txt").read_bytes() == b"found"


# -- endpoints with a path --------------------------------------------------------------------------


@contextlib.contextmanager
def gateway(port):
    """A server at ``/gw`` of another one, which it forwards to without that."""

    def answer(request):
        assert request.path.startswith("/gw/"), request.path
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            kept = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in ("connection", "transfer-encoding", "content-length")
            }
            connection.request(request.method, request.path[3:], request.body, kept)
            found = connection.getresponse()
            drop = ("connection", "content-length", "transfer-encoding", "date", "server")
            headers = tuple(each for each in found.getheaders() if each[0].lower() not in drop)
            body = found.read()
            if request.method == "HEAD":  # of which only the length is sent
                body = bytes(int(found.getheader("Content-Length") or 0))
            return Answer(found.status, body, headers)

    with AnswerServer(answer) as server:
        yield server


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gateway_at_a_path_does_all_that_its_server_does(moto_server, engine):
    config = moto_server.mount(engine=engine)
    with gateway(moto_server.port) as server, StorageManager() as storage:
        config["endpoint_url"] = f"{server.url}/gw/"
        storage.add_mount({"name": "up", **config})
        (found,) = storage.check()
        assert found.ok, found
        node = storage.node("up:d/a b.txt")
        node.write_bytes(b"hello")
        assert node.read_bytes() == b"hello" and node.size == 5
        assert node.open("rb").read(3) == b"hel"
        assert [str(each) for each in storage.node("up:d").children()] == ["up:d/a b.txt"]
        node.copy_to(storage.node("up:d/b.txt"))
        large = storage.node("up:large")
        large.write_bytes(bytes(40 * MIB))
        assert large.size == 40 * MIB
        for url in (node.url(), node.upload_url(content_type="text/plain").url):
            assert url.startswith(f"{server.url}/gw/")
        got = http.client.HTTPConnection("127.0.0.1", server.port)
        got.request("GET", node.url().removeprefix(server.url))
        assert got.getresponse().read() == b"hello"
        got.close()
        storage.node("up:d").delete()
        large.delete()
        assert not node.exists and storage.node("up:").children() == []


@pytest.mark.parametrize("path", ["/uploads", "/uploads/", "/gw/uploads", "/%75ploads"])
def test_the_url_of_the_bucket_is_no_endpoint(path, monkeypatch):
    config = {"name": "up", "type": "s3", "bucket": "uploads", **KEYS}
    url = f"http://127.0.0.1:5055{path}"
    rest = "/gw" if path.startswith("/gw") else ""
    fix = rf"ends with the bucket's name.*write http://127.0.0.1:5055{rest}$"
    with StorageManager() as storage:
        with pytest.raises(StorageConfigError, match=f"up.*{fix}"):
            storage.add_mount({**config, "endpoint_url": url})
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        storage.add_mount(config)
        with pytest.raises(StorageError, match="AWS_ENDPOINT_URL: 'endpoint_url' ends with"):
            storage.node("up:a").read_bytes()


# -- TLS, and names of hosts ------------------------------------------------------------------------


@contextlib.contextmanager
def any_kind(kind, url, engine, **more):
    class There:
        pass

    There.url = url
    config = (
        {"type": "s3", "bucket": "uploads", "endpoint_url": url, **KEYS}
        if kind == "s3"
        else elsewhere(kind, There)
    )
    with StorageManager() as storage:
        more = {"retries": 1, "timeout": 5, "engine": engine, **more}
        storage.add_mount({"name": "up", **config, **more})
        yield storage


def failures(storage):
    """What each way of asking says, and ``check()``."""
    node = storage.node("up:a.txt")
    for step in ("read", "write", "exists", "check"):
        with pytest.raises(StorageConnectionError) as caught:
            STEPS[step](node)
        yield str(caught.value)
    yield storage.check()[0].reason


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_nobody_trusts_is_told_with_the_fix(authority, kind, engine):
    with AnswerServer(page, tls=authority.tls) as server:
        with any_kind(kind, server.url, engine) as storage:
            for said in failures(storage):
                assert f"the certificate of {server.url} is not trusted (" in said
                assert "'root_certificate'" in said and "allow_invalid_certificates" in said
                assert "denied" not in said and "SSLCert" not in said and len(said) < 400
            assert storage.check()[0].state == "unreachable"
        assert server.requests == []
        with any_kind(kind, server.url, engine, allow_invalid_certificates=True) as storage:
            (found,) = storage.check()
            assert (found.state, "'endpoint_url'" in found.reason) == ("unusable", True), found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_another_name_is_told_with_the_fix(authority, kind, engine):
    with AnswerServer(page, tls=authority.tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        more = {"root_certificate": authority.pem}
        with any_kind(kind, url, engine, **more) as storage:
            for said in failures(storage):
                assert "write in 'endpoint_url' the name that it is for" in said, said


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_tls_is_called_so(kind, engine):
    with AnswerServer(page) as server:
        url = server.url.replace("http:", "https:")
        with any_kind(kind, url, engine) as storage:
            for said in failures(storage):
                assert f"this server speaks http, not https: {url}" in said
            assert storage.check()[0].state == "unusable"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_nobody_knows_is_told_from_one_that_refuses(kind, engine):
    with any_kind(kind, "http://nobody.invalid", engine) as storage:
        for said in failures(storage):
            assert "no host of this name is known: http://nobody.invalid" in said
    with any_kind(kind, "http://127.0.0.1:1", engine) as storage:
        for said in failures(storage):
            assert "no host" not in said and "127.0.0.1:1" in said


def test_an_untrusted_server_is_asked_once(authority):
    """It would not be trusted at the next attempt either."""
    with AnswerServer(page, tls=authority.tls) as server:
        seen = []
        accept = server._server.get_request
        lock = threading.Lock()

        def counted():
            with lock:
                seen.append(1)
            return accept()

        server._server.get_request = counted
        with (
            any_kind("s3", server.url, "fsspec", retries=5) as storage,
            pytest.raises(StorageConnectionError),
        ):
            storage.node("up:a").read_bytes()
        assert len(seen) == 1
