"""A local directory that a web server publishes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..capabilities import BackendCapabilities
from .local import LocalBackend

if TYPE_CHECKING:
    import os

__all__ = ["PublishedLocalBackend"]


class PublishedLocalBackend(LocalBackend):
    """Adds to each file the URL under which ``base_url`` serves it; the URL never expires."""

    def __init__(self, root: str | os.PathLike[str], *, base_url: str, fsync: bool = False) -> None:
        super().__init__(root, fsync=fsync)
        self._base_url = base_url.rstrip("/")
        declared = LocalBackend.capabilities
        self.capabilities: BackendCapabilities = replace(declared, public_urls=True)

    def url(self, path: str, *, expires_in: int = 3600, **options: Any) -> str | None:
        """``base_url`` and the quoted path; both further arguments mean nothing here."""
        return f"{self._base_url}/{quote(path)}"
