"""What S3 keeps beside the content: metadata, headers, tags, encryption; conditions of a write.

The half of ``S3Backend`` that says what an upload keeps, and shows and changes it.
"""

from __future__ import annotations

import base64
import errno
import functools
import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from ...exceptions import ChangedError
from ...info import Attributes, Checksum, Descriptor
from ..errors import RootNotFoundError
from ..fsspec_backend import FsspecBackend
from ..object_stores.attributes import with_kept
from ..object_stores.etags import has_etag
from ..object_stores.facts import facts_of, merged_metadata
from ..object_stores.kept import decimal, internal, kept_checksum, refuse_internal
from ..object_stores.tags import checked_tags
from .codes import server_code
from .metadata import as_headers, as_metadata
from .requests import no_conditions
from .transfer import PART

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ...info import FileInfo
    from ..fsspec_write import Content
    from .filesystem import S3Filesystem

__all__ = ["S3Attributes", "encryption_options", "encryption_text", "put_options"]

_ATTEMPTS = 5
_NAMES = {
    "content_type": "ContentType",
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
    "storage_class": "StorageClass",
}
#: The longer ones first: each is followed by nothing, or by a colon and a key.
_WITH_KEYS = ("aws:kms:dsse", "aws:kms")
_CHECKSUMS = ("SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32")


def encryption_options(text: str) -> dict[str, str]:
    """The parameters of an upload for ``AES256``, ``aws:kms`` or ``aws:kms:KEY``; ``ValueError``.

    >>> encryption_options("aws:kms:alias/mine")
    {'ServerSideEncryption': 'aws:kms', 'SSEKMSKeyId': 'alias/mine'}
    """
    for algorithm in _WITH_KEYS:
        if text == algorithm:
            return {"ServerSideEncryption": algorithm}
        if text.startswith(algorithm + ":"):
            key = text[len(algorithm) + 1 :]
            return {"ServerSideEncryption": algorithm, "SSEKMSKeyId": key}
    if text != "AES256":
        raise ValueError(
            f"encryption is {text!r}; there are AES256, aws:kms, aws:kms:KEY, aws:kms:dsse and "
            "aws:kms:dsse:KEY"
        )
    return {"ServerSideEncryption": text}


def encryption_text(answer: Mapping[str, Any]) -> str | None:
    """What a HEAD says of it, as ``encryption_options`` takes it."""
    algorithm, key = answer.get("ServerSideEncryption"), answer.get("SSEKMSKeyId")
    if not algorithm:
        return None
    return f"{algorithm}:{key}" if key and algorithm in _WITH_KEYS else str(algorithm)


def put_options(attributes: Attributes) -> dict[str, Any]:
    """The parameters of an upload that keep these, metadata and all."""
    found: dict[str, Any] = {
        parameter: value
        for name, parameter in _NAMES.items()
        if (value := getattr(attributes, name)) is not None
    }
    if attributes.metadata:
        found["Metadata"] = dict(attributes.metadata)
    if attributes.tags:
        found["Tagging"] = urlencode(checked_tags(attributes.tags))
    if attributes.encryption is not None:
        found |= encryption_options(attributes.encryption)
    return found


