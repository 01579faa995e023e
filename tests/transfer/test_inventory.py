"""S3 Inventory as the listing of a bucket: the same as listing it, sorted, and never mistaken."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genro_storage import StorageManager
from genro_storage.exceptions import StorageIOError, StorageNotFoundError, StorageValueError
from genro_storage.info import FileInfo
from genro_storage.paths import order_key
from genro_storage.transfer import Inventory
from genro_storage.transfer.planning import inventory

COLUMNS = ["Bucket", "Key", "Size", "LastModifiedDate", "ETag"]
STAMP = "2026-11-01T02:03:04.000Z"
AT = datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC).timestamp()


def row(key, size=1, *more):
    return ["photos", quote_plus(key, safe="/"), size, STAMP, f'"{size:032x}"', *more]


@pytest.fixture
def storage(tmp_path):
    storage = StorageManager()
    storage.configure([{"name": "reports", "type": "local", "path": str(tmp_path)}])
    return storage


def report(storage, *files, columns=COLUMNS, **more):
    """The manifest of a report of these files, each a list of rows."""
    above = storage.node("reports:dest/photos/daily")
    named = []
    for number, rows in enumerate(files):
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        data = gzip.compress(text.getvalue().encode())
        name = f"data/{number}.csv.gz"
        above.child("data").mkdir(parents=True, exist_ok=True)
        above.child(name).write_bytes(data)
        digest = hashlib.md5(data).hexdigest()
        # The key in its bucket: a mount may begin anywhere above.
        named.append({"key": f"prefix/dest/photos/daily/{name}", "MD5checksum": digest})
    document = {
        "sourceBucket": "photos",
        "fileFormat": "CSV",
        "fileSchema": ", ".join(columns),
        "creationTimestamp": "1793500000000",
        "files": named,
        **more,
    }
    manifest = above.child("2026-11-01T01-00Z/manifest.json")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(document))
    return manifest


def test_a_report_in_any_order_is_a_listing_in_key_order(storage):
    manifest = report(
        storage,
        [row("b/x y+ö%.txt", 3), row("a/c/1", 2)],
        [row("a.txt"), row("a/"), row("a-b/z"), row("empty/"), row("a")],
    )
    found = Inventory(manifest)
    listed = list(found)
    assert [(info.path, info.type) for info in listed] == [
        ("a", "file"),
        ("a-b", "directory"),
        ("a-b/z", "file"),
        ("a.txt", "file"),
        ("a/c", "directory"),
        ("a/c/1", "file"),
        ("b", "directory"),
        ("b/x y+ö%.txt", "file"),
        ("empty", "directory"),
    ]
    assert listed[-2] == FileInfo("b/x y+ö%.txt", "file", 3, AT, f"{3:032x}")
    assert list(found) == listed, "it can be gone through again"
    assert (found.bucket, found.made) == ("photos", datetime.fromtimestamp(1793500000, UTC))


@pytest.mark.services
def test_it_is_what_listing_the_bucket_says(storage, s3_mount):
    keys = ["a-b/z", "a.txt", "a/c/1", "a/c/2 +ö", "b/d/e/f", "b/d/e0", "z", "a/c-/x"]
    storage.configure([{"name": "photos", **s3_mount}])
    prefix = s3_mount["prefix"]
    for number, key in enumerate(keys):
        storage.node("photos", key).write_bytes(b"x" * number)
    listed = list(storage.node("photos:")._mount.find(""))
    rows = [
        ["photos", quote_plus(f"{prefix}/{info.path}", safe="/"), info.size, STAMP, info.etag]
        for info in listed
        if info.is_file
    ]
    found = list(Inventory(report(storage, rows[::-1]), prefix=prefix))

    def told(info):
        return info.path, info.type, info.size, info.etag

    assert [told(info) for info in found] == [told(info) for info in listed]


@given(st.lists(st.text("ab-/0", min_size=1, max_size=6), unique=True, max_size=25))
@settings(max_examples=200, deadline=None)
def test_each_directory_comes_once_before_what_is_in_it(keys):
    objects = [(key, 1, None, None) for key in sorted(keys)]
    found = list(inventory._with_directories(objects))
    order = [order_key(info) for info in found]
    assert all(one < two for one, two in pairwise(order)), order
    files = {info.path for info in found if info.is_file}
    directories = {info.path for info in found if info.is_dir}
    assert not files & directories
    wanted = {
        key for key in keys if not key.endswith("/") and not key.startswith("/") and "//" not in key
    }
    assert files == wanted
    for path in files | directories:
        above = path.rpartition("/")[0]
        assert not above or above in directories | files


def test_only_what_is_current_counts(storage):
    columns = [*COLUMNS, "IsLatest", "IsDeleteMarker"]
    rows = [
        row("a", 1, "true", "false"),
        row("a", 2, "false", "false"),
        row("gone", 0, "true", "true"),
    ]
    assert [info[:3] for info in Inventory(report(storage, rows, columns=columns))] == [
        ("a", "file", 1)
    ]


def test_a_mount_that_begins_at_a_prefix_has_its_own_paths(storage):
    manifest = report(storage, [row("2026/a"), row("2026/"), row("2025/b"), row("2026b")])
    for prefix in ("2026", "2026/"):
        assert [info.path for info in Inventory(manifest, prefix=prefix)] == ["a"]


def test_more_than_fits_into_memory_is_sorted_in_files_that_are_gone_afterwards(
    storage, monkeypatch, tmp_path
):
    monkeypatch.setattr(inventory, "_RUN", 100)
    monkeypatch.setattr(inventory, "_FAN", 3)
    keys = [f"{number * 7919 % 20011:05}" for number in range(20011)]
    manifest = report(storage, *([row(key) for key in keys[start::4]] for start in range(4)))
    room = tmp_path / "room"
    room.mkdir()
    found = iter(Inventory(manifest, directory=room))
    assert next(found).path == "00000"
    # 204 runs of 100, always three made into one.
    assert 2 < len(list(room.rglob("*.run"))) < 20
    assert [info.path for info in found] == sorted(keys)[1:]
    assert not list(room.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"CSV"', '"ORC"'), "is ORC"),
        (lambda text: text.replace("Size, ", ""), "lacks Size"),
        (lambda text: text.replace("fileSchema", "schema"), "no manifest"),
        (lambda text: "[]", "no manifest"),
        (lambda text: "<html>", "no manifest"),
    ],
)
def test_what_is_no_manifest_of_csv_files_is_named(storage, change, message):
    manifest = report(storage, [row("a")])
    manifest.write_text(change(manifest.read_text()))
    with pytest.raises(StorageValueError, match=message) as caught:
        Inventory(manifest)
    assert str(caught.value).startswith("reports:dest/photos/daily/2026-11-01T01-00Z/manifest.json")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-9], "as the manifest describes"),
        (lambda data: b"<html>", "as the manifest describes"),
        (lambda data: gzip.compress(b'"photos","a"\n'), "2 columns"),
        (lambda data: gzip.compress(b'"photos","a","x","",""\n'), "as the manifest describes"),
        (lambda data: gzip.compress(gzip.decompress(data) + gzip.decompress(data)), "MD5"),
        (lambda data: data + b"\0" * 8, "MD5"),
    ],
)
def test_a_damaged_report_is_an_error_before_anything_is_listed(storage, damage, message):
    manifest = report(storage, [row("a")], [row("b")])
    file = storage.node("reports:dest/photos/daily/data/1.csv.gz")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(StorageIOError, match=message) as caught:
        next(iter(Inventory(manifest)))
    assert str(caught.value).startswith("reports:dest/photos/daily/data/1.csv.gz: ")


def test_a_file_of_the_report_that_is_missing_is_an_error(storage):
    manifest = report(storage, [row("a")])
    storage.node("reports:dest/photos/daily/data/0.csv.gz").delete()
    with pytest.raises(StorageNotFoundError, match=r"data/0\.csv\.gz"):
        list(Inventory(manifest))


def test_an_object_that_is_listed_twice_is_an_error(storage):
    with pytest.raises(StorageIOError, match="'a' twice"):
        list(Inventory(report(storage, [row("a")], [row("a", 2)])))


# -- as the listing of a plan ----------------------------------------------------------------------


@pytest.fixture
def photos(storage, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "backup").mkdir()
    storage.configure(
        [
            {"name": "photos", "type": "local", "path": str(tmp_path / "photos")},
            {"name": "backup", "type": "local", "path": str(tmp_path / "backup")},
        ]
    )
    for path in ("2025/a", "2026/b", "2026/c/d", "2026/new"):
        storage.node("photos", path).write_text("x")
    return report(storage, [row("2026/c/d"), row("2026/b"), row("2025/a")])


def test_a_plan_goes_by_the_listing_that_it_is_given(storage, photos):
    plan = storage.node("photos:").plan_copy("backup:", listing=Inventory(photos))
    assert plan.summary().to_copy == 3
    assert plan.apply().copied == 3
    assert not storage.node("backup:2026/new").exists
    below = storage.node("photos:2026").plan_copy(
        "backup:below", listing=Inventory(photos), include="c/*"
    )
    assert [each.relpath for each in below if each.__class__.__name__ == "CopyFile"] == ["c/d"]
    assert below.apply(progress=lambda *at: None).copied == 1


def test_what_a_listing_names_and_is_not_there_any_more_is_an_error(storage, photos):
    storage.node("photos:2026/b").delete()
    report = (
        storage.node("photos:")
        .plan_copy("backup:", listing=Inventory(photos))
        .apply(on_error="collect")
    )
    assert (report.copied, report.failed) == (2, 1)
    assert "photos:2026/b" in str(report.failures[0])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("photos:", {"delete": True}, "without listing="),
        ("photos:2026/b", {}, "is for directories"),
        ("photos:", {"listing": iter(())}, "more than once"),
    ],
)
def test_a_listing_that_would_mislead_is_refused(storage, photos, source, options, message):
    with pytest.raises(StorageValueError, match=message):
        storage.node(source).plan_copy("backup:", **{"listing": Inventory(photos), **options})


@pytest.mark.parametrize(
    ("mount", "prefix", "message"),
    [
        ({"bucket": "movies"}, "", "is in the bucket 'movies', and .* the inventory of 'photos'"),
        ({"bucket": "photos", "prefix": "a/b"}, "", r"begins at 'a/b', .* at '': .*prefix='a/b'"),
        ({"bucket": "photos"}, "a/", "begins at '', .* at 'a'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("endpoint", [{}, {"endpoint_url": "http://127.0.0.1:9"}])
def test_an_inventory_of_another_bucket_is_refused_without_a_request(
    storage, mount, prefix, message, endpoint
):
    keys = {"key": "k", "secret": "s", "region": "eu-west-1"}
    storage.configure(
        [
            {"name": "there", "type": "s3", **keys, **mount, **endpoint},
            {"name": "to", "type": "memory"},
        ]
    )
    found = Inventory(report(storage, [row("a")]), prefix=prefix)
    with pytest.raises(StorageValueError, match=f"^there:x: .*{message}"):
        storage.node("there:x").plan_copy("to:", listing=found)


@pytest.mark.services
def test_an_inventory_of_the_sources_bucket_is_taken(storage, s3_mount):
    storage.configure([{"name": "photos", **s3_mount}, {"name": "to", "type": "memory"}])
    storage.node("photos:d/a").write_text("a")
    key = f"{s3_mount['prefix']}/d/a"
    manifest = report(storage, [row(key)], sourceBucket=s3_mount["bucket"])
    found = Inventory(manifest, prefix=s3_mount["prefix"])
    assert storage.node("photos:d").plan_copy("to:", listing=found).apply().copied == 1
