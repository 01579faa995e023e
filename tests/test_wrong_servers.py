"""What a mount says where another kind of server answers: its address, the key, and not "denied"."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from genro_storage import StorageConnectionError, StorageManager

pytestmark = pytest.mark.services

LOGIN = {"username": "u", "password": "p"}
_HERE = "127.0.0.1"


class Talker:
    """Whoever connects gets the same few bytes, and the end."""

    def __init__(self, greeting):
        self._greeting = greeting
        self._listener = socket.create_server((_HERE, 0))
        self.port = self._listener.getsockname()[1]
        self.accepted = 0

    def __enter__(self):
        threading.Thread(target=self._talk, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _talk(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                connection.sendall(self._greeting)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
                connection.close()


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


@pytest.mark.parametrize(
    "greeting", [b"Not allowed at this time\r\n", b"Exceeded MaxStartups\r\n", b"Hello.\r\n", b""]
)
def test_an_ssh_server_that_is_busy_is_asked_again(greeting):
    """OpenSSH says so, and nothing else, to whom it lets wait."""
    with Talker(greeting) as server, StorageManager() as storage:
        config, _ = mounts(server.port)["sftp"]
        storage.add_mount({"name": "far", **config, "timeout": 2, "retries": 1})
        (found,) = storage.check()
        assert found.state == "unreachable", found
        assert server.accepted == 2


@pytest.mark.parametrize(
    "greeting", [b"220 here is FTP\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03\x01\0\2\2\n"]
)
def test_a_server_that_is_none_is_not_asked_again(greeting):
    with Talker(greeting) as server, StorageManager() as storage:
        config, _ = mounts(server.port)["sftp"]
        storage.add_mount({"name": "far", **config, "timeout": 2, "retries": 1})
        (found,) = storage.check()
        assert (found.state, server.accepted) == ("unusable", 1), found


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
