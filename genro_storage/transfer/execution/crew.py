"""The threads of one copy: who gets what to do, and how much of it is under way at a time."""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from ..planning.actions import CompareFile
from .load import LOOK, Load
from .together import write_together
from .weighed import HEAVY, Weighed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..events import Event
    from ..planning.actions import Action
    from .execute import Done, Transfer

__all__ = ["FEW", "GOODBYE", "Crew"]

#: How many small files a thread takes at once at most, and for how long that may be enough work.
#: Where their own work is what takes the time, the most are taken.
_MOST = 32
_SECONDS = 0.02
#: How many threads begin, where nobody has said how many: more of them than this only take turns at
#: the one core that they share, unless they mostly wait.
FEW = 6
#: Seconds of waiting that say nothing: the system has had something else to do.
_BRIEF = 0.002
#: The part of one core from which on others of this process are what a thread waits for.
_OTHERS = 0.75
#: After how many seconds of waiting in a row it is not they who were waited for.
_PATIENCE = 0.25
_ANY_TIME = contextlib.nullcontext()
#: How many actions may wait for their turn.
_PATIENT = 1000
#: Seconds to wait for what is under way, when somebody has interrupted the copy.
GOODBYE = 2.0


_Kind = Literal["small", "compared", "weighed"]


class _Task(NamedTuple):
    """What a thread is given: small files, or a single one of ``weight`` bytes."""

    actions: list[Action]
    kind: _Kind = "small"
    weight: int = 0


class _Portion(NamedTuple):
    """What a thread has done of what it was given, in how many seconds, and of its own work.

    ``process`` are the seconds that the whole process has worked meanwhile.
    """

    done: list[Done]
    task: _Task
    seconds: float
    worked: float
    process: float = 0.0


class _Results:
    """What threads have to say, in its order. It stays until it is dropped.

    An interrupt can come when a queue has given something and nobody has it yet.
    """

    def __init__(self) -> None:
        self._all: deque[_Portion | BaseException | Event] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, said: _Portion | BaseException | Event) -> None:
        """From any thread."""
        self._all.append(said)
        self._bell.put(None)

    def wait(self, seconds: float | None = None) -> _Portion | BaseException | Event | None:
        """The first, when there is one; None if there is none by then."""
        try:
            self._bell.get(timeout=seconds)
        except queue.Empty:
            return None
        return self._all[0]

    def drop(self) -> None:
        """Forget the first, which ``wait`` has returned."""
        self._all.popleft()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[_Portion | BaseException | Event]:
        return iter(list(self._all))


