"""Many objects of a bucket, one after the other: what a listing has told is not asked again.

And what is the same for each of them is found out once.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ...info import Attributes, Coming
from ..object_stores.kept import MTIME, decimal
from .attributes import S3Attributes
from .fast_facts import as_attributes
from .metadata import MOST_METADATA, length_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...info import Checksum, FileInfo, Loaded
    from ..base import Backend
    from .filesystem import SmallFile

__all__ = ["ManyObjects"]

#: Bytes of metadata that are ours in the longest case: a time, an MD5, and a size.
_OURS = 128
#: So many content types are remembered.
_MOST_TYPES = 256
#: What ``Attributes`` has from ``cache_control`` on, apart from ``offered``, in most writes.
_HEADERS = Attributes._fields.index("cache_control")
_END = Attributes._fields.index("offered")
_NOTHING = (None,) * (_END - _HEADERS)
_NO_ATTRIBUTES = Attributes()


class _Prepared(NamedTuple):
    """What all uploads of one kind say beside what is each file's own, in obstore's words."""

    headers: Mapping[str, str]
    has_type: bool


class ManyObjects(S3Attributes):
    """The half of ``S3Backend`` for whoever moves many small files."""

    concurrency: ClassVar[int] = 16
    lists_at_once: ClassVar[bool] = True
    lists_times: ClassVar[bool] = False

    _prepared: dict[tuple[str | None, bool], _Prepared | None]

    def _digest(self, etag: str | None) -> Checksum | None:
        raise NotImplementedError

    def _missing(self, path: str) -> FileNotFoundError:
        raise NotImplementedError

    # -- reading ------------------------------------------------------------------------------

    def load(self, path: str) -> Loaded:
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        return self._loaded(path, lambda: self._store.load(self._full(path)))

    def load_each(self, paths: Sequence[str]) -> Coming[Loaded] | None:
        found = self._store.load_each([self._full(path) for path in paths]) if all(paths) else None
        return found and found.ended_by(paths, self._loaded)

    def _loaded(self, path: str, end: Callable[[], Loaded]) -> Loaded:
        try:
            return end()
        except FileNotFoundError:
            raise self._missing(path) from None

    def probable_checksum(self, info: FileInfo) -> Checksum | None:
        return info.checksum or (self._digest(info.etag) if info.type == "file" else None)

    # -- writing ------------------------------------------------------------------------------

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        asked = _NO_ATTRIBUTES if attributes is None else attributes
        small = None if if_absent else self._small(path, data, asked)
        if small is not None and self._store.put_small(*small):
            return None
        return super().write_bytes(path, data, if_absent=if_absent, attributes=attributes)

    def write_together(
        self,
        directory: str,
        files: Sequence[tuple[str, bytes, Attributes]],
        arrived: Callable[[int], bool],
    ) -> None:
        ready = self._made_ready(f"{directory}/" if directory else "", files)
        try:
            self._store.put_each(ready, arrived)
        finally:
            ready.clear()  # or the traceback of a failure would hold all of them

    def _made_ready(
        self, above: str, files: Sequence[tuple[str, bytes, Attributes]]
    ) -> list[SmallFile]:
        """The first of them, up to one that says more than most."""
        ready: list[SmallFile] = []
        with contextlib.suppress(OSError, ValueError):  # the file with that path says it by itself
            for name, data, asked in files:
                small = self._small(above + name, data, asked)
                if small is None:
                    break
                ready.append(small)
        return ready

    def _small(self, path: str, data: bytes, asked: Attributes) -> SmallFile | None:
        """None where it takes more than what most uploads of a small content say."""
        prepared = self._told_for(asked)
        if prepared is None:
            return None
        self._require_write(path, False)
        full, headers = self._full(path), dict(prepared.headers)
        if not prepared.has_type:
            headers["Content-Type"] = self._store.client.options.content_type_of(full)
        if asked.mtime is not None and self._keeps_time:
            headers[MTIME] = decimal(asked.mtime)
        return full, data if type(data) is bytes else bytes(data), headers

    def _told_for(self, asked: Attributes) -> _Prepared | None:
        """None where it is to be told in full, as for metadata of a file's own."""
        if asked.metadata or asked[_HEADERS:_END] != _NOTHING:
            return None
        kind = asked.content_type, asked.offered
        try:
            return self._prepared[kind]
        except KeyError:
            pass
        if len(self._prepared) >= _MOST_TYPES:
            self._prepared.clear()
        found = self._prepared[kind] = self._find_out(asked._replace(mtime=None))
        return found

    def _find_out(self, asked: Attributes) -> _Prepared | None:
        options = self._put_options(asked)
        told = as_attributes(options)
        if (
            told is None
            or told[1]
            or length_of(options.get("Metadata", {})) > MOST_METADATA - _OURS
        ):
            return None
        return _Prepared(told[0], "ContentType" in options)

    # -- copying ------------------------------------------------------------------------------

    def copy_listed(self, info: FileInfo, target: str, origin: Backend | None) -> None:
        source = self if origin is None else origin
        assert isinstance(source, S3Attributes)
        self._require_write(target, False)
        here, there = source._full(info.path), self._full(target)
        if here == there and source._store.client.bucket == self._store.client.bucket:
            return
        with source._reading(info.path):
            self._store.copy_listed(info, here, there, self._new_copy(), source._store)
