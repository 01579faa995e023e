"""What lies below the errors of HTTP clients, without their texts: these quote URLs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["below", "is_timeout", "root_name"]


def below(error: BaseException) -> Iterator[BaseException]:
    """The error, and what has led to it, down to the system's own."""
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        candidates = (
            getattr(inner, "inner_exception", None),  # azure
            getattr(inner, "reason", None),  # urllib3
            inner.__cause__,
            *inner.args,  # requests
            inner.__context__,
        )
        inner = next((each for each in candidates if isinstance(each, BaseException)), None)


def is_timeout(error: BaseException) -> bool:
    """Whether it comes from waiting too long.

    >>> is_timeout(ConnectionError("aborted", TimeoutError()))
    True
    """
    return any(
        isinstance(each, TimeoutError) or "Timeout" in type(each).__name__ for each in below(error)
    )


def root_name(error: BaseException) -> str:
    """The kind of error at the bottom.

    >>> root_name(ConnectionError("aborted", ConnectionRefusedError()))
    'ConnectionRefusedError'
    """
    *_, last = below(error)
    return type(last).__name__
