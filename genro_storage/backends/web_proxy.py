"""Which proxy leads to a web server, as the environment (or the system) says."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from ..exceptions import StorageConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["proxy_between", "proxy_of_environment", "read_proxy"]

_OF_HTTPX = ("http", "https", "socks5", "socks5h")


def proxy_between(proxies: Mapping[str, str], scheme: str, host: str, port: int) -> str | None:
    """The one of ``proxies`` (``urllib.request.getproxies()``) that leads to a server, or None.

    By the rules of Python's own client for ``NO_PROXY``.
    """
    if not proxies or urllib.request.proxy_bypass(f"{host}:{port}"):
        return None
    return proxies.get(scheme) or proxies.get("all") or None


def proxy_of_environment(mount: str, kind: str, url: str) -> str | None:
    """The proxy for the server of ``url``, for httpx, which need not look at the environment then.

    It refuses to work at all where ``NO_PROXY`` has a network of IPv6 in it.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    found = proxy_between(urllib.request.getproxies(), parts.scheme, parts.hostname or "", port)
    if found is not None:
        fix = "correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or name the server in NO_PROXY"
        read_proxy(found, _OF_HTTPX, mount, kind, fix)
    return found if found is None or "://" in found else f"http://{found}"


def read_proxy(url: str, schemes: Collection[str], mount: str, kind: str, fix: str) -> SplitResult:
    """The parts of a proxy's URL; ``StorageConfigError``, which does not quote it."""
    problem = "the URL of the proxy cannot be read"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        _ = parts.port
    except ValueError:
        parts = None
    if parts is not None and parts.hostname and parts.scheme in schemes:
        return parts
    if parts is not None and parts.hostname:
        listed = " and ".join(f"{each}://" for each in schemes)
        problem = f"only {listed} proxies are supported"
    raise StorageConfigError(f"mount {mount!r} ({kind}): {problem}; {fix}", node=mount)
