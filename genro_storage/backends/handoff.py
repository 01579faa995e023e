"""Calls that an interrupt of the main thread must not break in two, or could not end.

Python handles Control-C between its own steps. A call of obstore is one step until the server has
answered; a message to a server that is interrupted in the middle has ended its connection, and with
it the means to undo what was half done. So the main thread has another one make the call, and waits
for a lock, which an interrupt ends. Other threads get no interrupts and call directly. This costs
some 25 microseconds; a ``Future`` costs a hundred, a coroutine on another thread's loop four
hundred.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROCESS", "interruptible"]

T = TypeVar("T")

#: Seconds that the end of the process waits for calls which nobody waits for any more: a thread
#: that comes back from native code while Python ends takes the whole process down.
_GOODBYE = 2.0


class _Call:
    """One call, and what has come of it."""

    __slots__ = ("done", "error", "result", "step")

    def __init__(self, step: Callable[[], Any]) -> None:
        self.step = step
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = _thread.allocate_lock()
        self.done.acquire()


class _Worker:
    """A thread for one call at a time."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call] = SimpleQueue()
        threading.Thread(target=self._run, name="genro-storage-call", daemon=True).start()

    def _run(self) -> None:
        while True:
            call = self.calls.get()
            try:
                call.result = call.step()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                call.error = error
            _idle.append(self)
            call.done.release()
            del call  # what it holds may be large


class _Process:
    """What is true of this process: for attributes, since every small request reads them."""

    __slots__ = ("is_inherited", "main")

    def __init__(self) -> None:
        #: The thread that gets interrupts; others call by themselves.
        self.main: int | None = threading.main_thread().ident
        #: Whether it was forked from one that had obstore, whose threads are not here: each of
        #: its calls would wait for ever. Whoever starts processes by ``spawn`` has none of this.
        self.is_inherited: bool = False


PROCESS = _Process()
_idle: deque[_Worker] = deque()
_abandoned: deque[_Call] = deque(maxlen=64)


def interruptible(
    step: Callable[[], T], grace: float = 0.0, give_up: Callable[[], object] | None = None
) -> T:
    """``step()``; in the main thread an interrupt is raised at once, and the call goes on alone.

    What it does then happens or not, whole: nobody hears of it. With ``grace`` an interrupt is
    raised when the call has ended, or so many seconds later, or at another interrupt. ``give_up``
    tells the call of the interrupt, so that it ends soon.
    """
    if _thread.get_ident() != PROCESS.main:
        return step()
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    call = _Call(step)
    worker.calls.put(call)
    try:
        call.done.acquire()
    except BaseException:
        ended = False
        try:
            if give_up is not None:
                give_up()
            ended = grace > 0 and call.done.acquire(timeout=grace)
        finally:
            if not ended:
                _abandoned.append(call)
        raise
    if call.error is not None:
        try:
            raise call.error
        finally:
            del call  # with its traceback it would be a circle
    found: T = call.result
    return found


def _after_fork() -> None:
    PROCESS.main = threading.get_ident()
    _idle.clear()
    _abandoned.clear()
    # Also where it was not used yet as far as we know: another library may have.
    if "obstore" in sys.modules:
        PROCESS.is_inherited = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _wait_for_abandoned() -> None:
    until = time.monotonic() + _GOODBYE
    while _abandoned and time.monotonic() < until:
        call = _abandoned.popleft()
        call.done.acquire(timeout=max(0.0, until - time.monotonic()))
