"""What is peculiar to buckets: requests, markers, metadata, uploads in parts, URLs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from genro_storage import (
    StorageError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageManager,
    StorageNotEmptyError,
    StorageNotFoundError,
    StoragePathError,
    StorageValueError,
)
from genro_storage.backends.object_stores.source import Source
from tests.services.s3 import BUCKET, KEY, SECRET
from tests.support.s3_places import begun

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def config(moto_server, engine):
    return moto_server.mount(engine=engine)


@pytest.fixture
def engine():
    """By what single files are read and written; most tests take what comes by default."""
    return "auto"


with_each_engine = pytest.mark.parametrize("engine", ["obstore", "fsspec"])


@pytest.fixture
def storage(config):
    with StorageManager() as manager:
        manager.configure([{"name": "store", **config}])
        yield manager


@pytest.fixture
def small_parts(monkeypatch):
    """The smallest parts that S3 takes, so that large files need not be that large."""
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PART", 5 * MIB)
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PUT_AT_ONCE", 6 * MIB)


@pytest.fixture
def other(config):
    """Another client of the same bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=config["endpoint_url"],
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture
def put(other, config):
    def put(key, data=b"", **facts):
        other.put_object(Bucket=BUCKET, Key=f"{config['prefix']}/{key}", Body=data, **facts)

    return put


def store_of(storage):
    return storage.node("store:")._mount.backend._store


def noted(storage):
    """The operations that are asked for from now on, in order."""
    client, asked = store_of(storage).client, []
    send = client._send

    async def noting(sdk, operation, parameters):
        asked.append(operation)
        return await send(sdk, operation, parameters)

    client._send = noting
    engine = getattr(store_of(storage), "engine", None)
    for name in ("head", "read", "open", "put") if engine is not None else ():
        setattr(engine, name, _noted(asked, engine, name))
    return asked


def _noted(asked, engine, name):
    call = getattr(engine, name)
    operation = {"head": "head_object", "put": "put_object"}.get(name, "get_object")

    def noting(*args, **options):
        result = call(*args, **options)
        asked.append(operation)
        return result

    return noting


@pytest.fixture
def requests(storage):
    return noted(storage)


# -- requests ---------------------------------------------------------------------------------


@with_each_engine
def test_one_request_where_one_is_enough(storage, requests, engine):
    node = storage.node("store:d/a.txt")
    for step, expected in (
        (lambda: node.write_bytes(b"x" * 1000), ["put_object"]),
        (lambda: node.exists, ["head_object"]),
        (lambda: node.size, ["head_object"]),
        (node.read_bytes, ["get_object"]),
        (lambda: node._mount.read_bytes("d/a.txt", 10, 20), ["get_object"]),
        (lambda: list(node.parent.children()), ["list_objects_v2"]),
        (lambda: node.md5hash, ["head_object"]),
        (storage.node("store:")._mount.backend.check, ["list_objects_v2"]),
        (lambda: storage.node("store:none").exists, _missing(engine)),
    ):
        requests.clear()
        step()
        assert requests == expected


def _missing(engine):
    # What is not there obstore raises, so that it is not noted above.
    return ["list_objects_v2"] if engine == "obstore" else ["head_object", "list_objects_v2"]


@with_each_engine
def test_opening_and_reading_a_small_file_is_one_request(storage, requests):
    node = storage.node("store:a.txt")
    node.write_bytes(b"small")
    requests.clear()
    with node.open("rb") as stream:
        assert stream.read() == b"small"
    assert requests == ["get_object"]


def test_a_thousand_files_are_found_and_removed_in_a_few_requests(own_rclone):
    config = own_rclone.mount()
    top = own_rclone.directory / "data" / BUCKET / config["prefix"]
    for number in range(1100):
        path = top / f"t/{number % 40}/{number:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    with StorageManager() as storage:
        storage.configure([{"name": "store", **config}])
        requests = noted(storage)
        assert len(list(storage.node("store:")._mount.find("t"))) == 1140
        assert requests == ["list_objects_v2"] * 2
        requests.clear()
        storage.node("store:t").delete()
        assert requests.count("delete_objects") == 2
        assert len(requests) <= 6
        assert not storage.node("store:t").exists


