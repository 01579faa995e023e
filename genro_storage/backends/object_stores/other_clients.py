"""Clients that other libraries take, with the settings of a mount: of fsspec, and of obstore."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .network import Network

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LendsClients", "OtherClients", "require_usual"]


class OtherClients(NamedTuple):
    """What makes them; each call a new one, which belongs to whoever asked for it."""

    filesystem: Callable[[], Any]
    store: Callable[[], Any]


class LendsClients:
    """Gives them out, where ``others`` was set: its two verbs of a backend."""

    others: OtherClients | None = None

    def filesystem(self) -> Any:
        """The same bucket as a filesystem of fsspec, new, for other libraries."""
        if self.others is None:
            raise io.UnsupportedOperation("there is no filesystem of fsspec for this mount")
        return self.others.filesystem()

    def store(self) -> Any:
        """The same bucket as a store of obstore, new, for other libraries."""
        if self.others is None:
            raise io.UnsupportedOperation("there is no store of obstore for this mount")
        return self.others.store()


def require_usual(network: Network, library: str) -> None:
    """``io.UnsupportedOperation`` for what the library's filesystem cannot be told."""
    if replace(network, pool=None) != Network():
        raise io.UnsupportedOperation(
            f"{library} cannot be told of certificates, proxies and headers as this mount is; "
            "take its store() instead, or remove those settings"
        )
