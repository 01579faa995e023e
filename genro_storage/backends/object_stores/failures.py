"""What has gone wrong with a request, of obstore's told from the text of its exception. Pure.

obstore has few classes of exceptions, and says the rest in the text: what it shows, and after
``Debug source:`` the same as Rust prints values. Only whole lines of that second part are read, in
which no key and no answer of a server can have lines of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree as ET

__all__ = ["Failure", "FailureKind", "RequestError", "failure_of"]

FailureKind = Literal[
    "status",
    "unreachable",
    "nameless",
    "unanswered",
    "timeout",
    "insecure",
    "broken",
    "redirect",
    "whole",
    "strange",
]

_STATUS = re.compile(r"^\s+status: (\d{3}),$", re.MULTILINE)
_METHOD = re.compile(r"^\s+method: ([A-Z]+),$", re.MULTILINE)
_KIND = re.compile(r"^\s+kind: (\w+),$", re.MULTILINE)
_BODY = re.compile(r'^\s+(?:body: )?"((?:[^"\\\n]|\\.)*)",$', re.MULTILINE)
_WHOLE = re.compile(r"^\s+source: NotPartial,$", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]{1,6})\}|(.))")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
#: How rustls says that it does not trust whom it talks to, or that nobody there speaks TLS.
_TLS = (
    "invalid peer certificate",
    "InvalidCertificate",
    "tls handshake",
    "received corrupt message",
    "InvalidContentType",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request.

    ``kind``: the server has answered (``status``), nobody is there (``unreachable``), the name of
    the host is unknown (``nameless``), or it lets no connection come about in time (``unanswered``), has fallen silent (``timeout``), cannot be
    trusted (``insecure``), has hung up (``broken``), sends us to another place (``redirect``), has
    sent the ``whole`` where a range was asked for, or has answered what obstore cannot make anything of (``strange``).
    ``code``, ``message`` and ``region`` are what the answer itself says.
    """

    kind: FailureKind
    status: int | None = None
    method: str = ""
    code: str = ""
    message: str = ""
    region: str = ""
    body: str = field(default="", repr=False)

    @classmethod
    def of_answer(cls, status: int, method: str, body: str) -> Failure:
        """What an answer says that is no content, by its status and its text."""
        code, message, region = _answer(body)
        kind: FailureKind = "redirect" if 300 <= status < 400 else "status"
        return cls(kind, status, method, code, message, region, body)


class RequestError(Exception):
    """A request that has failed, and was not made by obstore."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind} {failure.status or ''}".rstrip())
        self.failure: Failure = failure


def failure_of(error: BaseException) -> Failure:
    """What an exception of obstore stands for, or a ``RequestError``.

    >>> failure_of(ValueError("Could not parse path: …")).kind
    'strange'
    """
    if isinstance(error, RequestError):
        return error.failure
    _, _, told = str(error).rpartition("\n\nDebug source:\n")
    method = _found(_METHOD, told)
    status = _STATUS.search(told)
    if status is not None:
        text = _unescaped(_found(_BODY, told[status.end() :]))
        return Failure.of_answer(int(status[1]), method, text)
    if re.search(r"^\s+inner: BareRedirect,$", told, re.MULTILINE):
        return Failure("redirect", None, method)
    if _WHOLE.search(told) is not None:
        return Failure("whole", None, method)
    return Failure(_network(_found(_KIND, told), told), None, method)


def _network(kind: str, told: str) -> FailureKind:
    """The kinds are object_store's ``HttpErrorKind``."""
    if not kind:
        return "strange"
    if any(sign in told for sign in _TLS):
        return "insecure"
    connecting = kind == "Connect" or re.search(r"^\s+Connect,$", told, re.MULTILINE) is not None
    if kind == "Timeout" or (connecting and "TimedOut" in told):
        return "unanswered" if connecting else "timeout"
    if connecting:
        return "nameless" if "dns error" in told else "unreachable"
    # Unknown is HTTP that is none; the others break off in the middle.
    return "broken"


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found is not None else ""


def _unescaped(text: str) -> str:
    """What Rust's debug output shows of a text, as it was."""

    def plain(escape: re.Match[str]) -> str:
        if escape[1] is not None:
            number = int(escape[1], 16)
            return chr(number) if number <= 0x10FFFF else escape[0]
        return _PLAIN.get(escape[2], escape[2])

    return _ESCAPE.sub(plain, text)


def _answer(body: str) -> tuple[str, str, str]:
    """Code, message and region of an error in XML, as S3 and Azure send it; else nothing."""
    if "<Code>" not in body:
        return "", "", ""
    try:
        root = ET.fromstring(body.lstrip("\ufeff \t\r\n"))  # noqa: S314 - as botocore does
    except ET.ParseError:
        return "", "", ""
    found = {each.tag.rpartition("}")[2]: (each.text or "").strip() for each in root.iter()}
    return found.get("Code", ""), found.get("Message", ""), found.get("Region", "")
