"""What ``verify=`` finds to be another content is copied again, and never left for good."""

from __future__ import annotations

import os

import pytest

from genro_storage.backends.local import LocalBackend
from genro_storage.exceptions import StorageIOError
from genro_storage.mount import Mount
from genro_storage.transfer import Place, plan_copy


class Damaging(LocalBackend):
    """A disk that spoils the content of the first files that are written, not their size or time."""

    spoils = 0

    def upload_open(self, source, path, **options):
        new = super().upload_open(source, path, **options)
        if self.spoils:
            self.spoils -= 1
            full = self.base_path / path
            found = full.stat()
            full.write_bytes(b"X" * found.st_size)
            os.utime(full, ns=(found.st_atime_ns, found.st_mtime_ns))
        return new


@pytest.fixture
def places(tmp_path):
    for name in ("src", "dst"):
        (tmp_path / name).mkdir()
    backend = Damaging(tmp_path / "dst")
    (tmp_path / "src/a").write_bytes(b"good")
    return Mount("src", LocalBackend(tmp_path / "src")), Mount("dst", backend), backend


def copied(source, target, **options):
    options = {"skip": "size", **options}
    plan = plan_copy(Place(source, ""), Place(target, ""), skip=options.pop("skip"))
    return plan.apply(verify="checksum", **options)


def test_a_content_that_arrives_damaged_is_copied_again(places):
    source, target, backend = places
    backend.spoils = 1
    report = copied(source, target, retries=1)
    assert (report.copied, report.retried) == (1, 1)
    assert target.read_bytes("a") == b"good"


def test_what_stays_damaged_is_removed_where_nothing_was_and_comes_with_the_next_run(places):
    source, target, backend = places
    backend.spoils = 2
    with pytest.raises(
        StorageIOError, match=r"dst:a: is not what was copied.*removed again"
    ) as met:
        copied(source, target, retries=1)
    assert type(met.value) is StorageIOError
    assert not target.exists("a")
    assert copied(source, target).copied == 1
    assert target.read_bytes("a") == b"good"


def test_what_stays_damaged_in_the_place_of_another_content_is_told(places):
    source, target, backend = places
    target.write_bytes("a", b"other")
    backend.spoils = 2
    with pytest.raises(StorageIOError, match="stands there now, in the place of what was there"):
        copied(source, target, retries=1)
    assert target.read_bytes("a") == b"XXXX"


@pytest.mark.parametrize("same", [False, True], ids=["two mounts", "one store"])
@pytest.mark.parametrize("verify", ["size", "checksum"])
def test_a_source_that_changed_since_its_listing_is_copied_as_it_is(places, tmp_path, verify, same):
    source, target, _ = places
    (tmp_path / "src/d").mkdir()
    for name in "ab":
        (tmp_path / "src/d" / name).write_bytes(b"short")

    def lengthen(_):
        for name in "ab":
            if (tmp_path / "src/d" / name).stat().st_size == len(b"short"):
                (tmp_path / "src/d" / name).write_bytes(b"longer " * 9)

    there = Place(source if same else target, "e")
    plan = plan_copy(Place(source, "d"), there)
    report = plan.apply(lambda *_: None, lengthen, verify=verify, retries=2)
    assert report.copied == 2
    assert {there.mount.read_bytes(f"e/{name}") for name in "ab"} == {b"short", b"longer " * 9}
