"""``doctor``: what it finds is in force, it says where that is from, and it shows no secret."""

from __future__ import annotations

import dataclasses
import os

import pytest

from genro_storage import MountNotFoundError, StorageManager
from tests.services.answers import Answer, AnswerServer
from tests.services.broker import Broker
from tests.services.proxy import Proxy, Refusal

EMPTY = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>'


@pytest.fixture
def examine():
    managers = []

    def call(config, write=False):
        managers.append(StorageManager())
        managers[-1].configure([{"name": "m", **config}])
        return {finding.name: finding for finding in managers[-1].doctor("m", write=write)}

    yield call
    for manager in managers:
        manager.close()


def failing(found):
    return [finding.name for finding in found.values() if finding.ok is False]


def values(found, *names):
    return [(found[name].value, found[name].source) for name in names]


# -- any type ---------------------------------------------------------------------------------


def test_a_type_without_a_server_says_so(examine):
    found = examine({"type": "memory"}, write=True)
    assert failing(found) == []
    assert "no server" in found["settings"].detail
    assert [found[name].value for name in ("list", "put", "get", "delete")] == ["works"] * 4


def test_nothing_is_left_in_the_mount_and_nothing_is_written_unasked(examine, tmp_path):
    config = {"type": "local", "path": str(tmp_path)}
    found = examine(config, write=True)
    assert found["delete"].value == "works"
    assert os.listdir(tmp_path) == []
    before = os.stat(tmp_path).st_mtime_ns
    found = examine(config)
    assert found["put"].detail == "--write tries it"
    assert os.stat(tmp_path).st_mtime_ns == before
    assert values(found, "path") == [(str(tmp_path), "on this machine")]


