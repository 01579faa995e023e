"""``cp`` from standard input and to standard output."""

from __future__ import annotations

import signal
import subprocess

import pytest

MIB = 1024 * 1024


def test_standard_input_becomes_a_file(run, work):
    content = bytes(range(256)) * 5
    done = run("cp", "-", "docs:new/x.bin", input=content)
    assert (done.code, done.out) == (0, "1 copied, 0 skipped; 1.2K\n")
    assert (work / "docs" / "new" / "x.bin").read_bytes() == content
    assert run("cp", "-", "docs:new/x.bin", input=b"").code == 0
    assert (work / "docs" / "new" / "x.bin").read_bytes() == b""
    document = run("cp", "--json", "-", "docs/y", input=b"abc").json
    assert (document["copied"], document["bytes_copied"]) == (1, 3)


def test_a_file_goes_to_standard_output(start, run):
    out, err = start("cp", "docs:sub/b.bin", "docs:a.txt", "-").communicate()
    assert (out, err) == (bytes(range(256)) * 8 + b"hello\n", b"")
    done = run("cp", "docs:nope", "docs:a.txt", "-")
    assert (done.code, done.out) == (4, "hello\n")


def test_standard_input_needs_a_name(run, work):
    for target in ("docs:", "docs:sub", "docs:new/", "."):
        done = run("cp", "-", target, input=b"x")
        assert done.code == 1
        assert "name the file in it" in done.err
    assert not (work / "docs" / "new").exists()


def test_where_it_went_is_told_where_nobody_would_guess(run, work):
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: text, type: base64}\n")
    done = run("cp", "-", "text:x", input=b"hi")
    assert done.out == "1 copied, 0 skipped; 2 bytes; the copy is at text:aGk=\n"
    assert run("cp", "-", "--json", "text:x", input=b"hi").json["new_path"] == "aGk="
    done = run("cp", "-", "memory:x", input=b"hi")
    assert done.err == "note: memory: is kept in memory, and gone when this command ends\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["-", "docs:a.txt", "empty:"],
        ["-", "-"],
        ["--skip", "hash", "-", "docs:x"],
        ["--json", "docs:a.txt", "-"],
    ],
)
def test_what_cannot_be_is_wrong_usage(run, arguments):
    assert run("cp", *arguments, input=b"x").code == 2


def test_a_dry_run_reads_and_writes_nothing(run, work):
    done = run("cp", "-n", "-", "docs:x", input=b"abc")
    assert done.lines[0] == "would copy - -> docs:x"
    assert not (work / "docs" / "x").exists()
    assert run("cp", "-n", "docs:a.txt", "-").lines == ["would copy docs:a.txt -> -"]


def test_a_file_of_that_name_is_written_with_its_directory(run, work):
    (work / "-").write_text("dash")
    assert run("cp", "./-", "docs:dash").code == 0
    assert (work / "docs" / "dash").read_text() == "dash"


def test_interrupted_standard_input_leaves_nothing(start, work):
    process = start("cp", "-", "docs:x", stdin=subprocess.PIPE)
    process.stdin.write(bytes(3 * MIB))
    process.stdin.flush()  # it is read by now, all but what a pipe holds
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    process.stdin = None
    process.communicate()
    assert process.returncode == 130
    assert sorted(path.name for path in (work / "docs").iterdir()) == ["a.txt", "sub"]
