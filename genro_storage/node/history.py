"""What a node knows of its past: versions, snapshots, compaction."""

from __future__ import annotations

import warnings
from datetime import UTC
from typing import TYPE_CHECKING, Any

from .. import versions as choose
from ..exceptions import (
    StorageError,
    StorageNotFoundError,
    StorageUnsupportedError,
    StorageValueError,
)
from ..info import FileInfo
from .names import NodeNames

if TYPE_CHECKING:
    from datetime import datetime

    from ..info import FileVersion
    from .modes import OpenMode

__all__ = ["NodeHistory"]


class NodeHistory(NodeNames):
    """The version half of :class:`~genro_storage.StorageNode`.

    A snapshot node is one version everywhere: reading, size, hash, copying; never what is there
    now. Writing or deleting through it raises.
    """

    __slots__ = ()

    @property
    def versions(self) -> list[dict[str, Any]]:
        """The versions, oldest first; empty where the backend keeps none.

        Each is a dict with ``version_id``, ``is_latest``, ``last_modified`` (aware, UTC),
        ``size`` (bytes), ``etag`` and ``is_delete_marker``: one that has no content, and says that
        the file was missing from then on. A deleted file still has its versions. Raises
        ``StorageNotFoundError`` where there never was a file.
        """
        if not self._mount.capabilities.version_listing:
            return []
        return [
            {
                "version_id": version.version_id,
                "is_latest": version.is_latest,
                "last_modified": version.last_modified.astimezone(UTC),
                "size": version.size,
                "etag": version.etag,
                "is_delete_marker": version.is_delete_marker,
            }
            for version in self._listed_versions()
        ]

    def _listed_versions(self) -> list[FileVersion]:
        return choose.order(self._mount.versions(self._path))

    @property
    def version_count(self) -> int:
        """How many versions there are, delete markers included; 0 where the backend keeps none."""
        return len(self.versions)

    def _resolve_version_index(self, index: int) -> str:
        return choose.by_index(self._versions_or_none(), index, node=self._label).version_id

    def _resolve_version_at_date(self, when: datetime) -> str | None:
        found = choose.as_of(self._versions_or_none(), when)
        return None if found is None else found.version_id

    def _versions_or_none(self) -> list[FileVersion]:
        return self._listed_versions() if self._mount.capabilities.version_listing else []

    def _version_id(self) -> str | None:
        """The version that this node is, fixed the first time that it is needed."""
        if self._snapshot is None:
            return None
        choose.check_version(self._snapshot, node=self._label)
        if isinstance(self._snapshot, int):
            self._require_versioning()
            self._snapshot = self._resolve_version_index(self._snapshot)
        return self._snapshot

    def _version_info(self) -> FileInfo:
        wanted = self._version_id()
        assert wanted is not None
        self._require_versioning()
        info = self._mount.stat_version(self._path, wanted)
        if info is not None:
            return info
        found = choose.by_id(self._listed_versions(), wanted, node=self._label)
        return FileInfo(
            self._path,
            "file",
            found.size,
            found.last_modified.timestamp(),
            etag=found.etag,
            version=found.version_id,
        )

    def _refuse_snapshot(self) -> None:
        if self._snapshot is not None:
            raise self._is_snapshot()

    def _is_snapshot(self, how: str = "") -> StorageValueError:
        return StorageValueError(
            f"{self._label}: Cannot write to versioned snapshot {self._snapshot!r}; "
            f"use the node without a version{how}",
            node=self._label,
        )

    def _require_current(self, what: str) -> None:
        if self._snapshot is not None:
            raise self._known_of_current(what)

    def _known_of_current(self, what: str) -> StorageUnsupportedError:
        return StorageUnsupportedError(
            f"{self._label}: no {what} is known of version {self._snapshot!r}, only of the "
            "current file; use the node without a version",
            node=self._label,
        )

    def _metadata_of_version(self) -> dict[str, str]:
        info = self._version_info() if self._mount.capabilities.version_access else None
        if info is None or info.metadata is None:
            raise self._known_of_current("metadata")
        return dict(info.metadata)

    def _require_versioning(self) -> None:
        if not self._mount.capabilities.version_access:
            raise StorageUnsupportedError(
                f"{self._label}: this mount does not support versioning", node=self._label
            )

    def _version_to_open(
        self, mode: OpenMode, version: int | str | None, as_of: datetime | None
    ) -> str | None:
        """Check what ``open`` was asked for, and find the version that it means."""
        node = self._label if (version, as_of, self._snapshot) != (None, None, None) else ""
        if self._snapshot is not None:
            if version is not None or as_of is not None:
                raise StorageValueError(
                    f"{node}: is a snapshot already; leave version and as_of out", node=node
                )
            if mode.writes:
                self._refuse_snapshot()
            return self._version_id()
        if version is None and as_of is None:
            return None
        if version is not None and as_of is not None:
            raise StorageValueError(f"{node}: Cannot specify both version and as_of", node=node)
        self._require_versioning()
        if mode.writes:
            raise StorageValueError(f"{node}: Cannot write to historical versions", node=node)
        return self._find_version(version, as_of)

    def _find_version(self, version: int | str | None, as_of: datetime | None) -> str:
        """The id of the version that one of the two means."""
        if as_of is not None:
            choose.check_when(as_of, node=self._label)
            found = self._resolve_version_at_date(as_of)
            if found is None:
                raise StorageNotFoundError(
                    f"{self._label}: did not exist at {as_of}", node=self._label
                )
            return found
        choose.check_version(version, node=self._label)
        assert version is not None
        return self._resolve_version_index(version) if isinstance(version, int) else version

    def restore(self, version: int | str | None = None, as_of: datetime | None = None) -> None:
        """Make an older version the current content, with its metadata; also of a deleted file.

        A copy inside the store: the history stays, and has one version more, unless that version
        is the current one already. ``version`` and ``as_of`` are those of :meth:`open`; give one
        of them. Raises ``StorageVersionError`` or ``StorageNotFoundError`` where there is no such
        version, ``StorageUnsupportedError`` where the mount keeps none.
        """
        if self._snapshot is not None:
            raise self._is_snapshot(f", as node.restore(version={self._snapshot!r})")
        self._refuse_snapshot()
        if (version is None) == (as_of is None):
            raise StorageValueError(
                f"{self._label}: say what to restore by one of version and as_of", node=self._label
            )
        here = self._bound()
        here._require_versioning()
        here._mount.require_write(self._path, "restoring a version")
        here._mount.restore_version(self._path, here._find_version(version, as_of))
        self._changed()

    def delete_version(self, version: int | str) -> None:
        """Remove one version for good, or a delete marker by its id.

        On S3, the version before the latest is the current one once the latest is removed. Google
        Cloud Storage and Azure refuse to remove the current one. Raises ``StorageUnsupportedError``
        for that, and where no versions are kept; ``StorageVersionError`` or
        ``StorageNotFoundError`` where there is no such version.
        """
        self._refuse_snapshot()
        here = self._bound()
        here._require_versioning()
        here._mount.require_delete(self._path, "deleting a version")
        here._mount.delete_version(self._path, here._find_version(version, None))
        self._changed()

    def compact_versions(self, dry_run: bool = False) -> int:
        """Remove each version that repeats the one before it; how many.

        They have the same content, content type and metadata. Where the latest version cannot be
        deleted by itself, what it repeats goes instead of it. A deletion that fails is warned about
        and not counted. With ``dry_run`` only counts. Raises ``StorageUnsupportedError`` where
        no versions are kept.
        """
        self._refuse_snapshot()
        here = self._bound()
        here._require_versioning()
        if not dry_run:
            here._mount.require_delete(self._path, "compacting versions")
        here._mount.require_versions(self._path)
        repeated = choose.duplicates(
            here._listed_versions(),
            keep_latest=here._mount.latest_version_is_fixed(self._path),
            alike=here._is_alike,
        )
        if dry_run:
            return len(repeated)
        removed = 0
        for version in repeated:
            try:
                here._mount.delete_version(self._path, version.version_id)
            except StorageError as error:
                text = f"{self._label}: version {version.version_id} stays: {error}"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            else:
                removed += 1
        if removed:
            self._changed()
        return removed

    def _is_alike(self, older: FileVersion, newer: FileVersion) -> bool:
        """Whether nothing but the time tells two versions of one content apart."""
        ours = self._mount.stat_version(self._path, older.version_id)
        theirs = self._mount.stat_version(self._path, newer.version_id)
        if ours is None or theirs is None:
            return ours is theirs  # the storage knows no more of either than the list
        return (ours.content_type, ours.metadata) == (theirs.content_type, theirs.metadata)
