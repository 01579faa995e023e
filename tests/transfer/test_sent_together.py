"""Small files of this machine that go to S3 one after the other, in one call of the backend."""

from __future__ import annotations

import collections
import contextlib
import gc
import hashlib
import itertools
import os
import threading
import weakref
from types import SimpleNamespace

import pytest

from genro_storage import StorageConnectionError, StorageError, StorageManager
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.object_stores import several
from genro_storage.info import Attributes
from genro_storage.mount import Mount
from genro_storage.transfer import Place, ThreadedExecutor, plan_copy
from genro_storage.transfer.execution import crew
from genro_storage.transfer.execution.execute import Transfer
from tests.services.answers import Answer, AnswerServer
from tests.services.proxy import Proxy, Refusal
from tests.support.together import noted_calls

pytestmark = pytest.mark.services

FILES = {f"d{number % 3}/f{number:03}.txt": b"%d" % number * 9 for number in range(120)}


@pytest.fixture(autouse=True)
def whole_portions(monkeypatch):
    """As where this process is busy, which a test cannot rely on."""
    monkeypatch.setattr(crew, "_SECONDS", 3600.0)


@pytest.fixture
def calls(monkeypatch):
    """How many files each call has sent, and of how many."""
    return noted_calls(monkeypatch)


@pytest.fixture
def stopped(monkeypatch):
    """An event that is set when the copy is given up."""
    found, stop = threading.Event(), Transfer.stop

    def noting(self):
        stop(self)
        found.set()

    monkeypatch.setattr(Transfer, "stop", noting)
    return found


def refusing(name, status, code):
    """A gate of the proxy that refuses this file each time."""

    def gate(asked):
        is_meant = asked.method == "PUT" and asked.path.endswith(f"/{name}")
        return Refusal(status, code) if is_meant else None

    return gate


@pytest.fixture
def place(moto_server, tmp_path):
    """``disk:tree``, an empty ``far:`` behind a proxy, and that proxy."""
    for number, (name, data) in enumerate(FILES.items()):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (10**9, 10**9 + number))
    with Proxy(moto_server.port) as proxy, StorageManager() as storage:
        far = {**moto_server.mount(), "endpoint_url": proxy.url, "retries": 2}
        storage.configure(
            [
                {"name": "far", **far},
                {"name": "once", "path": "far:once"},
                {"name": "disk", "type": "local", "path": str(tmp_path)},
            ]
        )
        yield storage, proxy


def sent(storage, target="far:to", *, threads=2, **options):
    plan = storage.node("disk:tree").plan_copy(target)
    return plan.apply(executor=ThreadedExecutor(threads), **options)


def below(node):
    """The files of a tree, by their names in it."""
    found = (each for each in node.rglob("*") if each.isfile)
    return {each.path[len(node.path) + 1 :]: each for each in found}


def contents(node):
    return {name: each.read_bytes() for name, each in below(node).items()}


def told(node):
    """What a look tells of each."""
    found = {}
    for name, each in below(node).items():
        descriptor = each.descriptor()
        found[name] = (
            descriptor.size,
            descriptor.mtime,
            descriptor.content_type,
            descriptor.metadata,
            descriptor.etag,
        )
    return found


def test_they_arrive_as_those_that_go_by_themselves(place, calls, monkeypatch):
    storage, proxy = place
    with proxy.counting() as asked:
        report = sent(storage)
    assert (report.copied, report.bytes_copied) == (120, sum(map(len, FILES.values())))
    operations = collections.Counter(each.operation for each in asked)
    assert operations.pop("PUT") == 120
    assert operations.total() <= 4  # a look and a page of each side, twice
    assert sum(count for count, _ in calls) > 80
    assert len(calls) < 30
    assert contents(storage.node("far:to")) == FILES
    calls.clear()
    monkeypatch.setattr(Transfer, "may_write_together", False)
    sent(storage, "far:other")
    assert calls == []
    assert told(storage.node("far:other")) == told(storage.node("far:to"))


def test_a_part_of_a_mount_is_where_they_go(place, calls):
    storage, _ = place
    sent(storage, "once:sub")
    assert calls
    assert contents(storage.node("far:once/sub")) == FILES


