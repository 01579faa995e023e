"""Large files that are sent while they are written: parts leave as soon as they are full.

What is written also goes to a temporary file of this machine, as everywhere: who seeks back and
corrects something, as zip archives do, has the part sent again that holds it.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from ..fsspec_write import SpooledWrite
from .transfer import PART, condition_of, named

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from ..fsspec_write import Content
    from .filesystem import S3Filesystem

__all__ = ["StreamedWrite"]

#: Parts on their way at once, which are what is in memory.
_AT_ONCE = 3
#: After so many parts they grow, so that ten thousand hold some 440 GiB.
_SAME = 1000
_MOST_PARTS = 10_000
#: Seconds to wait for parts that were cancelled.
_GOODBYE = 5.0


def edge(number: int) -> int:
    """Where a part begins, counted from 0.

    >>> [edge(number) // PART for number in (0, 1, 1000, 1001, 2000)]
    [0, 1, 1000, 1002, 3000]
    """
    rounds, rest = divmod(number, _SAME)
    return PART * (_SAME * rounds * (rounds + 1) // 2 + rest * (rounds + 1))


class StreamedWrite(SpooledWrite):
    """A write whose parts are uploaded meanwhile, once they are more than one request holds.

    Whatever ends it before ``close()`` has put the parts together leaves nothing on the server. A
    part that cannot be sent fails the next ``write``.
    """

    def __init__(
        self,
        store: S3Filesystem,
        key: str,
        create: bool,
        facts: dict[str, Any],
        publish: Callable[[Content], None],
    ) -> None:
        super().__init__(publish)
        self._store = store
        self._key = key
        self._create = create
        self._facts = facts
        self._upload: str | None = None
        self._length = 0
        self._names: dict[int, dict[str, Any]] = {}  # by the number of the part, from 0
        self._sending: deque[tuple[int, Future[dict[str, Any]]]] = deque()
        self._running: set[Any] = set()  # the tasks of the loop that send them
        self._next = 0
        self._process = os.getpid()

    def write(self, data: Any) -> int:
        at = self.tell()
        written = super().write(data)
        try:
            self._noted(min(at, self._length), at + written)
            self._send_full_parts()
        except BaseException:
            self.fail()
            raise
        return written

    def truncate(self, size: int | None = None) -> int:
        wanted = super().truncate(size)
        if wanted < self._length:
            self._forget(wanted, self._length)
            self._length = wanted
            while self._next and edge(self._next) > wanted:
                self._next -= 1
        self._noted(self._length, wanted)
        return wanted

    def _noted(self, start: int, end: int) -> None:
        """These bytes were written."""
        self._forget(start, end)
        self._length = max(self._length, end)

    def _forget(self, start: int, end: int) -> None:
        """What was sent of these bytes is to be sent again."""
        if start >= edge(self._next):
            return
        self._settle(0)
        for number in list(self._names):
            if edge(number) < end and edge(number + 1) > start:
                del self._names[number]

    def _send_full_parts(self) -> None:
        if self._length <= self._store.transfers.put_at_once:
            return
        while edge(self._next + 1) <= self._length and self._next < _MOST_PARTS - 1:
            self._send(self._next)
            self._next += 1

    def _send(self, number: int) -> None:
        self._settle(_AT_ONCE - 1)
        client, key = self._store.client, self._key
        if self._upload is None:
            client.run(self._begin)
        upload, data = self._upload, self._piece(edge(number), edge(number + 1))

        async def send() -> dict[str, Any]:
            task = asyncio.current_task()
            self._running.add(task)
            try:
                answer = await client.request(
                    "upload_part",
                    Key=key,
                    UploadId=upload,
                    PartNumber=number + 1,
                    Body=data,
                    **await self._store.transfers.sent_digest(data),
                )
            finally:
                self._running.discard(task)
            return named(answer)

        self._sending.append((number, client.begin(send)))

    async def _begin(self) -> None:
        # Kept here, where no interrupt comes between having the id and keeping it.
        self._upload = await self._store.transfers.begin(self._key, self._facts)

    def _settle(self, left: int) -> None:
        """Wait until so many parts at most are on their way."""
        while len(self._sending) > left:
            number, sending = self._sending[0]
            self._names[number] = sending.result()
            self._sending.popleft()

    def _piece(self, start: int, end: int) -> bytes:
        if isinstance(self._spool, io.BytesIO):
            return self._spool.getvalue()[start:end]
        parts: list[bytes] = []
        while start < end:
            part = os.pread(self._spool.fileno(), end - start, start)
            if not part:
                break  # the end
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _commit(self) -> None:
        if self._upload is None:
            super()._commit()
            return
        upload, transfers = self._upload, self._store.transfers
        count = 0
        while edge(count) < self._length:
            count += 1
        if count > _MOST_PARTS or self._length <= transfers.put_at_once:
            # More than these parts can hold, or less than is worth any.
            self._abort_upload()
            super()._commit()
            return
        self._settle(0)
        for number in range(count):
            if number not in self._names:
                self._send(number)
        self._settle(0)
        parts = [{"PartNumber": number + 1, **self._names[number]} for number in range(count)]
        self._store.create(
            self._key,
            self._create,
            lambda only: self._store.client.run(
                lambda: transfers.complete(self._key, upload, parts, condition_of(only, {})[0])
            ),
        )
        self._spool.close()

    def _abort(self) -> None:
        try:
            self._abort_upload()
        finally:
            super()._abort()

    def _abort_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is None or self._process != os.getpid():
            return  # a forked process has a copy of the handle, and no upload
        for _, sending in self._sending:
            sending.cancel()
        self._sending.clear()
        client, transfers = self._store.client, self._store.transfers

        async def forget() -> None:
            if self._running:  # a part that came later would stay
                await asyncio.wait(set(self._running), timeout=_GOODBYE)
            await transfers.abort(self._key, upload)

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            client.run(forget)
        else:
            # Perhaps the garbage collector in the very loop that has to do it.
            client.begin(forget)
