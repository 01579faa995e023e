"""Multipart uploads that end in the middle: no object, ever; and nothing left that is not found.

Every part that was uploaded costs money until somebody forgets the upload.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genro_storage import StorageManager
from tests.services.proxy import Proxy
from tests.support.engines import ENGINES, on_engine

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
SIZE = 64 * MIB

WRITER = """
import json, sys
from genro_storage import StorageManager
storage = StorageManager()
storage.configure(json.loads(sys.argv[1]))
target = storage.node("far:d/big.bin")
if sys.argv[2] == "copy":
    storage.node("disk:big.bin").copy_to(target)
else:
    with target.open("wb") as handle:
        for _ in range(64):
            handle.write(bytes(1024 * 1024))
print("written to its end")
"""


@pytest.fixture
def proxy(moto_server):
    with Proxy(moto_server.port) as proxy:
        yield proxy


@pytest.fixture(params=ENGINES)
def mounts(request, moto_server, proxy, tmp_path):
    far = {"name": "far", **on_engine(moto_server.mount(), request.param)}
    return [
        {**far, "endpoint_url": proxy.url},
        {**far, "name": "direct"},
        {"name": "disk", "type": "local", "path": str(tmp_path)},
    ]


@pytest.fixture
def storage(mounts):
    with StorageManager() as storage:
        storage.configure(mounts)
        yield storage


@pytest.fixture
def client(mounts):
    """Somebody else's client, for what ours does not do."""
    import boto3

    mount = mounts[1]
    names = {"aws_access_key_id": mount["key"], "aws_secret_access_key": mount["secret"]}
    client = boto3.client(
        "s3", endpoint_url=mount["endpoint_url"], region_name="us-east-1", **names
    )

    yield client
    client.close()


@pytest.fixture
def uploads(mounts, client):
    """What is under way, as the server itself lists it."""
    bucket, prefix = mounts[1]["bucket"], mounts[1]["prefix"]

    def found():
        answer = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)
        return [each["Key"].removeprefix(prefix + "/") for each in answer.get("Uploads", ())]

    return found


def files(storage):
    folder = storage.node("direct:d")
    return [child.name for child in folder.children()] if folder.exists else []


def cleanup(mounts, tmp_path, *arguments):
    config = tmp_path / "mounts.json"
    config.write_text(json.dumps({"mounts": mounts}))
    command = [sys.executable, "-m", "genro_storage", "--config", str(config), "cleanup", "direct"]
    done = subprocess.run(
        [*command, *arguments, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "replacing"])
@pytest.mark.parametrize("way", ["copy", "stream"])
def test_a_killed_upload_leaves_no_object_and_cleanup_finds_the_rest(
    mounts, storage, proxy, uploads, tmp_path, way, old
):
    if old is not None:
        storage.node("direct:d/big.bin").write_bytes(old)
    if way == "copy":
        storage.node("disk:big.bin").write_bytes(bytes(SIZE))
    middle = threading.Event()
    proxy.after(SIZE // 2, middle.set)
    proxy.speed = 64 * MIB  # so that the end does not come before the kill
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, json.dumps(mounts), way],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert middle.wait(60), "the upload did not come to its middle"
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        said, errors = writer.communicate()
    assert said == b"", "the writer was to be killed in the middle"
    assert writer.returncode == -signal.SIGKILL, errors.decode()
    assert files(storage) == ([] if old is None else ["big.bin"])
    if old is not None:
        assert storage.node("direct:d/big.bin").read_bytes() == old
    assert uploads() == ["d/big.bin"]

    # moto says of each upload that it was begun in 2010.
    done = cleanup(mounts, tmp_path, "--older-than", "3e9")
    names = {"names": [], "left_names": ["d/big.bin"]}
    assert done == {"mount": "direct", "removed": 0, "left": 1, **names}
    assert uploads() == ["d/big.bin"], "what is young may be at work"
    done = cleanup(mounts, tmp_path, "--older-than", "0")
    names = {"names": ["d/big.bin"], "left_names": []}
    assert done == {"mount": "direct", "removed": 1, "left": 0, **names}
    assert uploads() == []
    assert files(storage) == ([] if old is None else ["big.bin"])


