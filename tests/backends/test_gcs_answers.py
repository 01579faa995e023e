"""What a server in the place of Google Cloud Storage may answer, and must not be believed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from genro_storage import StorageManager
from genro_storage.exceptions import StorageConnectionError, StorageIOError
from tests.services.answers import Answer, AnswerServer
from tests.services.interrupted import within

pytestmark = pytest.mark.slow

_MIB = 1024 * 1024
_DATA = bytes(range(256)) * (10 * _MIB // 256) + b"the end"


@contextlib.contextmanager
def _service(answer, **options):
    """A mount of a bucket that answers so, and the requests that it has had."""
    with AnswerServer(answer) as server, StorageManager() as manager:
        manager.add_mount({
            "name": "g", "type": "gcs", "bucket": "bucket", "anon": True, "retries": 0,
            "endpoint_url": server.url, **options,
        })  # fmt: skip
        yield manager.node("g:a"), server


def _asked(request):
    return parse_qs(urlsplit(request.path).query, keep_blank_values=True)


# -- reading ----------------------------------------------------------------------------------


def _whole(request):
    return Answer(200, _DATA, says_length=False)


def test_an_answer_of_unsaid_length_is_read_to_its_end(tmp_path):
    with _service(_whole) as (node, _):
        mount = node._mount
        assert node.read_bytes() == _DATA
        assert mount.read_bytes("a", 0, 10) == _DATA[:10]
        assert mount.read_bytes("a", _MIB) == _DATA[_MIB:]
        assert mount.read_bytes("a", len(_DATA) - 3, len(_DATA) + 9) == b"end"
        assert mount.read_bytes("a", len(_DATA) + 5) == b""
        mount.download("a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == _DATA
        # It is opened with the first of several requests, which must know how many come.
        with node.open("rb") as stream:
            assert stream.read() == _DATA
            assert stream.seek(-3, 2) == len(_DATA) - 3
            assert stream.read() == b"end"


def _part(request, where="{start}-{last}/{size}"):
    first, last = request.headers["Range"].removeprefix("bytes=").split("-")
    start, end = int(first), min(int(last) + 1, len(_DATA))
    said = where.format(start=start, last=end - 1, size=len(_DATA))
    return Answer(206, _DATA[start:end], (("Content-Range", f"bytes {said}"),))


def test_a_service_that_names_no_content_is_not_asked_for_one():
    with _service(_part) as (node, server):
        with node.open("rb") as stream:
            assert stream.read() == _DATA
        assert len(server.requests) > 1
        assert not any("generation" in _asked(each) for each in server.requests)


@pytest.mark.parametrize(
    "where", ["{start}-{last}/*", "{start}-{last}", "7-{last}/{size}", "*/{size}", ""]
)
def test_a_part_that_does_not_say_which_it_is_is_refused(where):
    """It would be cut off without an error, or stand in another's place."""
    with (
        _service(lambda request: _part(request, where)) as (node, _),
        pytest.raises(StorageConnectionError, match=r"g:a.*'endpoint_url'"),
    ):
        node.read_bytes()


def test_an_answer_that_ends_early_is_not_the_whole():
    def answer(request):
        found = _part(request)
        return found._replace(body=found.body[:-1])

    with _service(answer) as (node, _), pytest.raises(StorageConnectionError, match="too early"):
        node.read_bytes()


def _from(request, start, where=None, **more):
    """All from there on, as who copies a large file asks for; or a part that is asked for."""
    first, last = request.headers["Range"].removeprefix("bytes=").split("-")
    begin, end = int(first), min(int(last or len(_DATA)) + 1, len(_DATA))
    if not last:
        begin = begin if start is None else start
    said = f"bytes {begin}-{end - 1}/{len(_DATA)}" if where is None or last else where
    headers = (("Content-Range", said), ("X-Goog-Generation", "1"))
    return Answer(206, _DATA[begin:end], headers, **more)


def _read_whole(answer, **options):
    """What who wants all of the file has of such a service, and what it was asked for."""
    with (
        _service(answer, engine="fsspec", **options) as (node, server),
        node._mount.open_whole("a") as stream,
    ):
        return stream.read(), [each.headers["Range"] for each in server.requests]


