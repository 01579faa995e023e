"""Writes to a mount that are held back and become visible together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import translating

if TYPE_CHECKING:
    from .backends.batches import Batch
    from .mount import Mount

__all__ = ["MountBatch"]


@dataclass(frozen=True, slots=True)
class MountBatch:
    """What is written through ``mount`` waits for ``publish``; ``Mount.begin_batch`` makes one."""

    mount: Mount
    _batch: Batch

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._batch.is_empty

    @property
    def is_due(self) -> bool:
        """Whether so much waits, or has waited for so long, that it should be published."""
        return self._batch.is_due

    def publish(self) -> None:
        """Make all of it visible, or none."""
        with translating(self.mount.label(""), "writing"):
            self._batch.publish()

    def discard(self) -> None:
        """Forget what was not published."""
        self._batch.discard()