class S3Attributes(FsspecBackend):
    """Metadata, descriptors and conditions of the objects of a bucket."""

    kept_attributes: frozenset[str] = frozenset(Attributes._fields) - {"mode", "offered"}
    #: What the mount keeps with every file, when somebody has asked for it.
    _default_options: dict[str, Any] | None = None
    _store: S3Filesystem

    def _reading(self, path: str) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _plain_digest(self, answer: Mapping[str, Any], etag: str | None) -> Checksum | None:
        """The MD5 that an ETag is, where it is one."""
        raise NotImplementedError

    def _kept_digest(self, metadata: Mapping[str, str], size: int | None) -> Checksum | None:
        """The MD5 that an uploader has kept, where it counts."""
        believes = self._store.client.options.believes_checksums
        return kept_checksum(metadata, size) if believes else None

    @property
    def _verifies(self) -> bool:
        return self._store.client.options.verify_downloads

    @functools.cached_property
    def _keeps_time(self) -> bool:
        return self._store.client.options.keep_mtime

    @property
    def _defaults(self) -> Attributes:
        return self._store.client.options.write_defaults()

    # -- writing ------------------------------------------------------------------------------

    def _put_options(self, attributes: Attributes | None) -> dict[str, Any]:
        if attributes is None:  # as most writes
            if self._default_options is None:
                self._default_options = put_options(
                    facts_of(None, self._defaults, as_headers, None)
                )
            found = dict(self._default_options)
            if "Metadata" in found:
                found["Metadata"] = dict(found["Metadata"])
            return found
        return put_options(
            facts_of(attributes, self._defaults, as_headers, decimal if self._keeps_time else None)
        )

    def write_if_match(
        self, path: str, content: Content, etag: str, *, attributes: Attributes | None = None
    ) -> None:
        self._require_write(path, False)
        if not self.capabilities.conditional_writes:
            raise io.UnsupportedOperation(no_conditions(self._store.client.options))
        options = {**self._put_options(attributes), "IfMatch": f'"{etag.strip(chr(34))}"'}
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        try:
            if size > self._store.transfers.put_at_once:
                # Before much travels in vain. What decides is the condition of the last request.
                found = str(self._store.head(self._full(path)).get("ETag", ""))
                if found.strip('"') != etag.strip('"'):
                    raise ChangedError
            self._put(content, self._full(path), options)
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            raise ChangedError("it was deleted meanwhile") from error
        except FileExistsError as error:
            raise ChangedError from error
        except ConnectionError as error:
            if server_code(error) != "ConditionalRequestConflict":
                raise
            raise ChangedError from error

    def try_conditions(self, path: str, content: bytes) -> Literal["heeded", "ignored", "refused"]:
        client, transfers = self._store.client, self._store.transfers
        key, another = self._full(path), f'"{"0" * 32}"'
        for create, facts in ((True, {}), (False, {"IfMatch": another})):
            about = {**self._store.facts(key, {}), **facts}
            put = functools.partial(transfers.put, key, content, create, about)
            try:
                client.run(put)
            except FileExistsError:
                continue
            except io.UnsupportedOperation:
                return "refused"
            return "ignored"
        return "heeded"

    def copy_if_absent(self, source: str, target: str) -> None:
        mode = self._store.client.options.copy_if_not_exists
        if mode is None:
            raise io.UnsupportedOperation("'copy_if_not_exists' is not configured")
        self._require_write(target, False)
        with self._reading(source):
            about = self._store.head(self._full(source))
        self._store.copy_if_absent(
            self._full(source), self._full(target), about, mode, self._new_copy()
        )

    def _new_copy(self) -> dict[str, Any]:
        """What a copy inside the bucket has from the mount, and not from its source."""
        defaults = self._defaults
        return put_options(
            Attributes(storage_class=defaults.storage_class, encryption=defaults.encryption)
        )

    def has_content_of(self, info: FileInfo, local: Path) -> bool:
        if info.etag is None or "-" not in info.etag or info.size is None:
            return False
        with local.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size != info.size:
                return False
            return has_etag(stream, info.size, info.etag, PART)

    # -- metadata -----------------------------------------------------------------------------

    def get_metadata(self, path: str) -> dict[str, str]:
        return dict(self._require_file(path).metadata or {})

    def set_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        self._change_metadata(path, metadata, False)

    def merge_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        self._change_metadata(path, metadata, True)

    def _change_metadata(self, path: str, metadata: Mapping[str, str], merge: bool) -> None:
        refuse_internal(metadata)
        wanted = as_headers(metadata)

        def change(now: Mapping[str, str]) -> dict[str, str]:
            return merged_metadata(now, wanted, internal(now), merge)

        with self._reading(path):
            for attempt in range(_ATTEMPTS):
                try:
                    self._store.replace_metadata(self._full(path), change)
                    return
                except OSError as error:
                    # Somebody wrote between the look and the copy: look again.
                    if error.errno != errno.EBUSY or attempt == _ATTEMPTS - 1:
                        raise

    def descriptor(self, path: str) -> Descriptor:
        if not path:
            return Descriptor.of(self.stat(path))
        try:
            found = self._store.head(self._full(path), ChecksumMode="ENABLED")
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            return Descriptor.of(self.stat(path))
        return self._told(path, found)

    def _told(self, path: str, found: Mapping[str, Any]) -> Descriptor:
        """What a HEAD says."""
        info = self._describe(path, {"type": "file", "name": path, **found})
        digests = (
            self._plain_digest(found, info.etag),
            self._kept_digest(as_metadata(found.get("Metadata", {})), info.size),
            *(_stored(found, name) for name in _CHECKSUMS),
        )
        headers: dict[str, Any] = {name: found.get(field) or None for name, field in _NAMES.items()}
        made = replace(
            Descriptor.of(info),
            checksums=_distinct(digests),
            metadata=as_metadata(found.get("Metadata", {})),
            version=found.get("VersionId"),
            encryption=encryption_text(found),
            **headers,
        )
        return with_kept(made)


def _stored(answer: Mapping[str, Any], name: str) -> Checksum | None:
    """A checksum of the whole content that the service keeps; those of parts count as none."""
    text = answer.get(f"Checksum{name}")
    if not text or "-" in text or answer.get("ChecksumType") == "COMPOSITE":
        return None
    return Checksum(name.lower(), base64.b64decode(text).hex())


def _distinct(digests: tuple[Checksum | None, ...]) -> tuple[Checksum, ...]:
    found: dict[str, Checksum] = {}
    for each in digests:
        if each is not None:
            found.setdefault(each.algorithm, each)
    return tuple(found.values())
