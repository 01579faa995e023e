"""Single files by obstore: interrupts, forks, broken streams, and what the SDK does instead."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import signal
import sys
import threading
import time

import pytest

from genro_storage import (
    StorageConnectionError,
    StorageError,
    StorageManager,
    StorageMissingExtraError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnsupportedError,
)
from genro_storage.backends.handoff import interruptible
from genro_storage.backends.object_stores.failures import failure_of
from genro_storage.backends.object_stores.kept import shown
from genro_storage.hearing import hearing_retries
from genro_storage.info import FileInfo
from genro_storage.transfer import Place, copy_file
from tests.services.answers import Answer, AnswerServer
from tests.services.s3 import BUCKET, KEY, SECRET
from tests.support.s3_places import DATE, MIB, at, mounted

pytestmark = pytest.mark.services


# -- what has failed --------------------------------------------------------------------------

_STATUS = """Object at location status: 200, not found: Error performing GET http://h/b/nope in 1ms - \
Server returned non-2xx status code: 404 Not Found: <Error>

Debug source:
NotFound {
    path: "status: 200,",
    source: RetryError(
        RetryErrorImpl {
            method: %s,
            uri: Some(
                http://h/b/nope,
            ),
            inner: Status {
                status: %d,
                body: Some(
                    %s,
                ),
            },
        },
    ),
}"""
_HTTP = """Generic S3 error: Error performing HEAD http://h/b/x in 1ms - HTTP error: error sending

