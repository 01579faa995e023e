"""Generations of objects in Google Cloud Storage: what a bucket with object versioning keeps.

https://cloud.google.com/storage/docs/object-versioning. The service has no delete markers, but says
when a generation ceased to be the current one; where none has followed it, the file was deleted.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...info import Checksum, FileVersion
from ..object_stores.listing import pages
from ..object_stores.versions import no_version
from .client import GcsClient, _info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...info import Descriptor, FileInfo
    from ..object_stores.reader import Chunk

__all__ = ["GcsVersionClient"]

_GENERATION = re.compile(r"[0-9]{1,19}", re.ASCII)
_GONE = ("timeDeleted",)
_FIELDS = "name,generation,size,timeCreated,timeDeleted,etag,md5Hash"


class GcsVersionClient(GcsClient):
    """A ``VersionClient`` for one bucket. An id is the number of a generation."""

    _is_asked = False

    def why_no_versions(self, key: str) -> str | None:
        if self._is_asked:
            return None
        try:
            path = f"/storage/v1/b/{self._quoted}"
            found: dict[str, Any] | None = self._call(
                "GET", path, None, params={"fields": "versioning"}
            )
        except PermissionError:
            found = None  # who may read objects need not be allowed to ask that: try and see
        if found is None or (found.get("versioning") or {}).get("enabled") is True:
            self._is_asked = True  # where it is off, somebody may switch it on
            return None
        return (
            f"versioning is not enabled on the bucket {self._bucket!r}; enable it: gcloud storage "
            f"buckets update gs://{self._bucket} --versioning"
        )

    def versions(self, key: str) -> list[FileVersion]:
        def ask(token: str | None) -> dict[str, Any]:
            return self._call(
                "GET",
                f"/storage/v1/b/{self._quoted}/o",
                None,
                params={
                    "versions": "true",
                    "prefix": key,
                    "pageToken": token,
                    "fields": f"nextPageToken,items({_FIELDS})",
                },
            )

        found: dict[str, Mapping[str, Any]] = {}
        for page in pages(ask, lambda page: page.get("nextPageToken") or None):
            items = page.get("items") or ()
            for item in items:
                # An emulator lists one whose metadata were changed once more, as deleted.
                if item["name"] == key and "timeDeleted" in found.get(item["generation"], _GONE):
                    found[item["generation"]] = item
            if any(item["name"] != key for item in items):
                break  # keys come in their order, and this one before those it begins
        return _history(sorted(found.values(), key=lambda item: int(item["generation"])))

    def head_version(self, key: str, version: str) -> FileInfo:
        found = self._call("GET", self._object(key), key, params={"generation": _number(version)})
        if "name" not in found:
            raise self._strange()
        return _info(found)._replace(version=version)

    def version_descriptor(self, key: str, version: str) -> Descriptor:
        return self._descriptor(key, _number(version))

    def read_version(self, key: str, version: str, start: int, end: int) -> Chunk:
        return self.read(key, start, end, _number(version))

    def is_current(self, key: str, version: str) -> bool:
        self.head_version(key, version)
        try:
            found = self._call("GET", self._object(key), key, params={"fields": "generation"})
        except FileNotFoundError:
            return False
        return str(found.get("generation")) == version

    def delete_version(self, key: str, version: str) -> None:
        with self._answer(
            "DELETE",
            self._endpoint + self._object(key),
            key,
            params={"generation": _number(version)},
            accepts=(200, 204),
        ):
            pass

    def restore_version(self, key: str, version: str) -> None:
        self.copy(key, key, _number(version))


def _number(version: str) -> str:
    """What the service calls a version; ``FileNotFoundError`` for what it could not."""
    if _GENERATION.fullmatch(version):
        return version
    raise no_version(version)


def _history(items: list[Mapping[str, Any]]) -> list[FileVersion]:
    """Generations in their order, and after them the deletion of a file that is deleted now.

    Between two of them, a deletion cannot be told from a generation that was removed for good.
    """
    found = [
        FileVersion(
            str(item["generation"]),
            "timeDeleted" not in item,
            _time(item["timeCreated"]),
            int(item.get("size", 0)),
            item.get("etag"),
            checksum=_digest(item.get("md5Hash")),
        )
        for item in items
    ]
    if found and not found[-1].is_latest:
        name, ended = f"deleted-{found[-1].version_id}", _time(items[-1]["timeDeleted"])
        found.append(FileVersion(name, True, ended, is_delete_marker=True))
    return found


def _digest(text: str | None) -> Checksum | None:
    return Checksum("md5", base64.b64decode(text).hex()) if text else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
