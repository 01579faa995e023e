"""A part of a plan as a value that travels to another process, and comes back as results.

A shard names its two mounts by reference and holds no keys. Both ways it is bytes that are made
and read here, so that what carries them (a pool, a scheduler) need understand nothing of it.
"""

from __future__ import annotations

import os
import pickle
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from ...exceptions import StorageError, StorageExistsError, StorageIOError
from ...info import FileInfo
from ...paths import join
from ...strategy import SkipStrategy
from ..place import Place
from ..planning.actions import Action, CompareFile, Conflict, CopyFile, MakeDirectory, SkipFile
from ..planning.compare import Comparison
from ..planning.rules import decide_by
from .execute import CopyResult, Done, Stopped, Transfer
from .executors import SerialExecutor, ThreadedExecutor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...sharing import SharedMount
    from ..terms import Terms

__all__ = ["Answer", "Shard", "carry_out", "portable"]

_KINDS: tuple[type[Any], ...] = (CopyFile, CompareFile, SkipFile, MakeDirectory, Conflict)
_NUMBERS: dict[type[Any], int] = {kind: number for number, kind in enumerate(_KINDS)}
_PROTOCOL = 5

_Packed = tuple[Any, ...]


class SharedPlace(NamedTuple):
    """A place as it travels."""

    mount: SharedMount
    path: str

    @classmethod
    def of(cls, place: Place) -> SharedPlace:
        """``StorageValueError`` where no other process can open it."""
        return cls(place.mount.shared(), place.path)

    def open(self) -> Place:
        """The same place in this process."""
        return Place(self.mount.open(), self.path)


class Shard(NamedTuple):
    """So many actions of one plan, and all that carrying them out needs."""

    source: SharedPlace
    target: SharedPlace
    terms: Terms
    concurrency: int | None
    actions: tuple[_Packed, ...]

    @classmethod
    def of(
        cls,
        source: SharedPlace,
        target: SharedPlace,
        terms: Terms,
        concurrency: int | None,
        actions: Iterable[Action],
    ) -> Shard:
        """A shard of these actions."""
        packed = tuple(_packed(each, source.path) for each in actions)
        return cls(source, target, terms, concurrency, packed)

    def to_bytes(self) -> bytes:
        """What travels."""
        return pickle.dumps(self, _PROTOCOL)


class Answer(NamedTuple):
    """What has come of a shard.

    ``results`` are the number of the action, what ``Done`` says, and the action where that has
    become another one. ``refused``: nothing was begun, because the mounts cannot be opened there.
    """

    worker: str
    results: tuple[tuple[int, _Packed | None, CopyResult | None, Exception | None, _Packed], ...]
    refused: Exception | None = None

    @classmethod
    def of_bytes(cls, data: bytes) -> Answer:
        """What has travelled back."""
        answer: Answer = pickle.loads(data)  # noqa: S301 - from a process that was trusted to write
        return answer

    def done(self, actions: list[Action], root: str) -> Iterator[Done]:
        """The same as if it had been done here."""
        for number, packed, result, error, retries in self.results:
            action = actions[number] if packed is None else _unpacked(packed, root)
            yield Done(action, result, error, retries)


