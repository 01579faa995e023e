"""The terms on which a plan is carried out, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..exceptions import StorageValueError
from ..strategy import SkipStrategy

if TYPE_CHECKING:
    from .execution.bandwidth import Bandwidth

__all__ = [
    "OnError",
    "Terms",
    "Verify",
    "checked_on_error",
    "checked_verify",
    "require_flags",
    "require_numbers",
]

Verify = Literal["size", "checksum"]
OnError = Literal["raise", "collect"]


@dataclass(frozen=True, slots=True)
class Terms:
    """``version`` is that of the source; with ``if_absent`` nothing that is there is replaced.

    ``verify`` compares each file after it was written, ``retries`` is how often a file is tried
    again, ``bandwidth`` what all transfers together may take. ``as_planned``: the plan was made some
    time ago, and what came since is not replaced.
    """

    version: str | None = None
    if_absent: bool = False
    verify: Verify | None = None
    retries: int = 3
    bandwidth: Bandwidth | None = None
    on_error: OnError = "raise"
    resume: bool = False
    skip: SkipStrategy = SkipStrategy.NEVER
    as_planned: bool = False

    def __post_init__(self) -> None:
        require_flags(if_absent=self.if_absent, resume=self.resume)
        require_numbers(0, retries=self.retries)


def checked_verify(value: str | None) -> Verify | None:
    """``StorageValueError`` for what is neither of the two, nor None."""
    if value is None or value in ("size", "checksum"):
        return value  # type: ignore[return-value]
    raise StorageValueError(f"verify= takes 'size' or 'checksum', not {value!r}")


def checked_on_error(value: str) -> OnError:
    """``StorageValueError`` for what is neither of the two."""
    if value in ("raise", "collect"):
        return value  # type: ignore[return-value]
    raise StorageValueError(f"on_error= takes 'raise' or 'collect', not {value!r}")


def require_flags(**flags: object) -> None:
    """``StorageValueError`` for what is neither True nor False: ``delete="no"`` would delete.

    >>> require_flags(delete=True, resume=False)
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise StorageValueError(f"{name}= is True or False, not {value!r}")


def require_numbers(least: int, /, **numbers: object) -> None:
    """``StorageValueError`` for what is no whole number from ``least`` on, nor None.

    >>> require_numbers(0, retries=3, max_delete=None)
    """
    for name, value in numbers.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise StorageValueError(f"{name}= is a whole number, at least {least}, not {value!r}")
