"""Holding the place of the limiter that comes from another branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

__all__ = ["Bandwidth"]


class Bandwidth:
    """To be replaced."""

    def take(self, count: int, stopping: threading.Event) -> None:
        """To be replaced."""
