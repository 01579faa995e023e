"""The private keys that open an SSH server: those of files, in every form, and of the agent."""

from __future__ import annotations

import io
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.agent import AgentSSH, get_agent_connection

if TYPE_CHECKING:
    from .hosts import Login

__all__ = ["Agent", "load_key"]


class Agent(AgentSSH):  # type: ignore[misc]  # the library has no annotations
    """The agent of ssh, which is not waited for for ever; it may wait for a person itself."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        if sys.platform == "win32":
            conn = get_agent_connection()
        else:
            conn = self._reach(seconds)
        if conn is None:
            return
        inner: Any = self  # what follows is written down nowhere but in paramiko
        try:
            inner._connect(conn)
        except BaseException:
            conn.close()
            raise

    @staticmethod
    def _reach(seconds: float) -> socket.socket | None:
        path = os.environ.get("SSH_AUTH_SOCK")
        if not path:
            return None
        conn = socket.socket(socket.AF_UNIX)
        # Before the server is blamed for it: its patience is as long.
        conn.settimeout(0.9 * seconds)
        try:
            conn.connect(path)
        except OSError:
            conn.close()
            return None  # a variable that outlived its agent
        return conn

    def close(self) -> None:
        """End the connection to it."""
        inner: Any = self
        inner._close()


def load_key(path: str, login: Login) -> paramiko.PKey:
    """The private key of a file, with its certificate where there is one beside it.

    Raises ``PermissionError`` that says what is wrong with the file, whatever it is: without the
    key nobody gets in.
    """
    cause: Exception
    try:
        with open(path, "rb") as file:
            data = file.read()
        key = _paramiko_key(_private_key(data, login))
        if os.path.exists(path + "-cert.pub"):
            _add_certificate(key, path + "-cert.pub")
    except OSError as error:
        problem, cause = f"it cannot be read ({error.strerror})", error
    except _KeyProblemError as error:
        problem, cause = str(error), error
    else:
        return key
    raise PermissionError(
        f"the key file {path!r} is of no use: {problem}; check 'key_filename'"
    ) from cause


def _add_certificate(key: paramiko.PKey, path: str) -> None:
    try:
        key.load_certificate(path)
    except (ValueError, paramiko.SSHException) as error:
        raise _KeyProblemError(f"{path!r} beside it is no certificate of it ({error})") from None


class _KeyProblemError(Exception):
    """What is wrong with a key; the text says it."""


def _private_key(data: bytes, login: Login) -> object:
    """Not by paramiko, which takes fewer formats, and one ECDSA key of two without a comment."""
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in data
        else serialization.load_pem_private_key
    )
    try:
        return load(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        # By the words: former versions of the library have another class for the same.
        if not any(words in str(error) for words in ("not given", "-protected")):
            raise _KeyProblemError("it holds no private key of a kind that is known") from None
    # It is encrypted. 0.4 unlocked keys by the password where no passphrase was given.
    secret = login.passphrase if login.passphrase is not None else login.password
    if secret is None:
        raise _KeyProblemError("it is encrypted; give its 'passphrase'")
    try:
        return load(data, secret.encode())
    except ValueError:
        raise _KeyProblemError("'passphrase' does not unlock it") from None


def _paramiko_key(key: object) -> paramiko.PKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return paramiko.RSAKey(key=key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        plain = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        return paramiko.Ed25519Key.from_private_key(io.StringIO(plain.decode()))
    raise _KeyProblemError("it holds no key of a kind that is known (ed25519, ecdsa, rsa)")
