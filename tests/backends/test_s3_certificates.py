"""Whom an ``s3`` mount believes: a server with a certificate of an authority of its own."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import obstore
import pytest

from genro_storage import StorageError, StorageManager
from genro_storage.backends.s3.store_settings import make_store
from tests.services.answers import Answer, AnswerServer

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl(1) is not installed"),
]
ENGINES = ("sdk", "obstore")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A directory with ``authority.pem``, and ``server.pem`` that it has signed."""
    made = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=made, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    new = ("req", "-x509", "-days", "2", *key)
    openssl(*new, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority",
            "-addext", "keyUsage=keyCertSign")  # fmt: skip
    openssl(*new, "-CA", "authority.pem", "-CAkey", "authority.key", "-keyout", "server.key",
            "-out", "server.pem", "-subj", "/CN=server",
            "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip
    return made


@pytest.fixture
def server(authority):
    def answer(request):
        headers = (
            ("ETag", '"900150983cd24fb0d6963f7d28e17f72"'),
            ("Content-Range", "bytes 0-2/3"),
            ("Last-Modified", "Sun, 29 Nov 2026 05:00:00 GMT"),
        )
        return Answer(206 if "Range" in request.headers else 200, b"abc", headers)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    with AnswerServer(answer) as server:
        # The same file descriptor, on which its thread goes on waiting.
        server._server.socket = context.wrap_socket(
            server._server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.url = server.url.replace("http://", "https://")
        yield server


def read(server, engine, **options):
    with StorageManager() as storage:
        config = {"name": "store", "type": "s3", "bucket": "b", "endpoint_url": server.url}
        config |= {"key": "k", "secret": "s", "retries": 0, "engine": "fsspec", **options}
        storage.configure([config])
        node = storage.node("store:a.txt")
        if engine == "sdk":
            return node.read_bytes()
        client = node._mount.backend._store.client
        store = make_store(client.options, client.place, client.source.for_obstore)
        return bytes(obstore.get(store, "a.txt").bytes())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("only", [False, True])
def test_an_authority_is_believed_as_a_file_and_as_a_text(server, authority, engine, only):
    path = authority / "authority.pem"
    for certificate in (str(path), path.read_text()):
        options = {"root_certificate": certificate, "disable_system_certificates": only}
        assert read(server, engine, **options) == b"abc"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_environment_names_an_authority_too(server, authority, engine, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority / "authority.pem"))
    assert read(server, engine) == b"abc"


@pytest.mark.parametrize("engine", ENGINES)
def test_nobody_else_is_believed_unless_everybody_is(server, engine, monkeypatch):
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(StorageError if engine == "sdk" else obstore.exceptions.BaseError):
        read(server, engine)
    assert server.requests == []
    assert read(server, engine, allow_invalid_certificates=True) == b"abc"


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        ("/no/such/file.pem", "'root_certificate' cannot be read: No such file"),
        ("{key}", "holds no certificate|is no certificate"),
    ],
)
def test_what_is_no_certificate_is_told(server, authority, certificate, message):
    certificate = certificate.format(key=authority / "server.key")
    with pytest.raises(StorageError, match=f"store:a.txt.*{message}"):
        read(server, "sdk", root_certificate=certificate)
