"""What is peculiar to Google Cloud Storage, on fake-gcs-server; refusals on a server that refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
import tracemalloc
import urllib.parse
import urllib.request

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from genro_storage import StorageManager
from genro_storage.backends.gcs import GcsOptions
from genro_storage.backends.gcs import client as gcs_client
from genro_storage.exceptions import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageIOError,
    StorageNotFoundError,
    StoragePathError,
    StoragePermissionError,
    StorageValueError,
)
from tests.services.answers import Answer, AnswerServer
from tests.services.cable import Cable
from tests.services.interrupted import within

pytestmark = pytest.mark.services

_MIB = 1024 * 1024


@pytest.fixture
def storage(gcs):
    with StorageManager() as manager:
        manager.configure([{"name": "g", **gcs.mount(), "timeout": 10, "retries": 1}])
        yield manager


@pytest.fixture
def root(storage):
    return storage.node("g:")


@pytest.fixture(scope="module")
def account():
    """A service account's key, as Google gives it; made here, so that it opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "client_email": "tests@example.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": text.decode(),
        "token_uri": "http://127.0.0.1:1/token",
    }


def _mount(server: AnswerServer, **more: object) -> StorageManager:
    manager = StorageManager()
    config = {"name": "g", "type": "gcs", "bucket": "b", "endpoint_url": server.url}
    manager.configure([{**config, "timeout": 5, "retries": 0, **more}])
    return manager


# -- configuration ----------------------------------------------------------------------------


