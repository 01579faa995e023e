"""What a node does with its content: open, read, write, hash, compare, encode, download."""

from __future__ import annotations

import base64
import io
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Unpack

from .. import content
from ..attributes import parse_write_options
from ..durations import in_seconds
from ..exceptions import (
    StorageExistsError,
    StorageIsDirectoryError,
    StorageNotFoundError,
    StorageValueError,
)
from ..handles import BinaryUpdater, TextHandle
from .facts import NodeFacts
from .modes import OpenMode, parse_mode

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from ..info import Attributes, WriteOptions

__all__ = ["NodeContents"]

_BLOCK = 1024 * 1024


class NodeContents(NodeFacts):
    """The content half of :class:`~genro_storage.StorageNode`."""

    __slots__ = ()

    # -- opening ------------------------------------------------------------------------------

    def open(
        self,
        mode: str = "r",
        version: int | str | None = None,
        as_of: datetime | None = None,
        *,
        encoding: str = "utf-8",
        errors: str | None = None,
        newline: str | None = None,
        **options: Unpack[WriteOptions],
    ) -> IO[Any]:
        """A file object, in the modes of the builtin ``open``.

        A write becomes visible whole when the handle is closed; an exception inside ``with``
        leaves the old content. ``r+``, ``w+`` and ``a+`` work on a private copy that replaces the
        file at the end. ``version`` (index or id) and ``as_of`` (a time; naive means UTC) read
        the past where the backend keeps versions. What writes takes the keywords of ``write_bytes``;
        ``StorageConflictError`` then comes at the end.

        Raises ``StorageNotFoundError`` for ``r`` on nothing, ``StorageExistsError`` for ``x`` on
        something, ``StorageUnsupportedError`` for ``a`` or a version that the mount cannot do.
        """
        wanted = parse_mode(mode, self._label)
        chosen = self._version_to_open(wanted, version, as_of)
        if options and not wanted.writes:
            raise StorageValueError(
                f"{self._label}: {', '.join(sorted(options))} belong to writing, not to mode {mode!r}"
            )
        binary = self._open_binary(wanted, chosen, options)
        if wanted.binary:
            return binary
        return TextHandle(binary, encoding=encoding, errors=errors, newline=newline)

    def _open_binary(
        self, wanted: OpenMode, version: str | None, options: WriteOptions
    ) -> IO[bytes]:
        mount, path = self._mount, self._path
        if not wanted.writes:
            return mount.open_read(path, version=version)
        attributes, if_absent, if_match = parse_write_options(options, self._label)
        if_absent = if_absent or wanted.action == "x"
        if if_match is not None and (if_absent or wanted.action == "a"):
            raise StorageValueError(
                f"{self._label}: if_match replaces what is there; use the mode 'w' or 'r+'",
                node=self._label,
            )
        self._info = None
        if wanted.update:
            return self._open_update(wanted, attributes, if_absent, if_match)
        if if_match is not None:
            return mount.open_write_if_match(
                path, if_match, attributes=attributes, on_commit=self._changed
            )
        return mount.open_write(
            path,
            append=wanted.action == "a",
            if_absent=if_absent,
            attributes=attributes,
            on_commit=self._changed,
        )

    def _open_update(
        self,
        wanted: OpenMode,
        attributes: Attributes | None,
        if_absent: bool,
        if_match: str | None,
    ) -> BinaryUpdater:
        mount, path, action = self._mount.bind(), self._path, wanted.action
        mount.require_write(path, "updating")
        mount.require_attributes(path, attributes)
        try:
            kind = mount.stat(path).type
        except StorageNotFoundError:
            kind = None
            if action == "r":
                raise
        if kind == "directory":
            raise StorageIsDirectoryError(f"{self._label}: is a directory", node=self._label)
        if kind is not None and if_absent:
            raise StorageExistsError(f"{self._label}: already exists", node=self._label)

        def publish(stream: BinaryIO) -> str | None:
            with (
                mount.open_write(path, if_absent=if_absent, attributes=attributes)
                if if_match is None
                else mount.open_write_if_match(path, if_match, attributes=attributes)
            ) as sink:
                while chunk := stream.read(_BLOCK):
                    sink.write(chunk)
            self._changed(sink.new_path)
            return sink.new_path

        fresh = kind is None or action == "w"
        updater = BinaryUpdater(self._label, publish, appends=action == "a", fresh=fresh)
        if not fresh:
            try:
                with mount.open_read(path) as existing:
                    updater.load(existing)
            except BaseException:
                updater.abort()
                raise
        return updater

    # -- reading and writing ------------------------------------------------------------------

    def read(self, mode: str = "r", encoding: str = "utf-8") -> Any:
        """The whole content: text for ``"r"``, bytes for ``"rb"``; raises as ``read_text`` does."""
        if mode == "rb":
            return self.read_bytes()
        if mode != "r":
            raise StorageValueError(
                f"{self._label}: read(mode={mode!r}); use 'r' or 'rb'", node=self._label
            )
        return self.read_text(encoding)

    def read_bytes(self) -> bytes:
        """The whole content, in memory.

        Raises ``StorageNotFoundError``, or ``StorageIsDirectoryError`` for a directory.
        """
        if self._snapshot is None:
            return self._mount.read_bytes(self._path)
        return self._mount.read_bytes(self._path, version=self._version_id())

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole content as text; every kind of line end becomes a newline.

        Raises as ``read_bytes`` does, and ``StorageValueError`` where it is not ``encoding`` text.
        """
        data = self.read_bytes()
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise StorageValueError(
                f"{self._label}: is not {encoding} text ({error}); read_bytes() reads anything",
                node=self._label,
            ) from error
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text

    def write(
        self,
        data: str | bytes,
        mode: str = "w",
        encoding: str = "utf-8",
        skip_if_unchanged: bool = False,
        **options: Unpack[WriteOptions],
    ) -> bool:
        """Replace the content: text with ``"w"``, bytes with ``"wb"``; as the ``write_*`` do."""
        if mode == "wb":
            if isinstance(data, str):
                raise TypeError(f"{self._label}: write(mode='wb') needs bytes, not str")
            return self.write_bytes(data, skip_if_unchanged, **options)
        if mode != "w":
            raise StorageValueError(
                f"{self._label}: write(mode={mode!r}); use 'w' or 'wb'", node=self._label
            )
        if not isinstance(data, str):
            kind = type(data).__name__
            raise TypeError(f"{self._label}: write() needs str, not {kind}; add mode='wb'")
        return self.write_text(data, encoding, skip_if_unchanged, **options)

    def write_text(
        self,
        text: str,
        encoding: str = "utf-8",
        skip_if_unchanged: bool = False,
        **options: Unpack[WriteOptions],
    ) -> bool:
        """Replace the content by text; True where written, False where it was skipped.

        ``TypeError`` for anything but ``str``; otherwise as ``write_bytes``.
        """
        if not isinstance(text, str):
            raise TypeError(f"write_text needs str, not {type(text).__name__}; use write_bytes")
        try:
            data = text.encode(encoding)
        except (UnicodeEncodeError, LookupError) as error:
            raise StorageValueError(
                f"{self._label}: the text cannot be written as {encoding} ({error})",
                node=self._label,
            ) from error
        return self.write_bytes(data, skip_if_unchanged, **options)

    def write_bytes(
        self, data: bytes, skip_if_unchanged: bool = False, **options: Unpack[WriteOptions]
    ) -> bool:
        """Replace the content, making parents; True where written.

        With ``skip_if_unchanged``, a file that holds exactly ``data`` is left alone and the
        answer is False. A file that cannot be read for the comparison raises. So do a mount that
        may not be written (``StoragePermissionError``) and anything but bytes (``TypeError``).

        ``content_type``, ``metadata``, ``cache_control``, ``tags`` and the other names of
        ``WriteOptions`` are kept with the file; what the mount cannot keep raises
        ``StorageUnsupportedError``. ``if_absent=True`` raises ``StorageExistsError`` where something
        is, ``if_match=etag`` a ``StorageConflictError`` where the file has another ETag by now.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"write_bytes needs bytes, not {type(data).__name__}; use write_text")
        self._refuse_snapshot()
        attributes, if_absent, if_match = None, False, None
        if options:
            attributes, if_absent, if_match = parse_write_options(options, self._label)
        here = self._bound() if skip_if_unchanged else self
        if skip_if_unchanged:
            here._mount.require_write(self._path)
            if here._holds(data):
                return False
        if if_match is not None:
            here._mount.write_if_match(self._path, bytes(data), if_match, attributes=attributes)
            self._changed()
            return True
        self._changed(
            here._mount.write_bytes(self._path, data, if_absent=if_absent, attributes=attributes)
        )
        return True

    def _holds(self, data: bytes) -> bool:
        try:
            info = self._mount.stat(self._path)
            if info.type != "file" or (info.size is not None and info.size != len(data)):
                return False
            known = self._mount.checksum(info)
            if known is not None:
                return content.digest(io.BytesIO(data), known.algorithm) == known.hexdigest
            return self._mount.read_bytes(self._path) == data
        except StorageNotFoundError:
            return False

    # -- content ------------------------------------------------------------------------------

    @property
    def md5hash(self) -> str:
        """The MD5 of the content, 32 lowercase hex digits; from metadata where it is truly one.

        Raises as :meth:`digest` does.
        """
        return self.digest("md5")

    def digest(self, algorithm: str = "md5") -> str:
        """The hex digest by any algorithm of ``hashlib`` with a fixed length.

        Reads the file unless the storage knows that very digest. Raises ``StorageNotFoundError``,
        ``StorageIsDirectoryError`` (a ValueError), ``StorageValueError`` for an unknown algorithm.

        >>> from genro_storage import StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{"name": "m", "type": "memory"}])
        >>> storage.node("m:a").write_text("abc")
        True
        >>> storage.node("m:a").digest("sha256")[:16]
        'ba7816bf8f01cfea'
        """
        return self._bound()._digest(algorithm)

    def _digest(self, algorithm: str) -> str:
        info = self.stat()
        if info.type == "directory":
            raise StorageIsDirectoryError(
                f"{self._label}: Cannot compute hash of directory", node=self._label
            )
        # Asking the storage would ask about the current content, not about this version's.
        known = self._mount.checksum(info) if self._snapshot is None else info.checksum
        if known is not None and known.algorithm == algorithm:
            return known.hexdigest
        return self._read_digest(algorithm)

    def _read_digest(self, algorithm: str) -> str:
        with self._mount.open_read(self._path, version=self._version_id()) as stream:
            return content.digest(stream, algorithm)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NodeContents):
            return NotImplemented
        if self is other or self._is_identical(other):
            return True
        here = self._bound()
        return here._has_content_of(other._bound(here))

    def _has_content_of(self, other: NodeContents) -> bool:
        ours, theirs = self._stat_or_none(), other._stat_or_none()
        if ours is None or theirs is None or ours.type != "file" or theirs.type != "file":
            return False
        if ours.size is not None and theirs.size is not None and ours.size != theirs.size:
            return False
        if self._snapshot is None and other._snapshot is None:
            known, there = self._mount.checksum(ours), other._mount.checksum(theirs)
            if known is not None and there is not None and known.algorithm == there.algorithm:
                return known.hexdigest == there.hexdigest
            if known is not None and there is None and content.is_algorithm(known.algorithm):
                return other._read_digest(known.algorithm) == known.hexdigest
            if there is not None and known is None and content.is_algorithm(there.algorithm):
                return self._read_digest(there.algorithm) == there.hexdigest
            if self._mount.has_content_of(ours, other._mount, theirs):
                return True
        return self._reads_like(other)

    def _is_identical(self, other: NodeContents) -> bool:
        return (
            self._mount is other._mount
            and self._path == other._path
            and self._snapshot == other._snapshot
        )

    def _reads_like(self, other: NodeContents) -> bool:
        with (
            self._mount.open_read(self._path, version=self._version_id()) as ours,
            other._mount.open_read(other._path, version=other._version_id()) as theirs,
        ):
            while True:
                chunk = ours.read(_BLOCK)
                if chunk != theirs.read(_BLOCK):
                    return False
                if not chunk:
                    return True

    def __hash__(self) -> int:
        raise TypeError(
            f"{type(self).__name__}({self._label!r}) is not hashable, because == compares contents; "
            "use node.fullpath as the key"
        )

    def to_base64(self, mime: str | None = None, include_uri: bool = True) -> str:
        """The content in base64, as a ``data:`` URI (RFC 2397) unless ``include_uri`` is False.

        ``mime`` replaces the content type that the suffix says. Raises ``StorageNotFoundError``,
        or ``StorageIsDirectoryError`` (a ValueError) for a directory.
        """
        here = self._bound()
        if here.stat().type == "directory":
            raise StorageIsDirectoryError(
                f"{self._label}: Cannot encode directory", node=self._label
            )
        data = here.read_bytes()
        if include_uri:
            return content.data_uri(data, mime or self.mimetype)
        return base64.b64encode(data).decode("ascii")

    def fill_from_url(
        self,
        url: str,
        timeout: float | timedelta | str = 30,
        *,
        deadline: float | timedelta | str | None = 600.0,
        max_size: int | None = 5 * 1024**3,
        allow_private: bool = False,
    ) -> None:
        """Download ``url`` (http, https) into this file, streaming; the old content stays on error.

        ``timeout`` bounds each wait and ``deadline`` the whole (seconds, or a duration as ``"30s"``),
        ``max_size`` the bytes.
        Hosts with private addresses are refused (``StoragePermissionError``) unless
        ``allow_private``. Raises ``StorageValueError`` for an unusable URL, and an ``OSError`` of
        ours whose text begins with "Failed to download" for every failure on the way.
        """
        # Few programs download; the others need not load an HTTP client.
        from ..fetch import open_url

        self._refuse_snapshot()
        self._mount.require_write(self._path, "downloading into it")
        with (
            open_url(
                url,
                timeout=_seconds(timeout, "timeout", self._label),
                deadline=_seconds(deadline, "deadline", self._label),
                max_size=max_size,
                allow_private=allow_private,
            ) as body,
            self._mount.open_write(self._path, on_commit=self._changed) as sink,
        ):
            while chunk := body.read(_BLOCK):
                sink.write(chunk)


def _seconds(value: object, name: str, node: str) -> Any:
    try:
        return in_seconds(value, name)
    except ValueError as error:
        raise StorageValueError(f"{node}: {error}", node=node) from None
