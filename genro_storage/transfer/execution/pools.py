"""Executors of ``concurrent.futures`` carry plans out: threads in this process, or others' shards."""

from __future__ import annotations

import queue
import time
from concurrent import futures
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ...exceptions import StorageIOError, StorageNotFoundError, StorageValueError
from ...paths import join
from ..events import FileStarted, Retried
from ..planning.actions import CompareFile, CopyFile, MakeDirectory
from .bandwidth import Bandwidth
from .crew import GOODBYE, Crew
from .execute import Done
from .executors import Executor, ThreadedExecutor
from .shards import Answer, Shard, SharedPlace, carry_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..planning.actions import Action
    from .crew import _Task
    from .execute import Transfer

__all__ = ["PooledExecutor", "ShardedExecutor", "executor_of"]

#: Files of the first shards, so that every worker soon has something to do.
_FIRST = 32
#: Shards under way where nobody knows how many workers there are.
_UNKNOWN = 16
#: Seconds for which the number of workers is believed: clusters grow and shrink.
_BELIEVED = 10.0
# Of Python 3.14: threads, whose interpreters share nothing.
_INTERPRETERS: type | tuple[()] = getattr(futures, "InterpreterPoolExecutor", ())


def executor_of(pool: futures.Executor, concurrency: int | None = None) -> Executor:
    """What lets the pool carry plans out; ``concurrency``: files at a time, in each worker."""
    if isinstance(pool, futures.ThreadPoolExecutor) and not isinstance(pool, _INTERPRETERS):
        return PooledExecutor(pool, concurrency)
    return ShardedExecutor(pool, concurrency=concurrency)


class PooledExecutor(ThreadedExecutor):
    """As ``ThreadedExecutor``, with the threads of a pool that is the caller's."""

    def __init__(self, pool: futures.ThreadPoolExecutor, concurrency: int | None = None) -> None:
        threads: int = getattr(pool, "_max_workers", 1)
        super().__init__(threads if concurrency is None else min(concurrency, threads))
        self._pool = pool

    def _crew(self, transfer: Transfer) -> Crew:
        return _PooledCrew(self.concurrency, transfer, self._pool)


class _PooledCrew(Crew):
    _compares_itself: ClassVar[bool] = False

    def __init__(self, size: int, transfer: Transfer, pool: futures.Executor) -> None:
        super().__init__(size, transfer)
        self._pool = pool
        self._futures: set[futures.Future[None]] = set()

    def _has_room(self) -> bool:
        # What waits in the pool's own queue is in the way of its other users.
        return self._under_way < self._size

    def _staff(self) -> None:
        """The pool has its own."""

    def _start(self, task: _Task) -> None:
        future = self._pool.submit(self._carry_out, task)
        self._futures.add(future)
        future.add_done_callback(self._ended)

    def _ended(self, future: futures.Future[None]) -> None:
        self._futures.discard(future)
        if future.cancelled():
            self._results.put(futures.CancelledError("the pool was shut down during the copy"))

    def dismiss(self) -> None:
        """The pool stays; what is under way in it ends first, unless the copy is given up."""
        if self._is_dismissed:
            return
        self._is_dismissed = True
        waiting = list(self._futures)
        if self._under_way:
            self._transfer.stop()
            for future in waiting:
                future.cancel()  # the pool may be busy with other work, and come to it later
        futures.wait(waiting, GOODBYE if self._under_way else None)
        self._note_left()


class ShardedExecutor:
    """Carries plans out in shards, by the workers of any other executor: processes, Dask, loky.

    A shard has at most ``max_files`` files, and of ``max_bytes`` bytes together; the first ones
    are smaller. ``in_flight`` of them are handed in at a time, by default two for each worker where
    the pool says how many there are. A shard whose worker is lost is handed in ``again`` times;
    then its files are failures. ``concurrency``: files at a time in each worker.

    Mounts are opened by reference: ``StorageValueError`` where one cannot be (``Mount.shared``),
    where the target is an archive, which only one process writes, or where the pool forks::

        executor = ShardedExecutor(client.get_executor(), max_files=200)
        storage.node("photos:").sync("backup:", executor=executor)
    """

    def __init__(
        self,
        pool: futures.Executor,
        *,
        max_files: int = 1000,
        max_bytes: int = 1024**3,
        in_flight: int | None = None,
        again: int = 3,
        concurrency: int | None = None,
    ) -> None:
        if max_files < 1 or max_bytes < 1 or (in_flight is not None and in_flight < 1):
            raise StorageValueError("max_files=, max_bytes= and in_flight= are at least 1")
        self.pool: futures.Executor = pool
        self.max_files: int = max_files
        self.max_bytes: int = max_bytes
        self.in_flight: int | None = in_flight
        self.again: int = again
        self.concurrency: int | None = concurrency

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """Carry out the actions; what is done first is yielded first."""
        _refuse_forks(self.pool)
        target = transfer.target
        if target.mount.holder is not None:
            raise StorageValueError(
                f"{target}: is in an archive, a single file that only one process writes; copy "
                "without executor=",
                node=str(target),
            )
        run = _Run(self, transfer)
        try:
            yield from run.run(iter(actions))
        finally:
            run.dismiss()


