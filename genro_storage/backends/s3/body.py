"""The bytes of an upload, as botocore and aiohttp take them."""

from __future__ import annotations

import io
import time

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

    def read(self, size: int | None = -1, /) -> bytes:
        self.taken = time.monotonic()
        return super().read(size)
