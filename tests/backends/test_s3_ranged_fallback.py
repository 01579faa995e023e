"""Where large objects are left to obstore: by what a server answers, by settings, by certificates."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from genro_storage import (
    StorageError,
    StoragePermissionError,
)
from genro_storage.backends.object_stores.engine import Unfit
from tests.services.answers import Answer, AnswerServer, Request
from tests.support.ranged import (
    DATA,
    KEY,
    SIGNED,
    SIZE,
    Scripted,
    engine_of,
    fetched,
    is_fit,
    is_signed,
    ranged_of,
    read,
    scripted,
    signed,
    windows,
)
from tests.support.s3_places import at, mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.services.certificates import Authority

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("no_proxies")]


# -- obstore in its place ---------------------------------------------------------------------


def test_a_server_that_takes_no_signed_urls_is_asked_by_obstore(
    scripted_store: Scripted, scripted_server: AnswerServer, tmp_path: Path
) -> None:
    refusal = Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    scripted_store.instead = lambda request: refusal if is_signed(request) else None
    with scripted(scripted_server) as node:
        assert fetched(node, tmp_path) == DATA
        assert (is_fit(node), len(signed(scripted_server))) == (False, 1)
        assert fetched(node, tmp_path) == read(node) == DATA
        assert len(signed(scripted_server)) == 1


def test_who_may_not_read_by_either_is_told_and_it_stays(
    scripted_store: Scripted, scripted_server: AnswerServer, tmp_path: Path
) -> None:
    scripted_store.instead = lambda _: Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    with scripted(scripted_server) as node:
        with pytest.raises(StoragePermissionError, match="store:"):
            fetched(node, tmp_path)
        assert is_fit(node)
        scripted_store.instead = lambda _: None
        assert fetched(node, tmp_path) == DATA
        assert len(signed(scripted_server)) == 2


def _chunked(found: Answer) -> Answer:
    return found._replace(says_length=False)


def _ranged(told: str, skip: int = 0) -> Callable[[Answer], Answer]:
    def change(found: Answer) -> Answer:
        headers = [each for each in found.headers if each[0] != "Content-Range"]
        body = found.body[skip:]
        return Answer(206, body, (*headers, ("Content-Range", told)))

    return change


_STRANGE = {
    "no length": _chunked,
    "another range": _ranged(f"bytes 1-{SIZE - 1}/{SIZE}", 1),
    "no size": _ranged(f"bytes 0-{SIZE - 1}/*"),
    "a length of its own": _ranged(f"bytes 0-{SIZE - 1}/{SIZE}", 1),
    "no range": lambda found: Answer(206, found.body, found.headers[:2]),
    "not found out": lambda found: Answer(400),
}


@pytest.mark.parametrize("change", _STRANGE.values(), ids=_STRANGE)
@pytest.mark.parametrize("step", [read, fetched])
def test_strange_answers_are_left_to_obstore(
    scripted_store: Scripted,
    scripted_server: AnswerServer,
    tmp_path: Path,
    step: Callable[..., bytes],
    change: Callable[[Answer], Answer],
) -> None:
    scripted_store.instead = lambda each: (
        change(scripted_store.answer(each)) if is_signed(each) else None
    )
    with scripted(scripted_server) as node:
        for _ in range(2):
            assert step(*(node, tmp_path)[: step.__code__.co_argcount]) == DATA
        assert not is_fit(node)
    assert len(signed(scripted_server)) == 1


def test_a_server_that_always_sends_another_range(
    scripted_store: Scripted, scripted_server: AnswerServer, tmp_path: Path
) -> None:
    """Only the whole is right, by whichever client."""
    other = _ranged(f"bytes 1-{SIZE - 1}/{SIZE}", 1)
    scripted_store.instead = lambda each: (
        other(scripted_store.answer(each)) if "Range" in each.headers else None
    )
    with scripted(scripted_server) as node, contextlib.suppress(StorageError):
        assert fetched(node, tmp_path) == DATA


def test_metadata_beyond_ascii_are_not_ours(tmp_path: Path) -> None:
    """obstore refuses them as well: it is the SDK that takes them for what they are."""
    store = Scripted(DATA, ("x-amz-meta-name", "Köln".encode().decode("latin-1")))
    with AnswerServer(store) as server, scripted(server) as node:
        with pytest.raises(Unfit):
            engine_of(node).begin("k", SIZE)
        assert fetched(node, tmp_path) == read(node) == DATA
        assert is_fit(node)


def test_a_server_without_ranges_sends_the_whole_once(
    scripted_store: Scripted, scripted_server: AnswerServer, small_windows: None, tmp_path: Path
) -> None:
    scripted_store.instead = lambda each: Answer(200, DATA, scripted_store.answer(each).headers[:2])
    with scripted(scripted_server) as node:
        for _ in range(2):
            assert fetched(node, tmp_path) == read(node) == DATA
    assert len(scripted_server.requests) == 4


def test_an_empty_object_comes_where_signed_urls_are_refused(tmp_path: Path) -> None:
    def act(request: Request) -> Answer:
        if is_signed(request):
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        if "Range" in request.headers:
            return Answer(416, b"<Error><Code>InvalidRange</Code></Error>")
        return Answer(200, b"", Scripted().answer(request).headers[:2])

    with AnswerServer(act) as server, scripted(server) as node:
        assert fetched(node, tmp_path) == b""
        assert engine_of(node).begin("k", 1024).all() == b""


@pytest.mark.parametrize("status", [301, 302, 307])
def test_who_is_sent_elsewhere_takes_no_signature_along(tmp_path: Path, status: int) -> None:
    other = Scripted()
    with AnswerServer(other) as there:
        moved = Answer(status, b"", (("Location", f"{there.url}/scripted/d/a.bin"),))
        with AnswerServer(lambda _: moved) as server, scripted(server) as node:
            for step in (read, lambda each: fetched(each, tmp_path)):
                with contextlib.suppress(StorageError):
                    step(node)
            assert len(signed(server)) >= 1
        for each in there.requests:
            assert SIGNED not in each.path
            assert "Authorization" not in each.headers
            assert KEY not in f"{each.path}{each.headers}"


# -- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"anon": True, "key": None, "secret": None},
        {"proxy_url": "http://127.0.0.1:9"},
        {"default_headers": {"x-a": "b"}},
        {"server_side_encryption": "sse-c", "sse_customer_key_base64": "A" * 43 + "="},
        {"request_payer": True},
        {"http2_only": True},
        {"request_timeout": 60},
        {"pool_max_idle_per_host": 1},
    ],
    ids=lambda each: next(iter(each)),
)
def test_some_settings_are_for_obstore(more: dict[str, Any]) -> None:
    with mounted(at("http://127.0.0.1:9")) as node:
        assert is_fit(node)
    with mounted(at("http://127.0.0.1:9", **more)) as node:
        assert ranged_of(node) is None


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_for_obstore(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with mounted(at("http://127.0.0.1:8")) as node:
        assert ranged_of(node) is None
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with mounted(at("http://127.0.0.1:8")) as node:
        assert is_fit(node)


# -- whom it believes -------------------------------------------------------------------------


@pytest.fixture
def secure(scripted_store: Scripted, authority: Authority) -> Iterator[AnswerServer]:
    with AnswerServer(scripted_store, tls=authority.tls) as server:
        yield server


@pytest.mark.parametrize("only", [False, True])
def test_an_authority_of_the_mount_is_believed(
    secure: AnswerServer, authority: Authority, small_windows: None, tmp_path: Path, only: bool
) -> None:
    more = {"root_certificate": authority.pem, "disable_system_certificates": only}
    with scripted(secure, **more) as node:
        assert fetched(node, tmp_path) == DATA
        assert is_fit(node)
    assert signed(secure) == windows(0, 2, 4, 6, 8, 9)


def test_nobody_is_believed_without(secure: AnswerServer, tmp_path: Path) -> None:
    with scripted(secure) as node:
        with pytest.raises(StorageError) as usual:
            node.read_bytes()
        for step in (read, lambda each: fetched(each, tmp_path)):
            with pytest.raises(type(usual.value), match="certificate"):
                step(node)
    assert secure.requests == []


def test_everybody_is_believed_where_it_is_said(secure: AnswerServer, tmp_path: Path) -> None:
    with scripted(secure, allow_invalid_certificates=True) as node:
        assert fetched(node, tmp_path) == DATA
    assert signed(secure) == []  # urllib3 would warn at each of them


def test_a_server_that_speaks_no_tls(scripted_server: AnswerServer, tmp_path: Path) -> None:
    with (
        mounted(at(scripted_server.url.replace("http:", "https:"))) as node,
        pytest.raises(StorageError, match="store:"),
    ):
        fetched(node, tmp_path)
    assert scripted_server.requests == []