def carry_out(data: bytes) -> bytes:
    """Do what a shard says, in the process that this is; an ``Answer``, as bytes.

    Doing it again does no harm: each file is there whole, or not at all, and is the same.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}"
    shard: Shard = pickle.loads(data)  # noqa: S301 - from the process that runs this one
    try:
        source, target = shard.source.open(), shard.target.open()
    except Exception as error:  # noqa: BLE001 - raised where the plan is
        return pickle.dumps(Answer(worker, (), portable(error)), _PROTOCOL)
    terms = shard.terms
    comparison = Comparison(source, target, version=terms.version)
    # What a user's function decides is decided where the plan is.
    skip = SkipStrategy.NEVER if terms.skip is SkipStrategy.CUSTOM else terms.skip
    settle = decide_by(skip, same=comparison.same, same_time=comparison.same_time)
    transfer = Transfer(source, target, terms=terms, settle=settle, comparison=comparison)
    concurrency = shard.concurrency or transfer.concurrency
    executor = SerialExecutor() if concurrency == 1 else ThreadedExecutor(concurrency)
    actions = [_unpacked(each, source.path) for each in shard.actions]
    numbers = {_key(each): number for number, each in enumerate(actions)}
    results = []
    for found in executor.run(actions, transfer):
        if isinstance(found.error, Stopped):
            continue  # given up because another file has failed: its own target is as it was
        number = numbers[_key(found.action)]
        done = found
        if isinstance(found.error, StorageExistsError) and (terms.if_absent or terms.as_planned):
            done = _own_work(found, target, comparison)
        if done.error is not None and terms.on_error == "raise":
            transfer.stop()
        results.append(
            (
                number,
                None if done.action is actions[number] else _packed(done.action, source.path),
                done.result,
                None if done.error is None else portable(done.error),
                tuple(portable(each) for each in done.retries),
            )
        )
    return pickle.dumps(Answer(worker, tuple(results)), _PROTOCOL)


def _own_work(done: Done, target: Place, comparison: Comparison) -> Done:
    """Where nothing is replaced, a file that is there already may be what a lost worker has left.

    Nothing was replaced, and where the content is the same it is what was asked for.
    """
    action = done.action
    if not isinstance(action, CopyFile):
        return done
    try:
        there = target.mount.stat(join(target.path, action.relpath))
        same = there.type == "file" and comparison.same(action.source, there) is not None
    except StorageError as error:
        assert done.error is not None
        done.error.add_note(f"it could not be compared with the source: {error}")
        return done
    return (
        done._replace(result=CopyResult(None, action.source.size or 0), error=None)
        if same
        else done
    )


def _key(action: Action) -> str:
    """Unique in a plan: an object store may have a file and a directory of one name."""
    return f"{action.relpath}/" if isinstance(action, MakeDirectory) else action.relpath


# -- actions as small tuples -----------------------------------------------------------------------


def _packed(action: Action, root: str) -> _Packed:
    number = _NUMBERS[type(action)]
    if isinstance(action, MakeDirectory):
        return number, action.relpath
    if isinstance(action, Conflict):
        return number, action.relpath, action.message, action.kind
    assert isinstance(action, CopyFile | CompareFile | SkipFile)
    source, target = action.source, action.target
    path = None if source.path == join(root, action.relpath) else source.path
    packed = (
        number,
        action.relpath,
        _plain(source)._replace(path=path or ""),
        path,
        None if target is None else _plain(target),
    )
    return packed if isinstance(action, CompareFile) else (*packed, action.reason)


def _unpacked(packed: _Packed, root: str) -> Action:
    number, relpath, *rest = packed
    kind = _KINDS[number]
    if kind is MakeDirectory:
        return MakeDirectory(relpath)
    if kind is Conflict:
        return Conflict(relpath, *rest)
    source, path, target, *reason = rest
    source = source._replace(path=join(root, relpath) if path is None else path)
    action: Action = kind(relpath, source, target, *reason)
    return action


def _plain(info: FileInfo) -> FileInfo:
    """A mapping may be a view that cannot be pickled."""
    return info if info.metadata is None else info._replace(metadata=dict(info.metadata))


# -- errors ----------------------------------------------------------------------------------------


def portable(error: BaseException) -> Exception:
    """The error, where any process can read it, else one that says the same.

    Ours can, and Python's own. Those of a client's library may need their modules, or hold what
    does not travel.

    >>> portable(KeyError("a")), str(portable(type("Odd", (Exception,), {})("b")))
    (KeyError('a'), 'Odd: b')
    """
    if isinstance(error, Exception) and (
        isinstance(error, StorageError) or type(error).__module__ == "builtins"
    ):
        try:
            found = pickle.loads(pickle.dumps(error, _PROTOCOL))  # noqa: S301 - written just before
        except Exception as failure:  # noqa: BLE001 - whatever is in it, or its class does
            error.add_note(f"it cannot be pickled: {failure}")
        else:
            if type(found) is type(error) and str(found) == str(error):
                return error
    return StorageIOError(f"{type(error).__name__}: {error}")
