"""A large file that is sent while it is written: whole or not at all, wherever one seeks."""

from __future__ import annotations

import gc
import os
import random
import zipfile

import boto3
import pytest
from botocore.config import Config

from genro_storage import StorageError, StorageExistsError, StorageManager
from genro_storage.backends.s3 import streaming
from tests.services.s3 import KEY, SECRET
from tests.support.s3_places import begun

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(streaming, "PART", 5 * MIB)
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PUT_AT_ONCE", 6 * MIB)


@pytest.fixture
def config(moto_server):
    return moto_server.mount()


@pytest.fixture
def store(config):
    with StorageManager() as storage:
        storage.configure([{"name": "store", **config}])
        yield storage


@pytest.fixture
def uploads(config):
    client = boto3.client(
        "s3",
        endpoint_url=config["endpoint_url"],
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield lambda: begun(client, config)
    client.close()


def sent(node):
    """The numbers of the parts that are sent from now on."""
    client, numbers = node._mount.backend._store.client, []
    send = client._send

    async def noting(sdk, operation, parameters):
        if operation == "upload_part":
            numbers.append(parameters["PartNumber"])
        return await send(sdk, operation, parameters)

    client._send = noting
    return numbers


def test_parts_leave_while_the_file_is_written(store, uploads):
    node = store.node("store:big.bin")
    numbers, data = sent(node), os.urandom(23 * MIB + 5)
    with node.open("wb") as stream:
        for start in range(0, len(data), MIB):
            stream.write(data[start : start + MIB])
            if start == 18 * MIB:
                assert len(numbers) >= 1
                assert not node.exists and len(uploads()) == 1
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    assert node.read_bytes() == data
    assert uploads() == []


def test_what_is_corrected_is_sent_again(store, uploads):
    node = store.node("store:big.bin")
    numbers, expected = sent(node), bytearray(os.urandom(17 * MIB))
    with node.open("wb") as stream:
        stream.write(expected)
        stream.flush()
        for at in (3, 12 * MIB):
            stream.seek(at)
            stream.write(b"corrected")
            expected[at : at + 9] = b"corrected"
        stream.seek(0, os.SEEK_END)
        stream.write(b"end")
    assert node.read_bytes() == bytes(expected) + b"end"
    assert sorted(numbers) == [1, 1, 2, 3, 3, 4]


def test_any_order_of_writing_gives_what_a_file_would_hold(store, uploads, tmp_path):
    chance, node = random.Random(4), store.node("store:any.bin")
    with node.open("wb") as ours, (tmp_path / "any.bin").open("wb") as file:
        for _ in range(12):
            data, at = chance.randbytes(chance.randrange(4 * MIB)), chance.randrange(20 * MIB)
            for stream in (ours, file):
                stream.seek(at)
                stream.write(data)
        for size in (13 * MIB, 16 * MIB):
            ours.truncate(size)
            file.truncate(size)
    assert node.read_bytes() == (tmp_path / "any.bin").read_bytes()
    assert uploads() == []


def test_a_file_that_becomes_small_again_is_one_request(store, uploads):
    node = store.node("store:small.bin")
    with node.open("wb") as stream:
        stream.write(bytes(12 * MIB))
        stream.truncate(5)
    assert node.read_bytes() == bytes(5)
    assert uploads() == []


def test_a_zip_archive_seeks_back(store):
    node = store.node("store:a.zip")
    content = os.urandom(9 * MIB)
    with node.open("wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        for name in ("one", "two"):
            with archive.open(name, "w") as entry:
                entry.write(content)
    with node.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        assert archive.read("two") == content


@pytest.mark.parametrize("ending", ["exception", "interrupt", "abandoned", "refused"])
def test_whatever_ends_it_leaves_nothing(store, uploads, ending):
    node = store.node("store:big.bin")
    node.write_bytes(b"before")
    if ending == "refused":
        _refuse_part(node, 2)
        with pytest.raises(StorageError, match="broken"), node.open("wb") as stream:
            for _ in range(20):
                stream.write(bytes(MIB))
    elif ending == "abandoned":
        stream = node.open("wb")
        stream.write(bytes(12 * MIB))
        with pytest.warns(ResourceWarning, match="dropped"):
            del stream
            gc.collect()
    else:
        error = RuntimeError if ending == "exception" else KeyboardInterrupt
        with pytest.raises(error), node.open("wb") as stream:
            stream.write(bytes(12 * MIB))
            raise error
    assert uploads() == []
    assert node.read_bytes() == b"before"


def _refuse_part(node, number):
    client = node._mount.backend._store.client
    send = client._send

    async def refusing(sdk, operation, parameters):
        if parameters.get("PartNumber") == number:
            raise OSError("broken")
        return await send(sdk, operation, parameters)

    client._send = refusing


def test_a_name_that_was_taken_meanwhile_is_kept(store, uploads):
    node = store.node("store:once.bin")
    with pytest.raises(StorageExistsError, match=r"store:once\.bin"), node.open("xb") as stream:
        stream.write(bytes(14 * MIB))
        node.write_bytes(b"faster")
    assert node.read_bytes() == b"faster"
    assert uploads() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_leaves_the_upload_alone(store):
    node = store.node("store:big.bin")
    data = os.urandom(14 * MIB)
    with node.open("wb") as stream:
        stream.write(data)
        stream.flush()
        child = os.fork()
        if child == 0:
            try:
                stream.abort()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    assert node.read_bytes() == data
