"""Writes that are held back and become visible together, for stores where each one costs much."""

from __future__ import annotations

from abc import abstractmethod

from .base import Backend

__all__ = ["Batch"]


class Batch(Backend):
    """A store with files and directories on their way into it: ``Backend.begin_batch`` makes one.

    It takes whatever ``open_write``, ``write_bytes``, ``upload``, ``mkdir`` and ``make_parents``
    are given, with the errors that the store would raise, and changes nothing else. ``stat`` sees
    what it holds; the other verbs that read see what everybody sees.
    """

    @property
    @abstractmethod
    def is_due(self) -> bool:
        """Whether to ``publish`` now: it holds much, or has held it for long."""

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there is nothing to publish."""

    @abstractmethod
    def publish(self) -> None:
        """Make all of it visible, in one step; where that fails, none of it is."""

    @abstractmethod
    def discard(self) -> None:
        """Forget what was not published. Never raises."""
