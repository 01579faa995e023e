"""Flat keys of an object store, made into the tree that they spell. Pure: no I/O, no client.

A store has no directories: one is there because some key has it for a prefix. A file and a
prefix of one name can both be there; then ``stat`` finds the file, and what is below the prefix
is found without a directory of its own, so that nothing is lost by copying.
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ...hearing import note_left_out
from ...info import FileInfo
from ...paths import is_addressable, join, order_key, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

__all__ = ["Entry", "KeyOrder", "Page", "in_any_order", "in_key_order", "level", "pages", "scanned"]

K = TypeVar("K")
P = TypeVar("P")
_log = logging.getLogger("genro_storage")

#: Comes after nearly every key below a directory: a valid character, as a listing needs one.
_LAST = "\U0010fffd"


class Entry(NamedTuple):
    """One key of a listing, relative to the mount's root.

    ``info`` is None for what is a directory only: a common prefix, or an object that stands for
    one (``dir/``, or a folder of a store that has some).
    """

    key: str
    info: FileInfo | None = None

    @property
    def path(self) -> str:
        """The key, without the slash that ends the key of a directory."""
        return self.key.removesuffix("/") if self.info is None else self.key

    @property
    def order(self) -> str:
        """What sorts entries in ``paths.order_key`` order."""
        return self.path + "/" if self.info is None else self.key

    def is_marker_of(self, directory: str) -> bool:
        """Whether it stands for this directory itself."""
        # A key that is a slash and no more is odd, and nobody's marker.
        return self.info is None and self.path == directory and self.key != "/"


class Page(NamedTuple):
    """What one request for a listing has brought; ``next`` asks for more, None at the end."""

    entries: list[Entry]
    next: str | None = None


def pages(ask: Callable[[K | None], P], token: Callable[[P], K | None]) -> Iterator[P]:
    """All pages of a listing: ``ask`` for one, ``token`` says how to go on, None at the end.

    Empty ones too, which services may put anywhere. ``OSError`` where there is no getting on.
    """
    here: K | None = None
    while True:
        page = ask(here)
        yield page
        after = token(page)
        if after is None:
            return
        if after == here:
            raise OSError(errno.EIO, "the server lists the same part again and again")
        here = after


class KeyOrder:
    """Turns keys that come in key order into files and directories, in ``find`` order.

    Memory is bounded by the depth of the tree. ``feed`` may be called for page after page.

    >>> keys = [Entry(key, FileInfo(key, "file")) for key in ("a-b", "a/b/c", "a/x", "a0")]
    >>> [info.path for info in KeyOrder("").feed(keys)]
    ['a-b', 'a', 'a/b', 'a/b/c', 'a/x', 'a0']
    """

    def __init__(self, base: str, enter: Callable[[FileInfo], bool] | None = None) -> None:
        """``base`` is the directory whose contents are listed; it is not yielded itself."""
        self._base = base
        self._enter = enter
        self._open: list[str] = [base] if base else []
        # Files whose name may still turn out to be a prefix too: each begins the current key.
        self._files: list[str] = []
        self._last = ""
        self._odd: str | None = None  # what all keys begin with that were left out with the last
        #: What keys begin with that are left out, because ``enter`` said no; None for nothing.
        self.pruned: str | None = None

    def feed(self, entries: Iterable[Entry]) -> Iterator[FileInfo]:
        """The infos of the next keys, which follow in order those of the last call.

        ``OSError`` where they do not: whoever compares two trees relies on the order.
        """
        for entry in entries:
            if entry.order < self._last:
                raise OSError(errno.EIO, "the server does not list its keys in their order")
            self._last = entry.order
            path = entry.path
            if entry.is_marker_of(self._base):
                continue  # the directory's own marker
            if self.pruned and entry.order.startswith(self.pruned):
                continue
            self.pruned = None
            self._files = [file for file in self._files if path.startswith(file)]
            odd = not is_addressable(path)
            above = path if entry.info is None else parent_of(path)
            if odd:
                self._leave_out(entry.key)
                # What it lies in is there all the same.
                while above and not is_addressable(above):
                    above = parent_of(above)
            entered = yield from self._directories(above)
            if entered and entry.info is not None and not odd:
                self._files.append(path)
                yield entry.info if entry.info.path == path else entry.info._replace(path=path)

    def _leave_out(self, key: str) -> None:
        """Say so, once for all keys below a directory that has an odd name."""
        if self._odd is not None and key.startswith(self._odd):
            return
        first = 0
        while (end := key.find("/", first)) >= 0 and is_addressable(key[:end] or "/"):
            first = end + 1
        self._odd = key[: end + 1] if end >= 0 else None
        _left_out(self._odd or key)

    def _directories(self, whole: str) -> Generator[FileInfo, None, bool]:
        """Announce the directories down to ``whole`` that are new; False: not wanted."""
        if whole == (self._open[-1] if self._open else ""):
            return True  # where the last one was
        below = whole + "/"
        while self._open and not below.startswith(self._open[-1] + "/"):
            self._open.pop()
        known = self._open[-1] if self._open else ""
        for name in whole[len(known) :].strip("/").split("/"):
            if not name:
                break
            known = join(known, name)
            self._open.append(known)
            if known in self._files:
                continue
            info = FileInfo(known, "directory")
            entered = self._enter is None or self._enter(info)
            yield info
            if not entered:
                self.pruned = known + "/"
                return False
        return True


def in_key_order(
    base: str,
    listing: Callable[[str | None], Iterable[Page]],
    enter: Callable[[FileInfo], bool] | None = None,
) -> Iterator[FileInfo]:
    """``find`` for a service that lists its keys in their order, whatever the directories.

    ``listing(after)`` gives the pages of everything below ``base``, from its beginning or behind
    (or from) the key ``after``. A directory that is not entered is jumped over by asking anew,
    where it is larger than a page.
    """
    order = KeyOrder(base, enter)
    after: str | None = None
    while True:
        jump: str | None = None
        for page in listing(after):
            yield from order.feed(page.entries)
            if page.next is None:
                return
            if order.pruned is not None and page.entries:
                beyond = order.pruned + _LAST
                if page.entries[-1].key < beyond:
                    jump = beyond
                    break
        if jump is None:
            return
        after = jump


def in_any_order(
    base: str,
    flat: Callable[[str], Page],
    one_level: Callable[[str], Iterable[Entry]],
    enter: Callable[[FileInfo], bool] | None = None,
) -> Iterator[FileInfo]:
    """``find`` for a service that promises no order of its keys: exact, with few requests.

    ``flat`` asks for the first page of everything below a directory. Where that is all, it is
    sorted here; where there is more, ``one_level`` lists the directory, and its subdirectories
    are gone through one by one. Memory is bounded by a page and the levels on the way down.
    """
    pending = [_steps(base, flat, one_level, enter)]
    while pending:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
            continue
        info, inner = step
        if info is not None:
            yield info
        if inner is not None:
            pending.append(_steps(inner, flat, one_level, enter))


def _steps(
    base: str,
    flat: Callable[[str], Page],
    one_level: Callable[[str], Iterable[Entry]],
    enter: Callable[[FileInfo], bool] | None,
) -> Iterator[tuple[FileInfo | None, str | None]]:
    """What to yield, and which directory to go into after it."""
    page = flat(base)
    if page.next is None:
        entries = sorted(page.entries, key=lambda entry: entry.order)
        for info in KeyOrder(base, enter).feed(entries):
            yield info, None
        return
    found, shadowed = level(base, one_level(base))
    listed = {path + "/": path for path in shadowed}
    everything = {order_key(info): info for info in found}
    for key in sorted({*everything, *listed}):
        here = everything.get(key)
        if here is None:
            yield None, listed[key]
        elif here.type == "directory" and (enter is None or enter(here)):
            yield here, here.path
        else:
            yield here, None


def level(base: str, entries: Iterable[Entry]) -> tuple[list[FileInfo], list[str]]:
    """The entries of one directory, and the prefixes among them that a file hides."""
    found: dict[str, FileInfo] = {}
    prefixes: set[str] = set()
    for entry in entries:
        path = entry.path
        if entry.is_marker_of(base):
            continue
        if not is_addressable(path) or parent_of(path) != base:
            _left_out(entry.key)
            continue
        if entry.info is None:
            prefixes.add(path)
            found.setdefault(path, FileInfo(path, "directory"))
        else:
            found[path] = entry.info if entry.info.path == path else entry.info._replace(path=path)
    return list(found.values()), [path for path in prefixes if found[path].type == "file"]


def scanned(base: str, entries: Iterable[Entry]) -> list[FileInfo]:
    """The entries of one directory, for people: what a file hides is told in the log."""
    found, hidden = level(base, entries)
    for path in sorted(hidden):
        _log.warning(
            "%r is a file and a directory, and listed as the file; what is below it is found by its "
            "own children(), and by rglob() and copying from above",
            path,
        )
    return found


def _left_out(path: str) -> None:
    note_left_out(path)
    _log.warning("left out the entry %r, whose name no path can express", path)
