from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage import versions as select
from genro_storage.exceptions import StorageVersionError
from genro_storage.info import Checksum, FileVersion

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def version(
    name: str,
    seconds: float = 0,
    *,
    etag: str | None = None,
    size: int | None = None,
    latest: bool = False,
    marker: bool = False,
) -> FileVersion:
    return FileVersion(name, latest, NOON + timedelta(seconds=seconds), size, etag, marker)


THREE = [version("v1", 0), version("v2", 10), version("v3", 20, latest=True)]


@pytest.mark.parametrize(
    ("index", "expected"), [(-1, "v3"), (-2, "v2"), (-3, "v1"), (0, "v1"), (1, "v2"), (2, "v3")]
)
def test_index_counts_from_the_oldest_or_back_from_the_latest(index: int, expected: str) -> None:
    assert select.by_index(THREE, index).version_id == expected


@pytest.mark.parametrize("index", [3, -4, 10**30])
def test_index_beyond_the_ends_says_what_there_is(index: int) -> None:
    with pytest.raises(IndexError, match=r"docs:a: version index .* out of range.* 3 versions"):
        select.by_index(THREE, index, node="docs:a")


def test_no_versions_at_all_is_said() -> None:
    with pytest.raises(StorageVersionError, match="No versions available"):
        select.by_index([], -1)


def test_a_file_that_only_has_a_delete_marker_has_no_versions() -> None:
    with pytest.raises(StorageVersionError, match="No versions available"):
        select.by_index([version("gone", marker=True)], -1)


def test_index_does_not_count_delete_markers() -> None:
    deleted = [THREE[0], version("gone", 30, marker=True, latest=True)]
    assert select.by_index(deleted, -1).version_id == "v1"
    assert select.by_index(deleted, 0).version_id == "v1"


def test_by_id_finds_the_version() -> None:
    assert select.by_id(THREE, "v2") is THREE[1]


def test_by_id_of_an_unknown_version_names_the_node_and_the_id() -> None:
    with pytest.raises(StorageVersionError, match="docs:a: there is no version 'v9'") as caught:
        select.by_id(THREE, "v9", node="docs:a")
    assert caught.value.node == "docs:a"


def test_by_id_of_a_delete_marker_is_refused() -> None:
    with pytest.raises(StorageVersionError, match="delete marker"):
        select.by_id([version("gone", marker=True)], "gone")


def test_as_of_takes_the_newest_at_or_before_the_moment() -> None:
    def chosen(seconds: float) -> str | None:
        found = select.as_of(THREE, NOON + timedelta(seconds=seconds))
        return None if found is None else found.version_id

    assert [chosen(s) for s in (-1, 0, 9.9, 10, 19, 20, 999)] == [
        None, "v1", "v1", "v2", "v2", "v3", "v3",
    ]  # fmt: skip


def test_as_of_takes_a_naive_moment_as_utc() -> None:
    assert select.as_of(THREE, datetime(2026, 3, 1, 12, 0, 10)) is THREE[1]  # noqa: DTZ001


def test_as_of_understands_other_time_zones() -> None:
    rome = timezone(timedelta(hours=1))
    assert select.as_of(THREE, datetime(2026, 3, 1, 13, 0, 10, tzinfo=rome)) is THREE[1]


def test_as_of_behind_a_delete_marker_finds_the_file_missing() -> None:
    history = [THREE[0], version("gone", 5, marker=True), version("v2", 10, latest=True)]
    assert select.as_of(history, NOON + timedelta(seconds=7)) is None
    assert select.as_of(history, NOON + timedelta(seconds=3)) is history[0]
    assert select.as_of(history, NOON + timedelta(seconds=10)) is history[2]


def test_versions_of_the_same_second_keep_the_order_of_the_storage() -> None:
    same = [version("a"), version("b"), version("c", latest=True)]
    assert select.order(same) == same
    assert select.by_index(select.order(same), 0).version_id == "a"
    assert select.by_index(select.order(same), -1).version_id == "c"
    assert select.as_of(select.order(same), NOON) is same[2]


def test_the_latest_is_last_although_its_upload_began_earlier() -> None:
    multipart = version("big", 0, latest=True)
    assert select.order([multipart, version("small", 10)])[-1] is multipart


def contents(letters: str) -> list[FileVersion]:
    return [version(f"{n}{c}", n, etag=c, size=1) for n, c in enumerate(letters)]


@pytest.mark.parametrize(
    ("letters", "expected"),
    [("", ""), ("A", ""), ("AABBA", "1A 3B"), ("AAA", "1A 2A"), ("ABAB", ""), ("ABBB", "2B 3B")],
)
def test_duplicates_are_the_newer_of_equal_neighbours(letters: str, expected: str) -> None:
    found = select.duplicates(contents(letters))
    assert " ".join(v.version_id for v in found) == expected


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (version("a", etag=None), version("b", etag=None)),
        (version("a", etag=""), version("b", etag="")),
        (version("a", etag='W/"x"'), version("b", etag='W/"x"')),
        (version("a", etag="x", size=1), version("b", etag="x", size=2)),
        (version("a", etag="x"), version("b", etag="x", marker=True)),
    ],
)
def test_nothing_counts_as_duplicate_without_proof(older: FileVersion, newer: FileVersion) -> None:
    assert select.duplicates([older, newer]) == []


def test_a_delete_marker_between_equal_contents_separates_them() -> None:
    history = [version("a", etag="x"), version("d", 1, marker=True), version("b", 2, etag="x")]
    assert select.duplicates(history) == []


@given(st.text("AB", max_size=12))
def test_removing_the_duplicates_keeps_the_history_of_contents(letters: str) -> None:
    history = contents(letters)
    doubles = select.duplicates(history)
    kept = [v.etag for v in history if v not in doubles]
    assert all(a != b for a, b in pairwise(kept))
    assert (kept[:1], kept[-1:]) == (list(letters[:1]), list(letters[-1:]))


def test_where_the_latest_stays_what_it_repeats_goes() -> None:
    history = [*contents("AABB"), version("4B", 4, etag="B", size=1, latest=True)]
    found = select.duplicates(history, keep_latest=True)
    assert [v.version_id for v in found] == ["1A", "3B", "2B"]


def test_equal_contents_that_differ_otherwise_are_no_duplicates() -> None:
    asked: list[str] = []

    def alike(older: FileVersion, newer: FileVersion) -> bool:
        asked.append(f"{older.version_id} {newer.version_id}")
        return newer.version_id != "1A"

    found = select.duplicates(contents("AAAB"), alike=alike)
    assert [v.version_id for v in found] == ["2A"]
    assert asked == ["0A 1A", "1A 2A"]


def test_a_checksum_decides_where_there_is_one() -> None:
    def named(name: str, digest: str, etag: str) -> FileVersion:
        return replace(version(name, etag=etag, size=1), checksum=Checksum("md5", digest))

    same = [named("a", "1", "e"), named("b", "1", "f")]
    assert select.duplicates(same) == same[1:]
    assert select.duplicates([named("a", "1", "e"), named("b", "2", "e")]) == []
