"""What Azure Blob Storage keeps beside the content, and conditions of a write."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.storage.blob import BlobClient, ContentSettings, StandardBlobTier

from ...exceptions import ChangedError
from ...info import Checksum, Descriptor
from ..fsspec_info import moment
from ..object_stores.kept import MD5_SIZE_PLAIN, kept_metadata, kept_mtime, shown
from ..object_stores.tags import checked_tags
from ..object_stores.verifying import Known
from .errors import AzureErrors, ConditionError
from .keeping import FOLDER, decode_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from azure.storage.blob import BlobProperties

    from ...info import Attributes
    from ..object_stores.facts import Facts

__all__ = [
    "AzureAttributes",
    "blob_checksum",
    "blob_metadata",
    "is_folder",
    "known_of",
    "settings",
    "upload_options",
]


#: Bytes of names and values of metadata, of 8 KiB that the service takes.
_MOST_METADATA = 8000


def settings(attributes: Attributes, content_type: str, md5: bytes) -> ContentSettings:
    """The headers of a new blob."""
    return ContentSettings(
        content_type=content_type,
        content_md5=bytearray(md5),
        cache_control=attributes.cache_control,
        content_disposition=attributes.content_disposition,
        content_encoding=attributes.content_encoding,
        content_language=attributes.content_language,
    )


def upload_options(facts: Facts, create: bool, md5: bytes, size: int) -> dict[str, Any]:
    """The rest of it, and the condition: keywords of the calls that make a blob visible.

    ``md5`` and ``size`` are those of the whole content.
    """
    attributes = facts.attributes
    metadata = dict(attributes.metadata or {})
    if facts.keep_md5 and sum(map(len, (*metadata, *metadata.values()))) < _MOST_METADATA:
        # It is in a header too, which obstore does not show.
        metadata |= kept_metadata(md5, size, MD5_SIZE_PLAIN)
    found: dict[str, Any] = {
        "metadata": metadata or None,
        "tags": checked_tags(attributes.tags, plain=True) if attributes.tags else None,
        "standard_blob_tier": _tier(attributes.storage_class),
        "encryption_scope": attributes.encryption,
    }
    found = {name: value for name, value in found.items() if value is not None}
    if create:
        found["match_condition"] = MatchConditions.IfMissing
    elif facts.match is not None:
        found |= {"match_condition": MatchConditions.IfNotModified, "etag": quoted(facts.match)}
    return found


def _tier(name: str | None) -> StandardBlobTier | None:
    """The SDK wants its own value, and fails for a plain text."""
    if name is None:
        return None
    for tier in StandardBlobTier:
        if tier.value.lower() == name.lower():
            return tier
    known = ", ".join(tier.value for tier in StandardBlobTier)
    raise ValueError(f"storage_class is {name!r}; access tiers are {known}")


def quoted(etag: str) -> str:
    """An ETag as the service takes it."""
    return f'"{etag.strip(chr(34))}"'


def blob_checksum(found: BlobProperties) -> Checksum | None:
    """The MD5 that the service knows of a blob."""
    digest = found.content_settings.content_md5
    return Checksum("md5", bytes(digest).hex()) if digest else None


def known_of(found: BlobProperties) -> Known:
    """What the answer to a GET says of the whole blob."""
    return Known(
        blob_checksum(found),
        kept_mtime(found.metadata),
        content_type=found.content_settings.content_type or None,
        metadata=blob_metadata(found),
    )


def blob_metadata(found: BlobProperties) -> dict[str, str]:
    """The user metadata, without what is there for the library's or the service's own sake."""
    return shown(decode_metadata(found.metadata))


def is_folder(found: BlobProperties) -> bool:
    """Whether a blob stands for a directory, as in accounts with a hierarchical namespace."""
    metadata = found.metadata or {}
    return any(name.lower() == FOLDER and value == "true" for name, value in metadata.items())


class AzureAttributes(AzureErrors):
    """Metadata, descriptors and conditions, for a client of the service."""

    def _blob(self, key: str) -> BlobClient:
        raise NotImplementedError

    @contextlib.contextmanager
    def _conditional(self, match: str | None) -> Generator[None]:
        """A condition that failed is about what was to be replaced, not about what was read."""
        try:
            with self._explained():
                yield
        except (FileExistsError, ConditionError) as error:
            if match is None:
                raise
            raise ChangedError from error

    def get_tags(self, key: str, version: str | None = None) -> dict[str, str]:
        with self._explained():
            return dict(self._of_version(key, version).get_blob_tags())

    def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        with self._explained():
            self._blob(key).set_blob_tags(checked_tags(tags, plain=True))

    def _tags_for_copy(self, blob: BlobClient) -> dict[str, str] | None:
        """What a copy of it is told to have: the service leaves them behind."""
        if not self._access.tagged:
            return None
        with self._explained():
            if not blob.get_blob_properties().tag_count:
                return None
        try:
            with self._explained():
                return dict(blob.get_blob_tags()) or None
        except PermissionError as error:
            raise PermissionError(
                errno.EACCES,
                "the blob has tags, which may not be read here, so that its copy would lack them; "
                f"allow that, or say `disable_tagging: true` to do without ({error.strerror})",
            ) from error

    def _of_version(self, key: str, version: str | None) -> BlobClient:
        """The blob, or one version of it."""
        return self._blob(key)

    def descriptor(self, key: str) -> Descriptor:
        with self._explained():
            found = self._blob(key).get_blob_properties()
        return self._told(key, found)

    def _told(self, key: str, found: BlobProperties) -> Descriptor:
        if is_folder(found):
            return Descriptor(key, "directory")
        checksum, headers = blob_checksum(found), found.content_settings
        return Descriptor(
            key,
            "file",
            found.size,
            moment(found.last_modified),
            headers.content_type,
            (found.etag or "").strip('"') or None,
            () if checksum is None else (checksum,),
            getattr(found, "version_id", None),
            decode_metadata(found.metadata),
            headers.cache_control or None,
            headers.content_disposition or None,
            headers.content_encoding or None,
            headers.content_language or None,
            _text(found.blob_tier),
            found.encryption_scope or None,
        )

    def set_metadata(
        self, key: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        with self._explained():
            found = self._blob(key).get_blob_properties()
        before: dict[str, str] = dict(found.metadata or {})
        options: dict[str, Any] = {"match_condition": MatchConditions.IfNotModified}
        if found.encryption_scope:
            # The service wants to be told again what the blob is encrypted with.
            options["encryption_scope"] = found.encryption_scope
        with self._conditional(found.etag):
            self._blob(key).set_blob_metadata(
                dict(change(before)), etag=quoted(str(found.etag)), **options
            )


def _text(value: Any) -> str | None:
    return None if value is None else str(getattr(value, "value", value))
