"""How the connections to an object store are made: one value for every client of a mount."""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ..remote import Bounds

__all__ = ["Network", "pem_of", "retry_config"]

_PEM = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class Network:
    """Certificates that are believed (PEM texts), the proxy, and what every request carries.

    ``repr`` shows none of it: a proxy's URL holds a password, a header may hold one.
    """

    verify: bool = True
    authorities: str | None = None
    only_authorities: bool = False
    proxy: str | None = None
    proxy_authorities: str | None = None
    no_proxy: str | None = None
    user_agent: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    #: How many idle connections are kept, None for the usual number.
    pool: int | None = None

    def __repr__(self) -> str:
        return "<Network>"

    def for_signing_in(self) -> Network:
        """The same for the services that give tokens, which are not shown the headers."""
        return replace(self, headers=())

    def proxies_for(self, url: str) -> dict[str, str] | None:
        """What ``requests`` takes for one URL; None where the environment decides."""
        if self.proxy is None:
            return None
        from requests.utils import should_bypass_proxies

        # An empty text: the hosts in the environment's NO_PROXY go by this proxy all the same.
        if self.no_proxy and should_bypass_proxies(url, no_proxy=self.no_proxy):
            return {}
        return {"http": self.proxy, "https": self.proxy}

    def tls(self) -> ssl.SSLContext | None:
        """The context of connections to the service; None for what the client does by itself."""
        if not self.verify or self.authorities is None:
            return None
        return _trusting(self.authorities, not self.only_authorities)

    def proxy_tls(self) -> ssl.SSLContext | None:
        """The same for connections to the proxy."""
        if self.proxy_authorities is None:
            return None
        return _trusting(self.proxy_authorities, True)

    def obstore_options(self, *, connect: float, timeout: float) -> dict[str, Any]:
        """The same settings as obstore's ClientConfig; times in seconds.

        ``timeout`` bounds each wait: as a bound of whole requests it would end long transfers.
        """
        from datetime import timedelta

        found: dict[str, Any] = {
            "allow_http": True,  # whether it may be is decided with the configuration
            "connect_timeout": timedelta(seconds=connect),
            "read_timeout": timedelta(seconds=timeout),
            "timeout": timedelta(days=1),
        }
        if not self.verify:
            found["allow_invalid_certificates"] = True
        if self.authorities is not None:
            found["root_certificate"] = self.authorities
        if self.only_authorities:
            found["disable_system_certificates"] = True
        if self.proxy is not None:
            found["proxy_url"] = self.proxy
            if self.no_proxy:
                found["proxy_excludes"] = self.no_proxy
            if self.proxy_authorities is not None:
                found["proxy_ca_certificate"] = self.proxy_authorities
        if self.user_agent is not None:
            found["user_agent"] = self.user_agent
        if self.headers:
            found["default_headers"] = dict(self.headers)
        if self.pool is not None:
            found["pool_max_idle_per_host"] = str(self.pool)
        return found


@functools.lru_cache(maxsize=16)
def _trusting(pem: str, usual: bool) -> ssl.SSLContext:
    """A context that believes these certificates, and beside them the usual ones."""
    if not usual:
        return ssl.create_default_context(cadata=pem)
    context = ssl.create_default_context()
    with contextlib.suppress(ImportError):
        # What ``requests`` believes by itself, which the system may know nothing of.
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    context.load_verify_locations(cadata=pem)
    return context


def pem_of(option: str, value: str | bytes | None, base: Path | None) -> str | None:
    """The certificates that an option holds or names; ``ValueError`` that names the option."""
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if _PEM not in value:
        path = os.path.join(base or "", os.path.expanduser(value))
        try:
            with open(path, encoding="ascii") as file:
                value = file.read()
        except (OSError, UnicodeError) as error:
            raise ValueError(
                f"the file of {option!r} cannot be read ({type(error).__name__})"
            ) from None
    try:
        _trusting(value, False)
    except (ssl.SSLError, ValueError):
        raise ValueError(f"{option!r} must hold certificates as PEM") from None
    return value


def retry_config(bounds: Bounds) -> dict[str, Any]:
    """A mount's bounds as obstore's RetryConfig."""
    from datetime import timedelta

    found: dict[str, Any] = {
        "max_retries": bounds.retries,
        "backoff": {
            "init_backoff": timedelta(seconds=bounds.pause),
            "max_backoff": timedelta(seconds=bounds.longest_pause),
            "base": bounds.base,
        },
    }
    if bounds.deadline is not None:
        found["retry_timeout"] = timedelta(seconds=bounds.deadline)
    return found
