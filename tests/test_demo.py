"""The main job of `make demo`, from the YAML file in the repository to the last line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_what_takes_long_before_the_demo_is_said_first(tmp_path):
    done = subprocess.run(
        ["make", "--dry-run", "demo", f"VENV={tmp_path / 'none'}"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    said = next(n for n, line in enumerate(lines) if line.startswith('echo "installing the'))
    assert "uv pip install" in lines[said + 1]


@pytest.mark.slow
def test_the_demo_copies_once_and_finds_everything_equal(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo" / "demo.py")],
        cwd=tmp_path,
        env={**os.environ, "GENRO_DEMO_DATA": str(tmp_path / "data")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    first = re.findall(r"^first run: .*: (\d+) copied, 0 skipped$", done.stdout, re.MULTILINE)
    second = re.findall(
        r"^second run: .*: 0 copied, (\d+) skipped \(same content\)$", done.stdout, re.MULTILINE
    )
    assert len(first) == 2
    assert first == second
    digests = re.findall(r"^sha256 of the tree ([0-9a-f]{64})  ", done.stdout, re.MULTILINE)
    assert len(digests) == 3
    assert len(set(digests)) == 1
    backup = tmp_path / "data" / "backup"
    assert (backup / "files" / "pyproject.toml").read_bytes() == (
        ROOT / "pyproject.toml"
    ).read_bytes()
    with zipfile.ZipFile(backup / "files.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) >= int(first[0])
