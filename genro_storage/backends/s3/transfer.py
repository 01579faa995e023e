"""Large objects in parts: a few at a time, so that memory is bounded whatever their size."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from ...hearing import note_bytes
from ..object_stores.source import Source
from ..object_stores.verifying import Verifier, verifier_for
from ..remote import is_transient
from .codes import is_refused_before_it_began, server_code
from .likeness import NotS3Error, names_content
from .side_by_side import few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from .client import S3Client

__all__ = [
    "COPY_AT_ONCE",
    "COPY_PART",
    "PART",
    "PUT_AT_ONCE",
    "SMALLEST_PART",
    "S3Transfers",
    "Sink",
    "condition_of",
    "etag_of",
    "named",
    "part_length",
]

_log = logging.getLogger("genro_storage")

MIB = 1024 * 1024
#: Bytes of a part. Several parts are on their way at once, and these are all that is in memory.
PART = 8 * MIB
#: The least that services take for a part that is not the last.
SMALLEST_PART = 5 * MIB
#: Up to here an upload is one request, whose ETag is the MD5 of the content.
PUT_AT_ONCE = 32 * MIB
#: Up to here a copy is one request; the server answers when all is copied.
COPY_AT_ONCE = 1024 * MIB
COPY_PART = 256 * MIB
_MOST_PARTS = 10_000
#: Seconds to wait for the id of an upload that nobody wants any more.
_GOODBYE = 5.0


#: What names a part when all are put together: the checksum too, with some algorithms.
_NAMES = ("ETag", "ChecksumSHA256", "ChecksumCRC64NVME")


class Sink(Protocol):
    """Where fetched parts go."""

    def seek(self, offset: int, /) -> int: ...
    def write(self, data: bytes, /) -> int: ...
    def read(self, size: int, /) -> bytes: ...


class S3Transfers:
    """Coroutines for whole objects. A failed or cancelled upload leaves nothing behind."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self.put_at_once = PUT_AT_ONCE
        self.copy_at_once = COPY_AT_ONCE
        self.copy_part = COPY_PART

    # -- fetching -----------------------------------------------------------------------------

    async def fetch(
        self,
        key: str,
        sink: Sink,
        start: int = 0,
        end: int | None = None,
        *,
        etag: str | None = None,
        verify: bool = True,
    ) -> None:
        """Write the bytes of a range to ``sink``, from its beginning on: all of one content.

        A whole object is compared with the digest that the server knows. With ``etag``,
        ``OSError`` where the object has another one by now.
        """
        stop = start + PART if end is None else min(end, start + PART)
        try:
            first = await self._client.fetch(key, start, stop, etag)
        except OSError as error:
            if server_code(error) in ("InvalidRange", "416"):
                return  # it is there, and ends before
            raise
        last = first.total if end is None else min(end, first.total)
        _require_whole(first.data, min(stop, last) - start)
        verifier: Verifier | None = None
        if verify and (start, last) == (0, first.total) and self._client.options.verify_downloads:
            verifier = verifier_for(first.known, first.total)

        def keep(offset: int, data: bytes) -> None:
            _write_at(sink, offset, data)
            if verifier is not None:
                verifier.feed(offset, data)

        await asyncio.to_thread(keep, 0, first.data)
        turn = asyncio.Lock()

        async def fetch_part(offset: int) -> None:
            wanted = min(offset + PART, last)
            part = await self._client.fetch(key, offset, wanted, first.etag)
            _require_whole(part.data, wanted - offset)
            async with turn:
                await asyncio.to_thread(keep, offset - start, part.data)

        await few_at_a_time(fetch_part(offset) for offset in range(stop, last, PART))
        if verifier is not None:
            await asyncio.to_thread(verifier.finish, lambda at, until: _read_at(sink, at, until))

    # -- uploading ----------------------------------------------------------------------------

    async def put(self, key: str, data: bytes, create: bool, extra: dict[str, Any]) -> None:
        """Store ``data``; with ``create``, ``FileExistsError`` where there is something."""
        if len(data) > self.put_at_once:
            await self.put_large(key, Source(data), create, extra)
        else:
            condition, facts = condition_of(create, extra)
            digest: dict[str, Any] = await self.sent_digest(data)
            answer = await self._client.request(
                "put_object", **condition, Key=key, Body=data, **digest, **facts
            )
            if not names_content(answer):
                await self._require_stored(key, data)

    async def _require_stored(self, key: str, data: bytes) -> None:
        """Ask where the answer to an upload does not name it; ``NotS3Error``, explained.

        What lies there may be older, and of the same size.
        """
        etag, size = await self._now(key)
        if etag == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return
        if size != len(data) or (data and (await self._client.fetch(key, 0, size)).data != data):
            raise self._not_stored()

    async def _require_completed(self, key: str, upload: str, parts: list[dict[str, Any]]) -> None:
        """The same for what was uploaded in parts: then the server has no such upload any more."""
        etag, _ = await self._now(key)
        if etag == etag_of(parts):
            return
        try:
            await self._client.request("list_parts", Key=key, UploadId=upload, MaxParts=1)
        except OSError as error:
            if server_code(error) == "NoSuchUpload":
                return
            raise
        raise self._not_stored()

    async def _now(self, key: str) -> tuple[str, int]:
        """The ETag, without quotes, and the size of what lies there."""
        try:
            found = await self._client.request("head_object", Key=key)
        except FileNotFoundError:
            raise self._not_stored() from None
        if not names_content(found):
            raise self._not_stored()
        return str(found["ETag"]).strip('"'), int(found["ContentLength"])

    def _not_stored(self) -> Exception:
        return self._client.explained(NotS3Error("no ETag of what was sent"))

    async def sent_digest(self, data: bytes) -> dict[str, Any]:
        """What goes along with a body that no signature and no checksum of botocore's covers."""
        options = self._client.options
        if not (options.anon or getattr(options, "unsigned_payload", False)):
            return {}
        digest = await asyncio.to_thread(hashlib.md5, data, usedforsecurity=False)
        return {"ContentMD5": base64.b64encode(digest.digest()).decode("ascii")}

    async def put_large(
        self, key: str, source: Source, create: bool, extra: dict[str, Any]
    ) -> None:
        """The same in parts, of which a few are in memory."""
        size, length = source.size, part_length(source.size)

        async def upload_part(upload: str, number: int, offset: int) -> dict[str, Any]:
            end = min(offset + length, size)
            data = await loop.run_in_executor(reader, source.piece, offset, end)
            sent = await self.send_part(key, upload, number, data)
            note_bytes(len(data))
            return sent

        def parts(upload: str) -> Iterable[Coroutine[Any, Any, dict[str, Any]]]:
            for number, offset in enumerate(range(0, size, length), 1):
                yield upload_part(upload, number, offset)

        condition, facts = condition_of(create, extra)
        loop = asyncio.get_running_loop()
        # One thread: each keeps the memory of the parts that it has read to itself.
        with ThreadPoolExecutor(1, thread_name_prefix="genro-storage") as reader:
            await self._in_parts(key, parts, condition, facts, source.require_unchanged)

    async def send_part(self, key: str, upload: str, number: int, data: bytes) -> dict[str, Any]:
        """Send one part, counted from 1; what names it for ``complete``."""
        answer = await self._client.request(
            "upload_part",
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=data,
            **await self.sent_digest(data),
        )
        return {"PartNumber": number, **named(answer)}

    async def copy(
        self,
        source: str,
        target: str,
        size: int,
        etag: str | None,
        extra: dict[str, Any],
        *,
        version: str | None = None,
        bucket: str | None = None,
        condition: dict[str, Any] | None = None,
    ) -> None:
        """Copy from this ``bucket`` or another. ``extra``: facts for the copy instead of its own.

        ``condition`` (see ``condition_of``) is for the last request of a copy in parts.
        """
        origin: dict[str, Any] = {
            "CopySource": {"Bucket": bucket or self._client.bucket, "Key": source}
        }
        if version is not None:
            origin["CopySource"]["VersionId"] = version
        if etag is not None:
            origin["CopySourceIfMatch"] = etag
        if size <= self.copy_at_once:
            await self._client.request("copy_object", Key=target, **origin, **extra)
            return

        await self._copy_in_parts(target, size, origin, extra, condition or {})

    async def copy_in_parts_if_absent(
        self, source: str, target: str, size: int, etag: str | None, extra: dict[str, Any]
    ) -> None:
        """The same for any size, and ``FileExistsError`` where something has the target's name.

        ``extra`` are all facts of the copy.
        """
        if size == 0:  # of nothing there are no parts
            await self.put(target, b"", True, extra)
            return
        origin: dict[str, Any] = {"CopySource": {"Bucket": self._client.bucket, "Key": source}}
        if etag is not None:
            origin["CopySourceIfMatch"] = etag
        await self._copy_in_parts(target, size, origin, extra, condition_of(True, {})[0])

    async def _copy_in_parts(
        self,
        target: str,
        size: int,
        origin: dict[str, Any],
        extra: dict[str, Any],
        condition: dict[str, Any],
    ) -> None:
        async def copy_part(upload: str, number: int, offset: int) -> dict[str, Any]:
            last = min(offset + self.copy_part, size) - 1
            answer = await self._client.request(
                "upload_part_copy",
                Key=target,
                UploadId=upload,
                PartNumber=number,
                CopySourceRange=f"bytes={offset}-{last}",
                **origin,
            )
            return {"PartNumber": number, **named(answer["CopyPartResult"])}

        def parts(upload: str) -> Iterable[Coroutine[Any, Any, dict[str, Any]]]:
            for number, offset in enumerate(range(0, size, self.copy_part), 1):
                yield copy_part(upload, number, offset)

        about = {name: extra[name] for name in extra if name != "MetadataDirective"}
        await self._in_parts(target, parts, condition, about)

    async def _in_parts(
        self,
        key: str,
        parts: Callable[[str], Iterable[Coroutine[Any, Any, dict[str, Any]]]],
        condition: dict[str, Any],
        extra: dict[str, Any],
        before_it_shows: Callable[[], None] | None = None,
    ) -> None:
        upload = await self.begin(key, extra)
        try:
            done = await few_at_a_time(parts(upload))
            if before_it_shows is not None:
                before_it_shows()
            await self.complete(key, upload, done, condition)
        except BaseException:
            # Also where it was cancelled. No part is on its way any more.
            await asyncio.shield(self.abort(key, upload))
            raise

    async def begin(self, key: str, extra: Mapping[str, Any]) -> str:
        """The id of a new upload. Where it is cancelled, the answer is awaited, and it is aborted."""
        asking = asyncio.ensure_future(
            self._client.request("create_multipart_upload", Key=key, **extra)
        )
        try:
            begun = await asyncio.shield(asking)
        except asyncio.CancelledError:
            await asyncio.wait({asking}, timeout=_GOODBYE)
            if not asking.done():
                asking.cancel()
            elif not asking.cancelled() and asking.exception() is None:
                await self.abort(key, str(asking.result()["UploadId"]))
            raise
        return str(begun["UploadId"])

    async def complete(
        self, key: str, upload: str, parts: list[dict[str, Any]], condition: dict[str, Any]
    ) -> None:
        """Put the parts of an upload together, which makes the object visible."""
        asked: dict[str, Any] = {
            "Key": key,
            "UploadId": upload,
            "MultipartUpload": {"Parts": parts},
        }
        try:
            answer = await self._client.request("complete_multipart_upload", **condition, **asked)
            if not names_content(answer):
                await self._require_completed(key, upload, parts)
        except OSError as error:
            # The answer to the first attempt may have been lost, and the second found it done.
            if server_code(error) != "NoSuchUpload":
                raise
            found = await self._client.request("head_object", Key=key)
            if found.get("ETag", "").strip('"') != etag_of(parts):
                raise

    async def unfinished(self, prefix: str, **markers: Any) -> dict[str, Any]:
        """A page of the uploads that were begun, of keys that begin so."""
        try:
            return await self._client.request("list_multipart_uploads", Prefix=prefix, **markers)
        except OSError as error:
            if server_code(error) != "NoSuchUpload":
                raise
            return {}  # rclone's word for it until the first upload in parts

    async def abort(self, key: str, upload: str) -> bool:
        """Forget an upload; whether that has worked."""
        try:
            await self._client.request("abort_multipart_upload", Key=key, UploadId=upload)
        except Exception as error:  # noqa: BLE001 - why it is aborted matters more
            if server_code(error) != "NoSuchUpload":
                _log.warning(
                    "the parts of an unfinished upload of %r are left on the server, until "
                    "cleanup() removes them: %s",
                    key,
                    error,
                )
            return False
        return True


