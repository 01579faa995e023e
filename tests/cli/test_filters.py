"""The options that choose files of a directory, in each command that has them."""

from __future__ import annotations

import os
import time

import pytest

from .conftest import files


@pytest.fixture
def many(work):
    """The mount docs with files of several sizes, ages and names."""
    for name, size, age in (
        ("old.log", 10, 10 * 86400),
        ("keep.log", 10, 60),
        ("build/out.o", 10, 60),
        ("large.iso", 5000, 60),
    ):
        path = work / "docs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - age,) * 2)
    (work / "ignore").write_text("# lines\n*.log\nbuild/\n")
    return work


BASE = {"a.txt", "sub/b.bin"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--pattern", "*.log"], BASE | {"build/out.o", "large.iso"}),
        (["--pattern", "*.log", "--pattern", "!keep.log"], {*BASE, "build/out.o", "large.iso", "keep.log"}),
        (["--filter-from", "ignore"], BASE | {"large.iso"}),
        (["--pattern", "!keep.log", "--filter-from", "ignore"], BASE | {"large.iso", "keep.log"}),
        (["--min-size", "2K"], {"sub/b.bin", "large.iso"}),
        (["--min-size", "2049", "--max-size", "10MB"], {"large.iso"}),
        (["--max-size", "9"], {"a.txt"}),
        (["--min-age", "7d"], {"old.log"}),
        (["--max-age", "1h", "--pattern", "build"], BASE | {"large.iso", "keep.log"}),
        (["--include", "*.log", "--exclude", "old*", "--min-age", "30"], {"keep.log"}),
    ],
)  # fmt: skip
def test_chosen_files(run, many, options, expected):
    assert run("cp", *options, "docs:", "empty:cp").code == 0
    assert set(files(many / "empty" / "cp")) == expected
    assert run("sync", *options, "docs:", "empty:sync").code == 0
    assert set(files(many / "empty" / "sync")) == expected
    found = run("compare", *options, "docs:", "empty:nothing").lines
    assert {line.removeprefix("missing ") for line in found[:-1]} == expected


@pytest.mark.parametrize("command", ["cp", "sync", "compare"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-size", "big"], "expected a number of bytes, or a size such as 10K or 1.5GiB, got"),
        (["--max-size", "-1"], "expected a number of bytes"),
        (["--min-size", "2K", "--max-size", "1K"], "it is more than --max-size"),
        (["--min-age", "2d", "--max-age", "1d"], "it is more than --max-age"),
        (["--max-age", "soon"], "expected a number of seconds, or a duration"),
        (["--filter-from", "nope"], "nope: No such file or directory; name a local file of lines"),
        (["--filter-from", "docs"], "docs: Is a directory"),
        (["--filter-from", "-"], "a file of that name is written ./-"),
        (["--pattern", "a\\"], "which is no pattern"),
    ],
)
def test_what_cannot_be_is_wrong_usage(run, work, command, options, said):
    done = run(command, *options, "docs:", "empty:")
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert files(work / "empty") == {}


def test_a_file_of_lines_may_have_any_name_and_hold_any_bytes(run, work):
    (work / "-").write_bytes(b"\xef\xbb\xbf*.txt\r\n\xff.bin\n")
    (work / "docs" / os.fsdecode(b"\xff.bin")).touch()
    assert run("cp", "--filter-from", "./-", "docs:", "empty:").code == 0
    assert set(files(work / "empty")) == {"sub/b.bin"}


@pytest.mark.parametrize("options", [["--pattern", "*.txt"], ["--max-size", "1"], ["--max-age", 0]])
def test_a_file_that_is_named_itself_is_always_copied(run, work, options):
    assert run("cp", *options, "docs:a.txt", "empty:").code == 0
    assert set(files(work / "empty")) == {"a.txt"}


@pytest.mark.parametrize(
    "options",
    [
        *(
            ["--pattern", "x"],
            ["--filter-from", "ignore"],
            ["--min-size", "1"],
            ["--max-age", "1d"],
        ),
        *(["--concurrency", "2"], ["--verify", "size"], ["--keep-going"], ["--retries", "1"]),
        *(["--bandwidth", "1M"], ["--resume"], ["--checksums", "d.db"], ["--json-lines"]),
    ],
)
@pytest.mark.parametrize("paths", [["-", "docs:x"], ["docs:a.txt", "-"]])
def test_standard_streams_take_none_of_it(run, work, options, paths):
    done = run("cp", *options, *paths, input=b"x")
    assert (done.code, done.out) == (2, "")
    assert options[0] in done.err
    assert not (work / "docs" / "x").exists()
