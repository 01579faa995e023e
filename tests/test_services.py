"""The proxy and the broker of the tests do what they say: what stands on them would prove nothing."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.services.answers import Answer, AnswerServer
from tests.services.broker import Broker
from tests.services.faults import Faults
from tests.services.proxy import Asked, Proxy, Refusal

BODY = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def server():
    with AnswerServer(lambda request: Answer(200, request.body or BODY)) as server:
        yield server


@pytest.fixture
def proxy(server):
    with Proxy(server.port) as proxy:
        yield proxy


def ask(port, method="GET", path="/b/k?x=1", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_passes_is_unchanged_and_noted(proxy, server):
    with proxy.counting() as seen:
        assert ask(proxy.port) == (200, BODY)
        assert ask(proxy.port, "PUT", "/b/k%20k", BODY, {"X-A": "b"}) == (200, BODY)
        # http.client sends an iterable in chunks.
        assert ask(proxy.port, "PUT", "/b/c", iter([b"one", b"two"])) == (200, b"onetwo")
    assert [(each.method, each.path, each.query) for each in seen] == [
        ("GET", "/b/k", {"x": "1"}),
        ("PUT", "/b/k k", {}),
        ("PUT", "/b/c", {}),
    ]
    assert seen[1].headers["x-a"] == "b"
    put = server.requests[1]
    assert put.body == BODY
    # A signature covers the name of the host, which is the one that the client knows.
    assert put.headers["Host"] == f"127.0.0.1:{proxy.port}"


def test_one_connection_serves_many_requests(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    for number in range(50):
        connection.request("PUT", f"/b/{number}", b"abc")
        assert connection.getresponse().read() == b"abc"
    connection.close()
    assert len(proxy.requests) == 50


@pytest.mark.parametrize(
    ("kind", "outcome", "arrives"),
    [
        ("error", 500, None),
        ("slow_down", 503, None),
        ("lost_answer", 500, len(BODY)),
        ("reset_before", ConnectionError, None),
        ("reset_after", ConnectionError, len(BODY)),
        ("cut_download", http.client.IncompleteRead, len(BODY)),
        ("delay", 200, len(BODY)),
    ],
)
def test_each_fault_is_what_it_is_called(proxy, server, kind, outcome, arrives):
    proxy.faults = Faults(1.0, kinds=[kind])
    if isinstance(outcome, int):
        status, body = ask(proxy.port, "PUT", body=BODY)
        assert status == outcome
        assert body == BODY if outcome == 200 else b"<Code>" in body
    else:
        with pytest.raises(outcome):
            ask(proxy.port, "PUT", body=BODY)
    assert [len(request.body) for request in server.requests] == (
        [] if arrives is None else [arrives]
    )
    assert proxy.faults.met == {kind: 1}


def test_an_upload_that_is_cut_arrives_in_part(proxy, server):
    proxy.faults = Faults(1.0, kinds=["cut_upload"])
    with pytest.raises(ConnectionError):
        ask(proxy.port, "PUT", body=BODY)
    assert server.requests == []  # it waits for a rest that never comes


def test_faults_follow_from_the_seed_and_are_as_frequent_as_asked():
    one, other = Faults(0.05, seed=7), Faults(0.05, seed=7)
    drawn = [one.next() for _ in range(10_000)]
    assert drawn == [other.next() for _ in range(10_000)]
    assert 400 < sum(one.met.values()) < 600
    assert len(one.met) == len(one.kinds)


def test_a_gate_refuses_before_the_server_hears_of_it(proxy, server):
    proxy.gate = lambda asked: Refusal(403, "AccessDenied") if asked.method == "PUT" else None
    status, body = ask(proxy.port, "PUT", body=BODY)
    assert (status, b"AccessDenied" in body) == (403, True)
    assert server.requests == []
    assert ask(proxy.port)[0] == 200


def test_the_speed_is_kept(proxy):
    proxy.speed = 4 * len(BODY)
    started = time.monotonic()
    assert ask(proxy.port) == (200, BODY)
    assert time.monotonic() - started > 0.2  # a quarter of a second, less what is under way


def _call(broker, secret):
    form = urllib.parse.urlencode({"secret": secret}).encode()
    with urllib.request.urlopen(broker.url, form, timeout=10) as answer:
        return json.load(answer)


def test_a_broker_gives_credentials_that_are_good_for_a_while():
    with Broker(lifetime=0.5, folder="s3://bucket/team/") as broker:
        given = _call(broker, broker.secret)
        assert given["S3Folder"] == "s3://bucket/team/"
        assert given["Expiration"].endswith("Z")

        def knock(key=given["AccessKeyId"], token=given["SessionToken"]):
            signed = f"AWS4-HMAC-SHA256 Credential={key}/2026/r/s3/aws4_request, Signature=0"
            headers = {"authorization": signed, "x-amz-security-token": token}
            found = broker.gate(Asked("GET", "/", {}, headers))
            query = {"X-Amz-Credential": f"{key}/2026", "X-Amz-Security-Token": token}
            assert broker.gate(Asked("GET", "/", query, {})) == found
            return None if found is None else found.code

        assert knock() is None
        assert knock(key="AKIAOTHER") == "InvalidAccessKeyId"
        assert knock(token="another") == "InvalidToken"
        time.sleep(0.5)
        assert knock() == "ExpiredToken"
        assert len(broker.calls) == 1


def test_a_broker_refuses_and_fails_as_told():
    with Broker() as broker:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            _call(broker, "wrong")
        broker.fail_next(1)
        with pytest.raises(urllib.error.HTTPError, match="500"):
            _call(broker, broker.secret)
        assert _call(broker, broker.secret)["AccessKeyId"] in broker.grants
        assert len(broker.calls) == 3
