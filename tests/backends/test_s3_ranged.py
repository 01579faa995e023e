"""Large objects by connections of our own: the same as by obstore, whatever happens on the way."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING

import obstore
import pytest

from genro_storage import (
    StorageConnectionError,
    StorageError,
    StorageManager,
    StorageNotFoundError,
    StorageTimeoutError,
)
from genro_storage.backends.object_stores import downloads
from genro_storage.backends.object_stores.failures import RequestError
from genro_storage.hearing import hearing_retries
from tests.services.answers import Answer, AnswerServer
from tests.services.base import free_port
from tests.services.proxy import Proxy
from tests.services.s3 import SECRET
from tests.support.ranged import (
    DATA,
    KEY,
    SIGNED,
    SIZE,
    Scripted,
    engine_of,
    eventually,
    fetched,
    inside,
    is_fit,
    ranged_of,
    read,
    scripted,
    signed,
    windows,
)
from tests.support.s3_places import DATE, MIB, at, mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from genro_storage import StorageNode
    from tests.services.answers import Request
    from tests.services.s3 import Moto

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("no_proxies")]


# -- the same as by obstore -------------------------------------------------------------------

_ATTRIBUTES = {
    "Content-Type": "text/x-test; charset=utf-8",
    "Cache-Control": "no-cache, max-age=0",
    "Content-Disposition": 'attachment; filename="a b.txt"',
    "Content-Encoding": "identity",
    "Content-Language": "it",
    "plain": "value",
    "with-dash": "a, b; c=d",
}


@pytest.mark.parametrize("kind", ["moto_server", "rclone_s3"])
@pytest.mark.parametrize("name", ["plain", "a b", "a+b", "50%25 %2F", "ünï/日本.txt", "(a)'!*&=;@"])
def test_an_answer_says_what_obstore_says(
    request: pytest.FixtureRequest, kind: str, name: str
) -> None:
    config = request.getfixturevalue(kind).mount()
    with mounted(config) as node:
        engine, key, data = engine_of(node), f"{config['prefix']}/{name}", os.urandom(100_000)
        engine.put(key, data, attributes=_ATTRIBUTES)
        facts = engine.read(key)[0].facts
        found = obstore.get(engine.store(), key)
        assert facts.attributes == found.attributes
        for stop in (70_000, 100_000, 200_000):  # smaller than the object, and larger
            body = engine.begin(key, stop)
            assert (body.start, body.stop) == (0, min(stop, 100_000))
            assert body.facts == facts
            assert body.all() == data[:stop]
        for start, end in ((0, 10), (99, 90_000), (99_999, None), (0, None)):
            body = engine.open(key, start, end, facts.etag)
            assert (body.start, body.stop) == (start, end or 100_000)
            assert (body.facts, body.all()) == (facts, data[start:end])
        assert is_fit(node)


def test_headers_are_taken_as_obstore_takes_them() -> None:
    store = Scripted(
        DATA[:100],
        *(("x-amz-version-id", "v.1"), ("x-amz-storage-class", "STANDARD_IA")),
        *(("X-Amz-Meta-Mixed", "Value"), ("x-amz-meta-", "nameless"), ("x-amz-meta-empty", "")),
        *(("x-amz-meta-twice", "one"), ("x-amz-meta-twice", "two"), ("content-type", "a/b")),
        *(("x-amz-server-side-encryption", "AES256"), ("Expires", DATE)),
    )
    with AnswerServer(store) as server, scripted(server) as node:
        engine = engine_of(node)
        plain = engine.read("k")[0].facts
        assert engine.begin("k", 10).facts == plain
        assert (plain.version, plain.attributes["mixed"]) == ("v.1", "Value")
        assert signed(server) == ["bytes=0-9"]


@pytest.mark.parametrize("kind", ["moto_server", "rclone_s3"])
def test_an_empty_object(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> None:
    with mounted(request.getfixturevalue(kind).mount()) as node:
        node.write_bytes(b"")
        body = engine_of(node).begin(inside(node)._full(node.path), 10)
        assert (body.start, body.stop, body.facts.size, body.all()) == (0, 0, 0, b"")
        assert fetched(node, tmp_path) == read(node) == b""
        assert is_fit(node)


# -- large contents ---------------------------------------------------------------------------


@pytest.fixture
def far(
    moto_server: Moto, small_windows: None, tmp_path: Path
) -> Iterator[tuple[StorageNode, StorageNode, Proxy]]:
    """A large object, a file with another content, and what the server is asked."""
    with Proxy(moto_server.port) as proxy, StorageManager() as storage:
        storage.configure([
            {"name": "store", **moto_server.mount(), "endpoint_url": proxy.url},
            {"name": "disk", "type": "local", "path": str(tmp_path)},
        ])  # fmt: skip
        node, target = storage.node("store:a.bin"), storage.node("disk:b.bin")
        node.write_bytes(DATA)
        target.write_bytes(b"old")
        proxy.requests.clear()
        yield node, target, proxy


def test_a_copy_asks_for_window_after_window_of_one_content(
    far: tuple[StorageNode, StorageNode, Proxy],
) -> None:
    node, target, proxy = far
    node.copy_to(target)
    assert target.read_bytes() == DATA
    asked = [each for each in proxy.requests if each.method == "GET"]
    assert [each.headers["range"] for each in asked] == windows(0, 2, 4, 6, 8, 9)
    etag = inside(node)._store.head(inside(node)._full(node.path))["ETag"]
    assert [each.headers.get("if-match") for each in asked] == [None, *[etag] * 4]
    assert all(SIGNED in each.query for each in asked)
    assert all("authorization" not in each.headers for each in asked)


def test_a_stream_that_is_read_to_its_end(far: tuple[StorageNode, StorageNode, Proxy]) -> None:
    node, _, proxy = far
    with node.open("rb") as stream:
        assert stream.read() == DATA
    by_url = [each for each in proxy.requests if SIGNED in each.query]
    assert by_url
    assert all("if-match" in each.headers and "range" in each.headers for each in by_url)


# -- another content in its place -------------------------------------------------------------


@pytest.mark.parametrize("knows_conditions", [True, False])
def test_what_is_replaced_between_two_windows_is_an_error(
    scripted_store: Scripted,
    scripted_server: AnswerServer,
    small_windows: None,
    tmp_path: Path,
    knows_conditions: bool,
) -> None:
    scripted_store.knows_conditions = knows_conditions

    def replace(_: Request) -> None:
        scripted_store.data, scripted_store.etag = os.urandom(SIZE), '"2"'

    scripted_store.once(2, replace)
    with StorageManager() as storage:
        storage.configure([
            {"name": "store", **at(scripted_server.url)},
            {"name": "disk", "type": "local", "path": str(tmp_path)},
        ])  # fmt: skip
        target = storage.node("disk:b.bin")
        target.write_bytes(b"old")
        with pytest.raises(StorageError, match=r"store:a\.bin.*meanwhile"):
            storage.node("store:a.bin").copy_to(target)
    assert [each.name for each in tmp_path.iterdir()] == ["b.bin"]
    assert (tmp_path / "b.bin").read_bytes() == b"old"


# -- failures ---------------------------------------------------------------------------------


def test_a_window_that_breaks_off_goes_on_where_it_was(
    scripted_store: Scripted, scripted_server: AnswerServer, small_windows: None, tmp_path: Path
) -> None:
    def cut(request: Request) -> Answer:
        found = scripted_store.answer(request)
        length = ("Content-Length", str(len(found.body)))
        return Answer(206, found.body[: MIB // 2], (*found.headers, length), says_length=False)

    scripted_store.once(2, cut)
    told: list[BaseException] = []
    with scripted(scripted_server, retries=1) as node, hearing_retries(told.append):
        assert fetched(node, tmp_path) == DATA
    first, second, *rest = windows(0, 2, 4, 6, 8, 9)
    assert signed(scripted_server) == [first, second, *windows(2.5, 4), *rest]
    assert [type(each) for each in told] == [type(told[0])]
    assert isinstance(told[0], ConnectionError)


def test_a_silence_in_the_middle_is_tried_again_or_told(moto_server: Moto, tmp_path: Path) -> None:
    with Proxy(moto_server.port) as proxy:
        config = {**moto_server.mount(), "endpoint_url": proxy.url}
        with mounted(config) as node:
            node.write_bytes(DATA)
        told: list[BaseException] = []
        with mounted(config, timeout=2, retries=1) as node, hearing_retries(told.append):
            proxy.after(5 * MIB, lambda: time.sleep(5))
            assert fetched(node, tmp_path) == DATA
        assert [isinstance(each, TimeoutError) for each in told] == [True]
        with mounted(config, timeout=0.5) as node:
            proxy.after(5 * MIB, lambda: setattr(proxy, "speed", 20_000))
            with pytest.raises(StorageTimeoutError, match=r"store:d/a\.bin"):
                fetched(node, tmp_path)
        assert SIGNED in proxy.requests[-1].query


@pytest.mark.parametrize("number", [1, 2])
def test_a_server_that_is_silent_before_it_answers(
    scripted_store: Scripted,
    scripted_server: AnswerServer,
    small_windows: None,
    tmp_path: Path,
    number: int,
) -> None:
    scripted_store.once(number, lambda _: time.sleep(5))
    with (
        scripted(scripted_server, timeout=2) as node,
        pytest.raises(StorageTimeoutError, match="store:"),
    ):
        fetched(node, tmp_path)
    assert len(scripted_server.requests) == number == len(signed(scripted_server))


@pytest.mark.parametrize("number", [1, 2])
def test_a_busy_server_is_asked_again(
    scripted_store: Scripted,
    scripted_server: AnswerServer,
    small_windows: None,
    tmp_path: Path,
    number: int,
) -> None:
    scripted_store.once(number, lambda _: Answer(503, b"<Error><Code>SlowDown</Code></Error>"))
    told: list[BaseException] = []
    with scripted(scripted_server, retries=1) as node, hearing_retries(told.append):
        assert fetched(node, tmp_path) == DATA
        assert is_fit(node)
    assert len(told) == 1
    assert len(signed(scripted_server)) == 6 == len(scripted_server.requests)


def test_what_is_not_there(far: tuple[StorageNode, StorageNode, Proxy], tmp_path: Path) -> None:
    node, _, proxy = far
    for step in (read, lambda each: fetched(each, tmp_path)):
        proxy.requests.clear()
        with pytest.raises(StorageNotFoundError, match="store:nothing"):
            step(node.with_name("nothing"))
        assert [SIGNED in each.query for each in proxy.requests if each.method == "GET"][:1] == [
            True
        ]
    assert is_fit(node)


def test_nobody_is_there(tmp_path: Path) -> None:
    with mounted(at(f"http://127.0.0.1:{free_port()}")) as node:
        for step in (read, lambda each: fetched(each, tmp_path)):
            with pytest.raises(StorageConnectionError, match="store:"):
                step(node)


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used(
    scripted_server: AnswerServer, small_windows: None, tmp_path: Path
) -> None:
    with scripted(scripted_server) as node:  # which tries once
        assert fetched(node, tmp_path) == DATA
        (idle,) = scripted_server._server.open
        idle.shutdown(socket.SHUT_RDWR)
        assert eventually(lambda: scripted_server.open_connections == 0)
        assert fetched(node, tmp_path) == DATA
    assert scripted_server.connections == 2
    assert len(signed(scripted_server)) == 10


def test_an_interrupt_ends_the_waiting_for_the_next_bytes(moto_server: Moto) -> None:
    goes_on, main = threading.Event(), threading.get_ident()
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))

    def silent() -> None:
        timer.start()
        goes_on.wait(30)

    with (
        Proxy(moto_server.port) as proxy,
        mounted({**moto_server.mount(), "endpoint_url": proxy.url}, timeout=60) as node,
    ):
        node.write_bytes(DATA)
        proxy.after(5 * MIB, silent)
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            read(node)
        assert time.monotonic() - begun < 20
        goes_on.set()
        assert read(node) == DATA


# -- connections ------------------------------------------------------------------------------


def test_windows_one_after_the_other_have_one_connection(
    scripted_server: AnswerServer, small_windows: None, tmp_path: Path
) -> None:
    with scripted(scripted_server) as node:
        for _ in range(2):
            assert fetched(node, tmp_path) == DATA
        assert len(signed(scripted_server)) == len(scripted_server.requests) == 10
        assert scripted_server.connections == 1


def test_no_connection_is_used_after_a_body_that_was_left(scripted_server: AnswerServer) -> None:
    with scripted(scripted_server) as node:
        with node._mount.open_whole(node.path) as stream:
            assert stream.read(10) == DATA[:10]
        assert eventually(lambda: scripted_server.open_connections == 0)
        assert read(node) == DATA
        assert scripted_server.connections == 2


def test_an_answer_that_is_no_use_has_no_connection_any_more(
    scripted_store: Scripted, scripted_server: AnswerServer
) -> None:
    scripted_store.instead = lambda each: Answer(200, DATA, scripted_store.answer(each).headers[:2])
    with scripted(scripted_server) as node:
        ranged = ranged_of(node)
        assert ranged is not None
        with pytest.raises(RequestError) as caught:
            ranged(engine_of(node).store(), "k", options={"range": (5, 10)})
        assert caught.value.failure.kind == "whole"  # and it is still held here
        assert scripted_server.connections == 1
        assert eventually(lambda: scripted_server.open_connections == 0)


def test_another_content_than_was_asked_for_is_not_waited_for(
    scripted_store: Scripted, scripted_server: AnswerServer
) -> None:
    scripted_store.knows_conditions = False
    with scripted(scripted_server) as node:
        with pytest.raises(OSError, match="meanwhile") as caught:
            engine_of(node).open("k", 0, SIZE, '"other"')
        assert eventually(lambda: scripted_server.open_connections == 0), caught.value
        assert scripted_server.connections == 1


def test_a_download_that_fails_leaves_no_connection(
    scripted_server: AnswerServer, small_windows: None
) -> None:
    class Full:
        def write(self, at: int, data: bytes) -> None:
            raise ValueError("full")

    with scripted(scripted_server) as node:
        engine = engine_of(node)
        body = engine.begin("k", 2 * MIB)
        with pytest.raises(ValueError, match="full") as caught:
            downloads.download(
                body,
                lambda start, end, etag: engine.open("k", start, end, etag),
                Full(),
                engine._bounds,
                stop=SIZE,
            )
        assert eventually(lambda: scripted_server.open_connections == 0), caught.value
    assert scripted_server.connections == 1


def test_idle_connections_end_with_the_mount(scripted_server: AnswerServer, tmp_path: Path) -> None:
    with scripted(scripted_server) as node:
        assert fetched(node, tmp_path) == DATA
        assert scripted_server.open_connections == 1
    del node
    gc.collect()
    assert eventually(lambda: scripted_server.open_connections == 0)


# -- secrets ----------------------------------------------------------------------------------

_FAILING: dict[str, Callable[[Request], Answer | None]] = {
    "refused": lambda _: Answer(403, b"<Error><Code>AccessDenied</Code></Error>"),
    "busy": lambda _: Answer(503),
    "cut": lambda _: Answer(206, b"", (("Content-Length", "9"),), says_length=False),
    "silent": lambda _: time.sleep(1.5),
    "changed": lambda _: Answer(412),
}


@pytest.mark.parametrize("act", _FAILING.values(), ids=_FAILING)
def test_no_error_and_no_log_shows_a_signature(
    scripted_store: Scripted,
    scripted_server: AnswerServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    act: Callable[[Request], Answer | None],
) -> None:
    caplog.set_level("DEBUG", "genro_storage")
    scripted_store.instead = act
    with scripted(scripted_server, timeout=0.5, retries=1) as node:
        with pytest.raises(StorageError, match="store:") as caught:
            fetched(node, tmp_path)
        assert signed(scripted_server)
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    for secret in (SIGNED, KEY, SECRET):
        assert secret not in said
