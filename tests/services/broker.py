"""A broker of temporary credentials, and the check at the door that knows which are good.

The service that it speaks for (``credentials_url``) answers a POST with the form ``secret=…`` by
the JSON object ``AccessKeyId, SecretAccessKey, SessionToken, Expiration, S3Folder``.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from .answers import Answer, AnswerServer
from .proxy import Refusal

if TYPE_CHECKING:
    from typing import Self

    from .answers import Request
    from .proxy import Asked

__all__ = ["Broker", "Grant"]

#: To which times of signatures are rounded, downwards.
_SECOND = 1.0
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


class Grant(NamedTuple):
    """Credentials that were given, and until when (seconds since the epoch) they are good."""

    key: str
    secret: str
    token: str
    expires: float


class Broker:
    """Gives fresh credentials, good for ``lifetime`` seconds, to whoever knows ``secret``.

    ``calls`` are the times (seconds since the epoch) at which it was asked. ``fail_next(n)`` makes
    it answer 500 that often. ``gate`` is for a ``Proxy``; ``refused`` are the codes of what it sent
    away, but for ``late``: what was signed in time, and came too late on a machine that is busy.
    """

    def __init__(self, *, lifetime: float = 5.0, folder: str | None = None) -> None:
        self.lifetime = lifetime
        self.folder = folder
        self.secret = f"broker-{secrets.token_hex(8)}"
        self.calls: list[float] = []
        self.grants: dict[str, Grant] = {}
        self.refused: list[str] = []
        self.late: list[str] = []
        self._failures = 0
        self._lock = threading.Lock()
        self._server = AnswerServer(self._answer)
        self.url = f"{self._server.url}/credentials"

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.__exit__(*problem)

    def fail_next(self, count: int) -> None:
        """Answer 500 to the next ``count`` calls."""
        with self._lock:
            self._failures = count

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.calls.append(time.time())
            if self._failures:
                self._failures -= 1
                return Answer(500, b"the broker has a bad moment")
            if request.method != "POST":
                return Answer(405, b"POST only")
            if parse_qs(request.body.decode()).get("secret") != [self.secret]:
                return Answer(403, b"wrong secret")
            grant = Grant(
                f"ASIA{secrets.token_hex(8).upper()}",
                secrets.token_hex(20),
                secrets.token_hex(30),
                time.time() + self.lifetime,
            )
            self.grants[grant.key] = grant
        expires = datetime.fromtimestamp(grant.expires, UTC)
        document = {
            "AccessKeyId": grant.key,
            "SecretAccessKey": grant.secret,
            "SessionToken": grant.token,
            "Expiration": expires.isoformat().replace("+00:00", "Z"),
        }
        if self.folder is not None:
            document["S3Folder"] = self.folder
        return Answer(200, json.dumps(document).encode(), (("Content-Type", "application/json"),))

    def gate(self, asked: Asked) -> Refusal | None:
        """Whether the request comes with credentials that are good now, in a header or the URL."""
        signed = asked.headers.get("authorization", "")
        found = _CREDENTIAL.search(signed)
        key = found[1] if found else asked.query.get("X-Amz-Credential", "").partition("/")[0]
        token = asked.headers.get("x-amz-security-token") or asked.query.get("X-Amz-Security-Token")
        grant = self.grants.get(key)
        refusal = None
        if grant is None:
            refusal = Refusal(403, "InvalidAccessKeyId", "no such key")
        elif token != grant.token:
            refusal = Refusal(403, "InvalidToken", "the token is another's")
        elif time.time() >= grant.expires:
            refusal = Refusal(403, "ExpiredToken", "the token has expired")
        if refusal is not None:
            was_good = grant is not None and _signed(asked) < grant.expires - _SECOND
            was_late = was_good and refusal.code == "ExpiredToken"
            (self.late if was_late else self.refused).append(refusal.code)
        return refusal


def _signed(asked: Asked) -> float:
    """When the request was signed (seconds since the epoch, a whole number)."""
    said = asked.headers.get("x-amz-date") or asked.query.get("X-Amz-Date")
    if said is None:
        return math.inf  # it says nothing of being signed in time
    return datetime.strptime(said, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