def test_the_older_names_of_keys_are_taken():
    options = GcsOptions.model_validate({"bucket": "gs://b/", "prefix": "/a//b/", "anon": True})
    assert (options.bucket, options.base_path) == ("b", "a/b")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "bucket"),
        ({"bucket": ""}, "bucket"),
        ({"bucket": "b/c"}, "base_path"),
        ({"bucket": "b", "base_path": "a", "prefix": "b"}, "two names of one option"),
        ({"bucket": "b", "token": "browser"}, "gcloud auth"),
        ({"bucket": "b", "token": 7}, "key file"),
        ({"bucket": "b", "token": "s3cret", "anon": True}, "contradict"),
        ({"bucket": "b", "endpoint_url": "ftp://x"}, "endpoint_url"),
        ({"bucket": "b", "endpoint_url": "http://u:s3cret@x"}, "holds credentials"),
        ({"bucket": "b", "endpoint_url": "http://x:70000"}, "endpoint_url"),
        ({"bucket": "b", "endpoint_url": "http://[::1"}, "endpoint_url"),
        ({"bucket": "b", "retries": -1}, "retries"),
        ({"bucket": "b", "bukket": "c"}, "bucket"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(config, said):
    with StorageManager() as manager:
        with pytest.raises(StorageConfigError, match=said) as caught:
            manager.configure([{"name": "g", "type": "gcs", **config}])
        assert "s3cret" not in str(caught.value)


def test_configuring_imports_no_client_and_connects_to_nothing():
    code = (
        "import sys; from genro_storage import StorageManager; m = StorageManager();"
        "m.configure([{'name': 'g', 'type': 'gcs', 'bucket': 'b', 'endpoint_url': 'http://127.0.0.1:1'}]);"
        "m.node('g:').capabilities; m.close();"
        "print([n for n in ('google.auth', 'requests', 'gcsfs') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_missing_extra_is_named_at_the_first_use():
    code = (
        "import sys; sys.modules['google.auth'] = None\n"
        "from genro_storage import StorageManager\n"
        "from genro_storage.exceptions import StorageMissingExtraError\n"
        "m = StorageManager(); m.configure([{'name': 'g', 'type': 'gcs', 'bucket': 'b'}])\n"
        "for step in (lambda: m.node('g:a').exists, lambda: m.node('g:a').write_bytes(b'')):\n"
        "    try: step()\n"
        "    except StorageMissingExtraError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = found.stdout.strip().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "mount 'g' (gcs)" in line
        assert 'pip install "genro-storage[gcs]"' in line


def test_what_a_mount_can_do_is_known_before_it_connects(account, tmp_path, monkeypatch):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account))
    signing = [
        {"token": account},
        {"token": json.dumps(account)},
        {"token": str(file)},
        {"token": file},
    ]
    others = [
        {},
        {"anon": True},
        {"token": "anon"},
        {"token": "ya29.x"},
        {"token": "/no/such.json"},
    ]
    with StorageManager() as manager:
        for number, more in enumerate(signing + others):
            manager.configure([{"name": f"g{number}", "type": "gcs", "bucket": "b", **more}])
            found = manager.node(f"g{number}:").capabilities
            assert found.presigned_urls == (number < len(signing))
            assert found.atomic_operations and found.copy_optimization
            # What cannot be kept exactly is not declared: appending overwrites with gcsfs, and
            # composite objects have no digest.
            assert not (found.append_mode or found.mkdir or found.hash_on_metadata)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        manager.configure([{"name": "env", "type": "gcs", "bucket": "b"}])
        assert manager.node("env:").capabilities.presigned_urls


def test_a_key_file_is_found_beside_the_configuration(account, tmp_path):
    (tmp_path / "key.json").write_text(json.dumps(account))
    (tmp_path / "mounts.yaml").write_text("- {name: g, type: gcs, bucket: b, token: key.json}\n")
    with StorageManager() as manager:
        manager.configure(str(tmp_path / "mounts.yaml"))
        assert manager.node("g:").capabilities.presigned_urls


def test_no_secret_is_shown(account):
    options = GcsOptions.model_validate({"bucket": "b", "token": account})
    assert "PRIVATE" not in f"{options!r} {options} {options.model_dump()}"


# -- credentials ------------------------------------------------------------------------------


def _refusing(status: int, text: str = "") -> Answer:
    body = {"error": {"code": status, "message": text}}
    return Answer(status, json.dumps(body).encode(), (("Content-Type", "application/json"),))


@pytest.mark.parametrize(
    ("status", "expected", "said", "requests"),
    [
        (401, StoragePermissionError, "check 'token'", 1),
        (403, StoragePermissionError, "no access", 1),
        (429, StorageConnectionError, "429", 3),
        (500, StorageConnectionError, "500", 3),
        (503, StorageConnectionError, "503", 3),
    ],
)
def test_a_refusal_is_never_missing(status, expected, said, requests):
    with (
        AnswerServer(lambda _: _refusing(status, "no access")) as server,
        _mount(server, token="ya29.s3cret", retries=2) as manager,
    ):
        node = manager.node("g:a.txt")
        for step in (
            lambda: node.exists,
            node.read_bytes,
            lambda: node.write_bytes(b"x"),
            lambda: list(node.parent.children()),
            node._mount.check,
        ):
            server.requests.clear()
            with pytest.raises(expected, match=said) as caught:
                step()
            assert caught.value.node is not None and "g:" in str(caught.value)
            assert "s3cret" not in str(caught.value)
            assert len(server.requests) == requests


def test_an_access_token_is_sent_as_it_is():
    with (
        AnswerServer(lambda _: _refusing(403)) as server,
        _mount(server, token="ya29.abc", project="p") as manager,
    ):
        with pytest.raises(StoragePermissionError):
            manager.node("g:a").read_bytes()
        (request,) = server.requests
        assert request.headers["Authorization"] == "Bearer ya29.abc"
        assert "userProject=p" in request.path


def test_the_environment_gives_credentials_or_none_are_sent(account, monkeypatch, tmp_path):
    def answer(request):
        if request.path == "/token":
            return Answer(200, b'{"access_token": "ya29.env", "expires_in": 3600}')
        return _refusing(401)

    for name in ("HOME", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "nobody"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with AnswerServer(answer) as server:
        for more, said in (({}, "give 'token'"), ({"token": "google_default"}, "no credentials")):
            with _mount(server, **more) as manager, pytest.raises(StorageError, match=said):
                manager.node("g:a").read_bytes()
        key = {**account, "token_uri": f"{server.url}/token"}
        (tmp_path / "key.json").write_text(json.dumps(key))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        with (
            _mount(server) as manager,
            pytest.raises(StoragePermissionError, match="check 'token'"),
        ):
            manager.node("g:a").read_bytes()
        assert server.requests[-1].headers["Authorization"] == "Bearer ya29.env"


def test_nothing_is_sent_for_a_public_bucket(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with AnswerServer(lambda _: _refusing(401)) as server, _mount(server, anon=True) as manager:
        with pytest.raises(StoragePermissionError, match="give 'token'"):
            manager.node("g:a").read_bytes()
        assert "Authorization" not in server.requests[0].headers


def test_a_password_of_the_machine_takes_nobodys_place(account, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("default login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    def answer(request):
        if request.path == "/token":
            return Answer(200, b'{"access_token": "ya29.new", "expires_in": 3600}')
        return _refusing(403)

    with AnswerServer(answer) as server:
        for token in ("ya29.new", {**account, "token_uri": f"{server.url}/token"}):
            with _mount(server, token=token) as manager, pytest.raises(StoragePermissionError):
                manager.node("g:a").read_bytes()
            assert server.requests[-1].headers["Authorization"] == "Bearer ya29.new"
        (fetching,) = (each for each in server.requests if each.path == "/token")
        assert "authorization" not in {name.lower() for name in fetching.headers}


def test_a_service_account_fetches_a_token_and_one_that_is_refused_says_so(account):
    granted = [True]

    def answer(request):
        if request.path != "/token":
            return _refusing(403)
        if not granted[0]:
            return Answer(400, b'{"error": "invalid_grant", "error_description": "Invalid JWT"}')
        return Answer(200, b'{"access_token": "ya29.new", "expires_in": 3600}')

    with AnswerServer(answer) as server:
        key = {**account, "token_uri": f"{server.url}/token"}
        with _mount(server, token=key) as manager:
            with pytest.raises(StoragePermissionError, match="access denied"):
                manager.node("g:a").read_bytes()
            assert server.requests[-1].headers["Authorization"] == "Bearer ya29.new"
        granted[0] = False
        with _mount(server, token=key) as manager:
            with pytest.raises(StoragePermissionError, match="check 'token'") as caught:
                manager.node("g:a").read_bytes()
            assert "PRIVATE" not in str(caught.value)


def test_a_token_service_that_is_gone_is_no_connection(account):
    with (
        AnswerServer(lambda _: _refusing(403)) as server,
        _mount(server, token=account) as manager,
        pytest.raises(StorageConnectionError, match="g:a"),
        within(20),
    ):
        manager.node("g:a").read_bytes()


@pytest.mark.parametrize(
    "token", ["/no/such/key.json", '{"type": "s3cret"}', {"private_key": "s3cret"}, "{"]
)
def test_a_key_that_is_none_says_so(token):
    with AnswerServer(lambda _: _refusing(403)) as server, _mount(server, token=token) as manager:
        with pytest.raises(StoragePermissionError, match="'token'") as caught:
            manager.node("g:a").read_bytes()
        assert "s3cret" not in str(caught.value)
        assert server.requests == []


# -- missing buckets, names -------------------------------------------------------------------


def test_a_missing_bucket_is_said_by_every_verb(gcs, storage):
    storage.add_mount({**gcs.mount(), "name": "none", "bucket": "no-such-bucket"})
    node = storage.node("none:d/a.txt")
    for step in (
        node.read_bytes,
        lambda: node.open("rb"),
        lambda: node.write_bytes(b"x"),
        lambda: node.write_bytes(bytes(9 * _MIB)),
        lambda: node._mount.write_bytes("d/a.txt", b"x", if_absent=True),
        node.stat,
        lambda: list(node.parent.children()),
        lambda: list(node._mount.find("")),
        storage.node("none:").stat,
        node._mount.check,
    ):
        with pytest.raises(StorageNotFoundError, match="none:") as caught:
            step()
        assert "the bucket 'no-such-bucket' does not exist" in str(caught.value)
        assert "'bucket'" in str(caught.value)


@pytest.mark.parametrize("name", ["a\nb", "a\rb"])
def test_a_line_break_in_a_name_is_refused_before_anything_is_written(root, name):
    with pytest.raises(StorageValueError, match="line breaks"):
        (root / name).write_bytes(b"x")
    assert root.children() == []


def test_a_name_that_is_too_long_is_refused_before_anything_is_written(root):
    with pytest.raises(StoragePathError, match="1024"):
        (root / "/".join(["ü" * 100] * 6)).write_bytes(b"x")
    (root / ("n" * 980)).write_bytes(b"x")
    assert [child.size for child in root.children()] == [1]


# -- requests ---------------------------------------------------------------------------------


def test_an_object_without_a_digest_has_none():
    raw = {"name": "a", "size": "7", "updated": "2026-11-20T16:00:00.123Z", "crc32c": "x"}
    info = gcs_client._info(raw)
    assert info.checksum is None
    assert info.size == 7
    assert info.mtime == pytest.approx(1795190400.123)


def test_a_directory_that_is_not_wanted_is_not_listed_to_its_end(root, monkeypatch):
    for name in ["a", *(f"b/{number:03}" for number in range(60)), "c"]:
        (root / name).write_bytes(b"")
    monkeypatch.setattr(gcs_client, "_PAGE", 5)
    asked: list[object] = []
    page = gcs_client.GcsClient.page

    def counted(self, prefix, **options):
        asked.append(options["start"])
        return page(self, prefix, **options)

    monkeypatch.setattr(gcs_client.GcsClient, "page", counted)
    found = [info.path for info in root._mount.find("", enter=lambda info: info.path != "b")]
    assert found == ["a", "b", "c"]
    assert len(asked) == 2


def test_what_could_not_be_deleted_is_reported():
    def answer(request):
        if request.method == "DELETE":
            return _refusing(403, "retained") if "keep" in request.path else Answer(204)
        return _refusing(404)

    with AnswerServer(answer) as server, _mount(server, anon=True) as manager:
        names = ["a", "keep1", "b", "keep2", "c"]
        with pytest.raises(StoragePermissionError, match=r"2 of 5 .*'keep\d': .*retained"):
            manager.node("g:")._mount.remove_many(names)
        assert len(server.requests) == 5


def test_nothing_is_asked_twice(root, monkeypatch):
    asked: list[str] = []
    answer = gcs_client.GcsClient._answer

    def counted(self, method, *args, **options):
        asked.append(method)
        return answer(self, method, *args, **options)

    monkeypatch.setattr(gcs_client.GcsClient, "_answer", counted)
    node = root / "d/a.txt"
    copied = root._mount
    for step, expected in (
        (lambda: node.write_bytes(b"x"), ["POST"]),
        (node.read_bytes, ["GET"]),
        (lambda: node.open("rb").close(), ["GET"]),
        (lambda: list(root._mount.find("")), ["GET"]),
        (lambda: copied.copy("d/a.txt", copied, "d/b.txt"), ["GET", "POST"]),
        (lambda: copied.remove_many(["d/a.txt"]), ["DELETE"]),
        (lambda: copied.remove("d/b.txt"), ["GET", "DELETE"]),
    ):
        asked.clear()
        step()
        assert asked == expected


def test_a_server_that_is_something_else_is_told_from_google():
    with (
        AnswerServer(lambda _: Answer(200, b"<html>")) as server,
        _mount(server, anon=True) as manager,
        pytest.raises(StorageConnectionError, match="'endpoint_url'"),
    ):
        manager.node("g:a").stat()


# -- large uploads ----------------------------------------------------------------------------


def test_a_large_upload_goes_on_after_a_short_break(gcs, storage):
    data = bytes(range(256)) * (40 * _MIB // 256)
    with Cable(gcs.port) as cable:
        storage.add_mount({**gcs.mount(cable.port), "name": "wired", "retries": 3, "timeout": 5})
        node = storage.node("wired:big.bin")

        def blink() -> None:
            cable.cut()
            threading.Timer(0.2, cable.mend).start()

        cable.after(24 * _MIB, blink)
        node.write_bytes(data)
        assert not cable.is_due
        assert node.size == len(data)
        assert node.read_bytes() == data
        assert cable.passed < 3 * len(data), "it was not sent from the beginning"


def test_an_upload_that_moves_on_may_take_longer_than_the_timeout():
    with (
        AnswerServer(lambda _: Answer(200, b"{}"), pause=0.3) as server,
        _mount(server, anon=True, timeout=2) as manager,
    ):
        manager.node("g:a.bin").write_bytes(bytes(4 * _MIB))
        (request,) = server.requests
        assert len(request.body) > 4 * _MIB


@pytest.mark.parametrize("place", [None, "ftp://127.0.0.1/x", "nowhere"])
def test_an_upload_goes_to_no_place_of_another_kind(place):
    headers = () if place is None else (("Location", place),)
    with (
        AnswerServer(lambda _: Answer(200, b"", headers)) as server,
        _mount(server, token="ya29.x") as manager,
        pytest.raises(StorageError, match=r"no place to upload to|does not answer as"),
    ):
        manager.node("g:a").write_bytes(bytes(9 * _MIB))


def test_a_server_that_knows_no_ranges_is_read_in_bounded_memory():
    data = bytes(range(256)) * (40 * _MIB // 256)
    with AnswerServer(lambda _: Answer(200, data)) as server, _mount(server, anon=True) as manager:
        mount = manager.node("g:")._mount
        mount.read_bytes("a", 0, 10)
        tracemalloc.start()
        try:
            assert mount.read_bytes("a", 39 * _MIB, 39 * _MIB + 10) == data[:10]
            assert tracemalloc.get_traced_memory()[1] < 36 * _MIB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_to_where_a_server_redirects(status):
    with AnswerServer(lambda _: Answer(200, b"another's")) as other:
        to = Answer(status, b"", (("Location", f"http://localhost:{other.port}/x"),))
        with AnswerServer(lambda _: to) as server, _mount(server, token="ya29.x") as manager:
            node = manager.node("g:a")
            for step in (lambda: node.write_bytes(b"x"), node.read_bytes, lambda: node.exists):
                with pytest.raises(StorageIOError, match=f"g:a.*status {status}"):
                    step()
        assert other.requests == []


def test_an_upload_whose_token_has_ended_is_sent_again_whole(account):
    def answer(request):
        if request.path == "/token":
            tokens.append(f"ya29.{len(tokens)}")
            return Answer(200, b'{"access_token": "%s", "expires_in": 3600}' % tokens[-1].encode())
        return Answer(200, b"{}") if tokens[-1] == "ya29.1" else _refusing(401)

    tokens: list[str] = []
    with AnswerServer(answer) as server:
        key = {**account, "token_uri": f"{server.url}/token"}
        with _mount(server, token=key) as manager:
            manager.node("g:a.bin").write_bytes(bytes(_MIB))
        first, second = [each for each in server.requests if each.path != "/token"]
        assert first.body == second.body and len(first.body) > _MIB


def test_an_upload_that_fails_leaves_no_session_behind(monkeypatch):
    monkeypatch.setattr("genro_storage.backends.gcs.client.UPLOAD_PIECE", 16 * _MIB)

    def answer(request):
        if request.method == "POST":
            return Answer(200, b"", (("Location", f"{server.url}/session?upload_id=s3cret"),))
        if request.method == "PUT":
            if len([each for each in server.requests if each.method == "PUT"]) == 1:
                return Answer(308, b"", (("Range", "bytes=0-262143"),))
            return _refusing(403, "quota")
        return Answer(499)

    with AnswerServer(answer) as server, _mount(server, anon=True) as manager:
        with pytest.raises(StoragePermissionError, match="quota") as caught:
            manager.node("g:big.bin").write_bytes(bytes(20 * _MIB))
        assert "s3cret" not in str(caught.value)
        methods = [(each.method, each.headers.get("Content-Range")) for each in server.requests]
    # It goes on where the service says that it is, not where it was sent to.
    last = 20 * _MIB - 1
    assert methods == [
        ("POST", None),
        ("PUT", f"bytes 0-{16 * _MIB - 1}/{last + 1}"),
        ("PUT", f"bytes 262144-{262144 + 16 * _MIB - 1}/{last + 1}"),
        ("DELETE", None),
    ]


def test_the_service_is_told_what_must_arrive(root):
    sent: list[bytes] = []

    def answer(request):
        sent.append(request.body)
        return _refusing(400, "Provided MD5 hash does not match calculated MD5 hash")

    with (
        AnswerServer(answer) as server,
        _mount(server, anon=True) as manager,
        pytest.raises(StorageIOError, match="damaged"),
    ):
        manager.node("g:a.txt").write_bytes(b"content")
    digest = base64.b64encode(hashlib.md5(b"content").digest())
    assert b'"md5Hash": "' + digest in sent[0]


# -- urls -------------------------------------------------------------------------------------


def test_a_signed_url_is_the_one_that_google_would_make(account):
    signing = pytest.importorskip("google.cloud.storage._signing")
    from datetime import UTC, datetime

    from google.oauth2 import service_account

    from genro_storage.backends.gcs.sign import signed_url

    credentials = service_account.Credentials.from_service_account_info(account)
    moment = datetime(2026, 11, 20, 16, 0, 0, tzinfo=UTC)
    for key in ("a.txt", "d/ä b+c%?#[1]~'.txt", "x&y=z;(1)!*$@:,"):
        expected = signing.generate_signed_url_v4(
            credentials,
            "/bucket/" + urllib.parse.quote(key, safe=b"/~"),
            600,
            api_access_endpoint="https://storage.googleapis.com",
            _request_timestamp="20261120T160000Z",
        )
        found = signed_url(
            "https://storage.googleapis.com", "bucket", key, account, 600, now=moment
        )
        assert found == expected


def test_a_signed_url_serves_the_file(gcs, storage, root, account):
    node = root / "d/ä b#1?.txt"
    node.write_bytes(b"served")
    assert node.url() is None
    backend, _ = root._mount._at("")
    storage.add_mount({
        "name": "signing", "type": "gcs", "bucket": gcs.bucket, "base_path": backend.root,
        "endpoint_url": gcs.url, "token": account,
    })  # fmt: skip
    url = storage.node("signing:d/ä b#1?.txt").url(expires_in=60)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"served"
    for wrong in (0, 8 * 24 * 3600):
        with pytest.raises(StorageValueError, match="expires_in"):
            storage.node("signing:a").url(expires_in=wrong)
    assert "PRIVATE" not in url