@with_each_engine
def test_a_range_transfers_the_range(storage, engine):
    node = storage.node("store:big.bin")
    data = os.urandom(3 * MIB)
    node.write_bytes(data)
    fetched = _fetched(storage)
    read = node._mount.read_bytes
    for start, end in ((0, 10), (1_000_000, 1_000_100), (len(data) - 5, None), (5, 5 * MIB)):
        fetched.clear()
        assert read("big.bin", start, end) == data[start:end]
        assert sum(fetched) == len(data[start:end])
    assert read("big.bin", len(data) + 7) == b"" == read("big.bin", 9, 3)
    with node.open("rb") as stream:
        fetched.clear()
        stream.seek(-100, os.SEEK_END)
        assert stream.read() == data[-100:]
        assert sum(fetched) <= 100


def _fetched(storage):
    """How many bytes are fetched from now on, by request."""
    store, fetched = store_of(storage), []
    fetch = store.client.fetch

    async def noting(key, start, end, etag=None):
        found = await fetch(key, start, end, etag)
        fetched.append(len(found.data))
        return found

    store.client.fetch = noting
    if hasattr(store, "engine"):
        read = store.engine.read

        def reading(*args):
            body, data = read(*args)
            fetched.append(body.stop - body.start)
            return body, data

        store.engine.read = reading
    return fetched


# -- names and directories --------------------------------------------------------------------


def test_a_marker_is_a_directory_that_may_be_empty(storage, put):
    put("made/")
    node = storage.node("store:made")
    assert node.isdir and list(node.children()) == []
    assert [each.name for each in storage.node("store:").children()] == ["made"]
    assert [info.path for info in node._mount.find("")] == ["made"]
    put("made/x")
    assert [each.name for each in node.children()] == ["x"]
    (node / "x").unlink()
    node.rmdir()
    assert not node.exists


def test_deleting_a_tree_takes_its_marker_and_what_no_path_can_express(storage, put, other, config):
    for key in ("t/", "t/a", "t/b/", "t//odd", "t/../up", "t2"):
        put(key)
    storage.node("store:t").delete()
    left = other.list_objects_v2(Bucket=BUCKET, Prefix=config["prefix"])["Contents"]
    assert [each["Key"] for each in left] == [f"{config['prefix']}/t2"]


def test_a_directory_is_not_empty_where_it_holds_what_no_path_can_express(storage, put):
    put("d//x")
    with pytest.raises(StorageNotEmptyError):
        storage.node("store:d").rmdir()
    storage.node("store:d").delete()
    assert not storage.node("store:d").exists


def test_a_file_and_a_directory_of_one_name_are_the_file(storage, put, caplog):
    for key in ("a", "a/x", "b"):
        put(key, b"1")
    root = storage.node("store:")
    with caplog.at_level(logging.WARNING, "genro_storage"):
        assert [each.name for each in root.children()] == ["a", "b"]
    (told,) = caplog.messages
    assert told.startswith("'a' is a file and a directory, and listed as the file")
    assert [info.path for info in root._mount.find("")] == ["a", "a/x", "b"]
    assert (root / "a").isfile and (root / "a/x").isfile
    assert [each.path for each in (root / "a").children()] == ["a/x"]
    assert [each.path for each in root.rglob("*")] == ["a", "a/x", "b"]


def test_a_key_that_no_path_can_express_is_left_out_with_a_warning(storage, put, caplog):
    for key in ("/lead", "d//x", "d/../y", "fine"):
        put(key)
    with caplog.at_level(logging.WARNING, "genro_storage"):
        names = [each.name for each in storage.node("store:").children()]
        assert names == ["d", "fine"]
        assert list(storage.node("store:d").children()) == []
    assert len(caplog.records) == 3


