"""Paths: one spelling, and no way out of a mount."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from genro_storage import paths
from genro_storage.exceptions import StoragePathError
from genro_storage.info import FileInfo

# Every character that means something somewhere, and some that mean nothing.
_ALPHABET = st.sampled_from("ab.-~:%\\ é\u0301\n[*0C")
_NAMES = st.text(_ALPHABET, min_size=1, max_size=6).filter(
    lambda name: ".." not in name.split("\\") and name != "."
)
_PATHS = st.lists(_NAMES, max_size=4).map("/".join)
_WILD = st.text(st.sampled_from("a./\\:C\x00 "), max_size=12)


def normal(path):
    assume(not paths._DRIVE.match(path.lstrip("/")))
    return paths.normalise(path)


@given(_WILD)
@example("a/..\\b")
@example("\n/..")
@example("/C:")
def test_what_is_accepted_stays_inside_and_is_stable(path):
    try:
        normalised = paths.normalise(path)
    except StoragePathError:
        return
    assert paths.normalise(normalised) == normalised
    assert not normalised.startswith("/")
    assert not normalised.endswith("/")
    assert "" not in paths.split(normalised)
    assert ".." not in normalised.replace("\\", "/").split("/")
    assert "\x00" not in normalised
    root = "/srv/mount"
    assert posixpath.normpath(f"{root}/{normalised}").startswith(root)


@given(_WILD)
def test_what_leads_out_is_refused(path):
    parts = path.replace("\\", "/").split("/")
    if ".." in parts or "\x00" in path:
        with pytest.raises(StoragePathError):
            paths.normalise(path)


@given(_PATHS)
def test_a_normal_path_is_not_changed(path):
    assert normal(path) == path


@given(_PATHS, st.integers(0, 3), st.integers(0, 3))
def test_slashes_at_the_ends_say_nothing(path, before, after):
    assume(path)
    assert normal("/" * before + path + "/" * after) == path


@given(_PATHS)
def test_splitting_and_joining_are_inverse(path):
    assert "/".join(paths.split(path)) == path
    joined = ""
    for part in paths.split(path):
        joined = paths.join(joined, part)
    assert joined == path


@given(_PATHS, _PATHS)
def test_what_was_put_below_is_found_relative_to_it(above, below):
    together = paths.join(above, below)
    assert paths.relative_to(together, above) == below
    if together:
        assert paths.join(paths.parent_of(together), together.rpartition("/")[2]) == together


@given(_PATHS, _NAMES)
def test_a_sibling_with_the_same_beginning_is_not_below(path, suffix):
    assume(path and not suffix.startswith("/"))
    with pytest.raises(StoragePathError):
        paths.relative_to(path + suffix, path)


@given(st.lists(st.sampled_from([".", "a", "..x", "...", ".b"]), max_size=6))
def test_single_dots_are_not_seen_by_the_storage(parts):
    assert paths.physical("/".join(parts)) == "/".join(part for part in parts if part != ".")


@given(_PATHS)
def test_a_listing_may_show_every_normal_path(path):
    assume(path)
    assert paths.is_addressable(path)


@pytest.mark.parametrize("path", ["", "a//b", "/a", "a/", ".", "a/./b", "..", "a/../b", "a\x00b"])
def test_a_listing_may_not_show_what_no_node_can_be(path):
    assert not paths.is_addressable(path)


@pytest.mark.parametrize(
    "path", ["...", "..x", "x..", "a/...", "a..b/c", ".hidden", "a\\b", "ab:c"]
)
def test_dots_in_a_name_are_no_traversal(path):
    assert paths.normalise(path) == path


@pytest.mark.parametrize("path", ["C:", "c:\\x", "C:/x", "z:/"])
def test_a_drive_is_refused(path):
    with pytest.raises(StoragePathError):
        paths.normalise(path)


def test_the_error_names_the_node_and_the_fix():
    with pytest.raises(StoragePathError, match=r"m:\.\./x.*root") as caught:
        paths.normalise("../x", node="m:../x")
    assert caught.value.node == "m:../x"


@given(st.lists(st.lists(st.sampled_from(["a", "a-b", "a0", "b", "Z"]), min_size=1, max_size=3)))
def test_walking_level_by_level_gives_the_order_of_keys(trees):
    files = {"/".join([*parts, "file"]) for parts in trees}
    directories = {
        path.rsplit("/", depth)[0] for path in files for depth in range(1, path.count("/") + 1)
    }
    entries = [FileInfo(path, "file") for path in files]
    entries += [FileInfo(path, "directory") for path in directories]

    def walk(above):
        level = [info for info in entries if paths.parent_of(info.path) == above]
        for info in sorted(level, key=paths.order_key):
            yield info
            if info.type == "directory":
                yield from walk(info.path)

    walked = list(walk(""))
    assert [info.path for info in walked if info.type == "file"] == sorted(files)
    assert walked == sorted(entries, key=paths.order_key)
