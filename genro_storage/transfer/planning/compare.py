"""Whether two files are the same: by what their listings tell, then by asking, then by reading."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from ...info import Checksum
from .rules import UNDECIDED, Undecided, are_times_equal

if TYPE_CHECKING:
    from ...info import FileInfo
    from ...mount import Mount
    from ..place import Place
    from .checksums import ChecksumCache
    from .rules import SkipFunction

__all__ = ["Comparison", "naming", "same_content"]

CHUNK = 1024 * 1024


class Comparison:
    """The files of two places, compared; from any thread.

    The ``listed_…`` methods ask nothing, and answer ``UNDECIDED`` where that is not enough.
    ``version`` is that of the source. ``cache`` remembers the digests of local files.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        *,
        version: str | None = None,
        cache: ChecksumCache | None = None,
    ) -> None:
        self._source = source.mount
        self._target = target.mount
        self._version = version
        self._cache = cache
        #: Whether the files of a mount are on this machine, as its first one was.
        self._here: dict[Mount, bool] = {}

    # -- contents -----------------------------------------------------------------------------

    def listed_same(
        self, ours: FileInfo, theirs: FileInfo
    ) -> Checksum | Literal[Undecided.UNDECIDED] | None:
        """The checksum that both have by their listings; None where they surely differ."""
        found = _told_same(ours, theirs)
        if found is UNDECIDED and self._version is None:
            probable = ours.checksum or self._source.probable_checksum(ours)
            if probable is not None and probable == (
                theirs.checksum or self._target.probable_checksum(theirs)
            ):
                return probable
        return found

    def same(self, ours: FileInfo, theirs: FileInfo) -> Checksum | None:
        """The checksum that both files have, or None where they differ.

        Sizes first, then what both storages know without reading (the same algorithm), then
        reading: only the side that needs it. A file that cannot be read raises: it is not
        "different".
        """
        found = _told_same(ours, theirs)
        if found is not UNDECIDED:
            return found
        source, target, version = self._source, self._target, self._version
        if version is None:
            mine, its = source.probable_checksum(ours), target.probable_checksum(theirs)
            probable = ours.checksum or mine
            if probable is not None and probable == (theirs.checksum or its):
                return probable
            proof = self._proof(mine, target, theirs) or self._proof(its, source, ours)
            if proof is not None:
                return proof
        # Asking the storage would ask about the current content, not about this version's.
        known = ours.checksum if version else source.checksum(ours)
        there = target.checksum(theirs)
        if (
            version is None
            and (known is None or there is None)
            and source.has_content_of(ours, target, theirs)
        ):
            return Checksum("etag", ours.etag or theirs.etag or "")
        if known is None and there is None and self._cache is None:
            return _same_when_read(source, ours, target, theirs, version)
        algorithm = _common_algorithm(known, there)
        if known is None or known.algorithm != algorithm:
            known = self._digest(source, ours, algorithm, version)
        if there is None or there.algorithm != algorithm:
            there = self._digest(target, theirs, algorithm, None)
        return known if known.hexdigest == there.hexdigest else None

    def _proof(self, probable: Checksum | None, local: Mount, named: FileInfo) -> Checksum | None:
        """The probable checksum of a stored file, where a file of this machine has it.

        Reading that one costs less than asking the store whether its ETag is a digest. Where it
        is another one, nothing is known yet.
        """
        if (
            probable is None
            or probable.algorithm not in hashlib.algorithms_available
            or not self._is_here(local, named.path)
        ):
            return None
        return (
            probable if self._digest(local, named, probable.algorithm, None) == probable else None
        )

    def _is_here(self, mount: Mount, path: str) -> bool:
        found = self._here.get(mount)
        if found is None:
            found = self._here[mount] = mount.local_path(path) is not None
        return found

    def _digest(
        self, mount: Mount, info: FileInfo, algorithm: str, version: str | None
    ) -> Checksum:
        cache = self._cache if version is None else None
        local = None if cache is None else mount.local_path(info.path)
        if cache is None or local is None:
            return digest(mount, info, algorithm, version)
        return cache.get(local, algorithm, lambda: digest(mount, info, algorithm, None))

    # -- times --------------------------------------------------------------------------------

    def listed_same_time(
        self, ours: FileInfo, theirs: FileInfo
    ) -> bool | Literal[Undecided.UNDECIDED] | None:
        """Whether both were modified at one time, by their listings; None: one does not say."""
        if ours.mtime is None or theirs.mtime is None:
            return None
        if are_times_equal(ours.mtime, theirs.mtime):
            return True
        if not self._source.lists_times or not self._target.lists_times:
            return UNDECIDED
        return self._is_written_since(ours.mtime, theirs.mtime)

    def same_time(self, ours: FileInfo, theirs: FileInfo) -> bool | None:
        """Whether both were modified at one time, also where a request is needed to know it.

        A store that keeps no times tells when a file was written: since the source was modified,
        which is as much as can be known.
        """
        found = self.listed_same_time(ours, theirs)
        if found is not UNDECIDED:
            return found
        here, there = ours.mtime, theirs.mtime
        if not self._source.lists_times:
            here = self._source.descriptor(ours.path).mtime
        if not self._target.lists_times:
            kept = self._target.descriptor(theirs.path).mtime
            if kept == there:  # the store's own time: whoever wrote it has kept none
                return here is not None and there is not None and there >= here
            there = kept
        if here is None or there is None:
            return None
        return are_times_equal(here, there) or self._is_written_since(here, there)

    def _is_written_since(self, ours: float, theirs: float) -> bool:
        return not self._target.keeps_times and theirs >= ours


