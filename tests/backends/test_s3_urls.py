"""URLs and uploads of S3: on rclone, which checks signatures, and moto, which has the rest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
import time
import urllib.parse
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from genro_storage import (
    Checksum,
    StorageError,
    StorageExistsError,
    StorageManager,
    StorageNotFoundError,
    StoragePathError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from tests.services.s3 import BUCKET, KEY, SECRET
from tests.support.strangers import CLIENTS, by_urllib, post_form

pytestmark = pytest.mark.services

MIB = 1024 * 1024


def mounted(config, **more):
    manager = StorageManager()
    manager.configure([{"name": "store", **config, **more}])
    return manager


@pytest.fixture
def storage(moto_server):
    with mounted(moto_server.mount()) as manager:
        yield manager


@pytest.fixture
def checking(rclone_s3):
    """On a server that checks signatures."""
    with mounted(rclone_s3.mount()) as manager:
        yield manager


@pytest.fixture(params=sorted(CLIENTS))
def client(request):
    return CLIENTS[request.param]


def query_of(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def changed(url):
    """The same URL with another last digit of its signature."""
    at = url.index("X-Amz-Signature=") + len("X-Amz-Signature=") + 63
    return url[:at] + ("0" if url[at] != "0" else "1") + url[at + 1 :]


# -- reading ----------------------------------------------------------------------------------


def test_a_signed_get_works_for_strangers_until_it_is_tampered_with(checking, client):
    node = checking.node("store:d/ä b+c&d=1.txt")
    node.write_bytes(b"served")
    url = node.url(expires_in=60)
    assert client("GET", url).body == b"served"
    assert client("HEAD", node.url(method="HEAD")).status == 200
    for method, wrong in (
        ("GET", changed(url)),
        ("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
        ("GET", url.replace("c%26d", "other")),
        ("GET", url.partition("?")[0]),
        ("PUT", url),
        ("DELETE", url),
    ):
        assert client(method, wrong, None, b"x" if method == "PUT" else None).status in (400, 403)
    assert node.read_bytes() == b"served"


def test_signed_urls_end(checking, client):
    node = checking.node("store:a.txt")
    node.write_bytes(b"served")
    get, upload = node.url(expires_in=1), node.upload_url(expires_in=1)
    assert upload.expires_at - datetime.now(UTC) <= timedelta(seconds=1)
    time.sleep(2.1)
    assert client("GET", get).status in (400, 403)
    assert client("PUT", upload.url, upload.headers, b"late").status in (400, 403)
    assert node.read_bytes() == b"served"


def test_a_signed_delete_deletes(checking):
    node = checking.node("store:a.txt")
    node.write_bytes(b"x")
    assert by_urllib("DELETE", node.url(method="DELETE")).status == 204
    assert not node.exists


@pytest.mark.parametrize("name", ["report.pdf", 'für "alle" 100%.txt', "日本.txt"])
def test_a_download_is_saved_under_the_name_that_is_asked_for(storage, name):
    from werkzeug.http import parse_options_header

    node = storage.node("store:a.bin")
    node.write_bytes(b"x")
    answer = by_urllib("GET", node.url(download_name=name, content_type="text/plain"))
    assert (answer.body, answer.headers["content-type"]) == (b"x", "text/plain")
    kind, options = parse_options_header(answer.headers["content-disposition"])
    assert (kind, options["filename"]) == ("attachment", name)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"download_name": "a\r\nSet-Cookie: x"}, "control characters"),
        ({"download_name": "a\x00"}, "control characters"),
        ({"download_name": "../a"}, "name of a file"),
        ({"download_name": ""}, "not empty"),
        ({"content_type": "text/html\r\nX: y"}, "control characters"),
        ({"content_type": "html"}, "media type"),
        ({"method": "POST"}, "there are GET"),
        ({"method": "HEAD", "download_name": "a"}, "method GET"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 7 * 24 * 3600 + 1}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"colour": "blue"}, "unknown options"),
    ],
)
def test_urls_that_would_be_wrong_are_refused(storage, options, text):
    with pytest.raises(StorageValueError, match=f"store:a.*{text}"):
        storage.node("store:a").url(**options)


def test_a_snapshots_url_serves_that_version(moto_server):
    config = moto_server.mount(bucket=moto_server.make_bucket("versioned-urls"))
    sdk = boto3.client(
        "s3",
        endpoint_url=config["endpoint_url"],
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    with mounted(config) as storage:
        sdk.put_bucket_versioning(
            Bucket="versioned-urls", VersioningConfiguration={"Status": "Enabled"}
        )
        node = storage.node("store:a.txt")
        for text in (b"old", b"new"):
            node.write_bytes(text)
        found = sdk.list_object_versions(Bucket="versioned-urls")["Versions"]
        old = next(each["VersionId"] for each in found if not each["IsLatest"])
        sdk.close()
        snapshot = storage.node("store:a.txt", version=old)
        assert by_urllib("GET", snapshot.url()).body == b"old"
        assert by_urllib("GET", storage.node("store:a.txt", version=-2).url()).body == b"old"
        assert by_urllib("GET", node.url()).body == b"new"
        for method in ("PUT", "DELETE"):
            with pytest.raises(StorageValueError, match="snapshot"):
                snapshot.url(method=method)
        with pytest.raises(StorageValueError, match="snapshot"):
            snapshot.upload_url()


# -- one request ------------------------------------------------------------------------------


def test_strangers_upload_with_exactly_what_was_signed(checking, client):
    node = checking.node("store:d/ä b.png")
    data = b"\x89PNG" + bytes(1000)
    upload = node.upload_url(
        content_length=len(data),
        checksum=Checksum("md5", hashlib.md5(data).hexdigest()),
        metadata={"Colour": "blue"},
    )
    assert upload.method == "PUT"
    assert upload.headers == {
        "Content-Type": "image/png",
        "Content-Length": str(len(data)),
        "Content-MD5": base64.b64encode(hashlib.md5(data).digest()).decode(),
        "x-amz-meta-colour": "blue",
    }
    signed = set(query_of(upload.url)["X-Amz-SignedHeaders"].split(";"))
    assert signed == {"host", *(name.lower() for name in upload.headers)}
    assert SECRET not in upload.url and upload.url not in repr(upload)
    for headers, body in (
        ({**upload.headers, "Content-Type": "text/html"}, data),
        ({**upload.headers, "x-amz-meta-colour": "red"}, data),
        ({**upload.headers, "Content-MD5": base64.b64encode(bytes(16)).decode()}, data),
        ({**upload.headers, "Content-Length": str(len(data) + 1)}, data + b"x"),
        (upload.headers, bytes(len(data))),  # another content than the checksum's
    ):
        assert client("PUT", upload.url, headers, body).status in (400, 403)
        assert not node.exists
    assert client("PUT", changed(upload.url), upload.headers, data).status == 403
    assert client("PUT", upload.url, upload.headers, data).status == 200
    assert node.read_bytes() == data
    assert node.stat().content_type == "image/png"


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [("sha1", 20), ("sha256", 32), ("crc32", 4), ("crc32c", 4), ("crc64nvme", 8)],
)
def test_every_checksum_of_s3_is_signed(storage, algorithm, size):
    upload = storage.node("store:a").upload_url(checksum=Checksum(algorithm, "ab" * size))
    header = f"x-amz-checksum-{algorithm}"
    assert upload.headers[header] == base64.b64encode(b"\xab" * size).decode()
    assert header in query_of(upload.url)["X-Amz-SignedHeaders"].split(";")
    with pytest.raises(StorageValueError, match="hexadecimal digits"):
        storage.node("store:a").upload_url(checksum=Checksum(algorithm, "ab"))


def test_an_upload_that_must_not_replace(storage):
    node = storage.node("store:a.txt")
    upload = node.upload_url(if_absent=True)
    assert "if-none-match" in query_of(upload.url)["X-Amz-SignedHeaders"].split(";")
    assert by_urllib("PUT", upload.url, upload.headers, b"first").status == 200
    assert by_urllib("PUT", upload.url, upload.headers, b"second").status == 412
    assert node.read_bytes() == b"first"


def test_temporary_credentials_shorten_what_they_sign(moto_server, tmp_path, monkeypatch):
    """As a profile gets them from another program, which says when they end."""
    end = (datetime.now(UTC) + timedelta(minutes=30)).replace(microsecond=0)
    lent = {
        "Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "SessionToken": "t0ken",
        "Expiration": end.isoformat(),
    }  # fmt: skip
    (tmp_path / "lent.json").write_text(json.dumps(lent))
    (tmp_path / "config").write_text(
        f"[profile lent]\nregion = us-east-1\ncredential_process = cat {tmp_path}/lent.json\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    config = {k: v for k, v in moto_server.mount().items() if k not in ("key", "secret")}
    with mounted(config, profile="lent") as storage:
        node = storage.node("store:a")
        upload = node.upload_url(expires_in=3600)
        assert upload.expires_at == end
        assert node.upload_url(expires_in=60).expires_at < end
        form = node.upload_form(max_size=100, expires_in=3600)
        assert form.expires_at == end
        assert form.fields["x-amz-security-token"] == "t0ken"
        assert query_of(upload.url)["X-Amz-Security-Token"] == "t0ken"
        assert by_urllib("PUT", upload.url, upload.headers, b"lent").status == 200
        assert post_form(form.url, form.fields, b"form").status == 204
        assert node.read_bytes() == b"form"


def test_signing_asks_nothing_of_the_server():
    """Nobody listens there."""
    config = {
        "type": "s3", "bucket": "b", "endpoint_url": "http://127.0.0.1:1", "key": KEY,
        "secret": SECRET, "retries": 0,
    }  # fmt: skip
    with mounted(config, public=True) as storage:
        node = storage.node("store:a")
        for url in (
            node.url(),
            node.public_url(),
            node.upload_url().url,
            node.upload_form(max_size=1).url,
            node.resume_upload("id").sign_part(1).url,
        ):
            assert url.startswith("http://127.0.0.1:1/b")


def test_uploads_by_others_keep_what_the_mount_gives_to_all_files(moto_server):
    given = {
        "cache_control": "max-age=60", "storage_class": "STANDARD_IA", "tags": {"team": "x y"},
        "metadata": {"by": "mount"}, "server_side_encryption": "aws:kms", "sse_kms_key_id": "k-1",
    }  # fmt: skip
    with mounted(moto_server.mount(), **given) as storage:
        node = storage.node("store:a")
        upload = node.upload_url(metadata={"mine": "1"})
        assert by_urllib("PUT", upload.url, upload.headers, b"x").status == 200
        made = node.begin_upload(metadata={"mine": "1"})
        part = made.sign_part(1)
        assert by_urllib("PUT", part.url, part.headers, b"y").status == 200
        for finish in (lambda: None, made.complete):
            finish()
            found = node.descriptor()
            assert found.metadata == {"by": "mount", "mine": "1"}
            assert (found.cache_control, found.storage_class) == ("max-age=60", "STANDARD_IA")
            assert found.encryption == "aws:kms:k-1"
        fields = node.upload_form(max_size=9, metadata={"mine": "1"}).fields
        assert fields["x-amz-storage-class"] == "STANDARD_IA"
        assert fields["x-amz-server-side-encryption-aws-kms-key-id"] == "k-1"
        assert (fields["x-amz-meta-by"], fields["x-amz-tagging"]) == ("mount", "team=x+y")


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"request_payer": True}, "requesters pay"),
        (
            {
                "server_side_encryption": "sse-c",
                "sse_customer_key_base64": base64.b64encode(bytes(32)).decode(),
            },
            "a key of yours",
        ),
    ],
)
def test_a_url_that_would_need_headers_is_refused(moto_server, option, text):
    with mounted(moto_server.mount(), **option) as storage:
        node = storage.node("store:a")
        assert not node.capabilities.presigned_urls
        steps = [node.url, lambda: node.url(method="HEAD"), lambda: node.url(download_name="b")]
        if "request_payer" in option:
            headers = node.upload_url().headers
            assert headers["x-amz-request-payer"] == "requester"
        else:
            has = node.capabilities
            assert not (has.presigned_uploads or has.upload_forms or has.multipart_uploads)
            resumed = node.resume_upload("x")
            steps += [node.upload_url, lambda: node.upload_form(max_size=1), node.begin_upload]
            steps += [lambda: resumed.sign_part(1), resumed.parts]
        for step in steps:
            with pytest.raises(StorageUnsupportedError, match=f"store:a.*{text}"):
                step()


@pytest.mark.parametrize("option", [{"public": True}, {"anon": True, "key": None, "secret": None}])
def test_nobody_can_read_what_is_encrypted_with_a_customers_key(moto_server, option):
    customer = base64.b64encode(bytes(32)).decode()
    closed = {"server_side_encryption": "sse-c", "sse_customer_key_base64": customer}
    with mounted(moto_server.mount(), **option, **closed) as storage:
        node = storage.node("store:a")
        assert not node.capabilities.public_urls
        for step in (node.public_url, node.url):
            with pytest.raises(StorageUnsupportedError, match="a key of yours"):
                step()
    served = {**option, "public_base_url": "https://gate.example.org"}  # which may know the key
    with mounted(moto_server.mount(), **served, **closed) as storage:
        assert storage.node("store:a").public_url() == "https://gate.example.org/a"


def test_keys_that_are_too_long_are_refused_before_a_client_tries(storage):
    node = storage.node(f"store:{'x' * 1024}")
    for step in (node.upload_url, lambda: node.upload_form(max_size=1), node.begin_upload):
        with pytest.raises(StoragePathError, match="1024"):
            step()


# -- forms ------------------------------------------------------------------------------------


def test_a_form_uploads_and_its_policy_says_what_may_come(storage):
    node = storage.node("store:d/ä.png")
    form = node.upload_form(min_size=1, max_size=2 * MIB, expires_in=60, metadata={"a": "b"})
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    key = f"{node._mount.backend.root}/d/ä.png"
    for condition in (
        ["content-length-range", 1, 2 * MIB],
        {"Content-Type": "image/png"},
        {"x-amz-meta-a": "b"},
        {"bucket": BUCKET},
        {"key": key},
    ):
        assert condition in policy["conditions"]
    ends = datetime.strptime(policy["expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(ends - form.expires_at) <= timedelta(seconds=2)
    # No server here checks it, so it is signed once more.
    day, region = form.fields["x-amz-credential"].split("/")[1:3]
    step = f"AWS4{SECRET}".encode()
    for text in (day, region, "s3", "aws4_request", form.fields["policy"]):
        step = hmac.digest(step, text.encode(), "sha256")
    assert form.fields["x-amz-signature"] == step.hex()
    assert form.fields["policy"] not in repr(form)
    assert post_form(form.url, form.fields, b"content").status == 204
    assert node.read_bytes() == b"content"
    assert node.stat().content_type == "image/png"


@pytest.mark.parametrize(("wanted", "start"), [("image/*", "image/"), ("*", "")])
def test_a_form_for_any_type_of_a_kind(storage, wanted, start):
    node = storage.node("store:a")
    form = node.upload_form(max_size=100, content_type=wanted)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert ["starts-with", "$Content-Type", start] in policy["conditions"]
    assert "Content-Type" not in form.fields
    assert post_form(form.url, {**form.fields, "Content-Type": "image/gif"}, b"x").status == 204
    assert node.stat().content_type == "image/gif"


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("a", {"max_size": -1}, "bytes"),
        ("a", {"max_size": 1, "min_size": 2}, "bytes"),
        ("a", {"max_size": True}, "bytes"),
        ("a", {"max_size": 1, "content_type": "*/png"}, "media type"),
        ("a", {"max_size": 1, "expires_in": 8 * 24 * 3600}, "expires_in"),
        ("d/${filename}", {"max_size": 1}, "name of the client's file"),
        ("a", {"max_size": 1, "metadata": {"a b": "c"}}, "metadata key"),
    ],
)
def test_forms_that_would_be_wrong_are_refused(storage, name, options, text):
    with pytest.raises(StorageValueError, match=text):
        storage.node(f"store:{name}").upload_form(**options)


# -- parts ------------------------------------------------------------------------------------


def unfinished(storage):
    store = storage.node("store:")._mount.backend._store
    found = store._ask("list_multipart_uploads", Prefix=storage.node("store:")._mount.backend.root)
    return [each["UploadId"] for each in found.get("Uploads", ())]


def test_an_upload_in_parts_by_a_stranger_is_whole(storage, client):
    node = storage.node("store:d/film.mp4")
    node.write_bytes(b"before")
    data = bytes(range(256)) * (5 * MIB // 256) + b"the end"
    upload = node.begin_upload(metadata={"a": "b"})
    pieces = {1: data[: 5 * MIB], 2: data[5 * MIB :]}
    assert upload.parts() == []
    with pytest.raises(StorageValueError, match="no part has arrived"):
        upload.complete()
    for number in (2, 1):  # in any order, and each from its own process
        again = storage.node("store:d/film.mp4").resume_upload(upload.upload_id)
        part = again.sign_part(number, content_length=len(pieces[number]))
        assert client("PUT", part.url, part.headers, pieces[number]).status == 200
        if number == 2:
            with pytest.raises(StorageValueError, match="part 1 has not arrived"):
                upload.complete()
        assert node.read_bytes() == b"before"
    assert [(part.number, part.size) for part in upload.parts()] == [(1, 5 * MIB), (2, 7)]
    with pytest.raises(StorageValueError, match=f"{len(data)} of {len(data) + 1} bytes"):
        upload.complete(size=len(data) + 1)
    with pytest.raises(StorageValueError, match="part 3 has not arrived"):
        upload.complete([*upload.parts(), (3, None)])
    with pytest.raises(StorageValueError, match="part 2 is not the one"):
        upload.complete([(1, None), (2, '"0000"')])
    upload.complete(upload.parts(), size=len(data))
    assert node.read_bytes() == data
    assert node.stat().content_type == "video/mp4"
    assert node.get_metadata() == {"a": "b"}
    assert unfinished(storage) == []
    for step in (upload.parts, upload.complete):
        with pytest.raises(StorageNotFoundError, match="no such upload"):
            step()


def test_an_aborted_upload_leaves_nothing(storage):
    node = storage.node("store:a.bin")
    upload = node.begin_upload()
    part = upload.sign_part(1)
    assert by_urllib("PUT", part.url, part.headers, b"x").status == 200
    assert unfinished(storage) == [upload.upload_id]
    upload.abort()
    upload.abort()
    assert unfinished(storage) == []
    assert not node.exists
    assert by_urllib("PUT", part.url, part.headers, b"x").status in (404, 500)  # moto fails
    assert unfinished(storage) == []


def test_parts_are_signed_with_their_checksums(storage):
    node = storage.node("store:a.bin")
    upload = node.begin_upload(checksum_algorithm="sha256")
    data = b"whole"
    digest = Checksum("sha256", hashlib.sha256(data).hexdigest())
    part = upload.sign_part(1, checksum=digest)
    assert "x-amz-checksum-sha256" in query_of(part.url)["X-Amz-SignedHeaders"].split(";")
    assert by_urllib("PUT", part.url, part.headers, data).status == 200
    upload.complete()
    assert node.read_bytes() == data
    with pytest.raises(StorageValueError, match="checksum_algorithm"):
        node.begin_upload(checksum_algorithm="md5")


def test_completing_may_refuse_to_replace(storage):
    node = storage.node("store:a.bin")
    upload = node.begin_upload()
    part = upload.sign_part(1)
    assert by_urllib("PUT", part.url, part.headers, b"late").status == 200
    node.write_bytes(b"first")
    with pytest.raises(StorageExistsError):
        upload.complete(if_absent=True)
    assert node.read_bytes() == b"first"
    upload.abort()


def test_a_part_signed_for_one_length_takes_no_other(checking):
    node = checking.node("store:a.bin")
    upload = node.begin_upload()
    part = upload.sign_part(1, content_length=4)
    assert by_urllib("PUT", part.url, {"Content-Length": "5"}, b"12345").status == 403
    assert by_urllib("PUT", changed(part.url), part.headers, b"1234").status == 403
    assert by_urllib("PUT", part.url, part.headers, b"1234").status == 200
    upload.complete()
    assert node.read_bytes() == b"1234"


@pytest.mark.parametrize("number", [0, -1, 10_001, True, "1"])
def test_numbers_of_parts(storage, number):
    upload = storage.node("store:a").resume_upload("id")
    with pytest.raises(TypeError, match="upload_id"):
        pickle.dumps(upload)
    with pytest.raises(StorageValueError, match="parts"):
        upload.sign_part(number)


# -- public -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"public": True}, "{endpoint}/{bucket}/{prefix}/d/%C3%A4%20b%2Bc%3F%23%25~.txt"),
        (
            {"public_base_url": "https://cdn.example.org/x/"},
            "https://cdn.example.org/x/d/%C3%A4%20b%2Bc%3F%23%25~.txt",
        ),
    ],
)
def test_public_urls(moto_server, options, expected):
    config = moto_server.mount()
    with mounted(config, **options) as storage:
        storage.add_mount({"name": "inner", "path": "store:d"})
        node = storage.node("store:d/ä b+c?#%~.txt")
        wanted = expected.format(endpoint=config["endpoint_url"], **config)
        assert node.capabilities.public_urls and node.capabilities.presigned_urls
        assert node.public_url() == storage.node("inner:ä b+c?#%~.txt").public_url() == wanted
        assert "X-Amz-Signature" in node.url()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "site.s3.eu-west-1.amazonaws.com"),
        ("cn-north-1", "site.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_plain_url_at_amazon(region, host):
    config = {"type": "s3", "bucket": "site", "region": region, "key": KEY, "secret": SECRET}
    with mounted(config, public=True) as storage:
        assert storage.node("store:a b").public_url() == f"https://{host}/a%20b"


@pytest.mark.parametrize(
    "url", ["cdn.example.org", "ftp://x", "https://u:s3cret@x", "https://x?a", "https://[::1", ""]
)
def test_a_public_base_url_is_an_address(moto_server, url):
    with pytest.raises(ValueError, match="public_base_url") as caught:
        mounted(moto_server.mount(), public_base_url=url)
    assert "s3cret" not in str(caught.value)


# -- who may ----------------------------------------------------------------------------------


def writers(node):
    return (
        node.upload_url,
        lambda: node.upload_form(max_size=1),
        node.begin_upload,
        lambda: node.resume_upload("id").sign_part(1),
        lambda: node.resume_upload("id").complete(),
        lambda: node.resume_upload("id").abort(),
        lambda: node.resume_upload("id").parts(),
        lambda: node.url(method="PUT"),
    )


def test_who_may_not_write_gets_no_url_that_does(storage):
    storage.add_mount({"name": "locked", "path": "store:", "permissions": "readonly"})
    storage.add_mount({"name": "kept", "path": "store:", "permissions": "readwrite"})
    locked, kept = storage.node("locked:a"), storage.node("kept:a")
    for step in (*writers(locked), lambda: locked.url(method="DELETE")):
        with pytest.raises(StoragePermissionError, match=r"locked:a.*readonly"):
            step()
    with pytest.raises(StoragePermissionError, match=r"kept:a.*readwrite"):
        kept.url(method="DELETE")
    assert kept.upload_url().method == "PUT"
    assert locked.url() is not None
    flags = locked.capabilities
    assert flags.presigned_urls
    assert not (flags.presigned_uploads or flags.upload_forms or flags.multipart_uploads)


def test_an_anonymous_mount_signs_nothing(moto_server):
    config = {k: v for k, v in moto_server.mount().items() if k not in ("key", "secret")}
    with mounted(config, anon=True) as storage:
        node = storage.node("store:a")
        assert node.public_url() == node.url()
        for step in (*writers(node), lambda: node.url(download_name="x")):
            with pytest.raises(StorageUnsupportedError, match="give 'key' and 'secret'"):
                step()


def test_what_is_not_there_says_why(storage):
    node = storage.node("store:a")
    with pytest.raises(StorageUnsupportedError, match="public_base_url"):
        node.public_url()
    with pytest.raises(StorageUnsupportedError, match="begin_upload"):
        node.upload_session()
    with pytest.raises(StorageError, match="name a file"):
        storage.node("store:").upload_url()