def test_a_file_that_is_there_is_read_in_part(examine, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f.txt").write_text("hello")
    found = examine({"type": "local", "path": str(tmp_path)})
    assert (found["get"].value, found["get"].detail) == ("works", "a byte of d/f.txt")


@pytest.mark.parametrize("permissions", ["readonly", "readwrite"])
def test_what_the_mount_may_not_do_is_not_tried(examine, tmp_path, permissions):
    config = {"type": "local", "path": str(tmp_path), "permissions": permissions}
    found = examine(config, write=True)
    assert failing(found) == []
    assert found["delete"].value == "not allowed"
    assert permissions in found["delete"].source
    assert found["put"].value == ("not allowed" if permissions == "readonly" else "not tried")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do anything")
def test_a_directory_that_refuses_writes(examine, tmp_path):
    tmp_path.chmod(0o500)
    try:
        found = examine({"type": "local", "path": str(tmp_path)}, write=True)
    finally:
        tmp_path.chmod(0o700)
    assert failing(found) == ["put"]


def test_a_callable_root_that_needs_a_path_is_told(examine, tmp_path):
    def root(path):
        return str(tmp_path)

    found = examine({"type": "local", "path": root}, write=True)
    assert failing(found) == []


def test_an_unknown_mount():
    with StorageManager() as storage, pytest.raises(MountNotFoundError):
        storage.doctor("nope")


# -- S3 ---------------------------------------------------------------------------------------


@pytest.mark.services
class TestS3:
    def test_all_that_is_in_force(self, examine, moto_server):
        found = examine(moto_server.mount(), write=True)
        assert failing(found) == []
        names = ("endpoint", "region", "credentials", "signature", "addressing", "versioning")
        assert values(found, *names) == [
            (f"http://127.0.0.1:{moto_server.port}", "config: endpoint_url"),
            ("us-east-1", "default"),
            ("TEST…", "config: key"),
            ("s3v4", "default"),
            ("path", "not Amazon's server"),
            ("off", "asked"),
        ]
        assert found["checksums sent"].value == "when_required"
        assert found["clock"].value == "right"
        assert found["unfinished uploads"].value == "none"

    def test_each_source_is_named(self, examine, moto_server, tmp_path, monkeypatch):
        config = moto_server.mount(region="eu-west-1")
        secret = config.pop("secret")
        key = config.pop("key")
        found = examine(config)
        assert failing(found) == ["storage", "credentials", "list"], "no credentials were given"
        assert "'key' and 'secret'" in found["credentials"].detail
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-south-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", config.pop("endpoint_url"))
        del config["region"]
        found = examine(config)
        assert failing(found) == []
        assert [found[name].source for name in ("endpoint", "region", "credentials")] == [
            "environment: AWS_ENDPOINT_URL_S3",
            "environment: AWS_DEFAULT_REGION",
            "environment: AWS_ACCESS_KEY_ID",
        ]
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        profile = tmp_path / "credentials"
        profile.write_text(f"[work]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
        found = examine({**config, "profile": "work"})
        assert found["credentials"].source == "profile work: ~/.aws/credentials"
        found = examine({**config, "anon": True})
        assert values(found, "credentials", "signature") == [("none", "config: anon")] * 2

    def test_a_versioned_bucket(self, examine, moto_server):
        import boto3

        bucket = moto_server.make_bucket("doctor-versioned")
        config = moto_server.mount(bucket=bucket)
        client = boto3.client(
            "s3",
            endpoint_url=config["endpoint_url"],
            region_name="us-east-1",
            aws_access_key_id=config["key"],
            aws_secret_access_key=config["secret"],
        )
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        client.create_multipart_upload(Bucket=bucket, Key=f"{config['prefix']}/left")
        client.close()
        found = examine(config)
        assert found["versioning"].value == "enabled"
        assert found["unfinished uploads"].value == "1"
        assert "cleanup" in found["unfinished uploads"].detail

    def test_a_wrong_secret(self, examine, rclone_s3):
        secret = "this-is-not-the-secret"
        found = examine(rclone_s3.mount(secret=secret), write=True)
        assert failing(found) == ["storage", "list", "put"]
        assert found["storage"].value == "denied"
        assert "check 'secret'" in found["list"].detail
        assert secret not in str(found)
        assert found["clock"].value == "right", "a refusal has a date, too"

    def test_a_right_that_is_missing(self, examine, moto_server):
        with Proxy(moto_server.port) as proxy:
            config = {**moto_server.mount(), "endpoint_url": proxy.url}
            for method, missing in (("PUT", "put"), ("GET", "get"), ("DELETE", "delete")):
                proxy.gate = lambda asked, method=method: (
                    Refusal(403, "AccessDenied") if asked.operation == method else None
                )
                found = examine(config, write=True)
                assert failing(found) == [missing], method
                assert found["storage"].ok
            assert "is left behind" in found["delete"].detail
            proxy.gate = lambda asked: (
                Refusal(403, "AccessDenied") if asked.operation == "GET?versioning" else None
            )
            found = examine(config)
            assert failing(found) == []
            assert "s3:GetBucketVersioning" in found["versioning"].detail

    @pytest.mark.parametrize(
        ("ahead", "value", "ok"),
        [(0, "right", True), (60, "s behind", True), (-3600, "s ahead of", False)],
    )
    def test_a_clock_that_is_wrong(self, examine, ahead, value, ok):
        # As S3 does: from a quarter of an hour on, every signature is refused.
        refusal = Refusal(403, "RequestTimeTooSkewed", "too large")
        answer = (
            Answer(200, EMPTY)
            if ok
            else Answer(403, refusal.encode("GET").partition(b"\r\n\r\n")[2])
        )
        with AnswerServer(lambda _: answer, ahead=ahead) as server:
            config = {"bucket": "bucket", "key": "KEY", "secret": "secret", "retries": 0}
            found = examine({"type": "s3", "endpoint_url": server.url, **config})
        assert value in found["clock"].value
        assert found["clock"].ok is ok
        if not ok:
            assert "set the clock" in found["clock"].detail

    def test_a_server_that_is_gone_is_asked_nothing_more(self, examine):
        from tests.services.base import free_port

        url = f"http://127.0.0.1:{free_port()}"
        config = {"bucket": "bucket", "key": "KEY", "secret": "secret", "retries": 0}
        found = examine({"type": "s3", "endpoint_url": url, **config}, write=True)
        assert failing(found) == ["storage"]
        assert found["storage"].value == "unreachable"
        assert values(found, "endpoint") == [(url, "config: endpoint_url")]
        assert "versioning" not in found and "put" not in found

    def test_temporary_credentials_are_told_until_when(
        self, examine, moto_server, tmp_path, monkeypatch
    ):
        with Broker(lifetime=3600) as broker:
            # A program of the profile hands out what a broker gives.
            script = tmp_path / "credentials.py"
            script.write_text(
                "import json, urllib.request\n"
                f"form = b'secret={broker.secret}'\n"
                f"found = json.load(urllib.request.urlopen({broker.url!r}, form))\n"
                "print(json.dumps({'Version': 1, **found}))\n"
            )
            profile = tmp_path / "config"
            profile.write_text(f"[profile broker]\ncredential_process = python3 {script}\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
            config = moto_server.mount(profile="broker")
            del config["key"], config["secret"]
            found = examine(config)
            (grant,) = broker.grants.values()
        assert found["credentials"].source == "profile broker: credential_process"
        assert found["credentials"].detail.startswith("until 20")
        for secret in (grant.secret, grant.token, broker.secret, grant.key):
            assert secret not in str(found)

    def test_a_broker_and_what_it_says(self, examine, moto_server):
        with Broker(lifetime=600, folder="s3://test-bucket/doctor/") as broker:
            config = {
                "type": "s3",
                "provider": "minio",
                "endpoint_url": f"http://127.0.0.1:{moto_server.port}",
                "credentials_url": broker.url,
                "credentials_url_secret": broker.secret,
            }
            found = examine(config, write=True)
            assert failing(found) == []
            assert len(broker.calls) == 1
            assert values(found, "provider", "region") == [
                ("minio", "config: provider"),
                ("us-east-1", "config: provider: minio"),
            ]
            assert found["credentials"].source == "config: credentials_url"
            assert found["credentials"].detail.startswith("until 20")
            broker.fail_next(100)
            found = examine({**config, "retries": 0}, write=True)
            assert failing(found) == ["storage", "credentials"]
            assert broker.url in found["credentials"].detail
        for secret in (broker.secret, *(grant.secret for grant in broker.grants.values())):
            assert secret not in str(found)


@pytest.mark.services
class TestVersions:
    """Where every deletion leaves something, nothing is left nevertheless."""

    @pytest.fixture
    def bucket(self, moto_server):
        return moto_server.mount(bucket=moto_server.versioned_bucket())

    @pytest.fixture
    def kept(self, bucket):
        def names():
            import boto3

            client = boto3.client(
                "s3",
                endpoint_url=bucket["endpoint_url"],
                region_name="us-east-1",
                aws_access_key_id=bucket["key"],
                aws_secret_access_key=bucket["secret"],
            )
            answer = client.list_object_versions(Bucket=bucket["bucket"], Prefix=bucket["prefix"])
            found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
            return [each["Key"].rpartition("/")[2] for each in found]

        return names

    def test_its_file_goes_with_all_its_versions(self, examine, bucket, kept):
        found = examine(bucket, write=True)
        assert failing(found) == []
        assert (found["delete"].value, found["delete"].detail) == ("works", "")
        assert found["versioning"].value == "enabled"
        assert kept() == []

    def test_what_may_not_go_is_named(self, examine, moto_server, bucket, kept):
        with Proxy(moto_server.port) as proxy:
            proxy.gate = lambda asked: (
                Refusal(403, "AccessDenied")
                if asked.method == "DELETE" and "versionId" in asked.query
                else None
            )
            found = examine({**bucket, "endpoint_url": proxy.url}, write=True)
        assert found["delete"].value == "works"
        name = kept()[0]
        assert kept() == [name, name]  # the content and the delete marker
        assert f"old versions of {name} are left behind" in found["delete"].detail

    def test_versions_that_stay_whatever_the_server_says_are_named(self, examine, gcs):
        """The emulator knows of a deleted file's versions, and deletes none of them."""
        found = examine({**gcs.mount(), "bucket": gcs.versioned_bucket()}, write=True)
        assert found["delete"].value == "works"
        assert "are left behind" in found["delete"].detail


# -- the names of settings --------------------------------------------------------------------

_AS_WRITTEN = {
    "s3": (
        {
            "type": "s3", "bucket_name": "b", "aws_access_key_id": "AKIA", "secret_key": "s",
            "config": {"aws_region": "eu-west-1"}, "endpoint": "http://127.0.0.1:9",
            "aws_virtual_hosted_style_request": False,
        },
        {
            "endpoint": "config: endpoint", "region": "config: config.aws_region",
            "credentials": "config: aws_access_key_id",
            "addressing": "config: aws_virtual_hosted_style_request",
        },
    ),
    "s3, one url": (
        {"type": "s3", "url": "https://b.s3.eu-west-1.amazonaws.com", "skip_signature": True},
        {
            "region": "config: url", "credentials": "config: skip_signature",
            "signature": "config: skip_signature",
        },
    ),
    "gcs": (
        {"type": "gcs", "bucket": "b", "google_base_url": "http://x", "service_account_path": "f"},
        {"endpoint": "config: google_base_url", "credentials": "config: service_account_path"},
    ),
    "azure": (
        {
            "type": "azure", "container_name": "c", "account_url": "https://a.example.org",
            "config": {"azure_storage_sas_key": "sig=x"},
        },
        {
            "endpoint": "config: account_url",
            "credentials": "config: config.azure_storage_sas_key",
        },
    ),
    "azure, one url": (
        {"type": "azure", "url": "az://c@a.blob.core.windows.net", "access_key": "a2V5"},
        {"account": "config: url", "credentials": "config: access_key"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("config", "sources"), _AS_WRITTEN.values(), ids=_AS_WRITTEN)
def test_a_setting_has_the_name_that_its_author_gave_it(config, sources):
    found = unasked(config)
    assert {name: found[name].source for name in sources} == sources


# -- the other clouds -------------------------------------------------------------------------


@pytest.mark.services
def test_google(examine, gcs):
    found = examine(gcs.mount(), write=True)
    assert failing(found) == []
    assert found["endpoint"].source == "config: endpoint_url"
    assert found["versioning"].value == "off"
    assert found["credentials"].value == "none"
    assert found["clock"].value == "right"


@pytest.mark.services
def test_a_google_bucket_that_is_not_there(examine, gcs):
    found = examine({**gcs.mount(), "bucket": "not-there"})
    assert failing(found) == ["storage"]
    assert found["storage"].value == "missing"


@pytest.mark.services
def test_azure(examine, azure):
    config = azure.mount()
    found = examine(config, write=True)
    assert failing(found) == []
    assert found["clock"].value == "right"
    assert found["credentials"].value == "the account's key"
    assert found["service version"].source == "answered"


@pytest.mark.services
def test_a_wrong_key_of_azure(examine, azure):
    config = {**azure.mount(), "account_key": "bm90IHRoZSBrZXk="}
    found = examine(config)
    assert failing(found) == ["storage", "list"]
    assert config["account_key"] not in str([dataclasses.asdict(each) for each in found.values()])
    assert found["clock"].value == "right", "a refusal has a date, too"


_KEY = "bm90IHRoZSBrZXk="


@pytest.mark.parametrize(
    ("config", "environment", "endpoint", "credentials"),
    [
        ({"account_name": "a"}, {}, "account's name", ("Microsoft Entra ID", "default chain")),
        (
            {"url": "az://c@a.blob.core.windows.net"},
            {"AZURE_STORAGE_SAS_TOKEN": "sig=x"},
            "account's name",
            ("a shared access signature", "environment"),
        ),
        (
            {"account_name": "a", "account_key": _KEY},
            {"AZURE_STORAGE_ENDPOINT": "https://a.example.org"},
            "environment: AZURE_STORAGE_ENDPOINT",
            ("the account's key", "config: account_key"),
        ),
        (
            {"use_emulator": True},
            {},
            "config: use_emulator",
            ("the account's key", "config: use_emulator"),
        ),
        (
            {"endpoint_url": "https://a.example.org", "token": "t"},
            {},
            "config: endpoint_url",
            ("Microsoft Entra ID", "config: token"),
        ),
        (
            {"account_name": "a", "credential_provider": "module:name"},
            {},
            "account's name",
            ("what a function gives", "config: credential_provider"),
        ),
        (
            {"account_name": "a"},
            {"AZURE_SKIP_SIGNATURE": "true"},
            "account's name",
            ("none", "environment"),
        ),
    ],
)
def test_whence_the_settings_of_azure_are(monkeypatch, config, environment, endpoint, credentials):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "url" not in config:
        config = {"container": "c", **config}
    found = unasked({"type": "azure", **config})
    assert found["endpoint"].source == endpoint
    assert values(found, "credentials") == [credentials]


@pytest.mark.parametrize(
    ("config", "environment", "endpoint", "credentials"),
    [
        ({"bucket": "b"}, {}, "default", "Google's default chain"),
        ({"url": "gs://b/p", "anon": True}, {}, "default", "config: anon"),
        ({"bucket": "b", "token": "anon"}, {}, "default", "config: token"),
        (
            {"bucket": "b", "bearer_token": "t"},
            {"GOOGLE_BASE_URL": "https://g.example.org"},
            "environment: GOOGLE_BASE_URL",
            "config: bearer_token",
        ),
        (
            {},
            {"GOOGLE_BUCKET": "b", "GOOGLE_BEARER_TOKEN": "t"},
            "default",
            "environment: GOOGLE_BEARER_TOKEN",
        ),
        (
            {"bucket": "b"},
            {"GOOGLE_SKIP_SIGNATURE": "true"},
            "default",
            "environment: GOOGLE_SKIP_SIGNATURE",
        ),
    ],
)
def test_whence_the_settings_of_google_are(monkeypatch, config, environment, endpoint, credentials):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = unasked({"type": "gcs", **config})
    assert found["endpoint"].source == endpoint
    assert found["credentials"].source == credentials


def unasked(config):
    with StorageManager() as manager:
        manager.configure([{"name": "m", **config}])
        return {each.name: each for each in manager.node("m:")._mount.backend.diagnose(ask=False)}
