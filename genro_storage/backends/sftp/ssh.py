"""The SSH connection below SFTP, by paramiko: reaching the server, trusting it, logging in."""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from ..errors import WrongServerError
from .hosts import KnownKey, Login, fingerprint
from .keys import Agent, load_key
from .session import ChannelRefusedError, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from ..remote import Bounds

__all__ = ["Connection", "connect", "explained"]

_log = logging.getLogger("genro_storage")
# What goes wrong is raised; without any handler Python would print paramiko's reports as well.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

#: One pass over the data instead of two: encryption that authenticates.
_FAST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_KEEPALIVE = 30
#: How web servers, TLS, FTP or SMTP, POP3 and IMAP begin.
_STRANGE = (b"HTTP/", b"<", b"\x15\x03", b"220", b"+OK", b"* OK")
#: Bytes of what a server sends that are looked at where it turns out to be none.
_GREETING = 1024
_ACKNOWLEDGE: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


class _Wire:
    """A socket whose peer may not refuse to take data for ever: paramiko would wait."""

    def __init__(self, inner: socket.socket, patience: float) -> None:
        self._inner = inner
        self._patience = patience
        self._stuck_since: float | None = None
        self._closed = False  # paramiko looks for it, as sockets have it
        #: While connecting, servers wait for our acknowledgement of a packet before they send the
        #: next, and the system waits 40 ms before it acknowledges: together that is most of it.
        self.in_a_hurry: bool = True
        #: How what the server sends begins.
        self.first: bytes = b""

    def settimeout(self, timeout: float | None) -> None:
        self._inner.settimeout(timeout)

    def send(self, data: bytes) -> int:
        try:
            count = self._inner.send(data)
        except TimeoutError:
            now = time.monotonic()
            if self._stuck_since is None:
                self._stuck_since = now
            if now - self._stuck_since > self._patience:
                self.close()
                raise ConnectionAbortedError(
                    errno.ECONNABORTED, "the server takes no more data"
                ) from None
            raise
        self._stuck_since = None
        return count

    def recv(self, count: int) -> bytes:
        if self.in_a_hurry and _ACKNOWLEDGE is not None:
            self._inner.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGE, 1)
        data = self._inner.recv(count)
        if len(self.first) < _GREETING:
            self.first += data[:_GREETING]
        return data

    @contextlib.contextmanager
    def hurrying(self) -> Generator[None]:
        """Acknowledge at once for the block, and no longer."""
        self.in_a_hurry = True
        try:
            yield
        finally:
            self.in_a_hurry = False

    def getpeername(self) -> object:
        return self._inner.getpeername()

    def close(self) -> None:
        self._closed = True
        self._inner.close()


class Connection:
    """One authenticated connection, on which sessions are opened."""

    def __init__(self, transport: paramiko.Transport, wire: _Wire, bounds: Bounds) -> None:
        self._transport = transport
        self._wire = wire
        self._bounds = bounds

    @property
    def is_alive(self) -> bool:
        """Whether the connection has not ended, as far as one can know without asking."""
        return bool(self._transport.is_active())

    def open_session(self) -> Session:
        """One more SFTP channel; ``ChannelRefusedError`` where the server wants no more."""
        timeout = self._bounds.timeout
        with _limited(self, timeout), self._wire.hurrying():
            try:
                channel = self._transport.open_session(timeout=timeout)
            except paramiko.ChannelException as error:
                raise ChannelRefusedError(
                    errno.ECONNREFUSED, f"the server refuses a session: {error.text}"
                ) from error
            try:
                channel.invoke_subsystem("sftp")
                return Session(channel, timeout, paramiko.SSHException)
            except BaseException as error:
                # Or the server goes on counting it among those that it allows.
                with contextlib.suppress(Exception):
                    channel.close()
                if not isinstance(error, paramiko.SSHException) or not self.is_alive:
                    raise
                raise ConnectionError(
                    errno.ECONNREFUSED,
                    "the server lets this user in, but offers no SFTP (no subsystem 'sftp')",
                ) from error

    def close(self) -> None:
        """End it, at once: nothing is said to a server that may not listen. Never raises."""
        with contextlib.suppress(Exception):
            self._transport.close()
        self._wire.close()

    def abandon(self) -> None:
        """Let go of the socket in a forked child, and leave the parent's connection alone."""
        self._wire.close()


