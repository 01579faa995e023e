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
        self.opening = 0
        self.limit = limit

    def take(self) -> tuple[Link | None, list[Session]]:
        """Forget everything, and return what is to be closed."""
        link, sessions = self.link, list(self.users)
        self.link, self.users, self.opening, self.limit = None, {}, 0, self._limit
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
        session = None
        while session is None:
            link = self._link()
            find = self._new_session if self._may_open(link) else self._open_session
            session = find(link)
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
        self._attempt = None
        link, sessions = self._state.take()
        if link is not None:
            link.abandon()
            # Never collected: their clean-up may wait for locks whose holder was not forked.
            _of_parents.append((link, sessions))

    # -- the connection -----------------------------------------------------------------------

    def _link(self) -> Link:
        self._drop_broken()
        with self._changed:
            if self._state.link is not None:
                return self._state.link
            mine: Future[Link] = Future()
            attempt = self._attempt
            if attempt is None:
                self._attempt = mine
        return self._first(mine) if attempt is None else attempt.result()

    def _first(self, attempt: Future[Link]) -> Link:
        """Connect, for everybody who waits for this attempt."""
        try:
            link = self._connect()
        except BaseException as error:
            with self._changed:
                self._attempt = None
            attempt.set_exception(
                error
                if isinstance(error, Exception)
                else ConnectionAbortedError(errno.ECONNABORTED, "connecting was interrupted")
            )
            raise
        with self._changed:
            self._state.link = link
            self._attempt = None
        attempt.set_result(link)
        return link

    def _drop_broken(self) -> None:
        with self._changed:
            state = self._state
            link: Link | None = None
            if state.link is not None and not state.link.is_alive:
                link, broken = state.take()
            else:
                broken = [each for each in state.users if each.is_broken and not state.users[each]]
                for session in broken:
                    del state.users[session]
            self._changed.notify_all()
        _close_all(link, broken)

    # -- sessions -----------------------------------------------------------------------------

    def _may_open(self, link: Link) -> bool:
        """Whether to open a new session, which is noted, rather than use one that is there."""
        with self._changed:
            state = self._state
            while state.link is link:
                whole = [each for each in state.users if not each.is_broken]
                if any(not state.users[each] for each in whole):
                    return False
                if len(whole) + state.opening < state.limit:
                    state.opening += 1
                    return True
                if whole or not state.opening:
                    return False
                self._changed.wait()
            return False

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
                others = len(state.users) + state.opening - 1 if state.link is link else 0
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
                if state.link is link:
                    state.opening -= 1
                    if session is not None:
                        state.users[session] = 1
                elif session is not None:
                    late, session = [session], None
                self._changed.notify_all()
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
