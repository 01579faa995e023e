"""Listings in a tenth of the time: botocore looks up the description of each field of each key."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiobotocore.parsers import PROTOCOL_PARSERS, AioResponseParserFactory, AioRestXMLParser

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

__all__ = ["parser_factory"]


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


class _Parser(AioRestXMLParser):  # type: ignore[misc]
    """aiobotocore's, except for the entries of listings that hold nothing unusual."""

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


def parser_factory() -> Any:
    """What a session makes its parsers by, with that of S3 in the place of aiobotocore's."""
    return _Factory()