@contextlib.contextmanager
def _limited(connection: Connection, seconds: float) -> Generator[None]:
    """Break the connection if the block takes longer: paramiko waits for some answers for ever."""
    fired = threading.Event()

    def fire() -> None:
        fired.set()
        connection.close()

    timer = threading.Timer(seconds, fire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if fired.is_set() and not isinstance(error, TimeoutError):
            raise TimeoutError(
                errno.ETIMEDOUT, f"the server did not answer within {seconds:g} seconds"
            ) from error
        raise
    finally:
        timer.cancel()


def connect(login: Login) -> Connection:
    """Reach the server, check who it is, and log in.

    Raises ``PermissionError`` where either side does not trust the other, ``ConnectionError`` and
    ``TimeoutError`` where the server cannot be reached.
    """
    known = login.trust.known(login.host, login.port)
    wire = _Wire(_reach(login), login.bounds.timeout)
    try:
        transport = paramiko.Transport(cast("Any", wire))  # whatever is like a socket
    except BaseException:
        wire.close()
        raise
    connection = Connection(transport, wire, login.bounds)
    try:
        with _limited(connection, login.bounds.connect):
            try:
                _negotiate(transport, login, known)
            except (paramiko.SSHException, EOFError) as error:
                if _is_strange(wire.first):
                    raise WrongServerError(
                        f"what answers at {login.label} is no SSH server; check 'host' and 'port'"
                    ) from error
                raise
        _check_host(transport.get_remote_server_key(), login, known)
        _authenticate(connection, transport, login)
    except BaseException:
        connection.close()
        raise
    transport.set_keepalive(_KEEPALIVE)
    return connection


def _is_strange(first: bytes) -> bool:
    """Whether a server has begun as servers of other kinds do.

    Anything else may be one of ours that is busy: lines of text may come first (RFC 4253, 4.2), and
    some have no more to say ("Exceeded MaxStartups", "Not allowed at this time").
    """
    return b"\0" in first[:8] or first.lstrip().startswith(_STRANGE)


def _reach(login: Login) -> socket.socket:
    try:
        found = socket.create_connection((login.host, login.port), login.bounds.connect)
    except (socket.gaierror, UnicodeError) as error:
        why = "it is no name" if isinstance(error, UnicodeError) else error.strerror
        raise ConnectionError(
            errno.EHOSTUNREACH, f"the host {login.host!r} cannot be found ({why}); check 'host'"
        ) from error
    except ConnectionRefusedError as error:
        raise ConnectionRefusedError(
            errno.ECONNREFUSED,
            f"nobody listens at {login.label}; check 'host' and 'port', and that the server runs",
        ) from error
    except TimeoutError as error:
        raise TimeoutError(
            errno.ETIMEDOUT,
            f"{login.label} did not answer within {login.bounds.connect:g} seconds; "
            "check 'host' and 'port'",
        ) from error
    # Many small requests and answers: none should wait for the next one.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _negotiate(transport: paramiko.Transport, login: Login, known: list[KnownKey]) -> None:
    bounds = login.bounds
    transport.banner_timeout = transport.handshake_timeout = bounds.connect
    transport.channel_timeout = transport.clear_to_send_timeout = bounds.timeout
    # Later than _limited, whose verdict is not taken for a refused password.
    transport.auth_timeout = bounds.timeout + 5
    options = transport.get_security_options()
    offered = tuple(options.ciphers)
    options.ciphers = sorted(offered, key=lambda name: name not in _FAST)
    # Ask for a key of a kind that can be compared.
    wanted = [kind for kind, _ in login.trust.expected]
    wanted += [key.kind for key in known if not key.revoked]
    if login.pinned is not None:
        (length,) = struct.unpack_from(">I", login.pinned)
        wanted = [login.pinned[4 : 4 + length].decode()]
    kinds = {name for kind in wanted for name in (_RSA if kind == "ssh-rsa" else (kind,))}
    options.key_types = sorted(options.key_types, key=lambda name: name not in kinds)
    transport.start_client(timeout=bounds.connect)


def _check_host(key: paramiko.PKey, login: Login, known: list[KnownKey]) -> None:
    """``PermissionError`` where the server is not the one that is meant."""
    blob, seen = key.asbytes(), f"{key.get_name()} {fingerprint(key.asbytes())}"
    trust, here = login.trust, f"the server {login.label} shows the host key {seen}"
    if trust.checking == "ignore":
        return
    if any(entry.revoked and entry.blob == blob for entry in known):
        raise PermissionError(f"{here}, which known_hosts says is revoked")
    if trust.expected:
        if fingerprint(blob) not in {wanted for _, wanted in trust.expected}:
            raise PermissionError(
                f"{here}, which is not the one of 'host_key'; either it is another server, or its "
                "key has changed: verify it, and correct 'host_key'"
            )
        return
    good = [entry for entry in known if not entry.revoked]
    if any(entry.blob == blob for entry in good):
        return
    if good:
        raise PermissionError(
            f"{here}, and {good[0].where} holds another one ({good[0].kind} "
            f"{fingerprint(good[0].blob)}): either it is another server, or its key has changed; "
            "verify it, and correct that line or give 'host_key'"
        )
    if trust.checking == "strict":
        raise PermissionError(
            f"{here}, and the files of known hosts hold none for it; verify it, and add it to the "
            "file or give it as 'host_key'"
        )
    if login.pinned is None:
        login.pinned = blob
        _log.log(
            logging.INFO if trust.accepted else logging.WARNING,
            "mount %r: nothing says that %s is the server it should be; if this is its host key, "
            "add it to the mount: host_key: %s",
            login.mount,
            login.label,
            seen,
        )
    elif login.pinned != blob:
        raise PermissionError(
            f"{here}, and it was {fingerprint(login.pinned)} when this mount connected first; "
            "verify it, and configure the mount again"
        )


# -- logging in -------------------------------------------------------------------------------


def _authenticate(connection: Connection, transport: paramiko.Transport, login: Login) -> None:
    """Try the key files, then the password; with neither, what ssh would try by itself."""
    refused: list[str] = []
    error: Exception | None = None
    for what, attempt in _ways_in(transport, login):
        try:
            with _limited(connection, login.bounds.timeout):
                more = attempt()
            if not more:
                return
            # Names of what else is wanted: two factors.
        except paramiko.BadAuthenticationType as found:
            error = found
            refused.append(f"{what} (it takes: {', '.join(found.allowed_types)})")
        except paramiko.AuthenticationException as found:
            error = found
            if not transport.is_active():
                break
            refused.append(what)
    if not refused and error is not None:
        raise ConnectionResetError(
            errno.ECONNRESET, f"{login.label} hung up while {login.user!r} was logging in"
        ) from error
    tried = "; it refused " + ", ".join(refused) if refused else "; there was nothing to try"
    raise PermissionError(
        f"the server {login.label} did not let the user {login.user!r} in{tried}; "
        "check 'username', and 'password' or 'key_filename'"
    ) from error


def _ways_in(
    transport: paramiko.Transport, login: Login
) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """What may be tried, one after the other, each with words for it."""

    def by_key(key: paramiko.PKey) -> Callable[[], list[str]]:
        return lambda: list(transport.auth_publickey(login.user, key) or ())

    for path in login.key_files:
        yield f"the key of {path!r}", by_key(load_key(path, login))
    if login.password is not None:
        # A variable of the environment may hold bytes that are no UTF-8.
        password: Any = login.password.encode("utf-8", "surrogateescape")
        yield (
            "the password",
            lambda: list(transport.auth_password(login.user, password) or ()),
        )
    if login.key_files or login.password is not None:
        return
    try:
        agent = Agent(login.bounds.timeout)
    except (OSError, paramiko.SSHException) as error:
        # As ssh does: there may be files as well.
        _log.warning("mount %r: the agent of ssh cannot be asked: %s", login.mount, error)
    else:
        try:
            for key in agent.get_keys():
                yield "a key of the agent", by_key(key)
        finally:
            agent.close()
    for path in sorted(glob.glob(os.path.expanduser("~/.ssh/id_*"))):
        if path.endswith(".pub"):
            continue
        try:
            key = load_key(path, login)
        except PermissionError as error:
            # Nobody asked for this very file, which may be locked, or no key at all.
            _log.debug("mount %r: %s", login.mount, error)
            continue
        yield f"the key of {path!r}", by_key(key)


def explained(error: Exception, label: str) -> Exception:
    """What comes out of paramiko, as the standard exceptions say it."""
    if isinstance(error, IncompatiblePeer):
        return OSError(errno.EPROTO, f"{label} and this client share no method: {error}")
    if isinstance(error, paramiko.SSHException | EOFError):
        text = f"the connection to {label} failed: {error}"
        if "banner" in text:
            text += "; it ended before an SSH server had said who it is: check 'host' and 'port'"
        return ConnectionResetError(errno.ECONNRESET, text)
    if isinstance(error, struct.error):
        return OSError(errno.EPROTO, f"{label} sent an answer that makes no sense")
    return error
