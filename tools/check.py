"""Run every check, one line each; with ``--tests`` then pytest, whose summary comes last.

``python tools/check.py [--tests [PYTEST ARGUMENT ...]]``. A check that fails does not stop the
others. The exit status is 0 only where all of them, and the tests, passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str]] = {
    "lint": ["ruff", "check", "--quiet", "."],
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "mypy": ["mypy", "--no-error-summary"],
    "pyright": ["pyright", "--pythonpath", sys.executable],
    "public types": [
        *("pyright", "--pythonpath", sys.executable),
        *("--ignoreexternal", "--verifytypes", "genro_storage"),
    ],
    "layers": ["lint-imports"],
}


def run_check(command: list[str]) -> tuple[int, str, float]:
    """The exit status, the output and the seconds of one check."""
    started = time.monotonic()
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, time.monotonic() - started


def environment() -> dict[str, str]:
    """Commands of the same environment first, and no notices about newer versions."""
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        # The node that pip installed, whichever else is on PATH: the same everywhere.
        "PYRIGHT_PYTHON_GLOBAL_NODE": "0",
    }


def run_tests(arguments: list[str]) -> int:
    """Pytest with coverage, in twice as many processes as there are cores: servers make them wait."""
    workers = str(2 * (os.cpu_count() or 1))
    command = [sys.executable, "-m", "pytest", "-n", workers, "--cov", "--cov-report=term"]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def main(arguments: list[str]) -> int:
    """Run and report; see the module's docstring."""
    failed: list[str] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(run_check, CHECKS.values())
        for name, (status, output, seconds) in zip(CHECKS, results, strict=True):
            print(f"{'ok  ' if status == 0 else 'FAIL'} {name} ({seconds:.1f} s)", flush=True)
            if status != 0:
                failed.append(name)
                print(output, flush=True)
    if arguments[:1] == ["--tests"]:
        if run_tests(arguments[1:]) != 0:
            failed.append("tests")
    elif arguments:
        print(f"unknown arguments: {' '.join(arguments)}\n{__doc__}", file=sys.stderr)
        return 2
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
