"""What could have lost a file, or told something untrue of it; each was seen before it was mended."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import hashlib
import os
import signal
import sys
import threading
import time

import pytest

from genro_storage import (
    StorageConfigError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnsupportedError,
)
from genro_storage.backends.object_stores.kept import MD5
from genro_storage.backends.object_stores.onward import Onward
from genro_storage.backends.s3.credentials import CredentialSource
from genro_storage.backends.s3.fast_stream import FastStream
from genro_storage.backends.s3.transfer import S3Transfers
from tests.services.answers import Answer, AnswerServer
from tests.services.proxy import Proxy, Refusal
from tests.services.s3 import KEY, SECRET
from tests.support.s3_places import DATE, MIB, at, mounted

pytestmark = pytest.mark.services

ENGINES = ("obstore", "fsspec")


def without_keys(config, **more):
    return {name: config[name] for name in config if name not in ("key", "secret")} | more


def store_of(node):
    return node._mount.backend._store


def key_of(node):
    return node._mount.backend._full("d/a.bin")


def noise(size):
    return hashlib.shake_256(b"noise").digest(size)


# -- credentials ------------------------------------------------------------------------------


def test_a_provider_may_use_threads_of_the_loop_while_many_wait_for_it(moto_server):
    async def provide():
        await asyncio.sleep(0.3)  # until all of them wait
        await asyncio.to_thread(time.sleep, 0.01)
        return {"access_key_id": KEY, "secret_access_key": SECRET}

    config = without_keys(moto_server.mount(engine="fsspec"), credential_provider=provide)
    with mounted(config) as node, concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert list(pool.map(lambda _: node.exists, range(40))) == [False] * 40


class OddError(Exception):
    """Takes no copies."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def test_an_error_that_cannot_be_copied_reaches_all_who_wait():
    together = threading.Barrier(3)

    def fetch():
        time.sleep(0.2)
        raise OddError("no", "luck")

    source = CredentialSource(fetch, "it")

    def ask(_):
        together.wait()
        with pytest.raises(OddError, match="no luck"):
            source.get()

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(ask, range(3)))


def expired(request):
    body = b"<Error><Code>ExpiredToken</Code><Message>over</Message></Error>"
    if request.method == "HEAD":
        return Answer(400)
    return Answer(400, body, (("Content-Type", "application/xml"),))


def refusing_the_first_key(request):
    """A server with an object ``abc``, to which AK1 has ended."""
    if "AK1/" in request.headers["Authorization"]:
        return expired(request)
    if "list-type" in request.path:
        return Answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    etag = f'"{hashlib.md5(b"abc").hexdigest()}"'
    return Answer(200, b"abc", (("ETag", etag), ("Last-Modified", DATE)))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_look_with_credentials_that_have_ended_is_made_again_with_others(engine):
    given = []

    def provide():
        given.append(1)
        return {"access_key_id": f"AK{len(given)}", "secret_access_key": SECRET, "token": "t"}

    with AnswerServer(refusing_the_first_key) as server:
        config = at(server.url, engine=engine, credential_provider=provide, retries=2)
        with mounted(without_keys(config)) as node:
            assert node.stat().type == "file"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_profile_whose_keys_have_ended_is_read_again(tmp_path, monkeypatch, engine):
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(key):
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        lines = [f"{name}={value}" for name, value in zip(names, (key, SECRET, "t"), strict=True)]
        file.write_text("\n".join(["[default]", *lines]))

    write("AK1")
    with AnswerServer(refusing_the_first_key) as server:
        config = without_keys(at(server.url, engine=engine, retries=2))
        with mounted(config) as node:
            with pytest.raises(StoragePermissionError, match="have ended; renew them"):
                node.read_text()
            write("AK2")
            assert node.read_bytes() == b"abc"


# -- reading ----------------------------------------------------------------------------------


def test_a_server_that_answers_with_another_range_is_not_believed():
    data = noise(9 * MIB)

    def answer(request):
        start, end = (int(number) for number in request.headers["Range"][6:].split("-"))
        length = min(end + 1, len(data)) - start
        wrong = max(0, start - 32)  # as many bytes as were asked for, but others
        extent = f"bytes {wrong}-{wrong + length - 1}/{len(data)}"
        facts = (("ETag", '"abc-2"'), ("Last-Modified", DATE), ("Content-Range", extent))
        return Answer(206, data[wrong : wrong + length], facts)

    with (
        AnswerServer(answer) as server,
        mounted(at(server.url, engine="fsspec")) as node,
        pytest.raises(OSError, match="another range"),
    ):
        node.read_bytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_read_that_failed_can_be_made_again(moto_server, engine):
    data = noise(3 * MIB)
    with Proxy(moto_server.port) as proxy:
        config = moto_server.mount(engine=engine, endpoint_url=proxy.url)
        with mounted(config) as node:
            node.write_bytes(data)
            stream = store_of(node).open(key_of(node))
            assert stream.read(1000) == data[:1000]
            proxy.gate = lambda _: Refusal(500, "InternalError")
            with pytest.raises(OSError, match="InternalError"):
                stream.read(2 * MIB)
            proxy.gate = None
            assert stream.tell() == 1000
            assert stream.read(2 * MIB) == data[1000 : 1000 + 2 * MIB]


