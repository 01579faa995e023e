"""Who is let in, and whom an SFTP mount trusts: keys, passwords, known hosts."""

from __future__ import annotations

import base64
import contextlib
import getpass
import hashlib
import hmac
import logging
import os
import shutil
import socket
import subprocess
import threading

import pytest
import yaml

from genro_storage import (
    StorageConfigError,
    StorageConnectionError,
    StorageIOError,
    StoragePermissionError,
    StorageTimeoutError,
)
from genro_storage.backends.sftp.hosts import find_known, fingerprint, parse_host_key
from tests.services.base import find_program, free_port, running, skip_or_fail
from tests.services.interrupted import within
from tests.services.sftp import RcloneSftp, Sshd, make_key, mounted

pytestmark = pytest.mark.services

_KEY = base64.b64encode(b"a key").decode()
_OTHER = base64.b64encode(b"another key").decode()


@pytest.fixture
def root(sshd, tmp_path):
    (tmp_path / "root").mkdir()
    return sshd.mount(tmp_path / "root")


# -- logging in -----------------------------------------------------------------------------------


def test_a_wrong_password_is_said_without_showing_it(rclone_sftp):
    with mounted(rclone_sftp.mount("/"), password="not-the-word") as node:
        for step in (lambda: [node.exists], node.children):
            with pytest.raises(StoragePermissionError) as caught:
                list(step())
            text = str(caught.value)
            assert text.startswith("far:")
            assert "'password'" in text and "'u'" in text and "the password" in text
            assert "not-the-word" not in text
            assert "not-the-word" not in repr(caught.value.__cause__)


def test_a_wrong_user_is_said(rclone_sftp):
    with (
        mounted(rclone_sftp.mount("/"), username="nobody-here") as node,
        pytest.raises(StoragePermissionError, match=r"'nobody-here'.*check 'username'"),
    ):
        node.exists


def test_a_key_that_the_server_does_not_know(root, tmp_path):
    key = make_key(tmp_path / "stranger")
    with (
        mounted(root, key_filename=str(key)) as node,
        pytest.raises(StoragePermissionError, match=r"far:.*refused the key of '.*stranger'"),
    ):
        node.exists


def test_several_keys_are_tried_in_turn(root, tmp_path):
    stranger = make_key(tmp_path / "stranger", kind="ecdsa")
    with mounted(root, key_filename=[str(stranger), root["key_filename"]]) as node:
        assert node.exists


def test_a_server_that_takes_no_passwords_says_what_it_takes(root):
    with (
        mounted(root, key_filename=None, password="secret-word") as node,
        pytest.raises(StoragePermissionError, match="it takes: publickey") as caught,
    ):
        node.exists
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read"), ("not a key\n", "holds no private key of a kind that is known")],
)
def test_a_key_file_that_is_none(root, tmp_path, content, problem):
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with (
        mounted(root, key_filename=str(path)) as node,
        pytest.raises(StoragePermissionError, match=f"{problem}.*check 'key_filename'"),
    ):
        node.exists


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_keys_are_read_in_every_form_that_ssh_writes(sshd, root, tmp_path, kind, form):
    key = make_key(tmp_path / "key", "-m", form, kind=kind)
    with sshd.letting_in(key), mounted(root, key_filename=str(key)) as node:
        assert node.exists


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_encrypted_key_needs_its_passphrase(sshd, root, tmp_path, kind):
    key = make_key(tmp_path / "locked", passphrase="open sesame", kind=kind)
    for more, problem in [
        ({}, "encrypted; give its 'passphrase'"),
        ({"passphrase": "wrong-phrase"}, "'passphrase' does not unlock it"),
    ]:
        with (
            mounted(root, key_filename=str(key), **more) as node,
            pytest.raises(StoragePermissionError, match=problem) as caught,
        ):
            node.exists
        assert "wrong-phrase" not in str(caught.value)
    # As before 0.5, the password serves where there is no passphrase.
    for more in ({"passphrase": "open sesame"}, {"password": "open sesame"}):
        with sshd.letting_in(key), mounted(root, key_filename=str(key), **more) as node:
            assert node.exists


