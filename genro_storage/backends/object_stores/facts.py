"""What an upload says beside the content: what was asked for, over the mount's defaults. Pure."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from ...attributes import is_header
from ...info import Attributes
from .kept import MTIME, refuse_internal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["NO_FACTS", "Facts", "facts_of", "merged_metadata"]

_log = logging.getLogger("genro_storage")

_HEADERS = (
    "content_type",
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
)


class Facts(NamedTuple):
    """``attributes`` as the service has them, metadata included; ``match``: the ETag to replace.

    ``keep_md5``: the MD5 of the content goes among the metadata.
    """

    attributes: Attributes = Attributes()
    match: str | None = None
    keep_md5: bool = False


NO_FACTS = Facts()


def facts_of(
    given: Attributes | None,
    defaults: Attributes,
    encode: Callable[[Mapping[str, str]], dict[str, str]],
    mtime_text: Callable[[float], str] | None,
) -> Attributes:
    """What to keep, its metadata by ``encode`` as the service holds them.

    ``encode`` raises ``ValueError`` for what cannot be held. That passes for what somebody asked
    for; of what a copy only offers, such metadata are left out. ``mtime_text`` None: no times.
    """
    asked = given or Attributes()
    wanted = asked
    if asked.offered:
        odd = [name for name in _HEADERS if not is_header(getattr(asked, name) or "-")]
        dropped: dict[str, Any] = dict.fromkeys(odd)
        wanted = asked._replace(**dropped)
    own = wanted.metadata or {}
    if asked.offered:
        own = _encodable(own, encode)
    refuse_internal(own)
    metadata = {**encode(defaults.metadata or {}), **encode(own)}
    if asked.mtime is not None and mtime_text is not None:
        try:
            metadata[MTIME] = mtime_text(asked.mtime)
        except (ValueError, OverflowError, OSError):
            if not asked.offered:
                raise ValueError("mtime is a time that no calendar has") from None
    return wanted._replace(
        metadata=metadata,
        cache_control=wanted.cache_control or defaults.cache_control,
        storage_class=wanted.storage_class or defaults.storage_class,
        encryption=wanted.encryption or defaults.encryption,
        tags=defaults.tags if wanted.tags is None else wanted.tags,
    )


def _encodable(
    metadata: Mapping[str, str], encode: Callable[[Mapping[str, str]], dict[str, str]]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in metadata.items():
        try:
            refuse_internal({name: value})
            encode({**found, name: value})
        except ValueError as error:
            _log.warning("a copy leaves out metadata of its source: %s", error)
        else:
            found[name] = value
    return found


def merged_metadata(
    now: Mapping[str, str], wanted: Mapping[str, str], hidden: Mapping[str, str], merge: bool
) -> dict[str, str]:
    """What a file's metadata become: ``now`` without ``hidden``, ``wanted`` as encoded.

    Names that differ only in case are one.

    >>> merged_metadata({"A": "1", "b": "2"}, {"a": "3"}, {"mtime": "7"}, True)
    {'b': '2', 'a': '3', 'mtime': '7'}
    """
    replaced = {name.lower() for name in wanted}
    kept = {
        name: value
        for name, value in now.items()
        if merge and name not in hidden and name.lower() not in replaced
    }
    return {**kept, **wanted, **hidden}