class Crew:
    """The threads of one run, and what is on its way to and from them."""

    #: Whether the thread that plans may compare small files, too.
    _compares_itself: ClassVar[bool] = True

    def __init__(self, size: int, transfer: Transfer, *, begin_with: int | None = None) -> None:
        self._size = size
        #: How many threads there are by now, at most.
        self._active = size if begin_with is None else min(begin_with, size)
        self._transfer = transfer
        self._weighed = Weighed(to_resume=transfer.terms.resume)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._results = _Results()
        self._threads: list[threading.Thread] = []
        self._portion = 1
        self._load = Load()
        #: Whoever has nothing more to wait for, where the crew is busy: with others beside it
        #: would only be interrupted at every call of the system.
        self._turn = threading.Lock()
        self._under_way = 0
        #: Files that are to be compared first, and by how many threads at a time: by the one that
        #: plans, unless it turns out that they wait for something. Those that only read a few bytes
        #: here are in each other's way, and those that ask a server are not.
        self._compared: deque[Action] = deque()
        self._comparing = 0
        self._comparers = 0 if self._compares_itself else 1
        #: Seconds of the last comparisons, in which there was nothing but waiting.
        self._waited = 0.0
        self._exhausted = False
        self._is_dismissed = False
        #: By the identity of each thread that works, the file that it is at.
        self._now: dict[int, str] = {}
        #: What was done of each task that is not over, or has ended by an error that is no file's.
        self._unfinished: dict[int, list[Done]] = {}
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
                while not transfer.is_stopping and self._has_room():
                    if self._is_awaited() or not self._hand_out(actions):
                        break
            except Exception as error:  # noqa: BLE001 - raised when what is under way has ended
                failure = error
                transfer.stop()
            if not self._under_way:
                break
            # Where nothing comes for a while, more threads may be what is missing.
            found = self._results.wait(LOOK if self._active < self._size else None)
            if found is None:
                self._grow(0.0)
                continue
            if isinstance(found, BaseException):
                raise found
            if isinstance(found, _Portion):
                self._take_in(found)
                while found.done:
                    yield found.done.pop(0)
            elif self._listener is not None:
                self._listener(found)
            self._results.drop()
        if failure is not None:
            raise failure

    def _take_in(self, found: _Portion) -> None:
        self._under_way -= 1
        kind, weight = found.task.kind, found.task.weight
        is_own = kind == "compared" and not self._comparers  # counted with the thread's other work
        self._grow(0.0 if is_own else found.worked)
        if kind == "weighed":
            self._weighed.has_ended(weight)
            return
        if kind == "compared":
            self._comparing -= 1
            self._widen(found)
        self._adapt(len(found.done), found.seconds)

    def _grow(self, worked: float) -> None:
        """More threads, where those that are there mostly wait."""
        if self._load.add(worked):
            self._active = min(self._load.room * self._active, self._size)
            self._staff()

    def _staff(self) -> None:
        """Threads for what waits for one."""
        while len(self._threads) < min(self._active, self._under_way):
            self._start_thread()

    def _widen(self, found: _Portion) -> None:
        """More threads to compare by, where those that do mostly wait, and not for each other."""
        if not self._comparers:
            if found.seconds <= _BRIEF or found.seconds <= 4 * found.worked:
                self._waited = 0.0
                return
            # Where other threads of this process have worked, it may be for them that it has
            # waited: for one that reads a page of a listing, it soon does no more.
            self._waited += found.seconds
            if found.process < _OTHERS * found.seconds or self._waited > _PATIENCE:
                self._comparers = min(self._size, 2)
        elif found.seconds > 2 * self._comparers * found.worked:
            self._comparers = min(self._size, 2 * self._comparers)

    def leftovers(self) -> Iterator[Done]:
        """What was done and not yet yielded, also by threads that nobody waits for any longer."""
        portions = [each.done for each in self._results if isinstance(each, _Portion)]
        for done in [*portions, *self._unfinished.values()]:
            while done:
                yield done.pop(0)

    def _has_room(self) -> bool:
        return self._under_way < 2 * self._active

    def _hand_out(self, actions: Iterator[Action]) -> bool:
        """Give some thread something to do; False where there is nothing for now."""
        if self._hand_out_weighed() or self._hand_out_compared(self._portion):
            return True
        portion: list[Action] = []
        while len(portion) < self._portion and not (self._is_full() or self._is_awaited()):
            action = next(actions, None)
            if action is None:
                self._exhausted = True
                break
            if weight := self._weighed.weight(action):
                self._weighed.add(action, weight)
            elif action.__class__ is CompareFile:
                self._compared.append(action)
            else:
                portion.append(action)
                continue
            if portion or self._weighed.has_next or self._is_next_compared(self._portion):
                break
        if portion:
            self._give(_Task(portion))
            return True
        return self._hand_out_weighed() or self._hand_out_compared(1)

    def _is_awaited(self) -> bool:
        """Whether something has come of what is under way, which is told before more is planned."""
        return self._under_way > 0 and len(self._results) > 0

    def _is_full(self) -> bool:
        return self._exhausted or self._weighed.waiting + len(self._compared) >= _PATIENT

    def _is_next_compared(self, least: int) -> bool:
        if len(self._compared) < least:
            return False
        if self._comparers:
            return self._comparing < self._comparers
        return not self._comparing and self._under_way < self._size

    def _hand_out_compared(self, least: int) -> bool:
        if not self._is_next_compared(least):
            return False
        count = min(self._portion, len(self._compared))
        task = _Task([self._compared.popleft() for _ in range(count)], "compared")
        if self._comparers:
            self._give(task)
        else:
            self._under_way += 1
            self._carry_out(task)
        self._comparing += 1
        return True

    def _hand_out_weighed(self) -> bool:
        found = self._weighed.take()
        if found is None:
            return False
        action, weight = found
        self._give(_Task([action], "weighed", weight))
        return True

    def _give(self, task: _Task) -> None:
        self._load.begin()
        self._start(task)
        self._under_way += 1  # only now: what nobody does would be waited for without end

    def _start(self, task: _Task) -> None:
        # A large file mostly waits.
        most = self._size if task.weight > HEAVY else self._active
        if len(self._threads) < min(most, self._under_way + 1):
            self._start_thread()
        self._tasks.put(task)

    def _start_thread(self) -> None:
        # A daemon: what an interrupted process leaves behind is whole, or is not there.
        thread = threading.Thread(target=self._work, name="genro-storage-copy", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
            self._size = self._active = len(self._threads)  # the system has no more of them
        else:
            self._threads.append(thread)

    def _adapt(self, count: int, seconds: float) -> None:
        """So many files in so many seconds: how many to hand out at once from now on."""
        if self._load.is_full:
            self._portion = min(_MOST, 2 * self._portion)
        elif seconds * self._portion > _SECONDS * count:
            self._portion = max(1, self._portion // 2)
        elif self._portion < _MOST and count == self._portion:
            self._portion *= 2

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._carry_out(task)

    def _carry_out(self, task: _Task) -> None:
        """Do it, and say what has come of it."""
        attempt, transfer = self._transfer.attempt, self._transfer
        started, worked, process = time.perf_counter(), time.thread_time(), time.process_time()
        done: list[Done] = []
        here = threading.get_ident()
        # Not by the thread: after such an error its next task, or another thread, has its identity.
        self._unfinished[id(done)] = done
        try:
            have_come = not transfer.is_stopping and self._fetch(task.actions)
            with self._turn_where(have_come and transfer.ends_here):
                together = have_come and transfer.may_write_together
                begin = functools.partial(self._now.__setitem__, here)
                left: Sequence[Action] = task.actions
                while left and not transfer.is_stopping:
                    begun = None
                    if together:
                        count, begun = write_together(left, transfer, done.append, begin)
                        left = left[count:]
                        if count and begun is None:
                            continue
                    begin(left[0].relpath)
                    done.append(attempt(left[0], begun))
                    left = left[1:]
        except BaseException as error:  # noqa: BLE001 - raised in the thread that iterates
            self._now.pop(here, None)
            transfer.ahead.forget(task.actions)
            self._results.put(error)
            transfer.stop()  # also of what was handed out before anybody hears of it
        else:
            transfer.ahead.forget(task.actions)
            self._now.pop(here, None)
            seconds, process = time.perf_counter() - started, time.process_time() - process
            self._results.put(_Portion(done, task, seconds, time.thread_time() - worked, process))
            del self._unfinished[id(done)]  # only now: see `leftovers`

    def _fetch(self, actions: Sequence[Action]) -> bool:
        with self._turn_where(self._transfer.begins_here):
            return self._transfer.ahead.fetch(actions)

    def _turn_where(self, waits_for_nobody: bool) -> contextlib.AbstractContextManager[object]:
        return self._turn if waits_for_nobody and self._load.is_full else _ANY_TIME

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
