"""What can be wrong with a bucket, a key or a server: the class, the mount, the fix, no secret."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import itertools
import socket
import threading
import time

import pytest

from genro_storage import (
    StorageConnectionError,
    StorageError,
    StorageFullError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
)
from tests.services.answers import Answer, AnswerServer
from tests.services.base import free_port
from tests.services.interrupted import within
from tests.services.s3 import BUCKET, KEY, SECRET

pytestmark = pytest.mark.services

MIB = 1024 * 1024
_DATE = "Wed, 21 Oct 2015 07:28:00 GMT"

STEPS = {
    "read": lambda node: node.read_bytes(),
    "open": lambda node: node.open("rb"),
    "write": lambda node: node.write_bytes(b"x"),
    "stat": lambda node: node.exists,
    "list": lambda node: list(node.parent.children()),
    "find": lambda node: list(node._mount.find("")),
    "check": lambda node: node._mount.check(),
    "remove_many": lambda node: node._mount.remove_many(["a", "b"]),
}
every_step = pytest.mark.parametrize("step", STEPS)


@contextlib.contextmanager
def mounted(config, **more):
    with StorageManager() as storage:
        storage.configure([{"name": "store", "retries": 0, "timeout": 5, **config, **more}])
        yield storage.node("store:d/a.txt")


def refused(kind, message, node, step):
    with pytest.raises(StorageError, match=f"(?s)store:.*{message}") as caught:
        STEPS[step](node)
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


# -- who is asking: rclone checks signatures --------------------------------------------------


@every_step
def test_a_wrong_secret(rclone_s3, step):
    with mounted(rclone_s3.mount(secret="wrong-secret")) as node:
        refused(StoragePermissionError, "check 'secret'", node, step)


@every_step
def test_an_unknown_key(rclone_s3, step):
    with mounted(rclone_s3.mount(key="NOBODYKNOWS")) as node:
        refused(StoragePermissionError, "check 'key'", node, step)


@every_step
def test_no_credentials_where_some_are_needed(rclone_s3, step):
    config = {**rclone_s3.mount(), "anon": True}
    del config["key"], config["secret"]
    with mounted(config) as node:
        refused(StoragePermissionError, "credentials", node, step)


def test_no_credentials_to_be_found(moto_server):
    config = moto_server.mount()
    del config["key"], config["secret"]
    with mounted(config) as node:
        refused(StoragePermissionError, "'key' and 'secret', a 'profile', or 'anon", node, "read")


def test_an_unknown_profile(moto_server):
    config = moto_server.mount(profile="nobody")
    del config["key"], config["secret"]
    with mounted(config) as node:
        refused(StoragePermissionError, "profile.*nobody", node, "read")


def test_a_profile_is_read(moto_server, tmp_path, monkeypatch):
    (tmp_path / "config").write_text(
        f"[profile work]\naws_access_key_id = AK\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    config = moto_server.mount(profile="work")
    del config["key"], config["secret"]
    with mounted(config) as node:
        node.write_bytes(b"x")
        assert "AK%2F" in node.url()


def test_a_profile_leads_to_a_server_of_its_own(moto_server, rclone_s3, tmp_path, monkeypatch):
    config = tmp_path / "config"
    keys = f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    config.write_text(
        f"[profile one]\n{keys}endpoint_url = http://127.0.0.1:{moto_server.port}\n"
        f"[profile two]\n{keys}services = mine\n"
        f"[services mine]\ns3 =\n  endpoint_url = http://127.0.0.1:{rclone_s3.port}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with StorageManager() as storage:
        storage.configure([
            {"name": name, "type": "s3", "bucket": BUCKET, "prefix": "shared", "profile": name}
            for name in ("one", "two")
        ])  # fmt: skip
        one, two = storage.node("one:a.txt"), storage.node("two:a.txt")
        assert not one.samefile(two)
        one.write_bytes(b"1")
        assert not two.exists
        one.copy_to(two)
        assert two.read_bytes() == b"1"
        # As for every server that is not Amazon's.
        assert one._mount.backend._store.client._settings()["config_kwargs"]["s3"] == {
            "addressing_style": "path"
        }
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        storage.add_mount({"name": "all", "type": "s3", "bucket": BUCKET, "profile": "one"})
        assert storage.node("all:")._mount.backend._store.client.endpoint is None


def test_mounts_with_keys_have_their_own_and_the_environment_of_their_time(
    moto_server, tmp_path, monkeypatch
):
    """Though they share what makes connections."""
    found = []
    for number in (1, 2, 2, 1):
        path = tmp_path / f"config{number}"
        path.write_text(f"[default]\nregion = eu-west-{number}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        with mounted(moto_server.mount(key=f"KEY{number}", secret=f"secret{number}")) as node:
            url = node.url()
            found.append(f"KEY{number}%2F" in url and f"%2Feu-west-{number}%2F" in url)
    assert found == [True] * 4


# -- what is missing --------------------------------------------------------------------------


@pytest.mark.parametrize("step", [step for step in STEPS if step != "stat"])  # nothing exists there
def test_a_missing_bucket(moto_server, step):
    with mounted(moto_server.mount(bucket="nobody-made-it")) as node:
        refused(
            StorageNotFoundError,
            "the bucket 'nobody-made-it' does not exist; create it or correct 'bucket'",
            node,
            step,
        )


def test_a_missing_prefix_is_an_empty_directory(moto_server):
    with mounted(moto_server.mount()) as node:
        assert list(node._mount.scan("")) == []
        assert node._mount.stat("").is_dir
        node._mount.check()


# -- a server that is not there ---------------------------------------------------------------


@every_step
def test_a_dead_server(moto_server, step):
    with mounted(moto_server.mount(endpoint_url=f"http://127.0.0.1:{free_port()}")) as node:
        refused(StorageConnectionError, "cannot be reached; check 'endpoint_url'", node, step)


def test_a_host_without_a_name(moto_server):
    with mounted(moto_server.mount(endpoint_url="http://nobody.invalid")) as node:
        refused(StorageConnectionError, "no host of this name .*nobody.invalid", node, "read")


def test_a_server_that_stops_listening_in_the_middle_of_an_upload(moto_server):
    """Nothing bounds the sending of a body but us."""
    with _deaf() as port:
        config = moto_server.mount(endpoint_url=f"http://127.0.0.1:{port}")
        stopped = pytest.raises(StorageTimeoutError, match=r"store:.*stopped listening")
        with mounted(config, timeout=1.5) as node, within(20), stopped:
            node.write_bytes(bytes(30 * MIB))


@contextlib.contextmanager
def _deaf():
    """A server that accepts a connection and never takes anything from it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


