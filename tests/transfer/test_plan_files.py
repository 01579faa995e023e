"""Plans that are written to a file, looked at, and carried out later."""

from __future__ import annotations

import io
import json
import os

import pytest

from genro_storage import CopyPlan, StorageManager
from genro_storage.exceptions import (
    StorageError,
    StorageExistsError,
    StoragePermissionError,
    StorageValueError,
)
from genro_storage.transfer import CompareFile
from tests.support.pools import Couriers
from tests.support.trees import content, fill
from tests.support.versioned import register_versioned

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


# -- the terms that it was made with, and what came since -----------------------------------------


def loaded(storage, text):
    return CopyPlan.load(io.StringIO(text), storage)


def test_a_plan_keeps_its_bound_of_deletions(storage):
    text = dumped(storage, max_delete=0)
    with pytest.raises(StorageError, match="max_delete allows to remove 0; nothing was removed"):
        loaded(storage, text).apply()
    assert storage.node("dst:out/own").exists
    assert loaded(storage, dumped(storage, max_delete=1)).apply().deleted == 1


def test_a_plan_that_replaces_nothing_still_replaces_nothing(storage):
    text = dumped(storage, "dst:new", skip="never", delete=False, if_absent=True)
    storage.node("dst:new/a.txt").write_text("precious")
    with pytest.raises(StorageExistsError, match=r"dst:new/a\.txt: "):
        loaded(storage, text).apply()
    assert storage.node("dst:new/a.txt").read_text() == "precious"


def test_a_plan_of_a_version_copies_that_version(storage):
    register_versioned()
    storage.configure([{"name": "old", "type": "versioned"}])
    node = storage.node("old:f.txt")
    node.write_text("old")
    version = node.versions[-1]["version_id"]
    node.write_text("new!!")
    stream = io.StringIO()
    storage.node("old:f.txt", version=version).plan_copy("dst:f.txt").dump(stream)
    loaded(storage, stream.getvalue()).apply()
    assert storage.node("dst:f.txt").read_text() == "old"


@pytest.mark.parametrize("kind", ["memory", "local", "zip"])
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}])
def test_a_file_that_came_after_the_plan_is_not_replaced(storage, tmp_path, kind, options):
    where = {
        "memory": {},
        "local": {"path": str(tmp_path)},
        "zip": {"file": str(tmp_path / "a.zip"), "mode": "a"},
    }[kind]
    storage.configure([{"name": "to", "type": kind, **where}])
    storage.node("to:out/a.txt").write_text("a")
    text = dumped(storage, "to:out", delete=False, skip="exists")
    storage.node("to:out/d/b.txt").write_text("came meanwhile")
    report = loaded(storage, text).apply(on_error="collect", **options)
    assert [each.relpath for each in report.failures] == ["d/b.txt"]
    assert isinstance(report.failures[0].error, StorageExistsError)
    assert "to:out/d/b.txt: came after the plan was made" in str(report.failures[0].error)
    assert content(storage.node("to:")._mount, "out") == {**TREE, "d/b.txt": b"came meanwhile"}


def test_nor_by_the_workers_of_a_pool(storage, tmp_path):
    mounts = [
        {"name": name, "type": "local", "path": str(tmp_path / name)} for name in ("near", "far")
    ]
    for each in mounts:
        os.mkdir(each["path"])
    (tmp_path / "mounts.json").write_text(json.dumps(mounts))
    storage.configure(tmp_path / "mounts.json")
    fill(storage.node("near:")._mount, "in", TREE)
    stream = io.StringIO()
    storage.node("near:in").plan_copy("far:out", skip="exists").dump(stream)
    storage.node("far:out/d/b.txt").write_text("came meanwhile")
    report = loaded(storage, stream.getvalue()).apply(executor=Couriers(), on_error="collect")
    assert [each.relpath for each in report.failures] == ["d/b.txt"]
    assert content(storage.node("far:")._mount, "out") == {**TREE, "d/b.txt": b"came meanwhile"}


def test_a_plan_that_never_looked_at_the_destination_replaces(storage):
    text = dumped(storage, skip="never", delete=False)
    assert loaded(storage, text).apply().copied == 3
    assert storage.node("dst:out/d/b.txt").read_text() == "bb"


def test_a_path_is_no_stream(storage, tmp_path):
    place = tmp_path / "plan.jsonl"
    with pytest.raises(TypeError, match=r"open text stream, not str: with open\(path, 'w'"):
        storage.node("src:").plan_copy("dst:out").dump(str(place))
    with pytest.raises(TypeError, match=r"not StorageNode: .* or node.open\('w'\)"):
        storage.node("src:").plan_copy("dst:out").dump(storage.node("dst:plan"))
    assert not storage.node("dst:plan").exists
    with pytest.raises(TypeError, match=r"open text stream, not PosixPath: with open\(path, enc"):
        CopyPlan.load(place, storage)
