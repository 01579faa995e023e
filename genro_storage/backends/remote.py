"""What every backend behind a network shares: bounds, a lazy connection, repetition, clear errors.

A row gives ``RemoteFilesystem`` a function that connects and one that explains what its client
raises; the backend on top of it sees a ``Filesystem`` that opens at its first use, repeats what
may be repeated, and raises the standard exceptions only.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field

from ..exceptions import StorageMissingExtraError
from .durations import Duration
from .errors import RootNotFoundError
from .options import BackendOptions
from .repeating import Bounds, BusyError, is_transient, repeated, repeated_async

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Self

    from .fsspec_info import Filesystem

__all__ = [
    "Bounds",
    "BusyError",
    "NetworkOptions",
    "Opened",
    "RemoteFilesystem",
    "is_transient",
    "missing_extra",
    "repeated",
    "repeated_async",
]

T = TypeVar("T")
_log = logging.getLogger("genro_storage")


class NetworkOptions(BackendOptions):
    """The keys that every type of mount behind a network has."""

    timeout: Duration = Field(
        default=30.0,
        le=3600,
        description="How many seconds one attempt waits for the server: for a connection (ten at "
        "most), and then for each answer. A transfer that moves on may take any time.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=20,
        description="How many more times a request is tried that failed because of the network or "
        "an overloaded server, where repeating it does no harm.",
    )

    @property
    def bounds(self) -> Bounds:
        """Both as one value."""
        return Bounds(self.timeout, self.retries)


def missing_extra(error: ImportError, mount: str, kind: str, extra: str) -> Exception:
    """What the first use of a ``kind`` of mount raises where a module of ``extra`` is missing."""
    if (error.name or "").startswith("genro_storage"):
        return error  # a fault of ours, which installing more does not mend
    what = f"the module {error.name!r} is not installed" if error.name else str(error)
    fix = f'install it with: pip install "genro-storage[{extra}]"'
    return StorageMissingExtraError(f"mount {mount!r} ({kind}): {what}; {fix}", node=mount)


class Opened(Generic[T]):
    """One client object, made by its first use, by one thread; a failure is not remembered.

    A forked process makes its own: two that talk on one connection get each other's answers.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._client: T | None = None
        _opened.add(self)

    def get(self) -> T:
        """The client; raises whatever making it raises."""
        client = self._client
        if client is None:
            with self._lock:
                client = self._client
                if client is None:
                    client = self._client = self._make()
        return client

    def peek(self) -> T | None:
        """The client if there is one; none is made."""
        return self._client

    def take(self) -> T | None:
        """The client if there is one; from now on there is none."""
        with self._lock:
            client, self._client = self._client, None
        return client

    def after_fork(self) -> None:
        """In the child, which has no other thread yet."""
        # Whoever holds it in the parent, connecting, will never give it back here.
        self._lock = threading.Lock()
        if self._client is not None:
            # Kept, since closing it belongs to the parent.
            _of_parents.append(self._client)
            self._client = None


_opened: weakref.WeakSet[Opened[Any]] = weakref.WeakSet()
_of_parents: list[object] = []


