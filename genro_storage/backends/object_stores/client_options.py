"""What every object store can be told about its connections: the keys of obstore's ClientConfig.

And those of its RetryConfig, flat or as its two mappings. A setting that no client of ours honours
is refused here, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ..options import StrictModel
from ..remote import NetworkOptions
from .network import Network, pem_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from ..remote import Bounds

__all__ = ["Backoff", "ClientOptions", "Seconds", "seconds"]

_UNITS = {
    "ns": 1e-9, "nsec": 1e-9, "us": 1e-6, "usec": 1e-6, "ms": 1e-3, "msec": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)")
_GROUPS: Mapping[str, frozenset[str]] = {
    "client_options": frozenset(
        {
            "timeout", "connect_timeout", "read_timeout", "allow_http",
            "allow_invalid_certificates", "root_certificate", "disable_system_certificates",
            "proxy_url", "proxy_ca_certificate", "proxy_excludes", "user_agent",
            "default_headers", "default_content_type", "pool_max_idle_per_host", "http1_only",
        }
    ),
    "retry_config": frozenset({"max_retries", "retry_timeout", "backoff"}),
}  # fmt: skip
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def seconds(value: Any) -> Any:
    """A duration as people write it: a number of seconds, "1m 30s" or a timedelta.

    >>> seconds("1m 30s"), seconds("250ms"), seconds(5)
    (90.0, 0.25, 5)
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if not isinstance(value, str):
        return value
    text, total, at = value.strip(), 0.0, 0
    while span := _SPAN.match(text, at):
        if span[2] not in _UNITS:
            break
        total += float(span[1]) * _UNITS[span[2]]
        at = span.end()
    if text and at == len(text):
        return total
    try:
        return float(text)
    except ValueError:
        raise ValueError('write a duration as a number of seconds, or as "30s" or "2m"') from None


#: Seconds; in a configuration also a text as "30s".
Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]


class Backoff(StrictModel):
    """How the pauses between two attempts grow."""

    init_backoff: Seconds = Field(default=0.1, ge=0, le=3600, description="The first pause.")
    max_backoff: Seconds = Field(default=2.0, ge=0, le=3600, description="The longest pause.")
    base: float = Field(
        default=2.0, ge=1, le=100, description="What a pause is multiplied by for the next one."
    )