def test_without_key_and_password_the_keys_of_ssh_are_tried(sshd, root, tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with (
        mounted(root, key_filename=None) as node,
        pytest.raises(StoragePermissionError, match="there was nothing to try"),
    ):
        node.exists
    make_key(home / ".ssh/id_ecdsa", kind="ecdsa")  # a stranger's
    shutil.copy(sshd.user_key, home / ".ssh/id_ed25519")
    with mounted(root, key_filename=None) as node:
        assert node.exists


def test_without_key_and_password_the_agent_is_asked(sshd, root, tmp_path, monkeypatch):
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed; install it with: apt-get install openssh-client")
    address = tmp_path / "agent"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(address)], stdout=subprocess.DEVNULL
    ) as agent:
        try:
            with within(20):
                while not address.exists():
                    pass
            subprocess.run(["ssh-add", "-q", str(sshd.user_key)], check=True)
            with mounted(root, key_filename=None) as node:
                assert node.exists
        finally:
            agent.terminate()


@pytest.mark.parametrize("answer", [None, b"\0\0\0\1\5", b"\xff" * 8])
def test_an_agent_that_is_of_no_use_is_not_waited_for(
    sshd, root, tmp_path, monkeypatch, caplog, answer
):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    shutil.copy(sshd.user_key, home / ".ssh/id_ed25519")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()

        def serve():
            with contextlib.suppress(OSError):
                connected, _ = agent.accept()
                with connected:
                    connected.recv(100)
                    if answer is not None:
                        connected.sendall(answer)
                    connected.recv(100)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        with mounted(root, key_filename=None, timeout=1, retries=0) as node, within(20):
            assert node.exists
    serving.join(20)
    assert "the agent of ssh cannot be asked" in caplog.text


def test_an_agent_that_is_gone_is_no_warning(sshd, root, tmp_path, monkeypatch, caplog):
    (tmp_path / "home/.ssh").mkdir(parents=True)
    shutil.copy(sshd.user_key, tmp_path / "home/.ssh/id_ed25519")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with mounted(root, key_filename=None) as node:
        assert node.exists
    assert "agent" not in caplog.text


@pytest.mark.parametrize("text", ["", "rubbish\n", "ssh-ed25519-cert-v01@openssh.com AAAA x\n"])
def test_a_certificate_that_is_none(root, sshd, tmp_path, text):
    shutil.copy(sshd.user_key, tmp_path / "key")
    (tmp_path / "key-cert.pub").write_text(text)
    with (
        mounted(root, key_filename=str(tmp_path / "key")) as node,
        pytest.raises(StoragePermissionError, match=r"key-cert\.pub' beside it is no certificate"),
    ):
        node.exists


def test_a_certificate_beside_the_key_lets_in(root, tmp_path):
    server = _CertifiedOnly(tmp_path / "server").start()
    try:
        key = make_key(tmp_path / "key")
        config = server.mount(tmp_path, key_filename=str(key), retries=0)
        with mounted(config) as node, pytest.raises(StoragePermissionError):
            node.exists
        server.certify(key)
        with mounted(config) as node:
            assert node.exists
    finally:
        server.stop()


class _CertifiedOnly(Sshd):
    """Lets in whoever has a certificate of its authority."""

    @property
    def settings(self):
        return (f"TrustedUserCAKeys {self.directory}/authority.pub",)

    def prepare(self):
        self.directory.mkdir(exist_ok=True)
        make_key(self.directory / "authority")
        super().prepare()
        (self.directory / "authorized_keys").write_text("")

    def certify(self, key):
        program = find_program("ssh-keygen")
        authority = self.directory / "authority"
        names = ("-I", "test", "-n", getpass.getuser())
        subprocess.run([program, "-q", "-s", authority, *names, f"{key}.pub"], check=True)


