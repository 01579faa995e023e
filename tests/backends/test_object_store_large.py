"""Files far larger than the memory they may take, both ways, through every object store."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.services, pytest.mark.slow]

_MIB = 1024 * 1024
_SIZE = 128 * _MIB
#: What a transfer may need: some pieces at a time, on their way through client and library.
_ALLOWED = 80 * _MIB

_JOB = """
import hashlib, json, sys
from genro_storage import StorageManager
config, directory, size = json.loads(sys.argv[1])
def peak():
    return int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
with StorageManager() as manager:
    manager.configure([{"name": "far", **config}, {"name": "disk", "type": "local", "path": directory}])
    small = manager.node("far:small")
    small.write_bytes(b"xy")
    small.read_bytes()
    small._mount.read_bytes("small", 1, 2)  # and what else is loaded at the first use
    before = peak()
    source, far, back = manager.node("disk:a"), manager.node("far:a"), manager.node("disk:b")
    with source.open("wb") as stream:
        for number in range(size // 65536):
            stream.write(number.to_bytes(4, "big") * 16384)
    source.copy_to(far)
    far.copy_to(back)
    read = hashlib.md5()
    with far.open("rb") as stream:
        while piece := stream.read(1000000):
            read.update(piece)
    with far.parent.child("c").open("wb") as stream:
        for number in range(size // 65536):
            stream.write(number.to_bytes(4, "big") * 16384)
    expected = hashlib.md5()
    with source.open("rb") as stream:
        while piece := stream.read(1000000):
            expected.update(piece)
    streamed = manager.node("far:c")
    checksum = far._mount.checksum(far.stat())
    print(json.dumps({
        "grown": peak() - before,
        "read": read.hexdigest() == expected.hexdigest(),
        "copied": back.md5hash == expected.hexdigest(),
        "known": checksum is not None and checksum.hexdigest == expected.hexdigest(),
        "streamed": streamed.md5hash == expected.hexdigest(),
    }))
    far.delete(); streamed.delete()
"""


@pytest.mark.parametrize("kind", ["gcs", "azure"])
def test_a_large_file_needs_little_memory(kind, request, tmp_path):
    config = {**request.getfixturevalue(f"{kind}_mount"), "timeout": 60}
    job = json.dumps([config, str(tmp_path), _SIZE])
    done = subprocess.run(
        [sys.executable, "-c", _JOB, job], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    grown = found.pop("grown")
    assert found == {"read": True, "copied": True, "known": True, "streamed": True}
    assert grown < _ALLOWED, f"{grown // _MIB} MiB more"