class _HandedIn(NamedTuple):
    """A shard that is under way, after these ``losses`` of its workers."""

    data: bytes
    actions: list[Action]
    losses: tuple[BaseException, ...] = ()


class _Run:
    """One run of a plan: the shards that are under way."""

    def __init__(self, executor: ShardedExecutor, transfer: Transfer) -> None:
        self._executor = executor
        self._transfer = transfer
        self._source = SharedPlace.of(transfer.source)
        self._target = SharedPlace.of(transfer.target)
        self._waiting: dict[futures.Future[bytes], _HandedIn] = {}
        self._ended: queue.SimpleQueue[futures.Future[bytes]] = queue.SimpleQueue()
        self._room = _Room(executor.pool, executor.in_flight)
        self._workers: set[str] = set()
        self._shards = 0
        self._exhausted = False

    def run(self, actions: Iterator[Action]) -> Iterator[Done]:
        """Hand out and take in."""
        transfer = self._transfer
        failure: Exception | None = None
        while True:
            try:
                while self._has_room():
                    portion: list[Action] = []
                    yield from self._collect(actions, portion)
                    if portion and not transfer.is_stopping:
                        yield from self._hand_in(self._shard(portion))
                if transfer.is_stopping:
                    self._take_back()
                if not self._waiting:
                    break
                yield from self._take(self._ended.get())
            except Exception as error:  # noqa: BLE001 - raised when what is under way has ended
                failure = failure or error
                transfer.stop()
        if failure is not None:
            raise failure

    def _has_room(self) -> bool:
        return (
            not self._exhausted
            and not self._transfer.is_stopping
            and len(self._waiting) < self._room.shards
        )

    def _collect(self, actions: Iterator[Action], portion: list[Action]) -> Iterator[Done]:
        """Fill the next shard; what needs no storage is done here."""
        executor, transfer = self._executor, self._transfer
        # Each round of shards twice as large as the one before.
        files = min(executor.max_files, _FIRST << min(16, self._shards // self._room.shards))
        size = 0
        while len(portion) < files and size < executor.max_bytes:
            if not self._ended.empty():
                yield from self._take(self._ended.get())
            if transfer.is_stopping:
                return
            action = next(actions, None)
            if action is None:
                self._exhausted = True
                return
            if isinstance(action, CopyFile | CompareFile | MakeDirectory):
                portion.append(action)
                size += 0 if isinstance(action, MakeDirectory) else action.source.size or 0
            else:
                yield transfer.attempt(action)

    def _shard(self, actions: list[Action]) -> _HandedIn:
        self._shards += 1
        terms = self._transfer.terms
        if terms.bandwidth is not None and (rate := terms.bandwidth.bytes_per_second) is not None:
            # Each process has a budget of its own: together they have this one.
            terms = replace(terms, bandwidth=Bandwidth(max(1, rate // self._room.at_once)))
        shard = Shard.of(self._source, self._target, terms, self._executor.concurrency, actions)
        return _HandedIn(shard.to_bytes(), actions)

    def _hand_in(self, shard: _HandedIn) -> Iterator[Done]:
        try:
            future = self._executor.pool.submit(carry_out, shard.data)
        except Exception as error:  # noqa: BLE001 - each kind of pool has its own
            yield from self._failed(shard, error)
            return
        self._waiting[future] = shard
        future.add_done_callback(self._ended.put)

    # -- taking in ----------------------------------------------------------------------------

    def _take(self, future: futures.Future[bytes]) -> Iterator[Done]:
        shard = self._waiting.pop(future)
        stopping = self._transfer.is_stopping
        error: BaseException | None
        if future.cancelled():
            if stopping:
                return  # it was taken back, and had not begun
            error = futures.CancelledError("somebody has cancelled it")
        else:
            error = future.exception()
        if error is None:
            yield from self._arrived(shard, Answer.of_bytes(future.result()))
        elif stopping or len(shard.losses) >= self._executor.again:
            yield from self._failed(shard, error)
        else:
            yield from self._hand_in(shard._replace(losses=(*shard.losses, error)))

    def _arrived(self, shard: _HandedIn, answer: Answer) -> Iterator[Done]:
        if answer.refused is not None:
            answer.refused.add_note(
                f"the worker {answer.worker} could not open the mounts; it needs the same "
                "configuration, the variables that it names, and the same extras installed"
            )
            raise answer.refused
        losses = shard.losses
        for done in answer.done(shard.actions, self._transfer.source.path):
            if answer.worker not in self._workers and self._is_seen(done, answer.worker):
                self._workers.add(answer.worker)
            found = done._replace(retries=(*losses, *done.retries)) if losses else done
            losses = ()
            self._tell(found)
            yield found

    def _tell(self, done: Done) -> None:
        """What the worker could not: its events stay there, and the bytes count when it is done."""
        listener, action = self._transfer.listener, done.action
        if listener is None:
            return
        if isinstance(action, CopyFile):
            listener(FileStarted(action.relpath, action.source.size))
        for error in done.retries:
            listener(Retried(action.relpath, error))

    def _is_seen(self, done: Done, worker: str) -> bool:
        """Whether a file that a worker has copied is there for this process too; once for each.

        A directory of the worker's own machine has the same path, and a file of another cluster
        may have the same mounts. ``StorageIOError`` where it is not; False where there is nothing
        to see yet.
        """
        target = self._transfer.target
        if done.error is not None or not isinstance(done.action, CopyFile):
            return False
        if done.result is None or done.result.new_path is not None:
            return False
        path = join(target.path, done.action.relpath)
        label = target.mount.label(path)
        try:
            found = target.mount.stat(path)
        except StorageNotFoundError as error:
            raise StorageIOError(_elsewhere(label, worker), node=label) from error
        if found.size is not None and found.size != done.result.bytes:
            raise StorageIOError(_elsewhere(label, worker), node=label)
        return True

    def _failed(self, shard: _HandedIn, error: BaseException) -> Iterator[Done]:
        """Nobody knows how far it came; none of its files is counted as copied."""
        times = len(shard.losses) + 1
        why = f"{type(error).__name__}: {error}".removesuffix(": ")
        for action in shard.actions:
            label = self._transfer.target.mount.label(
                join(self._transfer.target.path, action.relpath)
            )
            failure = StorageIOError(
                f"{label}: the worker that was to copy it was lost, {times} times in a row, and "
                f"maybe copied it ({why}); copy again, with skip= for what has arrived",
                node=label,
            )
            failure.__cause__ = error
            yield Done(action, None, failure)

    # -- ending -------------------------------------------------------------------------------

    def _take_back(self) -> None:
        """What no worker has begun need not be done.

        Only where the pool knows: Dask says of whatever runs that it is cancelled, and lets it run.
        """
        if isinstance(self._executor.pool, futures.ProcessPoolExecutor):
            for future in list(self._waiting):
                future.cancel()

    def dismiss(self) -> None:
        """Nobody waits any longer; what has begun ends where it is."""
        # Only these say the truth: see _take_back.
        is_sure = isinstance(self._executor.pool, futures.ProcessPoolExecutor)
        for future, shard in list(self._waiting.items()):
            if future.done() or (future.cancel() and is_sure):
                continue
            self._transfer.left_behind.extend(
                each.relpath for each in shard.actions if not isinstance(each, MakeDirectory)
            )


class _Room:
    """How many shards may be under way."""

    def __init__(self, pool: futures.Executor, given: int | None) -> None:
        self._pool = pool
        self._given = given
        self._workers = 0
        self._until = 0.0

    @property
    def shards(self) -> int:
        """Two for each worker: one that it does, and the next one."""
        return self._given or 2 * self._known() or _UNKNOWN

    @property
    def at_once(self) -> int:
        """How many are really carried out at a time."""
        return min(self.shards, self._known() or self.shards)

    def _known(self) -> int:
        now = time.monotonic()
        if now >= self._until:
            self._until = now + _BELIEVED
            self._workers = _workers_of(self._pool)
        return self._workers


def _workers_of(pool: futures.Executor) -> int:
    """How many tasks the pool does at a time; 0 where it does not say."""
    # Dask's executor asks its client, and the client the scheduler.
    nthreads = getattr(getattr(pool, "_client", None), "nthreads", None)
    if nthreads is not None:
        return sum(nthreads().values())
    found = getattr(pool, "_max_workers", 0)
    return found if isinstance(found, int) else 0


def _refuse_forks(pool: futures.Executor) -> None:
    context = getattr(pool, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise StorageValueError(
            "the processes of this pool are forked from this one, whose threads and connections do "
            "not live on in them; make it with ProcessPoolExecutor(mp_context="
            "multiprocessing.get_context('spawn'))"
        )


def _elsewhere(label: str, worker: str) -> str:
    return (
        f"{label}: the worker {worker} says that it has copied it, and it is not here: the mounts "
        "of the two are different places (a local directory that is not shared, or another "
        "configuration). Nothing more was begun"
    )
