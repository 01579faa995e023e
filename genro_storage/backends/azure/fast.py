"""A container whose blobs are read by obstore; everything else as before."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ...info import FileInfo
from ..object_stores.engine import Unfit
from ..object_stores.fast_reads import FastReads
from ..object_stores.kept import internal, kept_checksum, sized_checksum
from ..remote import repeated
from .attributes import blob_checksum, known_of
from .keeping import FOLDER
from .store_settings import make_store
from .versions import AzureVersionClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobProperties

    from ...info import Checksum
    from ..object_stores.reader import Chunk
    from ..object_stores.verifying import Known
    from ..object_stores.whole import Answer
    from ..remote import Bounds
    from .access import AzureAccess

__all__ = ["FastAzureClient"]


class FastAzureClient(AzureVersionClient):
    """As its base, with reads that take a third of the time where blobs are small.

    The MD5 of a blob, which obstore does not show, is taken from where our uploads keep it. Of a
    blob that keeps none Microsoft's client tells it, if what is read is ``compared``; of every
    blob, unless the mount ``believes`` what is kept.
    """

    def __init__(
        self, access: AzureAccess, bounds: Bounds, *, compared: bool, believes: bool
    ) -> None:
        super().__init__(access, bounds)
        self._compared = compared
        self._believes = believes
        self._reads = FastReads(
            lambda: make_store(access, bounds, self.credentials.for_obstore),
            bounds,
            host=self._host,
            pinned="etag",
            refused=self._known,
        )
        #: Whether the last blob that was read kept its MD5, as the next one then probably does.
        self._last_kept = believes
        #: Whether the last one had no metadata of a user's, whose names obstore tells in lower case.
        self._last_plain = True

    # -- looking ------------------------------------------------------------------------------

    def head(self, key: str) -> FileInfo:
        if self._version is None and self._last_plain:
            try:
                found = self._reads.head(key)
            except Unfit:
                pass
            else:
                if not _users(found.metadata):
                    return FileInfo(
                        key,
                        "file",
                        found.size,
                        found.mtime.timestamp(),
                        found.etag.strip('"'),
                        self._kept(found.metadata, found.size),
                        found.attributes.get("Content-Type"),
                        {},
                    )
        info = super().head(key)
        self._last_plain = info.type == "file" and not info.metadata
        return info

    def _seen(self, found: BlobProperties, key: str) -> FileInfo:
        info = super()._seen(found, key)
        if self._version is None and not info.metadata:
            # The same as if obstore had looked, whichever of the two does it now.
            return info._replace(checksum=self._kept(found.metadata, found.size))
        return info

    def _kept(self, metadata: Mapping[str, str] | None, size: int) -> Checksum | None:
        return sized_checksum(metadata, size) if self._believes else None

    def checksum(self, key: str, etag: str) -> Checksum | None:
        """A look tells at most the one that was kept, which may be another content's."""
        found = repeated(self._bounds, lambda _: self._properties_of(key))
        return blob_checksum(found) if found.etag.strip('"') == etag else None

    # -- reading ------------------------------------------------------------------------------

    def read(self, key: str, start: int, end: int, pin: str | None) -> Chunk:
        begins = start == 0 and pin is None
        if self._is_theirs(begins):
            return super().read(key, start, end, pin)
        try:
            found, attributes = self._reads.read(key, start, end, pin)
        except Unfit:
            return super().read(key, start, end, pin)
        _require_blob(attributes)
        if not begins:
            return found
        known = self._known_whole(key, found, attributes)
        return super().read(key, start, end, pin) if known is None else found._replace(known=known)

    def stream(self, key: str, start: int, end: int | None, pin: str | None) -> Answer:
        if self._version is not None:
            return super().stream(key, start, end, pin)
        try:
            found, attributes = self._reads.stream(key, start, end, pin)
        except Unfit:
            return super().stream(key, start, end, pin)
        _require_blob(attributes)
        if start or pin:
            return found
        known = self._known_whole(key, found, attributes)
        return (
            super().stream(key, start, end, pin) if known is None else found._replace(known=known)
        )

    def _is_theirs(self, begins: bool) -> bool:
        """Whether Microsoft's client is to be asked first, which takes longer."""
        if self._version is not None:
            return True  # obstore has no word for it
        return begins and self._compared and not self._last_kept

    # -- what is known ------------------------------------------------------------------------

    def _known_of(self, found: BlobProperties, size: int) -> Known:
        self._last_kept = self._believes and kept_checksum(found.metadata, size) is not None
        return super()._known_of(found, size)

    def _known_whole(
        self, key: str, answer: Chunk | Answer, attributes: dict[str, str]
    ) -> Known | None:
        """What obstore's answer says of the whole; None where another has come in its place."""
        etag = answer.pin
        kept = kept_checksum(attributes, answer.size) if self._believes else None
        self._last_kept = kept is not None
        if kept is not None:
            return answer.known._replace(
                checksum=kept,
                confirm=lambda digest: self._is_damage(key, etag, digest),
                is_kept=True,
            )
        if not self._compared:
            return answer.known
        found = self._properties_of(key)
        return known_of(found) if found.etag == etag else None

    def _is_damage(self, key: str, etag: str, digest: str) -> bool:
        """Whether a content that is not what was kept is not what the service has either.

        Somebody may have taken what was kept along to another content, whose own MD5 the service
        tells; or knows none of, as of blocks that a program has committed without it. Whoever keeps
        an MD5 has told it to the service too, so that what is kept alone is not of this content.
        """
        found = repeated(self._bounds, lambda _: self._properties_of(key))
        stored = blob_checksum(found)
        return found.etag != etag or (stored is not None and stored.hexdigest != digest)

    def _properties_of(self, key: str) -> BlobProperties:
        with self._explained():
            return self._blob(key).get_blob_properties()

    # -- errors -------------------------------------------------------------------------------

    def _known(self, status: int, code: str) -> Exception | None:
        """Before the code is known, a refusal may mean anything."""
        if code or status >= 500 or status in (404, 408, 412, 429):
            return self._refused(status, code)
        return None


def _users(metadata: Mapping[str, str]) -> bool:
    """Whether there is more than what is kept for our own sake."""
    return len(internal(metadata)) != len(metadata)


def _require_blob(attributes: dict[str, str]) -> None:
    if attributes.get(FOLDER) == "true":
        raise FileNotFoundError(errno.ENOENT, "not a file")
