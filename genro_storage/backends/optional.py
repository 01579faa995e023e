"""The verbs that only some storage technologies have, each behind a capability.

Whoever does not override one raises ``io.UnsupportedOperation`` (or answers None, where that is
an answer), and declares no capability for it.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..info import Descriptor
from .direct import DirectVerbs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..capabilities import BackendCapabilities
    from ..info import Attributes, FileInfo, FileVersion, Finding
    from .base import Backend
    from .fsspec_write import Content

__all__ = ["OptionalVerbs"]


class OptionalVerbs(DirectVerbs, ABC):
    """The optional half of :class:`~genro_storage.backends.base.Backend`."""

    #: The names of the ``Attributes`` that a write keeps. What is asked for and not among them is
    #: refused by the mount, and what a copy offers is dropped.
    kept_attributes: frozenset[str] = frozenset()
    #: Whether the latest version is the file: it is not deleted by its id, and no other one takes
    #: its place.
    latest_version_is_fixed: ClassVar[bool] = False

    capabilities: BackendCapabilities

    @abstractmethod
    def stat(self, path: str) -> FileInfo:
        """As in ``Backend``."""

    # -- versions -----------------------------------------------------------------------------

    def versions(self, path: str) -> list[FileVersion]:
        """All versions of exactly this file, oldest first, also where it is deleted by now.

        ``FileNotFoundError`` where there are none. Where versions are not switched on, the current
        one alone.
        """
        raise self._unsupported("versioning")

    def stat_version(self, path: str, version: str) -> FileInfo | None:
        """What one version is; None where only the list of all versions tells.

        Override it where asking for one is cheaper, or more versions can be read than are listed.
        """
        return None

    def delete_version(self, path: str, version: str) -> None:
        """Remove one version for good; ``FileNotFoundError`` where there is none of this name.

        ``io.UnsupportedOperation`` where versions are not switched on: it would be the only one.
        """
        raise self._unsupported("version deletion")

    def restore_version(self, path: str, version: str) -> None:
        """Make a version the current one, with its metadata, by a copy inside the store.

        The current one stays as it is; nothing is copied where it is that very version.
        """
        raise self._unsupported("restoring versions")

    def require_versions(self, path: str) -> None:
        """Raise ``io.UnsupportedOperation``, which says what to do, where none are kept here.

        What the technology can do, the capabilities say; this asks for this very place.
        """
        if not self.capabilities.versioning:
            raise self._unsupported("versioning")

    # -- metadata -----------------------------------------------------------------------------

    def get_metadata(self, path: str) -> dict[str, str]:
        """The user metadata of a file; empty where the technology keeps none."""
        self.stat(path)
        return {}

    def set_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        """Replace the user metadata of a file."""
        raise self._unsupported("metadata")

    def merge_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        """Set these keys of the user metadata, and keep the others.

        Override it where nobody else can come between the look and the change.
        """
        self.set_metadata(path, {**self.get_metadata(path), **metadata})

    def get_tags(self, path: str, *, version: str | None = None) -> dict[str, str]:
        """The tags of a file, or of one version of it."""
        raise self._unsupported("tags")

    def set_tags(self, path: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of a file; none are left where none are given."""
        raise self._unsupported("tags")

    def merge_tags(self, path: str, tags: Mapping[str, str]) -> None:
        """Set these tags, and keep the others.

        Override it where nobody else can come between the look and the change.
        """
        self.set_tags(path, {**self.get_tags(path), **tags})

    def descriptor(self, path: str) -> Descriptor:
        """All that is known of a file without reading it, from one request where that is enough."""
        return Descriptor.of(self.stat(path))

    def version_descriptor(self, path: str, version: str) -> Descriptor | None:
        """The same of one version; None where ``stat_version`` tells as much."""
        return None

    def set_mtime(self, path: str, mtime: float) -> None:
        """Set the time of the last modification (seconds since the epoch, UTC)."""
        raise self._unsupported("setting modification times")

    def has_content_of(self, info: FileInfo, local: Path) -> bool:
        """Whether a file surely has the content of one of this machine; False: nobody knows.

        Only what ``info`` says is used, and the local file read.
        """
        return False

    # -- conditions -----------------------------------------------------------------------------

    def write_if_match(
        self, path: str, content: Content, etag: str, *, attributes: Attributes | None = None
    ) -> None:
        """Replace the content where the file still has this ETag; else ``ChangedError``.

        So too where it is gone. ``content`` is bytes, or the path of a local file.
        """
        raise self._unsupported("writing on the condition of an ETag")

    def try_conditions(
        self, path: str, content: bytes
    ) -> Literal["heeded", "ignored", "refused"] | None:
        """What the storage makes of conditions of a write, tried on a file that the caller owns.

        ``content`` is what the file holds, and holds again where they are ignored. None: it needs
        no trying.
        """
        return None

    def copy_if_absent(self, source: str, target: str) -> None:
        """Copy inside the store where nothing has the name of the target: ``FileExistsError``.

        ``io.UnsupportedOperation`` where only reading and writing can do that.
        """
        raise self._unsupported("copying inside the store where nothing is yet")

    def copies_from(self, other: Backend) -> bool:
        """Whether ``copy_from`` works: both are places of one service, for the same customer."""
        return False

    def copy_from(self, other: Backend, source: str, target: str) -> None:
        """Copy a file of ``other`` to here without the bytes passing through this process."""
        raise self._unsupported("copying from another store")

    # -- URLs ---------------------------------------------------------------------------------

    def url(self, path: str, *, expires_in: int = 3600, **options: Any) -> str | None:
        """A URL that serves the file for ``expires_in`` seconds; None where there is none.

        Where ``presigned_urls`` is declared, ``options`` are ``method``, ``download_name``,
        ``content_type`` and ``version``; nobody else is given these.
        """
        return None

    def public_url(self, path: str) -> str:
        """The URL for everybody; without an override ``url()``, where it needs no signature."""
        found = self.url(path) if self.capabilities.public_urls else None
        return super().public_url(path) if found is None else found

    def internal_url(self, path: str, *, nocache: bool = False) -> str | None:
        """A URL for use inside the application; None where there is none."""
        return None

    # -- facts --------------------------------------------------------------------------------

    def diagnose(self, *, ask: bool = True) -> list[Finding]:
        """What is in force, and why: the server, who we are, how requests are made.

        Without ``ask`` only what is known without a request. Whatever fails is a finding too.
        """
        return []

    # -- for other libraries ------------------------------------------------------------------

    def filesystem(self) -> Any:
        """An fsspec filesystem with the settings of this storage, for other libraries."""
        raise self._unsupported("fsspec: it stands on no filesystem of it")

    def store(self) -> Any:
        """The obstore store of this storage, for other libraries."""
        raise self._unsupported("obstore: it stands on no store of it")

    # -- for subclasses -----------------------------------------------------------------------

    def _unsupported(self, what: str) -> io.UnsupportedOperation:
        return io.UnsupportedOperation(f"this kind of mount does not support {what}")