Debug source:
Generic {
    store: "S3",
    source: RetryError(
        RetryErrorImpl {
            method: HEAD,
            inner: Http(
                HttpError {
                    kind: %s,
                    source: reqwest::Error {
                        kind: Request,
                        source: hyper_util::client::legacy::Error(
                            %s,
                        ),
                    },
                },
            ),
        },
    ),
}"""
_BODY = (
    r'"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>K\u{f6}ln {\"\\}'
    r"\n                status: 500,</Message><Region>eu</Region></Error>" + '"'
)


@pytest.mark.parametrize(
    ("text", "kind", "status", "code"),
    [
        (_STATUS % ("GET", 404, _BODY), "status", 404, "NoSuchKey"),
        (_STATUS % ("HEAD", 403, '""'), "status", 403, ""),
        (_STATUS % ("PUT", 503, '"<html>busy"'), "status", 503, ""),
        (_STATUS % ("PUT", 307, '""'), "redirect", 307, ""),
        (_HTTP % ("Connect", "Connect"), "unreachable", None, ""),
        (_HTTP % ("Timeout", "TimedOut"), "timeout", None, ""),
        (_HTTP % ("Timeout", "Connect,\n                            TimedOut"), "unanswered", None, ""),
        (_HTTP % ("Request", "SendRequest"), "broken", None, ""),
        (_HTTP % ("Connect", '"invalid peer certificate: UnknownIssuer"'), "insecure", None, ""),
        ('Could not parse path: Path "a//b" contained empty path segment', "strange", None, ""),
        ("Generic S3 error: x\n\nDebug source:\nGeneric {\n    source: NotPartial,\n}", "whole", None, ""),
    ],
)  # fmt: skip
def test_what_a_text_says(text, kind, status, code):
    failure = failure_of(Exception(text))
    assert (failure.kind, failure.status, failure.code) == (kind, status, code)
    if code:
        assert failure.region == "eu"
        assert failure.message.startswith('Köln {"\\}\n')


# -- interrupts and forks ---------------------------------------------------------------------


@pytest.mark.parametrize("step", ["read_bytes", "size", "write"])
def test_an_interrupt_ends_the_waiting_for_a_silent_server(moto_server, step):
    with mounted(moto_server.mount(), timeout=60) as node:
        node.write_bytes(b"x")
        steps = {
            "read_bytes": node.read_bytes,
            "size": lambda: node.size,
            "write": lambda: node.write_bytes(b"y"),
        }
        main, started = threading.main_thread().ident, time.monotonic()
        timer = threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT))
        with moto_server.frozen():
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                steps[step]()
            assert time.monotonic() - started < 30
        assert node.read_bytes() in (b"x", b"y")


def test_an_interrupted_upload_comes_before_what_is_written_next(moto_server):
    """An interrupt waits a moment for what is on its way, or it would replace what comes after."""
    with mounted(moto_server.mount(), timeout=60) as node:
        node.write_bytes(b"old")
        main = threading.main_thread().ident
        interrupt = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
        thaw = threading.Timer(0.8, lambda: os.kill(moto_server.pid, signal.SIGCONT))
        with moto_server.frozen():
            interrupt.start()
            thaw.start()
            with pytest.raises(KeyboardInterrupt):
                node.write_bytes(b"interrupted")
            assert node.read_bytes() == b"interrupted"


def test_a_second_interrupt_ends_the_waiting_for_an_upload():
    main, ended, begun = threading.main_thread().ident, threading.Event(), time.monotonic()

    def interrupt():
        threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()

    interrupt()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: ended.wait(30), 25.0, interrupt)
    assert time.monotonic() - begun < 10
    ended.set()


def test_other_threads_call_directly():
    found = []
    thread = threading.Thread(target=lambda: found.append(interruptible(threading.get_ident)))
    thread.start()
    thread.join()
    assert found == [thread.ident]
    assert interruptible(threading.get_ident) != threading.get_ident()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_goes_on_by_the_sdk(moto_server):
    """obstore would wait there for ever."""
    content = os.urandom(3 * MIB)
    with mounted(moto_server.mount()) as node:
        node.write_bytes(content)
        with node.open("rb") as stream:
            read = stream.read(MIB)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    signal.alarm(30)
                    same = read + stream.read() == content == node.read_bytes()
                    node.with_name("child.bin").write_bytes(b"of the child")
                    status = 0 if same else 2
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert read + stream.read() == content
        assert node.with_name("child.bin").read_bytes() == b"of the child"


# -- the SDK in its place ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["ends with/", "bell\x07", "a//b", "plain.txt", "a%2Fb", "ü [1]#?*"]
)
def test_both_write_and_read_the_same_key(moto_server, name):
    config = moto_server.mount()
    with mounted(config, engine="obstore") as one, mounted(config, engine="fsspec") as two:
        fast, slow = (node._mount.backend._store for node in (one, two))
        key = f"{config['prefix']}/{name}"
        fast.pipe_file(key, b"by obstore", ContentType="text/x", Metadata={"k": "v"})
        assert slow.cat_file(key) == b"by obstore"
        told = slow.head(key)
        assert (told["ContentType"], shown(told["Metadata"])) == ("text/x", {"k": "v"})
        slow.pipe_file(key, b"by the SDK")
        assert fast.cat_file(key) == b"by the SDK"
        assert fast.info(key)["ETag"] == slow.info(key)["ETag"]


def test_a_bucket_whose_etags_prove_no_upload_is_written_by_the_sdk():
    """With a key of KMS as the bucket's default, say: obstore shows nothing else of an answer."""
    etag = f'"{"0" * 32}"'

    stored = []

    def answer(request):
        if request.method == "PUT":
            stored.append(request.body)
        body = b"" if request.method == "PUT" else stored[-1]
        encrypted = ("x-amz-server-side-encryption", "aws:kms")
        return Answer(200, body, (("ETag", etag), ("Last-Modified", DATE), encrypted))

    with AnswerServer(answer) as server, mounted(at(server.url)) as node:
        for content in (b"1", b"2", b"3"):
            node.write_bytes(content)
        asked = [(each.method, each.headers["User-Agent"][:3]) for each in server.requests]
    assert [method for method, _ in asked] == ["PUT", "HEAD", "GET", "PUT", "PUT"]
    agents = [agent for method, agent in asked if method == "PUT"]
    assert agents[0] != agents[1] == agents[2]


def test_a_server_that_answers_a_range_with_the_whole(rclone_s3):
    with mounted(rclone_s3.mount()) as node:
        node.write_bytes(b"0123456789")
        assert node._mount.read_bytes("d/a.bin", 3, 6) == b"345"