def test_a_name_that_looks_like_a_version_is_a_name(storage):
    plain, odd = storage.node("store:a"), storage.node("store:a?versionId=1")
    plain.write_bytes(b"plain")
    odd.write_bytes(b"odd")
    odd.copy_to("store:b?versionId=2")
    assert plain.read_bytes() == b"plain"
    assert storage.node("store:b?versionId=2").read_bytes() == b"odd"


def test_a_key_that_is_too_long_is_refused_before_anything_is_written(storage, requests):
    node = storage.node("store:" + "d/" * 500 + "name.txt")
    with pytest.raises(StoragePathError, match="1024"):
        node.write_bytes(b"x")
    assert requests == []


def test_characters_that_a_bulk_deletion_cannot_name(storage):
    names = ["plain.txt", "bell\x07.txt", "return\r.txt", "<&>.txt"]
    for name in names:
        storage.node("store", "d", name).write_bytes(b"x")
    storage.node("store:")._mount.remove_many([f"d/{name}" for name in names])
    assert not storage.node("store:d").exists


# -- reading ----------------------------------------------------------------------------------


@with_each_engine
def test_a_file_that_is_replaced_while_it_is_read_is_no_mixture(storage):
    node = storage.node("store:big.bin")
    node.write_bytes(b"A" * 2 * MIB)
    with node.open("rb") as stream:
        assert stream.read(10) == b"A" * 10
        node.write_bytes(b"B" * 2 * MIB)
        with pytest.raises(StorageError, match=r"store:big\.bin.*meanwhile"):
            stream.read()
    assert node.read_bytes() == b"B" * 2 * MIB


@with_each_engine
def test_an_empty_file(storage, tmp_path):
    node = storage.node("store:empty")
    node.write_bytes(b"")
    assert node.read_bytes() == b"" and node.size == 0
    with node.open("rb") as stream:
        assert stream.read() == b"" == stream.read(10)
    with node.local_path() as path, open(path, "rb") as local:
        assert local.read() == b""


@with_each_engine
@pytest.mark.parametrize("step", ["read_bytes", "open", "copy"])
def test_reading_a_directory_or_nothing(storage, put, step):
    put("d/x")
    steps = {
        "read_bytes": lambda node: node.read_bytes(),
        "open": lambda node: node.open("rb"),
        "copy": lambda node: node._mount.copy(node.path, node._mount, "target"),
    }
    with pytest.raises(StorageIsDirectoryError, match="store:d"):
        steps[step](storage.node("store:d"))
    with pytest.raises(StorageNotFoundError, match="store:none"):
        steps[step](storage.node("store:none"))


@with_each_engine
def test_reading_in_order_and_by_leaps(storage):
    data = os.urandom(17 * MIB)
    node = storage.node("store:big.bin")
    node.write_bytes(data)
    with node.open("rb") as stream:
        parts = []
        while part := stream.read(777_777):
            parts.append(part)
        assert b"".join(parts) == data
        for at in (0, 15 * MIB, 3, 16 * MIB, 7 * MIB):
            stream.seek(at)
            assert stream.read(100) == data[at : at + 100]
    with node.open("rb") as stream:
        assert stream.read() == data


# -- writing ----------------------------------------------------------------------------------


@pytest.fixture
def uploads(other, config):
    return lambda: begun(other, config)


def test_a_large_file_goes_both_ways_in_parts(storage, uploads, tmp_path, requests, small_parts):
    data = os.urandom(21 * MIB + 123)
    source = tmp_path / "big.bin"
    source.write_bytes(data)
    with StorageManager() as disk:
        disk.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        node = storage.node("store:big.bin")
        disk.node("disk:big.bin").copy_to(node)
        assert requests.count("upload_part") == 5
        assert node.size == len(data)
        node.copy_to(disk.node("disk:back.bin"))
        assert (tmp_path / "back.bin").read_bytes() == data
        assert node.read_bytes() == data
        assert uploads() == []
        # Its ETag is none, so that the content was read.
        assert node.md5hash == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("failing", ["upload_part", "complete_multipart_upload"])
