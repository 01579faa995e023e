"""``sync``."""

from __future__ import annotations

import os

import pytest

from .conftest import files


@pytest.fixture
def stray(work):
    """What only the destination has."""
    (work / "empty" / "x" / "old").mkdir(parents=True)
    (work / "empty" / "x" / "stray.txt").write_text("stray")
    (work / "empty" / "x" / "old" / "more.txt").write_text("more")
    return work / "empty" / "x"


def test_what_has_the_same_size_and_time_is_left_alone(run, work):
    assert run("sync", "docs:", "empty:x").out == "2 copied, 0 skipped; 2.0K\n"
    assert run("sync", "docs:", "empty:x").out == "0 copied, 2 skipped (same size and time)\n"
    os.utime(work / "docs" / "a.txt", (0, 0))
    assert run("sync", "docs:", "empty:x").out.startswith("1 copied, 1 skipped")
    assert run("sync", "--skip", "never", "docs:", "empty:x").out.startswith("2 copied, 0 skipped")


def test_dest_is_what_becomes_like_source_and_never_where_it_goes_inside(run, work, stray):
    assert run("sync", "docs:sub", "empty:x/").code == 0
    assert set(files(work / "empty")) == {"x/b.bin", "x/stray.txt", "x/old/more.txt"}
    done = run("sync", "docs:a.txt", "empty:x")
    assert done.code == 1
    assert done.err.startswith("error: empty:x: ")


def test_a_mirror_removes_what_only_dest_has(run, work, stray):
    done = run("sync", "--delete", "docs:", "empty:x")
    assert done.out == "2 copied, 0 skipped, 3 deleted; 2.0K\n"
    assert files(stray) == files(work / "docs")
    assert not (stray / "old").exists()


def test_a_dry_run_lists_what_would_be_copied_and_removed(run, work, stray):
    before = files(work / "empty")
    done = run("sync", "-n", "--delete", "docs:", "empty:x")
    assert done.lines == [
        "would copy docs:a.txt -> empty:x/a.txt (destination missing)",
        "would remove empty:x/old/",
        "would remove empty:x/old/more.txt",
        "would remove empty:x/stray.txt",
        "would make empty:x/sub/",
        "would copy docs:sub/b.bin -> empty:x/sub/b.bin (destination missing)",
        "2 to copy, 0 to skip, 3 to delete; 2.0K",
    ]
    assert files(work / "empty") == before
    assert run("sync", "-n", "--json", "--delete", "docs:", "empty:x").json["to_delete"] == 3


def test_more_than_max_delete_is_refused_in_the_words_of_the_command_line(run, stray):
    for options in ([], ["-n"]):
        done = run("sync", *options, "--delete", "--max-delete", 1, "docs:", "empty:x")
        assert "error: empty:x: 2 files are not in docs:" in done.err
        assert "--max-delete allows to remove 1" in done.err
        assert f"nothing {'would be' if options else 'was'} removed" in done.err
        assert done.code == 1
        assert (stray / "stray.txt").exists()
    done = run("sync", "--delete", "--max-delete", 2, "docs:", "empty:x")
    assert (done.code, (stray / "stray.txt").exists()) == (0, False)


def test_an_empty_source_removes_nothing_unless_it_may(run, work, stray):
    (work / "none").mkdir()
    done = run("sync", "--delete", "none", "empty:x")
    assert done.code == 1
    assert "nothing was removed. If that is meant, say --max-delete 2\n" in done.err
    assert len(files(stray)) == 2
    assert run("sync", "--delete", "--max-delete", 2, "none", "empty:x").code == 0
    assert files(stray) == {}


def test_where_something_failed_nothing_is_removed_and_that_is_said(run, work, stray):
    (stray / "a.txt").mkdir()
    done = run("sync", "--delete", "--keep-going", "docs:", "empty:x")
    assert done.code == 1
    assert done.err.splitlines() == [
        "error: empty:x/a.txt: a directory is where a file should go",
        "note: empty:x: nothing was removed, since not all has arrived",
    ]
    assert {"stray.txt", "sub/b.bin"} <= set(files(stray))


def test_what_the_filters_leave_out_is_not_removed(run, stray):
    assert run("sync", "--delete", "--pattern", "stray*", "docs:", "empty:x").code == 0
    assert set(files(stray)) == {"stray.txt", "a.txt", "sub/b.bin"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--max-delete", 1, "docs:", "empty:"], 2, "nothing is removed without --delete"),
        (
            ["--delete", "--max-delete", -1, "docs:", "empty:"],
            2,
            "'--max-delete': it must be 0 or more",
        ),
        (["-", "empty:"], 2, "- is standard input or output, which cp copies from and to"),
        (["docs:", "-"], 2, "- is standard input or output, which cp copies from and to"),
        (["docs:"], 2, "Missing argument 'DEST'"),
        (["--delete", "docs:a.txt", "empty:a.txt"], 1, "--delete is for directories"),
        (["docs:nope", "empty:"], 4, "Source not found: docs:nope"),
        (["docs:", "fixed:"], 5, "error: fixed: the mount is configured as readonly"),
        (["--delete", "docs:", "docs:sub"], 1, "cannot copy docs: into itself"),
    ],
)
def test_what_is_refused(run, work, arguments, code, said):
    before = files(work)
    done = run("sync", *arguments)
    assert done.code == code
    assert said in " ".join(done.err.split())
    assert files(work) == before


def test_the_report_is_that_of_cp(run):
    report = run("sync", "--json", "docs:", "empty:").json
    assert (report["dry_run"], report["copied"], report["deleted"]) == (False, 2, 0)
    assert run("sync", "--quiet", "docs:", "empty:").out == ""
