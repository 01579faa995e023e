"""What an ``s3`` mount can be told, and what configuring it does not do."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import timedelta

import pytest

from genro_storage import StorageConfigError, StorageError, StorageManager
from genro_storage.backends.remote import Bounds
from genro_storage.backends.s3.engines import engine_of

SECRET = "do-not-show-me"
KEYS = {"key": "AKIA", "secret": SECRET}


def configured(**options):
    storage = StorageManager()
    storage.configure([{"name": "store", "type": "s3", "bucket": "photos", **options}])
    return storage


def client_of(storage):
    return storage.node("store:")._mount.backend._store.client


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix": "a/b"},
        {"base_path": "/a/b/"},
        {"access_key": "AKIA", "secret_key": SECRET},
        {"access_key_id": "AKIA", "secret_access_key": SECRET, "session_token": "t"},
        {**KEYS, "token": "t", "region": "eu-west-1", "timeout": 3, "retries": 0},
        {"profile": "work"},
        {"anon": True},
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"endpoint": "https://minio.example.org/"},
        {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/photos"},
        {"engine": "obstore", "http2_only": True, "randomize_addresses": False},
        {"engine": "fsspec", "use_fips_endpoint": True, "region": "us-east-1"},
        {"config": {"aws_region": "eu-west-1"}, "AWS_REGION": "eu-west-1"},
        {"timeout": "30s", "connect_timeout": "500ms", "retry_timeout": "2m 30s"},
        {"endpoint_url": "http://localhost:9", "allow_http": True},
        {"root_certificate": "/etc/authority.pem", "disable_system_certificates": True},
        {"default_headers": {"X-Team": "red"}, "user_agent": "ours"},
        {"copy_if_not_exists": "header: cf-copy-destination-if-none-match: *"},
        {"provider": "minio", "endpoint_url": "http://localhost:9"},
        {"metadata_endpoint": "http://169.254.169.254", "imdsv1_fallback": True},
    ],
    ids=lambda options: ",".join(options) or "nothing",
)
def test_what_is_accepted(options):
    with configured(**options) as storage:
        assert storage.node("store:x.txt").capabilities.write


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket": "s3://photos/2026"}, "bucket.*name alone.*prefix"),
        ({"bucket": "photos/2026"}, "bucket.*name alone"),
        ({"bucket": "a b"}, "bucket"),
        ({"bucket": ""}, "bucket"),
        ({"prefix": "a//b"}, "prefix"),
        ({"prefix": "a/../b"}, "prefix"),
        ({"prefix": "a", "base_path": "b"}, "prefix.*base_path"),
        ({"key": "AKIA"}, "'key' and 'secret' belong together"),
        ({"secret": SECRET}, "'key' and 'secret' belong together"),
        ({"token": SECRET}, "token"),
        ({**KEYS, "anon": True}, "exclude each other"),
        ({**KEYS, "profile": "work"}, "exclude each other"),
        ({"anon": True, "profile": "work"}, "exclude each other"),
        ({"endpoint_url": "minio:9000"}, "endpoint_url.*http"),
        ({"endpoint_url": f"https://u:{SECRET}@host"}, "endpoint_url.*credentials"),
        ({"endpoint_url": "https://host/?x=1"}, "endpoint_url.*query"),
        ({"endpoint_url": "http://host:99999"}, "endpoint_url"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"buckett": "x"}, "bucket"),
        # Two names of one setting.
        ({"key": "a", "access_key_id": "b", "secret": SECRET}, "'key' and 'access_key_id'"),
        ({"region": "a", "AWS_REGION": "b"}, "'region' and 'AWS_REGION'"),
        ({"retries": 1, "max_retries": 2}, "'retries' and 'max_retries'"),
        ({"read_timeout": 1, "client_options": {"read_timeout": 2}}, "'client_options'"),
        ({"client_options": {"reed_timeout": 2}}, "'client_options' has no key 'reed_timeout'"),
        ({"retry_config": {"backoff": {"bace": 2}}}, "'backoff' has no key 'bace'"),
        ({"client_options": 3}, "client_options.*a mapping"),
        # What does not go together.
        ({"proxy_excludes": "a"}, "'proxy_excludes' belongs to 'proxy_url'"),
        ({"disable_system_certificates": True}, "root_certificate"),
        ({"http1_only": True, "http2_only": True}, "exclude each other"),
        ({"sse_kms_key_id": "k"}, "sse_kms_key_id.*server_side_encryption"),
        ({"server_side_encryption": "sse-c"}, "sse_customer_key_base64"),
        ({"sse_customer_key_base64": SECRET, "server_side_encryption": "sse-c"}, "32 bytes"),
        ({"server_side_encryption": "rot13"}, "AES256"),
        ({"checksum_algorithm": "crc32"}, "sha256"),
        ({"role_arn": "arn:r"}, "web_identity_token_file"),
        ({"web_identity_token_file": "/t"}, "role_arn"),
        ({"container_authorization_token_file": "/t"}, "container_credentials_full_uri"),
        ({**KEYS, "metadata_endpoint": "http://x"}, "'metadata_endpoint'.*'key' precedes"),
        ({"s3_express": True}, "--x-s3"),
        ({"endpoint_url": "http://localhost:9", "allow_http": False}, "allow_http"),
        ({"account": "abc"}, "provider: r2"),
        ({"provider": "r2"}, "'r2' needs 'account'"),
        ({"provider": "wasabi"}, "'wasabi' needs 'region'"),
        ({"provider": "acme"}, "provider.*minio"),
        # What is no value.
        ({"connect_timeout": "soon"}, "connect_timeout.*500ms"),
        ({"retry_timeout": -1}, "retry_timeout"),
        ({"default_headers": {"a b": "c"}}, "header"),
        ({"default_headers": {"a": f"{SECRET}\r\nX: y"}}, "one line"),
        ({"default_headers": {"Authorization": SECRET}}, "Authorization"),
        ({"user_agent": "a\nb"}, "one line"),
        ({"proxy_url": f"socks5://u:{SECRET}@h"}, "HTTP proxy"),
        ({"copy_if_not_exists": "dynamo:table"}, "multipart.*header"),
        # What the chosen client cannot do.
        ({"engine": "fsspec", "http2_only": True}, "fsspec cannot honour 'http2_only'.*obstore"),
        ({"engine": "fsspec", "pool_max_idle_per_host": 1}, "fsspec cannot honour"),
        ({"engine": "obstore", "use_dualstack_endpoint": True}, "obstore cannot honour"),
        ({"engine": "obstore", "bucket": "x--use1-az4--x-s3"}, "obstore cannot honour 'bucket'"),
        ({"http2_only": True, "use_fips_endpoint": True}, "'http2_only' needs.*'use_fips_end"),
        (
            {"endpoint_url": "http://[fe80::1%25eth0]:9000", "engine": "obstore"},
            "obstore cannot honour 'endpoint_url'",
        ),
        # What a URL contradicts.
        ({"url": "s3://pictures"}, "'bucket' and 'url' say two things"),
        ({"bucket": None, "url": "s3://b/p", "prefix": "q"}, "'prefix' and 'url'"),
        ({"url": "https://photos.s3.eu-west-1.amazonaws.com", "region": "x"}, "'region' and 'url'"),
        ({"bucket": None}, "missing required field: 'bucket'"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(StorageConfigError, match=f"(?s)store.*{message}") as caught:
        configured(**options)
    assert SECRET not in str(caught.value)


def test_no_secret_is_shown():
    more = {
        "token": "another-secret",
        "default_headers": {"X-Key": SECRET},
        "proxy_url": f"http://u:{SECRET}@proxy:1",
        "server_side_encryption": "sse-c",
        "sse_customer_key_base64": base64.b64encode(SECRET.ljust(32).encode()).decode(),
    }
    with configured(**KEYS, **more) as storage:
        node = storage.node("store:a.txt")
        backend = node._mount.backend
        shown = repr((storage, node, backend, backend._store.client.options, backend.address("a")))
        assert SECRET not in shown and "another-secret" not in shown
        assert more["sse_customer_key_base64"] not in shown


URLS = {
    "s3://photos": ("photos", "", None, None),
    "s3://photos/a/b/": ("photos", "a/b", None, None),
    "S3A://photos/a": ("photos", "a", None, None),
    "https://s3.eu-west-1.amazonaws.com/photos": ("photos", "", "eu-west-1", None),
    "https://s3-us-west-2.amazonaws.com/photos": ("photos", "", "us-west-2", None),
    "https://s3.amazonaws.com/photos/a%20b": ("photos", "a b", None, None),
    "https://photos.s3.eu-west-1.amazonaws.com": ("photos", "", "eu-west-1", None),
    "https://my.photos.s3.us-gov-west-1.amazonaws.com/a": (
        "my.photos",
        "a",
        "us-gov-west-1",
        None,
    ),
    "https://photos.s3.amazonaws.com/": ("photos", "", None, None),
    "https://photos.s3.cn-north-1.amazonaws.com.cn": ("photos", "", "cn-north-1", None),
    "https://abc.r2.cloudflarestorage.com/photos/a": (
        "photos",
        "a",
        "auto",
        "https://abc.r2.cloudflarestorage.com",
    ),
}


@pytest.mark.parametrize(("url", "wanted"), URLS.items())
def test_a_url_says_where_a_mount_is(url, wanted):
    with configured(bucket=None, url=url) as storage:
        found = client_of(storage).options
    assert (found.bucket, found.prefix, found.region, found.endpoint_url) == wanted


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://minio.example.org/photos", "endpoint_url.*bucket"),
        ("https://fra1.digitaloceanspaces.com/photos", "endpoint_url"),
        ("https://storage.googleapis.com/photos", "endpoint_url"),
        ("https://s3.eu-west-1.amazonaws.com:8443/photos", "endpoint_url"),
        ("https://s3.eu-west-1.amazonaws.com", "names no bucket"),
        ("http://photos.s3.amazonaws.com", "s3:// or https://"),
        ("gs://photos", "s3:// or https://"),
        ("s3://", "names no bucket"),
        ("s3://photos/a//b", "prefix"),
        ("s3://photos/../b", "prefix"),
        ("s3://photos?versionId=1", "query"),
        (f"https://u:{SECRET}@s3.amazonaws.com/b", "credentials"),
        ("https://photos.s3.amazonaws.com/?list", "query"),
        ("https://[::1", "no URL"),
    ],
)
def test_a_url_of_another_kind(url, message):
    with pytest.raises(StorageConfigError, match=f"url.*{message}") as caught:
        configured(bucket=None, url=url)
    assert SECRET not in str(caught.value)


def test_what_is_given_precedes_a_preset():
    with configured(provider="r2", account="abc") as storage:
        found = client_of(storage).options
        assert (found.region, found.disable_tagging) == ("auto", True)
        assert found.copy_condition == ("cf-copy-destination-if-none-match", "*", 412)
        assert found.preset.equal_parts
        assert found.origin_of("region") == "preset"
    given = {"region": "wnam", "disable_tagging": False, "endpoint_url": "https://eu.example.org"}
    with configured(provider="r2", copy_if_not_exists="multipart", **given) as storage:
        found = client_of(storage).options
        assert {name: getattr(found, name) for name in given} == given
        assert found.copy_condition.name is None
        assert found.origin_of("region") == "mount"


def test_pauses_and_deadlines_are_one_value_for_both_clients():
    backoff = {"init_backoff": timedelta(milliseconds=50), "max_backoff": "1s", "base": 3}
    nested = {"max_retries": 4, "retry_timeout": "20s", "backoff": backoff}
    with configured(retry_config=nested, connect_timeout=1, timeout="7s") as storage:
        assert client_of(storage).bounds == Bounds(7.0, 4, 0.05, 1.0, 3.0, 20.0, 1.0)


@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ({}, "obstore"),
        ({"engine": "fsspec"}, "fsspec"),
        ({"bucket": "arn:aws:s3:eu-west-1:1:accesspoint/a"}, "fsspec"),
        ({"bucket": "x--use1-az4--x-s3"}, "fsspec"),
        ({"use_accelerate_endpoint": True}, "fsspec"),
        ({"http2_keep_alive_interval": "5s"}, "obstore"),
    ],
)
def test_the_engine_follows_from_the_settings(options, engine):
    with configured(**options) as storage:
        assert engine_of(client_of(storage).options) == engine


def test_two_mounts_of_one_bucket_are_recognised():
    with StorageManager() as storage:
        server = {"type": "s3", "bucket": "photos", "endpoint_url": "http://localhost:9", **KEYS}
        amazon = {"type": "s3", "bucket": "photos"}
        storage.configure(
            [
                {"name": "all", **server},
                {"name": "some", **server, "endpoint_url": "http://LOCALHOST:9/", "prefix": "2026"},
                {"name": "amazon", **amazon},
                {"name": "ireland", **amazon, "region": "eu-west-1", **KEYS},
            ]
        )
        assert storage.node("all:2026/a").samefile(storage.node("some:a"))
        assert storage.node("ireland:a").samefile(storage.node("amazon:a"))
        assert not storage.node("all:a").samefile(storage.node("amazon:a"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Several servers behind one host; tenants of one server, whom their keys tell apart.
        ({"endpoint_url": "https://h/one"}, {"endpoint_url": "https://h/two"}),
        ({"endpoint_url": "https://h", "key": "one"}, {"endpoint_url": "https://h", "key": "two"}),
        # Amazon in China, and for the government of the United States, is another Amazon.
        ({"region": "cn-north-1"}, {"region": "eu-west-1"}),
        ({"region": "us-gov-west-1"}, {"region": "us-west-1"}),
        ({"endpoint_url": "https://s3.cn-north-1.amazonaws.com.cn"}, {"region": "eu-west-1"}),
    ],
)
def test_two_buckets_of_one_name_are_two(one, other):
    """Taken for one, copying from one to the other would do nothing and say it is done."""
    with StorageManager() as storage:
        mount = {"type": "s3", "bucket": "photos", **KEYS}
        storage.configure([{"name": "a", **mount, **one}, {"name": "b", **mount, **other}])
        here, there = storage.node("a:x"), storage.node("b:x")
        assert not here.samefile(there)
        # Nor are they surely two: a server may have several names, a bucket several keys.
        assert not here._mount.can_compare_places("x", there._mount, "x")


def test_settings_for_other_servers_than_amazon():
    with configured(endpoint_url="https://minio.example.org", **KEYS) as storage:
        config = client_of(storage)._settings()["config_kwargs"]
        assert config["s3"] == {"addressing_style": "path"}
        assert config["request_checksum_calculation"] == "when_required"
        assert config["response_checksum_validation"] == "when_required"
    with configured(endpoint_url="https://s3.eu-west-1.amazonaws.com") as storage:
        assert "s3" not in client_of(storage)._settings()["config_kwargs"]


def test_what_is_configured_precedes_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://from-the-environment:1")
    with configured(endpoint_url="http://from-the-file:2") as storage:
        assert client_of(storage).endpoint == "http://from-the-file:2"
    with configured() as storage:
        assert client_of(storage).endpoint == "http://from-the-environment:1"


def test_a_bucket_without_a_region_is_asked_for_it():
    """Opened and closed: nothing is sent before the first request, and nothing is left open."""
    with configured(anon=True) as storage:
        client = client_of(storage)
        assert client._connected().filesystem.cache_regions
    with configured(anon=True, region="eu-south-1") as storage:
        filesystem = client_of(storage)._connected().filesystem
        assert not filesystem.cache_regions
        assert filesystem.s3.meta.region_name == "eu-south-1"
        url = storage.node("store:a b").url()
        assert url == "https://photos.s3.eu-south-1.amazonaws.com/a%20b"


def test_a_url_is_signed_for_the_region_of_the_bucket():
    """botocore's own choice is the global name, which newer regions do not answer for."""
    for bucket, host in (
        ("photos", "photos.s3.eu-south-1.amazonaws.com/a?"),
        ("photos.example.org", "s3.eu-south-1.amazonaws.com/photos.example.org/a?"),
    ):
        with configured(bucket=bucket, region="eu-south-1", **KEYS) as storage:
            url = storage.node("store:a").url()
            assert url.startswith(f"https://{host}")
            assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url and "eu-south-1%2Fs3" in url


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


