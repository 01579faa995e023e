"""What stands at the two ends of a copy: by a look, or by beginning to list where that tells more."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...exceptions import (
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
)
from ...info import FileInfo
from ...paths import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..place import Place

    Enter = Callable[[FileInfo], bool] | None

__all__ = ["Found", "Listings", "source_found", "target_found"]


class Found(NamedTuple):
    """What stands at a place (None: nothing); ``listing`` is that of a directory, already begun."""

    info: FileInfo | None
    listing: Iterator[FileInfo] | None = None


@dataclass(slots=True)
class Listings:
    """Listings that were begun to see what is there; whoever comes first gets them."""

    source: Iterator[FileInfo] | None = None
    target: Iterator[FileInfo] | None = None
    #: The errors that were overcome in doing so; the report tells of them.
    heard: list[BaseException] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def take_source(self) -> Iterator[FileInfo] | None:
        """That of the source, for whoever comes first."""
        found, self.source = self.source, None
        return found

    def take_target(self) -> Iterator[FileInfo] | None:
        """That of the target, for whoever comes first."""
        found, self.target = self.target, None
        return found


class _NotADirectory(Exception):  # noqa: N818 - says what was found, and never leaves this module
    pass


def _begun(place: Place, listing: Iterator[FileInfo]) -> Found:
    """A directory, by listing it: as many requests as a look costs, which are no loss."""
    try:
        first = next(listing, None)
    except StorageNotDirectoryError as error:
        raise _NotADirectory from error
    here = FileInfo(place.path, "directory")
    if first is None:
        return Found(here, iter(()))
    return Found(here, itertools.chain((first,), listing))


def source_found(place: Place, version: str | None, enter: Enter) -> Found:
    """What is to be copied; ``StorageNotFoundError`` where there is nothing."""
    if version is not None:
        return Found(_version_info(place, version))
    if place.mount.lists_at_once and _is_likely_directory(place.path):
        try:
            return _begun(place, place.mount.find_tree(place.path, enter=enter))
        except (_NotADirectory, StoragePermissionError):
            pass  # who may read a file, and not list, may copy it
        except StorageNotFoundError as error:
            raise _missing(place) from error
    try:
        info = place.mount.stat(place.path)
    except StorageNotFoundError as error:
        raise _missing(place) from error
    if info.type == "link":
        raise StorageNotFoundError(
            f"Source not found: {place} is a symbolic link that leads nowhere or out of the mount",
            node=str(place),
        )
    if info.type == "other":
        raise StorageValueError(
            f"{place}: not a regular file (a device, socket or pipe); nothing to copy",
            node=str(place),
        )
    return Found(info)


def _is_likely_directory(path: str) -> bool:
    """A guess, for the price of one request where it is wrong: files have extensions."""
    parts = split(path)
    return not parts or "." not in parts[-1]


def _missing(place: Place) -> StorageNotFoundError:
    return StorageNotFoundError(f"Source not found: {place}", node=str(place))


def _version_info(source: Place, version: str) -> FileInfo:
    """What is known about one version: never the size or time of the current content."""
    info = source.mount.stat_version(source.path, version)
    if info is not None:
        return info
    if not source.mount.capabilities.version_listing:
        return FileInfo(source.path, "file", version=version)
    for each in source.mount.versions(source.path):
        if each.version_id == version:
            return FileInfo(
                source.path,
                "file",
                size=each.size,
                mtime=each.last_modified.timestamp(),
                etag=each.etag,
                version=version,
            )
    raise StorageVersionError(f"{source}: no version {version!r}", node=str(source))


def target_found(target: Place, info: FileInfo, *, decides: bool, enter: Enter) -> Found:
    """What stands at the target; an error where the kinds do not fit.

    ``decides``: what is there decides what is copied, so that a directory will be listed. Who may
    write a file and not look, writes it, unless what is there decides.
    """
    mount, label = target.mount, str(target)
    if mount.capabilities.path_is_content:
        if info.type == "directory":
            raise StorageUnsupportedError(
                f"{label}: a directory cannot be copied to a mount whose paths are the content",
                node=label,
            )
        return Found(None)
    onto_file = f"{label}: a directory cannot be copied onto a file"
    if info.type == "directory" and decides and mount.lists_at_once:
        try:
            return _begun(target, mount.find(target.path, enter=enter))
        except StorageNotFoundError:
            return Found(None)
        except _NotADirectory as error:
            raise StorageNotDirectoryError(onto_file, node=label) from error
    try:
        found = mount.stat(target.path)
    except StorageNotFoundError:
        return Found(None)
    except StoragePermissionError:
        if info.type == "directory" or decides:
            raise
        return Found(None)
    if info.type == "directory" and found.type != "directory":
        raise StorageNotDirectoryError(onto_file, node=label)
    if info.type != "directory" and found.type == "directory":
        raise StorageIsDirectoryError(
            f"{label}: a file cannot be copied onto a directory; name the file inside it",
            node=label,
        )
    return Found(found)
