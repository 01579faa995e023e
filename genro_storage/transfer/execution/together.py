"""Small new files of one directory of this machine, which one call copies or writes together."""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from ..planning.actions import CopyFile
from .attempting import Done
from .execute import CopyResult
from .offering import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from ...info import Attributes, FileInfo, Loaded
    from ..planning.actions import Action
    from .execute import Transfer

__all__ = ["attempt_each", "write_together"]

#: Bytes of the largest file: with a larger one, what each file costs by itself does not count.
_SMALL = 64 * 1024
#: How many files at a time: that is how far what has been told may be behind what is there.
_MOST = 128
#: After how many calls in a row that made nothing it is not tried again: what is there already,
#: say, and is to be replaced.
_IN_VAIN = 8

Item = TypeVar("Item")


def attempt_each(actions: Iterable[Action], transfer: Transfer) -> Generator[Done]:
    """Carry out the actions in their order, and say what has come of each.

    Where a call can copy several, what it does not copy is copied by itself: that tells, and tries
    again, whatever there is to tell and to try.
    """
    for portion in _portions(actions, transfer):
        left = portion
        while left and not transfer.is_stopping:
            if len(left) > 1:
                left = left[_Copying(left, transfer, transfer.untold.append).run() :]
            while transfer.untold:
                yield transfer.untold.popleft()
            if left and not transfer.is_stopping:
                yield transfer.attempt(left[0])
                left = left[1:]
        if transfer.is_stopping:
            return


def _portions(actions: Iterable[Action], transfer: Transfer) -> Iterator[Sequence[Action]]:
    """Each by itself, but for those that may go together; what came before a failure first."""
    if not transfer.may_copy_together:
        for action in actions:
            yield (action,)
        return
    portion: list[Action] = []
    last: tuple[str, str] | None = None
    try:
        for action in actions:
            way = _way(action)
            if portion and (way != last or len(portion) >= _MOST):
                yield portion
                portion = []
            if way is None:
                yield (action,)
                continue
            last = way
            portion.append(action)
    except Exception:
        if portion:
            yield portion
        raise
    if portion:
        yield portion


def _way(action: Action) -> tuple[str, str] | None:
    """The directories that a small new file is in, and goes to; None for anything else."""
    if not isinstance(action, CopyFile) or action.target is not None:
        return None
    info = action.source
    if not 0 < (info.size or 0) <= _SMALL or info.symlink:
        return None
    here, _, name = info.path.rpartition("/")
    there, _, wanted = action.relpath.rpartition("/")
    return (here, there) if name == wanted else None


def write_together(
    actions: Sequence[Action],
    transfer: Transfer,
    done: Callable[[Done], object],
    begin: Callable[[str], object],
) -> int:
    """Write what has come for the first of these, as far as one call can; how many it has written.

    What has come of each is given to ``done`` before the next is begun, which is told to ``begin``
    by its relative path, and not done where the copy is given up.
    """
    way = _way(actions[0])
    if way is None:
        return 0
    same = list(itertools.takewhile(lambda each: _way(each) == way, actions))
    return _Writing(same, transfer, done, begin).run()


class _Batch(ABC, Generic[Item]):
    """Small new files that go the same way, on their way to a call that makes them all."""

    def __init__(
        self,
        actions: Sequence[Action],
        transfer: Transfer,
        done: Callable[[Done], object],
    ) -> None:
        self._done = done
        self._made = 0
        self.actions: Sequence[Action] = actions
        #: What the backend has been given, with what was overcome for it.
        self.offered: list[tuple[CopyFile, tuple[BaseException, ...]]] = []
        #: Bytes of what it has made of that.
        self.sizes: list[int] = []
        self.transfer: Transfer = transfer

    def run(self) -> int:
        """How many were made, the first of them; with the next one there is a question."""
        transfer, way = self.transfer, _way(self.actions[0])
        if way is None or transfer.in_vain >= _IN_VAIN:
            return 0
        here, there = way
        try:
            with contextlib.suppress(Exception):  # each file says it of itself
                self.call(here, transfer.target_path(there), self.items())
        finally:
            try:
                self.settle()
            finally:
                self.settle()  # the rest, where an interrupt came into the middle
        if self.offered:
            transfer.in_vain = 0 if self._made else transfer.in_vain + 1
        return self._made

    def settle(self) -> None:
        """Say what has come of those that are there by now."""
        while self._made < len(self.sizes):
            action, overcome = self.offered[self._made]
            done = Done(action, CopyResult(None, self.sizes[self._made]), None, overcome)
            self._made += 1
            self._done(done)

    @abstractmethod
    def call(self, here: str, there: str, items: Iterator[Item]) -> None:
        """Make them in the directory ``there``; ``here`` is the source's."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """What the call takes of each file; the next is looked at when it is asked for."""


class _Copying(_Batch["FileInfo"]):
    """Files of this machine."""

    def call(self, here: str, there: str, items: Iterator[FileInfo]) -> None:
        source, target = self.transfer.source.mount, self.transfer.target.mount
        source.copy_together(here, items, target, there, self.sizes)

    def items(self) -> Iterator[FileInfo]:
        transfer, offer = self.transfer, self.offered.append
        for action in self.actions:
            if transfer.is_stopping:
                return
            assert isinstance(action, CopyFile)
            offer((action, ()))
            yield action.source


_File = tuple[str, bytes, "Attributes"]


class _Writing(_Batch[_File]):
    """What has come of a store."""

    def __init__(
        self,
        actions: Sequence[Action],
        transfer: Transfer,
        done: Callable[[Done], object],
        begin: Callable[[str], object],
    ) -> None:
        super().__init__(actions, transfer, done)
        self._begin = begin

    def call(self, here: str, there: str, items: Iterator[_File]) -> None:  # noqa: ARG002 - it has come
        self.transfer.target.mount.write_together(there, items, self.sizes)

    def items(self) -> Iterator[_File]:
        ahead = self.transfer.ahead
        for action in self.actions:
            self.settle()
            if self.transfer.is_stopping:
                return
            assert isinstance(action, CopyFile)
            found, overcome = ahead.look(action.source.path)
            if found is None or _length(found) != action.source.size:
                return
            self._begin(action.relpath)
            self.offered.append((action, overcome))
            name = action.relpath.rpartition("/")[2]
            yield name, found.data, joined(action.source, found.attributes)
            ahead.forget((action,))  # it is there


def _length(found: Loaded) -> int:
    return len(found.data) if found.told_size is None else found.told_size
