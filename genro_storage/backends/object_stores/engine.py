"""The fast way to the contents of an object store: obstore, a native client, for single requests.

It serves S3, Azure and GCS alike, beside the SDK of each, which does what obstore cannot: an
``Unfit`` says so before anything has happened, or after nothing that may not be repeated.
Listings, copies, deletions and uploads in parts are the SDK's: obstore takes the marker ``d/`` for
a file ``d``, fails as a whole on a key like ``a//b``, deletes by bulk requests only, and does not
tell the id of an upload that somebody must forget when it is interrupted.
"""

from __future__ import annotations

import errno
import re
import time
from _thread import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from ..handoff import PROCESS, interruptible
from ..remote import Opened, is_transient, repeated
from .answered import Facts, Unfit, facts_of_answer, metadata_of
from .failures import failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..remote import Bounds
    from .failures import Failure
    from .ranged import RangedGet

    Repeat = Callable[[BaseException], bool]

__all__ = [
    "AT_HAND",
    "AT_ONCE",
    "CHUNK",
    "PUT_AT_ONCE",
    "Body",
    "Engine",
    "Facts",
    "Unfit",
    "metadata_of",
]

T = TypeVar("T")

MIB = 1024 * 1024
#: Bytes that are fetched as one; what is larger comes as a stream.
AT_ONCE = 8 * MIB
#: Bytes of a step of a stream, at least.
CHUNK = MIB
#: Bytes of the largest body that is sent. obstore waits for an answer while it still sends, so
#: that a large body on a slow line would fail after ``timeout`` though it moves on.
PUT_AT_ONCE = MIB

#: Seconds that a brisk request of the main thread waits for the next bytes, as an interrupt then
#: must; and for how long there is none any more after one that took longer.
BRISK = 1.0
_REST = 60.0
#: Bytes that arrive with the headers, or soon after.
AT_HAND = 64 * 1024
#: Seconds that an interrupt waits for an upload that is on its way: left alone, it could arrive
#: after what the same process writes next.
_GRACE = 2.0

_HEAD = {"head": True}
#: What an error has that was explained: one step may be a part of another one.
_EXPLAINED = "_genro_explained"
# What obstore takes for another key, or for none: "a/" becomes "a", and "a//b" is refused.
_NO_KEY = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.{0,2}(?:/|$)")


class _Native:
    """A store, and the functions of obstore: importing them takes its time in every request."""

    __slots__ = ("copy", "get", "put", "ranged", "store")

    def __init__(self, store: Any, ranged: RangedGet | None = None) -> None:
        import obstore

        self.store: Any = store
        self.get: Any = obstore.get
        #: For what is read as it comes.
        self.ranged = ranged
        self.put: Any = obstore.put
        self.copy: Any = obstore.copy


class Body:
    """The content of an answer, or a range of it, that is still to be read; by one thread."""

    def __init__(self, engine: Engine, result: Any) -> None:
        self._engine = engine
        self._result: Any = result
        self._chunks: Any = None
        self.start: int
        self.stop: int
        self.start, self.stop = result.range
        #: As in ``Facts``.
        self.attributes: Mapping[str, str] = result.attributes
        is_small = self.stop - self.start <= AT_HAND
        self._facts: Facts | None = None if is_small else facts_of_answer(result)

    @property
    def facts(self) -> Facts:
        """What the headers say; ``Unfit`` where no object store has answered.

        With a small content only when somebody asks: it takes longer than the content itself.
        """
        found = self._facts
        if found is None:
            found = self._facts = facts_of_answer(self._result)
        return found

    @property
    def etag(self) -> str:
        """What names the content."""
        return self.facts.etag

    def all(self) -> bytes:
        """All of it."""
        data = self._engine.once(lambda: bytes(self._result.bytes()))
        if len(data) != self.stop - self.start:
            raise _too_short()
        return data

    def next(self) -> bytes:
        """The next bytes; none at the end. A connection that breaks raises."""
        if self._chunks is None:
            self._chunks = self._result.stream(min_chunk_size=CHUNK)
        return self._engine.once(lambda: bytes(next(self._chunks, b"")))

    def close(self) -> None:
        """Give up what was not read."""
        result, self._chunks, self._result = self._result, None, None
        close = getattr(result, "close", None)  # obstore's has none
        if close is not None:
            close()


