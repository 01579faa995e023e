"""Plans that are written to a file, looked at, and carried out later."""

from __future__ import annotations

import io
import json

import pytest

from genro_storage import CopyPlan, StorageManager
from genro_storage.exceptions import StoragePermissionError, StorageValueError
from genro_storage.transfer import CompareFile
from tests.support.trees import content, fill

TREE = {"a.txt": b"a", "d/b.txt": b"bb", "d/e/c.txt": b"ccc"}


@pytest.fixture
def storage():
    with StorageManager() as manager:
        manager.configure(
            [
                {"name": "src", "type": "memory"},
                {"name": "dst", "type": "memory"},
                {"name": "fixed", "path": "dst:", "permissions": "readwrite"},
            ]
        )
        fill(manager.node("src:")._mount, "in", TREE)
        fill(manager.node("dst:")._mount, "out", {"a.txt": b"a", "d/b.txt": b"BB", "own": b"1"})
        yield manager


def dumped(storage, target="dst:out", **options):
    stream = io.StringIO()
    plan = storage.node("src:in").plan_copy(target, **{"skip": "hash", "delete": True, **options})
    count = plan.dump(stream)
    assert count == len(stream.getvalue().splitlines()) - 2  # a header and an end
    return stream.getvalue()


def test_a_plan_is_carried_out_as_it_was_written(storage):
    text = dumped(storage)
    fill(storage.node("src:")._mount, "in", {"later": b"not in the plan"})
    plan = CopyPlan.load(io.StringIO(text), storage)
    assert str(plan.summary()) == "2 to copy, 1 to skip (same content), 1 to delete"
    assert not any(isinstance(action, CompareFile) for action in plan)
    seen = []
    report = plan.apply(lambda *now: seen.append(now))
    assert str(report) == "2 copied, 1 skipped (same content), 1 deleted"
    assert content(storage.node("dst:")._mount, "out") == TREE
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_what_is_in_a_plan_can_be_taken_out_of_it(storage):
    lines = [json.loads(line) for line in dumped(storage).splitlines()]
    kept = [line for line in lines[1:-1] if line.get("relpath") != "own"]
    text = "\n".join(map(json.dumps, [lines[0], *kept, {"end": len(kept)}])) + "\n"
    report = CopyPlan.load(io.StringIO(text), storage).apply()
    assert (report.copied, report.deleted) == (2, 0)


def test_a_file_that_has_changed_since_is_copied_as_it_is_now(storage):
    text = dumped(storage)
    storage.node("src:in/d/b.txt").write_text("longer than it was")
    report = CopyPlan.load(io.StringIO(text), storage).apply()
    assert (report.copied, report.retried) == (2, 1)
    assert storage.node("dst:out/d/b.txt").read_text() == "longer than it was"


def test_a_plan_that_breaks_off_is_not_begun(storage):
    text = "\n".join(dumped(storage).splitlines()[:-1])
    with pytest.raises(StorageValueError, match="line"):
        CopyPlan.load(io.StringIO(text), storage)


def test_a_plan_needs_the_rights_that_its_actions_need(storage):
    text = dumped(storage).replace('"dst:out"', '"fixed:out"')
    with pytest.raises(StoragePermissionError, match="fixed:out"):
        CopyPlan.load(io.StringIO(text), storage)
    CopyPlan.load(io.StringIO(dumped(storage, delete=False).replace("dst:", "fixed:")), storage)
