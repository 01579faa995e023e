"""Small files of a store that a thread is to copy next: all come before the first is written."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ...hearing import hearing_retries, note_retry
from ..planning.actions import WITH_CONTENT, CopyFile

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

    ``fetches`` says whether files of this copy go through this process at all.
    """

    def __init__(self, source: Mount, *, fetches: bool) -> None:
        self._source = source
        self._fetches = fetches
        self._ends: dict[str, Callable[[], Loaded]] = {}

    def fetch(self, actions: Sequence[Action]) -> bool:
        """Have the contents come that these are to copy, where all are small.

        Whether they have, so that nobody waits for them any more.
        """
        if not self._fetches:
            return False
        paths: list[str] = []
        for action in actions:
            if isinstance(action, CopyFile) and 0 < (action.source.size or 0) <= _TINY:
                paths.append(action.source.path)
            elif isinstance(action, WITH_CONTENT):
                return False
        if len(paths) < 2:
            return False
        try:
            found = self._source.load_each(paths)
        except Exception:  # noqa: BLE001 - whatever it is, each file says it of itself
            return False
        if found is None:
            return False
        for path, end in zip(paths, found.ends, strict=True):
            if end is not None:
                self._ends[path] = end
        return found.have_come

    def load(self, path: str) -> Loaded:
        """As ``Mount.load``, of what has come if it has; once, as another attempt asks anew."""
        end = self._ends.pop(path, None)
        return self._source.load(path) if end is None else end()

    def look(self, path: str) -> tuple[Loaded | None, tuple[BaseException, ...]]:
        """What has come, for ``load`` too unless it is forgotten, and what was overcome for it.

        None where nothing has come, or what has come is an error: ``load`` raises it.
        """
        end = self._ends.pop(path, None)
        if end is None:
            return None, ()
        heard: list[BaseException] = []
        found: Loaded | None = None
        failure: Exception | None = None
        try:
            with hearing_retries(heard.append):
                found = end()
        except Exception as error:  # noqa: BLE001 - raised by `load`
            failure = error
        self._ends[path] = functools.partial(_once_more, heard, found, failure)
        return found, tuple(heard)

    def forget(self, actions: Sequence[Action]) -> None:
        """What has come for them, and was not used."""
        if self._ends:
            for action in actions:
                if isinstance(action, CopyFile):
                    self._ends.pop(action.source.path, None)


def _once_more(
    heard: Sequence[BaseException], found: Loaded | None, failure: Exception | None
) -> Loaded:
    for error in heard:
        note_retry(error)
    if found is None:
        raise failure or LookupError("nothing has come")
    return found
