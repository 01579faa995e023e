"""What obstore says of an object, and is told of it, beside botocore's words for the same. Pure."""

from __future__ import annotations

from binascii import a2b_hex, b2a_base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ...info import Attributes, Checksum, FileInfo, Loaded
from ..object_stores.engine import metadata_of
from ..object_stores.kept import MD5, MD5_SIZE, MTIME, kept_checksum, kept_mtime, shown
from .metadata import as_metadata, is_md5

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..object_stores.engine import Facts

__all__ = ["as_attributes", "as_head", "info_of", "is_md5_in_base64", "kept_with"]

#: Letters of an MD5.
_LENGTH = 32
#: What obstore can say of an object, and how botocore calls it.
_HEADERS = {
    "ContentType": "Content-Type",
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "StorageClass": "Storage-Class",
}
#: What uploads of ours have, that nobody has given metadata.
_OURS = frozenset(("Content-Type", MTIME, MD5, MD5_SIZE))
_NAMES = {header: name for name, header in _HEADERS.items()}
_RESERVED = {header.lower() for header in _NAMES}


def info_of(path: str, facts: Facts, believes: bool, is_express: Callable[[], bool]) -> FileInfo:
    """The library's words for an object. ``is_express``: its bucket has ETags that are no MD5.

    ``believes``: whether an MD5 counts that is among the metadata.

    This is asked for every file, hence the straight way: by a botocore answer it would take three
    times as long.
    """
    attributes, etag = facts.attributes, facts.etag.strip('"')
    metadata: dict[str, str] = {}
    kept: Checksum | None = None
    if believes and len(attributes) == 3 and _is_as_written(facts, etag):
        kept = Checksum("md5", etag.lower())  # an upload of ours, as it most often is
    elif facts.metadata:
        metadata = as_metadata(facts.metadata)
        kept = kept_checksum(metadata, facts.size) if believes else None
        if kept is not None and kept.hexdigest != etag and is_md5(etag) and not is_express():
            kept = None  # it may be of a content that was here before; see ``S3Backend.checksum``
        metadata = shown(metadata)
    return FileInfo(
        path,
        "file",
        facts.size,
        facts.mtime.timestamp() // 1,  # as every HEAD has it
        etag,
        kept,
        attributes.get("Content-Type"),
        metadata,
    )


def _is_as_written(facts: Facts, etag: str) -> bool:
    """Whether the attributes are a type, and what we keep with a content whose MD5 is the ETag."""
    attributes = facts.attributes
    return (
        is_md5_in_base64(etag, attributes.get(MD5, ""))
        and attributes.get(MD5_SIZE) == str(facts.size)
        and "Content-Type" in attributes
    )


def is_md5_in_base64(etag: str, text: str) -> bool:
    """Whether an ETag, without quotes, is the MD5 that ``text`` has in base64.

    >>> is_md5_in_base64("900150983cd24fb0d6963f7d28e17f72", "kAFQmDzST7DWlj99KOF/cg==")
    True
    """
    try:
        return len(etag) == _LENGTH and b2a_base64(a2b_hex(etag), newline=False) == text.encode()
    except ValueError:  # of an upload in parts, or of another kind
        return False


def kept_with(data: bytes, attributes: Mapping[str, str], *, verified: bool) -> Loaded:
    """A content, and what a copy takes along of what its answer has told.

    ``verified``: the MD5 among it is that of the content.
    """
    content_type = attributes.get("Content-Type")
    metadata: dict[str, str] = {}
    if len(attributes) == (content_type is not None):  # and no more, as of many programs
        return Loaded(data, Attributes(None, None, content_type, metadata, offered=True))
    mtime = kept_mtime({MTIME: attributes.get(MTIME, "")})
    is_ours = verified and mtime is not None and attributes.keys() == _OURS
    if is_ours and attributes[MD5_SIZE] == str(len(data)):  # as it most often is
        return Loaded(data, Attributes(mtime, None, content_type, metadata, offered=True))
    metadata = shown(as_metadata(metadata_of(attributes)))
    return Loaded(data, Attributes(mtime, None, content_type, metadata, offered=True))


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
            if not _RESERVED.isdisjoint(map(str.lower, value)):
                return None  # it would be the header itself
            attributes.update(value)
        elif name == "Tagging":
            tags = dict(parse_qsl(str(value), keep_blank_values=True))
        else:
            return None
    return attributes, tags
