"""Small files of one directory, which one call copies or writes one after the other."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

from ...hearing import hearing_retries
from ..planning.actions import CopyFile
from .attempting import Begun, Done
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


def attempt_each(actions: Iterable[Action], transfer: Transfer) -> Generator[Done]:
    """Carry out the actions in their order, and say what has come of each.

    Where a call can copy several, what it does not copy is copied by itself: that tells, and tries
    again, whatever there is to tell and to try.
    """
    for portion in _portions(actions, transfer):
        left = portion
        while left and not transfer.is_stopping:
            if len(left) > 1:
                left = left[_Copying(left, transfer).run() :]
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


class _Copying:
    """Small new files of this machine that go the same way, on their way to a call that copies them."""

    def __init__(self, actions: Sequence[Action], transfer: Transfer) -> None:
        self._actions = actions
        self._transfer = transfer
        self._made = 0
        #: What the backend has been given, and the bytes of what it has copied of that.
        self._offered: list[CopyFile] = []
        self._sizes: list[int] = []

    def run(self) -> int:
        """How many were made, the first of them; with the next one there is a question."""
        transfer, way = self._transfer, _way(self._actions[0])
        if way is None or transfer.in_vain >= _IN_VAIN:
            return 0
        here, there = way
        source, target = transfer.source.mount, transfer.target
        try:
            with contextlib.suppress(Exception):  # each file says it of itself
                source.copy_together(
                    here, self._files(), target.mount, transfer.target_path(there), self._sizes
                )
        finally:
            try:
                self._settle()
            finally:
                self._settle()  # the rest, where an interrupt came into the middle
        if self._offered:
            transfer.in_vain = 0 if self._made else transfer.in_vain + 1
        return self._made

    def _settle(self) -> None:
        """Say what has come of those that are there by now."""
        while self._made < len(self._sizes):
            result = CopyResult(None, self._sizes[self._made])
            done = Done(self._offered[self._made], result)
            self._made += 1
            self._transfer.untold.append(done)

    def _files(self) -> Iterator[FileInfo]:
        """The next is looked at when it is asked for."""
        transfer, offer = self._transfer, self._offered.append
        for action in self._actions:
            if transfer.is_stopping:
                return
            assert isinstance(action, CopyFile)
            offer(action)
            yield action.source


def write_together(
    actions: Sequence[Action],
    transfer: Transfer,
    done: Callable[[Done], object],
    begin: Callable[[str], object],
) -> tuple[int, Begun | None]:
    """Write what has come for the first of these, as far as one call can: how many it has written.

    What has come of each is given to ``done`` before the next is begun, which is told to ``begin``
    by its relative path, and not done where the copy is given up. Where the call has ended at one
    of them, what is known of that, which is to be made by itself.
    """
    way = _way(actions[0])
    if way is None or transfer.in_vain >= _IN_VAIN:
        return 0, None
    same = itertools.takewhile(lambda each: _way(each) == way, actions)
    writing = _Writing(list(same), transfer, done, begin)
    return writing.run(transfer.target_path(way[1]))


class _Writing:
    """What has come of a store, and is written one after the other."""

    def __init__(
        self,
        actions: Sequence[Action],
        transfer: Transfer,
        done: Callable[[Done], object],
        begin: Callable[[str], object],
    ) -> None:
        self._transfer = transfer
        self._done = done
        self._begin = begin
        self._count = 0
        self._is_given_up = False
        #: What each has overcome before it is written, and the one that is under way by now.
        self._overcome: list[tuple[BaseException, ...]] = []
        self._heard: list[BaseException] = []
        self._actions = actions
        self._files: list[tuple[str, bytes, Attributes]] = []
        for action in actions:
            assert isinstance(action, CopyFile)
            found, overcome = transfer.ahead.look(action.source.path)
            if found is None or _length(found) != action.source.size:
                break
            name = action.relpath.rpartition("/")[2]
            self._files.append((name, found.data, joined(action.source, found.attributes)))
            self._overcome.append(overcome)

    def run(self, directory: str) -> tuple[int, Begun | None]:
        """As ``write_together``."""
        transfer, total = self._transfer, len(self._files)
        if not total:
            return 0, None
        self._begin(self._actions[0].relpath)
        begun: Begun | None = None
        with hearing_retries(self._heard.append):
            try:
                transfer.target.mount.write_together(directory, self._files, self._arrived)
            except Exception as error:
                if self._count == total:
                    raise  # it is no file's
                begun = self._failed(error)
            finally:
                self._files.clear()  # or the traceback of a failure would hold them
        transfer.in_vain = 0 if self._count else transfer.in_vain + 1
        if begun is None and self._count < total and not self._is_given_up:
            begun = Begun(
                None, tuple(self._heard)
            )  # it may be there; what has come is still to be loaded
        return self._count, begun

    def _failed(self, error: Exception) -> Begun:
        action, overcome = self._actions[self._count], self._overcome[self._count]
        self._transfer.ahead.forget((action,))  # another attempt asks anew
        return Begun(error, (*overcome, *self._heard))

    def _arrived(self, size: int) -> bool:
        number = self._count
        retries = self._overcome[number]
        if self._heard:
            retries = (*retries, *self._heard)
            self._heard.clear()
        self._done(Done(self._actions[number], CopyResult(None, size), None, retries))
        self._count = number = number + 1
        if number == len(self._files):
            return False
        if self._transfer.is_stopping:
            self._is_given_up = True
            return False
        self._begin(self._actions[number].relpath)
        return True


def _length(found: Loaded) -> int:
    return len(found.data) if found.told_size is None else found.told_size