class _Stop(Exception):  # noqa: N818
    pass


def raise_in_the_block(storage, proxy):
    with storage.node("far:d/big.bin").open("wb") as handle:
        for _ in range(SIZE // MIB - 1):
            handle.write(bytes(MIB))
        raise _Stop


def a_server_that_refuses_the_last_step(storage, proxy):
    from tests.services.proxy import Refusal

    proxy.gate = lambda asked: (
        Refusal(400, "InvalidPart") if asked.operation == "POST?uploadId" else None
    )
    try:
        with storage.node("far:d/big.bin").open("wb") as handle:
            handle.write(bytes(SIZE))
    finally:
        proxy.gate = None


def a_server_that_refuses_a_part(storage, proxy):
    from tests.services.proxy import Refusal

    proxy.gate = lambda asked: (
        Refusal(403, "AccessDenied") if asked.query.get("partNumber") == "3" else None
    )
    storage.node("disk:big.bin").write_bytes(bytes(SIZE))
    try:
        storage.node("disk:big.bin").copy_to("far:d/big.bin")
    finally:
        proxy.gate = None


def an_interrupted_copy(storage, proxy):
    """Control-C comes to the main thread."""
    storage.node("disk:big.bin").write_bytes(bytes(SIZE))
    proxy.speed = 64 * MIB
    proxy.after(SIZE // 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    storage.node("disk:big.bin").copy_to("far:d/big.bin")


@pytest.mark.parametrize(
    ("way", "error"),
    [
        (raise_in_the_block, _Stop),
        (a_server_that_refuses_the_last_step, OSError),
        (a_server_that_refuses_a_part, PermissionError),
        (an_interrupted_copy, KeyboardInterrupt),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_exception_leaves_no_object_and_no_upload(storage, proxy, uploads, way, error):
    with pytest.raises(error):
        way(storage, proxy)
    assert files(storage) == []
    assert uploads() == []


def test_cleanup_names_what_it_forgets_as_the_mount_does(mounts, storage, client, uploads):
    storage.configure([{"name": "part", "path": "direct:d"}])
    for name in ("d/one.bin", "d/e/two.bin", "other.bin"):
        client.create_multipart_upload(
            Bucket=mounts[1]["bucket"], Key=f"{mounts[1]['prefix']}/{name}"
        )
    young = storage.cleanup("part", older_than=3e9)
    assert (young, sorted(young.left_names)) == (0, ["e/two.bin", "one.bin"])
    found = storage.cleanup("part", older_than=0)
    assert (found, sorted(found.names)) == (2, ["e/two.bin", "one.bin"])
    assert uploads() == ["other.bin"]
    assert storage.cleanup("direct", older_than=0).names == ("other.bin",)


def test_an_upload_of_a_narrowed_mounts_very_root_has_no_name_of_the_parents(
    mounts, storage, client, uploads
):
    storage.configure(
        [{"name": "part", "path": "direct:d"}, {"name": "deeper", "path": "part:./e"}]
    )
    for name in ("d", "d/e", "d/e/d", "dd"):
        client.create_multipart_upload(
            Bucket=mounts[1]["bucket"], Key=f"{mounts[1]['prefix']}/{name}"
        )
    assert sorted(storage.cleanup("deeper", older_than=3e9).left_names) == ["", "d"]
    assert sorted(storage.cleanup("part", older_than=3e9).left_names) == ["", "e", "e/d"]
    mount = storage.node("part:")._mount
    assert sorted(mount.cleanup("./e", 3e9).left_names) == ["./e", "./e/d"]  # as written
    assert sorted(storage.cleanup("deeper", older_than=0).names) == ["", "d"]
    assert storage.cleanup("part", older_than=0).names == ("",)
    assert uploads() == ["dd"]
    assert storage.cleanup("direct", older_than=0).names == ("dd",)
