"""Small files of a store that a thread is to copy next: all come before the first is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..planning.actions import CopyFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...info import Loaded
    from ...mount import Mount
    from ..planning.actions import Action

__all__ = ["Ahead"]

#: Bytes of the largest file: a thread holds a portion of them.
_TINY = 32 * 1024


class Ahead:
    """What has come of the source, by its paths; used by several threads, each for its own files.

    ``fetches`` says whether files of this copy go through this process at all, ``into_local``
    whether they are written on this machine.
    """

    def __init__(self, source: Mount, *, fetches: bool, into_local: bool) -> None:
        self._source = source
        self._fetches = fetches
        self._into_local = into_local
        self._ends: dict[str, Callable[[], Loaded]] = {}

    def fetch(self, actions: Sequence[Action]) -> bool:
        """Have the contents come that these are to copy, where all are small.

        Whether what is left to do waits for nobody but this machine.
        """
        if not self._fetches or len(actions) < 2:
            return False
        paths: list[str] = []
        for action in actions:
            if isinstance(action, CopyFile):
                if not 0 < (action.source.size or 0) <= _TINY:
                    return False
                paths.append(action.source.path)
        self._ends.update(zip(paths, self._source.load_each(paths), strict=True))
        return self._into_local

    def load(self, path: str) -> Loaded:
        """As ``Mount.load``, of what has come if it has; once, as another attempt asks anew."""
        end = self._ends.pop(path, None)
        return self._source.load(path) if end is None else end()

    def forget(self, actions: Sequence[Action]) -> None:
        """What has come for them, and was not used."""
        if self._ends:
            for action in actions:
                if isinstance(action, CopyFile):
                    self._ends.pop(action.source.path, None)
