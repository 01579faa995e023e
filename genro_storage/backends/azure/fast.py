"""A container that is looked at and read by obstore, and changed by Microsoft's client as before.

Uploads stay there because obstore cannot send the MD5 of what it sends, which the service compares
with what has arrived; copies, because it does not wait for those that are made in the background;
deletions, because it makes them by batches, which not every account and signature allows.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ...info import FileInfo
from ..fsspec_info import moment
from ..object_stores.engine import Engine, Unfit
from ..object_stores.reader import Chunk
from .client import AzureClient
from .store_settings import make_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...info import Checksum
    from ..object_stores.engine import Facts
    from ..object_stores.failures import Failure
    from ..remote import Bounds
    from .access import AzureAccess

__all__ = ["FastAzureClient"]

T = TypeVar("T")


class _BeyondError(OSError):
    """Nothing begins at this byte."""


class FastAzureClient(AzureClient):
    """As its base, some times as fast with small blobs. What obstore cannot do, it leaves to it."""

    def __init__(self, access: AzureAccess, bounds: Bounds) -> None:
        super().__init__(access, bounds)
        # Whoever calls repeats, whichever of the two has failed.
        self._engine = Engine(
            lambda: make_store(access, bounds, self.credentials.for_obstore),
            lambda failure, _: self._meaning(failure),
            replace(bounds, retries=0),
        )

    def _meaning(self, failure: Failure) -> Exception | None:
        """The standard exception; None where the other client shall say what is wrong."""
        status = failure.status
        if failure.kind == "timeout" or failure.kind == "unanswered":
            return self._silent()
        if failure.kind in ("unreachable", "broken"):
            return ConnectionError(
                errno.ECONNRESET, f"the connection to {self._host} failed ({failure.kind})"
            )
        if failure.kind != "status" or status is None:
            return None
        if status == 416:
            return _BeyondError(errno.EINVAL, "nothing begins there")
        if failure.method == "HEAD" and 400 <= status < 500 and status not in (404, 408, 429):
            return None  # the answer to a HEAD names no reason where obstore would see it
        return self._refused(status, failure.code)

    def _try(self, key: str, fast: Callable[[], T], slow: Callable[[], T]) -> T:
        if self._engine.can(key):
            try:
                return fast()
            except Unfit:
                pass
        return slow()

    def head(self, key: str) -> FileInfo:
        slow = super().head
        return self._try(key, lambda: _info(self._engine.head(key), key), lambda: slow(key))

    def checksum(self, key: str, etag: str | None) -> Checksum | None:
        found = super().head(key)  # obstore does not show it
        return found.checksum if found.etag == etag else None

    def read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        slow = super().read
        return self._try(
            key,
            lambda: self._read(key, start, end, pin),
            lambda: slow(key, start, end, pin),
        )

    def _read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        try:
            body, data = self._engine.read(key, start, end, pin or None)
        except _BeyondError:
            if start == 0:
                raise Unfit("an empty blob, or a folder") from None
            return Chunk(b"", start, "")
        if _is_folder(body.facts):
            raise FileNotFoundError(errno.ENOENT, "not a file")
        return Chunk(body.all() if data is None else data, body.facts.size, body.facts.etag)


def _is_folder(facts: Facts) -> bool:
    return facts.attributes.get("hdi_isfolder") == "true"


def _info(facts: Facts, key: str) -> FileInfo:
    if _is_folder(facts):
        return FileInfo(key, "directory")
    return FileInfo(
        key,
        "file",
        facts.size,
        moment(facts.mtime),
        facts.etag.strip('"') or None,
        None,
        facts.attributes.get("Content-Type"),
    )
