"""Buckets whose files everybody may read: what is configured, and the URLs that result."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import Field, field_validator

from .addresses import checked_address
from .remote import NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NOT_PUBLIC", "PublicOptions", "public_address"]

#: Why a mount has no public URLs, and the keys that would give it some.
NOT_PUBLIC = (
    "the mount is not configured as public: write `public: true` if everybody may read it, or "
    "`public_base_url: https://…` if a web server or CDN serves it"
)


class PublicOptions(NetworkOptions):
    """The keys of mounts that may be public."""

    public: bool = Field(
        default=False,
        description="Everybody may read the files: `public_url()` gives their plain URLs. It says so "
        "only, and changes no rights in the store.",
    )
    public_base_url: str | None = Field(
        default=None,
        min_length=1,
        description="Where a CDN or web server serves the root of the mount, such as "
        "`https://cdn.example.org/files`; `public_url()` begins with it.",
    )

    @field_validator("public_base_url")
    @classmethod
    def _check_public_base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        return checked_address(value, example="https://cdn.example.org")

    @property
    def is_public(self) -> bool:
        """Whether files have URLs for everybody."""
        return self.public or self.public_base_url is not None


def public_address(options: PublicOptions, path: str, plain: Callable[[], str]) -> str:
    """The public URL of a file; ``plain`` makes that of the service itself."""
    if options.public_base_url is not None:
        return f"{options.public_base_url}/{quote(path, safe='/~')}"
    if not options.public:
        raise io.UnsupportedOperation(NOT_PUBLIC)
    return plain()
