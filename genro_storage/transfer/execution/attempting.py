"""Carrying one action out, again where that may help, and saying what has come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...exceptions import (
    StorageChangedError,
    StorageConnectionError,
    StorageError,
    StorageIOError,
    StorageTimeoutError,
)
from ...hearing import hearing_bytes, hearing_retries, note_retry
from ..events import BytesMoved, Retried
from ..planning.actions import WITH_CONTENT, CompareFile, CopyFile
from ..planning.rules import MISSING

if TYPE_CHECKING:
    from ..planning.actions import Action
    from .execute import CopyResult, Transfer

__all__ = ["Begun", "Done", "Stopped", "UnverifiedError", "attempt"]

#: Seconds before a file is tried again, doubled each time.
_PAUSE = 0.2
#: Bytes of the files whose copy is given up in between, where all of it is.
_LONG = 1024 * 1024
_AGAIN = "Copy it again with skip='hash', which does not take it for what it should be"


class Done(NamedTuple):
    """An action that was carried out, or could not be (``error``).

    ``action`` says what was done: for a ``CompareFile`` what that has come to. ``result`` is None
    where there was nothing to do. ``retries`` are the errors that were overcome on the way.
    """

    action: Action
    result: CopyResult | None
    error: Exception | None = None
    retries: tuple[BaseException, ...] = ()


class Begun:
    """What is known of a file that a call for several has ended at.

    ``failed`` is what the attempt to make it has failed with, None where there was none, and
    ``retries`` are the errors that were overcome before.
    """

    def __init__(self, failed: Exception | None, retries: tuple[BaseException, ...]) -> None:
        self._failed = failed
        self.retries: tuple[BaseException, ...] = retries

    def fail(self) -> None:
        """Raise that error, once; who has been given this is in its traceback, and has it no more."""
        failed, self._failed = self._failed, None
        if failed is not None:
            try:
                raise failed
            finally:
                del failed


class Stopped(Exception):  # noqa: N818 - what has happened to the copy, no fault of the file
    """A large file was given up, because the copy is; its destination is as it was."""


class UnverifiedError(StorageIOError):
    """What has arrived at ``path`` is another content. Never leaves the engine by this name."""

    path: str = ""


def attempt(transfer: Transfer, action: Action, begun: Begun | None = None) -> Done:
    """As ``Transfer.attempt``."""
    heard = [] if begun is None else list(begun.retries)
    is_long = isinstance(action, WITH_CONTENT) and (action.source.size or 0) > _LONG
    if transfer.listener is None and not is_long:
        with hearing_retries(heard.append):
            return _attempts(transfer, action, heard, begun)
    ear = _Ear(transfer, action.relpath, heard)
    with hearing_retries(ear.retried), hearing_bytes(ear.moved):
        done = _attempts(transfer, action, heard, begun)
    return done if done.error is None or not ear.has_stopped else done._replace(error=Stopped())


class _Ear:
    """Hears of what goes on while one file is copied: for the listener, and to end it in between."""

    def __init__(self, transfer: Transfer, relpath: str, heard: list[BaseException]) -> None:
        self._transfer = transfer
        self._relpath = relpath
        self._heard = heard
        self.has_stopped = False

    def retried(self, error: BaseException) -> None:
        self._heard.append(error)
        if self._transfer.listener is not None:
            self._transfer.listener(Retried(self._relpath, error))

    def moved(self, count: int) -> None:
        """Raises where the copy is given up: whatever moves the bytes then leaves things as they were."""
        if self._transfer.is_stopping:
            self.has_stopped = True
            raise Stopped
        if self._transfer.listener is not None:
            self._transfer.listener(BytesMoved(self._relpath, count))


def _attempts(
    transfer: Transfer, action: Action, heard: list[BaseException], begun: Begun | None
) -> Done:
    number = 0
    while True:
        decided = action
        try:
            if begun is not None:
                begun.fail()
            decided = action if action.__class__ is CopyFile else transfer.decided(action)
            result = transfer.perform(decided)
        except Exception as error:  # noqa: BLE001 - for whoever asked
            number += 1
            again = _again(transfer, action, error, number)
            if again is None:
                if isinstance(error, UnverifiedError):
                    given_up = _given_up(transfer, decided, error)
                    return Done(action, None, given_up, tuple(heard))
                return Done(action, None, error, tuple(heard))
            action = again
            note_retry(error)
        else:
            return Done(decided, result, None, tuple(heard))


def _again(transfer: Transfer, action: Action, error: Exception, number: int) -> Action | None:
    """What to try after this error; None to give up."""
    if number > transfer.terms.retries or transfer.is_stopping:
        return None
    if isinstance(error, StorageChangedError) and isinstance(action, WITH_CONTENT):
        return _looked_at(transfer, action)
    # The storage has repeated the request already, for seconds; the file is more patient.
    if isinstance(error, StorageConnectionError | StorageTimeoutError | UnverifiedError):
        if transfer.is_exclusive(action):
            return None  # it may have been written, and would be in its own way
        return None if transfer.wait(_PAUSE * 2**number) else action
    return None


def _given_up(transfer: Transfer, action: Action, error: UnverifiedError) -> StorageIOError:
    """What to say of a file that never arrived as it is: the next run must not take it for good."""
    mount = transfer.target.mount
    was_missing = (
        isinstance(action, CopyFile) and action.target is None and action.reason == MISSING
    )
    if transfer.is_exclusive(action) or was_missing:
        try:
            mount.remove(error.path)
        except StorageError as refused:
            left = f"it stands there now and could not be removed ({refused}). {_AGAIN}"
        else:
            left = "it was removed again, as nothing was there before. Copy it again"
    else:
        left = f"it stands there now, in the place of what was there. {_AGAIN}"
    return StorageIOError(f"{error.message}; {left}", node=error.node)


def _looked_at(transfer: Transfer, action: CopyFile | CompareFile) -> Action | None:
    """The same for the source as it is now; None where it is gone."""
    try:
        info = transfer.source.mount.stat(action.source.path)
    except StorageError:
        return None  # of which the error that we have says more
    if info.type != "file":
        return None
    if isinstance(action, CopyFile):
        return CopyFile(action.relpath, info, action.target, action.reason)
    return CompareFile(action.relpath, info, action.target)