# -- what no server here says: answers as the documentation of S3 has them --------------------


class _Scripted(http.server.ThreadingHTTPServer):
    """Gives the same answers to everybody, and counts the questions."""

    daemon_threads = True

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.command)
        answers = self.server.answers
        status, code, more = answers.pop(0) if len(answers) > 1 else answers[0]
        body = b""
        if code and self.command != "HEAD":
            body = (
                f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Words of the server"
                f"</Message>{more}</Error>"
            ).encode()
        elif not code:
            body = more.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 200 and self.command == "PUT":
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            self.send_header("ETag", f'"{digest}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 - what is called

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering(*answers, **more):
    server = _Scripted(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    config = {
        "type": "s3",
        "bucket": "scripted",
        "endpoint_url": f"http://127.0.0.1:{server.server_port}",
        "key": "AK",
        "secret": SECRET,
        **more,
    }
    try:
        with mounted(config) as node:
            yield node, server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


OK = (200, "", "")


@pytest.mark.parametrize(
    ("status", "code", "more", "kind", "message"),
    [
        (400, "ExpiredToken", "", StoragePermissionError, "expired.*'token'"),
        (400, "InvalidToken", "", StoragePermissionError, "check 'token'"),
        (403, "RequestTimeTooSkewed", "", StoragePermissionError, "clock"),
        (403, "AccessDenied", "", StoragePermissionError, "denies.*check 'key', 'secret'"),
        (403, "InvalidObjectState", "", StoragePermissionError, "archived"),
        (
            400,
            "AuthorizationHeaderMalformed",
            "<Region>eu-south-1</Region>",
            StoragePermissionError,
            "'eu-south-1'; correct 'region'",
        ),
        (503, "SlowDown", "", StorageConnectionError, "busy .SlowDown."),
        (500, "InternalError", "", StorageConnectionError, "failed: InternalError"),
        (400, "RequestTimeout", "", StorageTimeoutError, "RequestTimeout"),
        (409, "OperationAborted", "", StorageConnectionError, "OperationAborted"),
        (507, "XMinioStorageFull", "", StorageFullError, "no space"),
        (403, "SomethingNew", "", StoragePermissionError, "denies"),
        (503, "SomethingNew", "", StorageConnectionError, "busy .SomethingNew."),
        (520, "SomethingNew", "", StorageConnectionError, "failed: SomethingNew"),
        (418, "Teapot", "", StorageError, "Teapot: Words of the server"),
    ],
)
@pytest.mark.parametrize("step", ["read", "write", "list"])
def test_what_a_server_says(status, code, more, kind, message, step):
    with answering((status, code, more)) as (node, _):
        with pytest.raises(kind, match=f"(?s)store:.*{message}") as caught:
            STEPS[step](node)
        assert SECRET not in str(caught.value)


def test_a_head_never_says_why_so_a_listing_is_asked():
    with (
        answering((403, "ExpiredToken", "")) as (node, server),
        pytest.raises(StoragePermissionError, match="expired"),
    ):
        node.exists
    assert server.asked == ["HEAD", "GET"]


def test_a_busy_server_is_asked_again():
    busy = (503, "SlowDown", "")
    with answering(busy, busy, OK, retries=2) as (node, server):
        node.write_bytes(b"x")
    assert server.asked == ["PUT"] * 3


def create(node):
    with node.open("xb") as stream:
        stream.write(b"x")


def test_a_creation_is_asked_again_only_where_it_was_refused():
    missing = (404, "NoSuchKey", "")
    listing = (200, "", "<ListBucketResult/>")
    busy, failed = (503, "SlowDown", ""), (500, "InternalError", "")
    with answering(missing, listing, busy, OK, retries=2) as (node, server):
        create(node)
    assert server.asked == ["HEAD", "GET", "PUT", "PUT"]
    broken = pytest.raises(StorageConnectionError)
    with answering(missing, listing, failed, OK, retries=2) as (node, server), broken:
        create(node)
    assert server.asked == ["HEAD", "GET", "PUT"]


def test_a_server_without_conditions_is_looked_at_before_a_creation():
    missing, listing = (404, "NoSuchKey", ""), (200, "", "<ListBucketResult/>")
    unknown = (501, "NotImplemented", "")
    with answering(missing, listing, unknown, missing, OK) as (node, server):
        create(node)
    assert server.asked == ["HEAD", "GET", "PUT", "HEAD", "PUT"]


def test_what_a_bulk_deletion_was_refused_is_raised():
    denied = (
        "<?xml version='1.0'?><DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code>"
        "<Message>no</Message></Error></DeleteResult>"
    )
    refusal = pytest.raises(StoragePermissionError, match="1 of 2 were not deleted; 'b'")
    with answering((200, "", denied)) as (node, _), refusal:
        node._mount.remove_many(["a", "b"])


def test_an_answer_that_is_no_answer_of_s3():
    page = (200, "", "<html>Welcome to the hotel")
    with answering(page) as (node, _), pytest.raises(StorageError, match="store:"):
        STEPS["list"](node)


def test_the_last_answer_of_an_upload_in_parts_may_be_lost(moto_server, monkeypatch):
    """The server has put the parts together, and the connection breaks before it says so."""
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PART", 5 * MIB)
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PUT_AT_ONCE", 6 * MIB)
    with mounted(moto_server.mount(), retries=1) as node:
        client = node._mount.backend._store.client
        send, answers = client._send, []

        async def losing(sdk, operation, parameters):
            if operation != "complete_multipart_upload":
                return await send(sdk, operation, parameters)
            if not answers:
                answers.append(await send(sdk, operation, parameters))
                raise ConnectionResetError("lost")
            from botocore.exceptions import ClientError  # moto itself answers once more

            raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "CompleteMultipartUpload")

        client._send = losing
        node.write_bytes(b"x" * 11 * MIB)
        assert node.read_bytes() == b"x" * 11 * MIB


def test_deleting_many_files_waits_for_a_silent_server_once(moto_server):
    names = [f"bell\x07{number}" for number in range(20)]  # each in a request of its own
    with mounted(moto_server.mount(), timeout=1.5) as node:
        with (
            moto_server.frozen(),
            within(15),
            pytest.raises(StorageTimeoutError, match="store:"),
        ):
            node._mount.remove_many(names)
        node._mount.remove_many(names)


def test_closing_with_a_frozen_server_does_not_hang(moto_server):
    with mounted(moto_server.mount(), timeout=60) as node:
        node.write_bytes(b"x")
        started = time.monotonic()
        with moto_server.frozen():
            node._mount.backend.close()
        assert time.monotonic() - started < 20
        assert node.read_bytes() == b"x"


# -- where requests go, and how fast ----------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_obstore_follows_a_redirection_without_signature_and_content(status):
    """It cannot be told not to; what comes from there is not believed."""
    with AnswerServer(lambda _: Answer(200, b"another's")) as other:
        place = f"http://localhost:{other.port}/x"
        with (
            AnswerServer(lambda _: Answer(status, b"", (("Location", place),))) as server,
            mounted(_at(server), engine="obstore") as node,
        ):
            for step in STEPS.values():
                with pytest.raises(StorageError, match=r"store:.*check 'endpoint_url'"):
                    step(node)
        for request in other.requests:
            assert request.method in ("GET", "HEAD") and request.body == b""
            assert "Authorization" not in request.headers


def test_another_page_that_breaks_off_is_no_broken_connection():
    page = Answer(200, b"<html>", (("Content-Length", "100"),), says_length=False)
    with AnswerServer(lambda _: page) as other:
        away = Answer(302, b"", (("Location", f"http://localhost:{other.port}/x"),))
        with (
            AnswerServer(lambda _: away) as server,
            mounted(_at(server), retries=2) as node,
            pytest.raises(StorageError, match="sends us elsewhere"),
        ):
            node.read_bytes()
        assert len(other.requests) == 1


def test_a_file_that_another_page_says_it_has_taken_is_sent_again():
    """303 has obstore look at another page, whose ETag it takes for that of the file."""
    page = Answer(200, b"a page", (("ETag", '"1"'), ("Last-Modified", _DATE)))
    with AnswerServer(lambda _: page) as other:
        away = Answer(303, b"", (("Location", f"http://localhost:{other.port}/x"),))
        refusal = pytest.raises(StorageError, match="check 'endpoint_url'")
        with AnswerServer(lambda _: away) as server, mounted(_at(server)) as node, refusal:
            node.write_bytes(b"x")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_to_where_a_server_redirects(status):
    with AnswerServer(lambda _: Answer(200, b"another's")) as other:
        place = f"http://localhost:{other.port}/x"
        with (
            AnswerServer(lambda _: Answer(status, b"", (("Location", place),))) as server,
            mounted(_at(server, token="session-token"), engine="fsspec") as node,
        ):
            for step in STEPS.values():
                with pytest.raises(StorageError, match=r"store:.*check 'endpoint_url'"):
                    step(node)
            assert len(server.requests) <= 2 * len(STEPS)
        assert other.requests == []


def test_another_region_is_found_and_signed_for():
    def answer(request):
        if "/eu-south-1/" in request.headers["Authorization"]:
            return Answer(200, b"found", (("ETag", '"1"'), ("Last-Modified", _DATE)))
        return Answer(301, b"", (("x-amz-bucket-region", "eu-south-1"),))

    with AnswerServer(answer) as server, mounted(_at(server)) as node:
        assert node.read_bytes() == b"found"


def test_an_upload_that_moves_on_may_take_longer_than_the_timeout():
    """What lies in a queue of this machine is not sent yet."""
    with (
        AnswerServer(lambda _: Answer(200, b"", (("ETag", '"1"'),)), pause=0.3) as server,
        mounted(_at(server), timeout=2) as node,
    ):
        node.write_bytes(bytes(4 * MIB))
        (request,) = server.requests
        assert len(request.body) == 4 * MIB


# -- servers that give less, or other things, than they were asked for -------------------------


def _ranged(data, etag, longest):
    """Answers of a server that gives at most so many bytes at a time."""

    def answer(request):
        if request.method == "HEAD":
            return Answer(404)
        start, end = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        part = data[start : min(end + 1, start + longest)]
        place = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        headers = (("Content-Range", place), ("ETag", next(etag)), ("Last-Modified", _DATE))
        return Answer(206, part, headers)

    return answer


@pytest.mark.parametrize("step", ["read_bytes", "download"])
def test_a_file_of_which_less_came_is_no_file(step, tmp_path):
    data = bytes(range(250)) * 100
    with AnswerServer(_ranged(data, itertools.repeat('"1"'), 1000)) as server:
        by_ranges = {**_at(server), "engine": "fsspec"}
        with mounted(by_ranges) as node, node.open("rb") as stream:
            assert stream.read() == data  # which asks for the rest
        with mounted(by_ranges) as node, pytest.raises(StorageError, match="less than there is"):
            if step == "read_bytes":
                node.read_bytes()
            else:
                node._mount.download(node.path, tmp_path / "got")


def test_a_server_that_knows_no_conditions_mixes_no_contents(tmp_path):
    data = bytes(20 * MIB)
    with AnswerServer(_ranged(data, map('"{}"'.format, itertools.count()), MIB * 20)) as server:
        for step in (
            lambda node: node.read_bytes(),
            lambda node: node._mount.download(node.path, tmp_path / "got"),
            lambda node: node.open("rb").read(),
        ):
            by_ranges = mounted(_at(server), engine="fsspec")
            with by_ranges as node, pytest.raises(StorageError, match="meanwhile"):
                step(node)


def _at(server, **more):
    place = {"type": "s3", "bucket": "scripted", "endpoint_url": server.url}
    return {**place, "key": "AK", "secret": SECRET, **more}