def test_an_upload_that_fails_leaves_no_parts(storage, uploads, failing, small_parts):
    client = store_of(storage).client
    send, count = client._send, 0

    async def failing_send(sdk, operation, parameters):
        nonlocal count
        count += operation == failing
        if operation == failing and count in (1, 3):
            raise OSError("broken")
        return await send(sdk, operation, parameters)

    client._send = failing_send
    node = storage.node("store:big.bin")
    with pytest.raises(StorageError, match="broken"):
        node.write_bytes(bytes(18 * MIB))
    assert uploads() == []
    assert not node.exists


def test_an_interrupted_upload_leaves_no_parts(storage, uploads, small_parts):
    """Control-C in the main thread, while parts are on their way."""
    client = store_of(storage).client
    send = client._send

    async def interrupting(sdk, operation, parameters):
        if operation == "upload_part" and parameters["PartNumber"] == 2:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await asyncio.sleep(5)
        return await send(sdk, operation, parameters)

    client._send = interrupting
    node = storage.node("store:big.bin")
    with pytest.raises(KeyboardInterrupt):
        node.write_bytes(bytes(18 * MIB))
    client._send = send
    assert uploads() == []
    assert not node.exists


@pytest.mark.parametrize("larger", [0, 12 * MIB], ids=["whole", "in parts"])
def test_a_file_that_changes_while_it_is_uploaded_is_not_stored(
    storage, uploads, tmp_path, monkeypatch, small_parts, larger
):
    source = tmp_path / "big.bin"
    source.write_bytes(bytes(5 * MIB + larger))
    piece = Source.piece

    def changing(self, start, end):
        found = piece(self, start, end)
        with source.open("r+b") as file:
            file.write(b"changed")
        os.utime(source, ns=(1, 1))
        return found

    monkeypatch.setattr(Source, "piece", changing)
    node = storage.node("store:big.bin")
    with pytest.raises(StorageError, match="changed while it was uploaded"):
        node._mount.upload(source, "big.bin")
    assert not node.exists
    assert uploads() == []


def test_cleanup_forgets_the_uploads_of_killed_writers(storage, other, config, uploads):
    for name in ("d/x", "d2/x", "d"):
        other.create_multipart_upload(Bucket=BUCKET, Key=f"{config['prefix']}/{name}")
    client = store_of(storage).client
    send = client._send

    async def dated(sdk, operation, parameters):
        answer = await send(sdk, operation, parameters)
        for each in answer.get("Uploads", ()):
            each["Initiated"] = datetime.now(UTC) - timedelta(minutes=10)  # moto says 2010
        return answer

    client._send = dated
    mount = storage.node("store:")._mount
    young = mount.cleanup("d", 3600)
    assert (young, young.left) == (0, 2)
    assert mount.cleanup("d", 60) == 2
    assert [each["Key"] for each in uploads()] == [f"{config['prefix']}/d2/x"]
    assert mount.cleanup("", 0) == 1


def test_what_took_the_name_of_a_large_file_meanwhile_is_kept(storage, uploads, small_parts):
    node = storage.node("store:once.bin")
    with pytest.raises(StorageExistsError, match=r"store:once\.bin"), node.open("xb") as stream:
        stream.write(bytes(9 * MIB))
        node.write_bytes(b"faster")
    assert node.read_bytes() == b"faster"
    assert uploads() == []


def test_the_content_type_follows_the_name(storage, other, config):
    storage.node("store:a.svg").write_bytes(b"<svg/>")
    storage.node("store:noname").write_bytes(b"?")
    for name, expected in (("a.svg", "image/svg+xml"), ("noname", "application/octet-stream")):
        found = other.head_object(Bucket=BUCKET, Key=f"{config['prefix']}/{name}")
        assert found["ContentType"] == expected


