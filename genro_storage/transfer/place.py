"""Where a copy starts or ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..mount import Mount

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A path on a mount."""

    mount: Mount
    path: str

    def __str__(self) -> str:
        return self.mount.label(self.path)

    def address(self) -> tuple[object, str] | None:
        """A value that is equal for the same place through whatever mounts, where one is known."""
        return self.mount._address(self.path)
