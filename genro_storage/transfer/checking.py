"""Comparing two trees without changing either."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..exceptions import StorageError
from ..hearing import hearing_left_out
from .planning.actions import CompareFile, Conflict, CopyFile, DeleteFile, SkipFile
from .planning.rules import UNCOPYABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .copying import CopyPlan
    from .planning.actions import Action

__all__ = ["CheckReport", "Compared", "State", "compared"]

State = Literal["same", "different", "missing", "extra", "unknown"]


class Compared(NamedTuple):
    """One file of two trees: ``missing`` is not at the destination, ``extra`` only there.

    ``unknown``: the two could not be compared; ``reason`` says why.
    """

    relpath: str
    state: State
    reason: str


@dataclass(frozen=True)
class CheckReport:
    """What the comparison of two trees has found: how many files of each state, and which differ.

    >>> report = CheckReport({"same": 2, "missing": 1}, (Compared("a", "missing", ""),))
    >>> print(report, report.ok)
    2 same, 1 missing False
    """

    counts: dict[str, int]
    differences: tuple[Compared, ...]
    """Every file that is not ``same``, in key order."""

    @classmethod
    def of(cls, found: Iterator[Compared]) -> CheckReport:
        """Count them; what is the same is not kept."""
        counts: Counter[str] = Counter()
        differences: list[Compared] = []
        for each in found:
            counts[each.state] += 1
            if each.state != "same":
                differences.append(each)
        return cls(dict(counts), tuple(differences))

    @property
    def ok(self) -> bool:
        """Whether all files are the same on both sides."""
        return not self.differences

    def __str__(self) -> str:
        names = ("same", "different", "missing", "extra", "unknown")
        return ", ".join(
            f"{self.counts.get(name, 0)} {name}"
            for name in names
            if name == "same" or self.counts.get(name)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes."""
        return {
            "ok": self.ok,
            "counts": dict(self.counts),
            "differences": [each._asdict() for each in self.differences],
        }


def compared(plan: CopyPlan) -> Iterator[Compared]:
    """What a plan says of each file, in key order; a comparison that fails is ``unknown``."""
    odd: list[str] = []
    with hearing_left_out(odd.append):
        for action in plan.resolved(_settling(plan)):
            found = _state(action)
            if found is not None:
                yield Compared(action.relpath, *found)
    for name in odd:
        yield Compared(name, "unknown", "no path can express its name")


def _settling(plan: CopyPlan) -> Any:
    def settle(relpath: str, ours: Any, theirs: Any) -> Action:
        try:
            return plan.settle(relpath, ours, theirs)
        except StorageError as error:
            return Conflict(relpath, str(error), "incomparable")

    return settle


def _state(action: Action) -> tuple[State, str] | None:
    if isinstance(action, CopyFile):
        return ("missing" if action.target is None else "different"), action.reason
    if isinstance(action, SkipFile):
        return ("unknown" if action.reason in UNCOPYABLE.values() else "same"), action.reason
    if isinstance(action, Conflict):
        return ("unknown" if action.kind == "incomparable" else "different"), action.message
    if isinstance(action, DeleteFile):
        return "extra", "only at the destination"
    assert not isinstance(action, CompareFile)
    return None
