"""Where and when the actions of a plan are carried out: one after the other, or by many threads."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .actions import CompareFile, CopyFile
from .execute import Done

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from ..batch import MountBatch
    from .actions import Action
    from .events import Event
    from .execute import Transfer

__all__ = ["GOODBYE", "Crew", "Executor", "SerialExecutor", "ThreadedExecutor"]

#: Bytes of the files of which only a few are under way at once: each goes in parts, several at a
#: time, whose sum is what is in memory, and no more than so many bytes.
_BIG = 32 * 1024 * 1024
_BIG_AT_ONCE = 2
#: Bytes of the files that are handed out one by one, and how many bytes of those are under way at
#: a time: the clients of some stores hold all of such a file.
_HEAVY = 1024 * 1024
_HEAVY_AT_ONCE = 128 * 1024 * 1024
#: The same where a kill is to be made good: what was under way then has to be sent again. A large
#: file has a few small parts under way, and one is enough for a line that loses connections.
_BIG_RESUMED = 20 * 1024 * 1024
_HEAVY_RESUMED = 32 * 1024 * 1024
#: How many small files a thread takes at once at most, and for how long that may be enough work.
_MOST = 32
_SECONDS = 0.02
#: How many actions may wait for their turn behind large files.
_PATIENT = 1000
#: Seconds to wait for what is under way, when somebody has interrupted the copy.
GOODBYE = 2.0


class Executor(Protocol):
    """Decides where and when actions are carried out; what to do is the plan's business.

    ``run`` takes the actions lazily, calls ``transfer.attempt`` for each (in any order: writing
    makes missing parents), and yields what has come of it in the thread that iterates, so that
    callbacks never run anywhere else. When ``transfer.is_stopping``, nothing more is begun.
    """

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """Carry out the actions."""
        ...


class SerialExecutor:
    """One action after the other, in the caller's thread."""

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """Carry out the actions in their order."""
        if transfer.listener is None:
            yield from self._run(actions, transfer)
            return
        relay = transfer.listener = _Relay(transfer.listener)
        with contextlib.closing(self._run(actions, transfer)) as running:
            for done in running:
                relay.flush()
                yield done

    def _run(self, actions: Iterable[Action], transfer: Transfer) -> Generator[Done]:
        batch = transfer.begin_batch()
        if batch is not None:
            yield from _run_in_batches(actions, transfer.to(batch.mount), batch)
            return
        for action in actions:
            done = transfer.attempt(action)
            yield done
            if transfer.is_stopping:
                return


class _Relay:
    """Tells the listener in the caller's thread, also of what a backend's threads have to tell.

    They tell it themselves where the listener has ``from_any_thread``; else it has to wait until
    the caller's thread has something to tell.
    """

    def __init__(self, listener: Callable[[Event], object]) -> None:
        self._listener = listener
        self._is_told_at_once = getattr(listener, "from_any_thread", False)
        self._home = threading.get_ident()
        self._waiting: deque[Event] = deque()
        self._failure: BaseException | None = None

    def __call__(self, event: Event) -> None:
        if threading.get_ident() == self._home:
            self.flush()
            self._listener(event)
        elif not self._is_told_at_once:
            self._waiting.append(event)
        elif self._failure is None:
            try:
                self._listener(event)
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                self._failure = error

    def flush(self) -> None:
        """Tell what has waited; raise what the listener has raised in another thread."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        while self._waiting:
            self._listener(self._waiting.popleft())


def _run_in_batches(
    actions: Iterable[Action], transfer: Transfer, batch: MountBatch
) -> Iterator[Done]:
    """Carry out the actions in their order; what is yielded as done is visible."""
    waiting: list[Done] = []
    failure: Exception | None = None
    try:
        try:
            for action in actions:
                done = transfer.attempt(action)
                if done.error is not None:
                    failure = failure or done.error
                    if transfer.terms.on_error == "raise":
                        waiting.append(done)
                        break
                waiting.append(done)
                if batch.is_due:
                    batch.publish()
                if batch.is_empty:
                    yield from waiting
                    waiting = []
        except Exception as error:
            # The plan itself has failed: what was copied until then stays, as everywhere.
            _publish_last(batch, error)
            yield from waiting
            waiting = []
            raise
        _publish_last(batch, failure)
        yield from waiting
    finally:
        batch.discard()


def _publish_last(batch: MountBatch, failure: Exception | None) -> None:
    """What was copied before an error stays, as everywhere; the first error is the one to tell."""
    try:
        batch.publish()
    except Exception as error:
        if failure is None:
            raise
        failure.add_note(f"what was copied before it could not be written either: {error}")
        raise failure from error


class ThreadedExecutor:
    """Several actions at a time, each in a thread of its own: for storages behind a network.

    Small files are handed out in portions, the smaller the longer each takes; of large ones a few
    are under way at a time. What is waiting is bounded, so that plans of any length take no memory.

    ``concurrency`` is the number of threads.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """Carry out the actions; what is done first is yielded first."""
        batch = transfer.begin_batch()
        if batch is not None:
            yield from _run_in_batches(actions, transfer.to(batch.mount), batch)
            return
        crew = self._crew(transfer)
        try:
            yield from crew.run(iter(actions))
        except (KeyboardInterrupt, SystemExit):
            # What has arrived by now is told, so that the report says all of it.
            crew.dismiss()
            yield from crew.leftovers()
            raise
        finally:
            crew.dismiss()

    def _crew(self, transfer: Transfer) -> Crew:
        return Crew(self.concurrency, transfer)


