"""How requests leave for S3: to nobody but the server that is named, and never far ahead of it."""

from __future__ import annotations

import errno
import inspect
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession

from ..object_stores.source import BRIEF_QUEUE
from .certificates import trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..object_stores.client_options import ClientOptions

__all__ = ["session_class"]

_ELSEWHERE = (301, 302, 303, 307, 308)
#: What Amazon says along with a redirection to another region.
_REGION = "x-amz-bucket-region"
_MAKES_SOCKETS = "socket_factory" in inspect.signature(aiohttp.TCPConnector).parameters


class _Session(AIOHTTPSession):  # type: ignore[misc]
    """aiobotocore's, which would follow a redirection with session token and content.

    Another region, which is what S3 means by one, is botocore's to turn to: with a new signature,
    at an address of its own. Where none is named, it would ask for it until the stack is full.
    """

    def __init__(
        self, *args: Any, connector_args: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        given = dict(connector_args or {})
        if _MAKES_SOCKETS:
            given.setdefault("socket_factory", _connectable)
        super().__init__(*args, connector_args=given, **options)

    async def send(self, request: Any) -> Any:
        response = await super().send(request)
        if response.status_code in _ELSEWHERE and _REGION not in response.headers:
            response.raw.close()
            raise OSError(
                errno.EIO,
                f"the server sends us elsewhere (status {response.status_code}), where credentials "
                "and files do not go; check 'endpoint_url'",
            )
        return response

    async def _get_session(self, proxy_url: str | None) -> Any:
        return _Straight(await super()._get_session(proxy_url))


class _Straight:
    """The one method of a session that is called.

    A session of aiohttp sends a request again by itself where a connection that it has used before
    breaks off. Nobody would hear of that, and ``retries: 0`` would not be so.
    """

    def __init__(self, session: Any) -> None:
        if getattr(session, "_retry_connection", False):
            session._retry_connection = False
        self._session = session

    def request(self, method: str, **options: Any) -> Any:
        options["allow_redirects"] = False
        return self._session.request(method, **options)


def _connectable(address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    for option in BRIEF_QUEUE:
        made.setsockopt(*option)
    return made


def session_class(options: ClientOptions) -> Any:
    """The class of the sessions, whose base has no types that could be told."""
    if options.root_certificate is None:
        return _Session

    class Trusting(_Session):
        """Believes the authorities of the mount too."""

        def _get_ssl_context(self) -> Any:
            context = super()._get_ssl_context()
            trust(context, options)
            return context

    return Trusting