def test_a_package_that_is_missing(moto_server, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with (
        mounted(moto_server.mount(engine="obstore")) as node,
        pytest.raises(StorageMissingExtraError, match=r"store.*obstore.*genro-storage\[s3\]"),
    ):
        node.read_bytes()


def test_the_environment_changes_nothing_that_the_mount_says(monkeypatch):
    for name, value in (
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "OTHER"),
        ("AWS_SECRET_ACCESS_KEY", "other"),
        ("AWS_SESSION_TOKEN", "token-of-the-environment"),
        ("AWS_REGION", "us-west-2"),
    ):
        monkeypatch.setenv(name, value)
    found = Answer(200, b"found", (("ETag", '"1"'), ("Last-Modified", DATE)))
    with AnswerServer(lambda _: found) as server, mounted(at(server.url)) as node:
        assert node.read_bytes() == b"found"
        (request,) = server.requests
    assert "Credential=AK/" in request.headers["Authorization"]
    assert "/eu-west-1/" in request.headers["Authorization"]
    assert "token-of-the-environment" not in str(request.headers)


# -- streams that break -----------------------------------------------------------------------


class _Ranges(http.server.ThreadingHTTPServer):
    """Serves one content by ranges; breaks off after ``longest`` bytes, sends at ``speed``.

    The requests with the numbers ``deaf``, from 1 on, get the whole instead of a range, and those
    with the numbers ``failing`` an error of the server.
    """

    daemon_threads = True

    def __init__(self, data, *, longest=None, speed=None, etags=('"1"',), deaf=(), failing=()):
        self.data, self.longest, self.speed, self.etags = data, longest, speed, list(etags)
        self.deaf, self.failing = deaf, failing
        self.asked = []
        super().__init__(("127.0.0.1", 0), _Range)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Range(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        server.asked.append(asked and asked[0])
        if len(server.asked) in server.failing:
            self.send_error(500, "InternalError")
            return
        if len(server.asked) in server.deaf:
            asked = None
        etag = server.etags.pop(0) if len(server.etags) > 1 else server.etags[0]
        start = int(asked[1]) if asked else 0
        end = (
            min(int(asked[2] or len(server.data)) + 1, len(server.data))
            if asked
            else len(server.data)
        )
        self.send_response(206 if asked else 200)
        for name, value in (("ETag", etag), ("Last-Modified", DATE)):
            self.send_header(name, value)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(server.data)}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        last = end if server.longest is None else min(end, start + server.longest)
        for at_ in range(start, last, 256 * 1024):
            self.wfile.write(server.data[at_ : min(at_ + 256 * 1024, last)])
            if server.speed:
                time.sleep(256 * 1024 / server.speed)
        self.close_connection = last < end

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(data, **more):
    server = _Ranges(data, **more)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _download(node, target):
    node._mount.download(node.path, target)
    return target.read_bytes()


def _copied(node, target):
    """As ``copy_to`` does it, without a look before."""
    with StorageManager() as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(target.parent)})
        disk = storage.node("disk:")._mount
        info = FileInfo(node.path, "file", 20 * MIB)
        copy_file(Place(node._mount, node.path), info, Place(disk, target.name))
    return target.read_bytes()


def _streamed(node):
    with node.open("rb") as stream:
        return b"".join(iter(lambda: stream.read(MIB), b""))


READ = {
    "read_bytes": lambda node, _: node.read_bytes(),
    "download": _download,
    "open": lambda node, _: _streamed(node),
    "copy": _copied,
}


@pytest.mark.parametrize("step", READ)
def test_a_stream_that_breaks_goes_on_where_it_was(tmp_path, step):
    data = os.urandom(20 * MIB)
    with serving(data, longest=6 * MIB) as server, mounted(at(server.url, retries=2)) as node:
        assert READ[step](node, tmp_path / "got") == data
        assert len(server.asked) <= 6


@pytest.mark.parametrize("step", READ)
def test_a_stream_that_breaks_is_not_continued_with_another_content(tmp_path, step):
    etags = [f'"{number}"' for number in range(9)]
    with (
        serving(bytes(20 * MIB), longest=6 * MIB, etags=etags) as server,
        mounted(at(server.url, retries=2)) as node,
        pytest.raises(StorageError, match=r"store:.*meanwhile"),
    ):
        READ[step](node, tmp_path / "got")
    assert step == "download" or list(tmp_path.iterdir()) == []


