"""``cp`` from standard input and to standard output."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from .conftest import COMMAND, ROOT

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
        ["--include", "*.txt", "-", "docs:x"],
        ["--exclude", "*.txt", "-", "docs:x"],
        ["--include", "*.txt", "docs:", "-"],
        ["--skip", "size", "docs:a.txt", "-"],
    ],
)
def test_what_cannot_be_is_wrong_usage(run, work, arguments):
    done = run("cp", *arguments, input=b"x")
    assert (done.code, done.out) == (2, "")
    assert not (work / "docs" / "x").exists()


@pytest.mark.parametrize("arguments", [["-", "docs:m"], ["docs:a.txt", "-"]])
def test_what_is_moved_is_no_stream(run, work, arguments):
    done = run("mv", *arguments, input=b"x")
    assert done.code == 2
    assert "a file of that name is written ./-" in " ".join(done.err.split())
    assert (work / "docs" / "a.txt").exists()


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


# -- as other programs leave the streams ----------------------------------------------------------


@pytest.mark.parametrize("first", [b"first part;", b""])
def test_a_pause_is_not_the_end_of_what_does_not_block(start, work, first):
    (work / "docs" / "x").write_text("OLD")
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, first)
    process = start("cp", "-", "docs:x", stdin=reading)
    os.close(reading)
    time.sleep(1.5)  # longer than it takes to begin, and to find nothing
    assert process.poll() is None, process.communicate()
    os.write(writing, b"second part;")
    os.close(writing)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b""), out
    assert (work / "docs" / "x").read_bytes() == first + b"second part;"


def test_standard_input_that_breaks_leaves_what_was_there(start, work):
    (work / "docs" / "x").write_text("OLD")
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with contextlib.closing(theirs):
        process = start("cp", "-", "docs:x", stdin=ours.fileno())
        ours.close()
        theirs.sendall(b"first")
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    out, err = process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err == b"error: reading standard input: Connection reset by peer\n"
    assert (work / "docs" / "x").read_text() == "OLD"


@pytest.mark.parametrize(
    ("closed", "arguments", "said"),
    [
        ("<&-", ["cp", "-", "docs:x"], "error: reading standard input: it is closed\n"),
        (">&-", ["ls", "docs:"], "error: writing the output: Bad file descriptor\n"),
        (">&-", ["cp", "docs:a.txt", "-"], "error: writing the output: Bad file descriptor\n"),
        ("<&- >&-", ["cp", "-", "docs:x"], "error: reading standard input: it is closed\n"),
    ],
)
def test_a_closed_stream_is_one_line(work, closed, arguments, said):
    done = _closed(closed, arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert not (work / "docs" / "x").exists()


@pytest.mark.parametrize(("path", "code"), [("docs:a.txt", 0), ("docs:nope", 4)])
def test_errors_for_nobody_do_not_go_to_standard_output(work, path, code):
    done = _closed("2>&-", ["cat", path])
    assert (done.returncode, done.stdout) == (code, "" if code else "hello\n")


def _closed(how, arguments):
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {how}', "sh", *COMMAND, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
