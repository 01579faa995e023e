"""``mv``."""

from __future__ import annotations

import pytest

from .conftest import files


def test_a_root_that_cannot_be_moved_keeps_no_name_from_others(run, work, two_roots):
    done = run("mv", "one:", "two:f", "empty:x")
    assert done.code == 5
    assert done.err == "error: one: the root of a mount cannot be moved; copy it instead\n"
    assert files(work / "empty") == {"x/f": b"two"}


def test_mv_to_content_paths_says_where_the_content_is_now(run, work):
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: text, type: base64}\n")
    done = run("mv", "docs:a.txt", "text:")
    assert (done.code, done.out) == (0, "docs:a.txt is at text:aGVsbG8K now\n")
    assert run("cat", "text:aGVsbG8K").out == "hello\n"


def test_nothing_is_moved_into_memory_that_ends_with_the_program(run, work):
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: box, type: zip, file: 'memory:box.zip'}\n")
    for dest in ("memory:b.txt", "memory:", "box:b.txt"):
        done = run("mv", "docs/a.txt", dest)
        assert done.code == 5
        assert "is kept in memory, and gone when this command ends" in done.err
        assert (work / "docs" / "a.txt").read_text() == "hello\n"


@pytest.mark.parametrize("dest", ["empty:b.txt", "empty/b.txt"])
def test_mv_moves(run, work, dest):
    done = run("mv", "--json", "docs/a.txt", dest)
    assert done.json == {"moved": [{"source": "docs/a.txt", "target": dest}]}
    assert not (work / "docs" / "a.txt").exists()


def test_mv_goes_inside_as_cp_does(run, work):
    assert run("mv", "docs:a.txt", "docs:sub", "empty:in").code == 0
    assert set(files(work / "empty")) == {"in/a.txt", "in/sub/b.bin"}
    assert files(work / "docs") == {}


def test_mv_goes_on_after_a_failure(run, work):
    done = run("mv", "fixed:b.bin", "docs:a.txt", "empty:in")
    assert done.code == 5
    assert set(files(work / "empty")) == {"in/a.txt"}


def test_mv_onto_itself_loses_nothing(run, work):
    assert run("mv", "docs:a.txt", "./docs/a.txt").code == 0
    assert (work / "docs" / "a.txt").read_text() == "hello\n"