def test_what_is_there_is_replaced(place, calls):
    storage, _ = place
    for name in list(FILES)[::10]:
        storage.node(f"far:to/{name}").write_bytes(b"old")
    sent(storage)
    assert calls
    assert contents(storage.node("far:to")) == FILES


@pytest.mark.parametrize("status", [500, 503])
def test_a_retry_is_told_of_its_file_and_once(place, calls, status):
    storage, proxy = place
    shaky = {"d0/f030.txt", "d1/f100.txt", "d2/f119.txt"}
    met: set[str] = set()

    def gate(asked):
        name = asked.path.partition("/to/")[2]
        if asked.method != "PUT" or name not in shaky or name in met:
            return None
        met.add(name)
        return Refusal(status, "SlowDown")

    proxy.gate = gate
    report = sent(storage)
    assert (report.copied, met) == (120, shaky)
    assert sorted(each.relpath for each in report.retries) == sorted(shaky)
    assert all(of == count for count, of in calls)
    proxy.gate = None
    assert contents(storage.node("far:to")) == FILES


@pytest.mark.parametrize("retries", [0, 2])
def test_one_whose_server_fails_for_good_is_tried_as_often_as_by_itself(
    place, calls, retries, monkeypatch
):
    storage, proxy = place
    monkeypatch.setattr("genro_storage.transfer.execution.attempting._PAUSE", 0.001)

    proxy.gate = refusing("d1/f100.txt", 503, "SlowDown")
    told = []
    for may in (True, False):
        if not may:
            monkeypatch.setattr(Transfer, "may_write_together", False)
        with proxy.counting() as asked:
            report = sent(storage, f"far:to{may}", on_error="collect", retries=retries)
        assert report.copied == 119
        (failure,) = report.failures
        tries = sum(each.path.endswith("/d1/f100.txt") for each in asked)
        told.append((tries, [str(each) for each in (failure, *report.retries)]))
    assert told[0][0] == told[1][0]
    assert told[0][1] == [each.replace("toFalse", "toTrue") for each in told[1][1]]
    assert len(told[0][1]) > 3 * retries
    assert calls


def test_one_that_is_refused_is_told_and_the_others_arrive(place, calls):
    storage, proxy = place

    proxy.gate = refusing("d1/f100.txt", 403, "AccessDenied")
    with proxy.counting() as asked:
        report = sent(storage, on_error="collect")
    assert (report.copied, report.retried) == (119, 0)
    assert len([each for each in asked if each.operation == "PUT"]) == 120  # each once
    (failure,) = report.failures
    assert str(failure.error).startswith("far:to/d1/f100.txt: ")
    assert calls


@pytest.mark.parametrize("options", [{"verify": "size"}, {"reporter": print}], ids=str)
def test_where_more_is_wanted_of_each_they_go_by_themselves(place, calls, options, capsys):
    storage, _ = place
    assert sent(storage, **options).copied == 120
    assert calls == []
    assert capsys.readouterr().err == ""


def test_what_came_meanwhile_is_not_replaced_where_it_must_not_be(place, calls):
    storage, _ = place
    plan = storage.node("disk:tree").plan_copy("far:to", if_absent=True)
    storage.node("far:to/d1/f100.txt").write_bytes(b"another writer's")
    report = plan.apply(executor=ThreadedExecutor(2), on_error="collect")
    assert (report.copied, [each.relpath for each in report.failures]) == (119, ["d1/f100.txt"])
    assert calls == []
    assert storage.node("far:to/d1/f100.txt").read_bytes() == b"another writer's"


def test_names_that_only_the_sdk_can_write_go_by_themselves(place, tmp_path, calls):
    storage, _ = place
    (tmp_path / "tree/d0/tab\tin it").write_bytes(b"awkward")
    (tmp_path / "tree/d0/empty").touch()
    (tmp_path / "tree/d0/large").write_bytes(bytes(100_000))
    report = sent(storage)
    assert (report.copied, report.failures) == (123, ())
    assert storage.node("far:to/d0/tab\tin it").read_bytes() == b"awkward"
    assert storage.node("far:to/d0/large").read_bytes() == bytes(100_000)
    assert calls


