"""A copy that is given up says what nobody waited for, and begins nothing more."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from genro_storage import StorageManager
from genro_storage.mount import Mount
from genro_storage.transfer import CopyFile, Done, Place, Transfer, plan_copy
from genro_storage.transfer.execution import crew, pools
from tests.support.trees import Streaming, content, fill

FILES = {f"f{number:02}": b"x" for number in range(40)}


class Held(Streaming):
    """The first file is not written before somebody lets it be, and no other before it is begun.

    It is the first of whatever its thread is given, and so waits for none of the others.
    """

    def __init__(self):
        super().__init__()
        self.let, self.has_begun = threading.Event(), threading.Event()
        self.in_time = True

    def write_bytes(self, path, data, **options):
        if path == "out/f00":
            self.has_begun.set()
            self.in_time &= self.let.wait(60)
        # What is raised here would be one file's failure.
        self.in_time &= self.has_begun.wait(30)
        return super().write_bytes(path, data, **options)


@pytest.fixture
def impatient(monkeypatch):
    for module in (crew, pools):
        monkeypatch.setattr(module, "GOODBYE", 0.05)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("pooled", [False, True])
def test_what_is_still_under_way_is_named(impatient, raised, pooled):
    source, target = Mount("src", Streaming()), Mount("dst", Held())
    fill(source, "", FILES)

    def give_up(_):
        raise raised("enough")

    before = set(threading.enumerate())
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(4)) if pooled else None
        with pytest.raises(raised, match="enough") as caught:
            plan_copy(Place(source, ""), Place(target, "out")).apply(
                on_file=give_up, executor=pool, concurrency=4
            )
        notes = caught.value.__notes__
        there = content(target, "out")
        target.backend.let.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert target.backend.in_time
    named = notes[-1].partition("may still arrive: dst:out/")[2].split(", dst:out/")
    assert "f00" in named  # a busy machine may be at others still
    assert content(target, "out") == {**there, **dict.fromkeys(named, b"x")}  # nothing else began


def test_nothing_is_said_where_all_has_ended(impatient):
    source, target = Mount("src", Streaming()), Mount("dst", Streaming())
    fill(source, "", {"a": b"1", "b": b"2"})

    def give_up(_):
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough") as caught:
        plan_copy(Place(source, ""), Place(target, "out")).apply(on_file=give_up, concurrency=2)
    assert "may still arrive" not in str(caught.value.__notes__)


class Elsewhere(Executor):
    """Carries out the first shard when the second is there, which it is for ever at."""

    def __init__(self):
        self.first = None

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_running_or_notify_cancel()
        if self.first is None:
            self.first = future, args
        else:
            first, given = self.first
            first.set_result(fn(*given))
        return future


def test_the_files_of_a_shard_that_a_worker_has_begun_are_named(tmp_path):
    mounts = [{"name": name, "type": "local", "path": str(tmp_path / name)} for name in ("a", "b")]
    for each in mounts:
        os.mkdir(each["path"])
    (tmp_path / "mounts.json").write_text(json.dumps(mounts))

    def give_up(_):
        raise ValueError("enough")

    with StorageManager() as storage:
        storage.configure(tmp_path / "mounts.json")
        fill(storage.node("a:")._mount, "", FILES)
        with pytest.raises(ValueError, match="enough") as caught:
            storage.node("a:").plan_copy("b:out").apply(on_file=give_up, executor=Elsewhere())
    named = caught.value.__notes__[-1].partition("may still arrive: ")[2]
    assert named == ", ".join(f"b:out/{each}" for each in sorted(FILES)[31:])


def test_what_was_done_of_a_portion_is_told_though_nobody_waits_for_its_thread():
    source, target = Mount("src", Streaming()), Mount("dst", Streaming())
    fill(source, "", dict.fromkeys("abc", b"1"))
    transfer = Transfer(Place(source, ""), Place(target, ""))
    team, asked = crew.Crew(2, transfer), []

    def attempt(action, begun):
        assert begun is None
        asked.append(action)
        if len(asked) == 3:
            assert [done.action.relpath for done in team.leftovers()] == ["a", "b"]
        return Done(action, None)

    transfer.attempt = attempt
    actions = [CopyFile(info.path, info, None, "missing") for info in source.find("")]
    team._carry_out(crew._Task(actions))
    assert len(asked) == 3
    assert [done.action.relpath for done in team.leftovers()] == ["c"]
    assert list(team.leftovers()) == []
