"""What the server has said, told from an exception; botocore is not imported for it."""

from __future__ import annotations

__all__ = ["BUSY", "OVER", "is_refused_before_it_began", "server_code"]

#: The server has not even looked at the request.
BUSY = {
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequests",
    "429",
    "503",
}

#: The credentials have come to their end.
OVER = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}

# botocore's classes for a request that has not left this machine.
_NEVER_SENT = ("EndpointConnectionError", "ConnectTimeoutError")


def server_code(error: BaseException | None) -> str | None:
    """The code of the server's answer that an exception stands for, None where there was none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        error = error.__cause__
    return None


def is_refused_before_it_began(error: BaseException) -> bool:
    """Whether the server has surely not done what it was asked: it may be asked once more."""
    code = server_code(error)
    over = code in OVER and isinstance(error, ConnectionError)  # there will be new credentials
    return type(error.__cause__).__name__ in _NEVER_SENT or code in BUSY or over
