"""``cp`` and ``mv``."""

from __future__ import annotations

import os
import signal
import time

import pytest

from genro_storage.backends.memory import MemoryBackend


def files(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_cp_makes_the_target_the_copy(run, work):
    done = run("cp", "docs:", "empty:x")
    assert done.code == 0
    assert files(work / "empty" / "x") == files(work / "docs")
    assert done.out.startswith("2 copied, 0 skipped; 2.0K")


def test_cp_again_with_hash_says_why_it_skipped(run):
    run("cp", "docs", "empty:x")
    assert run("cp", "--skip", "hash", "docs", "empty:x").lines == [
        "0 copied, 2 skipped (same content)"
    ]


@pytest.mark.parametrize(
    ("sources", "dest", "expected"),
    [
        (["docs:sub"], "empty:", {"b.bin"}),
        (["docs:sub"], "empty:/", {"sub/b.bin"}),
        (["docs:sub"], "empty:new/", {"new/sub/b.bin"}),
        (["docs/sub"], "empty/new", {"new/b.bin"}),
        (["docs/sub/"], "empty/", {"sub/b.bin"}),
        (["docs/a.txt"], "empty:", {"a.txt"}),
        (["docs/a.txt"], "./empty", {"a.txt"}),
        (["docs/a.txt"], "empty:b/c.txt", {"b/c.txt"}),
        (["docs:a.txt", "docs:sub"], "empty:x", {"x/a.txt", "x/sub/b.bin"}),
        (["docs:"], "empty:x/", {"x/a.txt", "x/sub/b.bin"}),
    ],
)
def test_what_goes_inside(run, work, sources, dest, expected):
    assert run("cp", *sources, dest).code == 0
    assert set(files(work / "empty")) == expected


def test_cp_goes_on_after_a_missing_source(run, work):
    done = run("cp", "docs:nope", "docs:a.txt", "empty:x")
    assert done.code == 4
    assert done.err == "error: docs:nope: not found (looking at it)\n"
    assert set(files(work / "empty")) == {"x/a.txt"}


def test_two_sources_of_one_name_do_not_replace_each_other(run, work):
    (work / "other").mkdir()
    (work / "other" / "a.txt").write_text("other")
    done = run("cp", "docs/a.txt", "other/a.txt", "empty:x")
    assert done.code == 1
    assert "other/a.txt" in done.err
    assert (work / "empty" / "x" / "a.txt").read_text() == "hello\n"


@pytest.fixture
def two_roots(work):
    """The mounts one and two: each has a file f of its own, and something that the other lacks."""
    for name in ("one", "two"):
        (work / name / f"only-{name}").mkdir(parents=True)
        (work / name / "f").write_text(name)
        (work / name / f"only-{name}" / "g").write_text(name)
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: one, type: local, path: one}\n")
        stream.write("  - {name: two, type: local, path: two}\n")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["one:", "two:"], "two:f: one:f has just gone to empty:x/f; nothing of two: goes there"),
        (["one:", "two:f"], "two:f: one:f has just gone to empty:x/f; it is not replaced"),
        (["one/f", "two:"], "two:f: one/f has just gone to empty:x/f; nothing of two: goes there"),
    ],
)
@pytest.mark.parametrize("options", [[], ["-n"]])
def test_what_roots_of_mounts_have_does_not_replace_each_other(
    run, work, two_roots, sources, message, options
):
    done = run("cp", *options, *sources, "empty:x")
    assert done.code == 1
    assert done.err == f"error: {message}\n"
    if not options:
        there = files(work / "empty" / "x")
        assert there.pop("f") == b"one"
        assert all("two" not in name for name in there)


def test_directories_of_one_name_are_not_merged_whichever_way_they_come(run, work, two_roots):
    for name in ("one", "two"):
        (work / name / "d").mkdir()
        (work / name / "d" / name).touch()
    for sources in (["one:d", "two:d"], ["one:d", "two:"], ["one:", "two/d"]):
        done = run("cp", *sources, "empty:x")
        assert done.code == 1
        assert "d has just gone to empty:x/d" in done.err
        assert not (work / "empty" / "x" / "d" / "two").exists()


def test_roots_of_mounts_that_do_not_meet_are_copied(run, work, two_roots):
    assert run("cp", "--exclude", "f", "one:", "two:", "docs:a.txt", "empty:").code == 0
    assert set(files(work / "empty")) == {"only-one/g", "only-two/g", "a.txt"}


def test_names_that_the_target_takes_for_one_do_not_replace_each_other(run, work, monkeypatch):
    spelt = {}
    monkeypatch.setattr(
        MemoryBackend, "_at", lambda self, path: spelt.setdefault(path.casefold(), path)
    )
    (work / "other").mkdir()
    (work / "other" / "A.TXT").write_text("other")
    sources = ["docs:a.txt", "other/A.TXT"]
    done = run("cp", *sources, "memory:x")
    assert done.code == 1
    assert "error: other/A.TXT: docs:a.txt has just gone to memory:x/A.TXT" in done.err
    assert run("cp", *sources, "empty:x").code == 0
    assert set(files(work / "empty")) == {"x/a.txt", "x/A.TXT"}


def test_a_root_that_cannot_be_moved_keeps_no_name_from_others(run, work, two_roots):
    done = run("mv", "one:", "two:f", "empty:x")
    assert done.code == 5
    assert done.err == "error: one: the root of a mount cannot be moved; copy it instead\n"
    assert files(work / "empty") == {"x/f": b"two"}


