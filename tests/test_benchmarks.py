"""The benchmarks run: with a few objects, and without a look at their figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.services
def test_the_benchmark_of_object_stores():
    script = ROOT / "benchmarks" / "bench_object_stores.py"
    done = subprocess.run(
        [sys.executable, str(script), "--small", "--server", "rclone"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for title in ("objects of 4 KiB up", "down", "exists", "at once", "upload", "download", "peak"):
        assert title in done.stdout
    for name in ("obstore", "genro_storage", "s3fs", "boto3"):
        rows = [line for line in done.stdout.splitlines() if line.startswith(f"  {name} ")]
        assert len(rows) == 7, done.stdout
