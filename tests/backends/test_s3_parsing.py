"""A listing that is parsed quickly is what botocore makes of it."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from aiobotocore.parsers import AioRestXMLParser
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from genro_storage.backends.s3.contents import plain_contents
from genro_storage.backends.s3.likeness import NotS3Error
from genro_storage.backends.s3.parsing import parser_factory, prepare
from tests.support.effort import assert_no_square

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
def model():
    return ServiceModel(create_loader().load_service_model("s3", "service-2"))


@pytest.fixture(scope="module")
def shapes(model):
    return lambda operation: model.operation_model(operation).output_shape


def parsed(parser, body, shape, status=200):
    response = {
        "body": body if isinstance(body, bytes) else body.encode(),
        "headers": {},
        "status_code": status,
        "context": {},
    }
    if type(parser) is not AioRestXMLParser:
        operation = SimpleNamespace(name=(shape.name if shape else "").removesuffix("Output"))
        prepare(response, operation)
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


_PLAIN = (
    f"<?xml version='1.0' encoding='UTF-8'?>\n<ListBucketResult {_SPACE}>\n<Name>b</Name>\n  "
    + "\n".join(
        _OBJECT.format(key=key, more=_MORE[2]) for key in ("a", "b%2Fc+d", "\u00e4\U0001f600")
    )
    + "<Contents>\n <Key>&lt;&#252;&#xFC;&amp;amp;</Key>\n <Size> 7 </Size><ETag></ETag></Contents>"
    "<IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
    "</ListBucketResult>"
)


def test_plain_objects_are_taken_out_before_the_document_is_parsed(shapes):
    rest, found = plain_contents(_PLAIN.encode())
    assert len(found) == 4
    assert b"<Contents>" not in rest
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("ListObjectsV2")
    assert parsed(mine, _PLAIN, shape) == parsed(AioRestXMLParser(), _PLAIN, shape)


_FIELDS = {
    "Key": st.sampled_from(
        ["k", "b%2Fc+d", "&lt;&#252;&#xFC;&amp;quot;", "\u00e4\U0001f600", "", " "]
    ),
    "LastModified": st.sampled_from(["2026-11-29T05:59:37.000Z", "2026-11-29T05:59:37+01:00"]),
    "ETag": st.sampled_from(
        ["&quot;0123&quot;", '"0123"', "&#34;0123&#x22;", "", "&quot;&amp;&quot;"]
    ),
    "Size": st.sampled_from(["0", "12", " 7 "]),
    "StorageClass": st.just("STANDARD"),
    "ChecksumAlgorithm": st.just("CRC32"),
}
_SPACES = st.sampled_from(["", "\n  "])


@st.composite
def _listings(draw):
    """Objects with the same fields, the last of which may have others, or in another order."""
    names = draw(st.permutations(sorted(_FIELDS)))[: draw(st.integers(1, len(_FIELDS)))]
    last = draw(
        st.one_of(st.just(names), st.permutations(names), st.just([*names, "ChecksumAlgorithm"]))
    )
    space, objects = draw(_SPACES), []
    for each in [names] * draw(st.integers(0, 3)) + [last]:
        fields = (f"{space}<{name}>{draw(_FIELDS[name])}</{name}>" for name in each)
        objects.append(f"<Contents>{''.join(fields)}{space}</Contents>")
    inside = space.join(objects)
    return f"<ListBucketResult {_SPACE}><Name>b</Name>{inside}<KeyCount>1</KeyCount></ListBucketResult>"


@given(_listings())
@settings(deadline=None)
def test_objects_are_the_same_whether_they_are_alike_or_not(shapes, body):
    assert plain_contents(body.encode()) is not None
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("ListObjectsV2")
    assert parsed(mine, body, shape) == parsed(AioRestXMLParser(), body, shape)


_GHOST = "<Contents><Key>ghost</Key></Contents>"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<Name>b<", f"<?x {_GHOST}?><Name>b<"),
        ("<Prefix>p/<", f"{_GHOST}<Prefix>p/<"),
        ("<Name>b<", f"<Name>b{_GHOST}<"),
        ("<Name>b<", f'<x:Other xmlns:x="o">{_GHOST}</x:Other><Name>b<'),
        ("<Name>b<", f"<Other>{_GHOST}</Other><Name>b<"),
        ("</ListBucketResult>", f"</ListBucketResult>{_GHOST}"),
        ("<ListBucketResult ", f"{_GHOST}<ListBucketResult "),
        ("<IsTruncated>", f"<IsTruncated{_GHOST}>"),
        ("<IsTruncated>", f"</ListBucketResult><ListBucketResult>{_GHOST}<IsTruncated>"),
        (f"<ListBucketResult {_SPACE}>", f"<ListBucketResult {_SPACE}/>"),
        ("<Name>b<", f"<Name x='>{_GHOST}'>b<"),
    ],
)
def test_nothing_is_an_object_that_does_not_stand_where_objects_stand(shapes, old, new):
    body = _PLAIN.replace(old, new, 1)
    assert body != _PLAIN
    found = []
    for parser in (parser_factory().create_parser("rest-xml"), AioRestXMLParser()):
        try:
            found.append(parsed(parser, body, shapes("ListObjectsV2")))
        except (ResponseParserError, NotS3Error) as error:
            found.append(type(error))
    if found[0] is NotS3Error:  # theirs takes any document
        assert "ListBucketResult" not in body[:60]
    else:
        assert found[0] == found[1]


@pytest.mark.parametrize(
    "odd",
    [
        _PLAIN.replace("<Name>b", "<!-- <Contents> --><Name>b"),
        _PLAIN.replace("<Key>a<", "<Key><![CDATA[a]]><"),
        _PLAIN.replace("<Key>a<", "<Key>a\r\n<"),
        _PLAIN.replace("<Key>a<", '<Key kind="x">a<'),
        _PLAIN.replace("<Contents><Key>a", "<Contents ><Key>a"),
        _PLAIN.replace("<Size>12<", "<Owner><ID>1</ID></Owner><Size>12<", 1),
        _PLAIN.replace("2026-11-29T05:59:37.000Z", "Wed, 21 Oct 2015 07:28:00 GMT", 1),
        _PLAIN.replace("UTF-8", "ISO-8859-1").replace("\u00e4\U0001f600", "x").encode("latin-1"),
    ],
)
def test_whatever_else_a_document_may_hold_is_for_the_parser(shapes, odd):
    body = odd if isinstance(odd, bytes) else odd.encode()
    assert plain_contents(body) is None
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("ListObjectsV2")
    assert parsed(mine, body, shape) == parsed(AioRestXMLParser(), body, shape)


@pytest.mark.parametrize(
    "broken",
    [
        _PLAIN[: len(_PLAIN) // 2],
        _PLAIN.removesuffix("</ListBucketResult>"),
        _PLAIN.replace("&lt;", "& "),
        _PLAIN.replace("&lt;", "&nbsp;"),
        _PLAIN.replace("&#252;", "&#0;"),
        _PLAIN.replace("&#252;", "\x01"),
        _PLAIN.replace("&#252;", "]]>"),
        _PLAIN.replace("&#252;", "\uffff"),
    ],
)
def test_a_document_that_is_none_is_refused_as_ever(shapes, broken):
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("ListObjectsV2")
    for parser in (mine, AioRestXMLParser()):
        with pytest.raises(ResponseParserError):
            parsed(parser, broken, shape)


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


@pytest.mark.parametrize(
    "body",
    ["{blanks}{object}", "<ListBucketResult>{blanks}x{object}", "{blanks}<a>{blanks}{object}"],
)
def test_blanks_are_no_work(body):
    def work(size):
        text = body.format(blanks=" " * size, object=f"{_GHOST}</ListBucketResult>")
        assert plain_contents(text.encode()) is None

    assert_no_square(work, 4000)


@pytest.mark.parametrize("body", ["", "<rss/>", "<html/>"])
def test_a_copy_is_made_where_the_server_says_so(shapes, body):
    """rclone says nothing more of an object that is copied onto itself."""
    mine, shape = parser_factory().create_parser("rest-xml"), shapes("CopyObject")
    assert "CopyObjectResult" in parsed(mine, "<CopyObjectResult/>", shape)
    with pytest.raises(NotS3Error):
        parsed(mine, body, shape)
