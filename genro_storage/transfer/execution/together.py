"""Small new files of one directory of this machine, which one call copies or writes together."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..planning.actions import CopyFile
from .attempting import Done
from .execute import CopyResult
from .offering import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from ...info import Attributes, Loaded
    from ..planning.actions import Action
    from .execute import Transfer

__all__ = ["attempt_each", "write_together"]

#: Bytes of the largest file: with a larger one, what each file costs by itself does not count.
_SMALL = 64 * 1024
#: How many files at a time: that is how far what has been told may be behind what is there.
_MOST = 32
#: After how many portions of which nothing was copied it is not tried again: what is there already,
#: say, and is to be replaced.
_IN_VAIN = 8


def attempt_each(actions: Iterable[Action], transfer: Transfer) -> Generator[Done]:
    """Carry out the actions in their order, and say what has come of each.

    Where a call can copy several, what it does not copy is copied by itself: that tells, and tries
    again, whatever there is to tell and to try.
    """
    if transfer.may_copy_together:
        yield from _Together(transfer).run(iter(actions))
        return
    for action in actions:
        yield transfer.attempt(action)
        if transfer.is_stopping:
            return


class _Together:
    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._in_vain = 0
        self._portion: list[CopyFile] = []
        #: The directories that the files of the portion are in, and go to.
        self._way = ("", "")

    def run(self, actions: Iterator[Action]) -> Generator[Done]:
        transfer = self._transfer
        action: Action | None = None
        failure: Exception | None = None
        while not transfer.is_stopping:
            try:
                action = next(actions, None)
            except Exception as error:  # noqa: BLE001 - raised when what came before is copied
                action, failure = None, error
            if action is not None and self._takes(action):
                continue
            yield from self._copied()
            if action is None or transfer.is_stopping:
                break
            if not self._takes(action):
                yield transfer.attempt(action)
        if failure is not None and not transfer.is_stopping:
            raise failure

    def _takes(self, action: Action) -> bool:
        """Whether it goes with the others of its directory."""
        if not isinstance(action, CopyFile) or action.target is not None:
            return False
        info = action.source
        if not 0 < (info.size or 0) <= _SMALL or info.symlink or self._in_vain >= _IN_VAIN:
            return False
        here, _, name = info.path.rpartition("/")
        there, _, wanted = action.relpath.rpartition("/")
        if name != wanted:
            return False
        if not self._portion:
            self._way = here, there
        elif len(self._portion) >= _MOST or self._way != (here, there):
            return False
        self._portion.append(action)
        return True

    def _copied(self) -> Iterator[Done]:
        """What has come of the portion, in its order."""
        transfer = self._transfer
        portion, self._portion = self._portion, []
        while portion and not transfer.is_stopping:
            sizes: list[int] = []
            try:
                self._copy(portion, sizes)
            finally:
                # Also what was there before an interrupt; whoever is interrupted while he is told
                # of the others finds them there.
                transfer.untold.extend(
                    Done(action, CopyResult(None, size))
                    for action, size in zip(portion, sizes, strict=False)
                )
            while transfer.untold:
                yield transfer.untold.popleft()
            portion = portion[len(sizes) :]
            if portion and not transfer.is_stopping:
                yield transfer.attempt(portion.pop(0))

    def _copy(self, portion: Sequence[CopyFile], sizes: list[int]) -> None:
        if len(portion) < 2 or self._in_vain >= _IN_VAIN:
            return
        transfer = self._transfer
        here, there = self._way
        names = [each.relpath[len(there) + 1 if there else 0 :] for each in portion]
        with contextlib.suppress(Exception):  # each file says it of itself
            transfer.source.mount.copy_together(
                here, names, transfer.target.mount, transfer.target_path(there), sizes
            )
        self._in_vain = 0 if sizes else self._in_vain + 1


def write_together(
    actions: Sequence[Action],
    transfer: Transfer,
    done: list[Done],
    begin: Callable[[str], object],
) -> Sequence[Action]:
    """Write what has come for these, as far as one call can; what is left to do.

    What has come of each is added to ``done`` before the next is begun, which is told to ``begin``
    by its relative path, and not done where the copy is given up.
    """
    ahead = transfer.ahead
    while actions and transfer.may_write_together and ahead.in_vain < _IN_VAIN:
        writing = _Writing(actions, transfer, done, begin)
        try:
            with contextlib.suppress(Exception):  # each file says it of itself
                transfer.target.mount.write_together(
                    transfer.target_path(writing.directory), writing.files(), writing.sizes
                )
        finally:
            writing.settle()
        if writing.offered:
            ahead.in_vain = 0 if writing.settled else ahead.in_vain + 1
        actions = actions[writing.settled :]
        if not writing.settled or writing.settled < len(writing.offered):
            break
    return actions


class _Writing:
    """The first of some actions that are of one directory, on their way to be written."""

    def __init__(
        self,
        actions: Sequence[Action],
        transfer: Transfer,
        done: list[Done],
        begin: Callable[[str], object],
    ) -> None:
        self.directory: str = actions[0].relpath.rpartition("/")[0]
        self.sizes: list[int] = []
        #: What the backend has been given, with what was overcome for it.
        self.offered: list[tuple[CopyFile, tuple[BaseException, ...]]] = []
        self.settled: int = 0
        self._actions = actions
        self._transfer = transfer
        self._done = done
        self._begin = begin

    def files(self) -> Iterator[tuple[str, bytes, Attributes]]:
        """The next is looked at when it is asked for."""
        for action in self._actions:
            self.settle()
            there, _, name = action.relpath.rpartition("/")
            if there != self.directory or self._transfer.is_stopping:
                return
            if not isinstance(action, CopyFile) or action.target is not None:
                return
            found, overcome = self._transfer.ahead.look(action.source.path)
            if found is None or _length(found) != action.source.size:
                return
            self._begin(action.relpath)
            self.offered.append((action, overcome))
            yield name, found.data, joined(action.source, found.attributes)

    def settle(self) -> None:
        """Say what has come of those that are there by now."""
        while self.settled < len(self.sizes):
            action, overcome = self.offered[self.settled]
            self._done.append(
                Done(action, CopyResult(None, self.sizes[self.settled]), None, overcome)
            )
            self._transfer.ahead.forget((action,))
            self.settled += 1


def _length(found: Loaded) -> int:
    return len(found.data) if found.told_size is None else found.told_size
