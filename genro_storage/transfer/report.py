"""What a copy did, or would do: counts that print and that machines read."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .plan import Action, Conflict, CopyFile, Filtered, MakeDirectory, SkipFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["PlanSummary", "Tally", "TransferReport", "reason_kind"]


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
class TransferReport:
    """What a copy did. ``bytes_copied`` in bytes, ``seconds`` of wall clock.

    ``new_path`` is the path that the target of a single file has now, where the content decides
    it (base64). ``skip_reasons`` counts by kind of reason.

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

    def __str__(self) -> str:
        parts = [f"{self.copied} copied", _counted(self.skipped, self.skip_reasons)]
        if self.filtered:
            parts.append(f"{self.filtered} filtered")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return asdict(self)


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
        )

    def __str__(self) -> str:
        skipped = _counted(self.to_skip, self.skip_reasons).replace(" skipped", " to skip", 1)
        parts = [f"{self.to_copy} to copy", skipped]
        if self.filtered:
            parts.append(f"{self.filtered} filtered")
        if self.conflicts:
            parts.append(f"{self.conflicts} in conflict")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return asdict(self)


class Tally:
    """The counts of a copy under way; ``report()`` gives them as a value."""

    __slots__ = (
        "bytes_copied",
        "copied",
        "directories",
        "failed",
        "filtered",
        "new_path",
        "reasons",
        "skipped",
    )

    def __init__(self) -> None:
        self.copied: int = 0
        self.skipped: int = 0
        self.filtered: int = 0
        self.failed: int = 0
        self.directories: int = 0
        self.bytes_copied: int = 0
        self.new_path: str | None = None
        self.reasons: Counter[str] = Counter()

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
        )