def test_a_stream_that_brings_nothing_is_given_up():
    with (
        serving(bytes(20 * MIB), longest=0) as server,
        mounted(at(server.url, retries=2)) as node,
        pytest.raises(StorageConnectionError, match="store:"),
    ):
        node.read_bytes()


@pytest.mark.slow
def test_a_slow_stream_is_helped_by_others(tmp_path):
    data = os.urandom(48 * MIB)
    with serving(data, speed=6 * MIB) as server, mounted(at(server.url)) as node:
        assert READ["download"](node, tmp_path / "got") == data
        assert len(server.asked) > 1


@pytest.mark.slow
def test_a_helper_that_fails_is_told_and_another_is_tried(tmp_path):
    data, told = os.urandom(48 * MIB), []
    with (
        serving(data, speed=6 * MIB, failing=(2,)) as server,
        mounted(at(server.url, retries=2)) as node,
        hearing_retries(told.append),
    ):
        assert READ["download"](node, tmp_path / "got") == data
        assert len(server.asked) > 2
    assert len(told) == 1


def test_a_fast_stream_is_left_alone(tmp_path):
    data = os.urandom(30 * MIB)
    with serving(data) as server, mounted(at(server.url)) as node:
        assert READ["download"](node, tmp_path / "got") == data
        assert server.asked == [f"bytes=0-{64 * MIB - 1}"]


# -- for other libraries ----------------------------------------------------------------------


def test_the_clients_of_a_mount(moto_server):
    import obstore

    config = moto_server.mount()
    with StorageManager() as storage:
        storage.configure([
            {"name": "store", **config},
            {"name": "plain", **config, "engine": "fsspec"},
            {"name": "below", "path": "store:d"},
            {"name": "any", "type": "fsspec", "filesystem": "memory"},
            {"name": "scratch", "type": "memory"},
        ])  # fmt: skip
        storage.node("store:d/a").write_bytes(b"x")
        key = f"{config['prefix']}/d/a"
        assert storage.fs("store").cat_file(f"{BUCKET}/{key}") == b"x"
        assert storage.fs("plain").ls(f"{BUCKET}/{config['prefix']}/d") == [f"{BUCKET}/{key}"]
        assert obstore.get(storage.store("store"), key).bytes() == b"x"
        storage.node("any:a").write_bytes(b"y")
        assert storage.fs("any").cat_file("/any/a") == b"y"
        for ask, name in (
            (storage.store, "plain"),
            (storage.fs, "scratch"),
            (storage.store, "any"),
        ):
            with pytest.raises(StorageUnsupportedError, match=f"{name}:"):
                ask(name)
        for ask in (storage.fs, storage.store):
            with pytest.raises(StoragePermissionError, match="below:"):
                ask("below")
        assert KEY not in repr(storage.store("store"))


# -- brisk requests of the main thread --------------------------------------------------------


def test_a_server_that_takes_its_time_is_asked_once_more_with_patience():
    """The main thread gives up after a second, and whoever can be interrupted waits on."""
    slow = threading.Event()

    def answer(request):
        if not slow.is_set():
            slow.set()
            time.sleep(1.5)
        return Answer(200, b"found", (("ETag", '"1"'), ("Last-Modified", DATE)))

    with AnswerServer(answer) as server, mounted(at(server.url), timeout=20) as node:
        assert node.read_bytes() == b"found"
        assert len(server.requests) == 2
        # And for a while nobody tries to be brisk.
        slow.clear()
        assert node.read_bytes() == b"found"
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "more", [{"timeout": 1}, {"key": None, "secret": None, "credential_provider": lambda: KEYS}]
)
def test_who_asks_briskly_or_waits_for_credentials_asks_once(more):
    """The timeout is the mount's, or a provider may take any time: nobody tries to be brisk."""

    def answer(request):
        time.sleep(1.5)
        return Answer(200, b"found", (("ETag", '"1"'), ("Last-Modified", DATE)))

    with AnswerServer(answer) as server, mounted(at(server.url), **{"timeout": 20, **more}) as node:
        if "timeout" in more:
            with pytest.raises(StorageTimeoutError):
                node.read_bytes()
        else:
            assert node.read_bytes() == b"found"
        assert len(server.requests) == 1


KEYS = {"access_key_id": "AK", "secret_access_key": SECRET, "token": None, "expires_at": None}