class _Task(NamedTuple):
    """What a thread is given: small files, or a single heavy one, which counts as ``weight`` bytes."""

    actions: list[Action]
    weight: int = 0


class _Room(NamedTuple):
    """How many large files may be under way, for how many bytes each counts, and bytes in all."""

    big: int
    counts: int
    bytes: int


_ROOM = _Room(_BIG_AT_ONCE, _BIG, _HEAVY_AT_ONCE)
_ROOM_TO_RESUME = _Room(1, _BIG_RESUMED, _HEAVY_RESUMED)


class _Portion(NamedTuple):
    """What a thread has done of what it was given, and in how many seconds."""

    done: list[Done]
    seconds: float
    weight: int


class Crew:
    """The threads of one run, and what is on its way to and from them."""

    def __init__(self, size: int, transfer: Transfer) -> None:
        self._size = size
        self._transfer = transfer
        self._room = _ROOM_TO_RESUME if transfer.terms.resume else _ROOM
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[_Portion | BaseException | Event] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._portion = 1
        self._under_way = 0
        self._big_under_way = 0
        self._bytes_under_way = 0
        self._big: deque[Action] = deque()
        self._heavy: deque[Action] = deque()
        self._exhausted = False
        self._is_dismissed = False
        #: By the identity of each thread that works, the file that it is at.
        self._now: dict[int, str] = {}
        # What a thread has to tell is told in the one that iterates.
        self._listener = transfer.listener
        if self._listener is not None:
            transfer.listener = self._results.put

    def run(self, actions: Iterator[Action]) -> Iterator[Done]:
        """Hand out and take in."""
        transfer = self._transfer
        failure: Exception | None = None
        while True:
            try:
                while not transfer.is_stopping and self._has_room() and self._hand_out(actions):
                    pass
            except Exception as error:  # noqa: BLE001 - raised when what is under way has ended
                failure = error
                transfer.stop()
            if not self._under_way:
                break
            found = self._results.get()
            if isinstance(found, BaseException):
                raise found
            if not isinstance(found, _Portion):
                if self._listener is not None:
                    self._listener(found)
                continue
            self._under_way -= 1
            if found.weight:
                self._bytes_under_way -= self._counted(found.weight)
                self._big_under_way -= found.weight > _BIG
            else:
                self._adapt(len(found.done), found.seconds)
            yield from found.done
        if failure is not None:
            raise failure

    def leftovers(self) -> Iterator[Done]:
        """What was done and not yet yielded, when there are no more threads."""
        while not self._results.empty():
            found = self._results.get()
            if isinstance(found, _Portion):
                yield from found.done

    def _has_room(self) -> bool:
        return self._under_way < 2 * self._size

    def _hand_out(self, actions: Iterator[Action]) -> bool:
        """Give some thread something to do; False where there is nothing for now."""
        if self._hand_out_heavy():
            return True
        portion: list[Action] = []
        while len(portion) < self._portion and not self._is_full():
            action = next(actions, None)
            if action is None:
                self._exhausted = True
                break
            weight = _weight(action)
            if not weight:
                portion.append(action)
                continue
            (self._big if weight > _BIG else self._heavy).append(action)
            if portion or self._next_heavy() is not None:
                break
        if portion:
            self._give(_Task(portion))
            return True
        return self._hand_out_heavy()

    def _is_full(self) -> bool:
        return self._exhausted or len(self._big) + len(self._heavy) >= _PATIENT

    def _next_heavy(self) -> deque[Action] | None:
        """Where the heavy file is that may be begun now."""
        # Big ones first: the others fill what those leave, and never keep them waiting.
        waiting = self._big if self._big and self._big_under_way < self._room.big else self._heavy
        if not waiting:
            return None
        fits = self._bytes_under_way + self._counted(_weight(waiting[0])) <= self._room.bytes
        return waiting if fits or not self._bytes_under_way else None

    def _hand_out_heavy(self) -> bool:
        waiting = self._next_heavy()
        if waiting is None:
            return False
        action = waiting.popleft()
        weight = _weight(action)
        self._give(_Task([action], weight))
        self._big_under_way += weight > _BIG
        self._bytes_under_way += self._counted(weight)
        return True

    def _counted(self, weight: int) -> int:
        """The bytes of a heavy file that are under way at a time."""
        return self._room.counts if weight > _BIG else weight

    def _give(self, task: _Task) -> None:
        self._start(task)
        self._under_way += 1  # only now: what nobody does would be waited for without end

    def _start(self, task: _Task) -> None:
        if len(self._threads) < min(self._size, self._under_way + 1):
            # A daemon: what an interrupted process leaves behind is whole, or is not there.
            thread = threading.Thread(target=self._work, name="genro-storage-copy", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:
                    raise
                self._size = len(self._threads)  # the system has no more of them
            else:
                self._threads.append(thread)
        self._tasks.put(task)

    def _adapt(self, count: int, seconds: float) -> None:
        """So many files in so many seconds: how many to hand out at once from now on."""
        if seconds * self._portion > _SECONDS * count:
            self._portion = max(1, self._portion // 2)
        elif self._portion < _MOST and count == self._portion:
            self._portion *= 2

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._carry_out(task)

    def _carry_out(self, task: _Task) -> None:
        attempt, transfer = self._transfer.attempt, self._transfer
        started = time.perf_counter()
        done: list[Done] = []
        here = threading.get_ident()
        try:
            for action in task.actions:
                if transfer.is_stopping:
                    break
                self._now[here] = action.relpath
                done.append(attempt(action))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that iterates
            self._now.pop(here, None)
            self._results.put(error)
        else:
            self._now.pop(here, None)
            self._results.put(_Portion(done, time.perf_counter() - started, task.weight))

    def dismiss(self) -> None:
        """No more work. What is under way ends first, unless the copy is given up."""
        if self._is_dismissed:
            return
        self._is_dismissed = True
        if self._under_way:
            self._transfer.stop()
        for _ in self._threads:
            self._tasks.put(None)
        until = time.monotonic() + GOODBYE
        for thread in self._threads:
            if self._under_way:
                thread.join(max(0.0, until - time.monotonic()))
            else:
                thread.join()
        self._note_left()

    def _note_left(self) -> None:
        """Say what is still under way, now that nobody waits for it any longer."""
        self._transfer.left_behind.extend(list(self._now.values()))


def _weight(action: Action) -> int:
    """The bytes of a heavy file; 0 for a small one, and for what is no file."""
    size = action.source.size or 0 if isinstance(action, CopyFile | CompareFile) else 0
    return size if size > min(_HEAVY, _BIG) else 0
