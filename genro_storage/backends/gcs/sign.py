"""URLs and forms that let whoever has them do one thing for a while: the V4 signing process.

https://cloud.google.com/storage/docs/access-control/signing-urls-manually
https://cloud.google.com/storage/docs/xml-api/post-object-forms
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from google.oauth2 import service_account

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["signed_form", "signed_url"]

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
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> str:
    """A request for ``key`` that works for ``expires_in`` seconds, signed with an account's key.

    Whoever uses it sends exactly ``headers``. ``ValueError`` for more than the seven days that the
    service allows, and ``PermissionError`` for a key that is none.
    """
    if expires_in > _LONGEST:
        raise ValueError(f"expires_in can be at most {_LONGEST} (seven days)")
    signer = _signer(account)
    moment, scope = _moment(now or datetime.now(UTC))
    parts = urlsplit(endpoint)
    path = f"{parts.path}/{quote(bucket, safe='~')}/{quote(key, safe='/~')}"
    sent = {name.lower(): " ".join(text.split()) for name, text in (headers or {}).items()}
    sent = dict(sorted({**sent, "host": parts.netloc}.items()))
    asked = {
        "X-Goog-Algorithm": _ALGORITHM,
        "X-Goog-Credential": f"{account['client_email']}/{scope}",
        "X-Goog-Date": moment,
        "X-Goog-Expires": str(expires_in),
        "X-Goog-SignedHeaders": ";".join(sent),
        **(query or {}),
    }
    text = urlencode(sorted(asked.items()), quote_via=quote, safe="~")
    lines = "".join(f"{name}:{value}\n" for name, value in sent.items())
    request = f"{method}\n{path}\n{text}\n{lines}\n{';'.join(sent)}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = signer.sign_bytes(f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}".encode()).hex()
    return f"{parts.scheme}://{parts.netloc}{path}?{text}&X-Goog-Signature={signature}"


def signed_form(
    endpoint: str,
    bucket: str,
    key: str,
    account: dict[str, Any],
    expires_in: int,
    fields: Mapping[str, str],
    conditions: list[Any],
    *,
    now: datetime | None = None,
) -> tuple[str, dict[str, str]]:
    """Where a form goes that stores ``key``, and its fields: these, and what signs them.

    ``conditions`` are what holds for fields that the client adds itself.
    """
    signer, begin = _signer(account), now or datetime.now(UTC)
    moment, scope = _moment(begin)
    found = {
        **fields,
        "key": key,
        "x-goog-algorithm": _ALGORITHM,
        "x-goog-credential": f"{account['client_email']}/{scope}",
        "x-goog-date": moment,
    }
    end = (begin + timedelta(seconds=expires_in)).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "conditions": [
            *conditions,
            {"bucket": bucket},
            *({name: text} for name, text in found.items()),
        ],
        "expiration": end,
    }
    # As ASCII: the service wants other characters escaped.
    policy = base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode("ascii")
    signature = signer.sign_bytes(policy.encode()).hex()
    found |= {"policy": policy, "x-goog-signature": signature}
    return f"{endpoint}/{quote(bucket, safe='~')}/", found


def _signer(account: dict[str, Any]) -> Any:
    try:
        return _Key.from_service_account_info(
            {"token_uri": "https://oauth2.googleapis.com/token", **account}
        )
    except ValueError:
        raise PermissionError("the private key in 'token' is damaged; check 'token'") from None


def _moment(now: datetime) -> tuple[str, str]:
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    return moment, f"{moment[:8]}/auto/storage/goog4_request"