def test_a_large_copy_is_made_in_parts_by_the_server(storage, put, other, config, monkeypatch):
    monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_AT_ONCE", 6 * MIB)
    monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_PART", 5 * MIB)
    data = os.urandom(12 * MIB)
    put("a.bin", data, ContentType="x/y", Metadata={"k": "v"}, CacheControl="no-store")
    storage.node("store:a.bin").copy_to("store:b.bin")
    assert storage.node("store:b.bin").read_bytes() == data
    found = other.head_object(Bucket=BUCKET, Key=f"{config['prefix']}/b.bin")
    assert found["ETag"].endswith('-3"')
    assert (found["ContentType"], found["Metadata"], found["CacheControl"]) == (
        "x/y",
        {"k": "v"},
        "no-store",
    )
    storage.node("store:b.bin").set_metadata({"k": "w"})
    assert storage.node("store:b.bin").get_metadata() == {"k": "w"}
    assert storage.node("store:b.bin").read_bytes() == data


# -- metadata ---------------------------------------------------------------------------------


def test_setting_metadata_keeps_everything_else(storage, put, other, config):
    put("a", b"x", ContentType="text/x-own", CacheControl="max-age=1", ContentLanguage="it")
    node = storage.node("store:a")
    node.set_metadata({"Colour": "blue", "town": "Köln", "line": "a\nb", "space": " x "})
    assert node.get_metadata() == {"colour": "blue", "town": "Köln", "line": "a\nb", "space": " x "}
    found = other.head_object(Bucket=BUCKET, Key=f"{config['prefix']}/a")
    assert found["ContentType"] == "text/x-own"
    assert (found["CacheControl"], found["ContentLanguage"]) == ("max-age=1", "it")
    node.set_metadata({})
    assert node.get_metadata() == {}
    assert node.read_bytes() == b"x"


@pytest.mark.parametrize(
    "metadata", [{"two words": "x"}, {"ä": "x"}, {"a": "1", "A": "2"}, {"": "x"}]
)
def test_metadata_that_no_header_can_carry_is_refused(storage, put, metadata):
    put("a")
    with pytest.raises(StorageValueError, match=r"store:a.*metadata key"):
        storage.node("store:a").set_metadata(metadata)


def test_metadata_and_type_go_along_with_a_copy(storage, put):
    put("a", b"x", ContentType="text/x-own", Metadata={"k": "v"})
    storage.node("store:a").copy_to("store:b")
    assert storage.node("store:b").get_metadata() == {"k": "v"}
    assert storage.node("store:b").stat().content_type == "text/x-own"


