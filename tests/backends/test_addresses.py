"""Addresses of servers in a configuration: one rule for the keys of every type of mount."""

from __future__ import annotations

import pytest

from genro_storage import StorageConfigError, StorageManager
from genro_storage.backends.addresses import checked_address

SECRET = "s3cr3t-pa55word"

#: Every key that holds the address of a server, with what else its mount needs.
_S3 = {"type": "s3", "bucket": "b", "key": "k", "secret": "s"}
_ROLE = {"type": "s3", "bucket": "b", "role_arn": "r", "web_identity_token_file": "f"}
_AZURE = {"type": "azure", "container": "c", "account_name": "a"}
_GCS = {"type": "gcs", "bucket": "b", "anon": True}
KEYS = {
    "s3 endpoint_url": ("endpoint_url", _S3),
    "s3 endpoint": ("endpoint", _S3),
    "s3 public_base_url": ("public_base_url", _S3),
    "s3 sts_endpoint": ("sts_endpoint", _ROLE),
    "s3 metadata_endpoint": ("metadata_endpoint", {"type": "s3", "bucket": "b"}),
    "s3 credentials_url": (
        "credentials_url",
        {"type": "s3", "credentials_url_secret": "x", "allow_http": True},
    ),
    "gcs endpoint_url": ("endpoint_url", _GCS),
    "gcs public_base_url": ("public_base_url", _GCS),
    "azure endpoint_url": ("endpoint_url", {**_AZURE, "anon": True}),
    "azure public_base_url": ("public_base_url", {**_AZURE, "anon": True}),
    "azure authority_host": (
        "authority_host",
        {**_AZURE, "client_id": "i", "client_secret": "s", "tenant_id": "t"},
    ),
    "http base_url": ("base_url", {"type": "http"}),
    "webdav url": ("url", {"type": "webdav"}),
    "github base_url": ("base_url", {"type": "github", "org": "o", "repo": "r"}),
}

#: What is no address of a server, and what is said of it.
WRONG = {
    "ftp://host": "http:// or https://",
    "https://": "names no host",
    "https://:443": "names no host",
    "https://host:port": "cannot be read",
    "https://host:70000": "cannot be read",
    "https://host:0": "port 0",
    "https://[::1": "cannot be read",
    "https://ho st": "spaces",
    " https://host": "spaces",
    "https://host/a b": "spaces",
    "https://host\n": "control",
    "https://host\x00": "control",
    "https://host\\@other": "backslash",
    "https://host%2eother": "names no host",
    "https://host%25eth0": "names no host",
    "https://[::1%25]": "cannot be read|names no host",
    "https://[::1%25a%2fb]": "cannot be read|names no host",
    "https://ho*st": "names no host",
    "https://ho..st": "names no host",
    "https://fa\u00df.example": "ASCII",
    f"https://u:{SECRET}@host": "credentials",
    f"https://{SECRET}@host": "credentials",
    "https://host/#x": "%23",
    "https://host#": "%23",
    "https://host/a/../b": r"'\.\.'",
    "https://host/a/%2e%2e/b": r"'\.\.'",
    "https://host/./b": r"'\.'",
}
QUERIES = (f"https://host/?sig={SECRET}", "https://host?")


@pytest.mark.parametrize(("key", "rest"), KEYS.values(), ids=KEYS)
def test_an_address_that_can_be_none_is_refused_with_its_key_and_a_fix(key, rest):
    table = dict(WRONG)
    if key != "credentials_url":  # whom a broker serves may stand in its query
        table |= dict.fromkeys(QUERIES, r"no '\?'")
    if key == "base_url" and rest["type"] == "http":
        del table[" https://host"], table["https://host\n"]  # pasted, and meant without them
    for value, words in table.items():
        with (
            StorageManager() as storage,
            pytest.raises(StorageConfigError, match=rf"mount 'm' .*'{key}.*{words}") as caught,
        ):
            storage.configure([{"name": "m", **rest, key: value}])
        assert SECRET not in str(caught.value), value


@pytest.mark.parametrize(("key", "rest"), KEYS.values(), ids=KEYS)
def test_an_address_is_taken(key, rest):
    for value in (
        "https://host.example.org",
        "https://my_host-1:8443/a%20b",
        "https://[::1]:9/",
        "https://[fe80::1%25eth0]:9000",
        "https://[fe80::1%eth0]:9000",
    ):
        with StorageManager() as storage:
            storage.configure([{"name": "m", **rest, key: value}])
            assert storage.has_mount("m")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("HTTPS://Host.Example.ORG:9000/", "https://host.example.org:9000"),
        ("https://host:/a/", "https://host/a"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://[FE80::1%25eth0]:9000", "http://[fe80::1%eth0]:9000"),
        ("http://[fe80::1%eth0]:9000", "http://[fe80::1%eth0]:9000"),
        ("http://[fe80::1%25En-0.1]/a", "http://[fe80::1%En-0.1]/a"),
        ("http://b\u00fccher.example/\u00fc%20", "http://xn--bcher-kva.example/%C3%BC%20"),
        ("https://host./A", "https://host./A"),
    ],
)
def test_one_spelling(written, expected):
    assert checked_address(written, example="") == expected


def test_a_scheme_is_assumed_where_that_is_allowed():
    assert checked_address("host:1", example="", assume="http") == "http://host:1"
    with pytest.raises(ValueError, match="http:// or https://"):
        checked_address("host:1", example="")
    with pytest.raises(ValueError, match="no URL"):
        checked_address("ftp://host:1", example="", assume="http")
