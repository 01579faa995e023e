"""What a setting of an ``s3`` mount does to the requests of both clients, seen by a server."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import Any

import obstore
import pytest

from genro_storage import StorageConfigError, StorageError, StorageManager
from genro_storage.backends.s3 import S3Options
from genro_storage.backends.s3.store_settings import make_store, store_settings
from tests.services.answers import Answer, AnswerServer

SECRET = "do-not-show-me"
KEYS = {"key": "AKIA", "secret": SECRET}
CUSTOMER = base64.b64encode(b"k" * 32).decode()
CUSTOMER_MD5 = base64.b64encode(hashlib.md5(b"k" * 32).digest()).decode()
ENGINES = ("sdk", "obstore")


def answer(request):
    headers = (("ETag", '"900150983cd24fb0d6963f7d28e17f72"'),)
    if request.method == "GET":
        headers += (
            ("Content-Range", "bytes 0-2/3"),
            ("Last-Modified", "Sun, 29 Nov 2026 05:00:00 GMT"),
        )
        return Answer(206 if "Range" in request.headers else 200, b"abc", headers)
    return Answer(200, b"", headers)


@pytest.fixture
def server():
    with AnswerServer(answer) as server:
        yield server


def mount(server, **options):
    storage = StorageManager()
    endpoint = {} if "endpoint_url" in options or server is None else {"endpoint_url": server.url}
    if not {"anon", "skip_signature", "profile", "credential_provider"} & options.keys():
        options = {**KEYS, **options}
    # With the other engine a mount would still take the SDK where that has to help.
    config = {"name": "store", "type": "s3", "bucket": "photos", "region": "eu-west-1"}
    config["engine"] = "fsspec"
    storage.configure([{**config, **endpoint, "retries": 0, **options}])
    return storage


def client_of(storage):
    return storage.node("store:")._mount.backend._store.client


def store_of(storage):
    client = client_of(storage)
    source = client.source
    return make_store(client.options, client.place, source and source.for_obstore)


def write(storage, engine, name="a.bin", data=b"abc"):
    if engine == "sdk":
        storage.node(f"store:{name}").write_bytes(data)
    else:
        obstore.put(store_of(storage), name, data, use_multipart=False)


def read(storage, engine, name="a.bin"):
    if engine == "sdk":
        return storage.node(f"store:{name}").read_bytes()
    return bytes(obstore.get(store_of(storage), name).bytes())


SENT: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"request_payer": True}, {"x-amz-request-payer": "requester"}),
    ({"server_side_encryption": "AES256"}, {"x-amz-server-side-encryption": "AES256"}),
    (
        {
            "server_side_encryption": "aws:kms",
            "sse_kms_key_id": "arn:k",
            "sse_bucket_key_enabled": True,
        },
        {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": "arn:k",
            "x-amz-server-side-encryption-bucket-key-enabled": "true",
        },
    ),
    (
        {"server_side_encryption": "sse-c", "sse_customer_key_base64": CUSTOMER},
        {
            "x-amz-server-side-encryption-customer-algorithm": "AES256",
            "x-amz-server-side-encryption-customer-key": CUSTOMER,
            "x-amz-server-side-encryption-customer-key-MD5": CUSTOMER_MD5,
        },
    ),
    (
        {"checksum_algorithm": "sha256"},
        {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(b"abc").digest()).decode()},
    ),
    ({"unsigned_payload": True}, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}),
    ({"user_agent": "our-program/1"}, {"User-Agent": "our-program/1"}),
    ({"default_headers": {"X-Team": "red"}}, {"X-Team": "red"}),
    ({"token": "session"}, {"x-amz-security-token": "session"}),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("options", "wanted"), SENT, ids=lambda each: ",".join(each))
def test_what_goes_along_with_a_write(server, engine, options, wanted):
    with mount(server, **options) as storage:
        write(storage, engine)
    (request,) = server.requests
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert {name: sent.get(name.lower()) for name in wanted} == wanted
    assert (request.method, request.path) == ("PUT", "/photos/a.bin")
    assert "eu-west-1/s3/aws4_request" in sent["authorization"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_key_of_the_customer_goes_along_with_reading(server, engine):
    options = {"server_side_encryption": "sse-c", "sse_customer_key_base64": CUSTOMER}
    with mount(server, **options) as storage:
        assert read(storage, engine) == b"abc"
    sent = {name.lower(): value for name, value in server.requests[-1].headers.items()}
    assert sent["x-amz-server-side-encryption-customer-key"] == CUSTOMER


@pytest.mark.parametrize("engine", ENGINES)
def test_an_anonymous_mount_signs_nothing_whatever_the_environment(server, engine, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    for options in ({"anon": True}, {"skip_signature": True}):
        with mount(server, **options) as storage:
            read(storage, engine)
    assert not any("Authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_mount_says_precedes_the_environment(server, engine, monkeypatch):
    """obstore by itself would follow ``AWS_ENDPOINT_URL_S3`` and send the other's session token."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "OTHER",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_TOKEN": "other",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_REGION": "us-east-2",
        "AWS_DEFAULT_REGION": "us-east-2",
        "AWS_BUCKET": "other",
        "AWS_REQUEST_PAYER": "requester",
        "AWS_USER_AGENT": "other",
        "AWS_PROXY_URL": "http://127.0.0.1:9",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    more = {
        "request_payer": False,
        "user_agent": "mine",
        "proxy_url": server.url,
        "virtual_hosted_style_request": False,
    }
    with mount(server, **more) as storage:
        write(storage, engine)
    (request,) = server.requests
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert "Credential=AKIA/" in sent["authorization"]
    assert "/eu-west-1/s3/" in sent["authorization"]
    assert request.path.endswith("/photos/a.bin")
    assert sent["user-agent"] == "mine"
    assert "x-amz-security-token" not in sent
    assert "x-amz-request-payer" not in sent


