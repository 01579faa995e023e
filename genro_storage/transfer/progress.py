"""Who is told what while a copy runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Self

from ..exceptions import StorageMissingExtraError

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from .actions import CopyFile, Filtered, SkipFile

__all__ = ["Callbacks", "OnFile", "OnSkip", "Progress", "RichProgress"]

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


class RichProgress:
    """A progress bar of the ``rich`` package, as a context manager and a ``progress`` callback.

    ``StorageMissingExtraError`` where rich is not installed::

        with RichProgress("photos") as progress:
            plan.apply(progress=progress)
    """

    def __init__(self, description: str = "copying", *, console: Console | None = None) -> None:
        try:
            from rich import progress as bars
        except ImportError as error:
            raise StorageMissingExtraError(
                'a progress bar needs the rich package: pip install "genro-storage[cli]"'
            ) from error
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID = self._bar.add_task(description, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, current: int, total: int) -> None:
        """Show that ``current`` of ``total`` files are done."""
        self._bar.update(self._task, completed=current, total=total)
