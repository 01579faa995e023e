"""Listings in a tenth of the time: botocore looks up the description of each field of each key.

Nor are there elements of its document: eight thousand of them for each thousand keys, made and
forgotten, have the garbage collector go through all of the program's memory again and again. And what is no answer of S3 is told from one, which botocore takes any document for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiobotocore.parsers import PROTOCOL_PARSERS, AioResponseParserFactory, AioRestXMLParser
from botocore.parsers import ResponseParserError

from .contents import FIELDS, plain_contents
from .likeness import NotS3Error, is_page, media_type, require_root

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["install", "parser_factory", "prepare"]

#: Where an answer's own status is kept.
_SAID = "status_code_of_server"
#: Where the objects of a listing are that were taken out of its document.
_CONTENTS = "contents_of_listing"
#: The elements of listings, by botocore's names of their kinds.
_ENTRIES = {"Object", "ObjectVersion", "DeleteMarkerEntry", "CommonPrefix"}


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
                    found[name] = FIELDS[name](each.text)
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
