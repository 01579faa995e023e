"""The keywords of everything that copies, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from ..attributes import suggested

if TYPE_CHECKING:
    from concurrent.futures import Executor as FuturesExecutor

    from ..info import FileInfo
    from .events import Reporter
    from .execution.bandwidth import Bandwidth
    from .execution.executors import Executor
    from .planning.checksums import ChecksumCache
    from .terms import OnError, Verify

__all__ = [
    "ApplyOptions",
    "CopyOptions",
    "LimitOptions",
    "PlanOptions",
    "SyncOptions",
    "require_known",
]

Patterns = str | Sequence[str] | None


class LimitOptions(TypedDict, total=False):
    """Which files of a directory take part, beside the patterns.

    ``patterns`` are lines as in ``.gitignore``. Sizes are in bytes, or text such as ``"10M"``; ages
    in seconds since the file was modified, or text such as ``"2d"``.
    """

    patterns: Sequence[str] | str | None
    min_size: int | str | None
    max_size: int | str | None
    min_age: float | str | None
    max_age: float | str | None


class PlanOptions(LimitOptions, total=False):
    """What a plan decides, beside the filters.

    ``if_absent``: no file is replaced. ``delete``: what only the destination has is removed, after
    everything else, and never more than ``max_delete`` files. ``checksums`` remembers the digests
    of local files. ``listing`` is what the source holds, where that is known from elsewhere: an
    ``Inventory``.
    """

    if_absent: bool
    delete: bool
    max_delete: int | None
    checksums: ChecksumCache | None
    listing: Iterable[FileInfo] | None


class ApplyOptions(TypedDict, total=False):
    """How a plan is carried out: see ``CopyPlan.apply``."""

    executor: Executor | FuturesExecutor | None
    concurrency: int | None
    on_error: OnError
    verify: Verify | None
    retries: int
    bandwidth: Bandwidth | float | str | None
    reporter: Reporter | None
    resume: bool


class CopyOptions(PlanOptions, ApplyOptions, total=False):
    """The keywords of ``copy_to`` beside those that it always had."""

    dry_run: bool


class SyncOptions(CopyOptions, total=False):
    """The keywords of ``sync``: those of ``copy_to``."""

    include: Patterns
    exclude: Patterns
    filter: Callable[[Any, str], object] | None
    skip_fn: Callable[[Any, Any], object] | None
    progress: Callable[[int, int], object] | None
    on_file: Callable[[Any], object] | None
    on_skip: Callable[[Any, str], object] | None


def require_known(given: Iterable[str], kind: type, node: str, call: str) -> None:
    """``TypeError`` for a keyword that ``call`` has not, with the one that may be meant.

    ``kind`` has the keywords that it has.

    >>> require_known({"exlude": "*"}, SyncOptions, "a:x", "sync")
    Traceback (most recent call last):
        ...
    TypeError: a:x: unknown keyword of sync: 'exlude'; did you mean 'exclude'?
    """
    known = kind.__annotations__
    if unknown := set(given) - known.keys():
        raise TypeError(f"{node}: unknown keyword of {call}: {suggested(unknown, known)}")
