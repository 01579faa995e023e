"""How a mount talks to its web server, decided once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..remote import Bounds
    from .urls import Site

__all__ = ["Redirects", "Settings"]

#: Which redirects are followed.
Redirects = Literal["any", "same-server", "none"]


@dataclass(frozen=True)
class Settings:
    """How to talk to the server. ``credentials`` are the keys that gave some, in words."""

    site: Site
    bounds: Bounds
    mount: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    credentials: str | None = None
    verify: bool = True
    authorities: str | None = None
    certificate: tuple[str, str | None] | None = None
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True
    redirects: Redirects = "any"
