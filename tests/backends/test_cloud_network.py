"""How ``gcs`` and ``azure`` mounts connect: certificates, proxies, headers, on both engines."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import ipaddress
import ssl
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from genro_storage import StorageManager
from genro_storage.backends.errors import UntrustedServerError, WrongServerError
from genro_storage.backends.object_stores.connecting import connection_failure
from genro_storage.exceptions import StorageConnectionError, StorageUnsupportedError
from tests.services.answers import Answer, AnswerServer
from tests.services.cable import Cable

_AES = base64.b64encode(b"k" * 32).decode()
_MOUNTS: dict[str, dict[str, Any]] = {
    "gcs": {"type": "gcs", "bucket": "b", "anon": True},
    "azure": {"type": "azure", "container": "b", "account_name": "a", "anon": True},
}
KINDS = pytest.mark.parametrize("kind", ["gcs", "azure"])
ENGINES = pytest.mark.parametrize("engine", ["fsspec", "obstore"])


def _object(_request):
    headers = (
        ("Content-Range", "bytes 0-0/1"), ("ETag", '"e"'), ("x-ms-blob-type", "BlockBlob"),
        ("X-Goog-Generation", "1"), ("Last-Modified", "Sun, 29 Nov 2026 06:00:00 GMT"),
    )  # fmt: skip
    return Answer(206, b"x", headers)


def _mount(manager, kind, url, **more):
    manager.configure(
        [{**_MOUNTS[kind], "name": "m", "endpoint_url": url, "retries": 0, "timeout": 5, **more}]
    )
    return manager.node("m:x")


@KINDS
@ENGINES
def test_a_certificate_is_believed_where_its_authority_is_named(authority, kind, engine):
    with AnswerServer(_object, tls=authority.tls) as server, StorageManager() as manager:
        with pytest.raises(StorageConnectionError):
            _mount(manager, kind, server.url, engine=engine).read_bytes()
        assert server.requests == []
        for more in (
            {"root_certificate": authority.pem},
            {"root_certificate": str(authority.file)},
            {"root_certificate": authority.pem, "disable_system_certificates": True},
        ):
            assert _mount(manager, kind, server.url, engine=engine, **more).read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["gcs", "azure", "s3"])
@ENGINES
def test_a_handshake_that_breaks_off_is_tried_again(authority, monkeypatch, kind, engine):
    """As a server or a balancer that is restarted does it: no word about certificates."""
    monkeypatch.setitem(_MOUNTS, "s3", {"type": "s3", "bucket": "b", "anon": True})
    with (
        AnswerServer(_object, tls=authority.tls) as server,
        Cable(server.port) as cable,
        StorageManager() as manager,
    ):
        node = _mount(
            manager, kind, f"https://127.0.0.1:{cable.port}", root_certificate=authority.pem,
            engine=engine, retries=1,
        )  # fmt: skip

        def drop():
            cable.cut()
            cable.mend()

        cable.after(1, drop)
        assert node.read_bytes() == b"x"
        assert not cable.is_due
        assert cable.accepted == 2


def _tls_failure(kind, reason):
    error = kind(1, "text")
    error.reason = reason
    return ValueError(ConnectionError("outer", error))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_tls_failure(ssl.SSLEOFError, "UNEXPECTED_EOF_WHILE_READING"), ConnectionError),
        (_tls_failure(ssl.SSLEOFError, None), ConnectionError),
        (_tls_failure(ssl.SSLZeroReturnError, ""), ConnectionError),
        (_tls_failure(ssl.SSLSyscallError, None), ConnectionError),
        (_tls_failure(ssl.SSLError, "UNEXPECTED_EOF_WHILE_READING"), ConnectionError),
        (_tls_failure(ssl.SSLError, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), ConnectionError),
        (_tls_failure(ssl.SSLError, "SSLV3_ALERT_BAD_RECORD_MAC"), ConnectionError),
        (_tls_failure(ssl.SSLError, ""), ConnectionError),
        (_tls_failure(ssl.SSLError, "NO_SHARED_CIPHER"), UntrustedServerError),
        (_tls_failure(ssl.SSLError, "UNSUPPORTED_PROTOCOL"), UntrustedServerError),
        (_tls_failure(ssl.SSLError, "TLSV1_ALERT_PROTOCOL_VERSION"), UntrustedServerError),
        (_tls_failure(ssl.SSLError, "TLSV13_ALERT_CERTIFICATE_REQUIRED"), UntrustedServerError),
        (_tls_failure(ssl.SSLError, "SSLV3_ALERT_HANDSHAKE_FAILURE"), UntrustedServerError),
        (_tls_failure(ssl.SSLError, "WRONG_VERSION_NUMBER"), WrongServerError),
    ],
)
def test_only_what_no_other_attempt_changes_is_final(error, expected):
    found = connection_failure(error, "https://host")
    assert type(found) is expected
    assert (found.errno == errno.ECONNRESET) is (expected is ConnectionError)
    assert "https://host" in str(found)


@KINDS
@ENGINES
def test_any_certificate_is_believed_where_that_is_asked_for(authority, monkeypatch, kind, engine):
    # ``requests`` would look again on account of these.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    with AnswerServer(_object, tls=authority.tls) as server, StorageManager() as manager:
        node = _mount(manager, kind, server.url, engine=engine, allow_invalid_certificates=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # urllib3 warns of what was asked for
            assert node.read_bytes() == b"x"


def _link_local():
    """An address of this machine that is reached by naming an interface, and that."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, *_, name = line.split()
            if digits.startswith("fe80"):
                return str(ipaddress.IPv6Address(int(digits, 16))), name
    return None


