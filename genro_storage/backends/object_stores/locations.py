"""Places that are written as one URL. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["expand_url"]


def expand_url(
    data: Any, synonyms: Mapping[str, str], apart: Callable[[str], Mapping[str, Any]]
) -> Any:
    """The keys of a mount with those that its ``url`` stands for beside it.

    Where one of them is given as well, in any of its spellings, and says another thing, that is a
    ``ValueError``; so is what ``apart`` raises. Nothing of the URL is quoted: it may be a secret.

    >>> expand_url({"url": "x://b/p"}, {}, lambda url: {"bucket": "b", "base_path": "p"})
    {'url': 'x://b/p', 'bucket': 'b', 'base_path': 'p'}
    """
    if not isinstance(data, dict) or not isinstance(data.get("url"), str):
        return data
    try:
        found = apart(data["url"])
    except ValueError as error:
        raise ValueError(f"'url': {error}") from None
    whole = dict(data)
    for name, value in found.items():
        if value in (None, ""):
            continue
        spellings = [name, *(other for other, field in synonyms.items() if field == name)]
        given = [spelling for spelling in spellings if data.get(spelling) is not None]
        for spelling in given:
            if _plain(data[spelling]) != _plain(value):
                raise ValueError(f"'url' and {spelling!r} say different things; keep one of them")
        if not given:
            whole[name] = value
    return whole


def _plain(value: Any) -> Any:
    return value.strip("/") if isinstance(value, str) else value