def test_when_the_copy_is_given_up_nothing_more_is_sent(place, calls, monkeypatch, stopped):
    storage, proxy = place
    transfers = []
    arrived = several.put_each

    def late(engine, files, is_stored, told):
        def counted(size):
            if transfers:
                return told(size)
            transfers.append(size)
            assert stopped.wait(30)
            return told(size)

        arrived(engine, files, is_stored, counted)

    monkeypatch.setattr("genro_storage.backends.s3.fast.put_each", late)
    proxy.gate = refusing("d2/f119.txt", 403, "AccessDenied")
    (storage.node("disk:tree") / "d0").delete()
    with pytest.raises(Exception, match=r"f119\.txt") as caught:
        sent(storage)
    there = len(below(storage.node("far:to")))
    assert f"{there} copied, 0 skipped, 1 failed" in caught.value.__notes__[-1]
    assert 0 < there < 80


def test_one_whose_answer_is_lost_while_the_copy_is_given_up_is_told(place, calls, stopped):
    storage, proxy = place
    begun = threading.Event()

    def gate(asked):
        if asked.method == "PUT" and asked.path.endswith("/d0/f090.txt"):
            begun.set()
            assert stopped.wait(30)
            return Refusal(500, "InternalError")
        if asked.method == "PUT" and asked.path.endswith("/d2/f119.txt"):
            assert begun.wait(30)
            return Refusal(403, "AccessDenied")
        return None

    proxy.gate = gate
    with pytest.raises(StorageError, match=r"f119\.txt") as caught:
        sent(storage)
    there = len(below(storage.node("far:to")))
    assert f"{there} copied, 0 skipped, 2 retried, 2 failed" in caught.value.__notes__[-1]


def held(error):
    """The contents that the tracebacks of an error and of what has led to it hold."""
    known, found, errors = set(FILES.values()), set(), [error]
    while errors:
        each = errors.pop()
        errors += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
        trace = each.__traceback__
        while trace is not None:
            todo = list(trace.tb_frame.f_locals.values())
            while todo:
                value = todo.pop()
                if isinstance(value, bytes) and value in known:
                    found.add(value)
                elif isinstance(value, list | tuple):
                    todo += value
            trace = trace.tb_next
    return found


def test_a_failure_holds_one_content_and_goes_with_the_report(place, calls):
    storage, proxy = place

    proxy.gate = refusing("d1/f100.txt", 403, "AccessDenied")
    gc.disable()
    try:
        report = sent(storage, on_error="collect", retries=0)
        assert any(count != of for count, of in calls)
        assert held(report.failures[0].error) == {FILES["d1/f100.txt"]}
        left = weakref.ref(report.failures[0].error)
        del report
        assert left() is None  # though nothing has looked for circles
    finally:
        gc.enable()


def test_another_attempt_sends_the_file_as_it_is_by_then(place, calls, tmp_path, monkeypatch):
    monkeypatch.setattr("genro_storage.transfer.execution.attempting._PAUSE", 0.001)
    storage, proxy = place
    tries = itertools.count()

    def gate(asked):
        if asked.method != "PUT" or not asked.path.endswith("/d1/f100.txt"):
            return None
        if next(tries) > 2:  # those of the first attempt
            return None
        (tmp_path / "tree/d1/f100.txt").write_bytes(b"x" * len(FILES["d1/f100.txt"]))
        return Refusal(503, "SlowDown")

    proxy.gate = gate
    report = sent(storage)
    assert (report.copied, report.retried) == (120, 3)
    assert storage.node("far:to/d1/f100.txt").read_bytes() == b"x" * len(FILES["d1/f100.txt"])


# -- what is no bucket, or has ETags of its own ----------------------------------------------------


