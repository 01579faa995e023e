"""Whether what has arrived is what was copied (``verify=``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...exceptions import StorageChangedError, StorageNotFoundError
from ..planning.rules import are_times_equal
from .attempting import UnverifiedError

if TYPE_CHECKING:
    from ...info import FileInfo
    from ..place import Place
    from ..planning.compare import Comparison
    from ..terms import Terms

__all__ = ["require_arrived"]


def require_arrived(
    source: Place,
    info: FileInfo,
    target: Place,
    terms: Terms,
    count: int,
    comparison: Comparison,
) -> None:
    """Compare what has arrived as ``terms`` ask; ``UnverifiedError`` where it is another content.

    ``info`` is the source as its listing told it, and ``count`` how many bytes were copied.
    ``StorageChangedError`` where the two differ because the source is another by now.
    """
    found = target.mount.stat(target.path)
    if terms.verify == "checksum":
        same = comparison.same(info, found) is not None
    else:
        same = found.size is not None and found.size == count
    if same:
        return
    label, origin = target.mount.label(target.path), source.mount.label(source.path)
    if terms.version is None and _has_changed(source, info):
        raise StorageChangedError(
            f"{origin}: changed while it was being copied; what has arrived as {label} could "
            "not be compared with it. Copy it again",
            node=origin,
        )
    error = UnverifiedError(
        f"{label}: is not what was copied from {origin} (compared by {terms.verify}), which has "
        "not changed meanwhile: the storage, or something on the way, has damaged it",
        node=label,
    )
    error.path = target.path
    raise error


def _has_changed(source: Place, info: FileInfo) -> bool:
    """Whether the source is by now another file than its listing has told."""
    try:
        now = source.mount.stat(source.path)
    except StorageNotFoundError:
        return True
    if now.type != "file" or now.size != info.size:
        return True
    if now.etag is not None and info.etag is not None:
        return now.etag != info.etag
    both = now.mtime is not None and info.mtime is not None
    return both and not are_times_equal(now.mtime or 0, info.mtime or 0)
