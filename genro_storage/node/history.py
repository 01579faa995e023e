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
        ``size`` (bytes) and ``etag``.
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
            }
            for version in self._listed_versions()
        ]

    def _listed_versions(self) -> list[FileVersion]:
        return choose.order(self._mount.versions(self._path))

    @property
    def version_count(self) -> int:
        """How many versions there are; 0 where the backend keeps none."""
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
            raise StorageValueError(
                f"{self._label}: Cannot write to versioned snapshot {self._snapshot!r}; "
                "use the node without a version",
                node=self._label,
            )

    def _require_current(self, what: str) -> None:
        if self._snapshot is not None:
            raise StorageUnsupportedError(
                f"{self._label}: no {what} is known of version {self._snapshot!r}, only of the "
                "current file; use the node without a version",
                node=self._label,
            )

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
        if as_of is not None:
            found = self._resolve_version_at_date(as_of)
            if found is None:
                raise StorageNotFoundError(f"{node}: did not exist at {as_of}", node=node)
            return found
        if isinstance(version, int):
            return self._resolve_version_index(version)
        return version

    def compact_versions(self, dry_run: bool = False) -> int:
        """Remove each version that repeats the content of the one before it; how many.

        A deletion that fails is warned about and not counted. With ``dry_run`` only counts.
        """
        self._refuse_snapshot()
        self._require_versioning()
        repeated = choose.duplicates(self._listed_versions())
        if dry_run:
            return len(repeated)
        self._mount.require_delete(self._path, "compacting versions")
        removed = 0
        for version in repeated:
            try:
                self._mount.delete_version(self._path, version.version_id)
            except StorageError as error:
                text = f"{self._label}: version {version.version_id} stays: {error}"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            else:
                removed += 1
        return removed