def test_a_password_may_be_bytes_that_are_no_text(tmp_path):
    class Latin(RcloneSftp):
        # As os.environ gives a variable that holds latin-1.
        password = b"caf\xe9".decode("utf-8", "surrogateescape")

    if Latin.missing():
        skip_or_fail(f"{Latin.name}: {Latin.missing()}; install it with: {Latin.install}")
    server = Latin(tmp_path / "server").start()
    try:
        with mounted(server.mount("/")) as node:
            assert node.exists
    finally:
        server.stop()


def test_a_user_without_a_name_must_give_one(root, monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(getpass, "getuser", unknown)
    with (
        mounted(root, username=None) as node,
        pytest.raises(StoragePermissionError, match=r"far:.*no name.*give 'username'"),
    ):
        node.exists


# -- whom to trust --------------------------------------------------------------------------------


def _known(sshd, key=None):
    return f"[127.0.0.1]:{sshd.port} {key or sshd.host_key}\n"


def _stranger(tmp_path):
    return make_key(tmp_path / "other").with_suffix(".pub").read_text().strip()


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_an_unknown_host_is_trusted_with_a_warning(sshd, root, home, caplog):
    with caplog.at_level(logging.WARNING, "genro_storage"), mounted(root, host_key=None) as node:
        assert node.exists
        node._mount.backend._files.close()
        assert node.exists  # connects again, and knows the key by now
    (record,) = [each for each in caplog.records if each.name == "genro_storage"]
    said, _, fix = record.getMessage().partition("add it to the mount: ")
    assert said.startswith(f"mount 'far': nothing says that 127.0.0.1:{sshd.port} is the server")
    assert fix == f"host_key: {' '.join(parse_host_key(sshd.host_key))}"
    caplog.clear()
    with mounted(root, **yaml.safe_load(fix)) as node:  # what it says can be pasted as it is
        assert node.exists
    assert not caplog.records


def test_who_has_said_so_hears_no_warning(sshd, root, home, caplog):
    with (
        caplog.at_level(logging.INFO, "genro_storage"),
        mounted(root, host_key=None, host_key_checking="accept-new") as node,
    ):
        assert node.exists
    (record,) = [each for each in caplog.records if each.name == "genro_storage"]
    assert record.levelno == logging.INFO


def test_an_unknown_host_is_refused_where_that_is_asked(root, home):
    with (
        mounted(root, host_key=None, host_key_checking="strict") as node,
        pytest.raises(StoragePermissionError, match=r"far:.*SHA256:.*give it as 'host_key'"),
    ):
        node.exists


def test_a_known_host_needs_no_warning(sshd, root, home, caplog):
    (home / ".ssh/known_hosts").write_text(_known(sshd))
    with mounted(root, host_key=None, host_key_checking="strict") as node:
        assert node.exists
    assert not [each for each in caplog.records if each.name == "genro_storage"]


def test_a_changed_host_key_is_always_refused(sshd, root, home, tmp_path):
    (home / ".ssh/known_hosts").write_text(_known(sshd, _stranger(tmp_path)))
    with (
        mounted(root, host_key=None) as node,
        pytest.raises(StoragePermissionError, match=r"far:.*known_hosts:1 holds another one"),
    ):
        node.exists


def test_a_host_known_by_another_kind_of_key_is_asked_for_that_kind(tmp_path, home):
    class TwoKeys(Sshd):
        host_keys = ("ed25519", "rsa")

    server = TwoKeys(tmp_path / "server").start()
    try:
        rsa = (server.directory / "host_rsa.pub").read_text().strip()
        (home / ".ssh/known_hosts").write_text(_known(server, rsa))
        (tmp_path / "root").mkdir()
        config = server.mount(tmp_path / "root", host_key=None, host_key_checking="strict")
        with mounted(config) as node:
            assert node.exists
        with mounted(config, host_key=rsa) as node:
            assert node.exists
    finally:
        server.stop()


def test_a_file_of_known_hosts_is_strict(sshd, root, tmp_path):
    file = tmp_path / "hosts"
    file.write_text("# nobody\n")
    with (
        mounted(root, host_key=None, known_hosts=str(file)) as node,
        pytest.raises(StoragePermissionError, match="hold none for it"),
    ):
        node.exists
    file.write_text(_known(sshd))
    with mounted(root, host_key=None, known_hosts=str(file)) as node:
        assert node.exists
    file.unlink()
    with (
        mounted(root, host_key=None, known_hosts=str(file)) as node,
        pytest.raises(StoragePermissionError, match="correct 'known_hosts'"),
    ):
        node.exists


def test_a_revoked_key_is_refused(sshd, root, home):
    (home / ".ssh/known_hosts").write_text("@revoked " + _known(sshd) + _known(sshd))
    with (
        mounted(root, host_key=None) as node,
        pytest.raises(StoragePermissionError, match="revoked"),
    ):
        node.exists


def test_the_expected_key_may_be_a_fingerprint(sshd, root):
    with mounted(root, host_key=parse_host_key(sshd.host_key)[1]) as node:
        assert node.exists


def test_a_server_with_another_key_than_the_expected_one(root, tmp_path):
    with (
        mounted(root, host_key=_stranger(tmp_path)) as node,
        pytest.raises(StoragePermissionError, match=r"far:.*correct 'host_key'"),
    ):
        node.exists


def test_whoever_answers_is_trusted_only_where_that_is_said(sshd, root, home, tmp_path):
    (home / ".ssh/known_hosts").write_text(_known(sshd, _stranger(tmp_path)))
    with mounted(root, host_key=None, host_key_checking="ignore") as node:
        assert node.exists


def test_a_trusted_host_is_held_to_its_key(tmp_path, home):
    server = Sshd(tmp_path / "server").start()
    try:
        (tmp_path / "root").mkdir()
        config = server.mount(tmp_path / "root", host_key=None, timeout=5, retries=0)
        with mounted(config) as node:
            assert node.exists
            server.stop()
            for name in ("host_ed25519", "host_ed25519.pub"):
                (server.directory / name).unlink()
            make_key(server.directory / "host_ed25519")
            server.start()
            with pytest.raises(StoragePermissionError, match="when this mount connected first"):
                node.exists
        with mounted(config) as node:
            assert node.exists
    finally:
        server.stop()


def _hashed(name):
    salt = b"12345678901234567890"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


@pytest.mark.parametrize(
    ("pattern", "host", "port", "found"),
    [
        ("example.org", "example.org", 22, True),
        ("example.org", "EXAMPLE.org", 22, True),
        ("example.org", "example.org", 2222, False),
        ("[example.org]:2222", "example.org", 2222, True),
        ("other.org,example.org", "example.org", 22, True),
        ("*.example.org", "a.example.org", 22, True),
        ("*.example.org,!a.example.org", "a.example.org", 22, False),
        ("h?st", "host", 22, True),
        ("[h]ost", "host", 22, False),
        (_hashed("example.org"), "example.org", 22, True),
        (_hashed("[example.org]:2222"), "example.org", 2222, True),
        (_hashed("example.org"), "example.com", 22, False),
        ("|1|broken", "example.org", 22, False),
    ],
)
def test_lines_of_known_hosts_are_read_as_ssh_reads_them(pattern, host, port, found):
    lines = [
        "# a comment",
        "",
        f"@cert-authority {pattern} ssh-ed25519 {_OTHER}",
        f"{pattern} ssh-ed25519 not-base64!",
        f"{pattern} ssh-ed25519 {_KEY} somebody",
    ]
    known = find_known(lines, host, port, "file")
    assert [(each.blob, each.where) for each in known] == [(b"a key", "file:5")] * found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"ssh-ed25519 {_KEY}", "ssh-ed25519"),
        (f"host.example ssh-ed25519 {_KEY} x", "ssh-ed25519"),
        (fingerprint(b"a key"), ""),
        (f" {fingerprint(b'a key')}= ", ""),
        (f"ssh-rsa {fingerprint(b'a key')}", "ssh-rsa"),
    ],
)
def test_a_host_key_is_written_in_several_ways(text, kind):
    assert parse_host_key(text) == (kind, fingerprint(b"a key"))


