"""Contents read by obstore, for a service whose own library does everything else.

That stays there because obstore has no word for it: it cannot send the digest of an upload, which
the service compares with what has arrived; it does not show the digest of an object, nor the reason
of a refused HEAD; it does not wait for copies that are made in the background; it deletes by
batches, which not every account allows.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from .engine import Body, Engine, Unfit, metadata_of
from .kept import kept_mtime, shown
from .reader import Chunk
from .verifying import Known
from .whole import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds
    from .engine import Facts
    from .failures import Failure

__all__ = ["FastReads"]


class FastReads:
    """Ranges of objects. ``pinned`` says what names a content: its ETag, or its version.

    ``refused`` makes the standard error of a status and the service's own code, and None where the
    service's library is to be asked, as ``Unfit`` says; ``host`` is for messages.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        bounds: Bounds,
        *,
        host: str,
        pinned: Literal["etag", "version"],
        refused: Callable[[int, str], Exception | None],
    ) -> None:
        self._host = host
        self._pinned = pinned
        self._refused = refused
        # Whoever calls repeats, whichever of the two has failed.
        self._engine = Engine(
            make, lambda failure, _: self._meaning(failure), replace(bounds, retries=0)
        )

    def _meaning(self, failure: Failure) -> Exception | None:
        """The standard exception; None where the other client shall say what is wrong."""
        if failure.kind in ("timeout", "unanswered"):
            return TimeoutError(errno.ETIMEDOUT, f"no answer from {self._host} in time")
        if failure.kind in ("unreachable", "broken"):
            return ConnectionError(
                errno.ECONNRESET, f"the connection to {self._host} failed ({failure.kind})"
            )
        if failure.kind != "status" or failure.status is None:
            return None
        if failure.status == 416:
            return _BeyondError(errno.EINVAL, "nothing begins there")
        return self._refused(failure.status, failure.code)

    def head(self, key: str) -> Facts:
        """What a look tells; ``FileNotFoundError``. Without a digest, as ``read``."""
        if not self._engine.can(key):
            raise Unfit("not by obstore")
        return self._engine.head(key)

    def read(self, key: str, start: int, end: int, pin: str | None) -> tuple[Chunk, dict[str, str]]:
        """As ``ObjectClient.read``, and the attributes of the object beside it.

        The chunk knows the time that was kept, and no digest: obstore does not show the headers
        that have it.
        """

        def step() -> tuple[Answer, dict[str, str], bytes]:
            found, attributes = self.stream(key, start, end, pin)
            return found, attributes, cast("Body", found.body).all()

        try:
            # All of it is one call for a thread of its own, where one is needed.
            found, attributes, data = self._engine.once(step)
        except _BeyondError:
            if start == 0:
                raise Unfit("an empty object, or what stands for a directory") from None
            return Chunk(b"", start, ""), {}
        return Chunk(data, found.size, found.pin, found.known), attributes

    def stream(
        self, key: str, start: int, end: int | None, pin: str | None
    ) -> tuple[Answer, dict[str, str]]:
        """As ``ObjectClient.stream``, in the same way."""
        if not self._engine.can(key):
            raise Unfit("not by obstore")
        body = self._engine.once(lambda: self._body(key, start, end, pin))
        facts = body.facts
        stop = facts.size if end is None else min(end, facts.size)
        if (body.start, body.stop) != (start, stop):
            raise Unfit("another range than the one that was asked for")
        found = facts.etag if self._pinned == "etag" else facts.version
        if not found:
            raise Unfit("the answer does not name the content")
        if pin and found != pin:
            raise OSError(errno.ESTALE, "it was replaced while it was read; read it again")
        attributes = dict(facts.attributes)
        known = Known(
            None,
            kept_mtime(attributes),
            content_type=attributes.get("Content-Type"),
            # Their names lose what letters they are written in.
            metadata=None if shown(metadata_of(attributes)) else {},
        )
        return Answer(body, facts.size, found, known), attributes

    def _body(self, key: str, start: int, end: int | None, pin: str | None) -> Body:
        import obstore

        options: dict[str, Any] = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        if pin:
            options["if_match" if self._pinned == "etag" else "version"] = pin
        return Body(self._engine, obstore.get(self._engine.store(), key, options=options))  # type: ignore[arg-type]


class _BeyondError(OSError):
    """Nothing begins at this byte."""