@pytest.mark.skipif(_link_local() is None, reason="this machine has no link-local address")
@pytest.mark.parametrize("written", ["%25", "%"])
@KINDS
def test_an_address_may_name_the_interface_to_reach_it_by(kind, written):
    host, name = _link_local()
    with AnswerServer(_object, host=f"{host}%{name}") as server, StorageManager() as manager:
        node = _mount(manager, kind, f"http://[{host}{written}{name}]:{server.port}")
        assert node.read_bytes() == b"x"
        assert len(server.requests) == 1


@KINDS
@ENGINES
def test_requests_go_by_the_proxy_that_the_mount_names(monkeypatch, kind, engine):
    with (
        AnswerServer(_object) as proxy,
        AnswerServer(_object) as other,
        StorageManager() as manager,
    ):
        monkeypatch.setenv("HTTP_PROXY", other.url)
        monkeypatch.setenv("NO_PROXY", "store.invalid")
        login = proxy.url.replace("http://", "http://user:s3cret@")
        node = _mount(manager, kind, "http://store.invalid:81/a", engine=engine, proxy_url=login)
        assert node.read_bytes() == b"x"
        (request,) = proxy.requests
        assert request.path.startswith("http://store.invalid:81/a/")
        assert "proxy-authorization" in {name.lower() for name in request.headers}
        assert other.requests == []
        # And not to what is left out of it.
        node = _mount(
            manager, kind, f"http://localhost:{other.port}/a", engine=engine, proxy_url=proxy.url,
            proxy_excludes="example.org,localhost",
        )  # fmt: skip
        assert node.read_bytes() == b"x"
        assert (len(proxy.requests), len(other.requests)) == (1, 1)
        assert "s3cret" not in repr(manager.node("m:x")._mount._at("")[0])


@KINDS
def test_every_request_carries_what_the_mount_says(kind):
    def answer(request):
        if request.method == "GET" and ("comp=list" in request.path or request.path.endswith("/o")):
            return Answer(200, b"{}" if kind == "gcs" else b"<a/>")
        if request.method in ("PUT", "POST"):
            etag = (("ETag", '"1"'),)
            return Answer(201 if kind == "azure" else 200, b'{"name": "x"}', etag)
        return _object(request)

    with AnswerServer(answer) as server, StorageManager() as manager:
        node = _mount(
            manager, kind, server.url, user_agent="mine/1", default_headers={"x-own": "s3cret"}
        )
        node.read_bytes()
        node.write_bytes(b"x")
        for request in server.requests:
            headers = {name.lower(): value for name, value in request.headers.items()}
            assert headers["x-own"] == "s3cret"
            assert headers["user-agent"] == "mine/1"
        assert {request.method for request in server.requests} > {"GET"}


@KINDS
def test_the_engine_says_who_it_is_too(kind):
    with AnswerServer(_object) as server, StorageManager() as manager:
        node = _mount(manager, kind, server.url, user_agent="mine/1", engine="obstore")
        assert node.read_bytes() == b"x"
        (request,) = server.requests
        assert {name.lower(): value for name, value in request.headers.items()}[
            "user-agent"
        ] == "mine/1"


