"""A listing that is parsed quickly is what botocore makes of it."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiobotocore.parsers import AioRestXMLParser
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError

from genro_storage.backends.s3.likeness import NotS3Error
from genro_storage.backends.s3.parsing import parser_factory

_SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_OBJECT = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-29T05:59:37.000Z</LastModified>"
    "<ETag>&quot;{key}&quot;</ETag><Size>12</Size><StorageClass>STANDARD</StorageClass>{more}"
    "</Contents>"
)
_MORE = (
    "",
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>",
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>",
    "<Owner><ID>me</ID><DisplayName>Me</DisplayName></Owner>",
    "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>",
    "<Unknown><Key>deeper</Key></Unknown>",
)
_LISTING = (
    f"<ListBucketResult {_SPACE}><Name>b</Name><Prefix>a%2F</Prefix><IsTruncated>true</IsTruncated>"
    "<NextContinuationToken>tok</NextContinuationToken><EncodingType>url</EncodingType>"
    "<KeyCount>7</KeyCount>"
    + "".join(_OBJECT.format(key=f"k%20{number}", more=more) for number, more in enumerate(_MORE))
    + "<Contents><Key/><LastModified>Wed, 21 Oct 2015 07:28:00 GMT</LastModified></Contents>"
    "<CommonPrefixes><Prefix>a%2Fb%2F</Prefix></CommonPrefixes>"
    "<CommonPrefixes><Prefix>a%2Fc%2F</Prefix></CommonPrefixes></ListBucketResult>"
)
_VERSIONS = (
    f"<ListVersionsResult {_SPACE}><Name>b</Name><IsTruncated>false</IsTruncated>"
    "<Version><Key>k</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><Size>3</Size>"
    '<LastModified>2026-11-29T05:59:37Z</LastModified><ETag>"1"</ETag></Version>'
    "<DeleteMarker><Key>k</Key><VersionId>2</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2026-11-29T05:59:38.5Z</LastModified></DeleteMarker></ListVersionsResult>"
)


@pytest.fixture(scope="module")
def shapes():
    model = ServiceModel(create_loader().load_service_model("s3", "service-2"))
    return lambda operation: model.operation_model(operation).output_shape


def parsed(parser, body, shape, status=200):
    response = {"body": body.encode(), "headers": {}, "status_code": status, "context": {}}
    return asyncio.run(parser.parse(response, shape))


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("ListObjectsV2", _LISTING),
        ("ListObjectsV2", f"<ListBucketResult {_SPACE}/>"),
        ("ListObjectsV2", _LISTING.replace(_SPACE, "")),
        ("ListObjectVersions", _VERSIONS),
        ("ListMultipartUploads", "<A><Upload><Key>k</Key><UploadId>1</UploadId></Upload></A>"),
    ],
)
def test_the_same_as_botocore(shapes, operation, body):
    mine = parser_factory().create_parser("rest-xml")
    assert parsed(mine, body, shapes(operation)) == parsed(
        AioRestXMLParser(), body, shapes(operation)
    )


def test_errors_and_odd_answers_too(shapes):
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("ListObjectsV2")
    error = "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>"
    assert parsed(mine, error, shape, 404) == parsed(AioRestXMLParser(), error, shape, 404)
    body = "<ListBucketResult><Contents><Size>x</Size></Contents></ListBucketResult>"
    with pytest.raises(Exception) as expected:
        parsed(AioRestXMLParser(), body, shape)
    with pytest.raises(type(expected.value)):
        parsed(mine, body, shape)


@pytest.mark.parametrize("body", ["<html>Welcome", "<html/>", "<!doctype html>", "", "<Other/>"])
def test_a_page_is_no_empty_listing(shapes, body):
    with pytest.raises(NotS3Error):
        parsed(parser_factory().create_parser("rest-xml"), body, shapes("ListObjectsV2"))


def test_a_listing_that_breaks_off_is_no_other_server(shapes):
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("ListObjectsV2")
    with pytest.raises(ResponseParserError):
        parsed(mine, "<ListBucketResult><Contents>", shape)


def test_a_key_takes_a_few_microseconds(shapes):
    keys = "".join(_OBJECT.format(key=f"k{number}", more="") for number in range(1000))
    body = f"<ListBucketResult {_SPACE}><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
    took = {}
    for name, parser in (
        ("mine", parser_factory().create_parser("rest-xml")),
        ("theirs", AioRestXMLParser()),
    ):
        best = []
        for _ in range(3):
            started = time.process_time()
            assert len(parsed(parser, body, shapes("ListObjectsV2"))["Contents"]) == 1000
            best.append(time.process_time() - started)
        took[name] = min(best)
    assert took["mine"] < took["theirs"] / 3, took


@pytest.mark.parametrize("body", ["", "<rss/>", "<html/>"])
def test_a_copy_is_made_where_the_server_says_so(shapes, body):
    """rclone says nothing more of an object that is copied onto itself."""
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("CopyObject")
    assert "CopyObjectResult" in parsed(mine, "<CopyObjectResult/>", shape)
    with pytest.raises(NotS3Error):
        parsed(mine, body, shape)
