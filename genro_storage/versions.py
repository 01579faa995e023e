"""Choosing among the versions of one file. Pure: values in, values out, no I/O.

Every function takes the versions oldest first, as ``order`` returns them. A delete marker (S3)
stands for "the file was missing from here on": it has a place in time, but no content, so no
index counts it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .exceptions import StorageValueError, StorageVersionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .info import FileVersion

__all__ = ["as_of", "by_id", "by_index", "check_version", "check_when", "duplicates", "order"]


def order(versions: Iterable[FileVersion]) -> list[FileVersion]:
    """Oldest first. Equal timestamps keep the order in which the storage listed them.

    Stores keep whole seconds, so several versions often share one; and a multipart upload is
    dated by its beginning. The storage's own word for the latest one therefore beats the clock.
    """
    return sorted(versions, key=lambda version: (version.is_latest, version.last_modified))


def check_version(version: object, *, node: str) -> None:
    """``StorageValueError`` for what names no version: neither an index nor an id."""
    if isinstance(version, bool) or not isinstance(version, int | str) or version == "":
        raise StorageValueError(
            f"{node}: version is {version!r}; give an index (-1 the latest) or the id of one, "
            "as node.versions lists them",
            node=node,
        )


def check_when(when: object, *, node: str) -> None:
    """``StorageValueError`` for what is no point in time."""
    if not isinstance(when, datetime):
        raise StorageValueError(f"{node}: as_of is {when!r}; give a datetime", node=node)


def by_index(
    versions: Sequence[FileVersion], index: int, *, node: str | None = None
) -> FileVersion:
    """The version at a position: -1 the latest, -2 the one before, 0 the oldest.

    ``StorageVersionError`` (an ``IndexError``) where there is none; ``node`` is for its text.
    """
    readable = [version for version in versions if not version.is_delete_marker]
    if not readable:
        raise StorageVersionError(_say(node, "No versions available"), node=node)
    try:
        return readable[index]
    except IndexError:
        count = len(readable)
        text = (
            f"version index {index} is out of range: there are {count} versions, "
            f"0 (oldest) to {count - 1}, or -1 (latest) to -{count}"
            if count > 1
            else f"version index {index} is out of range: there is one version, 0 or -1"
        )
        raise StorageVersionError(_say(node, text), node=node) from None


def by_id(
    versions: Iterable[FileVersion], version_id: str, *, node: str | None = None
) -> FileVersion:
    """The version with this id; ``StorageVersionError`` where none has it, or it has no content."""
    for version in versions:
        if version.version_id == version_id:
            if version.is_delete_marker:
                text = f"version {version_id!r} is a delete marker and has no content"
                raise StorageVersionError(_say(node, text), node=node)
            return version
    text = f"there is no version {version_id!r}; node.versions lists those that exist"
    raise StorageVersionError(_say(node, text), node=node)


def as_of(versions: Sequence[FileVersion], when: datetime) -> FileVersion | None:
    """What a reader got at ``when``: the newest version dated at or before it.

    None where the file did not exist then: before its first version, or behind a delete marker.
    A naive ``when`` is taken as UTC.
    """
    moment = when.replace(tzinfo=UTC) if when.utcoffset() is None else when
    for version in reversed(versions):
        if version.last_modified <= moment:
            return None if version.is_delete_marker else version
    return None


def duplicates(
    versions: Sequence[FileVersion],
    *,
    keep_latest: bool = False,
    alike: Callable[[FileVersion, FileVersion], bool] | None = None,
) -> list[FileVersion]:
    """Versions that repeat the content of the one just before them, oldest first.

    Of A A B B A these are the second A and the second B: going back to A was a change. Only a
    checksum, or a strong ETag of equal size, proves equality; an unknown or weak one
    (RFC 9110 §8.8.1) does not. ``alike`` is asked about those of equal content, whether all else
    is equal too. With ``keep_latest``, the latest version is not among them: what it repeats is.
    """
    found: list[FileVersion] = []
    kept: FileVersion | None = None
    for version in versions:
        same = kept is not None and _same_content(kept, version)
        if kept is None or not (same and (alike is None or alike(kept, version))):
            kept = version
        elif keep_latest and version.is_latest:
            found.append(kept)
        else:
            found.append(version)
    return found


def _same_content(older: FileVersion, newer: FileVersion) -> bool:
    if older.is_delete_marker or newer.is_delete_marker:
        return False
    ours, theirs = older.checksum, newer.checksum
    if ours is not None and theirs is not None and ours.algorithm == theirs.algorithm:
        return ours == theirs
    if not older.etag or older.etag != newer.etag or older.etag.startswith("W/"):
        return False
    return older.size is None or newer.size is None or older.size == newer.size


def _say(node: str | None, text: str) -> str:
    return text if node is None else f"{node}: {text}"
