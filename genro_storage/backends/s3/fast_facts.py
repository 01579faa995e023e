"""What obstore says of an object, and is told of it, beside botocore's words for the same. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ...info import Checksum, FileInfo
from ..object_stores.kept import kept_checksum, kept_metadata, shown
from .metadata import as_metadata, is_md5

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..object_stores.engine import Facts

__all__ = ["as_attributes", "as_head", "info_of"]

#: What obstore can say of an object, and how botocore calls it.
_HEADERS = {
    "ContentType": "Content-Type",
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "StorageClass": "Storage-Class",
}
_NAMES = {header: name for name, header in _HEADERS.items()}
_RESERVED = {header.lower() for header in _NAMES}


def info_of(path: str, facts: Facts, *, express: bool = False, believes: bool = True) -> FileInfo:
    """The library's words for an object. ``express``: its bucket has ETags that are no MD5.

    ``believes``: whether an MD5 counts that is among the metadata.

    This is asked for every file, hence the straight way: by a botocore answer it would take three
    times as long.
    """
    metadata, etag = facts.metadata, facts.etag.strip('"')
    kept: Checksum | None = None
    may_be_md5 = not express and is_md5(etag)
    if may_be_md5 and believes and metadata == kept_metadata(bytes.fromhex(etag), facts.size):
        metadata, kept = {}, Checksum("md5", etag)  # an upload of ours, as it most often is
    elif metadata:
        metadata = as_metadata(metadata)
        kept = kept_checksum(metadata, facts.size) if believes else None
        if kept is not None and kept.hexdigest != etag and may_be_md5:
            kept = None  # it may be of a content that was here before; see ``S3Backend.checksum``
        metadata = shown(metadata)
    return FileInfo(
        path,
        "file",
        facts.size,
        float(math.floor(facts.mtime.timestamp())),  # as every HEAD has it
        etag,
        kept,
        facts.attributes.get("Content-Type"),
        metadata,
    )


def as_head(facts: Facts) -> dict[str, Any]:
    """What botocore's ``head_object`` would say, as far as obstore tells it."""
    found: dict[str, Any] = {
        "ContentLength": facts.size,
        "LastModified": facts.mtime.replace(microsecond=0),
        "ETag": facts.etag,
        "EncryptionUntold": True,
        "Metadata": facts.metadata,
    }
    for header, name in _NAMES.items():
        if header in facts.attributes:
            found[name] = facts.attributes[header]
    if facts.version is not None:
        found["VersionId"] = facts.version
    return found


def as_attributes(extra: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]] | None:
    """What botocore's ``put_object`` is told, for obstore; None where that has no word for it."""
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    for name, value in extra.items():
        if name in _HEADERS:
            attributes[_HEADERS[name]] = str(value)
        elif name == "Metadata":
            if any(key.lower() in _RESERVED for key in value):
                return None  # it would be the header itself
            attributes.update(value)
        elif name == "Tagging":
            tags = dict(parse_qsl(str(value), keep_blank_values=True))
        else:
            return None
    return attributes, tags