def _told_same(ours: FileInfo, theirs: FileInfo) -> Checksum | Literal[Undecided.UNDECIDED] | None:
    """The checksum that both have; None where they surely differ, by what was told of them."""
    left, right = ours.size, theirs.size
    if left is not None and right is not None and left != right:
        return None
    known, there = ours.checksum, theirs.checksum
    if known is not None and there is not None and known.algorithm == there.algorithm:
        return known if known == there else None
    return UNDECIDED


def same_content(
    source: Place,
    source_info: FileInfo,
    target: Place,
    target_info: FileInfo,
    *,
    version: str | None = None,
) -> Checksum | None:
    """The checksum that both files have, or None where they differ: see ``Comparison.same``."""
    return Comparison(source, target, version=version).same(source_info, target_info)


def _common_algorithm(known: Checksum | None, there: Checksum | None) -> str:
    if known is not None and there is not None and known.algorithm == there.algorithm:
        return known.algorithm
    named = [each.algorithm for each in (known, there) if each is not None]
    readable = [each for each in named if each in hashlib.algorithms_available]
    return "md5" if "md5" in readable or not readable else readable[0]


def _same_when_read(
    source: Mount, source_info: FileInfo, target: Mount, target_info: FileInfo, version: str | None
) -> Checksum | None:
    """Compare block by block: it ends at the first difference, and only one side is hashed."""
    left, right = source_info.size, target_info.size
    if left is not None and left == right and left <= CHUNK:
        content = source.read_bytes(source_info.path, version=version)
        if content != target.read_bytes(target_info.path):
            return None
        return Checksum("md5", hashlib.md5(content, usedforsecurity=False).hexdigest())
    digester = hashlib.md5(usedforsecurity=False)
    with (
        source.open_read(source_info.path, version=version) as ours,
        target.open_read(target_info.path) as theirs,
    ):
        while True:
            block = ours.read(CHUNK)
            if block != theirs.read(CHUNK):
                return None
            if not block:
                return Checksum("md5", digester.hexdigest())
            digester.update(block)


def digest(mount: Mount, info: FileInfo, algorithm: str, version: str | None = None) -> Checksum:
    """The digest of a file's content, which is read for it."""
    if info.size is not None and info.size <= CHUNK:
        content = mount.read_bytes(info.path, version=version)
        if algorithm == "md5":  # found by its name it takes twice as long
            digester = hashlib.md5(content, usedforsecurity=False)
        else:
            digester = hashlib.new(algorithm, content, usedforsecurity=False)
    else:
        digester = hashlib.new(algorithm, usedforsecurity=False)
        with mount.open_read(info.path, version=version) as reader:
            while chunk := reader.read(CHUNK):
                digester.update(chunk)
    return Checksum(algorithm, digester.hexdigest())


def naming(skip_fn: SkipFunction, source: Place) -> SkipFunction:
    """The function, whose errors say of which file it was asked."""

    def compare(ours: FileInfo, theirs: FileInfo) -> object:
        try:
            return skip_fn(ours, theirs)
        except Exception as error:  # the user's own, with a note
            error.add_note(f"skip_fn failed for {source.mount.label(ours.path)}; it was not copied")
            raise

    return compare
