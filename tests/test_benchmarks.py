"""The benchmarks run: with a few objects, and without a look at their figures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.azure import Azurite
from tests.services.base import skip_or_fail
from tests.services.gcs import FakeGcs
from tests.services.s3 import Moto, RcloneS3

ROOT = Path(__file__).resolve().parents[1]


def run(script, *arguments):
    """What it prints."""
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(1200)
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
    printed = run(script, "--small", "--server", server)
    for title in ("objects of 4 KiB up", "down", "exists", "at once", "upload", "download", "peak"):
        assert title in printed
    for name in peers:
        rows = [line for line in printed.splitlines() if line.startswith(f"  {name} ")]
        assert len(rows) == 7, printed


LIBRARIES = "genro_storage,rclone,obstore,s3fs,boto3"


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("server", "only", "peers", "rows"),
    [
        # How many rows each is in, of those that are measured.
        (
            RcloneS3,
            "up,down,again,within,requests,large",
            LIBRARIES,
            {"genro_storage": 11, "rclone": 11, "obstore": 5, "s3fs": 5, "boto3": 5},
        ),
        (RcloneS3, "down", "genro_storage,genro-storage cp", {"genro-storage cp": 1}),
        (Moto, "up,within", LIBRARIES, {"genro_storage": 2, "rclone": 2, "s3fs": 2}),
        (
            RcloneS3,
            "local,local-again,merge",
            "genro_storage,shutil.copytree,cp -r",
            {"genro_storage": 2, "shutil.copytree": 1, "cp -r": 1, "plan_tree, skip=size": 1},
        ),
    ],
    ids=["objects", "command", "moto", "no server"],
)
def test_the_benchmark_of_transfers(server, only, peers, rows):
    for needed in (server, RcloneS3):
        if needed.missing() is not None:
            skip_or_fail(f"{needed.missing()}; install it with: {needed.install}")
    script = ROOT / "benchmarks" / "bench_transfer.py"
    chosen = ["--server", "moto" if server is Moto else "rclone", "--only", only, "--peers", peers]
    printed = run(script, "--small", *chosen)
    assert "what was to be reached" in printed
    for name, count in rows.items():
        measured = re.findall(rf"^  {re.escape(name)} +[0-9.]+ ms ", printed, re.MULTILINE)
        assert len(measured) == count, printed
    assert ("requests, counted" in printed) == ("requests" in only)
    assert ("peak memory of the process" in printed) == ("large" in only)
