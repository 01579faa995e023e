"""How the clients of object stores connect and repeat: the settings that all three clouds share.

They have the names of obstore's ``ClientConfig`` and ``RetryConfig``, flat in the mount or nested
as ``client_options`` and ``retry_config``. Two names have another meaning there: the ``timeout`` of
``client_options`` bounds a whole request, which is ``request_timeout`` here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from ...content import mimetype
from ..durations import Duration
from ..remote import Bounds, NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["CLIENT_KEYS", "ClientOptions", "flattened"]

# RFC 9110 §5.6.2 and §5.5.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_UNKNOWN = mimetype("")

#: What is called otherwise inside of a nested mapping.
_NESTED: Mapping[str, Mapping[str, str]] = {
    "config": {},
    "client_options": {"timeout": "request_timeout"},
    "retry_config": {"max_retries": "retries"},
    "backoff": {"base": "backoff_base"},
}
_BACKOFF = ("init_backoff", "max_backoff", "base")
_RETRY = ("max_retries", "retry_timeout", "backoff")


class ClientOptions(NetworkOptions):
    """What an HTTP client can be told, and when it tries again."""

    client_synonyms: ClassVar[Mapping[str, str]] = {"max_retries": "retries"}

    retry_timeout: Duration | None = Field(
        default=None,
        description="No attempt begins later than this after the first one.",
    )
    init_backoff: Duration = Field(
        default=0.1, description="The pause before the first repetition, in seconds."
    )
    max_backoff: Duration = Field(
        default=2.0, description="The longest pause between two attempts, in seconds."
    )
    backoff_base: float = Field(
        default=2.0,
        ge=1,
        le=100,
        allow_inf_nan=False,
        description="By how much each pause is longer than the one before.",
    )
    connect_timeout: Duration | None = Field(
        default=None,
        description="How long to wait for a connection; `timeout`, ten seconds at most, without it.",
    )
    read_timeout: Duration | None = Field(
        default=None,
        description="How long to wait for the next bytes of an answer; `timeout` without it.",
    )
    request_timeout: Duration | None = Field(
        default=None,
        description="How long one request may take in all, with its content. Without it, any time, "
        "as long as it moves on. (`timeout` inside of `client_options`.)",
    )
    allow_http: bool | None = Field(
        default=None,
        description="Whether requests may go unencrypted. Without it, an `http://` URL that is "
        "written out is meant as it is.",
    )
    allow_invalid_certificates: bool = Field(
        default=False,
        description="Believe every certificate: only for tests, since anybody can listen in.",
    )
    root_certificate: str | None = Field(
        default=None,
        min_length=1,
        description="Certificates of authorities to trust beside the usual ones, as PEM, or the "
        "path of a file with them.",
    )
    disable_system_certificates: bool = Field(
        default=False,
        description="Trust `root_certificate` alone.",
    )
    proxy_url: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="The HTTP proxy to go through. Without it, as `HTTPS_PROXY` and `NO_PROXY` say.",
    )
    proxy_ca_certificate: str | None = Field(
        default=None,
        min_length=1,
        description="The authority of the proxy's own certificate, as PEM or the path of a file.",
    )
    proxy_excludes: str | None = Field(
        default=None,
        min_length=1,
        description="Hosts, with commas between, that `proxy_url` is not used for.",
    )
    user_agent: str | None = Field(
        default=None, min_length=1, description="What the client calls itself."
    )
    default_headers: dict[str, SecretStr] | None = Field(
        default=None,
        description="Headers to send along with every request.",
    )
    default_content_type: str | None = Field(
        default=None,
        min_length=1,
        description="The content type of files whose name does not tell one.",
    )
    pool_idle_timeout: Duration | None = Field(
        default=None, description="How long an unused connection is kept."
    )
    pool_max_idle_per_host: int | None = Field(
        default=None, ge=0, description="How many unused connections are kept."
    )
    http1_only: bool | None = Field(default=None, description="Speak HTTP/1.1 only.")
    http2_only: bool | None = Field(default=None, description="Speak HTTP/2 only.")
    http2_keep_alive_interval: Duration | None = Field(
        default=None, description="How often to see whether an HTTP/2 connection is alive."
    )
    http2_keep_alive_timeout: Duration | None = Field(
        default=None, description="How long to wait for its sign of life."
    )
    http2_keep_alive_while_idle: bool | None = Field(
        default=None, description="Also look while nothing is asked."
    )
    http2_max_frame_size: int | None = Field(
        default=None, ge=16_384, le=16_777_215, description="Bytes of the largest HTTP/2 frame."
    )
    randomize_addresses: bool | None = Field(
        default=None,
        description="Spread connections over all addresses that the server's name has.",
    )
    client_options: dict[str, Any] | None = Field(
        default=None, description="Any of the settings of the HTTP client, nested as in obstore."
    )
    retry_config: dict[str, Any] | None = Field(
        default=None,
        description="`max_retries`, `retry_timeout`, `backoff`, nested as in obstore.",
    )
    backoff: dict[str, Any] | None = Field(
        default=None,
        description="`init_backoff`, `max_backoff`, `base`, nested as in obstore.",
    )

    @property
    def bounds(self) -> Bounds:
        """How long and how often to try, as one value."""
        return Bounds(
            timeout=self.timeout,
            retries=self.retries,
            pause=min(self.init_backoff, self.max_backoff),
            longest_pause=self.max_backoff,
            base=self.backoff_base,
            deadline=self.retry_timeout,
            connecting=self.connect_timeout,
        )

    @property
    def patience(self) -> float:
        """Seconds to wait for the next bytes of an answer."""
        return self.timeout if self.read_timeout is None else self.read_timeout

    @property
    def headers(self) -> dict[str, str]:
        """``default_headers``, readable."""
        found = self.default_headers or {}
        return {name: value.get_secret_value() for name, value in found.items()}

    def content_type_of(self, name: str) -> str:
        """The content type of a file, by its name where that tells one."""
        found = mimetype(name)
        if found == _UNKNOWN and self.default_content_type is not None:
            return self.default_content_type
        return found

    @classmethod
    def spellings(cls, data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        found = super().spellings(data)
        for outer, names in _NESTED.items():
            path = found.pop(outer, None)
            inner: Any = data
            for key in path or ():
                inner = inner[key]
            if path is not None and isinstance(inner, dict):
                plain = {names.get(key, key): (*path, key) for key in inner}
                for name, (key, *_) in super().spellings(plain).items():
                    found.setdefault(name, plain[key])
        return found

    @field_validator("default_headers")
    @classmethod
    def _check_headers(cls, value: dict[str, SecretStr] | None) -> dict[str, SecretStr] | None:
        for name, content in (value or {}).items():
            if not _TOKEN.fullmatch(name):
                raise ValueError("the name of a header has letters, digits and dashes")
            if not _TEXT.fullmatch(content.get_secret_value()):
                raise ValueError("the value of a header is one line of text")
            if name.lower() in ("host", "authorization", "content-length", "transfer-encoding"):
                raise ValueError(f"the header {name!r} is the client's own; leave it out")
        return value

    @field_validator("user_agent", "default_content_type")
    @classmethod
    def _check_line(cls, value: str | None) -> str | None:
        if value is not None and not _TEXT.fullmatch(value):
            raise ValueError("it is sent as a header, which is one line of text")
        return value

    @field_validator("proxy_url")
    @classmethod
    def _check_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        from urllib.parse import urlsplit

        if value is None:
            return None
        try:
            parts = urlsplit(value.get_secret_value())
            known, _ = parts.scheme in ("http", "https") and bool(parts.hostname), parts.port
        except ValueError:
            known = False
        if not known:
            raise ValueError("write the URL of an HTTP proxy, for instance http://proxy:3128")
        return value

    @model_validator(mode="after")
    def _check_client(self) -> Self:
        if self.http1_only and self.http2_only:
            raise ValueError("'http1_only' and 'http2_only' exclude each other; keep one")
        for name in ("proxy_ca_certificate", "proxy_excludes"):
            if getattr(self, name) is not None and self.proxy_url is None:
                raise ValueError(f"{name!r} belongs to 'proxy_url'; give that too")
        if self.disable_system_certificates and self.root_certificate is None:
            raise ValueError(
                "with 'disable_system_certificates' nobody is trusted; give 'root_certificate' too"
            )
        return self


#: The 22 keys of obstore's ``ClientConfig``.
CLIENT_KEYS = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "default_content_type",
    "default_headers",
    "disable_system_certificates",
    "http1_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "randomize_addresses",
    "read_timeout",
    "root_certificate",
    "timeout",
    "user_agent",
)
_KNOWN_INSIDE: Mapping[str, tuple[str, ...] | None] = {
    "config": None,
    "client_options": CLIENT_KEYS,
    "retry_config": _RETRY,
    "backoff": _BACKOFF,
}


def flattened(data: Any) -> Any:
    """The keys of a mount with those of its nested mappings beside them.

    Raises ``ValueError``, which names both places, for a setting that is given twice and otherwise,
    and for a key that such a mapping does not have (obstore forgets those of ``retry_config``).

    >>> flattened({"bucket": "b", "retry_config": {"max_retries": 3, "backoff": {"base": 2}}})
    {'bucket': 'b', 'retries': 3, 'backoff_base': 2}
    """
    if not isinstance(data, dict):
        return data
    flat = dict(data)
    for outer, names in _NESTED.items():
        inner = flat.get(outer)
        if not isinstance(inner, dict):
            continue  # None, or something that the model refuses
        del flat[outer]
        known = _KNOWN_INSIDE[outer]
        for key, value in inner.items():
            if known is not None and key not in known:
                raise ValueError(
                    f"{outer!r} has no key {str(key)[:80]!r}; it has {', '.join(known)}"
                )
            name = names.get(key, key)
            if name in flat and flat[name] != value:
                raise ValueError(
                    f"{name!r} and the {key!r} of {outer!r} are one option, but their values "
                    "differ; keep one of them"
                )
            flat[name] = value
    return flat