def test_an_interrupt_anywhere_in_a_read_does_not_mix_what_is_read(moto_server):
    data = noise(5 * MIB)
    functions = (FastStream.read, FastStream._advance, Onward.next, Onward._next)
    codes = {each.__code__ for each in functions}
    left = 0

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code not in codes:
            return None
        if event == "line" or (event == "return" and frame.f_code is not functions[0].__code__):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    with mounted(moto_server.mount(engine="obstore")) as node:
        node.write_bytes(data)
        for step in range(1, 400):
            stream = store_of(node).open(key_of(node))
            stream.read(MIB)
            left = step
            sys.settrace(trace)
            try:
                stream.read(2 * MIB + 5)
            except KeyboardInterrupt:
                pass
            else:
                break
            finally:
                sys.settrace(None)
            now = stream.tell()
            assert stream.read(100_000) == data[now : now + 100_000], step
        assert 20 < step < 399


@pytest.mark.parametrize("engine", ENGINES)
def test_a_digest_that_was_kept_with_another_content_is_not_believed(moto_server, engine):
    stale = base64.b64encode(hashlib.md5(b"old").digest()).decode()
    with mounted(moto_server.mount(engine=engine)) as node:
        store_of(node)._ask("put_object", Key=key_of(node), Body=b"new", Metadata={MD5: stale})
        assert node.md5hash == hashlib.md5(b"new").hexdigest()
        assert node.read_bytes() == b"new"
        with node.open("rb") as stream:
            assert stream.read() == b"new"
        assert node.write_bytes(b"old", skip_if_unchanged=True)
        assert node.read_bytes() == b"old"


def test_closing_while_something_is_read_ahead_does_not_hang(moto_server):
    with mounted(moto_server.mount(engine="fsspec")) as node:
        node.write_bytes(noise(3 * MIB))
        store = store_of(node)
        client = store.client
        ended = []
        for _ in range(20):
            client.run(lambda: client.request("head_object", Key=key_of(node)))
            reading = client.begin(lambda: client.fetch(key_of(node), 0, MIB))
            client.close()
            done, _ = concurrent.futures.wait([reading], timeout=10)
            ended.append(len(done))
        assert ended == [1] * 20
        assert node.exists


# -- writing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_an_interrupt_while_an_upload_begins_leaves_none(moto_server, streamed):
    with mounted(moto_server.mount()) as node:
        assert not node.exists
        client, begun = store_of(node).client, threading.Event()
        send = client._send

        async def late(sdk, operation, parameters):
            found = await send(sdk, operation, parameters)
            if operation == "create_multipart_upload":
                begun.set()
                await asyncio.sleep(0.5)  # the answer is on its way
            return found

        def interrupt():
            assert begun.wait(10)
            os.kill(os.getpid(), signal.SIGINT)

        client._send = late
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            if streamed:
                with node.open("wb") as handle:
                    handle.write(bytes(40 * MIB))
            else:
                node.write_bytes(bytes(40 * MIB))
        interrupting.join()
        found = store_of(node)._ask("list_multipart_uploads", Prefix=key_of(node))
        assert found.get("Uploads", []) == []
        assert not node.exists


def test_new_metadata_of_a_large_object_replaces_no_other_content(moto_server, monkeypatch):
    """moto ignores the condition of the last request; the proxy says what S3 would."""
    made, asked = S3Transfers.__init__, []

    def small(self, client):
        made(self, client)
        self.copy_at_once = self.copy_part = 5 * MIB

    def gate(request):
        if request.method != "POST" or "uploadId" not in request.query:
            return None
        asked.append(request.headers.get("if-match"))
        return Refusal(412, "PreconditionFailed") if len(asked) == 1 else None

    monkeypatch.setattr(S3Transfers, "__init__", small)
    with (
        Proxy(moto_server.port, gate=gate) as proxy,
        mounted(moto_server.mount(endpoint_url=proxy.url)) as node,
    ):
        node.write_bytes(bytes(6 * MIB))
        etag = f'"{node.stat().etag}"'
        node.set_metadata({"a": "b"})
        assert asked == [etag, etag], "looked again, and tried again"
        assert node.get_metadata() == {"a": "b"}


@pytest.mark.parametrize("engine", ENGINES)
def test_tags_are_refused_where_none_are_sent(moto_server, engine):
    with mounted(moto_server.mount(engine=engine, disable_tagging=True)) as node:
        with pytest.raises(StorageUnsupportedError):
            node.write_bytes(b"x", tags={"a": "b"})
        assert not node.exists
    config = moto_server.mount(engine=engine, disable_tagging=True, tags={"a": "b"})
    with pytest.raises(StorageConfigError, match="no 'tags' are sent"), mounted(config):
        pass


def test_a_request_that_takes_too_long_says_so():
    def answer(_):
        time.sleep(1)
        return Answer(404)

    with (
        AnswerServer(answer) as server,
        mounted(at(server.url, engine="fsspec", request_timeout=0.3)) as node,
        pytest.raises(StorageTimeoutError, match="'request_timeout'"),
    ):
        node.read_bytes()
