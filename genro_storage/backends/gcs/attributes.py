"""What Google Cloud Storage keeps beside the content, and conditions of a write."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

from ...exceptions import ChangedError
from ...info import Checksum, Descriptor
from ..fsspec_info import moment
from ..object_stores.kept import MTIME, kept_mtime, shown
from ..object_stores.verifying import Known
from .service import GcsService

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from ...info import Attributes

__all__ = ["GcsAttributes", "item_checksum", "item_metadata", "known_of", "resource"]

_FIELDS = (
    "name,size,updated,etag,md5Hash,crc32c,contentType,generation,metadata,cacheControl,"
    "contentDisposition,contentEncoding,contentLanguage,storageClass,kmsKeyName"
)
#: What the headers of user metadata begin with.
_META = "x-goog-meta-"
_OURS = frozenset((_META + MTIME,))
#: The fields of an object, by the names of attributes.
_NAMES = {
    "cache_control": "cacheControl",
    "content_disposition": "contentDisposition",
    "content_encoding": "contentEncoding",
    "content_language": "contentLanguage",
    "storage_class": "storageClass",
}


def resource(attributes: Attributes) -> dict[str, Any]:
    """The fields of a new object."""
    found: dict[str, Any] = {
        field: value
        for name, field in _NAMES.items()
        if (value := getattr(attributes, name)) is not None
    }
    if attributes.metadata:
        found["metadata"] = dict(attributes.metadata)
    return found


def item_checksum(item: Mapping[str, Any]) -> Checksum | None:
    """The MD5 that the service knows of an object."""
    digest = item.get("md5Hash")
    return Checksum("md5", base64.b64decode(digest).hex()) if digest else None


def item_metadata(item: Mapping[str, Any]) -> dict[str, str] | None:
    """The user metadata where the answer would have them: not in a listing."""
    if "generation" not in item:
        return None
    return shown(item.get("metadata") or {})


def known_of(headers: Mapping[str, str]) -> Known:
    """What the headers of a content say of the whole: the better digest, and the time we kept."""
    found: dict[str, Checksum] = {}
    for part in headers.get("X-Goog-Hash", "").split(","):
        name, sign, value = part.strip().partition("=")
        with contextlib.suppress(ValueError):
            if sign:
                found[name] = Checksum(name, base64.b64decode(value, validate=True).hex())
    packed = headers.get("X-Goog-Stored-Content-Encoding") == "gzip"
    if packed and headers.get("Content-Encoding") != "gzip":
        found = {}  # somebody on the way has unpacked it
    mtime = kept_mtime({MTIME: headers.get(f"X-Goog-Meta-{MTIME}", "")})
    kept = {name.lower() for name in headers if name.lower().startswith(_META)}
    is_ours = kept <= _OURS and (mtime is not None or not kept)
    return Known(
        found.get("md5") or found.get("crc32c"),
        mtime,
        content_type=headers.get("Content-Type"),
        metadata={} if is_ours else None,  # no header tells names and values as they are
    )


class GcsAttributes(GcsService):
    """Metadata, descriptors and conditions, for a client of the service."""

    def _upload_params(self, key: str, attributes: Attributes, match: str | None) -> dict[str, Any]:
        """What of an upload stands in its URL."""
        found: dict[str, Any] = {"kmsKeyName": attributes.encryption}
        if match is not None:
            # The service compares generations, of which an ETag says nothing that we could read.
            now = self._call(
                "GET",
                self._object(key),
                key,
                params={"fields": "etag,generation,metageneration"},
            )
            if str(now.get("etag", "")).strip('"') != match.strip('"'):
                raise ChangedError
            found["ifGenerationMatch"] = str(now["generation"])
            found["ifMetagenerationMatch"] = str(now.get("metageneration") or "") or None
        return found

    @contextlib.contextmanager
    def _conditional(self, match: str | None) -> Generator[None]:
        """A condition that failed is about what was to be replaced, not about a name that is taken."""
        try:
            yield
        except FileExistsError as error:
            if match is None:
                raise
            raise ChangedError from error

    def descriptor(self, key: str) -> Descriptor:
        return self._descriptor(key)

    def _descriptor(self, key: str, generation: str | None = None) -> Descriptor:
        asked = {"fields": _FIELDS, "generation": generation}
        item = self._call("GET", self._object(key), key, params=asked)
        if "name" not in item:
            raise self._strange()
        found = [item_checksum(item)]
        if item.get("crc32c"):
            found.append(Checksum("crc32c", base64.b64decode(item["crc32c"]).hex()))
        return Descriptor(
            key,
            "file",
            int(item.get("size", 0)),
            moment(item.get("updated")),
            item.get("contentType"),
            (item.get("etag") or "").strip('"') or None,
            tuple(each for each in found if each is not None),
            str(item["generation"]) if item.get("generation") else None,
            dict(item.get("metadata") or {}),
            encryption=str(item.get("kmsKeyName") or "").partition("/cryptoKeyVersions/")[0]
            or None,
            **{name: item.get(field) or None for name, field in _NAMES.items()},
        )

    def set_metadata(
        self, key: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        now = self._call("GET", self._object(key), key, params={"projection": "noAcl"})
        before: dict[str, str] = now.get("metadata") or {}
        after = dict(change(before))
        gone = before.keys() - after.keys()
        if before == after:
            return
        condition = {
            "ifGenerationMatch": str(now.get("generation") or "") or None,
            "ifMetagenerationMatch": str(now.get("metageneration") or "") or None,
        }
        with self._conditional("metadata"):
            # What is not named stays, what is null goes.
            wanted = {**dict.fromkeys(gone), **after}
            found = self._call(
                "PATCH",
                self._object(key),
                key,
                params={**condition, "fields": "metadata"},
                json={"metadata": wanted},
            )
            if gone & set(found.get("metadata") or {}):
                # An emulator that takes null for a text; it does without conditions, too.
                whole = {**now, "metadata": after}
                self._call("PUT", self._object(key), key, json=whole)
