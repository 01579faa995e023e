"""Many writes to an archive that cost one: it is written anew once for all of them."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING, BinaryIO

from ...info import FileInfo
from ...paths import parent_of
from ..batches import Batch
from .changes import Gathering, Wanted, plan_several
from .deposits import Deposits
from .sources import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...capabilities import BackendCapabilities
    from ...info import Attributes
    from ..fsspec_write import Content
    from .writing import WritableArchive

__all__ = ["ArchiveBatch"]

#: Bytes of compressed content that are held, in a file without a name, before they are published.
MOST = 1024**3
#: Seconds that content is held at least, as long as it is not that much.
AT_LEAST = 1.0
#: How many times as long collecting takes as publishing, so that whatever the archive's size and
#: the speed of where it lies, at most a tenth of the time goes into writing it anew.
SHARE = 10.0


class ArchiveBatch(Deposits, Batch):
    """Files and directories for one archive. Its contents are compressed as they come."""

    def __init__(self, archive: WritableArchive) -> None:
        self._archive = archive
        self._lock = threading.RLock()
        self._cost = 0.0
        self._clear()

    def _clear(self) -> None:
        self._since = time.monotonic()
        self._wanted: list[Wanted] = []
        self._spool = Spool()
        self._known: Gathering | None = None

    def _gathering(self) -> Gathering:
        """What is held, on the archive as it was when the first of it came."""
        if self._known is None:
            self._known = Gathering(self._archive._index().tree)
        return self._known

    @property
    def capabilities(self) -> BackendCapabilities:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the archive."""
        return self._archive.capabilities

    # -- the batch ----------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._wanted

    @property
    def is_due(self) -> bool:
        if self.is_empty:
            return False
        held = time.monotonic() - self._since
        return self._spool.size >= MOST or held >= max(AT_LEAST, SHARE * self._cost)

    def publish(self) -> None:
        with self._lock:
            if self._wanted:
                started = time.monotonic()
                self._archive._rewrite(lambda tree: plan_several(tree, self._wanted))
                self._cost = time.monotonic() - started
            self.discard()

    def discard(self) -> None:
        with self._lock:
            self._spool.close()
            self._clear()

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        with self._lock:
            found = self._gathering().find(path)
        if found is None:
            return self._archive.stat(path)
        if found.directory:
            return FileInfo(path, "directory", mtime=found.mtime)
        return FileInfo(path, "file", size=found.prepared.size, mtime=found.mtime)

    def scan(self, path: str) -> Iterator[FileInfo]:
        return self._archive.scan(path)

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        return self._archive.open_read(path, version=version)

    # -- collecting ---------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        self._archive._check_path(path)
        with self._lock:
            if self._is_there(path):
                raise FileExistsError(errno.EEXIST, "already exists", path)
            if not self._is_there(parent_of(path)):
                raise FileNotFoundError(errno.ENOENT, "the directory above is missing", path)
            self._add(Wanted(path, directory=True))

    def make_parents(self, path: str) -> None:
        above = parent_of(path)
        self._archive._check_path(above)
        with self._lock:
            if above and not self._is_directory(above):
                self._add(Wanted(above, directory=True))

    def remove(self, path: str) -> None:
        raise self._unsupported("deleting while files are being collected")

    def _is_there(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileNotFoundError:
            return False
        return True

    def _is_directory(self, path: str) -> bool:
        return self._is_there(path) and self.stat(path).type == "directory"

    def _check_write(self, path: str, if_absent: bool) -> None:
        self._archive._require_writable()
        with self._lock:
            self._gathering().check(Wanted(path, if_absent=if_absent))
        self._archive._check_path(path)

    def _store(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        with self._lock:
            prepared = self._archive._prepare(content, self._spool.part())
            self._add(Wanted(path, False, prepared, if_absent, attributes))

    def _add(self, wanted: Wanted) -> None:
        gathering = self._gathering()
        change = gathering.check(wanted)
        # Here rather than in the end, where it would cost what came before, too.
        self._archive._limits.check_count(gathering.count_with(change))
        gathering.note(change)
        self._wanted.append(wanted)
