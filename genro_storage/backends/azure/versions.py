"""Versions of blobs, in the accounts that keep them.

https://learn.microsoft.com/azure/storage/blobs/versioning-overview. Only the management of an account
says whether it does; of a blob, its answers do: they name its version. The service has no delete
markers, and never says when a file was deleted.
"""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ...info import Checksum, FileVersion
from ..object_stores.versions import no_version
from .attributes import is_folder
from .client import AzureClient, _info

if TYPE_CHECKING:
    from typing import Self

    from azure.storage.blob import BlobClient, BlobProperties

    from ...info import Descriptor, FileInfo
    from ..object_stores.reader import Chunk

__all__ = ["CURRENT", "AzureVersionClient"]

#: The one version of a blob in an account that keeps none.
CURRENT = "current"

_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)


class AzureVersionClient(AzureClient):
    """A ``VersionClient`` for one container. An id is the time at which the version was made."""

    _version: str | None = None

    def why_no_versions(self, key: str) -> str | None:
        if [version.version_id for version in self.versions(key)] != [CURRENT]:
            return None
        return (
            "versioning is not enabled for the storage account, or was not when the file was "
            "written; enable it: az storage account blob-service-properties update "
            f"--account-name {self._access.account or 'NAME'} --enable-versioning true"
        )

    def versions(self, key: str) -> list[FileVersion]:
        found: list[FileVersion] = []
        with self._explained():
            for item in self._client.list_blobs(name_starts_with=key, include=["versions"]):
                if item.name == key and not is_folder(item):
                    found.append(_version(item))
                elif item.name != key:
                    break  # keys come in their order, and this one before those it begins
        # Ids are times to the tenth of a microsecond, and the other times are in seconds.
        return sorted(found, key=lambda version: (version.is_latest, version.version_id))

    def _blob(self, key: str) -> BlobClient:
        return self._client.get_blob_client(key, version_id=self._version)

    def _at(self, version: str) -> Self:
        """This client, for which every blob is its version of this id."""
        if version != CURRENT and not _ID.fullmatch(version):
            raise no_version(version)
        twin = copy.copy(self)
        twin._version = None if version == CURRENT else version
        return twin

    def _properties(self, key: str, version: str) -> BlobProperties:
        with self._explained():
            found: BlobProperties = self._at(version)._blob(key).get_blob_properties()
        if is_folder(found) or (version == CURRENT and found.version_id is not None):
            raise no_version(version)
        return found

    def head_version(self, key: str, version: str) -> FileInfo:
        return _info(self._properties(key, version), key)

    def version_descriptor(self, key: str, version: str) -> Descriptor:
        return self._told(key, self._properties(key, version))

    def _of_version(self, key: str, version: str | None) -> BlobClient:
        if version is None:
            return self._blob(key)
        if version == CURRENT:
            self._properties(key, version)  # raises where it is no longer all there is
        return self._at(version)._blob(key)

    def read_version(self, key: str, version: str, start: int, end: int) -> Chunk:
        if version == CURRENT:
            self._properties(key, version)
        return self._at(version).read(key, start, end, None)

    def is_current(self, key: str, version: str) -> bool:
        found = self._properties(key, version)
        return version == CURRENT or str(found.is_current_version).lower() == "true"

    def delete_version(self, key: str, version: str) -> None:
        self._at(version).delete(key)

    def restore_version(self, key: str, version: str) -> None:
        source = self._blob(key).url
        mark = "&" if urlsplit(source).query else "?"
        tags = self._tags_for_copy(self._at(version)._blob(key))
        self._copy_from(f"{source}{mark}versionid={quote(version, safe='')}", key, tags)


def _version(item: BlobProperties) -> FileVersion:
    digest = item.content_settings.content_md5
    name = item.version_id
    return FileVersion(
        name or CURRENT,
        name is None or bool(item.is_current_version),
        _time(name) if name else item.last_modified.astimezone(UTC),
        item.size,
        (item.etag or "").strip('"') or None,
        checksum=Checksum("md5", bytes(digest).hex()) if digest else None,
    )


def _time(version: str) -> datetime:
    whole, _, fraction = version.removesuffix("Z").partition(".")
    found = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return found.replace(microsecond=int(fraction[:6].ljust(6, "0")))
