"""Whether an answer is one of S3: many web servers say 200 to whatever they are asked. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NotS3Error", "is_page", "media_type", "names_content", "require_root", "require_s3"]

#: What the document is called that an answer has, by botocore's name of what it stands for. It is
#: asked where an answer that says nothing means something: "there is nothing", "it is copied".
_ROOTS = {"ListObjectsV2Output": "ListBucketResult", "CopyObjectOutput": "CopyObjectResult"}
_PAGE = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
#: What an answer must say, by the operation; of those that look, and of those that begin something.
_SAID: Mapping[str, tuple[str, ...]] = {
    "get_object": ("ETag",),  # gateways leave out the date
    "head_object": ("ETag", "LastModified"),
    "create_multipart_upload": ("UploadId",),
    "upload_part": ("ETag",),
    "upload_part_copy": ("ETag",),
}
#: Their answers have no body.
_EMPTY = ("put_object", "upload_part", "delete_object", "abort_multipart_upload")


class NotS3Error(Exception):
    """What answers is another kind of server; the text says by what that shows."""


def is_page(body: object) -> bool:
    """Whether a body is a page for people.

    >>> is_page(b"<!DOCTYPE html><title>Welcome</title>"), is_page(b"<Error/>")
    (True, False)
    """
    return isinstance(body, bytes) and _PAGE.match(body) is not None


def media_type(headers: Mapping[str, Any]) -> str:
    """The content type of an answer, without its parameters; names of headers in any letters."""
    found = next((headers[name] for name in headers if name.lower() == "content-type"), "")
    return str(found).partition(";")[0].strip().lower()


def require_root(shape: str, tag: str, headers: Mapping[str, Any]) -> None:
    """``NotS3Error`` where a document is not what ``shape``, of botocore's, is made of."""
    found = tag.rpartition("}")[2]
    wanted = _ROOTS.get(shape)
    if found.lower() == "html" or (wanted is not None and found != wanted):
        said = media_type(headers) or "no content type"
        raise NotS3Error(said if found else f"{said}, and nothing in it")


def names_content(answer: Mapping[str, Any]) -> bool:
    """Whether it has an ETag as S3 makes them: those of web frameworks are weak."""
    etag = str(answer.get("ETag") or "")
    return bool(etag.strip('"')) and not etag.startswith("W/")


def require_s3(operation: str, answer: Mapping[str, Any]) -> None:
    """``NotS3Error`` where an answer lacks what S3 always says; then its body is not read."""
    headers: Mapping[str, Any] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    said = media_type(headers)
    if operation in _EMPTY and said and "xml" not in said and _has_body(headers):
        raise NotS3Error(said)
    about = answer.get("CopyPartResult", {}) if operation == "upload_part_copy" else answer
    for name in _SAID.get(operation, ()):
        if not (names_content(about) if name == "ETag" else about.get(name)):
            if operation == "get_object":
                answer["Body"].close()
            raise NotS3Error(", ".join(filter(None, (said, f"no {_WORDS.get(name, name)}"))))


_WORDS = {"LastModified": "Last-Modified"}


def _has_body(headers: Mapping[str, Any]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
