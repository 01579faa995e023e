"""The sessions of one mount: a few channels on one connection, shared by however many threads."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import weakref
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from .session import ChannelRefusedError, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Lease", "Link", "Pool"]


class Link(Protocol):
    """A connection as the pool sees it."""

    @property
    def is_alive(self) -> bool: ...
    def open_session(self) -> Session: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _State:
    """What is open now. Apart from the pool, so that it can outlive it for closing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.link: Link | None = None
        self.users: dict[Session, int] = {}
        #: One mark for each session that is being opened; an interrupt cannot leave one behind.
        self.opening: set[object] = set()
        self.limit = limit

    def take(self) -> tuple[Link | None, list[Session]]:
        """Forget everything, and return what is to be closed."""
        link, sessions = self.link, list(self.users)
        self.link, self.users, self.opening, self.limit = None, {}, set(), self._limit
        return link, sessions


def _close(state: _State) -> None:
    _close_all(*state.take())


def _close_all(link: Link | None, sessions: list[Session]) -> None:
    # The connection first: channels that say goodbye one by one may wait for a dead server.
    if link is not None:
        link.close()
    for session in sessions:
        session.close()


class Lease:
    """The use of a session, until ``release``."""

    def __init__(self, pool: Pool, session: Session) -> None:
        self._pool = pool
        self._done = False
        self.session = session

    def release(self) -> None:
        """Give it back; once is enough."""
        if not self._done:
            self._done = True
            self._pool._give_back(self.session)


class Pool:
    """Leases sessions: an idle one, else a new one up to ``limit``, else one that others use too.

    All are channels of one connection, made by the first lease. Threads that ask meanwhile share
    its outcome, so that eight of them do not wait eight times for a dead server. What is broken
    is dropped, and the next lease connects again.
    """

    def __init__(self, connect: Callable[[], Link], limit: int) -> None:
        self._connect = connect
        self._changed = threading.Condition()
        self._state = _State(limit)
        self._attempt: Future[Link] | None = None
        #: For what the threads of this process must do one after the other.
        self.turns: threading.Lock = threading.Lock()
        # A mount that nobody closes must not keep threads and sockets either.
        self._finalizer = weakref.finalize(self, _close, self._state)
        _pools.add(self)

    @contextlib.contextmanager
    def session(self) -> Generator[Session]:
        """A session for the block."""
        lease = self.lease()
        try:
            yield lease.session
        finally:
            lease.release()

    def lease(self) -> Lease:
        """A session until it is released; raises what connecting raises."""
        session, mark = None, object()
        while session is None:
            link = self._link()
            try:
                find = self._new_session if self._may_open(link, mark) else self._open_session
                session = find(link)
            finally:
                self._end_opening(mark)
        return Lease(self, session)

    def close(self) -> None:
        """End everything; streams that are still open fail from now on."""
        with self._changed:
            link, sessions = self._state.take()
            self._changed.notify_all()
        _close_all(link, sessions)

    def after_fork(self) -> None:
        """In the child: the connection goes on being the parent's."""
        self._changed = threading.Condition()
        self.turns = threading.Lock()
        self._attempt = None
        link, sessions = self._state.take()
        for session in sessions:  # streams that the parent has opened use them still
            session.abandon()
        if link is not None:
            link.abandon()
            # Never collected: their clean-up may wait for locks whose holder was not forked.
            _of_parents.append((link, sessions))

    # -- the connection -----------------------------------------------------------------------

    def _link(self) -> Link:
        self._drop_broken()
        mine: Future[Link] = Future()
        link: Link | None = None
        try:
            with self._changed:
                if self._state.link is not None:
                    return self._state.link
                if self._attempt is None:
                    self._attempt = mine
                attempt = self._attempt
            if attempt is mine:
                link = self._connect()
                with self._changed:
                    self._state.link = link
                    self._attempt = None
                mine.set_result(link)
            return attempt.result()
        except BaseException as error:
            self._give_up(mine, link, error)
            raise

    def _give_up(self, attempt: Future[Link], link: Link | None, error: BaseException) -> None:
        """End an attempt for everybody who waits for it, whatever it was that ended it."""
        with self._changed:
            if self._attempt is attempt:
                self._attempt = None
            kept = link is None or self._state.link is link
        if not kept and link is not None:
            link.close()
        if not attempt.done():
            attempt.set_exception(
                error
                if isinstance(error, Exception)
                else ConnectionAbortedError(errno.ECONNABORTED, "connecting was interrupted")
            )

    def _drop_broken(self) -> None:
        with self._changed:
            state = self._state
            link: Link | None = None
            broken = [each for each in state.users if each.is_broken]
            used = any(count for each, count in state.users.items() if not each.is_broken)
            # Where nobody else hears from the server, the connection may be as dead as the session.
            silent = not used and any(each.fell_silent for each in broken)
            if state.link is not None and (silent or not state.link.is_alive):
                link, broken = state.take()
            for session in broken:
                # Also one that somebody uses: the server counts it as long as it is not closed.
                state.users.pop(session, None)
            self._changed.notify_all()
        _close_all(link, broken)

    # -- sessions -----------------------------------------------------------------------------

    def _may_open(self, link: Link, mark: object) -> bool:
        """Whether to open a new session, which is marked, rather than use one that is there."""
        with self._changed:
            state = self._state
            while state.link is link:
                whole = [each for each in state.users if not each.is_broken]
                if any(not state.users[each] for each in whole):
                    return False
                if len(whole) + len(state.opening) < state.limit:
                    state.opening.add(mark)
                    return True
                if whole or not state.opening:
                    return False
                self._changed.wait()
            return False

    def _end_opening(self, mark: object) -> None:
        with self._changed:
            self._state.opening.discard(mark)
            self._changed.notify_all()

    def _open_session(self, link: Link) -> Session | None:
        """The session with the fewest users; None where there is none any more."""
        with self._changed:
            state = self._state
            whole = [each for each in state.users if not each.is_broken]
            if state.link is not link or not whole:
                return None
            least = min(whole, key=lambda each: state.users[each])
            state.users[least] += 1
            return least

    def _new_session(self, link: Link) -> Session | None:
        """A new one; None where the connection is gone or the server wants no more of them."""
        session: Session | None = None
        late: list[Session] = []
        try:
            session = link.open_session()
        except ChannelRefusedError:
            with self._changed:
                state = self._state
                others = len(state.users) + len(state.opening) - 1 if state.link is link else 0
                if not others:
                    raise
                # From now on those that there are will do.
                state.limit = others
        except TimeoutError:
            # The connection is as silent as the session would be.
            self._drop(link)
            raise
        finally:
            with self._changed:
                state = self._state
                if session is not None and state.link is link:
                    state.users[session] = 1
                elif session is not None:
                    late, session = [session], None
            _close_all(None, late)
        return session

    def _drop(self, link: Link) -> None:
        with self._changed:
            if self._state.link is not link:
                return
            _, sessions = self._state.take()
            self._changed.notify_all()
        _close_all(link, sessions)

    def _give_back(self, session: Session) -> None:
        # The garbage collector may call this: what is broken is closed by the next lease.
        with self._changed:
            if session in self._state.users:
                self._state.users[session] -= 1


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_of_parents: list[tuple[Link, list[Session]]] = []


def _after_fork() -> None:
    for pool in list(_pools):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
