"""``cp``."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from genro_storage.backends.memory import MemoryBackend
from genro_storage.mount import Mount
from genro_storage.paths import Folding

from .conftest import files


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


@pytest.mark.parametrize("how", [[], ["--json"], ["--quiet"]], ids=str)
def test_a_dry_run_fails_where_the_copy_would(run, in_the_way, how):
    done = run("cp", "--dry-run", "--skip", "size", *how, "docs:", "empty:")
    assert done.code == 1 == run("cp", "--skip", "size", "--quiet", "docs:", "empty:").code
    told = done.err if how else done.out
    for name in ("b.txt", "c.txt"):
        assert f"would fail empty:{name} (a directory is where a file should go)" in told
    if how == ["--json"]:
        assert done.json["conflicts"] == 2


def test_a_dry_run_refuses_names_that_would_become_one_file(run, work, monkeypatch):
    (work / "docs" / "A.txt").write_text("another")
    monkeypatch.setattr(Mount, "folding", lambda *_: Folding(case=True))
    for options in ([], ["--dry-run"]):
        done = run("cp", *options, "docs:", "empty:x")
        assert done.code == 1
        assert "A.txt" in done.err
        assert "a.txt" in done.err
    assert files(work / "empty") == {}


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


# -- the terms of a copy --------------------------------------------------------------------------


@pytest.fixture
def in_the_way(work):
    """Two of four files of docs cannot go to empty: directories stand there."""
    for name in ("b.txt", "c.txt"):
        (work / "docs" / name).write_text(name)
        (work / "empty" / name).mkdir()


def test_keep_going_copies_the_others_and_names_every_failure(run, work, in_the_way):
    done = run("cp", "--keep-going", "docs:", "empty:")
    assert done.code == 1
    assert done.err.splitlines() == [
        "error: empty:b.txt: is a directory (writing)",
        "error: empty:c.txt: is a directory (writing)",
    ]
    assert done.out == "2 copied, 0 skipped, 2 failed; 2.0K\n"
    assert set(files(work / "empty")) == {"a.txt", "sub/b.bin"}


def test_the_json_of_a_copy_that_kept_going_has_the_failures_of_all_sources(run, work, in_the_way):
    (work / "other").mkdir()
    (work / "other" / "z").touch()
    (work / "empty" / "other" / "z").mkdir(parents=True)
    done = run("cp", "--json", "--keep-going", "docs:", "other", "docs:b.txt", "empty:")
    assert done.code == 1
    assert [each["path"] for each in done.json["failures"]] == ["b.txt", "c.txt", "z"]
    assert {each["kind"] for each in done.json["failures"]} == {"StorageIsDirectoryError"}
    assert done.json["failed"] == 4  # a source was refused as a whole: docs: has its name


def test_without_keep_going_the_first_failure_ends_a_source(run, in_the_way):
    done = run("cp", "docs:", "empty:")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert done.out == "1 copied, 0 skipped, 1 failed; 6 bytes\n"


@pytest.mark.parametrize("by", ["size", "checksum"])
def test_verified_copies_are_counted(run, by):
    done = run("cp", "--verify", by, "--concurrency", 3, "--retries", 0, "docs:", "empty:")
    assert done.out == "2 copied, 0 skipped, 2 verified; 2.0K\n"


def test_a_bandwidth_holds_for_all_sources_together(run, monkeypatch):
    from genro_storage.transfer import Bandwidth

    taken = {}

    def take(self, count, stop=None):
        assert self.bytes_per_second == 10 * 1024 * 1024
        taken.setdefault(id(self), []).append(count)
        return True

    monkeypatch.setattr(Bandwidth, "take", take)
    # Inside one mount, too: no store copies there, it is this machine.
    assert run("cp", "--bandwidth", "10M", "docs:a.txt", "docs:sub", "docs:copy").code == 0
    assert list(taken.values()) == [[6, 2048]]


def test_digests_are_remembered_in_a_file(run, work):
    for name in ("docs", "empty"):
        (work / name / "same.bin").write_bytes(bytes(50))
        os.utime(work / name / "same.bin", (0, 0))
    for _ in range(2):
        done = run(
            "cp", "-s", "hash", "--checksums", "d.db", "--include", "same*", "docs:", "empty:"
        )
        assert "1 skipped (same content)" in done.out
        assert (work / "d.db").stat().st_size
    done = run("cp", "--checksums", "nowhere/d.db", "docs:", "empty:")
    assert done.code == 2
    assert "nowhere/d.db: cannot be used" in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--concurrency", "0"], "'--concurrency': it must be 1 or more"),
        (["--retries", "-1"], "'--retries': it must be 0 or more"),
        (["--bandwidth", "0"], "expected bytes per second above 0, such as 500K or 10M, got '0'"),
        (["--bandwidth", "fast"], "such as 500K or 10M, got 'fast'"),
        (["--verify", "luck"], "'luck' is not one of 'size', 'checksum'"),
        (["--json", "--json-lines"], "one document, or a line for each event"),
        (["-n", "--json-lines"], "nothing happens in a dry run; --json has its counts"),
        (["--skip", "custom"], "'custom' is not one of"),
    ],
)
@pytest.mark.parametrize("command", ["cp", "sync"])
def test_terms_that_cannot_be_are_wrong_usage(run, work, command, arguments, said):
    done = run(command, *arguments, "docs:", "empty:")
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert files(work / "empty") == {}


# -- events ---------------------------------------------------------------------------------------


def events(done):
    return [json.loads(line) for line in done.lines]


def test_json_lines_are_the_events_and_at_the_end_the_report(run):
    found = events(run("cp", "--json-lines", "docs:", "empty:x"))
    assert found[0] == {
        "event": "started", "files": None, "bytes": None, "source": "docs:", "target": "empty:x",
    }  # fmt: skip
    assert (found[1]["files"], found[1]["bytes"]) == (2, 2054)
    assert {"event": "file_started", "relpath": "sub/b.bin", "size": 2048} in found
    assert {"event": "file_done", "relpath": "sub/b.bin", "size": 2048} in found
    assert found[-1]["event"] == "finished"
    assert (found[-1]["report"]["copied"], found[-1]["report"]["bytes_copied"]) == (2, 2054)


def test_json_lines_of_several_sources_finish_once(run):
    done = run(
        "cp", "--json-lines", "--skip", "size", "docs:a.txt", "docs:no", "docs:sub", "empty:"
    )
    assert done.code == 4
    found = events(done)
    assert [each["event"] for each in found].count("finished") == 1
    assert list(dict.fromkeys(each["source"] for each in found if "source" in each)) == [
        "docs:a.txt",
        "docs:sub",
    ]
    assert (found[-1]["report"]["copied"], found[-1]["report"]["failed"]) == (2, 1)


def test_json_lines_tell_of_failures_as_they_happen(run, in_the_way):
    done = run("cp", "--json-lines", "--keep-going", "docs:", "empty:")
    failed = [each for each in events(done) if each["event"] == "file_failed"]
    assert [each["relpath"] for each in failed] == ["b.txt", "c.txt"]
    assert len(events(done)[-1]["report"]["failures"]) == 2
    assert done.code == 1


def test_whoever_goes_away_from_the_events_ends_the_copy(start, work):
    for number in range(200):
        (work / "docs" / f"{number}").write_bytes(bytes(1000))
    # At this pace it cannot end before nobody is there.
    process = start("cp", "--json-lines", "--bandwidth", "20K", "docs:", "empty:")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, b"")


# -- on a terminal --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["cp", "sync"])
@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"], ["--json-lines"]])
def test_files_and_bytes_are_drawn_where_a_person_is_looking(start, work, command, options):
    (work / "docs" / "z").mkdir()
    (work / "empty" / "z").touch()
    ours, theirs = os.openpty()
    process = start(
        command, "--keep-going", *options, "docs:", "empty:", stderr=theirs, env={"TERM": "xterm"}
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # as Linux tells the end of a terminal
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)
    out, _ = process.communicate()
    assert b"empty:z: a file is where a directory should go" in seen
    drawn = re.search(rb"docs:.*[1-3]/2 files  1 failed  2\.0 KiB/2\.0 KiB", seen, re.DOTALL)
    assert bool(drawn) == (not options)
    assert bool(out) == (options != ["--quiet"])


# -- interrupts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "number", "code"),
    [
        ([], signal.SIGINT, 130),
        (["--json"], signal.SIGINT, 130),
        (["--json-lines", "--concurrency", "4"], signal.SIGINT, 130),
        (["--json"], signal.SIGTERM, 143),
    ],
)
def test_an_interrupted_copy_says_how_far_it_came(start, work, options, number, code):
    for each in range(200):
        (work / "docs" / f"{each:03}").write_bytes(bytes(1000))
    # At this pace it cannot end before it is interrupted.
    process = start("cp", *options, "--bandwidth", "20K", "docs:", "empty:")
    deadline = time.monotonic() + 30
    while not (work / "empty" / "010").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:  # Python drops what is raised while an object is finalised
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == (b"interrupted\n" if number == signal.SIGINT else b"")
    arrived = files(work / "empty")
    # Of four at a time, three may still have been under way to names before that one.
    assert (7 if "--concurrency" in options else 10) < len(arrived) < 200
    assert set(map(len, arrived.values())) <= {1000, 6}
    if "--json" in options:
        copied = json.loads(out)["copied"]
    elif options:
        copied = json.loads(out.splitlines()[-1])["report"]["copied"]
    else:
        copied = int(out.split()[0])
    # What arrives in the very moment of the interrupt is not known to have.
    assert 0 <= len(arrived) - copied <= (4 if "--concurrency" in options else 1)
