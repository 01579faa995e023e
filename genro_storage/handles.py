"""The file objects that a mount hands out: buffered, translated, whole or not at all.

Reading and writing go through the C buffers of :mod:`io`; only the raw layer below them is
Python, so that an error is translated without a price per call. An exception inside ``with``, a
failed write, or a handle that is dropped without ``close()`` leaves the old content in place.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, Protocol, cast

from .draining import DescriptorSink, TargetFailedError
from .exceptions import StorageError, translate, translating
from .temporary_files import TemporaryFile, tempdir_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from .backends.base import WriteHandle
    from .draining import Drained
    from .info import Attributes

__all__ = ["BinaryUpdater", "BinaryWriter", "TextHandle", "Transaction", "open_reader"]

BUFFER = 128 * 1024
_log = logging.getLogger("genro_storage")


class Transaction(Protocol):
    """What every handle that writes has beside the usual file methods."""

    new_path: str | None

    def abort(self) -> None: ...


class _Seekable(Protocol):
    def seek(self, offset: int, whence: int = ..., /) -> int: ...

    def tell(self) -> int: ...


def _seek(stream: _Seekable, offset: int, whence: int) -> int:
    """Seek as in a file of the system: ``BytesIO`` would go to 0 for what lies before the start."""
    if offset < 0 and whence in (io.SEEK_CUR, io.SEEK_END):
        here = stream.tell()
        base = here if whence == io.SEEK_CUR else stream.seek(0, io.SEEK_END)
        if base + offset < 0:
            stream.seek(here)
            raise ValueError(f"{base + offset} is a position before the start of the file")
        offset, whence = base + offset, io.SEEK_SET
    return stream.seek(offset, whence)


class _RawReader(io.RawIOBase):
    """A backend's stream with its errors in the user's words."""

    def __init__(self, inner: BinaryIO, node: str) -> None:
        super().__init__()
        self._inner = inner
        self.name = node

    @property
    def kept(self) -> Attributes | None:
        """What was kept with the content, as far as opening it has told; None where it tells none."""
        found: Attributes | None = getattr(self._inner, "kept", None)
        return found

    def drain(self, sink: DescriptorSink) -> bool:
        """All of the content into ``sink``; False where it is to be read instead."""
        if not hasattr(self._inner, "drain"):
            return False
        try:
            return cast("Drained", self._inner).drain(sink)
        except TargetFailedError:
            raise  # the writer's, who says so in its own words
        except Exception as error:
            if isinstance(error, StorageError):
                raise
            raise translate(error, node=self.name, action="reading") from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._inner.seekable()

    def readinto(self, buffer: Any) -> int:
        with translating(self.name, "reading"):
            readinto = getattr(self._inner, "readinto", None)
            if readinto is not None:
                return readinto(buffer) or 0
            data = self._inner.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with translating(self.name, "seeking"):
            return _seek(self._inner, offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def fileno(self) -> int:
        return self._inner.fileno()

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        with translating(self.name, "reading"):
            self._inner.close()


def open_reader(inner: BinaryIO, node: str) -> io.BufferedReader:
    """A buffered reader over a backend's stream."""
    return io.BufferedReader(_RawReader(inner, node), BUFFER)


