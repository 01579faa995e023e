"""What a copy did, or would do: counts that print and that machines read."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .planning.actions import (
    Action,
    CompareFile,
    Conflict,
    CopyFile,
    DeleteDirectory,
    DeleteFile,
    Filtered,
    MakeDirectory,
    SkipFile,
)
from .planning.rules import UNCOPYABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .execution.execute import Done

__all__ = ["Failure", "PlanSummary", "Retry", "Tally", "TransferReport", "reason_kind"]

#: How many failures and retries a report keeps with their words; all are counted.
_MOST_KEPT = 10_000
#: How many of them with a traceback, which keeps alive all that the calls had in hand.
_MOST_TRACED = 100


def _without_traceback(error: BaseException) -> None:
    found: BaseException | None = error
    while found is not None:
        found.__traceback__ = None
        found = found.__cause__ or found.__context__


def reason_kind(reason: str) -> str:
    """A skip reason without what differs from file to file.

    >>> reason_kind("same content (MD5: 0cc175b9...)")
    'same content'
    """
    return reason.partition(" (")[0]


def _counted(skipped: int, reasons: Mapping[str, int]) -> str:
    if not skipped:
        return "0 skipped"
    if len(reasons) == 1:
        return f"{skipped} skipped ({next(iter(reasons))})"
    each = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return f"{skipped} skipped ({each})"


@dataclass(frozen=True)
class Failure:
    """A file, or directory, that could not be copied or removed, and why.

    ``relpath`` is the path below the roots of the copy; ``error`` is what was raised.
    """

    relpath: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.relpath}: {self.error}" if self.relpath else str(self.error)

    def to_dict(self) -> dict[str, str]:
        """Plain values that ``json.dumps`` takes."""
        kind = type(self.error).__name__
        return {"path": self.relpath, "kind": kind, "message": str(self.error)}


@dataclass(frozen=True)
class Retry:
    """An error that was overcome by trying again: the request, or the file as a whole.

    ``relpath`` is empty where it was in listing, looking or removing.
    """

    relpath: str
    error: str


@dataclass(frozen=True)
class TransferReport:
    """What a copy did. ``bytes_copied`` in bytes, ``seconds`` of wall clock.

    ``new_path`` is the path that the target of a single file has now, where the content decides
    it (base64). ``skip_reasons`` counts by kind of reason. ``verified`` are the copied files that
    were compared with their source afterwards (``verify=``); ``spared`` those that a mirror was to
    remove, and did not, since they or their source changed meanwhile; ``left_out`` the entries of the
    listings whose names no path can express (``a//b`` in a bucket). ``failures`` says why ``failed`` files
    were not copied; ``retries`` which errors were overcome on the way (``retried`` of them). Both
    keep the first ten thousand.

    >>> str(TransferReport(skipped=2, skip_reasons={"same content": 2}))
    '0 copied, 2 skipped (same content)'
    """

    copied: int = 0
    skipped: int = 0
    filtered: int = 0
    failed: int = 0
    directories: int = 0
    bytes_copied: int = 0
    seconds: float = 0.0
    skip_reasons: Mapping[str, int] = field(default_factory=dict)
    new_path: str | None = None
    verified: int = 0
    deleted: int = 0
    spared: int = 0
    left_out: int = 0
    retried: int = 0
    failures: tuple[Failure, ...] = ()
    retries: tuple[Retry, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.copied} copied", _counted(self.skipped, self.skip_reasons)]
        named = ("filtered", "verified", "deleted", "spared", "retried", "failed")
        parts += [f"{getattr(self, name)} {name}" for name in named if getattr(self, name)]
        if self.left_out:
            parts.append(f"{self.left_out} left out (no path can express their names)")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found["skip_reasons"] = dict(self.skip_reasons)
        found["failures"] = [each.to_dict() for each in self.failures]
        found["retries"] = [asdict(each) for each in self.retries]
        return found


@dataclass(frozen=True)
class PlanSummary:
    """What a plan would do. ``bytes_to_copy`` in bytes, counting only sizes that are known."""

    to_copy: int = 0
    to_skip: int = 0
    filtered: int = 0
    conflicts: int = 0
    directories: int = 0
    bytes_to_copy: int = 0
    skip_reasons: Mapping[str, int] = field(default_factory=dict)
    to_compare: int = 0
    to_delete: int = 0

    @property
    def compared(self) -> int:
        """How many are left alone because of what is at the destination."""
        return sum(
            count
            for reason, count in self.skip_reasons.items()
            if reason not in UNCOPYABLE.values()
        )

    @classmethod
    def of(cls, actions: Iterable[Action]) -> PlanSummary:
        """Count actions, in constant memory."""
        counts: Counter[type[Action]] = Counter()
        reasons: Counter[str] = Counter()
        size = 0
        for action in actions:
            counts[type(action)] += 1
            if isinstance(action, CopyFile):
                size += action.source.size or 0
            elif isinstance(action, SkipFile):
                reasons[reason_kind(action.reason)] += 1
        return cls(
            to_copy=counts[CopyFile],
            to_skip=counts[SkipFile],
            filtered=counts[Filtered],
            conflicts=counts[Conflict],
            directories=counts[MakeDirectory],
            bytes_to_copy=size,
            skip_reasons=dict(reasons),
            to_compare=counts[CompareFile],
            to_delete=counts[DeleteFile] + counts[DeleteDirectory],
        )

    def __str__(self) -> str:
        skipped = _counted(self.to_skip, self.skip_reasons).replace(" skipped", " to skip", 1)
        parts = [f"{self.to_copy} to copy", skipped]
        if self.filtered:
            parts.append(f"{self.filtered} filtered")
        if self.to_compare:
            parts.append(f"{self.to_compare} to compare")
        if self.to_delete:
            parts.append(f"{self.to_delete} to delete")
        if self.conflicts:
            parts.append(f"{self.conflicts} in conflict")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return asdict(self)


class Tally:
    """The counts of a copy under way; ``report()`` gives them as a value."""

    def __init__(self) -> None:
        self.copied: int = 0
        self.skipped: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.directories: int = 0
        self.bytes_copied: int = 0
        self.verified: int = 0
        self.deleted: int = 0
        self.spared: int = 0
        self.left_out: int = 0
        self.retried: int = 0
        self.new_path: str | None = None
        self.reasons: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.retries: list[Retry] = []

    def count(self, done: Done) -> None:
        """One action more."""
        action, result, error, retries = done
        if retries:
            self.retry(action.relpath, retries)
        if error is not None:
            self.fail(action.relpath, error)
        elif isinstance(action, CopyFile):
            self.copied += 1
            if result is not None:
                self.bytes_copied += result.bytes
                self.verified += result.verified
                self.new_path = result.new_path
        elif isinstance(action, SkipFile):
            self.skipped += 1
            self.reasons[reason_kind(action.reason)] += 1
        elif isinstance(action, MakeDirectory):
            self.directories += result is not None
        elif isinstance(action, Filtered):
            self.filtered += 1

    def retry(self, relpath: str, errors: Sequence[BaseException]) -> None:
        """Some errors that were overcome; ``relpath`` is "" where they were no single file's."""
        self.retried += len(errors)
        self.retries += [
            Retry(relpath, f"{type(each).__name__}: {each}")
            for each in errors[: max(0, _MOST_KEPT - len(self.retries))]
        ]

    def leave_out(self, _: str) -> None:
        """One entry that is in no listing."""
        self.left_out += 1

    def fail(self, relpath: str, error: Exception) -> None:
        """One file that was not copied."""
        self.failed += 1
        if len(self.failures) < _MOST_KEPT:
            if len(self.failures) >= _MOST_TRACED:
                _without_traceback(error)
            self.failures.append(Failure(relpath, error))

    def report(self, seconds: float) -> TransferReport:
        """The counts so far."""
        return TransferReport(
            copied=self.copied,
            skipped=self.skipped,
            filtered=self.filtered,
            failed=self.failed,
            directories=self.directories,
            bytes_copied=self.bytes_copied,
            seconds=seconds,
            skip_reasons=dict(self.reasons.most_common()),
            new_path=self.new_path,
            verified=self.verified,
            deleted=self.deleted,
            spared=self.spared,
            left_out=self.left_out,
            retried=self.retried,
            failures=tuple(self.failures),
            retries=tuple(self.retries),
        )