def test_an_etag_is_a_digest_only_where_it_surely_is_one(storage, put, other, config):
    data = b"content" * 1000
    put("plain", data)
    put("sse", data, ServerSideEncryption="AES256")
    put("kms", data, ServerSideEncryption="aws:kms")
    part = bytes(5 * MIB)
    place = {"Bucket": BUCKET, "Key": f"{config['prefix']}/parts"}
    upload = {**place, "UploadId": other.create_multipart_upload(**place)["UploadId"]}
    done = [
        {"PartNumber": n, "ETag": other.upload_part(**upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in ((1, part), (2, b"end"))
    ]
    other.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    mount = storage.node("store:")._mount
    listed = {info.path: info for info in mount.scan("")}
    for name, content, known in (
        ("plain", data, True),
        ("sse", data, True),
        ("kms", data, False),
        ("parts", part + b"end", False),
    ):
        digest = hashlib.md5(content).hexdigest()
        assert storage.node(f"store:{name}").md5hash == digest
        for info in (mount.stat(name), listed[name]):
            found = mount.checksum(info)
            assert (found is not None) == known
            assert found is None or found == ("md5", digest)


# -- URLs -------------------------------------------------------------------------------------


def read_url(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def test_a_signed_url_serves_the_file_and_only_that(rclone_s3):
    """On rclone, which checks signatures."""
    with StorageManager() as storage:
        storage.configure([{"name": "store", **rclone_s3.mount()}])
        node = storage.node("store:a b+c.txt")
        node.write_bytes(b"served")
        url = node.url(expires_in=60)
        assert "X-Amz-Signature=" in url and "X-Amz-Expires=60" in url
        assert SECRET not in url
        assert read_url(url) == b"served"
        for wrong in (url.split("?")[0], url.replace("a%20b", "other"), url[:-1] + "x"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                read_url(wrong)
            assert caught.value.code in (400, 403)
            caught.value.close()


@pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
def test_a_url_for_an_impossible_time_is_refused(storage, seconds):
    with pytest.raises(StorageValueError, match=r"store:a.*expires_in"):
        storage.node("store:a").url(expires_in=seconds)


def test_an_anonymous_mount_has_plain_urls(config):
    anonymous = {name: config[name] for name in ("type", "bucket", "endpoint_url", "prefix")}
    with StorageManager() as storage:
        storage.configure([{"name": "open", **anonymous, "anon": True}])
        node = storage.node("open:a.txt")
        assert node.capabilities.public_urls and not node.capabilities.presigned_urls
        url = node.url()
        assert url == f"{config['endpoint_url']}/{BUCKET}/{config['prefix']}/a.txt"


# -- many at once, and the end ----------------------------------------------------------------


def test_eight_threads_share_one_mount(storage):
    def work(number):
        node = storage.node(f"store:t/{number}")
        for turn in range(5):
            node.write_bytes(f"{number} {turn}".encode() * 1000)
            assert node.read_bytes() == f"{number} {turn}".encode() * 1000
        return node.size

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(work, range(8)))) == 8
    assert len(storage.node("store:t").children()) == 8


def test_a_forked_process_makes_connections_of_its_own(storage):
    node = storage.node("store:a")
    node.write_bytes(b"parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if node.read_bytes() == b"parent" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert node.read_bytes() == b"parent"


@pytest.mark.parametrize("engine", ["fsspec"])
def test_a_forked_process_reads_on_without_what_comes_to_its_parent(storage):
    node = storage.node("store:a")
    content = os.urandom(3 * MIB)
    node.write_bytes(content)
    with node.open("rb") as stream:
        read = stream.read(MIB)
        assert stream.raw._inner._stream._ahead is not None
        # Of what is still on its way when the process forks, a child would never hear.
        ahead, never = stream.raw._inner._stream._ahead, Future()
        stream.raw._inner._stream._ahead = (ahead[0], never)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(20)
                status = 0 if read + stream.read() == content else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        stream.raw._inner._stream._ahead = ahead
        assert read + stream.read() == content


def test_a_program_that_forgets_to_close_says_nothing(config):
    code = (
        "from genro_storage import StorageManager\n"
        "storage = StorageManager()\n"
        f"storage.configure([{{'name': 'store', **{config!r}}}])\n"
        "storage.node('store:a').write_bytes(b'x')\n"
        "def forget():\n"
        "    other = StorageManager()\n"
        f"    other.configure([{{'name': 'store', **{config!r}}}])\n"
        "    other.node('store:a').read_bytes()\n"
        "forget()\n"
        "import gc; gc.collect()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


MEMORY = """
import sys
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{"name": "store", **CONFIG},
                   {"name": "disk", "type": "local", "path": sys.argv[1]}])
storage.node("store:small").write_bytes(b"x")
storage.node("store:small").read_bytes()
before = int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
storage.node("disk:big").copy_to("store:big")
storage.node("store:big").copy_to("disk:back")
with storage.node("store:big").open("rb") as stream:
    while stream.read(1 << 20):
        pass
storage.close()
print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before)
"""


@pytest.mark.slow
def test_a_large_file_takes_little_memory(rclone_s3, tmp_path):
    size = 256 * MIB
    with (tmp_path / "big").open("wb") as big:
        big.truncate(size)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            MEMORY.replace("CONFIG", repr(rclone_s3.mount())),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").stat().st_size == size
    assert int(done.stdout) * 1024 < 120 * MIB  # four parts each way, twice
