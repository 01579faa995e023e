"""Mounts to work on, and two ways to run the program: in this process, and as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from genro_storage.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "genro_storage"]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)


def files(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The current directory: a configuration, the mount docs with files, the mount empty."""
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / "a.txt").write_text("hello\n")
    (docs / "sub" / "b.bin").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mounts.yaml").write_text(
        "mounts:\n"
        "  - {name: docs, type: local, path: docs}\n"
        "  - {name: empty, type: local, path: empty}\n"
        "  - {name: memory, type: memory}\n"
        "  - {name: fixed, path: 'docs:sub', permissions: readonly}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENRO_STORAGE_CONFIG", "mounts.yaml")
    return tmp_path


@pytest.fixture
def run(work):
    """Run the program in this process."""

    def call(*arguments, **options):
        given = [str(each) for each in arguments]
        result = CliRunner().invoke(app, given, prog_name="genro", **options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def start(work):
    """Start the program as a process of its own."""
    started = []

    def call(*arguments, env=None, **options):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            **options,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


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
