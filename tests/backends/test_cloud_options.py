"""What ``gcs`` and ``azure`` mounts can be told: every key of obstore, URLs, the environment."""

from __future__ import annotations

import base64
import os
import re

import pytest

from genro_storage import StorageManager
from genro_storage.backends.azure import AzureAccess, AzureOptions
from genro_storage.backends.gcs import GcsOptions
from genro_storage.backends.gcs.access import GcsAccess
from genro_storage.exceptions import StorageConfigError

_KEY = base64.b64encode(b"a key " * 8).decode()
_AES = base64.b64encode(b"k" * 32).decode()

GCS = {
    "service_account": "/no/such.json",
    "service_account_key": "{}",
    "application_credentials": "/no/such.json",
    "bearer_token": "ya29.x",
    "base_url": "http://127.0.0.1:1",
    "bucket": "b",
    "skip_signature": True,
}
AZURE = {
    "account_name": "a",
    "account_key": _KEY,
    "client_id": "id",
    "client_secret": "secret",
    "tenant_id": "tenant",
    "authority_host": "https://login.example.org",
    "credential_type": "access_key",
    "sas_key": "sig=x",
    "token": "t",
    "use_emulator": True,
    "use_fabric_endpoint": True,
    "endpoint": "https://h/a",
    "msi_endpoint": "http://127.0.0.1:1/msi",
    "object_id": "o",
    "msi_resource_id": "r",
    "federated_token_file": "/no/such",
    "use_azure_cli": True,
    "skip_signature": True,
    "container_name": "c",
    "disable_tagging": True,
    "encryption_key": _AES,
    "fabric_token_service_url": "https://h/token",
    "fabric_workload_host": "h",
    "fabric_session_token": "s",
    "fabric_cluster_identifier": "i",
}
CLIENT = {
    "allow_http": True,
    "allow_invalid_certificates": True,
    "connect_timeout": "5s",
    "default_content_type": "text/plain",
    "default_headers": {"x-own": "1"},
    "disable_system_certificates": False,
    "http1_only": True,
    "pool_max_idle_per_host": "8",
    "proxy_url": "http://127.0.0.1:1",
    "read_timeout": "1m",
    "root_certificate": "/no/such.pem",
    "user_agent": "mine/1",
}
#: No client that these mounts stand on has anything like it.
IMPOSSIBLE = {
    "http1_only": False,
    "http2_only": True,
    "http2_keep_alive_interval": "1s",
    "http2_keep_alive_timeout": "1s",
    "http2_keep_alive_while_idle": True,
    "http2_max_frame_size": 20_000,
    "pool_idle_timeout": "1s",
    "pool_max_idle_per_host": 0,
    "randomize_addresses": True,
    "request_timeout": "1s",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in os.environ:
        if name.startswith(("AZURE_", "GOOGLE_", "STORAGE_EMULATOR", "AZURITE_")):
            monkeypatch.delenv(name)


def gcs(**config) -> GcsAccess:
    return GcsAccess.of(GcsOptions.model_validate(config), "mount 'g' (gcs)", "g", None)


def azure(**config) -> AzureAccess:
    return AzureAccess.of(AzureOptions.model_validate(config), "mount 'a' (azure)", "a", None)


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        *((GcsOptions, key, value) for key, value in {**GCS, **CLIENT}.items()),
        *((AzureOptions, key, value) for key, value in {**AZURE, **CLIENT}.items()),
    ],
)
def test_every_key_of_obstore_is_taken_under_its_own_name_flat_or_nested(model, key, value):
    needed = {} if model is GcsOptions else {"account_name": "a"}
    flat = model.model_validate({key: value, **({} if key in needed else needed)})
    group = "client_options" if key in CLIENT else "config"
    nested = model.model_validate({group: {key: value}, **({} if key in needed else needed)})
    assert flat == nested
    assert model.synonyms.get(key, key) in flat.model_fields_set
    if key not in CLIENT:
        prefixed = ("GOOGLE_" if model is GcsOptions else "azure_storage_") + key
        more = {} if key in needed else needed
        assert model.model_validate({prefixed: value, **more}) == flat


