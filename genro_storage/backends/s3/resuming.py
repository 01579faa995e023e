"""Large files to and from a bucket that go on where an earlier run was interrupted."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, ClassVar

from ..local_sizes import is_size_untold
from ..object_stores.resuming import compared
from ..object_stores.source import Source
from ..object_stores.verifying import verifier_for
from .attributes import S3Attributes
from .metadata import with_md5
from .resumed_upload import ResumedUpload, drop_noted
from .side_by_side import few_at_a_time
from .transfer import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...info import Attributes
    from ..resuming import Missing, Notes
    from .filesystem import S3Filesystem

__all__ = ["S3Resuming", "fetch_missing"]

#: Bytes of a request of the SDK, which shows nothing of an answer before all of it is there: what
#: is on its way when a process is killed comes again.
_PIECE = 4 * MIB


def fetch_missing(store: S3Filesystem, key: str, target: Missing) -> float | None:
    """Write what ``target`` misses, a few parts at a time; the time that was kept with the object."""
    about, client = store.head(key), store.client
    etag, size = str(about["ETag"]), int(about["ContentLength"])
    target.begin(etag, size)
    known = client.known(about)
    verifier = verifier_for(known, size) if client.options.verify_downloads else None
    sink, finish = compared(target, verifier)

    async def fetch(start: int, end: int) -> None:
        part = await client.fetch(key, start, end, etag)
        if len(part.data) != end - start:
            raise OSError(errno.EIO, "the server sent less than there is")
        await asyncio.to_thread(sink.write, start, part.data)

    pieces = (
        fetch(at, min(at + _PIECE, end))
        for start, end in target.missing()
        for at in range(start, end, _PIECE)
    )
    client.run(lambda: few_at_a_time(pieces))
    finish()
    return known.mtime


class S3Resuming(S3Attributes):
    """The half of ``S3Backend`` that resumes."""

    resumes_uploads: ClassVar[bool] = True
    resumes_downloads: ClassVar[bool] = True

    def resume_upload(
        self,
        source: Path,
        path: str,
        notes: Notes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
        take: Callable[[int], object] | None = None,
    ) -> str | None:
        store = self._store
        try:
            self._require_write(path, if_absent)
        except FileExistsError:
            store.client.run(lambda: drop_noted(store.transfers, self._full(path), notes))
            raise
        with Source(source) as content:
            is_large = content.size > store.transfers.put_at_once and not is_size_untold(source)
            if not is_large:
                return self.upload(source, path, if_absent=if_absent, attributes=attributes)
            key = self._full(path)
            extra = store.facts(key, self._put_options(attributes))
            if store.client.options.store_checksums == "always":
                extra = with_md5(extra, content.md5(), content.size)
            upload = ResumedUpload(store, key, content, extra, notes, take)
            store.create(key, if_absent, lambda only: store.client.run(lambda: upload.put(only)))
        return None

    def resume_download(self, path: str, target: Missing) -> float | None:
        with self._reading(path):
            return self._store.fetch_missing(self._full(path), target)
