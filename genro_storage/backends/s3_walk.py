"""One flat listing of keys, read as a tree: what ``Backend.find`` promises. Pure.

A store that lists its keys in order needs one request for a thousand of them, whatever the
directories; walking them one by one takes a request each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..info import FileInfo
from ..paths import is_addressable, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["tree_of_keys"]

#: Comes after nearly every key below a directory: a valid character, as the listing needs one.
_LAST = "\U0010fffd"

#: Pages of the keys after the given one, in order: each key below the directory, and its facts.
Listing = "Callable[[str | None], Iterable[list[tuple[str, Mapping[str, Any]]]]]"


class _Tree:
    """Where in the tree the last key was. Its memory is bounded by the length of a key."""

    def __init__(
        self,
        base: str,
        describe: Callable[[str, Mapping[str, Any]], FileInfo],
        enter: Callable[[FileInfo], bool] | None,
        leave_out: Callable[[str], object],
    ) -> None:
        self._base = base
        self._describe = describe
        self._enter = enter
        self._leave_out = leave_out
        self._open = ""  # the directory that the last key was in, with a slash at its end
        # Files whose name may yet turn up as a directory's too; each is the beginning of the next.
        self._files: list[str] = []
        self.barred: str | None = None
        """What nobody wants to see: all keys that begin so."""

    def add(self, key: str, raw: Mapping[str, Any]) -> Iterator[FileInfo]:
        """The directories that begin with this key, and its file."""
        if self.barred is not None:
            if key.startswith(self.barred):
                return
            self.barred = None
        while self._files and not _may_continue(self._files[-1], key):
            self._files.pop()
        while not key.startswith(self._open):
            self._open = self._open[: self._open.rfind("/", 0, -1) + 1]
        while (end := key.find("/", len(self._open))) >= 0:
            inside = key[: end + 1]
            if not is_addressable(key[len(self._open) : end]):
                self._leave_out(join(self._base, inside))
                self.barred = inside
                return
            if self._files and self._files[-1] == inside[:-1]:
                self.barred = inside  # what has the name of a file and of a directory is the file
                return
            info = FileInfo(join(self._base, inside[:-1]), "directory")
            entered = self._enter is None or self._enter(info)
            yield info
            if not entered:
                self.barred = inside
                return
            self._open = inside
        if len(key) == len(self._open):
            return  # the marker of a directory that may be empty
        if not is_addressable(key[len(self._open) :]):
            self._leave_out(join(self._base, key))
            return
        self._files.append(key)
        yield self._describe(join(self._base, key), raw)


def _may_continue(name: str, key: str) -> bool:
    """Whether ``name/`` is still to come in an order that has reached ``key``."""
    return key.startswith(name) and key[len(name) : len(name) + 1] <= "/"


def tree_of_keys(
    listing: Callable[[str | None], Iterable[list[tuple[str, Mapping[str, Any]]]]],
    base: str,
    describe: Callable[[str, Mapping[str, Any]], FileInfo],
    *,
    enter: Callable[[FileInfo], bool] | None = None,
    leave_out: Callable[[str], object],
) -> Iterator[FileInfo]:
    """What ``Backend.find`` yields below ``base``, from ``listing(after)``.

    That gives pages of pairs, in the order of the keys: a key as seen from ``base`` (``""`` is its
    own marker, a slash at the end says that it is a directory's) and what is known about it;
    beginning behind the key ``after``. A directory that is not entered is jumped over by asking
    anew, where it is larger than a page. ``leave_out`` hears of keys that no path can express.

    Raises ``OSError`` where the keys are not in order.
    """
    tree = _Tree(base, describe, enter, leave_out)
    last = ""
    after: str | None = None
    while True:
        jump: str | None = None
        for page in listing(after):
            for key, raw in page:
                if key < last or (after is not None and key <= after):
                    raise OSError("the server does not list its keys in their order")
                last = key
                yield from tree.add(key, raw)
            if page and tree.barred is not None and last < tree.barred + _LAST:
                jump = tree.barred + _LAST
                break
        if jump is None:
            return
        after = jump
