"""A key of the customer's own, which goes with every request for a content and is never stored.

https://learn.microsoft.com/en-us/rest/api/storageservices/encryption-customer-provided-keys
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["key_hook"]

#: The kinds of requests on a blob that take one: its content, its properties, its blocks.
_WITH = (None, "block", "blocklist", "metadata", "properties")


def key_hook(key: str) -> Callable[[Any], None]:
    """What Microsoft's client calls with each request before it is signed."""
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode("ascii")
    headers = {
        "x-ms-encryption-key": key,
        "x-ms-encryption-key-sha256": digest,
        "x-ms-encryption-algorithm": "AES256",
    }

    def add(request: Any) -> None:
        sent = request.http_request
        query = parse_qs(urlsplit(sent.url).query)
        what = query.get("comp", [None])[0]
        if sent.method in ("GET", "HEAD", "PUT") and "restype" not in query and what in _WITH:
            if what == "properties" and sent.method == "PUT":
                return  # of the headers of a blob the service takes none
            sent.headers.update(headers)

    return add