class Engine:
    """obstore's store of one bucket; made at the first request. Thread-safe.

    ``explain`` returns the exception to raise for a failure, None where the SDK is to be asked.
    Requests are repeated where the network fails; an interrupt ends the waiting for them.

    To hand a call over to another thread, as an interrupt of the main one needs, takes a fifth of
    the time of a request to a server nearby. So the main thread makes small ones by itself, with
    a store that ``make_brisk`` makes: the same, that gives up after ``BRISK`` seconds of silence.
    Then the call is handed over after all.

    ``ranged`` makes what gets large contents of a store in the place of obstore, or None.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        explain: Callable[[Failure, BaseException], Exception | None],
        bounds: Bounds,
        make_brisk: Callable[[], Any] | None = None,
        ranged: Callable[[Any], RangedGet | None] = lambda _: None,
    ) -> None:
        def patient() -> _Native:
            store = make()
            return _Native(store, ranged(store))

        self._patient: Opened[_Native] = Opened(patient)
        self._brisk: Opened[_Native] | None = (
            None if make_brisk is None else Opened(lambda: _Native(make_brisk()))
        )
        self._rests_until: float | None = None
        self._explain = explain
        self._bounds = bounds
        self._given_up = False
        #: Whether the server has sent all of an object where a range was asked for that goes on to
        #: its end or beyond, as some do: obstore takes no such answer.
        self.sends_whole: bool = False

    def can(self, key: str) -> bool:
        """Whether requests about this key may be made by it, in this process."""
        return not (self._given_up or PROCESS.is_inherited) and _NO_KEY.search(key) is None

    def give_up(self) -> None:
        """Leave everything to the SDK from now on: this place needs what obstore cannot."""
        self._given_up = True

    def store(self) -> Any:
        """The obstore store itself."""
        if PROCESS.is_inherited:
            raise Unfit("obstore does not survive a fork")
        return self._patient.get().store

    # -- requests: ``Unfit`` where it cannot make them, before anything is sent ------------------

    def head(self, key: str) -> Facts:
        """What is known about one object; ``FileNotFoundError``."""
        return self._ask(_look, key)

    def read(
        self,
        key: str,
        start: int = 0,
        end: int | None = None,
        etag: str | None = None,
        at_once: int = AT_ONCE,
    ) -> tuple[Body, bytes | None]:
        """The bytes from ``start`` up to ``end``; of more than ``at_once`` the body to read from.

        With ``etag``, ``OSError`` where the object has another one by now.
        """
        is_plain = start == 0 and end is None and etag is None
        options = None if is_plain else _range(start, end, etag)
        body, data = self._ask(self._fetch, key, options, at_once)
        if etag is not None:
            _require_same(body, etag)
        return body, data

    def _fetch(
        self, native: _Native, key: str, options: dict[str, Any] | None, at_once: int
    ) -> tuple[Body, bytes | None]:
        return self._taken(native.get(native.store, key, options=options), None, at_once)

    def _taken(self, result: Any, data: bytes | None, at_once: int) -> tuple[Body, bytes | None]:
        """The answer and its content; ``data`` is that of a small one, where it has come."""
        body = Body(self, result)
        size = body.stop - body.start
        if size > AT_HAND:
            return body, None if size > at_once else body.all()
        try:
            if data is None:
                data = bytes(result.bytes())
            if len(data) != size:
                raise _too_short()
        except Exception:
            body.facts  # noqa: B018 - Unfit, where it is a page of somebody else that breaks off
            raise
        return body, data

    def begin(self, key: str, count: int) -> Body:
        """As ``open`` of all; of a large content the body may be the first ``count`` bytes only.

        What follows is for ``open``, where such contents come by connections of their own.
        """
        native = self._native(key)
        ranged = native.ranged
        if ranged is None or not ranged.is_fit or self.sends_whole:
            return self.open(key)

        def step() -> Any:
            try:
                return ranged(native.store, key, options=_range(0, count, None))
            except Exception as error:
                # An empty object has no first byte to ask for; nor has a server that knows no ranges.
                if failure_of(error).status != 416 and ranged.is_fit:
                    raise
                return native.get(native.store, key)

        return self.once(lambda: Body(self, step()))

    def open(
        self, key: str, start: int = 0, end: int | None = None, etag: str | None = None
    ) -> Body:
        """As ``read``, always to be read as it comes. Asked once: the caller knows what is left."""
        native, options = self._native(key), _range(start, end, etag)
        get = native.get if native.ranged is None else native.ranged
        body = self.once(lambda: Body(self, get(native.store, key, options=options)))
        try:
            _require_same(body, body.etag if etag is None else etag)
        except BaseException:
            body.close()
            raise
        return body

    def put(
        self,
        key: str,
        data: bytes,
        *,
        attributes: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
        create: bool = False,
        repeat: Repeat = is_transient,
    ) -> str:
        """Replace the object in one request; its ETag. ``create``: only where there is none.

        ``repeat`` says after which errors it may be tried again.
        """
        native = self._native(key)
        options: dict[str, Any] = {}
        if tags:
            options["tags"] = dict(tags)
        if create:
            options["mode"] = "create"

        def step() -> Any:
            return native.put(
                native.store, key, data, attributes=attributes, use_multipart=False, **options
            )

        return str(self._change(step, repeat)["e_tag"] or "")

    def copy(self, source: str, target: str) -> None:
        """Have the server copy an object, with all that belongs to it, in one request.

        Nothing but its status says that it has: whoever does not know the server looks.
        """
        native = self._native(source)
        if not self.can(target):
            raise Unfit("this key is not for obstore")
        self._change(lambda: native.copy(native.store, source, target), is_transient)

    # -- calling ------------------------------------------------------------------------------

    def once(self, step: Callable[[], T], grace: float = 0.0) -> T:
        """``step()``, interruptible, with its errors explained."""
        try:
            return interruptible(step, grace) if get_ident() == PROCESS.main else step()
        except BaseException as error:
            explained = self._explained(error)
            if explained is error:
                raise
            raise explained from explained.__cause__

    def _change(self, step: Callable[[], T], repeat: Repeat) -> T:
        """``step()``, which changes something, by the patient store; repeated as ``repeat`` says."""
        if get_ident() == PROCESS.main:
            return repeated(self._bounds, lambda _: self.once(step, _GRACE), repeat)
        try:
            return step()  # nearly always that is all
        except BaseException as error:  # noqa: BLE001 - it is raised there, or tried again
            return self.once_more(error, step, repeat)

    def once_more(
        self, error: BaseException, step: Callable[[], T], repeat: Repeat = is_transient
    ) -> T:
        """What comes of a step that has failed with this error, by itself, in a first attempt."""
        failed = self._explained(error)
        try:
            return self._after(failed, lambda: self.once(step), repeat)
        finally:
            del failed, error  # with their tracebacks they would be circles

    def _after(
        self, failed: BaseException | None, step: Callable[[], T], repeat: Repeat = is_transient
    ) -> T:
        """What comes after a first attempt that has ``failed``, if there was one."""

        def attempt(number: int) -> T:
            if number == 0 and failed is not None:
                raise failed from failed.__cause__
            return step()

        try:
            return repeated(self._bounds, attempt, repeat)
        finally:
            failed = None  # with its traceback it would be a circle

    def _ask(self, step: Callable[..., T], key: str, *arguments: Any) -> T:
        """``step(native, key, …)``, interruptible, explained, repeated where the network fails.

        Nothing that may not be asked twice.
        """
        failed: BaseException | None = None
        native = self._direct(key)
        if native is not None:
            try:
                return step(native, key, *arguments)  # nearly always that is all
            except BaseException as error:  # noqa: BLE001 - it is raised below, or tried again
                failed = self._explained(error)
            if native is not self._patient.peek() and isinstance(failed, TimeoutError):
                self._rests_until, failed = time.monotonic() + _REST, None

        def again() -> T:
            patient = self._native(key)
            return self.once(lambda: step(patient, key, *arguments))

        try:
            return self._after(failed, again)
        finally:
            failed = None  # with its traceback it would be a circle

    def _native(self, key: str) -> _Native:
        if not self.can(key):
            raise Unfit("this place, process or key is not for obstore")
        return self._patient.get()

    def _direct(self, key: str) -> _Native | None:
        """What this thread calls by itself: the main one what is brisk; None if it shall not."""
        # As `can` has it, and without its call.
        if self._given_up or PROCESS.is_inherited or _NO_KEY.search(key) is not None:
            raise Unfit("this place, process or key is not for obstore")
        if get_ident() != PROCESS.main:
            return self._patient.get()
        if self._brisk is None:
            return None
        if self._rests_until is not None:
            if time.monotonic() < self._rests_until:
                return None
            self._rests_until = None
        return self._brisk.get()

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, Unfit | ImportError) or _EXPLAINED in error.__dict__:
            return error
        if not isinstance(error, Exception):
            if type(error).__name__ != "PanicException":
                return error
            # Which obstore's native code raises past every `except Exception`.
            found = OSError(
                errno.EIO, "obstore has given up on it; `engine: fsspec` does without obstore"
            )
            found.__cause__ = error
            return found
        if isinstance(error, OSError) and type(error) is not FileNotFoundError:
            return error  # ours
        failure = failure_of(error)
        if failure.kind == "redirect":
            self.give_up()
            return Unfit("the server redirects, which is the SDK's to follow or refuse")
        if failure.kind == "whole":
            self.sends_whole = True
        explained = self._explain(failure, error)
        if explained is None:
            return Unfit(f"obstore has failed ({failure.kind})")
        explained.__dict__[_EXPLAINED] = True
        return explained


def _look(native: _Native, key: str) -> Facts:
    return facts_of_answer(native.get(native.store, key, options=_HEAD))


def _too_short() -> OSError:
    return OSError(errno.EIO, "the server sent less than there is")


def _range(start: int, end: int | None, etag: str | None) -> dict[str, Any] | None:
    options: dict[str, Any] = {}
    if end is not None:
        options["range"] = (start, end)
    elif start:
        options["range"] = {"offset": start}
    if etag is not None:
        options["if_match"] = etag
    return options or None


def _require_same(body: Body, etag: str) -> None:
    if body.facts.etag != etag:
        # There are servers that do not know conditions.
        raise OSError(errno.EBUSY, "another content came in its place meanwhile; try again")
