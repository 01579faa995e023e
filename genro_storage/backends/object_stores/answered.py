"""What the answers of obstore say of an object, beside its content."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Facts", "Unfit", "facts_of_answer", "metadata_of"]

#: What obstore calls the headers of an object that are no user metadata.
_HEADERS = frozenset(
    (
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "Storage-Class",
    )
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(Exception):  # noqa: N818 - it is no error: somebody else does it
    """obstore cannot do this, here or with this answer; the service's own SDK is to be asked."""


class Facts(NamedTuple):
    """What the headers of an answer say. ``etag`` with its quotes; ``mtime`` timezone-aware.

    ``attributes``: the well-known headers under their names, user metadata in lower case.
    """

    size: int
    etag: str
    mtime: datetime
    version: str | None
    attributes: Mapping[str, str]

    @property
    def metadata(self) -> dict[str, str]:
        """The user metadata, ours among them, as they are stored."""
        return metadata_of(self.attributes)


def metadata_of(attributes: Mapping[str, str]) -> dict[str, str]:
    """What of the attributes of an answer are user metadata."""
    return {name: value for name, value in attributes.items() if name not in _HEADERS}


#: ``Facts._make`` without a function of Python in between, for what every request makes.
_facts_of: Callable[[tuple[int, str, datetime, str | None, Mapping[str, str]]], Facts]
_facts_of = functools.partial(tuple.__new__, Facts)


def facts_of_answer(result: Any) -> Facts:
    """What the headers say; ``Unfit`` where no object store has answered."""
    meta = result.meta
    etag, mtime = meta["e_tag"], meta["last_modified"]
    if not etag or mtime == _EPOCH:
        # No answer of an object store: obstore follows redirections, to somebody's login page too.
        raise Unfit("the answer has no ETag or no date")
    return _facts_of((meta["size"], etag, mtime, meta["version"], result.attributes))
