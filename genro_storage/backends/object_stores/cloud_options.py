"""What ``gcs`` and ``azure`` mounts share: connections, the engine, and a place as one URL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ..addresses import has_zone
from .client_options import ClientOptions, flattened
from .locations import expand_url
from .network import Network, pem_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from ..remote import Bounds

__all__ = ["CloudOptions", "by_obstore"]

_HTTP1 = "the HTTP client speaks HTTP/1.1"
#: What ``requests`` cannot do, on which the libraries of both services stand. Whatever the engine
#: is, these send a part of the requests.
_IMPOSSIBLE: Mapping[str, str] = {
    "request_timeout": "only the wait for each answer is bounded, by 'timeout'",
    "pool_idle_timeout": "the HTTP client keeps a connection until the server ends it",
    "http2_only": _HTTP1,
    "http2_keep_alive_interval": _HTTP1,
    "http2_keep_alive_timeout": _HTTP1,
    "http2_keep_alive_while_idle": _HTTP1,
    "http2_max_frame_size": _HTTP1,
    "randomize_addresses": "the HTTP client takes addresses in the order of the resolver",
}


class CloudOptions(ClientOptions):
    """A subclass names its keys, and ``location`` takes a URL apart into them."""

    engine: Literal["auto", "obstore", "fsspec"] = Field(
        default="auto",
        description="What reads the contents: `obstore`, a native client that takes a third of the "
        "time for small files, or `fsspec`, the service's own library, which does everything else "
        "in any case. `auto` decides.",
    )
    config: dict[str, Any] | None = Field(
        default=None, description="Any of these keys, nested as in obstore."
    )

    @classmethod
    def location(cls, url: str) -> Mapping[str, Any]:
        """The keys that a URL stands for; ``ValueError`` for one of another kind."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        return expand_url(cls._unprefixed(flattened(data)), cls.synonyms, cls.location)

    @classmethod
    def _unprefixed(cls, data: Any) -> Any:
        """The keys without what obstore lets stand before them, in small or capital letters."""
        if not isinstance(data, dict):
            return data
        known, plain = set(cls.known_keys()), dict(data)
        for key in data:
            low = str(key).lower()
            rest = next((low[len(each) :] for each in cls.prefixes if low.startswith(each)), None)
            if key in known or rest not in known:
                continue
            value = plain.pop(key)
            if rest in plain and plain[rest] != value:
                raise ValueError(
                    f"{str(key)!r} and {rest!r} are two names of one option, but their values "
                    "differ; keep one of them"
                )
            plain[rest] = value
        return plain

    @model_validator(mode="after")
    def _check_possible(self) -> Self:
        for name, reason in _IMPOSSIBLE.items():
            if getattr(self, name) not in (None, False):
                raise ValueError(f"{name!r} cannot be honoured here: {reason}; remove it")
        if self.pool_max_idle_per_host == 0:
            raise ValueError("'pool_max_idle_per_host' must be 1 at least here")
        if self.engine == "obstore" and self.must_not_leak:
            raise ValueError(
                "'engine' is 'obstore', which follows redirections with all its headers: "
                "'default_headers' and 'encryption_key' need 'engine: fsspec' (or 'auto')"
            )
        if self.http1_only is False:
            raise ValueError(f"'http1_only' cannot be false here: {_HTTP1}; remove it")
        return self

    @property
    def must_not_leak(self) -> bool:
        """Whether requests carry secrets that obstore would take along to where it is redirected."""
        return self.default_headers is not None

    @property
    def bounds(self) -> Bounds:
        return replace(super().bounds, timeout=self.patience)

    def network(self, base: Path | None) -> Network:
        """What the connections are told; files are read now. ``ValueError`` names the key."""
        proxy = self.proxy_url
        return Network(
            verify=not self.allow_invalid_certificates,
            authorities=pem_of("root_certificate", self.root_certificate, base),
            only_authorities=self.disable_system_certificates,
            proxy=None if proxy is None else proxy.get_secret_value(),
            proxy_authorities=pem_of("proxy_ca_certificate", self.proxy_ca_certificate, base),
            no_proxy=self.proxy_excludes,
            user_agent=self.user_agent,
            headers=tuple(self.headers.items()),
            pool=self.pool_max_idle_per_host,
        )


def by_obstore(options: CloudOptions, *, auto: bool = True) -> bool:
    """Whether obstore moves what it can; ``auto``: also where nothing is said, if it is installed.

    ``ImportError`` where it is wanted and not there.
    """
    if options.engine == "fsspec" or (options.engine == "auto" and not auto):
        return False
    if options.engine == "auto" and options.must_not_leak:
        return False
    if options.engine == "auto" and has_zone(getattr(options, "endpoint_url", None)):
        return False
    try:
        import obstore.store as _  # noqa: F401
    except ImportError:
        if options.engine == "obstore":
            raise
        return False
    return True