def _after_fork() -> None:
    for opened in list(_opened):
        opened.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class RemoteFilesystem:
    """A ``Filesystem`` that connects at its first call, repeats, and explains.

    ``connect`` returns the technology's filesystem. ``explain`` gets whatever that raises and
    returns the exception to raise instead: a standard one, whose text says what was wrong and the
    fix (or the same one). What ``is_transient`` finds in it is tried again, except where a
    second attempt could do harm: an exclusive creation, and appending.
    """

    root_marker = ""

    def __init__(
        self,
        connect: Callable[[], Filesystem],
        protocol: str,
        *,
        bounds: Bounds,
        explain: Callable[[Exception], Exception],
    ) -> None:
        self.protocol: str | tuple[str, ...] = protocol
        self._opened: Opened[Filesystem] = Opened(connect)
        self._bounds = bounds
        self._explain = explain

    # -- calling ------------------------------------------------------------------------------

    def once(self, step: Callable[[Filesystem], T]) -> T:
        """``step(filesystem)``, with its errors explained."""
        try:
            return step(self._opened.get())
        except ImportError:
            raise
        except Exception as error:
            explained = self._explain(error)
            if explained is error:
                raise
            raise explained from error

    def call(self, step: Callable[[Filesystem], T]) -> T:
        """``step(filesystem)``, repeated where the network fails."""
        return repeated(self._bounds, lambda _: self.once(step))

    def call_until_done(
        self, step: Callable[[Filesystem], T], done: type[OSError], otherwise: T | None = None
    ) -> T | None:
        """As ``call``; ``done``, raised by a repetition, says that an earlier attempt worked."""

        def attempt(number: int) -> T | None:
            try:
                return self.once(step)
            except RootNotFoundError:
                raise
            except done:
                if number == 0:
                    raise
                return otherwise

        return repeated(self._bounds, attempt)

    # -- Filesystem ---------------------------------------------------------------------------

    def _strip_protocol(self, path: str) -> str:
        return path

    def info(self, path: str) -> dict[str, Any]:
        return self.call(lambda fs: fs.info(path))

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        return self.call(lambda fs: fs.ls(path, detail=detail))

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if "r" not in mode:
            return _ExplainedStream(self.once(lambda fs: fs.open(path, mode, **options)), self)
        return _ExplainedStream(self.call(lambda fs: fs.open(path, mode, **options)), self)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        return self.call(lambda fs: fs.cat_file(path, start=start, end=end))

    def pipe_file(self, path: str, value: bytes, **options: Any) -> Any:
        repeat = self.once if options.get("mode") == "create" else self.call
        return repeat(lambda fs: fs.pipe_file(path, value, **options))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> Any:
        repeat = self.once if options.get("mode") == "create" else self.call
        return repeat(lambda fs: fs.put_file(lpath, rpath, **options))

    def get_file(self, rpath: str, lpath: str) -> Any:
        return self.call(lambda fs: fs.get_file(rpath, lpath))

    def cp_file(self, path1: str, path2: str) -> Any:
        return self.call(lambda fs: fs.cp_file(path1, path2))

    def mv(self, path1: str, path2: str) -> Any:
        # Of a source that is gone at the second attempt, the first has made the target.
        return self.call_until_done(lambda fs: fs.mv(path1, path2), FileNotFoundError)

    def rm_file(self, path: str) -> Any:
        return self.call_until_done(lambda fs: fs.rm_file(path), FileNotFoundError)

    def mkdir(self, path: str, create_parents: bool = True) -> Any:
        return self.call_until_done(
            lambda fs: fs.mkdir(path, create_parents=create_parents), FileExistsError
        )

    def rmdir(self, path: str) -> Any:
        return self.call_until_done(lambda fs: fs.rmdir(path), FileNotFoundError)

    def makedirs(self, path: str, exist_ok: bool = False) -> Any:
        return self.call(lambda fs: fs.makedirs(path, exist_ok=exist_ok))

    def modified(self, path: str) -> datetime:
        return self.call(lambda fs: fs.modified(path))

    def close(self) -> None:
        """Close the filesystem if it was opened; a later call would open it again."""
        filesystem = self._opened.take()
        close = getattr(filesystem, "close", None)
        if callable(close):
            close()


class _ExplainedStream:
    """A stream whose errors are explained too: servers also die while a file is read."""

    def __init__(self, stream: Any, filesystem: RemoteFilesystem) -> None:
        self._stream = stream
        self._filesystem = filesystem

    def _do(self, step: Callable[[], T]) -> T:
        return self._filesystem.once(lambda _: step())

    def read(self, size: int = -1) -> bytes:
        return bytes(self._do(lambda: self._stream.read(size)))

    def write(self, data: Any) -> int:
        return int(self._do(lambda: self._stream.write(data)))

    def flush(self) -> None:
        self._do(self._stream.flush)

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._do(lambda: self._stream.seek(offset, whence)))

    def tell(self) -> int:
        return int(self._do(self._stream.tell))

    def close(self) -> None:
        self._do(self._stream.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()
