"""Who is told what while a copy runs, and reporters that show it."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, overload

from ...exceptions import StorageMissingExtraError
from ...paths import printable
from ...sizes import size_text
from ..events import Event, Finished, Started
from .meter import Meter

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from ..planning.actions import CopyFile, Filtered, SkipFile

__all__ = [
    "Callbacks",
    "JsonLines",
    "OnFile",
    "OnSkip",
    "Progress",
    "RichProgress",
    "TqdmProgress",
]

Progress = Callable[[int, int], object]
OnFile = Callable[["CopyFile"], object]
OnSkip = Callable[["SkipFile | Filtered"], object]


class Callbacks(NamedTuple):
    """``progress(current, total)`` once per file that takes part, copied or skipped;
    ``on_file(action)`` after each copied file; ``on_skip(action)`` for each skipped or filtered
    one, with ``action.reason``. All are called in the thread that started the copy, and what
    they raise stops it.
    """

    progress: Progress | None = None
    on_file: OnFile | None = None
    on_skip: OnSkip | None = None


class _Shown:
    """What is a context manager, a reporter, and a ``progress`` callback."""

    def __init__(self) -> None:
        self._meter = Meter()

    def __enter__(self) -> Self:
        self._meter = Meter()
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @overload
    def __call__(self, event: Event, /) -> None: ...

    @overload
    def __call__(self, current: int, total: int, /) -> None: ...

    def __call__(self, event: Event | int, total: int = 0, /) -> None:
        """Show what has happened, or that ``event`` of ``total`` files are done."""
        if isinstance(event, int):
            self._count(event, total)
        else:
            self._hear(event)

    def _begin(self) -> None:
        raise NotImplementedError

    def _hear(self, event: Event) -> None:
        raise NotImplementedError

    def _count(self, current: int, total: int) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class RichProgress(_Shown):
    """Files, bytes, speed and the time that is left, drawn by the package ``rich``.

    A context manager, and to be used as a reporter or as a ``progress`` callback (which hears of
    files only). ``names`` is how many of the files under way are named; ``transient`` removes all
    of it at the end. ``StorageMissingExtraError`` where rich is not installed::

        with RichProgress("photos") as progress:
            plan.apply(progress=progress)
    """

    from_any_thread: bool = True

    def __init__(
        self,
        description: str = "copying",
        *,
        console: Console | None = None,
        names: int = 4,
        transient: bool = False,
    ) -> None:
        super().__init__()
        try:
            importlib.import_module("rich")
            from .rich_screen import RichScreen
        except ImportError as error:
            raise StorageMissingExtraError(
                'a progress bar needs the rich package: pip install "genro-storage[cli]"'
            ) from error
        self._screen = RichScreen(
            printable(description), console=console, names=names, transient=transient
        )

    def _begin(self) -> None:
        self._screen.start(self._meter)

    def _hear(self, event: Event) -> None:
        with self._screen.lock:
            self._meter(event)

    def _count(self, current: int, total: int) -> None:
        with self._screen.lock:
            self._meter.count_files(current, total)

    def _end(self) -> None:
        with self._screen.lock:
            self._meter.stop()
        self._screen.stop()


class TqdmProgress(_Shown):
    """The same in one line, drawn by the package ``tqdm`` (in notebooks as it does there).

    ``options`` go to ``tqdm``: ``file``, ``ncols``, ``leave``, ``mininterval`` …
    ``StorageMissingExtraError`` where tqdm is not installed (extra ``progress``)::

        with TqdmProgress("photos") as progress:
            plan.apply(progress=progress)
    """

    def __init__(self, description: str = "copying", **options: Any) -> None:
        super().__init__()
        try:
            self._make: Any = importlib.import_module("tqdm.auto").tqdm
        except ImportError as error:
            raise StorageMissingExtraError(
                'this progress bar needs the tqdm package: pip install "genro-storage[progress]"'
            ) from error
        self._options = {
            "desc": printable(description),
            "dynamic_ncols": "ncols" not in options,
            # Its own speed would count what was skipped.
            "bar_format": "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            **options,
        }
        self._bar: Any = None
        # Seconds between two looks at the numbers: tqdm need not be asked whether to draw.
        self._interval = float(options.get("mininterval", 0.1))
        self._shown = 0.0

    def _begin(self) -> None:
        self._bar = None

    def _hear(self, event: Event) -> None:
        self._meter(event)
        self._show(now=isinstance(event, Started | Finished))

    def _count(self, current: int, total: int) -> None:
        self._meter.count_files(current, total)
        self._show(now=False)

    def _show(self, *, now: bool) -> None:
        """The bar as it is; it is made when there is something to show."""
        meter = self._meter
        at = time.monotonic()
        if not now and at - self._shown < self._interval:
            return
        self._shown = at
        if self._bar is None:
            self._bar = self._make(total=0, **self._options)
        bar = self._bar
        bar.unit, bar.unit_scale, bar.unit_divisor = (
            ("B", True, 1024) if meter.by_bytes else (" files", False, 1000)
        )
        bar.total = meter.bytes_total if meter.by_bytes else meter.files_total
        done = meter.bytes_done if meter.by_bytes else meter.files_done
        bar.set_postfix_str(self._postfix(), refresh=False)
        bar.update((done if bar.total is None else min(done, bar.total)) - bar.n)
        if now:
            bar.refresh()

    def _postfix(self) -> str:
        meter = self._meter
        parts: list[str] = []
        left, rate = meter.seconds_left(), meter.rate()
        if left is not None:
            parts.append(f"{self._make.format_interval(left)} left")
        if rate is not None:
            parts.append(f"{size_text(rate)}/s")
        if meter.by_bytes and meter.files_total is not None:
            parts.append(f"{meter.files_done}/{meter.files_total} files")
        if meter.failed:
            parts.append(f"{meter.failed} failed")
        return ", ".join(parts)

    def _end(self) -> None:
        self._meter.stop()
        if self._bar is not None:
            self._show(now=True)
            self._bar.close()


class JsonLines:
    """A reporter that writes each event as a line of JSON, and flushes it.

    >>> import sys
    >>> with JsonLines(sys.stdout) as report:
    ...     report(Started(files=2, bytes=300))
    {"event": "started", "files": 2, "bytes": 300}
    """

    #: One line is written after the other, whoever tells them.
    from_any_thread: bool = True

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        """Write the event; names that are no text stand in it as JSON escapes."""
        line = json.dumps(event.to_dict()) + "\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()
