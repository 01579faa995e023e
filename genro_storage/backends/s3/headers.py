"""Headers that a request is to have beside those that botocore knows of."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["more_headers", "put_in_headers"]

_NONE: Mapping[str, str] = {}
_more: ContextVar[Mapping[str, str]] = ContextVar("genro_storage_s3_headers", default=_NONE)


@contextlib.contextmanager
def more_headers(client: Any, headers: Mapping[str, str]) -> Generator[None]:
    """Have the requests of this task carry these headers, signed; others of the client not."""
    # Once for a client: botocore knows the handler again by its name.
    client.meta.events.register_first(
        "before-sign.s3", put_in_headers, unique_id="genro-storage-headers"
    )
    token = _more.set(headers)
    try:
        yield
    finally:
        _more.reset(token)


def put_in_headers(request: Any, **_: Any) -> None:
    """The handler of botocore's event."""
    for name, value in _more.get().items():
        request.headers[name] = value