def test_cp_filters(run, work):
    done = run(
        "cp", "--include", "*.txt", "--include", "*.bin", "--exclude", "sub/b*", "docs:", "empty:"
    )
    assert set(files(work / "empty")) == {"a.txt"}
    assert "1 filtered" in done.out


def test_cp_does_not_list_a_directory_that_is_left_out_whole(run, work, monkeypatch):
    from genro_storage.backends.local import LocalBackend

    listed = []
    scan = LocalBackend._scan_real

    def note(self, path, real):
        listed.append(path)
        return scan(self, path, real)

    monkeypatch.setattr(LocalBackend, "_scan_real", note)
    for dry in ([], ["--dry-run"]):
        assert run("cp", *dry, "--exclude", "sub/*", "docs:", f"empty:{len(dry)}").code == 0
        assert "" in listed and "sub" not in listed
    assert set(files(work / "empty" / "0")) == {"a.txt"}


def test_cp_dry_run_changes_nothing_and_says_what_it_would(run, work):
    done = run("cp", "--dry-run", "docs:", "empty:x")
    assert "would copy docs:a.txt -> empty:x/a.txt (destination missing)" in done.lines
    assert done.lines[-1] == "2 to copy, 0 to skip; 2.0K"
    assert list((work / "empty").iterdir()) == []


def test_cp_json_is_one_report(run):
    report = run("cp", "--json", "docs:a.txt", "docs:sub", "empty:x").json
    assert report["dry_run"] is False
    assert (report["copied"], report["bytes_copied"], report["failed"]) == (2, 2054, 0)
    plan = run("cp", "--json", "-n", "docs:", "empty:").json
    assert (plan["to_copy"], plan["bytes_to_copy"]) == (2, 2054)


def test_cp_quiet_prints_nothing(run):
    assert run("cp", "-q", "docs:", "empty:").out == ""


def test_cp_to_content_paths_says_where_the_copy_is(run, work):
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: text, type: base64}\n")
    (work / "b.txt").write_text("b")
    assert run("cp", "docs:a.txt", "text:x").out.endswith("; the copy is at text:aGVsbG8K\n")
    done = run("cp", "docs:a.txt", "b.txt", "text:")
    assert done.out.endswith("; the copies are at text:aGVsbG8K, text:Yg==\n")


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


def test_what_is_copied_into_memory_is_said_to_pass(run):
    done = run("cp", "docs:a.txt", "docs:sub", "memory:")
    assert done.code == 0
    assert done.err == ("note: memory: is kept in memory, and gone when this command ends\n")
    assert run("cp", "-n", "docs:a.txt", "memory:").err == ""


def test_cp_without_a_source_that_is_there_reports_nothing_copied(run):
    done = run("cp", "docs:nope", "empty:")
    assert (done.code, done.out) == (4, "0 copied, 0 skipped, 1 failed\n")
    assert run("cp", "--json", "-n", "docs:nope", "empty:").json["to_copy"] == 0


def test_cp_to_a_readonly_mount_is_refused(run):
    done = run("cp", "docs:a.txt", "fixed:x")
    assert done.code == 5
    assert done.err.startswith("error: fixed:x: the mount is configured as readonly")


def test_a_failure_in_the_middle_says_how_far_it_came(run, work):
    (work / "empty" / "sub").write_text("a file in the way")
    done = run("cp", "docs:", "empty:")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: empty:sub")
    assert done.out == "1 copied, 0 skipped, 1 failed; 6 bytes\n"
    for arguments in (["-q", "docs:"], ["docs:", "fixed:b.bin"]):  # where nothing else says it
        (work / "empty" / "docs").mkdir(exist_ok=True)
        (work / "empty" / "docs" / "sub").write_text("a file in the way")
        dest = "empty:" if "-q" in arguments else "empty:docs/"
        assert "stopped: " in run("cp", *arguments, dest).err.splitlines()[1]


def test_a_failed_copy_says_why_it_skipped_and_how_many_it_filtered(run, work):
    for directory in ("docs", "empty"):
        (work / directory / "0").write_text("the same")
    (work / "docs" / "0.bin").write_text("left out before the failure")
    (work / "empty" / "a.txt").mkdir()
    report = run("cp", "--json", "--skip", "hash", "--exclude", "*.bin", "docs:", "empty:").json
    counts = [report[key] for key in ("copied", "skipped", "filtered", "failed")]
    assert counts == [0, 1, 1, 1]
    assert report["skip_reasons"] == {"same content": 1}


def test_the_last_line_counts_what_has_failed_sources_have_copied(run, work):
    (work / "empty" / "docs").mkdir()
    (work / "empty" / "docs" / "sub").write_text("a file in the way")
    done = run("cp", "--json", "docs", "docs:nope", "docs:a.txt", "empty:")
    assert done.code == 1
    assert (done.json["copied"], done.json["bytes_copied"], done.json["failed"]) == (2, 12, 2)


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


def test_an_interrupt_leaves_no_part_of_a_file(start, work):
    (work / "pipe-like").mkdir()
    for number in range(400):
        (work / "pipe-like" / f"{number:03}").write_bytes(bytes(1 << 20))
    for attempt in range(30):  # until the signal comes before the end: the machine decides
        copy = work / "empty" / f"copy{attempt}"
        process = start("cp", "--skip", "hash", "pipe-like", f"empty:{copy.name}")
        deadline = time.monotonic() + 30
        while not (copy / "000").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        if process.returncode != 0 and len(os.listdir(copy)) < 400:
            break
    assert process.returncode == 130
    assert err.decode() == "interrupted\n"
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(copy)}
    assert 0 < len(sizes) < 400
    assert set(sizes.values()) == {1 << 20}
    assert not [name for name in sizes if name.startswith(".")]
