"""An upload in parts that goes on where an earlier run was interrupted.

What it has sent the server lists (ListParts), and each part is compared with the local file. So the
notes need not name the parts, except where the ETag of one is no MD5, as with KMS: there the MD5 of
what was sent is noted.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...hearing import note_bytes
from ..remote import is_transient
from .codes import server_code
from .requests import along_with
from .side_by_side import AT_ONCE, few_at_a_time
from .transfer import SMALLEST_PART, condition_of, etag_of, named, part_length

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from ..object_stores.source import Source
    from ..resuming import Notes
    from .filesystem import S3Filesystem
    from .transfer import S3Transfers

__all__ = ["ResumedUpload", "drop_noted"]

T = TypeVar("T")
_log = logging.getLogger("genro_storage")

#: What a server says of an upload that nothing more can be done with.
_OVER = ("NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall")

#: Seconds of a time that is told in whole ones, twice.
_ROUNDED = 2.0
#: Seconds of sending that may be in vain.
_BRIEF = 1.0
#: How many times as long a part may take beside others, for them not to be in its way.
_NO_LONGER = 1.25


class _Begun(NamedTuple):
    """An upload of a former run, or a new one: its id, and the parts that the server has."""

    upload: str
    parts: dict[int, dict[str, Any]]
    is_new: bool


class _Pace:
    """How many parts may be under way: few, since a kill loses them all.

    Another one may go beside where all takes less than a second, so that a kill costs no more than
    that; and where it takes no longer than without it, as on a long line whose connections are each
    slower than the line.
    """

    def __init__(self) -> None:
        self._at_once = 1
        self._alone: float | None = None
        self._is_settled = False

    def __call__(self) -> int:
        return self._at_once

    def took(self, seconds: float) -> None:
        """A part has arrived in that time, beside the others."""
        if self._alone is None:
            self._alone = seconds
        if seconds < max(_BRIEF, 0.0 if self._is_settled else _NO_LONGER * self._alone):
            self._at_once = min(AT_ONCE, self._at_once + 1)
        elif self._at_once > 1:
            self._at_once -= 1
            self._is_settled = True


class ResumedUpload:
    """One file on its way. ``put`` is the only thing to do with it, once or again."""

    def __init__(
        self,
        store: S3Filesystem,
        key: str,
        source: Source,
        extra: dict[str, Any],
        notes: Notes,
        take: Callable[[int], object] | None,
    ) -> None:
        self._client = store.client
        self._transfers = store.transfers
        self._key = key
        self._source = source
        self._extra = extra
        self._notes = notes
        self._take = take
        # Small ones: those that were under way are what comes again after a kill.
        self._length = part_length(source.size, SMALLEST_PART)
        self._pace = _Pace()
        bounds = store.client.bounds
        #: Seconds that a request may take, with all its attempts.
        self._longest = (bounds.retries + 1) * (bounds.timeout + bounds.longest_pause)
        #: Whether the ETags of parts are their MD5; None until one was seen.
        self._has_md5: bool | None = None
        self._reader: ThreadPoolExecutor

    async def put(self, create: bool) -> None:
        """As ``S3Transfers.put_large``; what was sent stays where it fails and is noted."""
        condition, facts = condition_of(create, self._extra)
        # One thread: each keeps the memory of the parts that it has read to itself.
        with ThreadPoolExecutor(1, thread_name_prefix="genro-storage") as self._reader:
            is_last = False
            while True:
                begun = await self._begin(facts)
                if begun is None:
                    return
                try:
                    await self._finish(begun, condition)
                except BaseException as error:
                    if _is_to_be_kept(error) and self._notes.are_kept:
                        raise
                    await asyncio.shield(self._transfers.abort(self._key, begun.upload))
                    self._notes.forget()
                    # Somebody has aborted it; or it is the one of a former run, which the server
                    # will not go on with for whatever reason.
                    is_gone = server_code(error) == "NoSuchUpload" or not begun.is_new
                    if is_last or not is_gone or _is_final(error):
                        raise
                    is_last = True
                else:
                    return

    # -- what there is ------------------------------------------------------------------------

    def _facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What an upload must have been begun with to be gone on with."""
        asked = {**along_with(self._client.options, "create_multipart_upload"), **facts}
        asked.pop("SSECustomerKey", None)
        text = json.dumps(asked, sort_keys=True, default=str)
        return {
            "bytes": self._source.size,
            "part": self._length,
            "facts": hashlib.sha256(text.encode()).hexdigest(),
        }

    async def _begin(self, facts: dict[str, Any]) -> _Begun | None:
        """What to go on with; None where a former run has finished after all."""
        lines = self._notes.lines()
        self._go_on_with_parts_of(lines)
        about = self._facts(facts)
        upload = _noted(lines)
        if lines and upload is None:
            await self._drop_unnoted(lines[0].get("beginning"))
        elif upload:
            if {name: lines[0].get(name) for name in about} != about:
                await self._transfers.abort(self._key, upload)
            elif (listed := await self._listed(upload)) is not None:
                return _Begun(upload, await self._confirmed(listed, lines), False)
            elif any(line.get("completing") for line in lines) and await self._is_there():
                return None
        self._notes.begin(beginning=time.time(), **about)
        try:
            upload = await self._transfers.begin(self._key, facts)
        except OSError as error:
            if isinstance(error, PermissionError | FileNotFoundError | ValueError):
                self._notes.forget()  # else the server may have begun it nevertheless
            raise
        # Added, not written over: so that a kill in between leaves one of the two.
        self._notes.add(upload=upload)
        return _Begun(upload, {}, True)

    def _go_on_with_parts_of(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Parts as long as those of the run before, where such an upload can be completed."""
        length = lines[0].get("part") if lines else None
        if isinstance(length, int) and length >= part_length(self._source.size, SMALLEST_PART):
            self._length = length

    async def _drop_unnoted(self, beginning: Any) -> None:
        """Abort what was begun, and whose id a kill has kept from the notes; if that can be found.

        It is of this very key, holds no part, and was begun within the time that the request may
        have taken, by the server's clock: hardly anybody else's is all of that.
        """
        if not isinstance(beginning, float):
            return
        try:
            page = await self._transfers.unfinished(self._key)
            since = beginning - _clock_of(page) - _ROUNDED
            for each in page.get("Uploads", ()):
                begun = each.get("Initiated")
                age = -1.0 if begun is None else begun.timestamp() - since
                is_ours = each["Key"] == self._key and 0 <= age <= self._longest + 2 * _ROUNDED
                if is_ours and await self._listed(each["UploadId"]) == []:
                    await self._transfers.abort(self._key, each["UploadId"])
        except OSError as error:
            # Not everybody may list uploads, and not every server can.
            _log.info("an upload of %r may be left unfinished: %s", self._key, error)

    async def _listed(self, upload: str) -> list[Mapping[str, Any]] | None:
        """The parts that the server has; None where it has no such upload any more."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            try:
                page = await self._client.request(
                    "list_parts", Key=self._key, UploadId=upload, **more
                )
            except FileNotFoundError:
                return None
            except OSError as error:
                if server_code(error) != "NoSuchUpload":
                    raise
                return None
            found += page.get("Parts", ())
            marker = {"PartNumberMarker": page.get("NextPartNumberMarker")}
            if not page.get("IsTruncated") or not marker["PartNumberMarker"] or marker == more:
                return found
            more = marker

    def _extent(self, number: int) -> tuple[int, int]:
        start = (number - 1) * self._length
        return start, min(start + self._length, self._source.size)

    @property
    def _numbers(self) -> range:
        return range(1, -(-self._source.size // self._length) + 1)

    async def _confirmed(
        self, listed: Iterable[Mapping[str, Any]], lines: Iterable[Mapping[str, Any]]
    ) -> dict[int, dict[str, Any]]:
        """Those parts that surely hold what the local file has there."""
        noted = {
            (line["part"], line["etag"]): line["md5"]
            for line in lines
            if {"part", "etag", "md5"} <= line.keys()
        }
        found: dict[int, dict[str, Any]] = {}
        for part in listed:
            number, etag = int(part["PartNumber"]), str(part.get("ETag", "")).strip('"')
            if number not in self._numbers:
                continue
            start, end = self._extent(number)
            if part.get("Size") != end - start:
                continue
            digest = await self._digest(start, end)
            if digest in (etag, noted.get((number, etag))):
                found[number] = {"PartNumber": number, **named(part)}
        return found

    async def _digest(self, start: int, end: int) -> str:
        return await self._read(lambda: _md5(self._source.piece(start, end)))

    async def _read(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, step)

    async def _is_there(self) -> bool:
        """Whether the object is this content, put together by a run that did not live to see it."""
        try:
            found = await self._client.request("head_object", Key=self._key)
        except FileNotFoundError:
            return False
        etag = str(found.get("ETag", "")).strip('"')
        if found.get("ContentLength") != self._source.size or not etag.endswith(
            f"-{len(self._numbers)}"
        ):
            return False
        parts = [{"ETag": await self._digest(*self._extent(each))} for each in self._numbers]
        return etag_of(parts) == etag

    # -- what is missing ----------------------------------------------------------------------

    async def _finish(self, begun: _Begun, condition: dict[str, Any]) -> None:
        def missing() -> Iterable[Coroutine[Any, Any, dict[str, Any]]]:
            for number in self._numbers:
                if number not in begun.parts:
                    yield self._send(begun.upload, number)

        sent = await few_at_a_time(missing(), self._pace)
        self._source.require_unchanged()
        parts = sorted([*begun.parts.values(), *sent], key=lambda part: int(part["PartNumber"]))
        self._notes.add(completing=True)
        await self._transfers.complete(self._key, begun.upload, parts, condition)

    async def _send(self, upload: str, number: int) -> dict[str, Any]:
        start, end = self._extent(number)
        begun = time.monotonic()
        if self._take is not None:
            # Not in the thread that reads, which is waited for at the end.
            await asyncio.to_thread(self._take, end - start)
        data = await self._read(lambda: self._source.piece(start, end))
        found = await self._transfers.send_part(self._key, upload, number, data)
        note_bytes(len(data))
        self._pace.took(time.monotonic() - begun)
        if not self._has_md5:
            digest, etag = await self._read(lambda: _md5(data)), str(found["ETag"]).strip('"')
            self._has_md5 = digest == etag
            if not self._has_md5:
                self._notes.add(part=number, etag=etag, md5=digest)
        return found


async def drop_noted(transfers: S3Transfers, key: str, notes: Notes) -> None:
    """Abort the upload of a former run that nobody will go on with."""
    upload = _noted(notes.lines())
    if upload:
        await transfers.abort(key, upload)
    notes.forget()


def _noted(lines: Iterable[Mapping[str, Any]]) -> str | None:
    """The id of the upload that the lines are about, if they tell one; empty where it is none."""
    upload = next((line["upload"] for line in lines if "upload" in line), None)
    return upload if upload is None or isinstance(upload, str) else ""


def _clock_of(answer: Mapping[str, Any]) -> float:
    """By how many seconds this machine's clock is ahead of the server's, by its ``Date``."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return time.time() - parsedate_to_datetime(said).timestamp()
    except (TypeError, ValueError):
        return 0.0


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _is_final(error: BaseException) -> bool:
    """Whether it would fail once more: the target is there, or the local file is what has failed."""
    is_answer = isinstance(error, OSError) and server_code(error) is not None
    return not is_answer or isinstance(error, FileExistsError)


def _is_to_be_kept(error: BaseException) -> bool:
    """Whether the next run can go on with what was sent."""
    if not isinstance(error, OSError):
        return True  # an interrupt, or whoever gives the bandwidth has ended it
    if server_code(error) in _OVER or isinstance(error, FileExistsError):
        return False
    return is_transient(error) or isinstance(error, PermissionError | io.UnsupportedOperation)
