"""What a mount of an object store needs of a client, and work that goes on side by side."""

from __future__ import annotations

import contextvars
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .facts import NO_FACTS, Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...info import Checksum, Descriptor, FileInfo
    from ..fsspec_write import Content
    from .listing import Page
    from .reader import Chunk
    from .whole import Answer

__all__ = ["ObjectClient", "in_parallel"]

S = TypeVar("S")

_WORKERS = 4


class ObjectClient(Protocol):
    """The requests of one service. Keys are whole; errors are standard ones, with clear texts.

    A missing bucket is a ``RootNotFoundError`` wherever the service tells it from a missing key,
    and always in ``page``.
    """

    def head(self, key: str) -> FileInfo:
        """What is stored under exactly this key, a folder included; ``FileNotFoundError``."""
        ...

    def checksum(self, key: str, etag: str) -> Checksum | None:
        """A digest of this very content that ``head`` may not have told; None for none."""
        ...

    def page(
        self, prefix: str, *, flat: bool, limit: int | None, start: str | None, token: str | None
    ) -> Page:
        """A part of a listing, from ``start`` or where ``token`` says; ``flat``: no prefixes."""
        ...

    def read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        """At most these bytes, fewer at the end; ``FileNotFoundError`` for a folder too.

        ``pin`` names the content that is wanted: ``OSError(ESTALE)``, or ``FileNotFoundError``,
        where it has been replaced.
        """
        ...

    def stream(self, key: str, start: int, end: int | None, pin: str | None) -> Answer:
        """The same as it comes, up to ``end`` or all that follows; for what is large."""
        ...

    def put(
        self, key: str, data: bytes, content_type: str, *, create: bool, facts: Facts = NO_FACTS
    ) -> None:
        """Replace the object in one request; ``create``: ``FileExistsError`` if it is there.

        ``ChangedError`` where it has not, or no more, the ETag of ``facts``.
        """
        ...

    def put_large(
        self,
        key: str,
        content: Content,
        content_type: str,
        *,
        create: bool,
        again: Callable[[Callable[[], Any]], Any],
        facts: Facts = NO_FACTS,
    ) -> None:
        """The same in pieces, in bounded memory; each request is made through ``again``."""
        ...

    def copy(self, source: str, target: str, *, create: bool = False) -> None:
        """Copy inside the service; ``create``: ``FileExistsError`` if the target is there."""
        ...

    def descriptor(self, key: str) -> Descriptor:
        """All that one request tells, with the metadata as they are stored."""
        ...

    def set_metadata(
        self, key: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        """Make the metadata what ``change`` makes of them; ``ChangedError`` if others did so."""
        ...

    def delete(self, key: str) -> None:
        """Delete one object; ``FileNotFoundError``."""
        ...

    def delete_many(self, keys: list[str]) -> dict[str, Exception] | None:
        """Delete in one request, and say what failed; None where the service has no such thing."""
        ...

    def close(self) -> None:
        """Give up every connection."""
        ...


def in_parallel(work: Callable[[S], object], items: Iterable[S], workers: int = _WORKERS) -> None:
    """``work(item)`` for each, some at a time; the first failure ends it and is raised."""
    waiting = iter(items)
    first = next(waiting, None)
    if first is None:
        return

    def submit(item: S) -> Future[object]:
        # In the context of the caller, who may want to hear of what is tried again.
        return pool.submit(contextvars.copy_context().run, work, item)

    with ThreadPoolExecutor(workers, thread_name_prefix="genro-storage") as pool:
        running = {submit(first)}
        try:
            while running:
                for item in waiting:
                    running.add(submit(item))
                    if len(running) >= 2 * workers:
                        break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
