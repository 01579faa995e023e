"""What obstore says of an object, in the library's words."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from genro_storage.backends.object_stores.engine import Facts
from genro_storage.backends.object_stores.kept import md5_digest, md5_text
from genro_storage.backends.s3.fast_facts import info_of, is_md5_in_base64

_WHEN = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
_MD5 = hashlib.md5(b"abc")
_KEPT = {
    "Content-Type": "text/plain",
    "md5chksum": base64.b64encode(_MD5.digest()).decode(),
    "md5chksum-size": "3",
}
_OF_PARTS = "d41d8cd98f00b204e9800998ecf8427e-2"
_ANOTHER = hashlib.md5(b"another").hexdigest()


def told(etag, attributes, *, believes=True, express=False):
    facts = Facts(3, f'"{etag}"', _WHEN, None, attributes)
    return info_of("p", facts, believes, lambda: express)


def test_an_upload_of_ours_is_told_without_what_we_keep():
    info = told(_MD5.hexdigest(), _KEPT)
    assert info.checksum == ("md5", _MD5.hexdigest())
    assert (info.size, info.content_type, info.metadata) == (3, "text/plain", {})
    assert info.mtime == int(_WHEN.timestamp())


@pytest.mark.parametrize("etag", [_MD5.hexdigest().upper(), _OF_PARTS, "opaque", "é"])
def test_a_checksum_is_written_in_one_way_however_the_server_writes_its_etag(etag):
    """Some have MD5s in capitals, which compare with nothing."""
    info = told(etag, _KEPT)
    assert info.etag == etag
    assert info.checksum == ("md5", _MD5.hexdigest())


@pytest.mark.parametrize(
    ("etag", "attributes", "more"),
    [
        (_MD5.hexdigest(), _KEPT, {"believes": False}),
        (_OF_PARTS, _KEPT, {"believes": False}),
        (_ANOTHER, _KEPT, {}),
        (_OF_PARTS, {**_KEPT, "md5chksum-size": "4"}, {}),
        (_MD5.hexdigest(), {"Content-Type": "text/plain"}, {}),
    ],
)
def test_what_is_kept_counts_only_where_it_is_sure(etag, attributes, more):
    assert told(etag, attributes, **more).checksum is None


def test_directory_buckets_have_etags_of_another_kind():
    assert told(_ANOTHER, _KEPT, express=True).checksum == ("md5", _MD5.hexdigest())


def test_metadata_of_others_are_told():
    info = told(_MD5.hexdigest(), {**_KEPT, "color": "blue"})
    assert info.metadata == {"color": "blue"}
    assert info.checksum == ("md5", _MD5.hexdigest())


@pytest.mark.parametrize(
    "text", ["", "x", _KEPT["md5chksum"][:-1], base64.b64encode(b"a").decode()]
)
def test_an_md5_in_base64_is_no_other_text(text):
    assert is_md5_in_base64(_MD5.hexdigest(), _KEPT["md5chksum"])
    assert not is_md5_in_base64(_MD5.hexdigest(), text)
    assert not is_md5_in_base64(text, text)


@pytest.mark.parametrize("size", [0, 1, 2046, 2047, 2048, 4094, 4096, 16384, 16385, 100_000])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_digest_is_that_of_all_of_a_content(size, kind):
    data = kind(bytes(range(256)) * 400)[:size]
    assert md5_digest(data) == hashlib.md5(data).digest()
    assert md5_text(data) == base64.b64encode(hashlib.md5(data).digest()).decode()
