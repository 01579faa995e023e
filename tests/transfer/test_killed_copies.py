"""Copies of five hundred files that are killed with SIGKILL at random moments, and run again.

``GENRO_STORAGE_KILLS=100`` kills as often; the moments follow from a seed
(``GENRO_STORAGE_KILL_SEED``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genro_storage import StorageManager
from tests.services.proxy import Proxy
from tests.services.s3 import BUCKET

pytestmark = [pytest.mark.services, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("GENRO_STORAGE_KILL_SEED", "20261129"))
KILLS = int(os.environ.get("GENRO_STORAGE_KILLS", "3"))
MIB = 1024 * 1024
MANY = 500
#: Bytes of the few large ones: those over 32 MiB go to S3 in parts, and on from where they were.
LARGE = [size * MIB for size in (20, 40, 9, 33, 12)]
#: Of the others.
SMALL = (0, 900, 4_096, 70_000, 700_000, 2_500_000)
#: How much may be sent in all, for each byte of the tree, by a copy and the run after it.
MOST = 1.1

COPY = """
import json, sys
from genro_storage import StorageManager
mounts, source, target = json.loads(sys.argv[1]), *sys.argv[2:]
with StorageManager() as storage:
    storage.configure(mounts)
    print("ready", flush=True)
    sys.stdin.readline()
    storage.node(source).copy_to(target, skip="hash", resume=True)
