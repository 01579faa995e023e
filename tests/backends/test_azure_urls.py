"""URLs and uploads of Azure, on azurite, which checks signatures."""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest

from genro_storage import (
    Checksum,
    StorageExistsError,
    StorageIOError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from tests.support.strangers import CLIENTS, by_urllib

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def storage(azure):
    with StorageManager() as manager:
        manager.configure([{"name": "az", **azure.mount(), "timeout": 20, "retries": 1}])
        yield manager


@pytest.fixture(params=sorted(CLIENTS))
def client(request):
    return CLIENTS[request.param]


def changed(url):
    """The same URL with another signature."""
    return re.sub(r"(?<=[?&]sig=)[^&]*", f"{'x' * 43}%3D", url)


def query_of(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def test_signed_urls_work_for_strangers_until_they_are_tampered_with(storage, client):
    node = storage.node("az:d/ä b+c&d=1#.txt")
    node.write_bytes(b"served")
    url = node.url(expires_in=60)
    assert client("GET", url).body == b"served"
    assert client("HEAD", node.url(method="HEAD")).status == 200
    blob = {"x-ms-blob-type": "BlockBlob"}
    for method, wrong in (
        ("GET", changed(url)),
        ("GET", re.sub(r"(?<=[?&]se=)2", "3", url)),
        ("GET", url.replace("sp=r", "sp=rw")),
        ("GET", url.partition("?")[0]),
        ("GET", node.url(method="PUT")),
        ("PUT", url),
        ("DELETE", url),
    ):
        body = b"x" if method == "PUT" else None
        assert client(method, wrong, blob, body).status in (403, 404)
    assert node.read_bytes() == b"served"
    assert client("PUT", node.url(method="PUT"), blob, b"new").status == 201
    assert node.read_bytes() == b"new"
    assert client("DELETE", node.url(method="DELETE")).status == 202
    assert not node.exists


def test_signed_urls_end(storage, client):
    node = storage.node("az:a.txt")
    node.write_bytes(b"served")
    get, upload = node.url(expires_in=1), node.upload_url(expires_in=1)
    time.sleep(2.1)
    assert client("GET", get).status == 403
    assert client("PUT", upload.url, upload.headers, b"late").status == 403
    assert node.read_bytes() == b"served"


def test_a_download_has_the_name_and_type_that_are_asked_for(storage):
    from werkzeug.http import parse_options_header

    node = storage.node("az:a.bin")
    node.write_bytes(b"x")
    answer = by_urllib("GET", node.url(download_name='für "alle".txt', content_type="text/plain"))
    assert answer.headers["content-type"] == "text/plain"
    found = parse_options_header(answer.headers["content-disposition"])
    assert found == ("attachment", {"filename": 'für "alle".txt'})
    for options in ({"download_name": "a\nb"}, {"content_type": "a\r"}, {"expires_in": 0}):
        with pytest.raises(StorageValueError, match=r"az:a\.bin"):
            node.url(**options)


def test_a_snapshots_url_names_the_version(storage):
    """Azurite keeps no versions: only the URL is seen."""
    version = "2026-11-20T16:00:00.1234567Z"
    with pytest.raises(StorageUnsupportedError, match="versioning"):
        storage.node("az:a", version=version).url()
    key = base64.b64encode(b"another key " * 4).decode()
    config = {"type": "azure", "container": "c", "account_name": "real", "account_key": key}
    storage.add_mount({"name": "real", **config})
    query = query_of(storage.node("real:a", version=version).url())
    assert (query["versionid"], query["sr"]) == (version, "bv")


# -- one request ------------------------------------------------------------------------------


def test_strangers_upload_whole_files(storage, client):
    node = storage.node("az:d/ä b.png")
    upload = node.upload_url(metadata={"Colour": "blue"})
    assert upload.headers == {
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "image/png",
        "x-ms-meta-colour": "blue",
    }
    assert upload.url not in repr(upload)
    hour = upload.expires_at - datetime.now(UTC)
    assert abs(hour - timedelta(hours=1)) < timedelta(minutes=1)
    assert client("PUT", changed(upload.url), upload.headers, b"x").status == 403
    assert client("GET", upload.url).status in (403, 404)
    assert not node.exists
    for body in (b"first", b"second"):
        assert client("PUT", upload.url, upload.headers, body).status == 201
        assert node.read_bytes() == body
    assert node.stat().content_type == "image/png"


def test_an_upload_that_may_only_create_cannot_replace(storage):
    node = storage.node("az:a.txt")
    upload = node.upload_url(if_absent=True)
    assert by_urllib("PUT", upload.url, upload.headers, b"first").status == 201
    assert by_urllib("PUT", upload.url, upload.headers, b"second").status in (403, 409)
    assert node.read_bytes() == b"first"


@pytest.mark.parametrize(
    "options", [{"content_length": 5}, {"checksum": Checksum("md5", "00" * 16)}]
)
def test_what_a_signature_cannot_bind_is_not_promised(storage, options):
    node = storage.node("az:a")
    for step in (node.upload_url, lambda **given: node.begin_upload().sign_part(1, **given)):
        with pytest.raises(StorageUnsupportedError, match=f"cannot bind {next(iter(options))}"):
            step(**options)
    with pytest.raises(StorageUnsupportedError, match="cannot bind checksums"):
        node.begin_upload(checksum_algorithm="sha256")


def test_metadata_that_no_header_holds_is_refused(storage):
    for metadata in ({"a-b": "c"}, {"a": "ä"}, {"a": "x\r\ny"}, {"A": "b", "a": "c"}):
        with pytest.raises(StorageValueError, match="metadata"):
            storage.node("az:a").upload_url(metadata=metadata)


# -- parts ------------------------------------------------------------------------------------


def test_an_upload_in_parts_by_a_stranger_is_whole(storage, client):
    node = storage.node("az:d/film.mp4")
    data = bytes(range(256)) * (MIB // 256) + b"the end"
    upload = node.begin_upload(metadata={"a": "b"})
    pieces = {1: data[:MIB], 2: data[MIB:]}
    assert upload.parts() == []
    for number in (2, 1):
        again = storage.node("az:d/film.mp4").resume_upload(upload.upload_id)
        part = again.sign_part(number)
        # Little content: a server that refuses without reading it all breaks the connection.
        assert client("PUT", changed(part.url), part.headers, b"other").status == 403
        assert client("PUT", part.url, part.headers, pieces[number]).status == 201
        if number == 2:
            with pytest.raises(StorageValueError, match="part 1 has not arrived"):
                upload.complete()
        assert not node.exists
    assert [(part.number, part.size, part.etag) for part in upload.parts()] == [
        (1, MIB, None), (2, 7, None),
    ]  # fmt: skip
    with pytest.raises(StorageValueError, match=f"{len(data)} of 5 bytes"):
        upload.complete(size=5)
    upload.complete(size=len(data))
    assert node.read_bytes() == data
    assert node.stat().content_type == "video/mp4"
    assert by_urllib("GET", node.url()).headers["x-ms-meta-a"] == "b"


def test_two_uploads_of_one_file_do_not_mix(storage):
    node = storage.node("az:a.bin")
    one, two = node.begin_upload(), node.begin_upload()
    for upload, body in ((one, b"one"), (two, b"two")):
        part = upload.sign_part(1)
        assert by_urllib("PUT", part.url, part.headers, body).status == 201
    two.complete()
    assert node.read_bytes() == b"two"
    # Whoever finishes first takes the blocks of all others away: nothing is made of half of them.
    with pytest.raises(StorageValueError, match="no part has arrived"):
        one.complete()
    assert node.read_bytes() == b"two"


def test_completing_may_refuse_to_replace_and_aborting_leaves_no_file(storage):
    node = storage.node("az:a.bin")
    upload = node.begin_upload()
    part = upload.sign_part(1)
    assert by_urllib("PUT", part.url, part.headers, b"late").status == 201
    upload.abort()
    assert not node.exists
    assert [each.name for each in node.parent.children()] == []
    node.write_bytes(b"first")
    again = node.begin_upload()
    part = again.sign_part(1)
    assert by_urllib("PUT", part.url, part.headers, b"late").status == 201
    with pytest.raises((StorageExistsError, StorageIOError)):
        again.complete(if_absent=True)
    assert node.read_bytes() == b"first"


def _id(about):
    return "0" * 32 + base64.urlsafe_b64encode(json.dumps(about).encode()).decode()


@pytest.mark.parametrize(
    "upload_id", ["x", "0" * 32, _id({}), _id(["text/plain"]), _id(["a\r\nb", {}]), _id([1, {}])]
)
def test_ids_of_other_stores_are_no_uploads(storage, upload_id):
    upload = storage.node("az:a").resume_upload(upload_id)
    for step in (lambda: upload.sign_part(1), upload.parts, upload.complete, upload.abort):
        with pytest.raises(StorageNotFoundError, match="no such upload"):
            step()


# -- who may, and what is not there -------------------------------------------------------------


def test_what_is_not_there_says_why(storage, azure):
    node = storage.node("az:a")
    for step, text in (
        (lambda: node.upload_form(max_size=1), "upload_url"),
        (node.upload_session, "begin_upload"),
        (node.public_url, "public_base_url"),
    ):
        with pytest.raises(StorageUnsupportedError, match=text):
            step()
    config = {k: v for k, v in azure.mount().items() if k != "account_key"}
    storage.add_mount({"name": "open", **config, "anon": True})
    node = storage.node("open:a")
    assert node.url() is None
    for step in (node.upload_url, node.begin_upload, lambda: node.url(method="DELETE")):
        with pytest.raises(StorageUnsupportedError, match="account_key"):
            step()


def test_nobody_can_read_what_is_encrypted_with_a_customers_key():
    """Nor write what this mount could read. Asked without a server: an emulator has no https."""
    config = {
        "name": "own", "type": "azure", "container": "c", "account_name": "a",
        "account_key": "a2V5", "encryption_key": base64.b64encode(bytes(32)).decode(),
    }  # fmt: skip
    with StorageManager() as manager:
        manager.add_mount(config)
        node = manager.node("own:a")
        has = node.capabilities
        assert not (has.presigned_urls or has.presigned_uploads or has.multipart_uploads)
        upload = node.resume_upload(_id(["text/plain", {}]))
        for step in (
            *(node.url, lambda: node.url(method="PUT"), lambda: node.url(download_name="b")),
            *(node.upload_url, node.begin_upload, lambda: upload.sign_part(1), upload.complete),
        ):
            with pytest.raises(StorageUnsupportedError, match=r"own:a.*'encryption_key'"):
                step()
        manager.add_mount({**config, "public": True})
        node = manager.node("own:a")
        assert not node.capabilities.public_urls
        for step in (node.url, node.public_url):
            with pytest.raises(StorageUnsupportedError, match=r"own:a.*'encryption_key'"):
                step()
        manager.add_mount({**config, "public_base_url": "https://gate.example.org"})
        assert manager.node("own:a").public_url() == "https://gate.example.org/a"


def test_who_may_not_write_gets_no_url_that_does(storage):
    upload = storage.node("az:a").begin_upload()
    storage.add_mount({"name": "locked", "path": "az:", "permissions": "readonly"})
    node = storage.node("locked:a")
    resumed = node.resume_upload(upload.upload_id)
    for step in (
        node.upload_url,
        node.begin_upload,
        lambda: resumed.sign_part(1),
        resumed.complete,
        lambda: node.url(method="PUT"),
        lambda: node.url(method="DELETE"),
    ):
        with pytest.raises(StoragePermissionError, match="readonly"):
            step()


def test_public_urls(storage, azure):
    azure.make_container("everybodys", public="blob")
    config = {**azure.mount(), "container": "everybodys"}
    storage.add_mount({"name": "plain", **config, "public": True})
    storage.add_mount({"name": "cdn", **config, "public_base_url": "https://cdn.example.org/f"})
    node = storage.node("plain:d/ä b#.txt")
    node.write_bytes(b"for all")
    assert by_urllib("GET", node.public_url()).body == b"for all"
    cdn = storage.node("cdn:d/ä b#.txt")
    assert cdn.public_url() == "https://cdn.example.org/f/d/%C3%A4%20b%23.txt"
    assert "sig=" in cdn.url() and cdn.capabilities.public_urls
