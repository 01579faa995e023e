"""A container whose blobs are read by obstore; everything else as before."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..object_stores.engine import Unfit
from ..object_stores.fast_reads import FastReads
from .store_settings import make_store
from .versions import AzureVersionClient

if TYPE_CHECKING:
    from ..object_stores.reader import Chunk
    from ..remote import Bounds
    from .access import AzureAccess

__all__ = ["FastAzureClient"]


class FastAzureClient(AzureVersionClient):
    """As its base, with reads that take a third of the time where blobs are small.

    ``compared``: Microsoft's client reads what a blob begins with, since it brings the MD5 of the
    whole along.
    """

    def __init__(self, access: AzureAccess, bounds: Bounds, *, compared: bool) -> None:
        super().__init__(access, bounds)
        self._compared = compared
        self._reads = FastReads(
            lambda: make_store(access, bounds, self.credentials.for_obstore),
            bounds,
            host=self._host,
            pinned="etag",
            refused=self._known,
        )

    def read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        if self._version is not None:
            return super().read(key, start, end, pin)  # obstore has no word for it
        if self._compared and start == 0 and pin is None:
            return super().read(key, start, end, pin)
        try:
            found, attributes = self._reads.read(key, start, end, pin)
        except Unfit:
            return super().read(key, start, end, pin)
        if attributes.get("hdi_isfolder") == "true":
            raise FileNotFoundError(errno.ENOENT, "not a file")
        return found

    def _known(self, status: int, code: str) -> Exception | None:
        """Before the code is known, a refusal may mean anything."""
        if code or status >= 500 or status in (404, 408, 412, 429):
            return self._refused(status, code)
        return None
