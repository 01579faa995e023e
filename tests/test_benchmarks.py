"""The benchmarks run: with a few objects, and without a look at their figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.azure import Azurite
from tests.services.base import skip_or_fail
from tests.services.gcs import FakeGcs
from tests.services.s3 import RcloneS3

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.parametrize(
    ("server", "needed", "peers"),
    [
        ("rclone", RcloneS3, ("obstore", "genro_storage", "s3fs", "boto3")),
        ("azurite", Azurite, ("obstore", "genro_storage", "azure-storage-blob", "adlfs")),
        ("fake-gcs", FakeGcs, ("genro_storage", "gcsfs")),
    ],
)
def test_the_benchmark_of_object_stores(server, needed, peers):
    missing = needed.missing()
    if missing is not None:
        skip_or_fail(f"{missing}; install it with: {needed.install}")
    script = ROOT / "benchmarks" / "bench_object_stores.py"
    done = subprocess.run(
        [sys.executable, str(script), "--small", "--server", server],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for title in ("objects of 4 KiB up", "down", "exists", "at once", "upload", "download", "peak"):
        assert title in done.stdout
    for name in peers:
        rows = [line for line in done.stdout.splitlines() if line.startswith(f"  {name} ")]
        assert len(rows) == 7, done.stdout
