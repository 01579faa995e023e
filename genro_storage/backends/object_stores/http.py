"""How ``requests`` connects to an object store."""

from __future__ import annotations

from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from .source import BRIEF_QUEUE

__all__ = ["StoreAdapter", "without_passwords"]

_POOL = 32
_connection: Any = HTTPConnection
_SOCKETS: list[tuple[int, int, int]] = [*_connection.default_socket_options, *BRIEF_QUEUE]


class StoreAdapter(HTTPAdapter):
    """Many connections, sockets for large bodies, and no repetition: what may be repeated is ours.

    ``RemoteFilesystem`` knows.
    """

    def __init__(self) -> None:
        super().__init__(_POOL, _POOL, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> Any:
        options["socket_options"] = _SOCKETS
        return super().init_poolmanager(*args, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        options["socket_options"] = _SOCKETS
        return super().proxy_manager_for(proxy, **options)


def without_passwords(request: Any) -> Any:
    """The ``auth`` of a session whose requests say themselves who sends them, or mean nobody.

    Without one, ``requests`` puts the password that ``~/.netrc`` has for the host in their place.
    """
    return request
