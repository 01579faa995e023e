"""Where and when the actions of a plan are carried out: one after the other, or by many threads."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from .crew import FEW, Crew
from .together import attempt_each

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from ...batch import MountBatch
    from ..events import Event
    from ..planning.actions import Action
    from .execute import Done, Transfer

__all__ = ["Executor", "SerialExecutor", "ThreadedExecutor"]


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
        yield from attempt_each(actions, transfer)


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

    ``concurrency`` is the number of threads. With ``adapts`` it is the most of them: a few begin,
    and the others follow where those mostly wait.
    """

    def __init__(self, concurrency: int, *, adapts: bool = False) -> None:
        self.concurrency = concurrency
        self._adapts = adapts

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
            # Where it is whoever iterates that was interrupted, the report counts it all the same.
            transfer.untold.extend(crew.leftovers())

    def _crew(self, transfer: Transfer) -> Crew:
        return Crew(self.concurrency, transfer, begin_with=FEW if self._adapts else None)
