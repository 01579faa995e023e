"""Against a real server on loopback; public hosts are played by a resolver and a route to it."""

from __future__ import annotations

import gzip
import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from functools import wraps
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock, Mock, patch

import pytest

from genro_storage import _pinned
from genro_storage.exceptions import (
    StorageConnectionError,
    StorageError,
    StorageIOError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageValueError,
)
from genro_storage.fetch import _next_url, fetch, open_url, redact
from tests.services.interrupted import within

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(256)) * 8192  # 2 MiB
GZIPPED = gzip.compress(b"abc", mtime=0)
PUBLIC = "93.184.216.34"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        try:
            getattr(self, "get_" + path.rpartition("/")[2].partition("-")[0])(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_CONNECT(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        self.answer(b"", 403)

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def get_body(self, _: str) -> None:
        self.answer(BODY)

    def get_status(self, path: str) -> None:
        self.answer(b"x", int(path.partition("-")[2]))

    def get_to(self, _: str) -> None:
        self.answer(b"", 302, Location=self.path.partition("?")[2])

    def get_hops(self, path: str) -> None:
        left = int(path.partition("-")[2])
        self.answer(b"", 307, Location=f"hops-{left - 1}" if left else "/body")

    def get_loop(self, path: str) -> None:
        self.answer(b"", 301, Location=path)

    def get_unbounded(self, _: str) -> None:
        self.close_connection = True
        self.answer(BODY, Content_Length="")

    def get_chunked(self, _: str) -> None:
        self.answer(
            b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked"
        )

    def get_brokenchunks(self, _: str) -> None:
        self.close_connection = True
        self.answer(b"3\r\nabc\r\n9\r\ndefg", Content_Length="", Transfer_Encoding="chunked")

    def get_truncated(self, _: str) -> None:
        self.close_connection = True
        self.answer(b"abc", Content_Length="10")

    def get_huge(self, _: str) -> None:
        self.close_connection = True
        self.answer(b"abc", Content_Length=str(6 * 1024**3))

    def get_silent(self, _: str) -> None:
        self.server.released.wait(5)
        self.close_connection = True

    def drip(self, start: bytes, drop: bytes) -> None:
        self.close_connection = True
        self.wfile.write(start)
        while not self.server.released.wait(0.02):
            self.wfile.write(drop)

    def get_drip(self, _: str) -> None:
        self.drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x")

    def get_dripheaders(self, _: str) -> None:
        self.drip(b"HTTP/1.1 200 OK\r\nX: ", b"x")

    def get_endlessredirect(self, _: str) -> None:
        self.drip(b"HTTP/1.1 302 Found\r\nLocation: /body\r\n\r\n", b"x" * 4096)

    def get_gzip(self, _: str) -> None:
        self.answer(GZIPPED, Content_Encoding="gzip")

    def get_garbage(self, _: str) -> None:
        self.close_connection = True
        self.wfile.write(b"220 smtp.example ESMTP\r\n")

    def get_escape(self, _: str) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 418 \x1b[2Jteapot\r\nContent-Length: 0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[tuple[str, dict[str, str]]]
    released: threading.Event

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is part of these tests."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/body") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def start(server: Server) -> None:
    server.seen = []
    server.released = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server(("127.0.0.1", 0), Handler) as made:
        start(made)
        yield made
        made.released.set()
        made.shutdown()


class Dns:
    """Answers for names; connections to the public address are led to the loopback server."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.connected: list[str] = []
        real_connect = socket.socket.connect

        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            self.asked.append(host)
            turns = self.answers.get(host, [[host]])
            addresses = turns.pop(0) if len(turns) > 1 else turns[0]
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [
                (
                    socket.AF_INET6 if ":" in a else socket.AF_INET,
                    socket.SOCK_STREAM,
                    6,
                    "",
                    (a, port),
                )
                for a in addresses
            ]

        def connect(sock: socket.socket, address: Any) -> None:
            self.connected.append(address[0])
            if address[0] == PUBLIC:
                address = ("127.0.0.1", server.port)
            real_connect(sock, address)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(_pinned.TimedSocket, "connect", connect)


@pytest.fixture
def dns(server: Server, monkeypatch: pytest.MonkeyPatch) -> Dns:
    made = Dns(server, monkeypatch)
    made.answers["public.test"] = [[PUBLIC]]
    return made


def get(url: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    options.setdefault("allow_private", True)
    assert fetch(url, sink.write, **options) == len(sink.getvalue())
    return sink.getvalue()


# -- what works ---------------------------------------------------------------------------------


def test_body_arrives_in_pieces(server: Server) -> None:
    pieces: list[bytes] = []
    assert fetch(server.url(), pieces.append, allow_private=True, chunk_size=1000) == len(BODY)
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) == 1000


def test_open_url_reads_as_told_and_knows_the_size(server: Server) -> None:
    with open_url(server.url(), allow_private=True) as body:
        assert body.size == len(BODY)
        assert body.read(5) == BODY[:5]
        with pytest.raises(StorageValueError, match="more than 0"):
            body.read(-1)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/chunked", b"abcdefg"),
        ("/unbounded", BODY),
        ("/hops-4", BODY),
        ("/to?body", BODY),
        ("/gzip", GZIPPED),
        ("/endlessredirect", BODY),
    ],
)
def test_body_is_exactly_what_the_server_sends(server: Server, path: str, expected: bytes) -> None:
    assert get(server.url(path)) == expected


def test_request_asks_for_no_compression_and_says_who_it_is(server: Server) -> None:
    get(server.url("/body"))
    headers = server.seen[0][1]
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"] == "genro-storage"
    assert headers["Host"] == f"127.0.0.1:{server.port}"


def test_spaces_and_unicode_in_paths_are_quoted(server: Server) -> None:
    get(server.url("/a b/è/%20/body?q=x y&z=%41#part"))
    assert server.seen[0][0] == "/a%20b/%C3%A8/%20/body?q=x%20y&z=%41"


def test_errors_of_the_sink_come_out_as_they_are(server: Server) -> None:
    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        fetch(server.url(), full, allow_private=True)
    assert type(caught.value) is OSError


def test_ipv6_literals_work(server: Server) -> None:
    class Server6(Server):
        address_family = socket.AF_INET6

    try:
        made = Server6(("::1", 0), Handler)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with made:
        start(made)
        assert get(f"http://[::1]:{made.port}/body") == BODY
        with pytest.raises(StoragePermissionError, match="::1, which is not a public"):
            get(f"http://[::1]:{made.port}/body", allow_private=False)
        made.shutdown()
    assert server.seen == []


# -- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "", "not-a-url", "file:///etc/passwd", "ftp://public.test/x", "gopher://public.test",
        "javascript:alert(1)", "http:", "http://", "http:///x", "http:public.test", "//public.test",
        "http://public.test@127.0.0.1/", "http://u:p@public.test/", "http://public.test\\@evil/",
        "http://public.test\r\nX: y/", "http://public.test/\r\nX:y", "http://pub\tlic.test/",
        " http://public.test/", "http://public.test:0x50/", "http://public.test:99999/",
        "http://[::1/", "http://a b/", "http://.test/", "http://a..b/", "http://%31/", "http://a\x00/",
    ],
)  # fmt: skip
def test_unusable_urls_are_refused_at_the_call(url: str) -> None:
    with pytest.raises(StorageValueError, match=r"^Invalid URL"):
        open_url(url)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"deadline": 0}])
def test_limits_that_allow_nothing_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(StorageValueError, match="more than 0"):
        open_url("http://public.test/", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a?token=s3cret#s3cret", "https://h/a?…"),
        ("https://s3cret:s3cret@h:1/a", "https://***@h:1/a"),
        ("https://s3cret@s3cret@h/a@b", "https://***@h/a@b"),
        ("s3cret@h", "***@h"),
        ("http://h/\x1b[2J", "http://h/\\x1b[2J"),
    ],
)
def test_messages_hold_no_secret_of_the_url(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("path", ["/status-404?sig=s3cret", "/to?file:///x?s3cret"])
def test_errors_hold_no_query_string(server: Server, path: str) -> None:
    with pytest.raises(StorageError) as caught:
        get(server.url(path))
    assert "s3cret" not in str(caught.value)


# -- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "3fff::1",
        "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "100::1", "5f00::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not _pinned.is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", PUBLIC, "2606:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::101:101",
     "2002:101:101::1"],
)  # fmt: skip
def test_addresses_that_are_public(address: str) -> None:
    assert _pinned.is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::]",
     "[::ffff:7f00:1]", "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1"],
)  # fmt: skip
def test_no_spelling_of_loopback_gets_through(server: Server, host: str) -> None:
    with pytest.raises(StoragePermissionError, match=r"^Failed to download.*allow_private=True"):
        get(f"http://{host}:{server.port}/body", allow_private=False)
    assert server.seen == []


def test_public_hosts_are_downloaded(server: Server, dns: Dns) -> None:
    assert get("http://public.test/body", allow_private=False) == BODY
    assert dns.connected == [PUBLIC]
    assert server.seen[0][1]["Host"] == "public.test"


def test_a_name_that_points_to_loopback_is_refused(server: Server, dns: Dns) -> None:
    dns.answers["evil.test"] = [["127.0.0.1"]]
    with pytest.raises(StoragePermissionError, match=r"evil\.test has the address 127\.0\.0\.1"):
        get(f"http://evil.test:{server.port}/body", allow_private=False)
    assert dns.connected == []


def test_one_private_address_among_public_ones_is_refused(dns: Dns) -> None:
    dns.answers["evil.test"] = [[PUBLIC, "10.0.0.1"]]
    with pytest.raises(StoragePermissionError):
        get("http://evil.test/body", allow_private=False)
    assert dns.connected == []


def test_rebinding_cannot_move_the_connection(dns: Dns) -> None:
    dns.answers["evil.test"] = [[PUBLIC], ["127.0.0.1"]]
    assert get("http://evil.test/body", allow_private=False) == BODY
    assert dns.asked == ["evil.test"]
    assert dns.connected == [PUBLIC]


def test_each_redirect_is_resolved_and_checked_again(server: Server, dns: Dns) -> None:
    dns.answers["evil.test"] = [[PUBLIC], ["127.0.0.1"]]
    with pytest.raises(StoragePermissionError, match=r"127\.0\.0\.1"):
        get("http://evil.test/to?http://evil.test/body", allow_private=False)
    assert dns.connected == [PUBLIC]
    assert [path for path, _ in server.seen] == ["/to?http://evil.test/body"]


@pytest.mark.parametrize("target", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]"])
def test_redirects_into_the_private_network_are_refused(dns: Dns, target: str) -> None:
    with pytest.raises(StoragePermissionError, match=r"^Failed to download http://public\.test/to"):
        get(f"http://public.test/to?http://{target}/latest/meta-data", allow_private=False)
    assert dns.connected == [PUBLIC]


def test_the_next_address_is_tried_when_the_first_does_not_answer(dns: Dns) -> None:
    dns.answers["two.test"] = [["127.0.0.1", PUBLIC]]
    assert get("http://two.test:1/body") == BODY
    assert dns.connected == ["127.0.0.1", PUBLIC]


# -- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://public.test/", "gopher://x", "http://u:p@public.test/"]
)
def test_redirects_to_other_schemes_are_refused(server: Server, target: str) -> None:
    with pytest.raises(
        StorageConnectionError, match=r"^Failed to download.*redirects to an Invalid"
    ):
        get(server.url(f"/to?{target}"))


@pytest.mark.parametrize("path", ["/hops-5", "/hops-999", "/loop"])
def test_more_than_five_redirects_are_refused(server: Server, path: str) -> None:
    with pytest.raises(StorageConnectionError, match="more than 5 redirects"):
        get(server.url(path))
    assert len(server.seen) == 6


def test_a_redirect_without_location_is_an_error(server: Server) -> None:
    with pytest.raises(StorageIOError, match="answered 302"):
        get(server.url("/status-302"))


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(StorageConnectionError, match="from https to http://b/"):
        _next_url("https://a/x", "http://b/")
    assert _next_url("https://a/x/y", "../z?q#f") == "https://a/z?q"
    assert _next_url("http://a/x", "https://b") == "https://b/"
    assert _next_url("http://a/x", "/è".encode().decode("latin-1")) == "http://a/%C3%A8"


# -- limits -------------------------------------------------------------------------------------


def test_an_announced_excess_is_refused_before_reading(server: Server) -> None:
    with pytest.raises(StorageIOError, match="6442450944 bytes, and max_size=5368709120"):
        get(server.url("/huge"))


def test_an_excess_that_is_not_announced_stops_the_download(server: Server) -> None:
    received: list[bytes] = []
    with pytest.raises(StorageIOError, match=r"^Failed to download.*more than 1000 bytes"):
        fetch(server.url("/unbounded"), received.append, max_size=1000, allow_private=True,
              chunk_size=100)  # fmt: skip
    assert sum(map(len, received)) == 1000


def test_exactly_the_largest_size_is_allowed(server: Server) -> None:
    assert get(server.url("/unbounded"), max_size=len(BODY)) == BODY
    assert get(server.url("/body"), max_size=len(BODY)) == BODY


def test_a_server_that_says_nothing_times_out(server: Server) -> None:
    with pytest.raises(StorageTimeoutError, match=r"^Failed to download"):
        get(server.url("/silent"), timeout=0.1)


@pytest.mark.parametrize("path", ["/drip", "/dripheaders"])
def test_a_slow_drip_ends_at_the_deadline(server: Server, path: str) -> None:
    ended = pytest.raises(
        StorageTimeoutError, match=r"^Failed to download.*deadline=0\.3|timed out"
    )
    with within(20), ended:  # whoever waits for the end of a line waits for twenty minutes
        get(server.url(path), timeout=60, deadline=0.3)


def test_a_slow_reader_meets_the_deadline_too(server: Server) -> None:
    with (
        pytest.raises(StorageTimeoutError, match=r"deadline=0.1"),
        open_url(server.url(), deadline=0.1, allow_private=True) as body,
    ):
        body.read(1)
        time.sleep(0.11)
        body.read(1)


# -- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/status-404", StorageNotFoundError, "404 Not Found"),
        ("/status-403", StoragePermissionError, "403"),
        ("/status-401", StoragePermissionError, "401"),
        ("/status-500", StorageConnectionError, "500"),
        ("/status-503", StorageConnectionError, "503"),
        ("/status-504", StorageTimeoutError, "504"),
        ("/status-416", StorageIOError, "416"),
        ("/status-206", StorageIOError, "206"),
        ("/status-418", StorageIOError, "418"),
        ("/escape", StorageIOError, "answered 418$"),
        ("/truncated", StorageConnectionError, "ended after 3 of 10 bytes"),
        ("/brokenchunks", StorageConnectionError, "ended early"),
        ("/garbage", StorageConnectionError, "220 smtp"),
    ],
)
def test_failures_are_ours_and_os_errors(
    server: Server, path: str, kind: type[StorageError], text: str
) -> None:
    with pytest.raises(kind, match=f"^Failed to download http://127.*{text}") as caught:
        get(server.url(path))
    assert OSError in type(caught.value).__mro__


def test_a_host_that_does_not_exist_is_named(dns: Dns) -> None:
    dns.answers["nowhere.test"] = [[]]
    with pytest.raises(StorageConnectionError, match=r"host nowhere\.test cannot be resolved"):
        get("http://nowhere.test/")


def test_a_closed_port_is_a_connection_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(StorageConnectionError, match=r"^Failed to download"):
            get(f"http://127.0.0.1:{taken.getsockname()[1]}/")


# -- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl(1) to make a certificate")
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN=public.test -addext subjectAltName=DNS:public.test -keyout {made} -out {made}.crt"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + Path(f"{made}.crt").read_bytes())
    return made


@pytest.fixture
def tls(server: Server, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )


@pytest.mark.usefixtures("tls")
def test_tls_is_verified_against_the_name_and_pinned_to_the_address(
    dns: Dns, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    dns.answers["public.test"] = [[PUBLIC], ["127.0.0.1"]]
    assert get("https://public.test/body", allow_private=False) == BODY
    assert dns.asked == ["public.test"]
    assert dns.connected == [PUBLIC]


@pytest.mark.usefixtures("tls")
def test_a_certificate_for_another_name_is_refused(
    server: Server, dns: Dns, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    dns.answers["other.test"] = [[PUBLIC]]
    with pytest.raises(OSError, match=r"^Failed to download https://other\.test/.*verify failed"):
        get("https://other.test/body")
    assert server.seen == []


@pytest.mark.usefixtures("tls", "dns")
def test_a_certificate_that_nobody_signed_is_refused(server: Server) -> None:
    with pytest.raises(OSError, match=r"^Failed to download.*verify failed"):
        get("https://public.test/body")
    assert server.seen == []


@pytest.mark.usefixtures("tls")
def test_https_to_loopback_is_refused_before_the_handshake(server: Server) -> None:
    with pytest.raises(StoragePermissionError):
        get(f"https://localhost:{server.port}/body", allow_private=False)


@pytest.mark.usefixtures("tls", "dns")
def test_a_slow_drip_over_tls_ends_at_the_deadline(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with within(20), pytest.raises(StorageTimeoutError):
        get("https://public.test/drip", timeout=60, deadline=0.4)


# -- proxies ------------------------------------------------------------------------------------


def test_the_proxy_of_the_environment_is_used_and_may_be_private(
    server: Server, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    dns.answers["only.outside.test"] = [[]]
    assert get("http://public.test/body", allow_private=False) == BODY
    assert get("http://only.outside.test/body", allow_private=False) == BODY
    assert [path for path, _ in server.seen] == [
        "http://public.test/body", "http://only.outside.test/body",
    ]  # fmt: skip
    assert set(dns.connected) == {"127.0.0.1"}


def test_a_private_target_is_refused_behind_a_proxy_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url(""))
    with pytest.raises(StoragePermissionError, match=r"169\.254\.169\.254"):
        get("http://169.254.169.254/latest", allow_private=False)
    with pytest.raises(StoragePermissionError, match=r"127\.0\.0\.1"):
        get("http://2130706433/latest", allow_private=False)
    assert server.seen == []


def test_no_proxy_means_a_direct_and_checked_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get(server.url()) == BODY
    with pytest.raises(StoragePermissionError):
        get(server.url(), allow_private=False)


@pytest.mark.usefixtures("dns")
def test_https_goes_through_a_tunnel_of_the_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.url("").replace("//", "//me:s3cret@"))
    with pytest.raises(
        OSError, match=r"^Failed to download https://public.test/body.*403"
    ) as caught:
        get("https://public.test/body", allow_private=False)
    assert server.seen[0][0] == "public.test:443"
    assert "s3cret" not in str(caught.value)


# -- a replaced urlopen -------------------------------------------------------------------------


def answering(data: bytes) -> MagicMock:
    response = MagicMock()
    response.__enter__.return_value.read.return_value = data
    return response


def test_a_patched_urlopen_is_called_once_with_keyword_timeout() -> None:
    with patch("urllib.request.urlopen", return_value=answering(BODY)) as replaced:
        assert get("http://no.such.host/a?b", timeout=7, allow_private=False) == BODY
    replaced.assert_called_once_with("http://no.such.host/a?b", timeout=7)
    replaced.return_value.__enter__.return_value.read.assert_called_once_with()
    replaced.return_value.__exit__.assert_called_once()


def test_a_patched_urlopen_may_return_any_context_manager() -> None:
    response = Mock()
    response.read = Mock(return_value=b"abc")
    response.__enter__ = Mock(return_value=response)
    response.__exit__ = Mock(return_value=None)
    with patch("urllib.request.urlopen", autospec=True, return_value=response):
        assert get("http://no.such.host/") == b"abc"
    with patch("urllib.request.urlopen", lambda url, timeout: io.BytesIO(b"x")):
        assert get("http://no.such.host/") == b"x"


def test_a_patched_urlopen_is_limited_in_size_too() -> None:
    with (
        patch("urllib.request.urlopen", return_value=answering(b"abc")),
        pytest.raises(StorageIOError, match="max_size=2"),
    ):
        get("http://no.such.host/", max_size=2)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (urllib.error.URLError("no route"), StorageIOError),
        (urllib.error.URLError(TimeoutError("timed out")), StorageTimeoutError),
        (urllib.error.HTTPError("http://x", 404, "Not Found", None, None), StorageNotFoundError),  # type: ignore[arg-type]
        (TimeoutError(), StorageTimeoutError),
        (ConnectionResetError("reset"), StorageConnectionError),
    ],
)
def test_errors_of_a_patched_urlopen_are_ours(error: Exception, kind: type[StorageError]) -> None:
    with (
        patch("urllib.request.urlopen", side_effect=error),
        pytest.raises(kind, match=r"^Failed to download http://no.such.host/") as caught,
    ):
        get("http://no.such.host/")
    assert OSError in type(caught.value).__mro__


def test_a_patched_urlopen_is_not_called_for_an_invalid_url() -> None:
    with (
        patch("urllib.request.urlopen") as replaced,
        pytest.raises(ValueError, match="Invalid URL"),
    ):
        get("ftp://no.such.host/")
    replaced.assert_not_called()


def test_a_tracing_wrapper_around_urlopen_does_not_switch_the_checks_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = urllib.request.urlopen

    @wraps(original)
    def traced(*args: Any, **options: Any) -> Any:
        return original(*args, **options)

    monkeypatch.setattr(urllib.request, "urlopen", traced)
    with pytest.raises(StoragePermissionError):
        get(server.url(), allow_private=False)
    assert server.seen == []
