"""Listings in a tenth of the time: botocore looks up the description of each field of each key.

Nor are there elements of its document: eight thousand of them for each thousand keys, made and
forgotten, have the garbage collector go through all of the program's memory again and again. And what is no answer of S3 is told from one, which botocore takes any document for.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiobotocore.parsers import PROTOCOL_PARSERS, AioResponseParserFactory, AioRestXMLParser
from botocore.parsers import ResponseParserError

from .likeness import NotS3Error, is_page, media_type, require_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

__all__ = ["install", "parser_factory", "plain_contents", "prepare"]

#: Where an answer's own status is kept.
_SAID = "status_code_of_server"
#: Where the objects of a listing are that were taken out of its document.
_CONTENTS = "contents_of_listing"


def _text(text: str | None) -> str:
    return text or ""


def _number(text: str | None) -> int:
    return int(text or "")


def _moment(text: str | None) -> datetime:
    found = datetime.fromisoformat(text or "")
    if found.tzinfo is None:
        raise ValueError("a time without its zone")
    return found


def _truth(text: str | None) -> bool:
    return text == "true"


_FIELDS: dict[str, Callable[[str | None], Any]] = {
    **dict.fromkeys(("Key", "ETag", "StorageClass", "ChecksumType", "VersionId", "Prefix"), _text),
    "Size": _number,
    "LastModified": _moment,
    "IsLatest": _truth,
}
#: The elements of listings, by botocore's names of their kinds.
_ENTRIES = {"Object", "ObjectVersion", "DeleteMarkerEntry", "CommonPrefix"}


#: An object of a listing that has only these fields, each a text.
_PLAIN = re.compile(
    r"<Contents>((?:\s*<(Key|LastModified|ETag|Size|StorageClass|ChecksumType|ChecksumAlgorithm)>"
    r"[^<]*</\2>)+)\s*</Contents>"
)
#: What may stand before, between and after them in their parent: other fields, and prefixes.
_OTHERS = (
    r"(?:\s*(?:<\w+/>|<(?P<n{0}>(?!Contents)\w+)>[^<]*</(?P=n{0})>"
    r"|<CommonPrefixes>(?:\s*<Prefix>[^<]*</Prefix>)+\s*</CommonPrefixes>))*\s*"
)
_SIMPLE = re.compile(_OTHERS.format(1))
_FIRST = re.compile(
    r"\s*(?:<\?xml[^<>]*\?>)?\s*<ListBucketResult(?:\s[^<>]*)?(?<!/)>" + _OTHERS.format(1)
)
_LAST = re.compile(_OTHERS.format(1) + r"</ListBucketResult\s*>\s*")
_FIELD = re.compile(r"<(\w+)>([^<]*)<")
#: The characters that a document may name (XML 1.0, 4.6 and 4.1).
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_NAME = re.compile(r"&(?:(\w+)|#(?:x([0-9a-fA-F]+)|([0-9]+)));")


#: Comments, raw characters, declarations of names; ends of lines that are to be changed; and what
#: no document may hold (XML 1.0, 2.2 and 2.4).
_ODD = re.compile(rb"<!|\]\]>|[\x00-\x08\x0b-\x1f]|\xef\xbf[\xbe\xbf]")
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _character(found: re.Match[str]) -> str:
    name, hexadecimal, decimal = found.groups()
    if name is not None:
        return _NAMED[name]
    character = chr(int(hexadecimal, 16) if hexadecimal is not None else int(decimal))
    if _NO_CHARACTER.match(character):
        raise ValueError("no character of a document")
    return character


def plain_contents(body: bytes) -> tuple[bytes, list[dict[str, Any]]] | None:
    """The objects of a listing, and what is left of its document without them.

    None where it holds anything but such as servers write: then it is for a parser of XML.

    >>> plain_contents(
    ...     b"<ListBucketResult><Contents><Key>a&amp;b</Key><Size>3</Size></Contents><KeyCount/>"
    ...     b"</ListBucketResult>"
    ... )
    (b'<ListBucketResult><KeyCount/></ListBucketResult>', [{'Key': 'a&b', 'Size': 3}])
    """
    if _ODD.search(body):
        return None
    head = body[:200].lower()
    if b"encoding" in head and b"utf-8" not in head:
        return None
    try:
        text = body.decode("utf-8")
        pieces = _PLAIN.split(text)
        first, *between, last = pieces[::3] if len(pieces) > 1 else ("", "")
        if not (_FIRST.fullmatch(first) and _LAST.fullmatch(last)):
            return None
        if not all(not each or each.isspace() or _SIMPLE.fullmatch(each) for each in between):
            return None
        rest = "".join(pieces[::3])
        return rest.encode(), [_plain(fields) for fields in pieces[1::3]]
    except (ValueError, KeyError, OverflowError):
        return None


def _plain(fields: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in _FIELD.findall(fields):
        if "&" in text:
            if _NAME.sub("", text).count("&"):
                raise ValueError("an ampersand that names nothing")
            text = _NAME.sub(_character, text)  # noqa: PLW2901
        if name == "ChecksumAlgorithm":
            found.setdefault(name, []).append(text)
        else:
            found[name] = _FIELDS[name](text)
    return found


class _Parser(AioRestXMLParser):  # type: ignore[misc]
    """aiobotocore's, except for the entries of listings that hold nothing unusual.

    One parser reads one answer.
    """

    def _do_parse(self, response: Any, shape: Any) -> Any:
        self._answer, self._shape = response, "" if shape is None else shape.name
        found = super()._do_parse(response, shape)
        if contents := response.get(_CONTENTS):
            found["Contents"] = contents
        return found

    def _do_error_parse(self, response: Any, shape: Any) -> Any:
        if response.get(_SAID, 500) < 300:
            # botocore has made a failure of it, as of every document that cannot be read.
            said, body = media_type(response["headers"]), bytes(response["body"])
            if is_page(body) or (said and "xml" not in said and not body.lstrip().startswith(b"<")):
                raise NotS3Error(said or "a page")
        parsed = super()._do_error_parse(response, shape)
        error = parsed.setdefault("Error", {})
        if not error.get("Code"):  # it is none of S3's; then its status says something at least
            error |= self._parse_error_from_http_status(response)["Error"]
        if is_page(response["body"]):
            error["Page"] = media_type(response["headers"]) or "text/html"
        return parsed

    def _initial_body_parse(self, xml_string: Any) -> Any:
        answer = getattr(self, "_answer", None)
        if answer is None:
            return super()._initial_body_parse(xml_string)
        said = media_type(answer["headers"])
        try:
            found = super()._initial_body_parse(xml_string)
        except ResponseParserError as error:
            if is_page(xml_string) or (said and "xml" not in said):
                raise NotS3Error(said or "a page") from error
            raise  # it may have broken off
        require_root(self._shape, found.tag, answer["headers"])
        return found

    def _handle_list(self, shape: Any, node: Any) -> Any:
        if shape.member.name not in _ENTRIES:
            return super()._handle_list(shape, node)
        entries = node if isinstance(node, list) else [node]
        return [self._entry(shape.member, entry) for entry in entries]

    def _entry(self, shape: Any, entry: Element) -> Any:
        found: dict[str, Any] = {}
        try:
            for each in entry:
                name = each.tag.rpartition("}")[2]
                if name == "ChecksumAlgorithm":
                    found.setdefault(name, []).append(each.text or "")
                else:
                    found[name] = _FIELDS[name](each.text)
        except (KeyError, ValueError):
            return self._parse_shape(shape, entry)
        return found


class _Factory(AioResponseParserFactory):  # type: ignore[misc]
    """What a session makes its parsers by."""

    def create_parser(self, protocol_name: str) -> Any:
        """A parser of this protocol; only that of S3 is another than usual."""
        kind = PROTOCOL_PARSERS[protocol_name]
        return (_Parser if kind is AioRestXMLParser else kind)(**self._defaults)


def prepare(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    """Note what the others change, and take the objects out of a listing before any parses it.

    botocore parses each answer twice, the first time to see whether it is an error after all.
    """
    response_dict[_SAID] = response_dict["status_code"]
    body = response_dict["body"]
    if operation_model.name == "ListObjectsV2" and isinstance(body, bytes):
        plain = plain_contents(body)
        if plain is not None:
            response_dict["body"], response_dict[_CONTENTS] = plain


def install(session: Any) -> None:
    """Have the clients of a session read answers so."""
    session.register_component("response_parser_factory", parser_factory())
    # So named, it comes before those of botocore, one of which makes another status of it.
    session.register("before-parse.*.*", prepare)


def parser_factory() -> Any:
    """What a session makes its parsers by, with that of S3 in the place of aiobotocore's."""
    return _Factory()