def part_length(size: int, least: int | None = None) -> int:
    """Bytes of the parts of an upload, ``least`` and no more parts than a service takes."""
    return max(PART if least is None else least, math.ceil(size / _MOST_PARTS / MIB) * MIB)


def named(part: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer about a part says that completing the upload needs."""
    return {name: part[name] for name in _NAMES if name in part}


def condition_of(create: bool, extra: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The condition, with when to ask again, and the facts without it.

    Not again where the first may have worked after all.
    """
    facts = {name: extra[name] for name in extra if name != "IfMatch"}
    if create:
        return {"IfNoneMatch": "*", "repeat": is_refused_before_it_began}, facts
    if "IfMatch" in extra:
        return {"IfMatch": extra["IfMatch"], "repeat": is_refused_before_it_began}, facts
    return {"repeat": is_transient}, facts


def etag_of(parts: list[dict[str, Any]]) -> str | None:
    """The ETag of an object that was put together from these."""
    try:
        digests = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    except ValueError:
        return None
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _write_at(sink: Sink, offset: int, data: bytes) -> None:
    sink.seek(offset)
    sink.write(data)


def _read_at(sink: Sink, start: int, end: int) -> bytes:
    sink.seek(start)
    return sink.read(end - start)


def _require_whole(data: bytes, length: int) -> None:
    if len(data) != length:
        raise OSError(errno.EIO, "the server sent less than there is")