@pytest.mark.parametrize("kind", ["gcs", "azure"])
@pytest.mark.parametrize("key", IMPOSSIBLE)
def test_a_setting_that_no_client_can_honour_is_refused(kind, key):
    place = {"bucket": "b"} if kind == "gcs" else {"container": "c", "account_name": "a"}
    with StorageManager() as manager, pytest.raises(StorageConfigError, match=key):
        manager.configure([{"name": "m", "type": kind, **place, key: IMPOSSIBLE[key]}])


@pytest.mark.parametrize(
    ("url", "bucket", "base_path"),
    [
        ("gs://b", "b", ""),
        ("gcs://b/p/q/", "b", "p/q"),
        ("gs://b/a%20b", "b", "a%20b"),
        ("https://storage.googleapis.com/b/a%20b", "b", "a b"),
        ("https://b.storage.googleapis.com/p", "b", "p"),
    ],
)
def test_a_url_of_google_names_bucket_and_prefix(url, bucket, base_path):
    options = GcsOptions.model_validate({"url": url})
    assert (options.bucket, options.base_path) == (bucket, base_path)


@pytest.mark.parametrize(
    ("url", "container", "base_path", "endpoint"),
    [
        ("az://c/p", "c", "p", "https://a.blob.core.windows.net"),
        ("azure://c", "c", "", "https://a.blob.core.windows.net"),
        ("abfs://c/p%20q", "c", "p%20q", "https://a.blob.core.windows.net"),
        ("abfss://c@x.dfs.core.windows.net/p", "c", "p", "https://x.blob.core.windows.net"),
        ("abfs://c@x.dfs.fabric.microsoft.com/p", "c", "p", "https://x.blob.fabric.microsoft.com"),
        ("https://X.blob.core.windows.net/c/p%20q", "c", "p q", "https://x.blob.core.windows.net"),
        ("https://x.blob.core.chinacloudapi.cn/c", "c", "", "https://x.blob.core.chinacloudapi.cn"),
    ],
)
def test_a_url_of_azure_names_container_prefix_and_account(url, container, base_path, endpoint):
    own = {} if endpoint.startswith("https://x.") else {"account_name": "a"}
    options = AzureOptions.model_validate({"url": url, **own})
    assert (options.container, options.base_path) == (container, base_path)
    assert azure(url=url, **own).endpoint == endpoint


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("gcs", {"url": "s3://b"}, "gs://bucket/prefix"),
        ("gcs", {"url": "https://example.org/b"}, "endpoint_url"),
        ("gcs", {"url": "gs://b/p?sig=s3cret"}, "without credentials"),
        ("gcs", {"url": "gs://b", "bucket": "c"}, "'url' and 'bucket'"),
        ("gcs", {"url": "gs://b/p", "prefix": "q"}, "'url' and 'prefix'"),
        ("gcs", {"bucket": "b", "token": "s3cret", "bearer_token": "t"}, "contradict"),
        ("gcs", {"bucket": "b", "service_account": "/f", "anon": True}, "contradict"),
        ("gcs", {"bucket": "b", "credential_provider": "nothing"}, "module:name"),
        ("gcs", {"bucket": "b", "endpoint_url": "http://h", "allow_http": False}, "https"),
        ("gcs", {"bucket": "b", "root_certificate": "/no/such"}, "root_certificate"),
        ("gcs", {"bucket": "b", "proxy_excludes": "h"}, "proxy_url"),
        ("gcs", {"bucket": "b", "proxy_url": "ftp://u:s3cret@h"}, "proxy"),
        ("gcs", {"bucket": "b", "retries": 1, "retry_config": {"max_retries": 2}}, "retries"),
        ("gcs", {"bucket": "b", "engine": "obstore", "default_headers": {"x": "s3cret"}}, "redirect"),
        ("azure", {"url": "https://x.blob.core.windows.net/c?sig=s3cret"}, "sas_token"),
        ("azure", {"url": "https://example.org/c"}, "account.blob"),
        ("azure", {"url": "az://c", "container": "d", "account_name": "a"}, "'url' and"),
        ("azure", {"container": "c", "account_name": "a", "token": "t", "sas_key": "sig=x"}, "several"),
        ("azure", {"container": "c", "account_name": "a", "client_secret": "s3cret"}, "'client_id'"),
        ("azure", {"container": "c", "account_name": "a", "credential_type": "sas_token"}, "needs"),
        ("azure", {"container": "c", "account_name": "a", "fabric_workload_host": "h"}, "fabric_"),
        ("azure", {"container": "c", "account_name": "a", "encryption_key": "s3cret"}, "32 bytes"),
        (
            "azure",
            {"container": "c", "endpoint_url": "http://h/a", "encryption_key": _AES},
            "must be https",
        ),
        ("azure", {"container": "c", "endpoint_url": "http://h/a", "token": "s3cret"}, "https only"),
        (
            "azure",
            {"container": "c", "account_name": "a", "authority_host": "http://example.org"},
            "https",
        ),
        (
            "azure",
            {"container": "c", "account_name": "a", "encryption_key": _AES, "engine": "obstore"},
            "redirect",
        ),
        (
            "azure",
            {"container": "c", "account_name": "a", "object_id": "o", "msi_resource_id": "r"},
            "managed identity",
        ),
    ],
)  # fmt: skip
def test_a_contradiction_says_what_to_do(kind, config, said):
    with StorageManager() as manager:
        with pytest.raises(StorageConfigError, match=re.escape(said)) as caught:
            manager.configure([{"name": "m", "type": kind, **config}])
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "config", "expected"),
    [
        ({"GOOGLE_BUCKET": "e"}, {}, {"bucket": "e", "kind": None}),
        ({"GOOGLE_BUCKET": "e"}, {"bucket": "m"}, {"bucket": "m"}),
        ({"GOOGLE_BEARER_TOKEN": "e"}, {}, {"kind": "bearer_token", "text": "e"}),
        ({"GOOGLE_SERVICE_ACCOUNT": "/e"}, {}, {"kind": "service_account", "text": "/e"}),
        ({"GOOGLE_SERVICE_ACCOUNT_PATH": "/e"}, {}, {"kind": "service_account", "text": "/e"}),
        ({"GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}, {}, {"kind": "service_account_key"}),
        ({"GOOGLE_SKIP_SIGNATURE": "true"}, {}, {"anonymous": True}),
        ({"GOOGLE_SKIP_SIGNATURE": "true"}, {"token": "t"}, {"anonymous": False, "text": "t"}),
        ({"GOOGLE_BASE_URL": "http://e"}, {}, {"endpoint": "http://e"}),
        ({"GOOGLE_BASE_URL": "http://e"}, {"base_url": "http://m"}, {"endpoint": "http://m"}),
        ({"STORAGE_EMULATOR_HOST": "e:1"}, {}, {"endpoint": "http://e:1"}),
    ],
)
def test_the_environment_of_google_comes_after_the_mount(
    monkeypatch, environment, config, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = gcs(**({"bucket": "b"} if "GOOGLE_BUCKET" not in environment else {}), **config)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("environment", "config", "expected"),
    [
        ({"AZURE_CONTAINER_NAME": "e"}, {"account_name": "a"}, {"container": "e"}),
        ({"AZURE_STORAGE_ACCESS_KEY": _KEY}, {}, {"key": _KEY}),
        ({"AZURE_STORAGE_MASTER_KEY": _KEY}, {"sas_key": "sig=m"}, {"key": None, "sas": "sig=m"}),
        ({"AZURE_STORAGE_SAS_KEY": "?sig=e"}, {}, {"sas": "sig=e"}),
        ({"AZURE_STORAGE_SAS_KEY": "sig=e"}, {"anon": True}, {"sas": None, "anonymous": True}),
        ({"AZURE_SKIP_SIGNATURE": "1", "AZURE_STORAGE_SAS_KEY": "s"}, {}, {"anonymous": True}),
        ({"AZURE_STORAGE_TOKEN": "e"}, {}, {"identity": "bearer_token"}),
        ({"AZURE_STORAGE_TOKEN": "e"}, {"account_key": _KEY}, {"identity": None, "key": _KEY}),
        ({"AZURE_USE_AZURE_CLI": "true"}, {}, {"identity": "azure_cli"}),
        ({"AZURE_OBJECT_ID": "e"}, {}, {"identity": "managed_identity"}),
        ({"AZURE_STORAGE_ENDPOINT": "https://e/a"}, {}, {"endpoint": "https://e/a"}),
        ({"AZURE_ENDPOINT": "https://e/a"}, {"endpoint": "https://m"}, {"endpoint": "https://m"}),
        (
            {"AZURE_CLIENT_ID": "e", "AZURE_TENANT_ID": "t"},
            {"client_secret": "s"},
            {"identity": "client_secret"},
        ),
        # That is azure-identity's own environment, which finds more in it.
        ({"AZURE_CLIENT_ID": "e", "AZURE_CLIENT_SECRET": "s"}, {}, {"identity": None}),
        (
            {"AZURE_CREDENTIAL_TYPE": "sas_token", "AZURE_STORAGE_SAS_KEY": "sig=e",
             "AZURE_STORAGE_ACCOUNT_KEY": _KEY},
            {},
            {"sas": "sig=e", "key": None},
        ),
        (
            {"AZURE_STORAGE_USE_EMULATOR": "true"},
            {"account_name": None},
            {"account": "devstoreaccount1", "endpoint": "http://127.0.0.1:10000/devstoreaccount1"},
        ),
    ],
)  # fmt: skip
def test_the_environment_of_azure_comes_after_the_mount(monkeypatch, environment, config, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    place = {} if "AZURE_CONTAINER_NAME" in environment else {"container": "c"}
    found = azure(**{**place, "account_name": "a", **config})
    shown = {name: getattr(found, name) for name in expected}
    if "identity" in shown:
        shown["identity"] = found.identity.kind
    assert shown == expected


def test_several_credentials_are_one_where_it_is_said_which():
    both = {"container": "c", "account_name": "a", "account_key": _KEY, "sas_token": "sig=x"}
    assert azure(**both, credential_type="sas_token").key is None
    found = azure(**both, credential_type="access_key")
    assert (found.key, found.sas) == (_KEY, None)
    assert azure(container="c", use_emulator=True).key is not None


@pytest.mark.parametrize("explicit", [False, True])
def test_obstore_is_told_all_and_takes_nothing_from_the_environment(monkeypatch, explicit):
    from genro_storage.backends.azure.store_settings import make_store as azure_store
    from genro_storage.backends.gcs.store_settings import make_store as gcs_store
    from genro_storage.backends.remote import Bounds

    for name in ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT", "GOOGLE_BASE_URL"):
        monkeypatch.setenv(name, "https://environment.example.org")
    monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    more = {"endpoint_url": "https://mount.example.org"} if explicit else {}
    host = "mount" if explicit else "environment"
    access = azure(container="c", account_name="a", sas_token="sig=x", **more)
    store = azure_store(access, Bounds(), lambda: {"sas_token": "sig=x", "expires_at": None})
    assert store.config["endpoint"] == f"https://{host}.example.org"
    assert (store.config["skip_signature"], store.config["use_emulator"]) == ("false", "false")
    found = gcs(bucket="b", token="t", **more)
    store = gcs_store(found, Bounds(), lambda: {"token": "t", "expires_at": None})
    assert store.config["base_url"] == f"https://{host}.example.org"
    assert store.config["skip_signature"] == "false"
    assert store.retry_config["max_retries"] == 0


def test_a_content_type_by_default_is_for_names_that_tell_none():
    with StorageManager() as manager:
        manager.configure([
            {"name": "g", "type": "gcs", "bucket": "b", "default_content_type": "text/x-own"}
        ])  # fmt: skip
        backend, _ = manager.node("g:")._mount._at("")
        assert backend._type_of("a.html") == "text/html"
        assert backend._type_of("a") == "text/x-own"


@pytest.mark.parametrize(
    ("config", "public"),
    [
        (
            {"type": "azure", "url": "az://c@a.blob.core.windows.net/p", "account_key": "a2V5"},
            "https://a.blob.core.windows.net/c/p/x",
        ),
        ({"type": "gcs", "url": "gs://b/p", "anon": True}, "https://storage.googleapis.com/b/p/x"),
    ],
)
def test_urls_of_files_know_the_place_that_the_url_of_the_mount_names(config, public):
    with StorageManager() as manager:
        manager.configure([{"name": "m", "public": True, **config}])
        node = manager.node("m:x")
        assert node.public_url() == public
        signed = node.url()
        assert signed is not None
        assert signed.partition("?")[0] == public
        assert ("sig=" in signed) == (config["type"] == "azure")