class _RawWriter(io.RawIOBase):
    """A backend's write handle with its errors in the user's words."""

    def __init__(self, inner: WriteHandle, node: str) -> None:
        # First of all: an interrupt may come before the next line.
        self.inner = inner
        self.name = node
        super().__init__()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.inner.seekable()

    def write(self, data: Any) -> int | None:
        try:
            return self.inner.write(data)
        except BaseException as error:
            # What a failed write has left behind is unknown, so closing must not publish it.
            self.inner.fail()
            if not isinstance(error, Exception):
                raise
            raise translate(error, node=self.name, action="writing") from error

    def fill(self, source: _RawReader) -> int | None:
        """All of ``source``; its bytes, or None where nothing was written and all is to be read."""
        descriptor = self.inner.random_access()
        if descriptor is None:
            return None
        try:
            with DescriptorSink(descriptor) as sink:
                if source.drain(sink):
                    return sink.size()
        except BaseException as error:
            self.inner.fail()
            if isinstance(error, StorageError) or not isinstance(error, Exception):
                raise
            cause = error.error if isinstance(error, TargetFailedError) else error
            raise translate(cause, node=self.name, action="writing") from cause
        self.truncate(0)
        return None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with translating(self.name, "seeking"):
            return _seek(self.inner, offset, whence)

    def tell(self) -> int:
        return self.inner.tell()

    def truncate(self, size: int | None = None) -> int:
        try:
            return self.inner.truncate(size)
        except Exception as error:
            # A refusal has changed nothing; after any other error, as in write(), nobody knows.
            if not isinstance(error, ValueError):
                self.inner.fail()
            raise translate(error, node=self.name, action="truncating") from error

    def fileno(self) -> int:
        return self.inner.fileno()

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        with translating(self.name, "writing"):
            self.inner.close()

    def abort(self) -> None:
        if self.closed:
            return
        super().close()
        with translating(self.name, "abandoning a write"):
            self.inner.abort()

    def __del__(self) -> None:
        # The base class would close, and closing publishes: an interrupt may have come before
        # anybody else held this object.
        if not self.closed:
            self.abort()


def _dropped(node: object) -> None:
    text = (
        f"{node}: the handle was dropped without close(), so nothing was written and the old "
        "content stays; use 'with node.open(...) as f:'"
    )
    _log.error(text)
    warnings.warn(text, ResourceWarning, stacklevel=3)


def _is_over(handle: Any) -> bool:
    """Whether it is closed, or has given away what is below it (``detach``)."""
    try:
        return bool(handle.closed)
    except ValueError:
        return True


class _WholeOrNothing:
    """Leaving a ``with`` block by an exception forgets what was written, instead of closing.

    So does dropping the last reference, which says nothing about the content being whole.
    """

    if TYPE_CHECKING:

        @property
        def closed(self) -> bool: ...
        def close(self) -> None: ...
        def abort(self) -> None: ...
        def _label(self) -> str: ...

    _process: int | None = None
    """Who opened the handle; None as long as it is not ready."""

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        if self._process is None or _is_over(self):
            return
        # A forked child has a copy of the handle, and of what is buffered in it.
        if self._process == os.getpid():
            _dropped(self._label())
        self.abort()


class BinaryWriter(_WholeOrNothing, io.BufferedWriter):
    """What ``open("wb")`` returns: ``close()`` publishes, ``abort()`` or an exception does not."""

    def __init__(
        self, inner: WriteHandle, node: str, on_commit: Callable[[str | None], None] | None = None
    ) -> None:
        self._writer = _RawWriter(inner, node)
        self._on_commit = on_commit
        super().__init__(self._writer, BUFFER)
        self._process = os.getpid()

    @property
    def new_path(self) -> str | None:
        """The node's new path where the content decides it (base64); known after ``close()``."""
        return self._writer.inner.new_path

    def fill(self, reader: io.BufferedReader) -> int | None:
        """The whole content of a mount's reader at once, before anything else; how many bytes.

        None where one of the two cannot do that: then nothing is written yet, and nothing read.
        """
        source = reader.raw
        return self._writer.fill(source) if isinstance(source, _RawReader) else None

    def _label(self) -> str:
        return self._writer.name

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
        except BaseException:
            self.abort()
            raise
        super().close()
        # After a failed write, closing has only forgotten what was written.
        if self._on_commit is not None and self._writer.inner.committed:
            self._on_commit(self.new_path)

    def abort(self) -> None:
        """Forget everything written; the old content stays."""
        self._writer.abort()


