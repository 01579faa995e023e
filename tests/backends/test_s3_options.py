"""What an ``s3`` mount can be told, and what configuring it does not do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genro_storage import StorageConfigError, StorageManager

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
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(StorageConfigError, match=f"(?s)store.*{message}") as caught:
        configured(**options)
    assert SECRET not in str(caught.value)


def test_no_secret_is_shown():
    with configured(**KEYS, token="another-secret") as storage:
        node = storage.node("store:a.txt")
        backend = node._mount.backend
        shown = repr((storage, node, backend, backend._store.client.options, backend.address("a")))
        assert SECRET not in shown and "another-secret" not in shown


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
