"""URLs that let whoever has them read one object for a while: the V4 signing process.

https://cloud.google.com/storage/docs/access-control/signing-urls-manually
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from google.oauth2 import service_account

__all__ = ["signed_url"]

_Key: Any = service_account.Credentials  # google-auth annotates little of itself
_LONGEST = 7 * 24 * 3600
_ALGORITHM = "GOOG4-RSA-SHA256"


def signed_url(
    endpoint: str,
    bucket: str,
    key: str,
    account: dict[str, Any],
    expires_in: int,
    *,
    now: datetime | None = None,
) -> str:
    """A GET of ``key`` that works for ``expires_in`` seconds, signed with a service account's key.

    ``ValueError`` for more than the seven days that the service allows, and ``PermissionError``
    for a key that is none.
    """
    if expires_in > _LONGEST:
        raise ValueError(f"expires_in can be at most {_LONGEST} (seven days)")
    try:
        signer = _Key.from_service_account_info(
            {"token_uri": "https://oauth2.googleapis.com/token", **account}
        )
    except ValueError:
        raise PermissionError("the private key in 'token' is damaged; check 'token'") from None
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/auto/storage/goog4_request"
    parts = urlsplit(endpoint)
    path = f"{parts.path}/{quote(bucket, safe='~')}/{quote(key, safe='/~')}"
    query = urlencode(
        {
            "X-Goog-Algorithm": _ALGORITHM,
            "X-Goog-Credential": f"{account['client_email']}/{scope}",
            "X-Goog-Date": moment,
            "X-Goog-Expires": str(expires_in),
            "X-Goog-SignedHeaders": "host",
        },
        quote_via=quote,
        safe="~",
    )
    request = f"GET\n{path}\n{query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = signer.sign_bytes(f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}".encode()).hex()
    return f"{parts.scheme}://{parts.netloc}{path}?{query}&X-Goog-Signature={signature}"
