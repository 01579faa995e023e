"""The values of uploads that clients make themselves, straight to the store: URLs, forms, parts.

Whoever has such a URL or form can use it: it is a secret as long as it works, and ``repr`` leaves
it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from .info import Checksum

__all__ = [
    "MOST_PARTS",
    "FormTerms",
    "UploadForm",
    "UploadPart",
    "UploadTerms",
    "UploadURL",
    "chosen_parts",
    "is_count",
]

#: What no store goes beyond, so that a number that a client sends costs no memory.
MOST_PARTS = 50_000


@dataclass(frozen=True, slots=True)
class UploadURL:
    """One request that stores content: ``method`` and ``headers`` as here, the content as body.

    ``expires_at`` (aware, UTC) is when the store begins to refuse it.

    >>> from datetime import UTC, datetime
    >>> UploadURL("https://s3.example.org/b/k?sig", "PUT", {}, datetime(2026, 12, 1, tzinfo=UTC))
    UploadURL(method='PUT', headers={}, expires_at=datetime.datetime(2026, 12, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A POST of ``multipart/form-data``: first all ``fields``, then the content as ``file``.

    ``expires_at`` (aware, UTC) is when the store begins to refuse it.

    >>> from datetime import UTC, datetime
    >>> UploadForm("https://s3.example.org/b", {"key": "k"}, datetime(2026, 12, 1, tzinfo=UTC))
    UploadForm(url='https://s3.example.org/b', expires_at=datetime.datetime(2026, 12, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part that has arrived. ``size`` in bytes; ``etag`` None where the store gives parts none."""

    number: int
    etag: str | None
    size: int
    checksum: Checksum | None = None


def is_count(value: object) -> bool:
    """Whether it is a number of bytes or parts."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class UploadTerms(NamedTuple):
    """What an upload must be: what a backend binds into a URL. ``expires_in`` in seconds."""

    content_type: str
    content_length: int | None
    checksum: Checksum | None
    expires_in: int
    if_absent: bool
    metadata: Mapping[str, str]


class FormTerms(NamedTuple):
    """What a form lets through; ``content_type`` may end with ``*``, sizes are in bytes."""

    content_type: str
    min_size: int
    max_size: int
    expires_in: int
    metadata: Mapping[str, str]


def chosen_parts(
    arrived: Sequence[UploadPart],
    wanted: Iterable[UploadPart | tuple[int, str | None]] | None,
    size: int | None,
) -> list[UploadPart]:
    """Those of the parts that have arrived which make the whole; all of them without ``wanted``.

    ``ValueError`` where one is missing, or is another one than the client has sent.

    >>> parts = [UploadPart(1, "a", 5), UploadPart(3, "c", 5)]
    >>> chosen_parts(parts, None, None)
    Traceback (most recent call last):
      ...
    ValueError: the upload is not whole: part 2 has not arrived
    """
    known = {part.number: part for part in arrived}
    etags: dict[int, str | None] = {}
    for number, etag in _named(known.values() if wanted is None else wanted):
        if number in etags:
            raise ValueError(f"part {number} is named twice")
        etags[number] = etag
    if not etags:
        raise ValueError("the upload is not whole: no part has arrived")
    if max(etags) > MOST_PARTS:
        raise ValueError(f"part {max(etags)} is named; no store takes more than {MOST_PARTS}")
    missing = sorted(set(range(1, max(etags) + 1)) - (etags.keys() & known.keys()))
    if missing:
        some = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        text = f"part {some} has" if len(missing) == 1 else f"parts {some} have"
        raise ValueError(f"the upload is not whole: {text} not arrived")
    if min(etags) < 1:
        raise ValueError("the numbers of parts begin with 1")
    chosen = [known[number] for number in sorted(etags)]
    for part in chosen:
        etag = etags[part.number]
        if etag is not None and part.etag is not None and etag.strip('"') != part.etag:
            raise ValueError(
                f"part {part.number} is not the one that was sent (its ETag is another): "
                "send it again"
            )
    total = sum(part.size for part in chosen)
    if size is not None and total != size:
        raise ValueError(f"the upload is not whole: {total} of {size} bytes have arrived")
    return chosen


def _named(wanted: object) -> Iterator[tuple[int, str | None]]:
    """Number and ETag of each; ``ValueError`` for what clients send that is neither."""
    if not isinstance(wanted, Iterable) or isinstance(wanted, str | bytes | Mapping):
        raise ValueError("parts must be a list")  # noqa: TRY004 - as every wrong argument
    for each in wanted:
        pair = (each.number, each.etag) if isinstance(each, UploadPart) else each
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ValueError(f"parts has {each!r}; each must be an UploadPart, or number and ETag")
        number, etag = pair
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(  # noqa: TRY004 - as every wrong argument
                f"the number of a part is {number!r}; it must be an int"
            )
        if etag is not None and not isinstance(etag, str):
            raise ValueError(f"the ETag of part {number} is {etag!r}; it must be a str")
        yield number, etag
