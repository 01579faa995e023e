"""Any text in a header that carries plain ASCII: encoded words of RFC 2047. Pure."""

from __future__ import annotations

import base64
import re
from email.errors import HeaderParseError
from email.header import decode_header

__all__ = ["decoded", "encoded"]

_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?|", re.ASCII)


def encoded(value: str) -> str:
    """The text as it is where a header brings it back so, and else as one encoded word.

    >>> encoded("Köln"), encoded("Roma")
    ('=?utf-8?b?S8O2bG4=?=', 'Roma')
    """
    if _PLAIN.fullmatch(value) and "=?" not in value:
        return value
    # Not by email.header, which splits long words and loses the ends of lines.
    return f"=?utf-8?b?{base64.b64encode(value.encode()).decode('ascii')}?="


def decoded(value: str) -> str:
    """The inverse, also for what other programs have written.

    >>> decoded("=?utf-8?b?S8O2bG4=?=")
    'Köln'
    """
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii")
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, UnicodeError):
        return value  # it only looks so