print("copied", flush=True)
"""


def make_tree(root):
    """Five hundred files in the directory ``root``; how many bytes."""
    numbers = random.Random(SEED)
    block = numbers.randbytes(40 * MIB + 1000)
    sizes = {50 + 100 * number: size for number, size in enumerate(LARGE)}
    for number in range(MANY):
        path = root / f"d{number // 25:02}" / f"f {number:03}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = sizes.get(number, numbers.choice(SMALL))
        start = numbers.randrange(1000)
        path.write_bytes(block[start : start + size])
    return size_of(root)


def size_of(root):
    """Bytes of all files below a directory, hidden ones included."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def digests(root):
    """Of all files below a directory, hidden ones included."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                name = path.relative_to(root).as_posix()
                found[name] = hashlib.file_digest(stream, "blake2b").hexdigest()
    return found


class Copy:
    """A copy in a process that waits for its start."""

    def __init__(self, mounts, source, target):
        self.process = subprocess.Popen(
            [sys.executable, "-c", COPY, json.dumps(mounts), source, target],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start(self):
        assert self.process.stdout.readline() == b"ready\n", self.process.stderr.read().decode()
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)

    def end(self):
        """Whether it has come to its end, rather than been killed."""
        said, errors = self.process.communicate()
        assert self.process.returncode in (0, -signal.SIGKILL), errors.decode()
        return said == b"copied\n"


class Ground:
    """A tree of ``size`` bytes, and the places that it is copied between."""

    def __init__(self, server, proxy, storage, where):
        self.proxy, self.storage, self.where = proxy, storage, where
        config = {"name": "far", **server.mount(), "endpoint_url": proxy.url}
        self.mounts = [config, {"name": "disk", "type": "local", "path": str(where / "disk")}]
        self.far = server.directory / "data" / BUCKET / config["prefix"]
        self.tree = where / "disk" / "tree"
        self.size = make_tree(self.tree)
        storage.configure(self.mounts)

    def uploads(self, place):
        """What the server has of unfinished uploads to this place, with their numbers of parts."""
        import boto3

        mount, prefix = self.mounts[0], f"{self.mounts[0]['prefix']}/{place.partition(':')[2]}/"
        client = boto3.client(
            "s3",
            endpoint_url=mount["endpoint_url"],
            region_name="us-east-1",
            aws_access_key_id=mount["key"],
            aws_secret_access_key=mount["secret"],
        )

        def parts(found):
            return len(client.list_parts(Bucket=BUCKET, **found).get("Parts", ()))

        try:
            every = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
            wanted = [{name: each[name] for name in ("Key", "UploadId")} for each in every]
            return [(each, parts(each)) for each in wanted if each["Key"].startswith(prefix)]
        except client.exceptions.NoSuchUpload:
            return []  # this server's word for none
        finally:
            client.close()

    def forget_notes(self):
        """How many files that have arrived have notes, from a kill between the two; they go."""
        folder = self.where / "state" / "transfers"
        found = list(folder.iterdir()) if folder.is_dir() else []
        for each in found:
            each.unlink()
        assert len(found) <= 2, "no more large files were under way"
        return len(found)

    def copy(self, source, target):
        """The whole of it, in this process; how many bytes of files were copied."""
        plan = self.storage.node(source).plan_copy(target, skip="hash")
        return plan.apply(resume=True, fresh=True).bytes_copied


@pytest.fixture
def ground(own_rclone, tmp_path, monkeypatch):
    monkeypatch.setenv("GENRO_STORAGE_STATE", str(tmp_path / "state"))
    with Proxy(own_rclone.port) as proxy, StorageManager() as storage:
        yield Ground(own_rclone, proxy, storage, tmp_path)


def by_the_bytes(ground, copy, moment, _):
    """Kill the copy when that share of all bytes has passed; below zero, so soon after its start."""
    if moment > 0:
        ground.proxy.after(int(moment * ground.size), copy.kill)
    copy.start()
    if moment <= 0:
        time.sleep(-moment)
        copy.kill()


def by_what_is_there(ground, copy, moment, place):
    """Kill the copy when that share of all bytes has arrived; below zero, so soon after its start."""
    copy.start()
    if moment <= 0:
        time.sleep(-moment)
    while copy.process.poll() is None and arrived(place) < moment * ground.size:
        pass
    copy.kill()


def arrived(root):
    """Bytes below a directory in which files get other names meanwhile."""
    found = 0
    for above, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found += os.lstat(os.path.join(above, name)).st_size
    return found


def killed_and_run_again(ground, source, target, where, kill):
    """What was moved in all, for each byte of the tree, by each copy and the run after it."""
    moments = random.Random(f"{SEED}-{source}-{target}")
    shares = []
    ended = notes = 0
    strays = []
    expected = digests(ground.tree)
    for number in range(KILLS):
        before = ground.proxy.passed
        copy = Copy(ground.mounts, source, f"{target}/{number}")
        kill(ground, copy, moments.uniform(-0.05, 0.95), where / f"{number}")
        ended += copy.end()
        left = 0 if target.startswith("far:") else size_of(where / f"{number}")
        moved = left + ground.copy(source, f"{target}/{number}")
        assert digests(where / f"{number}") == expected, f"kill {number} (seed {SEED})"
        if "far:" in source + target:
            moved = ground.proxy.passed - before
        shares.append(moved / ground.size)
        print(f"{shares[-1]:.3f}", end=" ", flush=True)
        strays += ground.uploads(f"{target}/{number}")
        notes += ground.forget_notes()
        shutil.rmtree(where / f"{number}")
    mean = sum(shares) / len(shares)
    print(f"\n{KILLS} kills, {ended} too late, {notes} notes left: {mean:.3f} of", end=" ")
    print(f"{ground.size // MIB} MiB moved, at most {max(shares):.3f}")
    assert strays == [], f"unfinished uploads (seed {SEED})"
    assert ended <= KILLS / 5, "the kills were to come in the middle"
    return shares


@pytest.mark.timeout(7200)
def test_a_killed_upload_is_completed_by_another_run(ground):
    shares = killed_and_run_again(ground, "disk:tree", "far:up", ground.far / "up", by_the_bytes)
    assert max(shares) <= MOST


@pytest.mark.timeout(7200)
def test_a_killed_download_is_completed_by_another_run(ground):
    ground.copy("disk:tree", "far:tree")
    disk = ground.where / "disk"
    shares = killed_and_run_again(ground, "far:tree", "disk:down", disk / "down", by_the_bytes)
    assert max(shares) <= MOST


@pytest.mark.timeout(7200)
def test_a_killed_copy_between_local_places_is_completed_by_another_run(ground):
    disk = ground.where / "disk"
    shares = killed_and_run_again(
        ground, "disk:tree", "disk:again", disk / "again", by_what_is_there
    )
    assert max(shares) <= MOST
