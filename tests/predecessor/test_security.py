"""Faults that let somebody out of a mount, or something in."""

from __future__ import annotations

import http.server
import logging
import os
import threading
import traceback
from pathlib import Path

import pytest

from genro_storage import StorageConfigError, StorageError, StorageManager

WRITING = ["w", "wb", "wt", "w+", "w+b", "r+", "r+b", "rb+", "a", "ab", "a+", "x", "xb", "x+b"]


@pytest.mark.parametrize("mode", WRITING)
def test_no_mode_writes_to_a_read_only_mount(manager, mount, mode):
    """W16: r+b, wt, w+b and x all wrote."""
    manager.node(f"{mount}:sub/f").write_text("old")
    manager.configure([{"name": "ro", "path": f"{mount}:sub", "permissions": "readonly"}])
    for name in ("f", "new"):
        with (
            pytest.raises(PermissionError, match=f"ro:{name}"),
            manager.node(f"ro:{name}").open(mode),
        ):
            pass  # the call itself refuses; entering would be too late
    assert manager.node(f"{mount}:sub/f").read_text() == "old"
    assert [c.name for c in manager.node(f"{mount}:sub").children()] == ["f"]


@pytest.mark.parametrize("mode", ["rw", "", "rr", "b", "wa", "rbt", "q", "r++"])
def test_an_odd_mode_is_refused_rather_than_guessed(manager, mount, mode):
    """W16: modes were recognised by their first letters."""
    manager.node(f"{mount}:f").write_text("old")
    with pytest.raises(ValueError, match="mode"):
        manager.node(f"{mount}:f").open(mode)
    assert manager.node(f"{mount}:f").read_text() == "old"


