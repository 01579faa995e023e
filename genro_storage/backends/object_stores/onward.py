"""One answer that is read as it comes, from an object's beginning to its end, or drained at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..remote import repeated
from .downloads import WINDOW, download
from .engine import Unfit

if TYPE_CHECKING:
    from ..remote import Bounds
    from .downloads import PositionedSink, Ranges, Streamed

__all__ = ["Onward"]


class Onward:
    """The answer that a stream is reading; another one from there on where it breaks.

    ``again`` asks for that. Nothing is held in memory but what a step brings.
    """

    def __init__(self, again: Ranges, bounds: Bounds, body: Streamed | None = None) -> None:
        self._again = again
        self._bounds = bounds
        self._body = body
        self._at = 0 if body is None else body.start  # its next byte
        self._of_parent: Streamed | None = None

    @property
    def is_open(self) -> bool:
        """Whether an answer is being read."""
        return self._body is not None

    def drop(self) -> None:
        """Read no more of it."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def abandon(self) -> None:
        """After a fork: what it belongs to is in the parent, and has no thread here."""
        self._of_parent, self._body = self._body, None

    def next(self, at: int, stop: int, pin: str | None) -> bytes:
        """The next bytes, from ``at`` on, of an answer that goes to ``stop``; ``Unfit``."""
        return repeated(self._bounds, lambda _: self._next(at, stop, pin))

    def _next(self, at: int, stop: int, pin: str | None) -> bytes:
        body, self._body = self._body, None
        # Whoever was interrupted has lost some of it; and it may have been the beginning only.
        if body is not None and (self._at != at or at >= body.stop):
            body.close()
            body = None
        if body is None:
            body = self._again(at, stop, pin)
            self._at = body.start
        try:
            if self._at != at:
                raise Unfit
            data = body.next()
        except BaseException:
            body.close()
            raise
        self._at = at + len(data)
        self._body = body  # not where it has failed
        return data

    def drain(self, sink: PositionedSink, begun: bytes, size: int, pin: str | None) -> None:
        """All of the content into ``sink``: ``begun``, and what comes after it; ``Unfit``."""
        body, self._body = self._body, None
        start = len(begun)
        sink.write(0, begun)
        if start >= size:
            return
        if body is not None and (body.start != start or self._at != start):
            body.close()
            body = None
        if body is None:
            first = min(start + WINDOW, size)
            body = repeated(self._bounds, lambda _: self._again(start, first, pin))
        if body.start != start or not start < body.stop <= size:
            body.close()
            raise Unfit
        download(body, self._again, sink, self._bounds, base=0, stop=size)
