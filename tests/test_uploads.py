"""What is pure in URLs and uploads, and what mounts that sign nothing say."""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from genro_storage import (
    Checksum,
    StorageManager,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
    UploadForm,
    UploadPart,
    UploadURL,
)
from genro_storage.backends.signing import (
    checked_seconds,
    checked_type,
    content_disposition,
    ending,
    plain_metadata,
    wire_digest,
)
from genro_storage.uploads import chosen_parts

NOW = datetime(2026, 12, 1, tzinfo=UTC)


# -- values -----------------------------------------------------------------------------------


def test_values_are_frozen_travel_and_show_no_secret():
    for value in (
        UploadURL("https://h/k?sig=s3cret", "PUT", {"a": "b"}, NOW),
        UploadForm("https://h/b", {"policy": "s3cret"}, NOW),
    ):
        assert "s3cret" not in repr(value)
        assert pickle.loads(pickle.dumps(value)) == value
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.expires_at = NOW


@pytest.mark.parametrize(
    ("wanted", "size", "problem"),
    [
        (None, None, None),
        (None, 30, None),
        ([(2, '"b"'), (1, None)], 20, None),
        ([(1, "a")], None, None),
        (None, 31, "30 of 31 bytes"),
        ([], None, "no part"),
        ([(1, "a"), (1, "a")], None, "named twice"),
        ([(1, "b")], None, "part 1 is not the one"),
        ([(2, None)], None, "part 1 has not arrived"),
        ([(1, None), (4, None)], None, "parts 2, 4 have|parts 2, 3, 4 have"),
        ([(0, None)], None, "begin with 1|no part"),
        # What a browser may send.
        ([(10**12, "a")], None, "no store takes more than 50000"),
        ([1], None, "number and ETag"),
        ([(1,)], None, "number and ETag"),
        ([{"PartNumber": 1, "ETag": "a"}], None, "number and ETag"),
        ([("1", "a")], None, "number of a part is '1'"),
        ([(True, "a")], None, "number of a part is True"),
        ([(1, 5)], None, "ETag of part 1 is 5"),
        (5, None, "must be a list"),
        ("12", None, "must be a list"),
    ],
)
def test_which_parts_make_the_whole(wanted, size, problem):
    arrived = [UploadPart(number, etag, 10) for number, etag in ((1, "a"), (2, "b"), (3, "c"))]
    if problem is None:
        found = chosen_parts(arrived, wanted, size)
        assert [part.number for part in found] == list(range(1, len(wanted or arrived) + 1))
    else:
        with pytest.raises(ValueError, match=problem):
            chosen_parts(arrived, wanted, size)


def test_a_long_list_of_missing_parts_is_cut_short():
    with pytest.raises(ValueError, match=r"parts 1, 2, .* 10 … have not"):
        chosen_parts([UploadPart(40, None, 1)], None, None)


# -- headers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.pdf", 'attachment; filename="a b.pdf"'),
        ('a"b.txt', 'attachment; filename="a\\"b.txt"'),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("né.txt", "attachment; filename=\"ne.txt\"; filename*=UTF-8''n%C3%A9.txt"),
        ("日本", "attachment; filename=\"__\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
    ],
)
def test_content_disposition(name, expected):
    assert content_disposition(name) == expected


@pytest.mark.parametrize("name", ["", "a\r\nb", "a\nb", "\x7f", "\x85", "a/b", "a\\b", "\ud800"])
def test_names_that_no_header_may_hold(name):
    with pytest.raises(ValueError, match="download_name"):
        content_disposition(name)


@pytest.mark.parametrize(
    ("text", "prefix", "good"),
    [
        ("image/png", False, True),
        ("text/plain; charset=utf-8", False, True),
        ('multipart/x; boundary="a b"', False, True),
        ("image/*", False, False),
        ("image/*", True, True),
        ("*", True, True),
        ("*/*", True, False),
        ("image", True, False),
        ("image*", True, False),
        ("text/html\r\nX: y", False, False),
        ("text/html, text/plain", False, False),
    ],
)
def test_media_types(text, prefix, good):
    if good:
        assert checked_type(text, prefix=prefix) == text
    else:
        with pytest.raises(ValueError, match="content_type"):
            checked_type(text, prefix=prefix)


@pytest.mark.parametrize("seconds", [0, -1, 604_801, float("nan"), float("inf"), True, "60", None])
def test_times_that_no_signature_is_good_for(seconds):
    for longest in () if seconds == 604_801 else (None, 604_800):
        with pytest.raises(ValueError, match="expires_in"):
            checked_seconds(seconds, longest)
    with pytest.raises(ValueError, match="expires_in"):
        checked_seconds(seconds)


def test_when_signatures_end():
    assert checked_seconds(604_800) == 604_800
    assert checked_seconds(10**9, None) == 10**9
    with pytest.raises(ValueError, match="expires_in"):
        ending(10**15)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    assert ending(3600, soon) == soon
    assert ending(1, soon) < soon