@pytest.mark.slow
@KINDS
@ENGINES
def test_attempts_end_with_the_time_that_there_is_for_them(kind, engine):
    busy = threading.Event()
    answer = lambda request: Answer(503) if busy.is_set() else _object(request)  # noqa: E731
    with AnswerServer(answer) as server, StorageManager() as manager:
        node = _mount(
            manager, kind, server.url, engine=engine, retries=20, retry_timeout="1800ms",
            backoff={"init_backoff": "300ms", "max_backoff": "300ms", "base": 1},
        )  # fmt: skip
        node.read_bytes()  # so that nothing is loaded within this time
        busy.set()
        server.requests.clear()
        with pytest.raises(StorageConnectionError, match="503"):
            node.read_bytes()
        # All pauses are 300 ms or longer; without an end there would be twenty of them.
        assert 2 <= len(server.requests) <= 7


def test_a_key_of_ones_own_goes_with_contents_and_nothing_else(authority):
    def answer(request):
        if "comp=list" in request.path:
            listed = b"<EnumerationResults><Blobs/></EnumerationResults>"
            return Answer(200, listed, (("Content-Type", "application/xml"),))
        if request.method == "PUT":
            return Answer(201, b"", (("ETag", '"e"'),))
        if request.method == "HEAD":
            return _object(request)._replace(status=200)
        return Answer(202) if request.method == "DELETE" else _object(request)

    with AnswerServer(answer, tls=authority.tls) as server, StorageManager() as manager:
        node = _mount(
            manager, "azure", server.url, root_certificate=authority.pem, encryption_key=_AES
        )
        assert not node.capabilities.copy_optimization
        node.write_bytes(b"x")
        node.write_bytes(bytes(9 * 1024 * 1024))
        assert node.read_bytes() == b"x"
        assert node.exists
        list(node.parent.children())
        node.delete()
        digest = base64.b64encode(hashlib.sha256(b"k" * 32).digest()).decode()
        shown = set()
        for request in server.requests:
            headers = {name.lower(): value for name, value in request.headers.items()}
            with_key = "x-ms-encryption-key" in headers
            shown.add((request.method, with_key))
            if with_key:
                assert headers["x-ms-encryption-key"] == _AES
                assert headers["x-ms-encryption-key-sha256"] == digest
                assert headers["x-ms-encryption-algorithm"] == "AES256"
                assert "comp=list" not in request.path or "comp=blocklist" in request.path
        assert shown >= {("PUT", True), ("GET", True), ("HEAD", True), ("DELETE", False)}
        assert ("PUT", False) not in shown and ("DELETE", True) not in shown


# -- for other libraries ----------------------------------------------------------------------


@pytest.mark.services
@KINDS
def test_other_libraries_get_the_same_place(request, monkeypatch, kind):
    import obstore

    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # What the environment says is for mounts that say nothing.
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=eA==")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:1/other")
    service = request.getfixturevalue(kind)
    with StorageManager() as manager:
        manager.configure([{**service.mount(), "name": "m"}])
        node = manager.node("m:d/a.txt")
        node.write_bytes(b"content")
        backend, path = node._mount._at("d/a.txt")
        key = backend._full(path)
        whole = f"{service.bucket if kind == 'gcs' else service.container}/{key}"
        filesystem = backend.filesystem()
        assert filesystem.cat_file(whole) == b"content"
        assert filesystem is not backend.filesystem()
        filesystem.pipe_file(f"{whole}2", b"other")
        assert (node.parent / "a.txt2").read_bytes() == b"other"
        store = backend.store()
        assert bytes(obstore.get(store, key).bytes()) == b"content"
        if kind == "azure":
            obstore.put(store, f"{key}3", b"by obstore")
            assert (node.parent / "a.txt3").read_bytes() == b"by obstore"


@KINDS
def test_a_filesystem_that_cannot_be_told_of_a_setting_is_refused(kind):
    with StorageManager() as manager:
        node = _mount(manager, kind, "http://127.0.0.1:1", proxy_url="http://127.0.0.1:1")
        backend, _ = node._mount._at("")
        with pytest.raises((OSError, StorageUnsupportedError), match=r"store\(\)"):
            backend.filesystem()
        assert backend.store().client_options["proxy_url"] == "http://127.0.0.1:1"
