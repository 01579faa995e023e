"""The verbs of a mount that only some backends have: versions and metadata, on top of URLs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .attributes import check_attributes
from .exceptions import StoragePermissionError, translating
from .mount_urls import MountUrls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .backends.fsspec_write import Content
    from .info import Attributes, Descriptor, FileInfo, FileVersion, Finding

__all__ = ["MountExtras"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MountExtras(MountUrls):
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

    def set_metadata(self, path: str, metadata: Mapping[str, str], *, merge: bool = False) -> None:
        """Replace the user metadata, or with ``merge`` only the keys that are given."""
        self.require_write(path, "setting metadata")
        self._require("metadata", path, "metadata (the backend does not support metadata)")
        verb = "merge_metadata" if merge else "set_metadata"
        self._run(path, "setting metadata", verb, metadata)

    def get_tags(self, path: str, *, version: str | None = None) -> dict[str, str]:
        """The tags of a file, or of one version of it."""
        self._require("tags", path, "tags")
        if version is not None:
            self._require("version_access", path, "versioning")
        found: dict[str, str] = self._run(path, "reading tags", "get_tags", version=version)
        return found

    def set_tags(self, path: str, tags: Mapping[str, str], *, merge: bool = False) -> None:
        """Replace the tags, or with ``merge`` only those that are given."""
        self.require_write(path, "setting tags")
        self._require("tags", path, "tags")
        self._run(path, "setting tags", "merge_tags" if merge else "set_tags", tags)

    def descriptor(self, path: str) -> Descriptor:
        """All that is known of a file without reading it."""
        backend, real = self._at(path)
        with translating(self.label(path), "looking at it"):
            found = backend.descriptor(real)
        return found if real == path else replace(found, path=path)

    def version_descriptor(self, path: str, version: str) -> Descriptor | None:
        """All that is known of one version; None where ``stat_version`` tells as much."""
        self._require("version_access", path, "versioning")
        backend, real = self._at(path)
        with translating(self.label(path), "looking at a version"):
            found = backend.version_descriptor(real, version)
        return found if found is None or real == path else replace(found, path=path)

    def has_content_of(self, info: FileInfo, other: MountExtras, there: FileInfo) -> bool:
        """Whether two files surely have one content, because an ETag says so; False: unknown.

        One of them is a local file, which is read for it.
        """
        if info.size is None or info.size != there.size:
            return False
        for mount, mine, local, named in (
            (self, info, other, there),
            (other, there, self, info),
        ):
            if mine.etag is None or "-" not in mine.etag:
                continue  # an upload in parts
            path: str | None = local._run(named.path, "finding the local path", "local_path")
            if path is None:
                continue
            backend, real = mount._at(mine.path)
            with translating(mount.label(mine.path), "comparing"):
                if backend.has_content_of(mine._replace(path=real), Path(path)):
                    return True
        return False

    def require_attributes(self, path: str, attributes: Attributes | None) -> None:
        """``StorageUnsupportedError`` for what was asked for and would be dropped."""
        if attributes is None or attributes.offered:
            return
        with translating(self.label(path), "writing"):
            check_attributes(attributes)
        kept = self._at(path)[0].kept_attributes
        dropped = [name for name in attributes.given if name not in kept]
        if dropped:
            able = f"of these it keeps {', '.join(sorted(kept))}" if kept else "it keeps none"
            raise self._unsupported(
                path,
                f"cannot keep {' and '.join(map(repr, dropped))} with a file; {able}",
            )

    # -- conditions -------------------------------------------------------------------------------

    def write_if_match(
        self, path: str, content: Content, etag: str, *, attributes: Attributes | None = None
    ) -> None:
        """Replace the content where the file still has this ETag; ``StorageConflictError``."""
        self.require_write(path)
        self._require("conditional_writes", path, "writing on the condition of an ETag")
        self.require_attributes(path, attributes)
        self._run(path, "writing", "write_if_match", content, etag, attributes=attributes)

    def try_conditions(self, path: str, content: bytes) -> str | None:
        """Whether the storage heeds conditions, tried on a file of the caller's; None: untried."""
        self.require_write(path)
        if not self.backend.capabilities.conditional_writes:
            return None
        found: str | None = self._run(path, "trying conditions", "try_conditions", content)
        return found

    # -- facts ------------------------------------------------------------------------------------

    def diagnose(self, *, ask: bool = True) -> list[Finding]:
        """What the backend knows of the storage behind it; without ``ask``, nothing is sent."""
        backend = self._at("")[0]
        with translating(self.label(""), "looking at its settings"):
            return backend.diagnose(ask=ask)

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
