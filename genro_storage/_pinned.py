"""HTTP connections that go to the address that was checked, and nowhere else.

Below ``fetch``: the rules for addresses, the deadline of a socket, and the standard library's
HTTP classes with the one step replaced that would resolve the host a second time.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .exceptions import StorageConnectionError, StoragePermissionError, StorageTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Guard", "Request", "is_public", "opener"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Special-purpose blocks (IANA) that older Pythons' `is_global` does not know.
_SPECIAL_V4 = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "192.0.0.0/24", "192.88.99.0/24")))
_SPECIAL_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    IPv6 addresses that carry an IPv4 one (mapped, 6to4, NAT64: RFC 4291, 3056, 6052) are judged
    by it, because that is where the packets go.

    >>> is_public("1.1.1.1"), is_public("::ffff:127.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    return _is_public(ipaddress.ip_address(address))


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address in block for block in _SPECIAL_V4)
        )
    carried = address.ipv4_mapped or address.sixtofour
    if carried is None and address in _NAT64:
        carried = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if carried is not None:
        return _is_public(carried)
    return (
        address in _GLOBAL_UNICAST
        and address.is_global
        and not any(address in block for block in _SPECIAL_V6)
    )


class Guard:
    """The limits of one download: where it may connect, and until when."""

    def __init__(self, *, timeout: float, deadline: float | None, allow_private: bool) -> None:
        self.timeout = timeout
        self.deadline = deadline
        self._expires = None if deadline is None else time.monotonic() + deadline
        self._allow_private = allow_private

    def remaining(self) -> float:
        """Seconds that the next wait may take; ``StorageTimeoutError`` when time is up."""
        if self._expires is None:
            return self.timeout
        left = self._expires - time.monotonic()
        if left <= 0:
            raise StorageTimeoutError(f"it took longer than deadline={self.deadline:g} seconds")
        return min(self.timeout, left)

    def check(self, host: str, port: int) -> None:
        """Refuse a host that resolves to a private address; one that does not resolve passes."""
        try:
            self._resolve(host, port)
        except socket.gaierror:
            # Behind a proxy the names of the outside are often unknown inside.
            return

    def check_literal(self, host: str) -> None:
        """Refuse what is private without asking anybody: an address, or a name of this machine."""
        name = host.rstrip(".").lower()
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
            name = "127.0.0.1"
        if _is_literal(name):
            self.check(name, 0)

    def connect(self, host: str, port: int, *, trusted: bool) -> TimedSocket:
        """A connection to ``host``, resolved once, at an address that was checked."""
        try:
            found = self._resolve(host, port, trusted=trusted)
        except socket.gaierror as error:
            raise StorageConnectionError(f"the host {host} cannot be resolved") from error
        problem: OSError | None = None
        for family, kind, protocol, _, address in found:
            sock = TimedSocket(family, kind, protocol)
            sock.guard = self
            try:
                sock.settimeout(self.remaining())
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except StorageTimeoutError:
                sock.close()
                raise
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem or StorageConnectionError(f"the host {host} has no address")

    def _resolve(self, host: str, port: int, *, trusted: bool = False) -> list[Any]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not (trusted or self._allow_private):
            # One private address among public ones is no accident worth trying the others for.
            for entry in found:
                address = str(entry[4][0])
                if not is_public(address):
                    raise StoragePermissionError(
                        f"the host {host} has the address {address}, which is not a public one; "
                        "where fetching from the private network is meant, pass allow_private=True"
                    )
        return found


def _is_literal(host: str) -> bool:
    """Whether this is an address, in any spelling that the system's resolver takes for one."""
    try:
        socket.getaddrinfo(host, 0, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return False
    return True


class TimedSocket(socket.socket):
    """A socket whose every wait for data ends at the guard's deadline.

    A timeout alone does not: a server that sends a byte now and then would never meet it.
    """

    guard: Guard | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.guard is not None:
            self.settimeout(self.guard.remaining())
        return super().recv_into(*args, **options)


class TimedTLSSocket(ssl.SSLSocket):
    """The same for TLS."""

    guard: Guard | None = None

    def recv_into(self, *args: Any, **options: Any) -> int:
        if self.guard is not None:
            self.settimeout(self.guard.remaining())
        return super().recv_into(*args, **options)


class _Connection(http.client.HTTPConnection):
    """HTTP over the guard's connections, through a proxy's tunnel where one is asked for."""

    #: Set by whoever makes a connection, before its first use; there is no default to fall back on.
    guard: Guard
    trusted: bool
    _tunnelled = False

    def set_tunnel(
        self, host: str, port: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._tunnelled = True
        super().set_tunnel(host, port, dict(headers) if headers else None)

    def connect(self) -> None:
        # Instead of the standard library's connect, which would resolve the host again.
        self.sock = self.guard.connect(self.host, self.port, trusted=self.trusted)
        if self._tunnelled:
            connected = self.sock
            try:
                self._tunnel()  # type: ignore[attr-defined]
            except BaseException:
                # The answer of a proxy that refuses keeps the socket, in some versions of Python.
                connected.close()
                connected.detach()
                raise


class _TLSConnection(http.client.HTTPSConnection, _Connection):
    """HTTPS: its connect() calls _Connection's, then wraps the socket for the original host."""

    def connect(self) -> None:
        super().connect()
        if isinstance(self.sock, TimedTLSSocket):
            self.sock.guard = self.guard


class Request(urllib.request.Request):
    """A request that remembers being sent through a proxy."""

    via_proxy = False

    def set_proxy(self, host: str, type: str) -> None:
        self.via_proxy = True
        super().set_proxy(host, type)


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def http_open(self, request: Request) -> http.client.HTTPResponse:
        trusted = self._is_trusted(request)

        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return self._limited(_Connection(host, **options), trusted)

        return self.do_open(connection, request)

    def https_open(self, request: Request) -> http.client.HTTPResponse:
        trusted = self._is_trusted(request)
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        context.sslsocket_class = TimedTLSSocket

        def connection(host: str, **options: Any) -> http.client.HTTPConnection:
            return self._limited(_TLSConnection(host, context=context, **options), trusted)

        return self.do_open(connection, request)

    def _limited(self, made: _Connection, trusted: bool) -> _Connection:
        made.guard = self._guard
        made.trusted = trusted
        return made

    def _is_trusted(self, request: Request) -> bool:
        """A proxy of the environment is trusted; the host behind it is checked all the same."""
        if not request.via_proxy:
            return False
        target = urlsplit(request.full_url)
        default = 443 if target.scheme == "https" else 80
        self._guard.check(target.hostname or "", target.port or default)
        return True

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


def opener(guard: Guard) -> urllib.request.OpenerDirector:
    """Opens http and https within the guard's limits: no redirects followed, no status judged."""
    made = urllib.request.OpenerDirector()
    made.addheaders = [("User-Agent", "genro-storage")]
    proxies = urllib.request.getproxies()
    used: dict[str, str] = {
        scheme: proxies[scheme] for scheme in ("http", "https") if scheme in proxies
    }
    made.add_handler(urllib.request.ProxyHandler(used))
    made.add_handler(_Handler(guard))
    made.add_handler(urllib.request.UnknownHandler())
    return made