_ODD = f"the key {fingerprint(b'a key')}"


def test_what_is_no_host_key_is_refused_at_once():
    for text in (
        "AAAA",
        "ssh-ed25519",
        "ssh-ed25519 not-base64!",
        "SHA256:short",
        "MD5:aa:bb",
        _ODD,
    ):
        with (
            pytest.raises(StorageConfigError, match=r"'far'.*host_key"),
            mounted({"type": "sftp", "host": "example.org", "host_key": text}),
        ):
            pass


# -- no server, or another one --------------------------------------------------------------------


def _unreachable(**more):
    return {
        "type": "sftp",
        "host": "127.0.0.1",
        "username": "u",
        "password": "secret-word",
        "timeout": 1,
        "retries": 1,
        **more,
    }


def test_nobody_listens():
    with (
        mounted(_unreachable(port=free_port())) as node,
        within(20),
        pytest.raises(StorageConnectionError, match=r"far:.*check 'host' and 'port'"),
    ):
        node.exists


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots", "long" * 20])
def test_a_host_that_does_not_exist(host):
    with (
        mounted(_unreachable(host=host, retries=0)) as node,
        within(60),
        pytest.raises(StorageConnectionError, match=r"far:.*check 'host'"),
    ):
        node.exists


def test_somebody_listens_and_says_nothing():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        mounted(_unreachable(port=silent.getsockname()[1])) as node,
        within(20),
        pytest.raises((StorageTimeoutError, StorageConnectionError), match="far:"),
    ):
        node.exists


