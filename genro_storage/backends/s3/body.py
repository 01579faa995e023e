"""The bytes of an upload, as botocore and aiohttp take them."""

from __future__ import annotations

import io
import time
from typing import Any

__all__ = ["Body"]


class Body(io.BytesIO):
    """What is uploaded, noting when somebody takes of it.

    aiohttp bounds the waiting for an answer, and waits for ever to be rid of what it sends.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data
        self.taken: float = time.monotonic()

    def getbuffer(self) -> memoryview:
        """The bytes themselves: aiohttp asks for their length, and would get it from a copy."""
        return memoryview(self._data)

    def read(self, size: int | None = -1, /) -> Any:
        """The bytes themselves again, as a view of them.

        All is read twice, for its digest and for the line, and a copy is a tenth of the work. (Of
        the checksums that the SDK can make only awscrt's XXHASH takes no view; no mount asks for it.)
        """
        self.taken = time.monotonic()
        start = self.tell()
        end = len(self._data) if size is None or size < 0 else min(start + size, len(self._data))
        self.seek(max(start, end))
        return memoryview(self._data)[start:end]