class ClientOptions(NetworkOptions):
    """The keys of connections and repetitions that the mounts of object stores share."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "read_timeout": "timeout",
        "connection_timeout": "connect_timeout",
        "max_retries": "retries",
    }
    #: What no client behind this type of mount can do, and why, by the name of the key.
    cannot: ClassVar[Mapping[str, str]] = {
        "pool_idle_timeout": "the HTTP client keeps a connection until the server ends it",
        "http2_only": "the HTTP client speaks HTTP/1.1 only",
        "http2_keep_alive_interval": "the HTTP client speaks HTTP/1.1 only",
        "http2_keep_alive_timeout": "the HTTP client speaks HTTP/1.1 only",
        "http2_keep_alive_while_idle": "the HTTP client speaks HTTP/1.1 only",
        "http2_max_frame_size": "the HTTP client speaks HTTP/1.1 only",
        "randomize_addresses": "the HTTP client takes the addresses in the order of the resolver",
    }

    engine: Literal["auto", "obstore", "fsspec"] = Field(
        default="auto",
        description="What moves the contents: `obstore`, a native client, or `fsspec`, the client "
        "of the service's own Python library; `auto` takes the faster one that is complete.",
    )
    timeout: Seconds = Field(
        default=30.0,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="How many seconds one attempt waits for the server: for a connection (ten at "
        "most, or `connect_timeout`), and then for each answer. A transfer that moves on may take "
        'any time. Durations can be written as "30s" or "2m".',
    )
    connect_timeout: Seconds | None = Field(
        default=None,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="How many seconds to wait for a connection.",
    )
    retry_timeout: Seconds | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="After how many seconds from the first attempt no other is begun; without it "
        "only `retries` counts.",
    )
    backoff: Backoff | None = Field(
        default=None,
        description="How the pauses between attempts grow: `init_backoff`, `max_backoff` (both "
        "seconds) and `base`.",
    )
    allow_http: bool | None = Field(
        default=None,
        description="`false` refuses an endpoint without TLS; by default one that is configured "
        "may be plain `http`.",
    )
    allow_invalid_certificates: bool = Field(
        default=False,
        description="Believe any certificate, also an expired one or somebody else's. For tests.",
    )
    root_certificate: str | bytes | None = Field(
        default=None,
        min_length=1,
        description="Certificates (PEM, or the path of a file of them) to believe beside those "
        "that are believed anyway.",
    )
    disable_system_certificates: bool = Field(
        default=False, description="Believe `root_certificate` only."
    )
    proxy_url: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="The HTTP proxy for all requests, with its password if it has one. By default "
        "what the environment says (HTTPS_PROXY, NO_PROXY).",
    )
    proxy_ca_certificate: str | None = Field(
        default=None,
        min_length=1,
        description="Certificates (PEM, or a file's path) to believe of a proxy that speaks TLS.",
    )
    proxy_excludes: str | None = Field(
        default=None,
        description="Which hosts are reached without `proxy_url`, as in NO_PROXY.",
    )
    user_agent: str | None = Field(
        default=None, min_length=1, description="The User-Agent of all requests."
    )
    default_headers: dict[str, SecretStr] | None = Field(
        default=None, description="Headers that all requests carry."
    )
    default_content_type: str | None = Field(
        default=None,
        min_length=1,
        description="The content type of what is written, where its name tells none.",
    )
    pool_max_idle_per_host: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How many connections are kept for the next request.",
    )
    http1_only: bool = Field(
        default=True, description="Speak HTTP/1.1, which is all that these mounts speak."
    )
    client_options: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="The keys of connections, as a mapping of their own, as obstore has them.",
    )
    retry_config: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="`max_retries`, `retry_timeout` and `backoff` as a mapping of their own, as "
        "obstore has them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, data: Any) -> Any:
        """Take the two mappings apart, and refuse what is not possible."""
        if not isinstance(data, dict):
            return data
        flat = dict(data)
        for group, known in _GROUPS.items():
            inner = flat.pop(group, None)
            if inner is None:
                continue
            if not isinstance(inner, Mapping):
                raise ValueError(f"{group!r} must be a mapping")
            for name, value in inner.items():
                if name not in known and name not in cls.cannot:
                    raise ValueError(f"{group!r} has no key {str(name)!r}")
                if name == "timeout":
                    raise ValueError(
                        "'client_options' with 'timeout' would end long transfers too; write "
                        "'timeout' beside it, which bounds the wait for each answer"
                    )
                if name in flat and flat[name] != value:
                    raise ValueError(
                        f"{name!r} stands in the mount and in {group!r}, with different values; "
                        "keep one of them"
                    )
                flat[name] = value
        for name, reason in cls.cannot.items():
            if flat.pop(name, None) not in (None, False, "false"):
                raise ValueError(f"{name!r} is not possible: {reason}; remove it")
        return flat

    @field_validator("http1_only")
    @classmethod
    def _check_http(cls, value: bool) -> bool:
        if not value:
            raise ValueError("the HTTP client speaks HTTP/1.1 only; remove it")
        return value

    @field_validator("proxy_url")
    @classmethod
    def _check_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value.get_secret_value())
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("http", "https"):
            raise ValueError("it must be a URL like http://proxy.example.org:3128")
        return value

    @field_validator("default_headers")
    @classmethod
    def _check_headers(cls, value: dict[str, SecretStr] | None) -> dict[str, SecretStr] | None:
        for name, text in (value or {}).items():
            if not _HEADER.fullmatch(name) or not text.get_secret_value().isprintable():
                raise ValueError("names and values of headers are one line of plain characters")
        return value

    @field_validator("user_agent", "default_content_type")
    @classmethod
    def _check_line(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise ValueError("it must be one line of ASCII")
        return value

    @property
    def bounds(self) -> Bounds:
        backoff = self.backoff or Backoff()
        return replace(
            super().bounds,
            connect_timeout=self.connect_timeout,
            deadline=self.retry_timeout,
            pause=backoff.init_backoff,
            longest_pause=backoff.max_backoff,
            growth=backoff.base,
        )

    def network(self, base: Path | None) -> Network:
        """What the connections are told; files are read now. ``ValueError`` names the key."""
        agent, headers = self.user_agent, self.default_headers or {}
        return Network(
            verify=not self.allow_invalid_certificates,
            authorities=pem_of("root_certificate", self.root_certificate, base),
            only_authorities=self.disable_system_certificates,
            proxy=None if self.proxy_url is None else self.proxy_url.get_secret_value(),
            proxy_authorities=pem_of("proxy_ca_certificate", self.proxy_ca_certificate, base),
            no_proxy=self.proxy_excludes,
            user_agent=agent,
            headers=tuple((name, text.get_secret_value()) for name, text in headers.items()),
            pool=self.pool_max_idle_per_host,
        )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.disable_system_certificates and self.root_certificate is None:
            raise ValueError(
                "'disable_system_certificates' believes 'root_certificate' only; give that too"
            )
        if self.proxy_url is None and (self.proxy_excludes or self.proxy_ca_certificate):
            raise ValueError(
                "'proxy_excludes' and 'proxy_ca_certificate' belong to 'proxy_url'; give that too"
            )
        return self