def test_digests_and_metadata_that_cannot_be_sent():
    assert wire_digest(Checksum("md5", "00" * 16)) == bytes(16)
    for wrong in (Checksum("md5", "00"), Checksum("md5", "x" * 32), Checksum("blake2b", "00"), "x"):
        with pytest.raises(ValueError, match="checksum"):
            wire_digest(wrong)
    assert plain_metadata({"A-b": "c d"}) == {"a-b": "c d"}
    for wrong in ({"a b": "c"}, {"a": " b"}, {"a": "b\n"}, {"a": "ä"}, {"a": "b", "A": "c"}):
        with pytest.raises(ValueError, match="metadata"):
            plain_metadata(wrong)


# -- mounts that sign nothing -----------------------------------------------------------------


@pytest.fixture
def storage(tmp_path):
    with StorageManager() as manager:
        manager.configure([
            {"name": "m", "type": "memory"},
            {"name": "d", "type": "local", "path": tmp_path},
            {"name": "web", "type": "local", "path": tmp_path, "base_url": "https://x.org/f"},
            {"name": "locked", "path": "m:", "permissions": "readonly"},
        ])  # fmt: skip
        yield manager


@pytest.mark.parametrize("mount", ["m", "d", "web"])
def test_mounts_without_uploads_say_so(storage, mount):
    node = storage.node(f"{mount}:a.txt")
    for step in (
        node.upload_url,
        lambda: node.upload_form(max_size=1),
        node.upload_session,
        node.begin_upload,
        lambda: node.resume_upload("id").parts(),
        lambda: node.url(method="PUT"),
        lambda: node.url(method="DELETE"),
        lambda: node.url(method="HEAD"),
    ):
        with pytest.raises(StorageUnsupportedError, match=f"{mount}:a.txt"):
            step()


def test_urls_of_mounts_that_sign_nothing_stay_as_they_were(storage):
    assert storage.node("m:a").url() is None
    assert storage.node("m:a").url(download_name="b") is None
    web = storage.node("web:a b.txt")
    assert web.url() == web.public_url() == "https://x.org/f/a%20b.txt"
    with pytest.raises(StorageUnsupportedError, match="download_name"):
        web.url(download_name="b")
    with pytest.raises(StorageUnsupportedError, match="public URLs"):
        storage.node("d:a").public_url()


@pytest.mark.parametrize(
    "options",
    [
        {"content_length": -1},
        {"content_length": True},
        {"content_length": 1.5},
        {"metadata": {"a": 1}},
    ],
)
def test_arguments_are_checked_before_the_mount_is_asked(storage, options):
    with pytest.raises(StorageValueError, match="m:a"):
        storage.node("m:a").upload_url(**options)


def test_a_mount_that_only_reads_says_that_first(storage):
    for step in (storage.node("locked:a").upload_url, storage.node("locked:a").begin_upload):
        with pytest.raises(StoragePermissionError, match="readonly"):
            step()


# -- what a mount refuses before anything is signed ---------------------------------------------


@pytest.fixture
def signing():
    """Mounts that could sign, and ask nobody."""
    s3 = {"type": "s3", "bucket": "bucket", "region": "eu-west-1", "key": "AKID", "secret": "x"}
    azure = {"type": "azure", "container": "c", "account_name": "a", "account_key": "c2VjcmV0"}
    with StorageManager() as manager:
        manager.configure([{"name": "s3", **s3}, {"name": "azure", **azure}])
        yield manager


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_no_url_deletes_the_root_of_a_narrowed_mount(signing, kind):
    signing.add_mount({"name": "sub", "path": f"{kind}:dir"})
    assert "/dir/a?" in signing.node("sub:a").url(method="DELETE")
    with pytest.raises(StoragePermissionError, match="sub: the root of a mount is not deleted"):
        signing.node("sub:").url(method="DELETE")


@pytest.mark.parametrize("kind", ["s3", "azure"])
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda node: node.url(version="x"), "no version"),
        (lambda node: node.url(path="x"), "no path"),
        (lambda node: node.url(float("inf")), "expires_in is inf"),
        (lambda node: node.upload_url(metadata=5), "dict of str to str"),
        (lambda node: node.upload_url(metadata="ab"), "dict of str to str"),
        (lambda node: node.resume_upload(5), "upload_id"),
        (lambda node: node.resume_upload(b"x"), "upload_id"),
        (lambda node: node.resume_upload("x").complete(size="5"), "size"),
        # Else a client's word would count as the digest that we have kept.
        (lambda node: node.upload_url(metadata={"md5chksum": "x"}), "own use"),
        (lambda node: node.upload_url(metadata={"MTIME": "1"}), "own use"),
        (lambda node: node.begin_upload(metadata={"md5chksum": "x"}), "own use"),
    ],
)
def test_wrong_arguments_are_named_with_the_node(signing, kind, step, words):
    with pytest.raises(StorageValueError, match=f"{kind}:a.*{words}"):
        step(signing.node(f"{kind}:a"))


@pytest.mark.parametrize("checksum", [Checksum("md5", 5), Checksum(["md5"], "x"), ("md5", "x")])
def test_a_checksum_that_is_none_is_said_to_be_that(signing, checksum):
    with pytest.raises(StorageValueError, match=r"s3:a.*must be a Checksum"):
        signing.node("s3:a").upload_url(checksum=checksum)
