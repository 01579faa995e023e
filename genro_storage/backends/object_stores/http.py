"""How ``requests`` connects to an object store."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from .network import Network
from .source import BRIEF_QUEUE

__all__ = ["StoreAdapter", "client_options", "connected", "without_passwords"]

_POOL = 32
_connection: Any = HTTPConnection
_SOCKETS: list[tuple[int, int, int]] = [*_connection.default_socket_options, *BRIEF_QUEUE]
_USUAL = Network()


class StoreAdapter(HTTPAdapter):
    """Many connections, sockets for large bodies, and no repetition: what may be repeated is ours.

    ``RemoteFilesystem`` knows. What ``network`` says goes before what ``requests`` would take from
    the environment.
    """

    def __init__(self, network: Network = _USUAL) -> None:
        self._network = network
        pool = network.pool or _POOL
        super().__init__(pool, pool, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> Any:
        options["socket_options"] = _SOCKETS
        if (context := self._network.tls()) is not None:
            options["ssl_context"] = context
        return super().init_poolmanager(*args, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        options["socket_options"] = _SOCKETS
        if (context := self._network.tls()) is not None:
            options["ssl_context"] = context
        if (between := self._network.proxy_tls()) is not None:
            options["proxy_ssl_context"] = between
        return super().proxy_manager_for(proxy, **options)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        # urllib3 knows by the brackets that "%25" is no part of a name, but the interface by which
        # an address is reached; ``requests`` drops them.
        place, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if ":" in place["host"] and "%" in place["host"]:
            place["host"] = f"[{place['host']}]"
        return place, pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if self._network.tls() is None:
            super().cert_verify(conn, url, verify, cert)
            return
        # The context has all that is believed; naming a bundle would add to it.
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        found = self._network.proxies_for(str(request.url))
        return super().send(
            request,
            stream=stream,
            timeout=timeout,
            verify=verify if self._network.verify else False,
            cert=cert,
            proxies=proxies if found is None else found,
        )


def client_options(network: Network) -> dict[str, Any]:
    """The same headers for a client of Microsoft's, which signs some and so must know of all."""
    headers = dict(network.headers)
    if network.user_agent is not None:
        headers["User-Agent"] = network.user_agent
    return {"headers": headers} if headers else {}


def connected(session: requests.Session, network: Network) -> requests.Session:
    """The same session, which connects as ``network`` says and takes no passwords of the machine."""
    session.auth = without_passwords
    for scheme in ("http://", "https://"):
        session.mount(scheme, StoreAdapter(network))
    session.headers.update(dict(network.headers))
    if network.user_agent is not None:
        session.headers["User-Agent"] = network.user_agent
    return session


def without_passwords(request: Any) -> Any:
    """The ``auth`` of a session whose requests say themselves who sends them, or mean nobody.

    Without one, ``requests`` puts the password that ``~/.netrc`` has for the host in their place.
    """
    return request
