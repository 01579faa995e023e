"""The JSON API of Google Cloud Storage, as a client for one bucket.

https://cloud.google.com/storage/docs/json_api/v1 is what the methods follow.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import json
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from ...info import Checksum, FileInfo
from ..fsspec_info import moment
from ..object_stores.facts import NO_FACTS, Facts
from ..object_stores.listing import Entry, Page
from ..object_stores.reader import Chunk
from ..object_stores.source import Source, in_small_sends
from ..object_stores.whole import Answer, in_pieces
from .arriving import arriving, range_of
from .attributes import GcsAttributes, item_checksum, item_metadata, known_of, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["GcsClient"]

_FIELDS = "name,size,updated,etag,md5Hash,contentType"
_LISTED = f"nextPageToken,prefixes,items({_FIELDS})"
_LISTING = ("kind", "nextPageToken", "prefixes", "items")
_LOOKED_AT = f"{_FIELDS},metadata,generation"
_PAGE = 1000
#: Bytes of one request of a resumable upload; the service wants a multiple of 256 KiB. Each is a
#: pause, and what is sent again where one breaks.
UPLOAD_PIECE = 64 * 1024 * 1024
#: Bytes that are read at once of what is skipped.
_CHUNK = 1024 * 1024
_CANCEL = 5.0
#: Seconds between two looks at a copy that does not go on.
_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class _LostUploadError(OSError):
    """When its last piece was sent, the service did not know of an upload."""


class GcsClient(GcsAttributes):
    """An ``ObjectClient`` for one bucket."""

    # -- looking ------------------------------------------------------------------------------

    def head(self, key: str) -> FileInfo:
        found = self._call("GET", self._object(key), key, params={"fields": _LOOKED_AT})
        if "name" not in found:
            raise self._strange()
        return _info(found)

    def checksum(self, key: str, etag: str) -> Checksum | None:
        return None  # as above, and in a listing

    def page(
        self, prefix: str, *, flat: bool, limit: int | None, start: str | None, token: str | None
    ) -> Page:
        found = self._call(
            "GET",
            f"/storage/v1/b/{self._quoted}/o",
            None,
            params={
                "prefix": prefix or None,
                "delimiter": None if flat else "/",
                "maxResults": str(limit or _PAGE),
                "startOffset": start,
                "pageToken": token,
                "fields": _LISTED,
            },
        )
        if found and found.keys().isdisjoint(_LISTING):
            raise self._strange()
        entries = [Entry(str(name)) for name in found.get("prefixes") or ()]
        for item in found.get("items") or ():
            name = str(item["name"])
            entries.append(Entry(name, None if name.endswith("/") else _info(item)))
        return Page(entries, found.get("nextPageToken") or None)

    # -- reading ------------------------------------------------------------------------------

    def read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        with self._content(key, start, end, pin) as response:
            if response.status_code == 416:  # nothing begins here
                return Chunk(b"", start, "")
            if _is_page(response.headers):
                raise self._strange()
            part, skipped = response.status_code == 206, 0
            where, total = range_of(response.headers)
            if not part:  # so the unwanted beginning comes too
                skipped = _skip(response.raw, start)
                total = response.headers.get("Content-Length", "")
            elif not where.startswith(f"bytes {start}-"):
                raise self._strange()  # another part than the one that was asked for
            data: bytes = response.raw.read(end - start, decode_content=False)
            if total.isdigit():
                size = int(total)
            elif not part:  # then it ends where it ends
                size = skipped + len(data) + _skip(response.raw, None)
            else:
                raise self._strange()
            pin = response.headers.get("X-Goog-Generation", "")
            return Chunk(data, size, pin, known_of(response.headers))

    def stream(self, key: str, start: int, end: int | None, pin: str | None) -> Answer:
        found = arriving(self, key, start, end, pin)
        return in_pieces(self, key, start, end, pin) if found is None else found

    # -- writing ------------------------------------------------------------------------------

    @staticmethod
    def _describe(key: str, content_type: str, md5: bytes, facts: Facts) -> dict[str, Any]:
        # The service compares the digest with what has arrived, and makes no object otherwise.
        digest = base64.b64encode(md5).decode("ascii")
        about = {"name": key, "contentType": content_type, "md5Hash": digest}
        return about | resource(facts.attributes)

    def put(
        self, key: str, data: bytes, content_type: str, *, create: bool, facts: Facts = NO_FACTS
    ) -> None:
        with Source(data) as source:
            about = json.dumps(self._describe(key, content_type, source.md5(), facts))
        boundary = uuid.uuid4().hex
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                about.encode(),
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        with self._conditional(facts.match):
            self._call(
                "POST",
                f"/upload/storage/v1/b/{self._quoted}/o",
                None,
                params={
                    "uploadType": "multipart",
                    "ifGenerationMatch": "0" if create else None,
                    "fields": "name",
                    **self._upload_params(key, facts.attributes, facts.match),
                },
                data=in_small_sends(body),
                headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            )

    def put_large(
        self,
        key: str,
        content: bytes | Path,
        content_type: str,
        *,
        create: bool,
        again: Callable[[Callable[[], Any]], Any],
        facts: Facts = NO_FACTS,
    ) -> None:
        with Source(content) as source, self._conditional(facts.match):
            about = self._describe(key, content_type, source.md5(), facts)
            session = again(lambda: self._begin(key, about, source.size, create, facts))
            try:
                self._send(session, source, about["md5Hash"], again)
            except _LostUploadError:
                # An emulator forgets an upload with its last piece, and the answer to that may have
                # been lost. Who wanted to be the first cannot tell another's object from this one.
                if create or facts.match is not None or not self._holds(key, about["md5Hash"]):
                    raise
            except BaseException:
                self._cancel(session)
                raise

    def _begin(self, key: str, about: dict[str, Any], size: int, create: bool, facts: Facts) -> str:
        with self._answer(
            "POST",
            f"{self._endpoint}/upload/storage/v1/b/{self._quoted}/o",
            None,
            params={
                "uploadType": "resumable",
                "name": key,
                "ifGenerationMatch": "0" if create else None,
                **self._upload_params(key, facts.attributes, facts.match),
            },
            json=about,
            headers={
                "X-Upload-Content-Type": about["contentType"],
                "X-Upload-Content-Length": str(size),
            },
            accepts=(200, 201),
        ) as response:
            session = str(response.headers.get("Location", ""))
        if not session:
            raise self._strange()
        if urlsplit(session).scheme not in ("https", urlsplit(self._endpoint).scheme):
            # It is written to with credentials, which do not go in the clear where they did not.
            raise OSError(errno.EIO, f"{self._host} named no place to upload to that can be used")
        return session

    def _send(
        self, session: str, source: Source, md5: str, again: Callable[[Callable[[], Any]], Any]
    ) -> None:
        at = 0
        while at < source.size:
            # A piece whose answer was lost is sent again: the service ignores what it has.
            stored, found = again(functools.partial(self._piece, session, at, source))
            if found is not None:
                if found.get("md5Hash", md5) != md5:
                    raise OSError(errno.EIO, "the content arrived damaged")
                return
            at = stored
        raise ConnectionError(errno.ECONNRESET, f"{self._host} did not finish the upload")

    def _piece(self, session: str, at: int, source: Source) -> tuple[int, dict[str, Any] | None]:
        """Send one piece: how much the service has by now, and the object after the last one."""
        size = source.size
        last = min(at + UPLOAD_PIECE, size) - 1
        with (
            source.body(at, last + 1).sent() as body,
            self._answer(
                "PUT",
                session,
                "",
                data=body,
                headers={"Content-Range": f"bytes {at}-{last}/{size}"},
                accepts=(200, 201, 308, 404, 410),
            ) as response,
        ):
            if response.status_code in (404, 410):
                kind = _LostUploadError if last + 1 == size else OSError
                raise kind(errno.EIO, f"{self._host} has lost the upload; write again")
            if response.status_code == 308:
                kept = response.headers.get("Range", "").rpartition("-")[2]
                stored = int(kept) + 1 if kept.isdigit() else 0
                if stored <= at:
                    raise ConnectionError(
                        errno.ECONNRESET, f"{self._host} keeps nothing it is sent"
                    )
                if stored > last + 1:
                    raise self._strange()  # it would have what it was never sent
                return stored, None
            if last + 1 < size:
                raise self._strange()  # it would be complete without its end
            return size, self._object_in(response.content)

    def _holds(self, key: str, md5: str) -> bool:
        found = self._call("GET", self._object(key), key, params={"fields": "md5Hash"})
        return found.get("md5Hash") == md5

    def _cancel(self, session: str) -> None:
        # The reason of the failure matters more; what is not cancelled ends by itself in a week.
        with (
            contextlib.suppress(OSError),
            self._answer("DELETE", session, "", accepts=(200, 204, 404, 410, 499), timeout=_CANCEL),
        ):
            pass

    def copy(
        self, source: str, target: str, generation: str | None = None, *, create: bool = False
    ) -> None:
        path = f"{self._object(source)}/rewriteTo/b/{self._quoted}/o/{quote(target, safe='')}"
        token: str | None = None
        pause, seen, since = _PAUSE, None, time.monotonic()
        while True:
            asked = {
                "rewriteToken": token,
                "sourceGeneration": generation,
                "ifGenerationMatch": "0" if create else None,
            }
            found = self._call("POST", path, source, params=asked)
            if found.get("done") is True:
                return
            token, copied = found.get("rewriteToken"), found.get("totalBytesRewritten")
            stuck = copied == seen and time.monotonic() - since > self._timeouts[1]
            if stuck or not token:
                raise OSError(errno.EIO, f"{self._host} does not go on with the copy ({copied})")
            if copied != seen:
                pause, seen, since = _PAUSE, copied, time.monotonic()
            else:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    # -- removing -----------------------------------------------------------------------------

    def delete(self, key: str) -> None:
        url = self._endpoint + self._object(key)
        with self._answer("DELETE", url, key, accepts=(200, 204)) as response:
            if _is_page(response.headers):
                raise self._strange()

    def delete_many(self, keys: list[str]) -> dict[str, Exception] | None:
        return None  # a batch costs the service as many requests, and saves us connections only


def _is_page(headers: Mapping[str, str]) -> bool:
    """Whether an answer without a word of the service's is a page of some other server."""
    page = headers.get("Content-Type", "").startswith("text/html")
    return page and not any(name.lower().startswith(("x-goog-", "etag")) for name in headers)


def _info(item: Mapping[str, Any]) -> FileInfo:
    return FileInfo(
        str(item["name"]),
        "file",
        int(item.get("size", 0)),
        moment(item.get("updated")),
        item.get("etag"),
        item_checksum(item),
        item.get("contentType"),
        item_metadata(item),
    )


def _skip(raw: Any, count: int | None) -> int:
    """Read so many bytes, or all that are left, for nothing; returns how many there were."""
    skipped = 0
    while count is None or skipped < count:
        rest = _CHUNK if count is None else min(count - skipped, _CHUNK)
        part = raw.read(rest, decode_content=False)
        if not part:
            break
        skipped += len(part)
    return skipped