def in_a_thread(mount, files):
    """The sizes of those that have arrived; not by the main thread, which makes none."""
    arrived: list[int] = []

    def run():
        with contextlib.suppress(StorageConnectionError):  # a closer look at what is no store
            mount.write_together("to", files, lambda size: arrived.append(size) is None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return arrived


@pytest.fixture
def bucket():
    """A function that makes a mount of what a server answers."""
    with contextlib.ExitStack() as stack:

        def make(answer):
            server = stack.enter_context(AnswerServer(answer))
            storage = stack.enter_context(StorageManager())
            storage.add_mount(
                {
                    "name": "up", "type": "s3", "bucket": "uploads", "endpoint_url": server.url,
                    "key": "AK", "secret": "s", "retries": 0, "timeout": 5,
                }
            )  # fmt: skip
            return storage.node("up:")._mount

        yield make


def test_a_look_at_what_was_stored_that_fails_is_a_retry(bucket, tmp_path):
    kept, looks = {}, []

    def answer(request):
        name = request.path.partition("?")[0]
        if request.method == "PUT":
            kept[name] = request.body
        elif name not in kept:
            return Answer(404)
        else:
            looks.append(name)
            if len(looks) == 1:
                return Answer(503)
        date = ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        odd = "other-" if name.endswith("/f5") and not looks else ""
        etag = odd + hashlib.md5(kept[name]).hexdigest()
        body = b"" if request.method == "PUT" else kept[name]
        return Answer(200, body, (("ETag", f'"{etag}"'), date))

    files = {f"f{number}": b"%d" % number for number in range(60)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    target = bucket(answer)
    plan = plan_copy(Place(Mount("src", LocalBackend(tmp_path)), ""), Place(target, "to"))
    report = plan.apply(executor=ThreadedExecutor(2))
    assert {name.rpartition("/")[2]: data for name, data in kept.items()} == files
    assert [each.relpath for each in report.retries] == ["f5"] * len(report.retries)
    assert (report.copied, report.retried) == (60, 1)


def test_where_obstore_can_nothing_no_store_is_made():
    """As in a process that was forked, where making one would already be too much."""
    engine = SimpleNamespace(can=lambda _: False)
    found = []

    def run():
        found.append(several.read_each(engine, ["a"]))
        put = several.SmallPut("a", b"1", {}, '""')
        found.append(several.put_each(engine, [put], bool, bool))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None, None]


@pytest.mark.parametrize("how", ["no ETag", "another, and nothing there"])
def test_what_may_be_there_is_told_though_the_copy_is_given_up(
    bucket, tmp_path, calls, stopped, how
):
    kept, begun = {}, threading.Event()

    def answer(request):
        name = request.path.partition("?")[0].rpartition("/")[2]
        date = ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        if request.method != "PUT":
            return Answer(404)
        if name == "f59":
            assert begun.wait(30)
            return Answer(403)
        is_first = name not in kept
        kept[name] = request.body
        etag = ("ETag", f'"{hashlib.md5(request.body).hexdigest()}"')
        if name == "f40" and is_first:
            begun.set()
            assert stopped.wait(30)
            return Answer(200, b"", (date,) if how == "no ETag" else (("ETag", '"odd"'), date))
        return Answer(200, b"", (etag, date))

    for number in range(60):
        (tmp_path / f"f{number:02}").write_bytes(b"%d" % number)
    plan = plan_copy(Place(Mount("src", LocalBackend(tmp_path)), ""), Place(bucket(answer), "to"))
    with pytest.raises(StorageError, match="f59") as caught:
        plan.apply(executor=ThreadedExecutor(2))
    assert any(count != of for count, of in calls)
    assert "f40" in kept
    assert f"{len(kept)} copied, 0 skipped, 1 failed" in caught.value.__notes__[-1]


SMALL = [(name, name.encode(), Attributes()) for name in ("a", "b", "c")]


def test_a_server_that_takes_everything_and_is_none_has_taken_nothing(bucket):
    asked: list[str] = []

    def framework(request):
        asked.append(request.path)
        return Answer(200, b"<html>Welcome!</html>", (("ETag", 'W/"22-x"'),))

    assert in_a_thread(bucket(framework), SMALL) == []
    assert asked[0].startswith("/uploads/to/a")
    assert not any("/to/b" in path for path in asked)


def test_etags_of_another_kind_are_asked_about_once(bucket):
    kept, looks = {}, []

    def answer(request):
        name = request.path.partition("?")[0]
        if request.method == "PUT":
            kept[name] = request.body
        elif name not in kept:
            return Answer(404)
        else:
            looks.append(name)
        body = b"" if request.method == "PUT" else kept[name]
        date = ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        return Answer(200, body, (("ETag", f'"other-{len(kept[name])}"'), date))

    mount = bucket(answer)
    mount.write_together("to", SMALL, bool)
    assert kept == {}  # the main thread must be interruptible
    assert in_a_thread(mount, SMALL) == [1]
    assert in_a_thread(mount, SMALL) == []  # the SDK makes the uploads from now on
    assert set(looks) == {"/uploads/to/a"}
