from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.exceptions import StorageValueError
from genro_storage.info import FileInfo
from genro_storage.transfer.filters import Filters


def reason(filters: Filters, relpath: str) -> str | None:
    return filters.reason(FileInfo("root/" + relpath, "file", 3), relpath)


def test_a_star_also_matches_slashes():
    assert reason(Filters(include="*.py"), "d/x.py") is None
    assert reason(Filters(exclude="__pycache__/*"), "__pycache__/x.pyc") == (
        "matching exclude pattern '__pycache__/*'"
    )


def test_matching_is_case_sensitive_on_every_system():
    assert reason(Filters(include="*.PY"), "x.py") == "not matching include patterns"


@pytest.mark.parametrize("nothing", [None, "", [], (), [""]])
def test_no_patterns_means_no_filter(nothing):
    filters = Filters(include=nothing, exclude=nothing)
    assert not filters
    assert reason(filters, "a") is None


def test_the_order_is_include_exclude_predicate():
    asked = []

    def predicate(info, relpath):
        asked.append((info.path, relpath))
        return False

    filters = Filters(["*.py", "*.md"], ["x*", "y*"], predicate)
    assert reason(filters, "x.txt") == "not matching include patterns"
    assert reason(filters, "y.py") == "matching exclude pattern 'y*'"
    assert asked == []
    assert reason(filters, "a.py") == "filtered by custom function"
    assert asked == [("root/a.py", "a.py")]


def test_the_first_exclude_pattern_that_matches_is_named():
    assert reason(Filters(exclude=["a*", "*b"]), "ab") == "matching exclude pattern 'a*'"


def test_a_predicate_that_raises_excludes():
    def predicate(info, relpath):
        raise LookupError("no such owner")

    assert reason(Filters(predicate=predicate), "a") == "filter error: no such owner"


def test_a_pattern_that_is_no_text_is_refused():
    with pytest.raises(StorageValueError, match=r"include= takes a pattern .* not 3"):
        Filters(include=["*.py", 3])  # type: ignore[list-item]


patterns = st.lists(st.text("ab/*?[]!.", max_size=6), max_size=4)


@given(patterns, patterns, st.text("ab/.", min_size=1, max_size=8))
def test_patterns_agree_with_fnmatch_one_by_one(include, exclude, relpath):
    include, exclude = [p for p in include if p], [p for p in exclude if p]
    wanted = not include or any(fnmatch.fnmatchcase(relpath, p) for p in include)
    matching = [p for p in exclude if fnmatch.fnmatchcase(relpath, p)]
    expected = None
    if not wanted:
        expected = "not matching include patterns"
    elif matching:
        expected = f"matching exclude pattern '{matching[0]}'"
    assert reason(Filters(include, exclude), relpath) == expected


@pytest.mark.parametrize(
    ("include", "exclude", "directory", "expected"),
    [
        (None, ".venv/*", ".venv", False),
        (None, ".venv/*", "a/.venv", True),
        (None, "*/.venv/*", "a/.venv", False),
        (None, "*.pyc", "a", True),
        (None, "a", "a", True),
        (None, "a*", "ab/c", False),
        ("docs/*", None, "docs", True),
        ("docs/*", None, "doc", False),
        ("docs/guides/*.md", None, "docs", True),
        ("docs/guides/*.md", None, "docs/other", False),
        ("*.md", None, "anything", True),
        (["a/*", "b/c"], None, "b", True),
        (["a/*", "b/c"], None, "c", False),
        ("[ab]/*", None, "c", True),
    ],
)
def test_a_directory_is_given_up_only_where_no_file_below_can_pass(
    include: str | list[str] | None, exclude: str | None, directory: str, expected: bool
) -> None:
    assert Filters(include, exclude).may_hold(directory) is expected


@given(
    pattern=st.text("ab*?/[]", max_size=8),
    directory=st.text("ab/", min_size=1, max_size=4),
    name=st.text("ab/", min_size=1, max_size=4),
)
def test_no_file_that_would_pass_is_lost_in_a_directory_that_was_given_up(
    pattern: str, directory: str, name: str
) -> None:
    path = f"{directory}/{name}"
    for filters in (Filters(include=pattern), Filters(exclude=pattern)):
        if filters.reason(FileInfo(path, "file"), path) is None:
            assert filters.may_hold(directory)
