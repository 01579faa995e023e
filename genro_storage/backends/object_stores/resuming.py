"""What is missing of a large content, fetched as downloads are, and the whole compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..remote import repeated
from .downloads import WINDOW, download
from .engine import Unfit
from .reader import PIECE
from .reading import StoreReading
from .verifying import VerifyingSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds
    from ..resuming import Missing
    from .downloads import PositionedSink, Ranges
    from .verifying import Verifier, Written

__all__ = ["StoreResuming", "compared", "fill_gaps"]

#: Bytes that are asked for to learn what there is.
_LOOK = 1
#: And those that a connection asks for at a time, at least. What the server has sent and nobody has
#: read is lost at a kill, and the system's buffers hold tens of MiB of it where this machine is busy.
#: Of a larger content a larger part may be: on a long line every request takes its time.
_WINDOW = 8 * 1024 * 1024
_PARTS = 16


def compared(
    target: Written, verifier: Verifier | None
) -> tuple[PositionedSink, Callable[[], object]]:
    """Where to write, and what to call when nothing is missing: ``OSError`` for another content.

    What came in an earlier run is read back for it.
    """
    if verifier is None:
        return target, lambda: None
    sink = VerifyingSink(target, verifier)
    return sink, sink.finish


def fill_gaps(
    target: Missing, sink: PositionedSink, again: Ranges, pin: str, bounds: Bounds
) -> None:
    """Fetch into ``sink`` what ``target`` misses of the content that ``pin`` names."""
    gaps = target.missing()
    length = max((end for _, end in gaps), default=0)
    window = min(max(_WINDOW, length // _PARTS), WINDOW)
    for start, end in gaps:
        first = min(start + window, end)
        body = repeated(bounds, lambda _, at=start, stop=first: again(at, stop, pin))  # type: ignore[misc]
        download(body, again, sink, bounds, base=0, stop=end, window=window)


class StoreResuming(StoreReading):
    """Downloads from the stores that stand on an ``ObjectClient``."""

    resumes_downloads: ClassVar[bool] = True

    def resume_download(self, path: str, target: Missing) -> float | None:
        first = self._read(path, 0, _LOOK)
        target.begin(first.pin, first.size)
        sink, finish = compared(target, self._verifier(first))
        try:
            fill_gaps(target, sink, self._ranges(path, first.pin), first.pin, self._bounds)
        except Unfit:
            # obstore has failed in the middle, as the service's own client may not.
            for start, end in target.missing():
                for at in range(start, end, PIECE):
                    sink.write(at, self._rest(path, at, min(at + PIECE, end), first.pin))
        finish()
        return first.known.mtime
