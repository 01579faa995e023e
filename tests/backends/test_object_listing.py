"""Flat keys become the tree that they spell, whatever the keys, the pages and the order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.backends.object_stores.listing import (
    Entry,
    KeyOrder,
    Page,
    in_any_order,
    in_key_order,
    level,
)
from genro_storage.info import FileInfo
from genro_storage.paths import is_addressable, order_key, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names that sort around the slash, and two that UTF-16 sorts the other way round.
_names = st.text(alphabet="a-0/\ufb00\U0001f600", min_size=1, max_size=8)
_keys = st.sets(_names, max_size=12)


def _expected(keys: set[str], base: str = "", refused: str | None = None) -> list[FileInfo]:
    """The tree of the keys, said in the plainest way."""
    files = {key for key in keys if not key.endswith("/") and is_addressable(key)}
    folders = {key[:-1] for key in keys if key.endswith("/") and is_addressable(key[:-1])}
    above = set(folders)
    for path in keys:
        while path := parent_of(path):
            if is_addressable(path):
                above.add(path)
    found = [FileInfo(path, "file") for path in files]
    found += [FileInfo(path, "directory") for path in above - files]
    inside = base + "/" if base else ""
    found = [info for info in found if info.path.startswith(inside) and info.path != base]
    if refused is not None and refused not in files:
        found = [info for info in found if not info.path.startswith(refused + "/")]
    return sorted(found, key=order_key)


def _entries(keys: set[str]) -> list[Entry]:
    return [Entry(key, None if key.endswith("/") else FileInfo(key, "file")) for key in keys]


class _Store:
    """Lists its keys in an order of its own, in pages of ``size``."""

    def __init__(self, keys: set[str], size: int) -> None:
        self.keys = keys
        self.size = size
        self.asked = 0

    def flat(self, base: str) -> Page:
        self.asked += 1
        inside = base + "/" if base else ""
        found = _entries({key for key in self.keys if key.startswith(inside)})
        found.sort(key=lambda entry: entry.key.encode("utf-16-be"), reverse=True)
        return Page(found[: self.size], "more" if len(found) > self.size else None)

    def level(self, base: str) -> list[Entry]:
        self.asked += 1
        inside = base + "/" if base else ""
        found = set()
        for key in self.keys:
            if key.startswith(inside):
                name, slash, _ = key[len(inside) :].partition("/")
                found.add(inside + name + slash)
        return _entries(found)


@given(_keys, st.sampled_from(["", "a", "a/0"]))
def test_keys_in_order_are_the_tree(keys, base):
    inside = base + "/" if base else ""
    entries = _entries({key for key in keys if key.startswith(inside)})
    entries.sort(key=lambda entry: entry.key.encode())
    assert list(KeyOrder(base).feed(entries)) == _expected(keys, base)


@given(_keys, st.integers(1, 4))
def test_pages_may_end_anywhere(keys, size):
    entries = sorted(_entries(keys), key=lambda entry: entry.key.encode())
    order = KeyOrder("")
    found = [
        info
        for start in range(0, len(entries), size)
        for info in order.feed(entries[start : start + size])
    ]
    assert found == _expected(keys)


@given(_keys, st.integers(1, 4), st.sampled_from(["", "a", "a/0"]))
def test_the_order_of_the_service_does_not_matter(keys, size, base):
    store = _Store(keys, size)
    assert list(in_any_order(base, store.flat, store.level)) == _expected(keys, base)


@given(_keys, st.integers(1, 4), st.sampled_from(["a", "a/0", "-"]))
def test_a_directory_that_is_refused_is_not_entered(keys, size, refused):
    def enter(info: FileInfo) -> bool:
        assert info.type == "directory"
        asked.append(info.path)
        return info.path != refused

    for store in (_Store(keys, size), None):
        asked: list[str] = []
        if store is not None:
            found = list(in_any_order("", store.flat, store.level, enter))
        else:
            entries = sorted(_entries(keys), key=lambda entry: entry.key.encode())
            found = list(KeyOrder("", enter).feed(entries))
        assert found == _expected(keys, refused=refused)
        assert asked == [info.path for info in found if info.type == "directory"]


def test_a_key_that_is_only_a_slash_is_left_out_like_others(caplog):
    with caplog.at_level(logging.WARNING, "genro_storage"):
        assert list(KeyOrder("").feed([Entry(""), Entry("/")])) == []
        assert level("", [Entry(""), Entry("/")]) == ([], [])
    assert [record.args for record in caplog.records] == [("/",), ("/",)]


@given(_keys, st.sampled_from(["", "a"]))
def test_one_level_shows_what_find_shows_of_it(keys, base):
    store = _Store(keys, 1000)
    found, hidden = level(base, store.level(base))
    expected = [info for info in _expected(keys, base) if parent_of(info.path) == base]
    assert sorted(found, key=order_key) == expected
    assert all(FileInfo(path, "file") in found for path in hidden)


def test_a_small_tree_is_one_request():
    store = _Store({f"d{number}/e/f.txt" for number in range(50)}, 1000)
    assert len(list(in_any_order("", store.flat, store.level))) == 150
    assert store.asked == 1


def test_a_file_below_the_name_of_a_file_is_not_lost():
    keys = {"a", "a-b", "a/x"}
    entries = sorted(_entries(keys), key=lambda entry: entry.key)
    assert [info.path for info in KeyOrder("").feed(entries)] == ["a", "a-b", "a/x"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a//b", "a//"), ("/a", "/"), ("a/../b", "a/../"), ("a/./b", "a/./"), ("..", "..")],
)
def test_a_key_that_no_path_can_express_is_left_out_and_logged(key, shown, caplog):
    with caplog.at_level(logging.WARNING, "genro_storage"):
        found = list(KeyOrder("").feed(_entries({key}) + _entries({"z"})))
    assert [info.path for info in found if info.type == "file"] == ["z"]
    assert [record.args for record in caplog.records] == [(shown,)]


def test_a_thousand_keys_below_one_odd_name_are_one_warning(caplog):
    order = KeyOrder("")
    keys = sorted({f"a//{number:04}" for number in range(1000)} | {"a/", "b//", "b//x"})
    with caplog.at_level(logging.WARNING, "genro_storage"):
        found = [info.path for key in keys for info in order.feed(_entries({key}))]
    assert found == ["a", "b"]
    assert [record.args for record in caplog.records] == [("a//",), ("b//",)]


def test_a_server_that_does_not_sort_is_found_out():
    order = KeyOrder("")
    assert len(list(order.feed(_entries({"b"})))) == 1
    with pytest.raises(OSError, match="order"):
        list(order.feed(_entries({"a"})))


class _Sorted:
    """Lists its keys in their order, from any of them on."""

    def __init__(self, keys: set[str], size: int) -> None:
        self.keys = sorted(keys, key=str.encode)
        self.size = size
        self.pages = 0

    def listing(self, after: str | None) -> Iterator[Page]:
        keys = [key for key in self.keys if after is None or key > after]
        for start in range(0, max(1, len(keys)), self.size):
            self.pages += 1
            part = [Entry(key, FileInfo(key, "file")) for key in keys[start : start + self.size]]
            yield Page(part, "more" if start + self.size < len(keys) else None)


def test_a_large_directory_that_is_not_entered_is_jumped_over():
    keys = {f"a/{number:04}" for number in range(900)} | {"a/\U0010ffff", "a0", "b/x"}
    store = _Sorted(keys, 3)
    found = in_key_order("", store.listing, lambda info: info.path != "a")
    assert [info.path for info in found] == ["a", "a0", "b", "b/x"]
    assert store.pages <= 3


def test_a_jump_that_leads_nowhere_is_made_once():
    """No character comes after the last one that a listing can be asked to begin behind."""
    store = _Sorted({f"a/\U0010ffff{number:04}" for number in range(30)} | {"b"}, 3)
    found = in_key_order("", store.listing, lambda _: False)
    assert [info.path for info in found] == ["a", "b"]
    assert store.pages <= 15


@given(_keys, st.integers(1, 4), st.sampled_from(["a", "a/0", "-"]))
def test_the_same_whatever_is_jumped_over(keys, size, refused):
    keys = {key for key in keys if not key.endswith("/")}
    found = in_key_order("", _Sorted(keys, size).listing, lambda info: info.path != refused)
    assert list(found) == _expected(keys, refused=refused)


def test_a_listing_is_never_held_whole():
    store = _Sorted({f"{number:05}/f" for number in range(3000)}, 3)
    next(in_key_order("", store.listing))
    assert store.pages == 1
