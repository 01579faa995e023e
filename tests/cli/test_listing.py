"""``ls`` and ``tree``."""

from __future__ import annotations

import json
import os

import pytest


def test_ls_shows_names_and_marks_directories(run):
    assert run("ls", "docs:").lines == ["a.txt", "sub/"]


def test_ls_of_a_file_shows_it_as_it_was_named(run):
    assert run("ls", "docs:a.txt", "./docs/a.txt").lines == ["docs:a.txt", "./docs/a.txt"]


def test_ls_without_a_path_lists_the_mounts(run):
    assert run("ls").out == run("mounts").out
    assert run("ls", "--json").json["mounts"][0]["name"] == "docs"


def test_ls_long_shows_sizes_and_ages(run, work):
    os.utime(work / "docs" / "a.txt", (0, 0))
    first, second = run("ls", "-l", "docs:").lines
    assert first.split()[0] == "6"
    assert first.split()[1].endswith("y")
    assert second.split()[0] == "-"


def test_ls_exact_shows_bytes_and_utc(run, work):
    os.utime(work / "docs" / "a.txt", (0, 0))
    assert run("ls", "-lx", "docs:a.txt").lines[0].split() == [
        *("6", "1970-01-01T00:00:00Z", "docs:a.txt")
    ]


@pytest.mark.parametrize("target", ["docs:", "./docs", "docs/"])
def test_ls_recursive_shows_paths_from_the_directory(run, target):
    assert run("ls", "-R", target).lines == ["a.txt", "sub/", "sub/b.bin"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--sort", "size"], ["sub/b.bin", "a.txt", "sub/"]),
        (["--sort", "size", "--reverse"], ["sub/", "a.txt", "sub/b.bin"]),
        (["--sort", "time"], ["a.txt"]),
        (["--reverse"], ["sub/b.bin", "sub/", "a.txt"]),
    ],
)
def test_ls_sorts(run, work, options, expected):
    os.utime(work / "docs" / "a.txt", (2e9, 2e9))
    assert run("ls", "-R", *options, "docs:").lines[: len(expected)] == expected


def test_several_directories_are_headed(run):
    assert run("ls", "docs:sub", "./docs").lines == [
        *("docs:sub:", "b.bin", "", "./docs:", "a.txt", "sub/")
    ]


def test_ls_json_is_one_document_for_each_entry(run):
    entries = [json.loads(line) for line in run("ls", "-R", "--json", "docs:").lines]
    assert [entry["path"] for entry in entries] == ["docs:a.txt", "docs:sub", "docs:sub/b.bin"]
    assert set(entries[0]) == {
        *("path", "name", "type", "size", "mtime", "etag", "checksum", "content_type", "version")
    }
    assert entries[0]["size"] == 6
    assert entries[1]["type"] == "directory"


def test_ls_goes_on_after_a_failure_and_says_so(run):
    done = run("ls", "docs:nope", "docs:a.txt")
    assert done.code == 4
    assert done.lines == ["docs:a.txt"]
    assert done.err == "error: docs:nope: not found (looking at it)\n"


def test_a_mount_without_its_colon_is_recognised(run, work):
    (work / "mounts.yaml").write_text("- {name: thing, type: memory}\n")
    done = run("ls", "thing")
    assert done.code == 4
    assert "did you mean the mount thing:" in done.err


def test_tree_draws_and_counts(run):
    assert run("tree", "docs:").lines == [
        "docs:",
        "├── a.txt  6 B",
        "└── sub/",
        "    └── b.bin  2.0K",
        "",
        "1 directory, 2 files, 2.0K",
    ]


def test_tree_goes_as_deep_as_told(run):
    assert run("tree", "--depth", "1", "docs:").lines[1:3] == ["├── a.txt  6 B", "└── sub/"]
    assert run("tree", "--depth", "0", "docs:").code == 2
    assert run("tree", "--dirs-only", "docs:").lines == ["docs:", "└── sub/", "", "1 directory"]


def test_tree_json_says_the_depth(run):
    entries = [json.loads(line) for line in run("tree", "--json", "docs:").lines]
    assert [(entry["name"], entry["depth"]) for entry in entries] == [
        *(("a.txt", 1), ("sub", 1), ("b.bin", 2))
    ]


@pytest.mark.parametrize("command", [["tree"], ["ls", "-R"]])
def test_a_link_in_a_circle_ends_the_walk(run, work, command):
    (work / "docs" / "loop").symlink_to(".")
    done = run(*command, "docs")
    assert done.code == 0
    assert sum("loop" in line for line in done.lines) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list any directory")
def test_a_directory_that_cannot_be_listed_does_not_end_the_walk(run, work):
    (work / "docs" / "closed").mkdir(mode=0)
    done = run("tree", "docs:")
    assert done.code == 5
    assert "b.bin" in done.out
    assert "closed: permission denied" in done.err


def test_tree_says_what_it_could_not_list(run, work):
    (work / "web.yaml").write_text("- {name: web, type: http, base_url: 'http://127.0.0.1:9/'}\n")
    done = run("--config", "web.yaml", "tree", "web:")
    assert done.code == 5
    assert "`listing: true`" in done.err
    assert done.lines[-1] == "0 directories, 0 files, 0 B; 1 directory could not be listed"


def test_an_archive_that_is_not_there_yet_is_said_to_be_why_nothing_is_listed(run, work):
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: box, type: tar, file: 'docs:b.tar', create: true}\n")
    note = (
        "note: box: is empty: its archive 'docs:b.tar' is not there yet; the first file makes it\n"
    )
    for command in (["ls"], ["ls", "-R"], ["ls", "--json"], ["tree"], ["tree", "--json"]):
        done = run(*command, "box:")
        assert (done.code, done.err) == (0, note)
    run("mkdir", "box:d")
    for place in ("box:", "box:d", "empty:"):
        assert run("ls", place).err == ""


def test_several_directories_have_headings_with_one_colon(run):
    assert run("ls", "empty:", "docs:", "docs:sub").lines == [
        *("empty:", "", "docs:", "a.txt", "sub/", "", "docs:sub:", "b.bin"),
    ]


def test_ls_shows_only_what_is_included(run):
    assert run("ls", "docs:", "--include", "*.txt").lines == ["a.txt"]
    assert run("ls", "-R", "docs:", "--include", "*.bin", "--include", "a*").lines == [
        "a.txt",
        "sub/b.bin",
    ]
    assert run("ls", "docs:sub", "--include", "b.*").lines == ["b.bin"]
    assert run("ls", "docs:", "--include", "nope*").out == ""


@pytest.mark.parametrize("pattern", ["docs:*", "docs:sub/?.bin", "docs:[ab].txt"])
def test_a_pattern_is_told_from_a_path(run, pattern):
    for command in (["ls", pattern], ["cp", pattern, "empty:"]):
        done = run(*command)
        assert done.code == 4
        assert "a PATH is no pattern" in done.err and "--include" in done.err


def test_what_is_included_goes_for_a_file_that_is_named_too(run):
    assert run("ls", "docs:a.txt", "--include", "*.txt").lines == ["docs:a.txt"]
    done = run("ls", "docs:a.txt", "docs:sub/b.bin", "--include", "*.bin")
    assert (done.code, done.lines) == (0, ["docs:sub/b.bin"])


def test_mounts_are_not_chosen_by_a_pattern(run):
    done = run("ls", "--include", "*.txt")
    assert (done.code, done.out) == (2, "")
    assert "give its PATH" in done.err