MOUNT = """
import sys
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{"name": "store", "type": "s3", "bucket": "photos", "anon": True}])
"""


def test_configuring_imports_no_client():
    code = MOUNT + (
        "storage.node('store:a').capabilities\n"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('s3fs', 'botocore', 'aiobotocore', 'aiohttp')])\n"
    )
    done = run(code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.slow
@pytest.mark.parametrize("step", ["read_bytes()", "write_bytes(b'x')", "exists", "url()"])
def test_a_missing_module_says_what_to_install(step):
    done = run(
        "import sys\nsys.modules['s3fs'] = None\n"
        + MOUNT
        + f"try:\n    storage.node('store:a').{step}\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    assert done.stderr == ""
    assert "StorageMissingExtraError" in done.stdout
    assert "'store'" in done.stdout
    assert 'pip install "genro-storage[s3]"' in done.stdout


@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
@pytest.mark.parametrize("place", ["environment", "profile"])
def test_an_endpoint_that_is_none_is_told_with_where_it_stands(
    tmp_path, monkeypatch, engine, place
):
    """A native client, given such a one, panics past every `except Exception`."""
    if place == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
        where = "environment variable AWS_ENDPOINT_URL"
    else:
        file = tmp_path / "config"
        file.write_text("[default]\nendpoint_url = localhost:9000\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
        where = "'endpoint_url' of the profile"
    with configured(engine=engine, region="eu-west-1", **KEYS) as storage:
        with pytest.raises(StorageError, match=f"{where}.*http://"):
            storage.node("store:x").read_bytes()
        found = {each.name: each for each in storage.doctor("store")}
        assert where in found["endpoint"].detail
