"""The verbs that only some storage technologies have, each behind a capability.

Whoever does not override one raises ``io.UnsupportedOperation`` (or answers None, where that is
an answer), and declares no capability for it.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..capabilities import BackendCapabilities
    from ..info import FileInfo, FileVersion

__all__ = ["OptionalVerbs"]


class OptionalVerbs(ABC):
    """The optional half of :class:`~genro_storage.backends.base.Backend`."""

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

    def set_mtime(self, path: str, mtime: float) -> None:
        """Set the time of the last modification (seconds since the epoch, UTC)."""
        raise self._unsupported("setting modification times")

    # -- URLs ---------------------------------------------------------------------------------

    def url(self, path: str, *, expires_in: int = 3600, **options: Any) -> str | None:
        """A URL that serves the file for ``expires_in`` seconds; None where there is none."""
        return None

    def internal_url(self, path: str, *, nocache: bool = False) -> str | None:
        """A URL for use inside the application; None where there is none."""
        return None

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
