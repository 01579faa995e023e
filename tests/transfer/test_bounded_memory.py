"""Plans and copies of many files in a process that is looked at from outside: memory is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak is read in /proc"),
]

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024

MEASURE = """
import json, sys
from genro_storage import StorageManager
from genro_storage.backends.memory import MemoryBackend
from genro_storage.info import FileInfo
from genro_storage.mount import Mount
from genro_storage.transfer import Place, plan_copy

class Listed(MemoryBackend):
    '''A store whose listing is made up as it is asked for.'''
    concurrency = 4
    size = 10
    def __init__(self, count):
        super().__init__()
        self.count = count
        self.mkdir("tree")
    def find(self, path, *, enter=None):
        assert path == "tree"
        for number in range(self.count):
            if number % 500 == 0:
                yield FileInfo(f"tree/d{number // 500:04}", "directory")
            name = f"tree/d{number // 500:04}/a file of this number {number:06}.bin"
            yield FileInfo(name, "file", self.size, 1e9)

class Unsure(Listed):
    '''Two of them may be one store, for what anybody knows.'''
    address_is_sure = False
    def address(self, path):
        return ("somewhere", id(self)), path

def listed(count, kind=Listed, **terms):
    places = [Place(Mount(name, kind(count)), "tree") for name in "xy"]
    return plan_copy(*places, skip="size", **terms)

def copied(count, **terms):
    with StorageManager() as storage:
        mounts = [{"name": n, "type": "local", "path": f"{sys.argv[1]}/{n}"} for n in "xy"]
        storage.configure(mounts)
        return storage.node(f"x:{count}").plan_copy(f"y:{count}").apply(**terms)

WAYS = {
    "looked at": lambda count: sum(1 for _ in listed(count)),
    "unsure": lambda count: sum(1 for _ in listed(count, Unsure)),
    "mirrored": lambda count: sum(1 for _ in listed(count, delete=True)),
    "one by one": lambda count: listed(count).apply(concurrency=1).skipped,
    "in threads": lambda count: listed(count).apply(concurrency=4).skipped,
    "copied": lambda count: copied(count, concurrency=1).copied,
    "copied in threads": lambda count: copied(count, concurrency=4).copied,
}
def peak():
    # Not ru_maxrss, which begins with that of whoever has started this process.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

way = WAYS[sys.argv[2]]
few, many = int(sys.argv[3]), int(sys.argv[4])
way(few)
before = peak()
found = way(many)
print(json.dumps([found, peak() - before]))
"""


def measured(where, way, few, many):
    """What has come of the greater number, and how many bytes more it took than the smaller one."""
    command = [sys.executable, "-c", MEASURE, str(where), way, str(few), str(many)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, more = json.loads(done.stdout)
    print(f"{way}: {more / MIB:.1f} MiB more for {many} files than for {few}")
    return found, more


# As a list the entries of either side would take 80 MiB.
@pytest.mark.parametrize("way", ["looked at", "unsure", "mirrored", "one by one", "in threads"])
def test_a_plan_of_200_000_entries_takes_no_more_memory_than_one_of_2000(way, tmp_path):
    found, more = measured(tmp_path, way, 2_000, 200_000)
    assert found == 200_000
    assert more < 8 * MIB


# Of each file a kilobyte would be 20 MiB.
@pytest.mark.parametrize("way", ["copied", "copied in threads"])
def test_copying_20_000_files_takes_no_more_memory_than_1000(way, tmp_path):
    for count in (1_000, 20_000):
        for number in range(count):
            path = tmp_path / "x" / f"{count}" / f"d{number // 200:03}" / f"f{number:05}.bin"
            if number % 200 == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"%d" % number)
    (tmp_path / "y").mkdir()
    found, more = measured(tmp_path, way, 1_000, 20_000)
    assert found == 20_000
    assert more < 8 * MIB