@pytest.mark.parametrize("engine", ENGINES)
def test_the_environment_says_what_the_mount_leaves_open(server, engine, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT": server.url,
        "AWS_ACCESS_KEY_ID": "ENVKEY",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_TOKEN": "envtoken",
        "AWS_REGION": "us-east-2",
        "AWS_BUCKET_NAME": "pictures",
        "AWS_REQUEST_PAYER": "requester",
        "AWS_UNSIGNED_PAYLOAD": "true",
        "AWS_ALLOW_HTTP": "true",
        "AWS_USER_AGENT": "env-agent",
    }.items():
        monkeypatch.setenv(name, value)
    with StorageManager() as storage:
        storage.configure([{"name": "store", "type": "s3", "retries": 0, "engine": "fsspec"}])
        options = client_of(storage).options
        assert options.origin_of("key") == "AWS_ACCESS_KEY_ID"
        assert options.origin_of("retries") == "mount"
        assert options.origin_of("timeout") == "default"
        write(storage, engine)
    (request,) = server.requests
    sent = {name.lower(): value for name, value in request.headers.items()}
    assert request.path == "/pictures/a.bin"
    assert "Credential=ENVKEY/" in sent["authorization"]
    assert "/us-east-2/s3/" in sent["authorization"]
    assert sent["x-amz-security-token"] == "envtoken"
    assert sent["x-amz-request-payer"] == "requester"
    assert sent["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert sent["user-agent"] == "env-agent"


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        ({"AWS_SERVER_SIDE_ENCRYPTION": "rot13"}, {}, "AWS_SERVER_SIDE_ENCRYPTION"),
        ({"AWS_SSE_KMS_KEY_ID": "k"}, {}, "sse_kms_key_id.*AWS_SSE_KMS_KEY_ID"),
        ({"AWS_HTTP2_ONLY": "true"}, {"engine": "fsspec"}, "http2_only.*AWS_HTTP2_ONLY"),
        ({"AWS_SSE_CUSTOMER_KEY_BASE64": SECRET}, {}, "AWS_SSE_CUSTOMER_KEY_BASE64"),
        ({}, {"bucket": None}, "'bucket'.*AWS_BUCKET"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(monkeypatch, variables, options, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageConfigError, match=f"(?s)store.*{message}") as caught:
        mount(None, **options)
    assert SECRET not in str(caught.value)


def test_one_setting_of_the_mount_is_not_completed_by_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", "another-key")
    monkeypatch.setenv("AWS_PROXY_EXCLUDES", "*")
    with mount(None, server_side_encryption="AES256", proxy_url="http://proxy:1") as storage:
        options = client_of(storage).options
        assert (options.sse_kms_key_id, options.proxy_excludes) == (None, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_proxy_is_asked_unless_the_host_is_excluded(server, engine):
    with AnswerServer(answer) as proxy:
        with mount(server, proxy_url=proxy.url) as storage:
            read(storage, engine)
        assert (len(proxy.requests), len(server.requests)) == (1, 0)
        for excludes in ("127.0.0.1", "10.0.0.0/8, 127.0.0.0/8"):
            with mount(server, proxy_url=proxy.url, proxy_excludes=excludes) as storage:
                read(storage, engine)
        assert (len(proxy.requests), len(server.requests)) == (1, 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_bucket_before_the_host(server, engine):
    """The endpoint with the bucket in front, as obstore wants it, means the same."""
    port = server.port
    for host in ("localhost", "photos.localhost"):
        options = {"endpoint_url": f"http://{host}:{port}", "virtual_hosted_style_request": True}
        with mount(server, proxy_url=server.url, **options) as storage:
            read(storage, engine)
    # What is asked of a proxy is a whole URL.
    wanted = f"http://photos.localhost:{port}/a.bin"
    assert [request.path for request in server.requests] == [wanted] * 2


def test_a_bucket_cannot_be_before_a_number():
    options = {"endpoint_url": "http://127.0.0.1:9", "virtual_hosted_style_request": True}
    with pytest.raises(StorageConfigError, match=r"virtual_hosted_style_request.*number"):
        mount(None, **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_may_be_bounded_as_a_whole(engine):
    go_on = threading.Event()

    def slow(request):
        go_on.wait(10)
        return answer(request)

    with AnswerServer(slow) as server:
        with mount(server, client_options={"timeout": "200ms"}) as storage:
            error = StorageError if engine == "sdk" else obstore.exceptions.BaseError
            with pytest.raises(error):
                read(storage, engine)
        go_on.set()


PLACES: list[tuple[dict[str, Any], str, bool]] = [
    ({}, "https://photos.s3.eu-west-1.amazonaws.com", True),
    ({"bucket": "photos.example.org"}, "https://s3.eu-west-1.amazonaws.com", False),
    ({"virtual_hosted_style_request": False}, "https://s3.eu-west-1.amazonaws.com", False),
    ({"region": "cn-north-1"}, "https://photos.s3.cn-north-1.amazonaws.com.cn", True),
    ({"endpoint_url": "https://minio.example.org:9000"}, "https://minio.example.org:9000", False),
    (
        {"provider": "r2", "account": "abc", "region": None},
        "https://abc.r2.cloudflarestorage.com",
        False,
    ),
    (
        {"provider": "spaces", "region": "fra1"},
        "https://photos.fra1.digitaloceanspaces.com",
        True,
    ),
    (
        {"provider": "wasabi", "region": "eu-central-1"},
        "https://s3.eu-central-1.wasabisys.com",
        False,
    ),
]


@pytest.mark.parametrize(("options", "endpoint", "virtual"), PLACES)
def test_where_obstore_sends_requests(options, endpoint, virtual):
    with mount(None, **options) as storage:
        client = client_of(storage)
        found = store_settings(client.options, client.place, anonymous=False)
    assert found["endpoint"] == found["aws_endpoint_url_s3"] == endpoint
    assert found["virtual_hosted_style_request"] is virtual


def test_where_the_sdk_sends_requests():
    for options, endpoint, virtual in PLACES:
        with mount(None, **options) as storage:
            url = storage.node("store:a").url()
        bucket = options.get("bucket", "photos")
        assert url.startswith(f"{endpoint}/a?" if virtual else f"{endpoint}/{bucket}/a?"), url


def test_every_setting_that_obstore_has_is_one_of_a_mount():
    """Under its own name, with ``aws_`` before it, and as the environment spells it."""
    keys = (
        "access_key_id",
        "bucket",
        "checksum_algorithm",
        "conditional_put",
        "container_credentials_relative_uri",
        "container_credentials_full_uri",
        "container_authorization_token_file",
        "copy_if_not_exists",
        "default_region",
        "disable_tagging",
        "disable_bulk_delete",
        "endpoint",
        "imdsv1_fallback",
        "metadata_endpoint",
        "region",
        "request_payer",
        "role_arn",
        "role_session_name",
        "s3_express",
        "secret_access_key",
        "server_side_encryption",
        "session_token",
        "skip_signature",
        "sse_bucket_key_enabled",
        "sse_customer_key_base64",
        "sse_kms_key_id",
        "sts_endpoint",
        "unsigned_payload",
        "virtual_hosted_style_request",
        "web_identity_token_file",
        "endpoint_url_s3",
    )
    assert len(keys) == 31
    known = S3Options.known_keys()
    assert set(keys) <= set(known)
    for spelled in ("aws_region", "AWS_REGION"):
        assert S3Options.model_validate({"bucket": "b", spelled: "x"}).region == "x"


@pytest.mark.parametrize("flag", [True, False])
def test_removing_many_files_without_the_bulk_request(flag):
    keys = "".join(f"<Contents><Key>d/{n}</Key><Size>1</Size></Contents>" for n in range(3))
    listing = f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"

    def listed(request):
        if request.method == "GET":
            return Answer(200, listing.encode(), (("Content-Type", "application/xml"),))
        if request.method == "HEAD":
            return Answer(404)
        return Answer(
            200 if request.method == "POST" else 204,
            b"<DeleteResult/>" if request.method == "POST" else b"",
        )

    with AnswerServer(listed) as server, mount(server, disable_bulk_delete=flag) as storage:
        storage.node("store:d").delete()
    methods = [each.method for each in server.requests if each.method in ("POST", "DELETE")]
    assert methods == (["DELETE"] * 3 if flag else ["POST"])


def test_a_disabled_condition_is_a_look_before_the_write():
    def nothing_there(request):
        return Answer(404) if request.method in ("HEAD", "GET") else answer(request)

    with AnswerServer(nothing_there) as server:
        with mount(server, conditional_put="disabled") as storage:
            stream = storage.node("store:a").open("xb")
            stream.write(b"abc")
            stream.close()
        puts = [each for each in server.requests if each.method == "PUT"]
        assert len(puts) == 1
        assert "If-None-Match" not in puts[0].headers


def test_content_types_of_names_that_tell_none(server):
    with mount(server, default_content_type="text/x-notes") as storage:
        write(storage, "sdk", "notes")
        write(storage, "sdk", "notes.pdf")
    assert [each.headers["Content-Type"] for each in server.requests] == [
        "text/x-notes",
        "application/pdf",
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_checksums_of_parts_are_named_when_these_are_put_together(streamed, tmp_path):
    """Amazon refuses to complete an upload of this algorithm otherwise."""
    size = 33 * 1024 * 1024

    def multipart(request):
        if request.path.endswith("?uploads"):
            body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
            return Answer(200, body)
        if request.method == "POST":
            done = b"<ETag>&quot;e-5&quot;</ETag>"
            return Answer(
                200, b"<CompleteMultipartUploadResult>%s</CompleteMultipartUploadResult>" % done
            )
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        sums = (
            ("ETag", '"e"'),
            ("x-amz-checksum-sha256", digest),
            ("Last-Modified", "Sun, 29 Nov 2026 05:00:00 GMT"),
        )
        return Answer(200, b"", sums)

    (tmp_path / "large").write_bytes(bytes(size))
    with AnswerServer(multipart) as server:
        with mount(server, checksum_algorithm="sha256") as storage:
            node = storage.node("store:large")
            if streamed:
                with node.open("wb") as stream:
                    for _ in range(33):
                        stream.write(bytes(1024 * 1024))
            else:
                storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
                storage.node("disk:large").copy_to(node)
        begun, *parts, done = (each for each in server.requests if each.method != "HEAD")
    assert begun.headers["X-Amz-Checksum-Algorithm"] == "SHA256"
    assert sum(len(part.body) for part in parts) >= size
    assert len(parts) == done.body.count(b"<ChecksumSHA256>") == 5
