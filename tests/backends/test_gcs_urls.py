"""URLs and uploads of Google Cloud Storage.

fake-gcs-server accepts any signature: here they are checked as Google documents it, with the public
half of a key that is made here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from genro_storage import (
    Checksum,
    StorageManager,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from tests.services.answers import Answer, AnswerServer
from tests.support.strangers import by_urllib, post_form

pytestmark = pytest.mark.services

EMAIL = "tests@example.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def private():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def account(private):
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key_id": "1",
        "private_key": text.decode(),
    }


@pytest.fixture
def storage(gcs, account):
    """``open`` shows what is there, ``g`` signs."""
    config = gcs.mount()
    signing = {name: value for name, value in config.items() if name != "anon"}
    with StorageManager() as manager:
        manager.configure([{"name": "open", **config}, {"name": "g", **signing, "token": account}])
        yield manager


@pytest.fixture
def is_signed(private):
    """Whether Google would accept this request, by its own rules; it sees what a server sees."""

    def verify(signature, text):
        try:
            private.public_key().verify(
                bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return False
        return True

    def check(method, url, headers=None, *, now=None):
        parts = urllib.parse.urlsplit(url)
        pairs = [pair.partition("=")[::2] for pair in parts.query.split("&")]
        query = {name: urllib.parse.unquote(value) for name, value in pairs}
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        sent["host"] = parts.netloc
        names = query["X-Goog-SignedHeaders"].split(";")
        begin = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        end = begin + timedelta(seconds=int(query["X-Goog-Expires"]))
        if not begin - timedelta(minutes=15) <= (now or datetime.now(UTC)) < end:
            return False
        # Every header of Google's own must be signed, and what was signed must be sent.
        if any(name.startswith("x-goog-") and name not in names for name in sent):
            return False
        if any(name not in sent for name in names):
            return False
        rest = sorted(pair for pair in pairs if pair[0] != "X-Goog-Signature")
        request = "\n".join((
            method,
            parts.path,
            "&".join(f"{name}={value}" for name, value in rest),
            *(f"{name}:{sent[name].strip()}" for name in sorted(names)),
            "",
            ";".join(sorted(names)),
            "UNSIGNED-PAYLOAD",
        ))  # fmt: skip
        email, _, scope = query["X-Goog-Credential"].partition("/")
        assert (email, scope) == (EMAIL, f"{begin:%Y%m%d}/auto/storage/goog4_request")
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{query['X-Goog-Algorithm']}\n{query['X-Goog-Date']}\n{scope}\n{digest}"
        return verify(query["X-Goog-Signature"], text)

    check.text = verify
    return check


def query_of(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


# -- reading ----------------------------------------------------------------------------------


def test_signed_urls_are_what_google_accepts_and_nothing_else(storage, is_signed):
    node = storage.node("g:d/ä b+c&d=1~'(x).txt")
    storage.node("open:d/ä b+c&d=1~'(x).txt").write_bytes(b"served")
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        url = node.url(expires_in=60, method=method)
        assert is_signed(method, url)
        for other in ("GET", "HEAD", "PUT", "DELETE"):
            assert is_signed(other, url) == (other == method)
        later = datetime.now(UTC) + timedelta(seconds=61)
        assert not is_signed(method, url, now=later)
        assert not is_signed(method, url.replace("X-Goog-Expires=60", "X-Goog-Expires=600"))
        assert not is_signed(method, url.replace("/d/", "/e/"))
        assert not is_signed(method, f"{url}&response-content-type=text%2Fhtml")
    assert by_urllib("GET", node.url()).body == b"served"


def test_what_shapes_the_answer_is_signed(storage, is_signed):
    node = storage.node("g:a.bin")
    url = node.url(download_name="für alle.txt", content_type="text/plain; charset=utf-8")
    assert is_signed("GET", url)
    query = query_of(url)
    assert query["response-content-type"] == "text/plain; charset=utf-8"
    assert query["response-content-disposition"].endswith("filename*=UTF-8''f%C3%BCr%20alle.txt")
    old = storage.node("g:a.bin", version="1234567890")
    assert query_of(old.url())["generation"] == "1234567890"
    assert is_signed("GET", old.url())
    for options in ({"download_name": "a\nb"}, {"content_type": "a\r"}, {"expires_in": 604_801}):
        with pytest.raises(StorageValueError, match=r"g:a\.bin"):
            node.url(**options)


# -- one request ------------------------------------------------------------------------------


def test_an_upload_url_binds_all_that_was_said(storage, is_signed):
    data = b"\x89PNG content"
    node = storage.node("g:d/ä b.png")
    upload = node.upload_url(
        content_length=len(data),
        checksum=Checksum("md5", hashlib.md5(data).hexdigest()),
        if_absent=True,
        metadata={"Colour": "blue"},
    )
    assert upload.headers == {
        "Content-Type": "image/png",
        "x-goog-content-length-range": f"{len(data)},{len(data)}",
        "Content-MD5": base64.b64encode(hashlib.md5(data).digest()).decode(),
        "x-goog-if-generation-match": "0",
        "x-goog-meta-colour": "blue",
    }
    assert is_signed("PUT", upload.url, upload.headers)
    for name in upload.headers:
        assert not is_signed("PUT", upload.url, {**upload.headers, name: "other"})
        fewer = {key: text for key, text in upload.headers.items() if key != name}
        assert not is_signed("PUT", upload.url, fewer)
    assert not is_signed("PUT", upload.url, {**upload.headers, "x-goog-acl": "public-read"})
    assert abs(upload.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=20)
    assert upload.url not in repr(upload) and "PRIVATE" not in upload.url
    assert by_urllib("PUT", upload.url, upload.headers, data).status == 200
    shown = storage.node("open:d/ä b.png")
    assert shown.read_bytes() == data
    assert shown.stat().content_type == "image/png"


def test_which_checksums_google_checks(storage, is_signed):
    node = storage.node("g:a")
    upload = node.upload_url(checksum=Checksum("crc32c", "00000001"))
    assert upload.headers["x-goog-hash"] == "crc32c=AAAAAQ=="
    assert is_signed("PUT", upload.url, upload.headers)
    with pytest.raises(StorageUnsupportedError, match="md5 and crc32c"):
        node.upload_url(checksum=Checksum("sha256", "00" * 32))
    with pytest.raises(StorageValueError, match="ASCII"):
        node.upload_url(metadata={"a": "ä"})


# -- forms ------------------------------------------------------------------------------------


def test_a_form_and_its_policy(storage, is_signed, gcs):
    node = storage.node("g:d/ä.png")
    form = node.upload_form(min_size=1, max_size=1000, expires_in=60, metadata={"a": "b"})
    raw = base64.b64decode(form.fields["policy"])
    policy = json.loads(raw.decode("ascii"))
    key = f"{node._mount.backend.root}/d/ä.png"
    named = {name for each in policy["conditions"] if isinstance(each, dict) for name in each}
    assert named == (form.fields.keys() - {"policy", "x-goog-signature"}) | {"bucket"}
    assert ["content-length-range", 1, 1000] in policy["conditions"]
    assert {"key": key} in policy["conditions"] and {"bucket": gcs.bucket} in policy["conditions"]
    assert form.fields["Content-Type"] == "image/png" and form.fields["x-goog-meta-a"] == "b"
    ends = datetime.strptime(policy["expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(ends - form.expires_at) <= timedelta(seconds=2)
    assert is_signed.text(form.fields["x-goog-signature"], form.fields["policy"])
    assert not is_signed.text(form.fields["x-goog-signature"], form.fields["policy"][:-4])
    assert form.fields["policy"] not in repr(form)
    # Google's URL ends with a slash, which fake-gcs-server does not know.
    assert post_form(form.url.rstrip("/"), form.fields, b"content").status in (200, 204)
    assert storage.node("open:d/ä.png").read_bytes() == b"content"
    anything = node.upload_form(max_size=1, content_type="image/*")
    conditions = json.loads(base64.b64decode(anything.fields["policy"]))["conditions"]
    assert ["starts-with", "$Content-Type", "image/"] in conditions
    with pytest.raises(StorageValueError, match="name of the client's file"):
        storage.node("g:${filename}").upload_form(max_size=1)


# -- sessions ---------------------------------------------------------------------------------


def test_a_session_takes_pieces_from_a_stranger(storage):
    """With the credentials of the mount, which are none here: the URL carries the right alone."""
    node = storage.node("open:d/film.mp4")
    data = bytes(range(256)) * 2048 + b"the end"  # the service wants multiples of 256 KiB
    session = node.upload_session(content_length=len(data), metadata={"a": "b"})
    assert (session.method, session.headers) == ("PUT", {"Content-Type": "video/mp4"})
    week = session.expires_at - datetime.now(UTC)
    assert abs(week - timedelta(days=7)) < timedelta(minutes=1)
    half = 256 * 1024
    ranges = ((0, half), (half, 2 * half), (2 * half, len(data)))
    for number, (start, end) in enumerate(ranges, 1):
        sent = {**session.headers, "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        assert not node.exists
        answer = by_urllib(session.method, session.url, sent, data[start:end])
        assert answer.status == (308 if number < len(ranges) else 200)
    assert node.read_bytes() == data
    assert node.stat().content_type == "video/mp4"


def test_what_a_session_is_told():
    begun = []

    def answer(request):
        begun.append(request)
        return Answer(200, b"", (("Location", f"{server.url}/session?upload_id=1"),))

    with AnswerServer(answer) as server, StorageManager() as storage:
        storage.configure([{
            "name": "g", "type": "gcs", "bucket": "b", "endpoint_url": server.url, "anon": True,
        }])  # fmt: skip
        session = storage.node("g:a.png").upload_session(
            content_length=5,
            checksum=Checksum("md5", "00" * 16),
            if_absent=True,
            metadata={"a": "ä"},
            origin="https://www.example.org",
        )
        for origin in ("https://x\r\nX-Evil: 1", ""):
            with pytest.raises(StorageValueError, match="origin"):
                storage.node("g:a.png").upload_session(origin=origin)
    assert session.url == f"{server.url}/session?upload_id=1"
    request = begun[0]
    assert query_of(request.path) == {
        "uploadType": "resumable", "name": "a.png", "ifGenerationMatch": "0",
    }  # fmt: skip
    headers = {name.lower(): text for name, text in request.headers.items()}
    assert headers["origin"] == "https://www.example.org"
    assert headers["x-upload-content-type"] == "image/png"
    assert headers["x-upload-content-length"] == "5"
    assert json.loads(request.body) == {
        "name": "a.png", "contentType": "image/png", "metadata": {"a": "ä"},
        "md5Hash": base64.b64encode(bytes(16)).decode(),
    }  # fmt: skip


# -- who may, and what is not there -------------------------------------------------------------


def test_without_a_key_nothing_is_signed(storage):
    node = storage.node("open:a")
    assert node.url() is None and node.url(download_name="x") is None
    for step in (
        node.upload_url,
        lambda: node.upload_form(max_size=1),
        lambda: node.url(method="PUT"),
    ):
        with pytest.raises(StorageUnsupportedError, match="key of a service account"):
            step()
    flags = node.capabilities
    assert flags.upload_sessions and not (flags.presigned_uploads or flags.upload_forms)


def test_parts_are_something_else_at_google(storage):
    with pytest.raises(StorageUnsupportedError, match="upload_session"):
        storage.node("g:a").begin_upload()


def test_who_may_not_write_gets_no_url_that_does(storage):
    storage.add_mount({"name": "locked", "path": "g:", "permissions": "readonly"})
    node = storage.node("locked:a")
    for step in (
        node.upload_url,
        node.upload_session,
        lambda: node.upload_form(max_size=1),
        lambda: node.url(method="PUT"),
        lambda: node.url(method="DELETE"),
    ):
        with pytest.raises(StoragePermissionError, match="readonly"):
            step()


def test_public_urls(storage, gcs):
    config = gcs.mount()
    storage.add_mount({"name": "plain", **config, "public": True})
    storage.add_mount({"name": "cdn", **config, "public_base_url": "https://cdn.example.org"})
    prefix = urllib.parse.quote(config["base_path"])
    plain, cdn = storage.node("plain:d/ä b#.txt"), storage.node("cdn:d/ä b#.txt")
    assert plain.public_url() == f"{gcs.url}/{gcs.bucket}/{prefix}/d/%C3%A4%20b%23.txt"
    assert cdn.public_url() == cdn.url() == "https://cdn.example.org/d/%C3%A4%20b%23.txt"
    plain.write_bytes(b"for all")
    assert by_urllib("GET", plain.public_url()).body == b"for all"
    with pytest.raises(StorageUnsupportedError, match=r"`public: true`.*`public_base_url"):
        storage.node("g:a").public_url()
    with pytest.raises(StorageUnsupportedError, match="download_name"):
        cdn.url(download_name="x")
    with pytest.raises(ValueError, match="root of the mount"):
        storage.node("cdn:").public_url()
