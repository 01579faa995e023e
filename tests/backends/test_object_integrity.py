"""Whether what arrives is what was stored, and what is known of contents without reading them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
from datetime import datetime

import pytest

from genro_storage import Checksum, StorageIOError, StorageValueError
from genro_storage.backends.object_stores.etags import MIB, has_etag, part_sizes
from genro_storage.backends.object_stores.verifying import Known, verifier_for
from tests.services.base import find_program, skip_or_fail
from tests.services.proxy import Proxy
from tests.services.s3 import RcloneS3

from .test_object_attributes import KINDS, manager, mount_of, small_uploads, store_key
from .test_object_conditions import noted

__all__ = ["small_uploads"]

pytestmark = pytest.mark.services


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def damaging(monkeypatch, node):
    """From now on one byte of what is downloaded arrives as another."""
    from genro_storage.backends.object_stores.engine import Body, Engine
    from genro_storage.backends.s3.client import S3Client

    def flipped(data):
        wrong = bytearray(data)
        if wrong:
            wrong[len(wrong) // 2] ^= 1
        return bytes(wrong)

    def damaged(found):
        return found._replace(data=flipped(found.data))

    read, following, rest = Engine.read, Body.next, Body.all

    def reading(*arguments, **options):
        body, data = read(*arguments, **options)
        return body, None if data is None else flipped(data)

    backend = node._mount.backend
    if hasattr(backend, "_store") and hasattr(backend._store, "client"):
        monkeypatch.setattr(Engine, "read", reading)
        monkeypatch.setattr(Body, "next", lambda self: flipped(following(self)))
        monkeypatch.setattr(Body, "all", lambda self: flipped(rest(self)))
        fetch = S3Client.fetch

        async def fetching(self, *arguments, **options):
            return damaged(await fetch(self, *arguments, **options))

        monkeypatch.setattr(S3Client, "fetch", fetching)
        return
    # Whichever engine has brought it.
    client = backend._remote.call(lambda client: client)
    read, stream = client.read, client.stream

    def streaming(*arguments):
        answer = stream(*arguments)
        following = answer.body.next
        monkeypatch.setattr(answer.body, "next", lambda: flipped(following()))
        return answer

    monkeypatch.setattr(client, "read", lambda *arguments: damaged(read(*arguments)))
    monkeypatch.setattr(client, "stream", streaming)


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_a_damaged_download_is_an_error_and_replaces_nothing(
    request, kind, monkeypatch, tmp_path, size
):
    with manager(mount_of(request, kind)) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        node, target = storage.node("store:a.bin"), storage.node("disk:a.bin")
        data = os.urandom(size)
        node.write_bytes(data)
        target.write_bytes(b"before")
        # Whole reads without damage pass.
        assert node.read_bytes() == data
        with node.open("rb") as stream:
            assert b"".join(iter(lambda: stream.read(100_001), b"")) == data
        damaging(monkeypatch, node)

        def in_order():
            with node.open("rb") as stream:
                while stream.read(100_001):
                    pass

        for step in (
            node.read_bytes,
            in_order,
            lambda: node.copy_to(target),
            lambda: node._mount.download("a.bin", tmp_path / "own"),
        ):
            with pytest.raises(StorageIOError, match=r"store:a\.bin.*not what was stored"):
                step()
        assert target.read_bytes() == b"before"
        # Of a part nothing is known.
        assert len(node._mount.read_bytes("a.bin", 10, 20)) == 10
        with node.open("rb") as stream:
            stream.seek(5)
            assert len(stream.read()) == size - 5


def test_verification_can_be_switched_off(request, kind, monkeypatch):
    with manager(mount_of(request, kind, verify_downloads=False)) as storage:
        node = storage.node("store:a.bin")
        node.write_bytes(b"x" * 1000)
        damaging(monkeypatch, node)
        assert node.read_bytes() != b"x" * 1000
        with node.open("rb") as stream:
            assert stream.read() != b"x" * 1000


def test_what_was_stored_packed_is_compared_as_it_is_stored(request, kind):
    with manager(mount_of(request, kind)) as storage:
        node = storage.node("store:a.txt")
        packed = gzip.compress(b"text" * 1000)
        node.write_bytes(packed, content_encoding="gzip")
        assert node.read_bytes() == packed
        with node.open("rb") as stream:
            assert stream.read() == packed


# -- what our uploads keep --------------------------------------------------------------------


def kept(node):
    return node._mount.backend._store.head(store_key(node))["Metadata"]


@pytest.mark.parametrize(
    ("length", "names"),
    [
        (1995, {"md5chksum", "md5chksum-size"}),
        (2000, {"md5chksum", "md5chksum-size"}),
        (2001, {"md5chksum"}),
        (2015, {"md5chksum"}),
        (2016, set()),
    ],
)
def test_what_is_kept_takes_no_room_that_a_users_metadata_need(request, length, names):
    """S3 takes 2 KB of names and values; one byte more and it would refuse the file."""
    with manager(mount_of(request, "s3")) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x", metadata={"k": "v" * (length - 1)})
        metadata = kept(node)
        assert metadata.keys() - {"k"} == names
        assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
        assert node.md5hash == md5(b"x")


@pytest.mark.parametrize(
    ("policy", "small", "large"),
    [("auto", True, False), ("always", True, True), ("never", False, False)],
)
def test_the_md5_is_kept_as_rclone_does(
    request, small_uploads, tmp_path, monkeypatch, policy, small, large
):
    with manager(mount_of(request, "s3", store_checksums=policy, engine="fsspec")) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        for size, expected in ((1000, small), (9 * MIB, large)):
            data = os.urandom(size)
            (tmp_path / "f").write_bytes(data)
            node = storage.node(f"store:{size}")
            storage.node("disk:f").copy_to(node)
            digest = hashlib.md5(data)
            text = base64.b64encode(digest.digest()).decode()
            assert kept(node).get("md5chksum") == (text if expected else None)
            assert node.get_metadata() == {}
            asked = noted(node)
            assert node.md5hash == digest.hexdigest()
            read = [name for name in asked if name == "get_object"]
            assert bool(read) == (size > MIB and not large)
            node.set_metadata({"a": "b"})
            assert node.get_metadata() == {"a": "b"}
            assert kept(node).get("md5chksum") == (text if expected else None)


def test_an_etag_that_is_no_digest_is_no_reason_to_skip_or_to_read(request, tmp_path):
    """With a key of KMS: the digest that we keep says what the ETag does not."""
    with manager(mount_of(request, "s3")) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        node = storage.node("store:kms")
        node.write_bytes(b"content", encryption="aws:kms")
        (tmp_path / "same").write_bytes(b"content")
        (tmp_path / "other").write_bytes(b"CONTENT")
        asked = noted(node)
        assert node.md5hash == hashlib.md5(b"content").hexdigest()
        assert storage.node("disk:same") == node
        assert storage.node("disk:other") != node
        assert "get_object" not in asked


def test_the_time_of_a_copied_file_is_kept_and_comes_back(request, kind, tmp_path):
    with manager(mount_of(request, kind)) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        (tmp_path / "t").mkdir()
        source = tmp_path / "t/a"
        source.write_bytes(b"x")
        os.utime(source, (1_600_000_000.5, 1_600_000_000.5))
        storage.node("disk:t").copy_to("store:t")
        node = storage.node("store:t/a")
        assert node.descriptor().mtime == 1_600_000_000.5
        assert node.stat().mtime != 1_600_000_000.5  # the same as a listing says
        assert node.get_metadata() == {}
        storage.node("store:t").copy_to("disk:back")
        assert (tmp_path / "back/a").stat().st_mtime == 1_600_000_000.5


def test_times_are_not_kept_where_nobody_wants_it(request, kind, tmp_path):
    with manager(mount_of(request, kind, keep_mtime=False)) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x", mtime=7.0)
        assert node.descriptor().mtime == node.stat().mtime


def test_what_somebody_else_means_by_our_names_is_theirs(request):
    with manager(mount_of(request, "s3", store_checksums="never")) as storage:
        node = storage.node("store:a")
        theirs = {"mtime": "yesterday", "md5chksum": "none"}
        node._mount.backend._store.pipe_file(store_key(node), b"x", Metadata=theirs)
        assert node.get_metadata() == theirs
        assert node.md5hash == hashlib.md5(b"x").hexdigest()
        assert node.descriptor().mtime == node.stat().mtime


def rclone(mount, *arguments):
    program = find_program("rclone")
    if program is None:
        skip_or_fail(f"rclone is not there; install it with: {RcloneS3.install}")
    environment = {
        **os.environ,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": mount["endpoint_url"],
        "RCLONE_S3_ACCESS_KEY_ID": mount["key"],
        "RCLONE_S3_SECRET_ACCESS_KEY": mount["secret"],
        "RCLONE_S3_REGION": "us-east-1",
        "RCLONE_S3_CHUNK_SIZE": "5Mi",
        "RCLONE_S3_UPLOAD_CUTOFF": "6Mi",
    }
    done = subprocess.run(
        [str(program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_rclone_and_we_read_each_others_times_and_digests(request, tmp_path):
    mount = mount_of(request, "s3", store_checksums="always")
    place = f":s3:{mount['bucket']}/{mount['prefix']}"
    data = os.urandom(9 * MIB)
    digest = hashlib.md5(data).hexdigest()
    (tmp_path / "big").write_bytes(data)
    os.utime(tmp_path / "big", (1_600_000_000.5, 1_600_000_000.5))
    with manager(mount) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        rclone(mount, "copyto", str(tmp_path / "big"), f"{place}/theirs")
        theirs = storage.node("store:theirs")
        assert "-" in theirs.stat().etag
        asked = noted(theirs)
        assert theirs.descriptor().mtime == 1_600_000_000.5
        assert theirs.md5hash == digest
        assert theirs.get_metadata() == {}
        assert "get_object" not in asked
        storage.node("disk:big").copy_to("store:ours")
        (found,) = json.loads(rclone(mount, "lsjson", "--hash", f"{place}/ours"))
        assert found["ModTime"].startswith("2020-09-13T")
        assert datetime.fromisoformat(found["ModTime"]).timestamp() == 1_600_000_000.5
        assert found["Hashes"]["md5"] == digest


# -- an MD5 that was kept with another content ------------------------------------------------


def replaced(node, data, metadata, *, in_parts):
    """As another program replaces a content: with the metadata that it has found."""
    client, key = node._mount.backend._store.client, store_key(node)
    metadata = {**metadata}
    if not in_parts:
        facts = {"Metadata": metadata, "ServerSideEncryption": "aws:kms"}
        client.run(lambda: client.request("put_object", Key=key, Body=data, **facts))
        return
    begun = client.run(
        lambda: client.request("create_multipart_upload", Key=key, Metadata=metadata)
    )
    place = {"Key": key, "UploadId": begun["UploadId"]}
    part = client.run(lambda: client.request("upload_part", **place, PartNumber=1, Body=data))
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.run(lambda: client.request("complete_multipart_upload", **place, MultipartUpload=parts))
    assert node.stat().etag.endswith("-1")


def md5(data):
    return hashlib.md5(data).hexdigest()


# What obstore reads of an encrypted object has an ETag that may be an MD5, and no other counts.
PLACES = pytest.mark.parametrize(
    ("engine", "in_parts"), [("obstore", True), ("fsspec", True), ("fsspec", False)]
)


@PLACES
def test_a_kept_md5_of_a_content_of_another_size_is_none(request, tmp_path, engine, in_parts):
    with manager(mount_of(request, "s3", engine=engine)) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        (tmp_path / "old").write_bytes(b"content")
        (tmp_path / "new").write_bytes(b"longer content")
        node = storage.node("store:a")
        node.write_bytes(b"content")
        metadata = kept(node)
        assert metadata["md5chksum-size"] == "7"
        # The same content, also as another program has moved it: believed, and not read.
        replaced(node, b"content", metadata, in_parts=in_parts)
        asked = noted(node)
        assert node.md5hash == md5(b"content")
        assert "get_object" not in asked
        replaced(node, b"longer content", metadata, in_parts=in_parts)
        assert node.md5hash == md5(b"longer content")
        assert [each for each in node.descriptor().checksums if each.algorithm == "md5"] == []
        assert storage.node("disk:old") != node
        assert storage.node("disk:new") == node
        assert node.read_bytes() == b"longer content"
        with node.open("rb") as stream:
            assert stream.read() == b"longer content"
        assert node.get_metadata() == {}
        node.copy_to("disk:copy")
        assert (tmp_path / "copy").read_bytes() == b"longer content"


@PLACES
@pytest.mark.parametrize("says_size", [True, False])
def test_a_kept_md5_of_the_same_size_is_believed_and_reading_says_so(
    request, tmp_path, engine, in_parts, says_size
):
    """Of what is not told: neither the service nor the metadata know better."""
    mount = mount_of(request, "s3", engine=engine)
    with manager(mount) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        node = storage.node("store:a")
        node.write_bytes(b"content")
        metadata = kept(node)
        if not says_size:
            del metadata["md5chksum-size"]  # as rclone writes it
        replaced(node, b"CONTENT", metadata, in_parts=in_parts)
        assert node.md5hash == md5(b"content")

        def in_order():
            with node.open("rb") as stream:
                stream.read()

        said = (
            rf"store:a.*{md5(b'CONTENT')}.*md5chksum.*{md5(b'content')}"
            ".*Try again.*write the file anew.*store_checksums: never"
        )
        for step in (node.read_bytes, in_order, lambda: node.copy_to("disk:copy")):
            with pytest.raises(StorageIOError, match=said):
                step()
        assert not (tmp_path / "copy").exists()
        for more in ({"store_checksums": "never"}, {"verify_downloads": False}):
            storage.add_mount({"name": "other", **mount, **more})
            other = storage.node("other:a")
            assert other.read_bytes() == b"CONTENT"
            believes = "store_checksums" not in more
            assert other.md5hash == md5(b"content" if believes else b"CONTENT")
            digests = {each.hexdigest for each in other.descriptor().checksums}
            assert (md5(b"content") in digests) == believes
            storage.delete_mount("other")
        node.write_bytes(b"CONTENT", encryption="aws:kms")
        assert node.md5hash == md5(b"CONTENT")
        assert node.read_bytes() == b"CONTENT"


def test_a_name_of_ours_is_no_name_for_metadata(request):
    with manager(mount_of(request, "s3")) as storage:
        node = storage.node("store:a")
        with pytest.raises(StorageValueError, match=r"md5chksum-size.*own use"):
            node.write_bytes(b"x", metadata={"md5chksum-size": "1"})
        node.write_bytes(b"x")
        node.set_metadata({"a": "b"})
        assert kept(node) == {"md5chksum": kept(node)["md5chksum"], "md5chksum-size": "1", "a": "b"}


# -- what goes along with an upload -----------------------------------------------------------


@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
@pytest.mark.parametrize("unsigned", [None, "anon", "unsigned_payload"])
def test_every_upload_carries_a_checksum_that_the_server_can_verify(
    moto_server, small_uploads, unsigned, engine
):
    """The signed digest of the content, or where none is signed its MD5."""
    with Proxy(moto_server.port) as proxy:
        mount = {**moto_server.mount(), "endpoint_url": proxy.url, "engine": engine}
        if unsigned is not None:
            mount[unsigned] = True
        if unsigned == "anon":
            mount = {name: mount[name] for name in mount if name not in ("key", "secret")}
        with manager(mount) as storage:
            node = storage.node("store:a")
            node.write_bytes(b"x" * 1000)
            if unsigned != "anon":  # moto lets nobody begin an upload in parts without a key
                node.write_bytes(b"x" * 9 * MIB)
                with node.open("wb") as stream:
                    stream.write(b"y" * 9 * MIB)
        sent = [asked.headers for asked in proxy.requests if asked.method == "PUT"]
    assert len(sent) == (1 if unsigned == "anon" else 5)
    for headers in sent:
        digest = headers.get("x-amz-content-sha256", "")
        assert len(digest) == 64 if unsigned is None else "content-md5" in headers


def test_rclone_refuses_a_content_that_is_not_its_md5(rclone_s3):
    """It verifies what we send: the same header with another digest is refused."""
    with manager(rclone_s3.mount()) as storage:
        node = storage.node("store:a")
        wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        with pytest.raises(OSError, match="BadDigest"):
            node._mount.backend._store.pipe_file(store_key(node), b"x", ContentMD5=wrong)
        assert not node.exists


# -- etags of uploads in parts ----------------------------------------------------------------


def etag_of(data, part):
    parts = [data[at : at + part] for at in range(0, len(data), part)]
    digests = b"".join(hashlib.md5(each).digest() for each in parts)
    return f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"


@pytest.mark.parametrize("part", [5, 8, 16, 6])
def test_an_etag_of_parts_is_made_again_from_the_file(tmp_path, part):
    data = os.urandom(21 * MIB + 17)
    etag = etag_of(data, part * MIB)
    (tmp_path / "f").write_bytes(data)
    (tmp_path / "g").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with (tmp_path / "f").open("rb") as same, (tmp_path / "g").open("rb") as other:
        assert has_etag(same, len(data), etag)
        assert not has_etag(other, len(data), etag)
        assert not has_etag(same, len(data), "opaque")
        assert has_etag(same, len(data), hashlib.md5(data).hexdigest())


def test_the_sizes_of_parts_that_are_tried_are_few_and_fit():
    for size in (5 * MIB + 1, 100 * MIB, 5000 * MIB):
        for count in (2, 7, 100):
            found = part_sizes(size, count)
            assert len(found) <= 4
            assert all(-(-size // part) == count for part in found)


def test_comparing_with_an_upload_in_parts_reads_the_file_and_not_the_object(
    request, small_uploads, tmp_path
):
    with manager(mount_of(request, "s3")) as storage:
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        data = os.urandom(11 * MIB)
        (tmp_path / "t").mkdir()
        (tmp_path / "t/big").write_bytes(data)
        storage.node("disk:t").copy_to("store:t")
        there = storage.node("store:t/big")
        assert "-" in there.stat().etag
        asked = noted(there)
        assert storage.node("disk:t/big") == there
        skipped = []
        storage.node("disk:t").copy_to(
            "store:t", skip="hash", on_skip=lambda node, why: skipped.append(why)
        )
        assert len(skipped) == 1 and "ETAG" in skipped[0]
        storage.node("store:t").copy_to("disk:t", skip="hash")
        assert "get_object" not in asked and "upload_part" not in asked
        (tmp_path / "t/big").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert storage.node("disk:t/big") != there
        storage.node("disk:t").copy_to("store:t", skip="hash")
        assert there.read_bytes() == (tmp_path / "t/big").read_bytes()


# -- the verifier ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("md5", hashlib.md5(b"0123456789").hexdigest()),
        ("sha256", hashlib.sha256(b"0123456789").hexdigest()),
        ("crc32", "a684c7c6"),
        ("crc32c", "280c069e"),
    ],
)
def test_a_verifier_takes_pieces_in_any_order(algorithm, digest):
    data = b"0123456789"
    for pieces in (
        [(0, 10)],
        [(0, 4), (4, 10)],
        [(4, 10), (0, 4)],
        [(0, 6), (3, 10)],
        [(5, 10)],
    ):
        verifier = verifier_for(Known(Checksum(algorithm, digest)), 10)
        for start, end in pieces:
            verifier.feed(start, data[start:end])
        assert verifier.finish(lambda start, end: data[start:end])
    verifier = verifier_for(Known(Checksum(algorithm, digest)), 10)
    verifier.feed(0, b"01234")
    assert not verifier.finish()
    verifier.feed(5, b"5678!")
    with pytest.raises(OSError, match="not what was stored"):
        verifier.finish()


def test_an_unknown_digest_verifies_nothing():
    assert verifier_for(Known(Checksum("quickxor", "00")), 3) is None
    assert verifier_for(Known(), 3) is None
