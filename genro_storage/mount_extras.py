"""The verbs of a mount that only some backends have: versions, metadata, URLs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .exceptions import StoragePermissionError, translating
from .mount_reach import MountReach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .info import FileInfo, FileVersion

__all__ = ["MountExtras"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MountExtras(MountReach):
    """Each behind a capability; ``StorageUnsupportedError`` where it is not declared."""

    # -- versions ---------------------------------------------------------------------------------

    def versions(self, path: str) -> list[FileVersion]:
        """All versions of the file, oldest first."""
        self._require("version_listing", path, "versioning")
        found: list[FileVersion] = self._run(path, "listing versions", "versions")
        return found

    def stat_version(self, path: str, version: str) -> FileInfo | None:
        """What one version is; None where only the list of all versions tells."""
        self._require("version_access", path, "versioning")
        backend, real = self._at(path)
        with translating(self.label(path), "looking at a version"):
            info = backend.stat_version(real, version)
        return info if info is None or real == path else info._replace(path=path)

    def delete_version(self, path: str, version: str) -> None:
        """Remove one version for good."""
        self._permit_delete(path, "deleting a version")
        self._require("versioning", path, "version deletion: it does not support versioning")
        self._require("delete", path, "version deletion: the backend is read-only")
        self._run(path, "deleting a version", "delete_version", version)

    def restore_version(self, path: str, version: str) -> None:
        """Make an older version the current one."""
        self.require_write(path, "restoring a version")
        self._require("versioning", path, "restoring versions: it does not support versioning")
        self._run(path, "restoring a version", "restore_version", version)

    def require_versions(self, path: str) -> None:
        """Raise ``StorageUnsupportedError`` where no versions are kept, though they could be."""
        self._require("versioning", path, "versioning")
        self._run(path, "asking for versions", "require_versions")

    def latest_version_is_fixed(self, path: str) -> bool:
        """Whether deleting the latest version would delete the file."""
        return self._at(path)[0].latest_version_is_fixed

    # -- metadata ---------------------------------------------------------------------------------

    def get_metadata(self, path: str) -> dict[str, str]:
        """The user metadata; empty where the backend keeps none."""
        found: dict[str, str] = self._run(path, "reading metadata", "get_metadata")
        return found

    def set_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        """Replace the user metadata."""
        self.require_write(path, "setting metadata")
        self._require("metadata", path, "metadata (the backend does not support metadata)")
        self._run(path, "setting metadata", "set_metadata", metadata)

    # -- URLs -------------------------------------------------------------------------------------

    def url(self, path: str, *, expires_in: int = 3600, **options: Any) -> str | None:
        """A URL for the outside world, None where the backend has none."""
        found: str | None = self._run(path, "making a URL", "url", expires_in=expires_in, **options)
        return found

    def internal_url(self, path: str, *, nocache: bool = False) -> str | None:
        """A URL for use inside the application, None where there is none."""
        found: str | None = self._run(path, "making a URL", "internal_url", nocache=nocache)
        return found

    # -- for other libraries ----------------------------------------------------------------------

    def filesystem(self) -> Any:
        """The fsspec filesystem of the whole storage, which knows nothing of this mount's rights."""
        return self._client("filesystem")

    def store(self) -> Any:
        """The obstore store of the whole storage, which knows nothing of this mount's rights."""
        return self._client("store")

    def _client(self, verb: str) -> Any:
        label = self.label("")
        if self.prefix or self.permissions != "delete":
            raise StoragePermissionError(
                f"{label}: a client of the storage itself would lead around the rights of this "
                "mount; ask the mount that it stands on, or give it permissions: delete",
                node=label,
            )
        backend, _ = self._at("")
        with translating(label, "opening a client"):
            return getattr(backend, verb)()