class _NoSftp(Sshd):
    """Lets people in, and has something else where SFTP should be."""

    subsystem = ""

    def prepare(self):
        super().prepare()
        config = self.directory / "sshd_config"
        lines = config.read_text().splitlines()
        kept = [each for each in lines if not each.startswith(("Subsystem", "ForceCommand"))]
        config.write_text("\n".join([*kept, self.subsystem, ""]))


class _Chatty(_NoSftp):
    subsystem = "Subsystem sftp /bin/echo Welcome to this server, dear user"


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        (_NoSftp, StorageConnectionError, "offers no SFTP"),
        (_Chatty, StorageIOError, "something else than SFTP"),
    ],
)
def test_a_server_without_sftp(tmp_path, kind, error, words):
    server = kind(tmp_path / "server").start()
    try:
        with (
            mounted(server.mount("/", timeout=5, retries=0)) as node,
            pytest.raises(error, match=words),
        ):
            node.exists
    finally:
        server.stop()


@pytest.fixture(scope="module")
def narrow_sshd(tmp_path_factory):
    class Narrow(Sshd):
        settings = ("MaxSessions 2",)

    yield from running(Narrow, tmp_path_factory)


def test_a_server_that_allows_few_sessions_gets_few(narrow_sshd, tmp_path):
    (tmp_path / "root").mkdir()
    with mounted(narrow_sshd.mount(tmp_path / "root")) as node, contextlib.ExitStack() as stack:
        for number in range(12):
            (node / f"{number}.txt").write_bytes(b"%d" % number * 70_000)
        streams = [stack.enter_context((node / f"{number}.txt").open("rb")) for number in range(12)]
        assert [stream.read(1) for stream in streams] == [b"%d" % n for n in range(10)] + [
            b"1",
            b"1",
        ]
        assert len(node._mount.backend._files._opened.get()._pool._state.users) == 2
        assert (node / "3.txt").size == 70_000
        assert len(os.listdir(tmp_path / "root")) == 12
