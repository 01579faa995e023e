"""``compare``."""

from __future__ import annotations

import os

import pytest

from .conftest import files


@pytest.fixture
def copied(run, work):
    """The mount empty is a copy of docs, but for a file of each kind."""
    (work / "docs" / "new.txt").touch()
    assert run("cp", "docs:", "empty:").code == 0
    (work / "empty" / "new.txt").unlink()
    (work / "empty" / "a.txt").write_text("HELLO\n")
    os.utime(work / "docs" / "a.txt", (0, 0))
    (work / "empty" / "extra.txt").touch()
    return work


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], ["different a.txt", "extra extra.txt", "missing new.txt", "1 same, 1 different, 1 missing, 1 extra"]),
        (["--one-way"], ["different a.txt", "missing new.txt", "1 same, 1 different, 1 missing"]),
        (["--by", "size"], ["extra extra.txt", "missing new.txt", "2 same, 1 missing, 1 extra"]),
        (["--by", "mtime", "--include", "a*"], ["different a.txt", "0 same, 1 different"]),
        (["--quiet"], []),
    ],
)  # fmt: skip
def test_each_file_that_is_not_the_same_is_a_line(run, copied, options, lines):
    before = files(copied)
    done = run("compare", *options, "docs:", "empty:")
    assert (done.code, done.lines, done.err) == (1, lines, "")
    assert files(copied) == before


def test_what_is_the_same_is_exit_code_0(run, copied):
    for paths in (("docs:", "docs"), ("docs:sub", "empty/sub"), ("docs:sub/b.bin", "fixed:b.bin")):
        done = run("compare", *paths)
        assert (done.code, done.out) == (0, f"{done.out[0]} same\n")
    assert run("compare", "--exclude", "*.txt", "docs:", "empty:").code == 0


def test_two_files_are_named_by_the_first(run, copied):
    done = run("compare", "docs:a.txt", "empty:a.txt")
    assert (done.code, done.lines) == (1, ["different docs:a.txt", "0 same, 1 different"])


def test_what_cannot_be_compared_is_unknown_and_not_the_same(run, copied):
    (copied / "docs" / "link").symlink_to("nowhere")
    done = run("compare", "--include", "link", "docs:", "empty:")
    assert done.code == 1
    assert done.lines[0].startswith("unknown link (")
    assert done.lines[-1] == "0 same, 1 unknown"


def test_json_is_the_report(run, copied):
    done = run("compare", "--json", "--by", "size", "docs:", "empty:")
    assert done.code == 1
    assert done.json == {
        "ok": False,
        "counts": {"same": 2, "missing": 1, "extra": 1},
        "differences": [
            {"relpath": "extra.txt", "state": "extra", "reason": "only at the destination"},
            {"relpath": "new.txt", "state": "missing", "reason": "destination missing"},
        ],
    }


def test_digests_are_remembered(run, copied):
    os.utime(copied / "docs" / "sub" / "b.bin", (0, 0))
    for _ in range(2):
        assert run("compare", "--checksums", "d.db", "docs:sub", "empty:sub").code == 0
    assert (copied / "d.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["docs:nope", "empty:"], 4),
        (["--by", "luck", "docs:", "empty:"], 2),
        (["docs:"], 2),
        (["docs:", "docs:a.txt"], 1),
        (["nomount:", "docs:"], 4),
    ],
)
def test_errors_have_the_codes_that_they_have_elsewhere(run, work, arguments, code):
    done = run("compare", *arguments)
    assert (done.code, done.out) == (code, "")
    assert done.err
