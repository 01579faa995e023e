"""The program as a whole: how it starts, ends, and treats whoever reads its output."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from .conftest import COMMAND, ROOT

FULL = Path("/dev/full")


def test_help_tells_the_exit_codes(run):
    done = run("--help")
    assert done.code == 0
    for code in ("0", "1", "2", "3", "4", "5", "130", "141"):
        assert any(line.split()[:1] == [code] for line in done.lines), code


@pytest.mark.parametrize(
    "command",
    [
        *(["mounts"], ["ls"], ["tree"], ["cat"], ["stat"], ["hash"], ["cp"], ["mv"], ["rm"]),
        *(["url"], ["upload-url"], ["versions"], ["restore"], ["check"], ["doctor"]),
        *(["mkdir"], ["cleanup"], ["config"], ["config", "check"], ["config", "schema"]),
    ],
)
def test_every_command_has_help_that_fits_a_terminal(run, command):
    done = run(*command, "--help")
    assert done.code == 0
    assert max(map(len, done.lines)) <= 80


def test_wrong_usage_is_two(run):
    assert run("ls", "--nope").code == 2
    assert run("nope").code == 2
    assert run("cp", "one").code == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["cp", "--skip", "wrong", "a", "b"], "'wrong' is not one of 'never', 'exists', 'size', "),
        (["ls", "--sort", "age"], "'age' is not one of 'name', 'size', 'time'"),
        (["tree", "--depth", "0", "docs:"], "it must be 1 or more"),
        (["tree", "--depth", "deep", "docs:"], "expected a whole number, got 'deep'"),
        (["check", "--timeout", "soon"], "expected a number of seconds, or a duration such as 30s"),
        (["cleanup", "--older-than", "1x", "docs"], "expected a number of seconds, or a duration"),
        (["check", "--timeout", "nan"], "it must be 0 or more"),
        (["cleanup", "--older-than", "-1", "docs"], "it must be 0 or more"),
    ],
)
def test_a_wrong_value_is_told_in_words_of_this_program(run, command, said):
    done = run(*command)
    assert done.code == 2
    assert f"Invalid value for '--{command[1][2:]}'" in done.err
    assert f": {said}" in done.err
    assert "Value error" not in done.err
    assert "Input should" not in done.err


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ([], "SOURCE"),
        (["a"], "DEST"),
        (["--skip", "never"], "SOURCE"),
        (["--skip", "never", "a"], "DEST"),
    ],
)
def test_the_argument_that_is_missing_is_named(run, arguments, missing):
    done = run("cp", *arguments)
    assert done.code == 2
    assert f"Missing argument '{missing}" in done.err
    assert "Missing argument 'PATH" in run("rm", "-r").err


def test_usage_and_help_name_no_types_of_python(run):
    for command in (["cp"], ["ls"], ["stat"], ["check"], ["tree"], ["config", "check"]):
        help_text = run(*command, "--help").out
        assert not re.search(r"<(str|path|list)|[{}]|x>=|\.0\b", help_text), help_text
    assert run("cp").err.startswith("Usage: genro cp [OPTIONS] SOURCE... DEST\n")


def test_the_version_is_shown(run):
    assert run("--version").out.startswith("genro-storage ")


def test_debug_shows_the_traceback(run):
    done = run("--debug", "cat", "docs:nope")
    assert done.code == 4
    assert "Traceback" in done.err
    assert "Traceback" not in run("cat", "docs:nope").err


def test_the_options_of_the_program_may_stand_behind_the_command(run, work, monkeypatch):
    monkeypatch.delenv("GENRO_STORAGE_CONFIG")
    for given in (["-c", "mounts.yaml"], ["--config", "mounts.yaml"], ["--config=mounts.yaml"]):
        for arguments in (
            ["ls", "docs:", *given],
            ["ls", *given, "docs:"],
            [*given, "ls", "docs:"],
        ):
            assert run(*arguments).lines == ["a.txt", "sub/"]
        assert run("config", "check", *given).code == 0
    assert run("-c", "nope.yaml", "ls", "-c", "mounts.yaml", "docs:").code == 0
    assert "Traceback" in run("cat", "-c", "mounts.yaml", "docs:nope", "--debug").err
    assert "--debug" not in run("ls", "--help").out


def test_errors_are_coloured_on_terminals_that_want_it(monkeypatch):
    from genro_storage.cli import output

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    for no_color, begin in (("", "\x1b[1;31merror:\x1b[0m a"), ("1", "error: a")):
        monkeypatch.setenv("NO_COLOR", no_color)
        monkeypatch.setattr(sys, "stderr", Terminal())
        output.say("error: a\x1b[2J: b")
        assert sys.stderr.getvalue() == f"{begin}\\x1b[2J: b\n"


def test_a_warning_is_one_line_and_said_once(run, work):
    import zipfile

    with zipfile.ZipFile(work / "box.zip", "w") as archive:
        archive.writestr("../\x1b[31mout", "x")
        archive.writestr("in", "x")
    (work / "mounts.yaml").write_text("- {name: box, type: zip, file: box.zip}\n")
    done = run("hash", "box:", "box:in", "box:in")
    assert done.err == (
        "warning: mount 'box': left out 1 of the archive's entries, whose names lead out of it or "
        "mean nothing here; the first is '../\\x1b[31mout'\n"
    )
    assert not logging.getLogger("genro_storage").handlers


def test_a_warning_of_python_is_one_line_too(run, monkeypatch):
    from genro_storage.cli import reading

    def warn(*_):
        for _ in range(2):
            warnings.warn("Unverified request", UserWarning, stacklevel=1)

    monkeypatch.setattr(reading, "_line", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run("hash", "docs:a.txt").err == "warning: Unverified request\n"


def test_help_imports_nothing_heavy(work):
    script = (
        "import sys\nfrom genro_storage.cli import main\ncode = main(['--help'])\n"
        "heavy = {'pydantic', 'fsspec', 'yaml', 'rich.console'} & set(sys.modules)\n"
        "assert code == 0, code\nassert not heavy, heavy\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], env=env, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(work, missing):
    script = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        "from genro_storage.cli import main\nsys.exit(main(['--help']))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert 'pip install "genro-storage[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_the_program_quietly(work):
    for number in range(3000):
        (work / "empty" / f"a-rather-long-name-of-a-file-{number:05}").touch()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = " ".join([*COMMAND, "ls", "empty:"])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["a-rather-long-name-of-a-file-00000", "141"]
    assert done.stderr == ""


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["ls", "docs:"], ["cat", "docs:a.txt"]])
def test_output_that_cannot_be_written_is_an_error(start, command):
    with FULL.open("wb") as full:
        process = start(*command, stdout=full)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err.decode() == "error: writing the output: No space left on device\n"


@pytest.fixture
def odd_names(work):
    names = [b"\xff\xfe", "ünï☃".encode(), b"\x1b[31mred", b"[red]x", b"new\nline", b" "]
    for name in names:
        (work / "empty" / os.fsdecode(name)).write_bytes(b"x")
    return names


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C.UTF-8"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ascii", "C", "utf-8", "latin-1"],
)
@pytest.mark.parametrize(
    "command",
    [
        *(["ls", "-l"], ["tree"], ["ls", "--json"], ["tree", "--json"], ["hash"], ["stat"]),
        *(["rm", "-rn"], ["hash", "--json"], ["cat"]),
    ],
    ids=" ".join,
)
def test_no_name_stops_the_program_in_any_encoding(start, odd_names, env, command):
    process = start(*command, "empty", env=env)
    out, err = process.communicate()
    assert b"Traceback" not in err
    assert process.returncode == (1 if command == ["cat"] else 0)
    if "--json" in command:
        documents = [out] if command[0] == "hash" else out.splitlines()
        assert all(json.loads(document) for document in documents)


def test_names_reach_other_programs_byte_for_byte(start, odd_names):
    out, _ = start("ls", "empty:", env={"LC_ALL": "C.UTF-8"}).communicate()
    assert out == b"".join(name + b"\n" for name in sorted(odd_names))


def test_an_odd_name_can_be_given_and_is_safe_in_errors(start, odd_names, work):
    process = start("cat", os.fsdecode(b"empty:\x1b[31mnope\xff"))
    _, err = process.communicate()
    assert process.returncode == 4
    assert err == b"error: empty:\\x1b[31mnope\\xff: not found (opening for reading)\n"
    out, _ = start("cat", os.fsdecode(b"empty:\xff\xfe")).communicate()
    assert out == b"x"