ESCAPES = [
    "..",
    "../private",
    "a/../../private",
    "..\\private",
    "a\\..\\..\\private",
    "/../private",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_spelling_leaves_a_mount(manager, mount, path):
    """W17: child() of a limited mount read ../private/secret.txt."""
    manager.node(f"{mount}:private/secret.txt").write_text("secret")
    manager.node(f"{mount}:pub/a/f").write_text("x")
    manager.configure([{"name": "pub", "path": f"{mount}:pub"}])
    root = manager.node("pub:")
    with pytest.raises(ValueError, match="Path escapes base directory"):
        manager.node(f"pub:{path}/secret.txt")
    for make in (
        lambda: root.child(path, "secret.txt"),
        lambda: root / path / "secret.txt",
        lambda: root.joinpath(*path.split("/")),
        lambda: manager.node("pub", path),
        lambda: root.copy_to(f"pub:{path}"),
        lambda: manager._mounts["pub"].read_bytes(f"{path}/secret.txt"),
        lambda: next(root.glob(f"{path}/*"), root.child("no match")),
    ):
        with pytest.raises((ValueError, FileNotFoundError)):
            made = make()
            assert "secret" not in str(made), made
            assert made.read_bytes()


def test_a_sub_path_of_a_relative_mount_does_not_leave_its_parent():
    """W17: the same in the configuration."""
    for path in ("m:..", "m:a/../..", "m:a/../../b"):
        with pytest.raises(ValueError, match=r"\.\."):
            StorageManager().configure(
                [{"name": "m", "type": "memory"}, {"name": "r", "path": path}]
            )


@pytest.mark.parametrize("kind", ["local", "fsspec-local"])
def test_a_link_does_not_lead_out_of_a_mount(manager, tmp_path, kind):
    """W17: and neither out of a mount that is limited to a directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / kind / "pub").mkdir()
    (tmp_path / kind / "pub/file").symlink_to(outside / "secret")
    (tmp_path / kind / "pub/dir").symlink_to(outside)
    for path in ("file", "dir/secret"):
        node = manager.node(f"{kind}:pub/{path}")
        for act in (
            lambda node=node: node.read_bytes(),
            lambda node=node: node.open("rb").read(),
            lambda node=node: node.copy_to("memory:stolen"),
            lambda node=node: node.write_text("changed"),
            lambda node=node: node.open("ab").close(),
            lambda node=node: node.open("r+b").close(),
            lambda node=node: node.md5hash,
            lambda node=node: Path(node.resolved_path).read_bytes(),
        ):
            with pytest.raises(StorageError):
                act()
    assert (outside / "secret").read_text() == "secret"
    assert os.listdir(outside) == ["secret"]


# -- fetching ---------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A web server on loopback: /big streams for ever, /to?… redirects."""
    served = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            served.append(self.path)
            if self.path.startswith("/to?"):
                self.send_response(302)
                self.send_header("Location", self.path[4:])
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            try:
                while self.path == "/big":
                    self.wfile.write(b"x" * 65536)
            except OSError:
                return  # the client has had enough
            self.wfile.write(b"content")

        def log_message(self, *args):
            """Quiet."""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", served
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_download_does_not_reach_the_private_network(manager, mount, server):
    """W19: redirects to loopback were followed."""
    url, served = server
    node = manager.node(f"{mount}:f")
    node.write_text("old")
    for host in (url, url.replace("127.0.0.1", "localhost")):
        with pytest.raises(OSError, match=r"Failed to download|not a public one"):
            node.fill_from_url(f"{host}/f")
    assert served == []
    assert node.read_text() == "old"


def test_a_download_is_limited_in_size_and_leaves_the_old_content(manager, mount, server):
    """W19: there was no limit, and the whole body was held in memory."""
    url, _ = server
    node = manager.node(f"{mount}:f")
    node.write_text("old")
    with pytest.raises((OSError, ValueError)):
        node.fill_from_url(f"{url}/big", max_size=1_000_000, allow_private=True)
    assert node.read_text() == "old"
    assert [c.name for c in manager.node(f"{mount}:").children()] == ["f"]
    node.fill_from_url(f"{url}/f", allow_private=True)
    assert node.read_text() == "content"


# -- roots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "returned", ["", ".", "relative", None, 42, b"/tmp", "/no/such/root", "/\0"]
)
def test_what_a_callable_root_returns_is_checked(tmp_path, monkeypatch, returned):
    """W20: '' became the current directory."""
    monkeypatch.chdir(tmp_path)
    storage = StorageManager()
    storage.configure([{"name": "m", "type": "local", "path": lambda: returned}])
    with pytest.raises(StorageConfigError, match="'m'"):
        storage.node("m:f").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_a_callable_root_is_evaluated_once_for_one_question(tmp_path):
    """W20: twice for one exists (every method: tests/test_dynamic_roots.py)."""
    calls = []
    storage = StorageManager()
    storage.configure(
        [{"name": "m", "type": "local", "path": lambda: calls.append(1) or str(tmp_path)}]
    )
    assert storage.node("m:f").exists is False
    assert len(calls) == 1


# -- secrets ----------------------------------------------------------------------------------


def everything_said(act, caplog):
    try:
        act()
    except Exception as error:
        return "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    raise AssertionError("it was to fail")


def test_no_secret_is_shown(caplog):
    """W21: the repr of an http mount showed user and password."""
    caplog.set_level(logging.DEBUG)
    secret = "s3cr3t-pa55word"
    url = f"http://user:{secret}@host.invalid"
    storage = StorageManager()
    storage.configure(
        [
            {
                "name": "web",
                "type": "fsspec",
                "filesystem": "memory",
                "path": "/secrets",
                "options": {"password": secret, "endpoint": url},
            }
        ]
    )
    node = storage.node("web:f")
    shown = [repr(storage), repr(node), str(node), repr(node._mount), repr(node._mount.backend)]
    shown += [repr(storage._mounts), repr(storage._mounts["web"]), repr(storage._table)]
    shown.append(everything_said(node.read_bytes, caplog))
    wrong = {"name": "x", "type": "fsspec", "filesystem": "memory", "optoins": {"key": secret}}
    shown.append(everything_said(lambda: storage.configure([wrong]), caplog))
    wrong = {"name": "x", "type": "fsspec", "filesystem": ["memory"], "path": url}
    shown.append(everything_said(lambda: storage.configure([wrong]), caplog))
    assert not [text for text in shown if secret in text]
