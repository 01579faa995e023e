"""What the services may answer, and no emulator does; the same for all of them."""

from __future__ import annotations

import contextlib
import json
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from genro_storage import StorageManager
from genro_storage.exceptions import StorageIOError, StorageNotEmptyError
from tests.services.answers import Answer, AnswerServer

pytestmark = pytest.mark.slow

_WHEN = "Fri, 20 Nov 2026 16:00:00 GMT"
_XML = (("Content-Type", "application/xml"),)


class _S3:
    mount: ClassVar = {"type": "s3", "bucket": "bucket", "anon": True}
    asks, more = "list-type", "continuation-token"

    @staticmethod
    def page(keys, token):
        more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        listed = "".join(
            f"<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag></Contents>" for key in keys
        )
        truncated = str(bool(token)).lower()
        text = (
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{listed}"
            "</ListBucketResult>"
        )
        return Answer(200, text.encode(), _XML)


class _Gcs:
    mount: ClassVar = {"type": "gcs", "bucket": "bucket", "anon": True}
    asks, more = "fields", "pageToken"

    @staticmethod
    def page(keys, token):
        items = [{"name": key, "size": "1"} for key in keys]
        return Answer(200, json.dumps({"items": items, "nextPageToken": token}).encode())


class _Azure:
    mount: ClassVar = {"type": "azure", "container": "bucket", "account_name": "a", "anon": True}
    asks, more = "comp", "marker"

    @staticmethod
    def page(keys, token):
        listed = "".join(
            f"<Blob><Name>{key}</Name><Properties><Content-Length>1</Content-Length><Etag>e</Etag>"
            f"<Last-Modified>{_WHEN}</Last-Modified><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for key in keys
        )
        text = f"<EnumerationResults><Blobs>{listed}</Blobs><NextMarker>{token or ''}</NextMarker></EnumerationResults>"
        return Answer(200, text.encode(), _XML)


@pytest.fixture(params=[_S3, _Gcs, _Azure], ids=["s3", "gcs", "azure"])
def service(request):
    return request.param


@contextlib.contextmanager
def _listing(service, listing):
    """A mount of a bucket that has no object of any name and lists itself as it is told."""

    def answer(request):
        url = urlsplit(request.path)
        asked = parse_qs(url.query)
        if service.asks not in asked or (service is _Gcs and not url.path.endswith("/o")):
            return Answer(404, b"{}" if service is _Gcs else b"", _XML)
        return service.page(*listing(asked.get(service.more, [None])[0]))

    with AnswerServer(answer) as server, StorageManager() as manager:
        manager.configure(
            [{"name": "g", "retries": 0, **service.mount, "endpoint_url": server.url}]
        )
        yield manager


def test_a_listing_may_begin_with_an_empty_page(service):
    """As at the ends of their partitions, or where much has been deleted."""
    with _listing(service, lambda token: (["d/x"], None) if token else ([], "t")) as manager:
        directory = manager.node("g:d")
        assert directory.exists and directory.isdir
        assert [str(node) for node in directory.iterdir()] == ["g:d/x"]
        assert [str(node) for node in directory.rglob("*")] == ["g:d/x"]
        with pytest.raises(StorageNotEmptyError):
            directory.rmdir()
    with _listing(service, lambda token: ([], None if token else "t")) as manager:
        assert not manager.node("g:d").exists


@pytest.mark.parametrize("keys", [[], ["d/x"]])
def test_a_listing_that_does_not_get_on_is_an_error(service, keys):
    left = iter(range(100, 0, -1))
    with _listing(service, lambda _: (keys, "t" if next(left, 0) else None)) as manager:
        directory = manager.node("g:d")
        for step in (directory.iterdir, lambda: directory.rglob("*")):
            with pytest.raises(StorageIOError, match=r"g:d.*again and again"):
                list(step())


def test_a_server_of_an_older_protocol_is_told_from_one_without_an_end():
    text = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<Contents><Key>a</Key></Contents></ListBucketResult>"
    )
    with AnswerServer(lambda _: Answer(200, text, _XML)) as server, StorageManager() as manager:
        manager.configure([{"name": "g", **_S3.mount, "endpoint_url": server.url}])
        with pytest.raises(StorageIOError, match="version 2 of listings"):
            manager.node("g:").children()