@pytest.mark.parametrize(
    ("start", "where"),
    [
        (7, None),
        (0, f"bytes 0-99/{len(_DATA)}"),
        (0, f"bytes 7-{len(_DATA) - 1}/{len(_DATA)}"),
        (0, f"*/{len(_DATA)}"),
    ],
)
def test_an_answer_with_another_part_is_not_gone_on_with(start, where):
    """Whoever wants all has it in pieces then, each of which says where it is."""
    data, asked = _read_whole(lambda request: _from(request, start, where))
    assert data == _DATA
    assert asked[:2] == ["bytes=0-", f"bytes=0-{4 * _MIB - 1}"]


def test_an_answer_of_unsaid_length_that_ends_early_goes_on_where_it_was():
    cut = 3 * _MIB

    def answer(request):
        found = _from(request, None, says_length=False)
        return found._replace(body=found.body[:cut])

    data, asked = _read_whole(answer, retries=1)
    assert data == _DATA
    rest = range(cut, len(_DATA), cut)
    assert asked == ["bytes=0-", *(f"bytes={at}-{len(_DATA) - 1}" for at in rest)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"a"'])
@pytest.mark.parametrize(
    "step",
    [
        lambda node: node.stat(),
        lambda node: list(node.iterdir()),
        lambda node: node.write_bytes(b"x"),
        lambda node: node._mount.copy("a", node._mount, "b"),
    ],
    ids=["stat", "listing", "write", "copy"],
)
def test_what_is_no_object_is_no_answer(step, body):
    """A page of some proxy is neither a file, nor an empty directory, nor a write that worked."""
    with (
        _service(lambda _: Answer(200, body)) as (node, _),
        pytest.raises(StorageConnectionError, match="'endpoint_url'"),
    ):
        step(node)


# -- large uploads ----------------------------------------------------------------------------

_LARGE = 40 * _MIB
_PIECE = 16 * _MIB


@pytest.fixture(autouse=True)
def _short_pieces(monkeypatch):
    monkeypatch.setattr("genro_storage.backends.gcs.client.UPLOAD_PIECE", _PIECE)


def _uploads(*answers):
    """A service that answers the pieces of an upload so, one after the other."""

    left = iter(answers)

    def answer(request):
        if request.method == "POST":
            host = request.headers["Host"]
            return Answer(200, b"", (("Location", f"http://{host}/session"),))
        return Answer(204) if request.method == "DELETE" else next(left)

    return answer


def _kept(count):
    return Answer(308, b"", (("Range", f"bytes=0-{count - 1}"),) if count else ())


def _methods(server):
    return [each.method for each in server.requests]


@pytest.mark.parametrize(
    ("answers", "tried"),
    [
        ([_kept(0)] * 9, 2),
        ([_kept(_PIECE)] * 9, 3),
        ([_kept(_PIECE), *[_kept(1)] * 9], 3),
        ([Answer(308, b"", (("Range", "what?"),))] * 9, 2),
    ],
    ids=["nothing", "nothing more", "less than before", "no number"],
)
def test_an_upload_of_which_nothing_is_kept_is_given_up(answers, tried):
    with _service(_uploads(*answers), retries=1) as (node, server):
        with pytest.raises(StorageConnectionError, match="keeps nothing"), within(30):
            node.write_bytes(bytes(_LARGE))
        assert _methods(server) == ["POST", *["PUT"] * tried, "DELETE"]


@pytest.mark.parametrize(
    "answer",
    [
        _kept(_PIECE + 1),
        _kept(_LARGE),
        Answer(200, b"{}"),
        Answer(200, b'{"md5Hash": null}'),
    ],
    ids=["more", "all", "finished", "finished, with a digest"],
)
def test_an_upload_that_has_more_than_was_sent_is_no_success(answer):
    with _service(_uploads(answer)) as (node, server):
        with pytest.raises(StorageConnectionError, match=r"g:a.*'endpoint_url'"):
            node.write_bytes(bytes(_LARGE))
        assert _methods(server) == ["POST", "PUT", "DELETE"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_an_upload_whose_end_is_answered_by_something_else_is_no_success(body):
    answers = [_kept(_PIECE), _kept(2 * _PIECE), Answer(200, body)]
    with _service(_uploads(*answers)) as (node, server):
        with pytest.raises(StorageConnectionError, match=r"g:a.*'endpoint_url'"):
            node.write_bytes(bytes(_LARGE))
        assert _methods(server) == ["POST", *["PUT"] * 3, "DELETE"]


def test_an_upload_that_was_sent_whole_and_kept_otherwise_is_no_success():
    answers = [_kept(_PIECE), _kept(2 * _PIECE), Answer(200, b'{"md5Hash": "AAAA"}')]
    with (
        _service(_uploads(*answers)) as (node, _),
        pytest.raises(StorageIOError, match="damaged"),
    ):
        node.write_bytes(bytes(_LARGE))


def test_a_file_that_shrinks_while_it_is_sent_is_no_failure_of_the_network(tmp_path):
    """And so nothing that is tried again."""
    local = tmp_path / "a"
    local.write_bytes(bytes(_LARGE))
    kept = _uploads(_kept(_PIECE), _kept(2 * _PIECE))

    def answer(request):
        if request.method == "PUT":
            os.truncate(local, _PIECE + _MIB)
        return kept(request)

    with _service(answer, retries=3) as (node, server):
        with pytest.raises(StorageIOError, match="the local file was changed while"):
            node._mount.upload(local, "a")
        # The second piece never comes whole.
        assert _methods(server) == ["POST", "PUT", "DELETE"]


@pytest.mark.parametrize("body", [b"mine", b"another's"])
@pytest.mark.parametrize("mode", ["wb", "xb"])
def test_an_upload_that_is_forgotten_with_its_last_piece_may_have_arrived(body, mode):
    """The answer to that piece was lost, and it was sent again: an emulator knows it no more."""
    data = body.ljust(_LARGE)
    mine = base64.b64encode(hashlib.md5(b"mine".ljust(_LARGE)).digest()).decode()
    pieces = _uploads(_kept(_PIECE), _kept(2 * _PIECE), Answer(404), Answer(404))

    def answer(request):
        if request.method != "GET":
            return pieces(request)
        seen = json.dumps({"md5Hash": mine}).encode()
        return Answer(200, seen) if "fields=md5Hash" in request.path else Answer(404)

    with _service(answer, retries=1) as (node, server):
        if mode == "wb" and body == b"mine":
            node.write_bytes(data)
        else:  # others cannot be told from who wanted to be the first
            with pytest.raises(StorageIOError, match="lost the upload"), node.open(mode) as stream:
                stream.write(data)
        assert [each.method for each in server.requests].count("PUT") == 3


# -- copies -----------------------------------------------------------------------------------


def _rewrites(*answers):
    left = iter(answers)

    def answer(request):
        found = {"name": "a", "size": "9"} if request.method == "GET" else next(left)
        return Answer(200, json.dumps(found).encode())

    return answer


def _rewritten(server):
    return [each for each in server.requests if each.method == "POST"]


def _state(copied, token="t", done=False):
    return {"done": done, "totalBytesRewritten": str(copied), "rewriteToken": token}


def _copy(node):
    node._mount.copy("a", node._mount, "b")


def test_a_copy_goes_on_until_it_is_done():
    answers = [_state(1, "one"), _state(1, "two"), _state(2, "three"), _state(3, None, done=True)]
    with _service(_rewrites(*answers)) as (node, server):
        _copy(node)
        tokens = [_asked(each).get("rewriteToken") for each in _rewritten(server)]
        assert tokens == [None, ["one"], ["two"], ["three"]]


@pytest.mark.parametrize(
    "answers",
    [[_state(5)] * 25, [{"rewriteToken": "t"}] * 25, [_state(5), *[_state(6)] * 25]],
)
def test_a_copy_that_does_not_go_on_is_an_error(answers):
    with _service(_rewrites(*answers), timeout=1.5) as (node, server):
        with pytest.raises(StorageIOError, match="does not go on"), within(30):
            _copy(node)
        assert 2 < len(_rewritten(server)) < 20, "it looks now and then"


def test_an_object_without_a_name_is_none():
    with (
        _service(lambda _: Answer(200, b"{}")) as (node, _),
        pytest.raises(StorageConnectionError, match="'endpoint_url'"),
    ):
        node.stat()


@pytest.mark.parametrize("answer", [_state(5, None), _state(5, ""), {"done": False}, {}])
def test_a_copy_that_is_not_said_to_be_done_is_not(answer):
    with _service(_rewrites(answer)) as (node, server):
        with pytest.raises(StorageIOError, match="does not go on"):
            _copy(node)
        assert len(_rewritten(server)) == 1
