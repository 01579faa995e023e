from __future__ import annotations

import fnmatch
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.exceptions import StorageValueError
from genro_storage.info import FileInfo
from genro_storage.transfer.planning.filters import Filters


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


# -- sizes and ages --------------------------------------------------------------------------------------

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("bounds", "size", "age", "expected"),
    [
        ({"min_size": 10}, 9, 0, "smaller than 10 bytes"),
        ({"min_size": 10, "max_size": 10}, 10, 0, None),
        ({"max_size": "1 KiB"}, 1025, 0, "larger than 1024 bytes"),
        ({"max_size": 0}, 1, 0, "larger than 0 bytes"),
        ({"min_size": 0}, None, 0, "size unknown"),
        ({"min_age": "1h 30m"}, 1, 5399, "younger than 5400 seconds"),
        ({"min_age": timedelta(seconds=1.5)}, 1, 1, "younger than 1.5 seconds"),
        ({"min_age": 5, "max_age": 5}, 1, 5, None),
        ({"max_age": "2d"}, 1, 172_801, "older than 172800 seconds"),
        ({"max_age": 1}, 1, -60, None),
        ({"min_age": 0}, 1, -60, "younger than 0 seconds"),
        ({"max_age": 1}, 1, None, "age unknown"),
        ({"min_size": "", "max_age": None}, None, None, None),
    ],
)
def test_a_bound_is_kept_by_what_is_just_as_large_or_old(bounds, size, age, expected):
    info = FileInfo("a", "file", size, None if age is None else NOW - age)
    assert Filters(**bounds, now=NOW).reason(info, "a") == expected


def test_ages_are_counted_back_from_the_moment_when_the_filters_are_made(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)
    filters = Filters(max_age=10)
    monkeypatch.setattr("time.time", lambda: NOW + 3600)
    assert filters.reason(FileInfo("a", "file", 1, NOW - 10), "a") is None


def test_the_order_is_patterns_size_age_predicate():
    def reason_of(relpath: str, size: int, age: int) -> str | None:
        return filters.reason(FileInfo("r/" + relpath, "file", size, NOW - age), relpath)

    filters = Filters(
        *("*.py", "x*", lambda info, relpath: False),
        patterns="y*",
        min_size=10,
        max_age=60,
        now=NOW,
    )
    assert reason_of("y.txt", 1, 99) == "not matching include patterns"
    assert reason_of("x/y.py", 1, 99) == "matching exclude pattern 'x*'"
    assert reason_of("y.py", 1, 99) == "matching pattern 'y*'"
    assert reason_of("z.py", 1, 99) == "smaller than 10 bytes"
    assert reason_of("z.py", 10, 99) == "older than 60 seconds"
    assert reason_of("z.py", 10, 60) == "filtered by custom function"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("min_size", value) for value in ("10 parsecs", "-1", -1, 1.5, True, [], "M")),
        *(("max_age", value) for value in ("soon", -1, True, [], float("nan"), float("inf"))),
        *(("min_age", value) for value in ("2 moons", 10**400)),
        *(("now", value) for value in ("today", float("nan"))),
    ],
)
def test_a_bound_that_is_none_is_refused_by_its_name(argument, value):
    with pytest.raises(StorageValueError, match=rf"^{argument}= "):
        Filters(**{argument: value})


@pytest.mark.parametrize("what", ["size", "age"])
def test_bounds_that_no_file_can_keep_are_refused(what):
    with pytest.raises(StorageValueError, match=rf"^min_{what}= is 3 and max_{what}= is 2: no"):
        Filters(**{f"min_{what}": 3, f"max_{what}": 2})


def test_sizes_and_ages_say_nothing_of_directories_or_of_paths_alone():
    filters = Filters(min_size=10, max_age=1)
    assert filters
    assert filters.may_hold("d")
    assert filters.keeps_directory("d")
    assert not filters.leaves_out("d/a")


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
