"""What a backend may know about the mount that it is built for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

__all__ = ["BuildContext", "Keep"]

T = TypeVar("T")


class Keep(Protocol):
    """Return the object kept under ``key``, made by ``factory`` the first time."""

    def __call__(self, key: Hashable, factory: Callable[[], T], /) -> T:
        """Look ``key`` up, or keep what ``factory()`` returns."""
        ...


def _keep_nothing(_key: Hashable, factory: Callable[[], T]) -> T:
    return factory()


def _forget(_step: Callable[[], object]) -> None:
    """Without a manager nothing is undone."""


@dataclass(frozen=True)
class BuildContext:
    """Handed to the ``build`` function of a ``BackendType``.

    ``mount`` is the mount's name, for error messages. ``base`` is the directory of the
    configuration file, which relative local paths resolve against; None for a configuration
    given in code. ``keep(key, factory)`` returns an object that lives as long as the manager, so
    that configuring a name again finds what was there; without a manager nothing is kept.
    ``undo(step)`` notes what takes back a change that ``build`` has made outside, for a
    configuration that fails later.
    """

    mount: str
    base: Path | None = None
    keep: Keep = field(default=_keep_nothing, repr=False)
    undo: Callable[[Callable[[], object]], object] = field(default=_forget, repr=False)
