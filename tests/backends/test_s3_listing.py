"""A flat listing shows the same tree, in the same order, as walking the directories one by one."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.backends.fsspec_backend import FsspecBackend
from genro_storage.backends.s3 import S3Options
from genro_storage.backends.s3.backend import S3Backend

PAGE = 3


class Keys:
    """The listings of a bucket that holds these keys, as S3 gives them; counts the pages."""

    protocol = "s3"
    root_marker = ""

    def __init__(self, keys, bucket="b"):
        self.keys = sorted(set(keys), key=str.encode)
        self.client = SimpleNamespace(
            options=S3Options(bucket=bucket), bucket=bucket, endpoint=None
        )
        self.pages = 0

    def _strip_protocol(self, path):
        return path

    def ls(self, path):
        prefix = f"{path}/" if path else ""
        below = [key for key in self.keys if key.startswith(prefix)]
        folders = {prefix + key[len(prefix) :].partition("/")[0] + "/" for key in below}
        yield from (
            {"type": "directory", "name": each}
            for each in sorted(folders & _slashed(below, prefix))
        )
        for key in below:
            if "/" not in key[len(prefix) :]:
                yield {"type": "file", "name": key, "size": 0}

    def keys_below(self, prefix, after=None):
        below = [key for key in self.keys if key.startswith(prefix) and (not after or key > after)]
        for first in range(0, max(1, len(below)), PAGE):
            self.pages += 1
            found = [{"type": "file", "name": key} for key in below[first : first + PAGE]]
            yield found, first + PAGE >= len(below)

    def look(self, path):
        if path in self.keys:
            return {}
        if not path or any(key.startswith(path + "/") for key in self.keys):
            return None
        raise FileNotFoundError(path)


def _slashed(keys, prefix):
    return {
        prefix + key[len(prefix) :].partition("/")[0] + "/"
        for key in keys
        if "/" in key[len(prefix) :]
    }


def walked(backend, path="", enter=None):
    return [(info.path, info.type) for info in FsspecBackend.find(backend, path, enter=enter)]


def listed(backend, path="", enter=None):
    return [(info.path, info.type) for info in backend.find(path, enter=enter)]


# Few letters, so that names repeat: what sorts around the slash, dots, and what sorts last.
names = st.text("ab/-0.\U0010ffff", min_size=1, max_size=7)


def distinct(keys):
    """The keys that are no directories of others: those are only found by a flat listing."""
    return {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("genro_storage").setLevel(logging.ERROR)
    yield
    logging.getLogger("genro_storage").setLevel(logging.NOTSET)


@given(st.sets(names, max_size=14))
def test_the_same_as_one_listing_per_directory(keys):
    backend = S3Backend(Keys(distinct(keys)))
    assert listed(backend) == walked(backend)


@given(st.sets(names, max_size=14), st.sets(st.text("ab/-0", max_size=3)))
def test_the_same_where_directories_are_not_entered(keys, closed):
    backend = S3Backend(Keys(distinct(keys)))
    asked: list[list[str]] = [[], []]

    def enter(which):
        return lambda info: asked[which].append(info.path) or info.path not in closed

    assert listed(backend, enter=enter(0)) == walked(backend, enter=enter(1))
    assert asked[0] == asked[1]


@given(st.sets(names, max_size=14), st.text("ab-0", min_size=1, max_size=2))
def test_the_same_below_a_directory_and_a_prefix(keys, name):
    backend = S3Backend(Keys(distinct({f"{name}/{key}" for key in keys} | keys)))
    for path, place in (("", S3Backend(backend._store, name)), (name, backend)):
        try:
            expected = walked(place, path)
        except OSError as error:
            with pytest.raises(type(error)):
                listed(place, path)
        else:
            assert listed(place, path) == expected


@given(st.sets(names, max_size=14), st.text("ab-0", min_size=1, max_size=2))
def test_a_tree_that_may_be_a_file_is_the_same_by_one_listing(keys, name):
    backend = S3Backend(Keys(keys))

    def tree(path):
        return [(info.path, info.type) for info in backend.find_tree(path)]

    if name in keys:
        with pytest.raises(NotADirectoryError):
            tree(name)
    elif any(key.startswith(f"{name}/") for key in keys):
        assert tree(name) == listed(backend, name)
    else:
        with pytest.raises(FileNotFoundError):
            tree(name)


def test_a_tree_that_may_be_a_file_is_listed_once():
    for siblings in ((), ("p-", "p.txt"), ("p0", "p1", "p2", "p3")):
        store = Keys({f"p/{number:04}" for number in range(6 * PAGE)} | set(siblings))
        assert len(list(S3Backend(store).find_tree("p"))) == 6 * PAGE
        assert store.pages <= 7 if siblings else store.pages == 6


def test_what_is_not_a_directory():
    backend = S3Backend(Keys({"a"}))
    with pytest.raises(NotADirectoryError):
        listed(backend, "a")
    with pytest.raises(FileNotFoundError):
        listed(backend, "b")
    assert listed(S3Backend(Keys(set()), "anything")) == []


@given(st.sets(names, max_size=14), st.sets(st.text("ab/-0", max_size=3)))
def test_a_directory_bucket_shows_the_same_whatever_its_order(keys, closed):
    ordered, mixed = S3Backend(Keys(keys)), S3Backend(Keys(keys, "b--use1-az4--x-s3"))
    mixed._store.keys.reverse()
    for enter in (None, lambda info: info.path not in closed):
        assert listed(mixed, enter=enter) == listed(ordered, enter=enter)


def test_what_lies_below_the_name_of_a_file_is_found():
    """A tree that is copied is to be whole."""
    backend = S3Backend(Keys({"a", "a-b", "a/x", "a/y/z"}))
    assert listed(backend) == [
        ("a", "file"),
        ("a-b", "file"),
        ("a/x", "file"),
        ("a/y", "directory"),
        ("a/y/z", "file"),
    ]
    assert [info.path for info in backend.scan("")] == ["a", "a-b"]


def test_a_directory_that_is_not_entered_is_jumped_over():
    store = Keys({f"p/a/{number:04}" for number in range(900)} | {"p/a0", "p/b/x"})
    found = listed(S3Backend(store, "p"), enter=lambda info: info.path != "a")
    assert found == [("a", "directory"), ("a0", "file"), ("b", "directory"), ("b/x", "file")]
    assert store.pages <= 3


def test_names_with_any_character_but_the_slash():
    keys = {"line\nbreak.txt", "what?versionId=1", "tab\t", "\x01", "a\\b", "%2F"}
    assert {path for path, _ in listed(S3Backend(Keys(keys)))} == keys


def test_keys_that_no_path_can_express_are_left_out_with_a_warning(caplog):
    logging.getLogger("genro_storage").setLevel(logging.WARNING)
    backend = S3Backend(Keys({"a//b", "a//c", "/x", "d/../e", "f/./g", "h"}))
    assert listed(backend) == [
        ("a", "directory"),
        ("d", "directory"),
        ("f", "directory"),
        ("h", "file"),
    ]
    assert [record.args[0] for record in caplog.records] == ["/", "a//", "d/../", "f/./"]
    caplog.clear()
    assert [info.path for info in backend.scan("a")] == []
    assert "a//" in caplog.text