class _RawPrivate(io.FileIO):
    """The private copy that an updater works on; a failed write poisons it."""

    def __init__(self, descriptor: int, node: str) -> None:
        super().__init__(descriptor, "r+b")
        self.node = node
        self.failed = False
        self.changed = False

    def write(self, data: Any) -> int:
        self.changed = True
        try:
            return super().write(data)
        except BaseException as error:
            self._fail(error)
            raise

    def truncate(self, size: int | None = None) -> int:
        self.changed = True
        try:
            return super().truncate(size)
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        # What a failed write has left behind is unknown, so closing must not publish it.
        self.failed = True
        if isinstance(error, Exception):
            action = "writing to the temporary copy"
            error = tempdir_failure(error) if isinstance(error, OSError) else error
            raise translate(error, node=self.node, action=action) from error


class BinaryUpdater(_WholeOrNothing, io.BufferedRandom):
    """What ``open("r+b")`` returns: a private copy that replaces the file whole on ``close()``.

    A file that was only looked at is not written again. ``fresh`` says that there is nothing yet,
    so that closing publishes also what nobody has written to.
    """

    def __init__(
        self,
        node: str,
        publish: Callable[[BinaryIO], str | None],
        *,
        appends: bool = False,
        fresh: bool = False,
    ) -> None:
        # Without a name, so that a killed process leaves nothing behind.
        with translating(node, "making a temporary copy"), TemporaryFile() as temporary:
            descriptor = os.dup(temporary.fileno())
        try:
            if appends:
                _append_only(descriptor)
            self._private = _RawPrivate(descriptor, node)
        except BaseException:
            os.close(descriptor)
            raise
        self._appends = appends
        self._fresh = fresh
        self._publish = publish
        self.new_path: str | None = None
        super().__init__(self._private, BUFFER)
        self._process = os.getpid()

    def _label(self) -> str:
        return self._private.node

    def load(self, content: BinaryIO) -> None:
        """Start from this content, positioned as the mode says (the end for ``a+``)."""
        shutil.copyfileobj(content, self, BUFFER)
        self.flush()
        self._private.changed = False
        if not self._appends:
            self.seek(0)

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
            if not self._private.failed and (self._fresh or self._private.changed):
                self._private.seek(0)
                self.new_path = self._publish(cast("BinaryIO", self._private))
        finally:
            self.abort()

    def detach(self) -> NoReturn:
        """Refused: the private copy is published by ``close()``, and by nothing else."""
        raise io.UnsupportedOperation("detach: closing the handle is what publishes the update")

    def abort(self) -> None:
        """Forget everything written; the old content stays."""
        # Below the buffer, which would flush: a forked child shares the file with its parent.
        self._private.close()


def _append_only(descriptor: int) -> None:
    """Make every write go to the end (``O_APPEND``), wherever the position is."""
    if sys.platform != "win32":
        import fcntl

        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)


class TextHandle(_WholeOrNothing, io.TextIOWrapper):
    """Text over any of the binary handles, with the same promise about exceptions."""

    def __init__(self, binary: Any, **options: Any) -> None:
        super().__init__(binary, **options)
        self._process = os.getpid()

    @property
    def new_path(self) -> str | None:
        """As :attr:`BinaryWriter.new_path`."""
        return getattr(self.buffer, "new_path", None)

    def close(self) -> None:
        if self.closed:
            return
        try:
            self.flush()
        except BaseException:
            self.abort()
            raise
        super().close()

    def abort(self) -> None:
        """Forget everything written; the old content stays."""
        if isinstance(self.buffer, _WholeOrNothing):
            self.buffer.abort()
        else:
            self.buffer.close()

    def __del__(self) -> None:
        # Closing would flush into the handle below, which then would know of no reason to
        # doubt; that handle speaks for both.
        if self._process is None or _is_over(self):
            return
        if isinstance(self.buffer, _WholeOrNothing):
            self.buffer.__del__()
        else:
            self.buffer.close()
