"""``obstore.get`` for contents that are read as they come, by urllib3.

obstore signs the URL, so that credentials are a matter of one client, and does itself what is not
plain.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..content_ranges import content_range
from ..fsspec_info import moment
from ..remote import Opened
from .connections import Connections, InsecureError
from .failures import Failure, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .connections import Answer, Server

__all__ = ["RangedGet"]

#: The headers of an object that obstore knows by these names; a user's own begin with a prefix.
_KNOWN = {
    name.lower(): name
    for name in (
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
    )
}
#: What a server says that does not like how the request is signed; obstore signs in another way.
_REFUSED = (400, 401, 403)


class _StrangeError(Exception):
    """An answer of a server whose answers obstore shall make sense of."""


class _OddError(Exception):
    """The same of one object."""


class RangedGet:
    """``obstore.get`` of one store. Thread-safe.

    ``sign`` gives the URL of a key, which has the right to read it, and ``get`` is obstore's own.
    ``prefix`` is what the names of user metadata begin with, ``version`` the header that names a
    version, both in lower case.
    """

    def __init__(
        self,
        server: Server,
        sign: Callable[[str], str],
        get: Callable[..., Any],
        *,
        headers: Mapping[str, str],
        prefix: str,
        version: str,
    ) -> None:
        # Not before they are wanted: a context for TLS reads what this machine believes.
        self._connections: Opened[Connections] = Opened(lambda: Connections(server))
        self._sign = sign
        self._get = get
        self._headers = dict(headers)
        self._prefix = prefix
        self._version = version
        #: Whether this server was not seen to want obstore.
        self.is_fit: bool = True

    def __call__(self, store: Any, key: str, *, options: dict[str, Any] | None = None) -> Any:
        """As ``obstore.get``, with a range and ``if_match``: its answers, errors, ``RequestError``."""
        if not self.is_fit:
            return self._get(store, key, options=options)
        try:
            return self._taken(self._ask(key, options or {}), options or {})
        except _OddError:
            return self._get(store, key, options=options)
        except _StrangeError:
            self.is_fit = False
        except InsecureError:
            pass
        except RequestError as error:
            if error.failure.kind == "whole":
                self.is_fit = False  # of no use where ranges are none
            if error.failure.kind != "redirect" and error.failure.status not in _REFUSED:
                raise
        found = self._get(store, key, options=options)
        self.is_fit = False  # obstore can do it
        return found

    def _ask(self, key: str, options: dict[str, Any]) -> Answer:
        url = self._sign(key)
        host, _, target = url.partition("://")[2].partition("/")
        headers = {"Host": host, **self._headers}
        asked = options.get("range")
        if isinstance(asked, tuple):
            headers["Range"] = f"bytes={asked[0]}-{asked[1] - 1}"
        elif asked is not None:
            headers["Range"] = f"bytes={asked['offset']}-"
        if (etag := options.get("if_match")) is not None:
            headers["If-Match"] = etag
        return self._connections.get().get(f"/{target}", headers)

    def _taken(self, answer: Answer, options: dict[str, Any]) -> _Result:
        try:
            return self._result(answer, options)
        except BaseException:
            answer.close()  # not when the error is forgotten, which somebody may keep
            raise

    def _result(self, answer: Answer, options: dict[str, Any]) -> _Result:
        length, asked = answer.length, options.get("range", (0, None))
        if length is None:
            raise _StrangeError("an answer whose length is not told")
        start, stop = asked if isinstance(asked, tuple) else (asked["offset"], None)
        # There are servers that send a range with the status of a whole, and others that send the
        # whole where a range was asked for.
        if "content-range" not in answer.headers:
            if answer.status != 200:
                raise _StrangeError("an answer that is neither a whole nor a range")
            if start:
                raise RequestError(Failure("whole", None, "GET"))
            return _Result(answer, (0, length), length, self._attributes(answer), self._version)
        first, last, size = content_range(answer.headers) or (0, 0, None)
        if size is None or "range" not in options:
            raise _StrangeError("a range that is none, or that nobody has asked for")
        wanted = start, size if stop is None else min(stop, size)
        if (first, last) != wanted or length != last - first:
            raise _StrangeError("another range than the one that was asked for")
        return _Result(answer, wanted, size, self._attributes(answer), self._version)

    def _attributes(self, answer: Answer) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in answer.headers.items():
            lower = name.lower()
            if not value.isascii():
                raise _OddError("a header that is no ASCII")
            if lower.startswith(self._prefix):
                found[lower[len(self._prefix) :]] = value  # the last one, as obstore
            elif lower in _KNOWN:
                found.setdefault(_KNOWN[lower], value)
        return found


class _Result:
    """What the engine takes of obstore's ``GetResult``."""

    def __init__(
        self,
        answer: Answer,
        found: tuple[int, int],
        size: int,
        attributes: Mapping[str, str],
        version: str,
    ) -> None:
        self._answer = answer
        self.range: tuple[int, int] = found
        self.attributes: Mapping[str, str] = attributes
        headers, mtime = answer.headers, moment(answer.headers.get("last-modified"))
        self.meta: dict[str, Any] = {
            "size": size,
            "e_tag": headers.get("etag"),
            "last_modified": datetime.fromtimestamp(mtime or 0.0, UTC),
            "version": headers.get(version),
        }

    def stream(self, min_chunk_size: int) -> Iterator[bytes]:
        """The same in pieces."""
        while data := self._answer.next(min_chunk_size):
            yield data

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(self.stream(self.range[1] - self.range[0]))

    def close(self) -> None:
        """Nobody reads on."""
        self._answer.close()
