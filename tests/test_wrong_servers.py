"""What a mount says where another kind of server answers: its address, the key, and not "denied"."""

from __future__ import annotations

import pytest

from genro_storage import StorageConnectionError, StorageManager

pytestmark = pytest.mark.services

LOGIN = {"username": "u", "password": "p"}
_HERE = "127.0.0.1"


def mounts(port):
    """The types that take an address, each with the key that leads there."""
    url = f"http://{_HERE}:{port}"
    sftp = {"type": "sftp", "host": _HERE, "port": port, **LOGIN}
    return {
        "webdav": ({"type": "webdav", "url": url}, "'url'"),
        "http": ({"type": "http", "base_url": url, "listing": True}, "'base_url'"),
        "https": ({"type": "http", "base_url": f"https{url[4:]}", "listing": True}, "'base_url'"),
        "webdavs": ({"type": "webdav", "url": f"https{url[4:]}"}, "'url'"),
        "sftp": ({**sftp, "host_key_checking": "ignore"}, "'port'"),
        "smb": ({"type": "smb", "host": _HERE, "port": port, "share": "s", **LOGIN}, "'port'"),
    }


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        *(("python_http", kind) for kind in ("webdav", "https", "webdavs", "sftp", "smb")),
        *(("nginx", kind) for kind in ("webdav", "https", "webdavs", "sftp")),
        *(("sshd", kind) for kind in ("https", "webdavs", "smb")),
    ],
)
def test_another_kind_of_server_is_called_so(request, server, kind):
    port = request.getfixturevalue(server).port
    config, key = mounts(port)[kind]
    with StorageManager() as storage:
        storage.add_mount({"name": "odd", **config})
        (found,) = storage.check()
        assert found.state == "unusable", found
        assert f"{_HERE}:{port}" in found.reason and key in found.reason
        assert "denied" not in found.reason
        with pytest.raises(StorageConnectionError, match=r"^odd:a.txt: another kind of server"):
            storage.node("odd:a.txt").read_bytes()


@pytest.mark.parametrize("kind", ["webdav", "http"])
def test_a_web_server_that_ends_the_connection_may_be_none(sshd, kind):
    config, key = mounts(sshd.port)[kind]
    with StorageManager() as storage:
        storage.add_mount({"name": "odd", **config, "retries": 0})
        (found,) = storage.check()
    # What sshd says is lost where the connection is reset before it is read.
    assert found.state in ("unusable", "unreachable")
    assert f"{_HERE}:{sshd.port}" in found.reason and key in found.reason


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_a_web_server_that_knows_no_bucket_may_be_no_store(python_http, kind):
    url = f"http://{_HERE}:{python_http.port}"
    config = {
        "s3": {"bucket": "none", "endpoint_url": url, "key": "k", "secret": "s"},
        "azure": {
            "container": "none",
            "account_name": "a",
            "account_key": "a2V5",
            "endpoint_url": url,
        },
    }[kind]
    with StorageManager() as storage:
        storage.add_mount({"name": "odd", "type": kind, **config})
        (found,) = storage.check()
    assert found.state == "missing" and "'endpoint_url'" in found.reason


def test_http_names_the_server_and_shows_nothing_else_of_the_url():
    from tests.services.base import free_port

    port = free_port()
    with StorageManager() as storage:
        url = f"http://{_HERE}:{port}/a-secret-path/"
        storage.add_mount({"name": "gone", "type": "http", "base_url": url, "retries": 0})
        with pytest.raises(StorageConnectionError) as caught:
            storage.node("gone:a.txt").read_bytes()
    said = str(caught.value)
    assert f"http://{_HERE}:{port} cannot be reached" in said and "'base_url'" in said
    assert "secret" not in said
