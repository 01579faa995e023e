"""Why no connection to a store comes about: its certificate, no TLS at all, or no such host. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

from ..errors import UntrustedServerError, WrongServerError
from .errors import below

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["connection_failure"]

#: What OpenSSL calls an answer that is no TLS, in one version and another.
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
)
#: What no other attempt would change: versions and ciphers that the two sides do not share, and what
#: the other one says before it hangs up. All else is a connection that broke, as others do.
_DISAGREED = (
    "ALERT",
    "NO_SHARED_CIPHER",
    "NO_CIPHERS",
    "NO_PROTOCOLS",
    "NO_SUITABLE",
    "UNSUPPORTED_PROTOCOL",
    "UNSUPPORTED_VERSION",
    "WRONG_SSL_VERSION",
    "VERSION_TOO_LOW",
    "TOO_SMALL",
    "UNSAFE_LEGACY",
)
#: Alerts about bytes that arrived damaged.
_DAMAGED = ("RECORD_MAC", "DECRYPTION_FAILED")
#: How clients call a host that nobody knows, where they have hidden the system's error.
_NO_HOST = ("ClientConnectorDNSError", "NameResolutionError")


def connection_failure(error: BaseException, where: str) -> Exception | None:
    """The standard exception, with the fix; None where it is no failure of this kind.

    ``where`` is the address that was to be reached. A connection that broke is worth a repetition,
    also one of TLS; a certificate that is not trusted is not.

    >>> str(connection_failure(socket.gaierror(-2, "unknown"), "http://nobody.invalid"))
    "[Errno 113] no host of this name is known: http://nobody.invalid; check 'endpoint_url'"
    """
    found = list(below(error))
    return _insecure(found, where) or _nameless(found, where)


def _insecure(found: Iterable[BaseException], where: str) -> Exception | None:
    # aiohttp has subclasses of these which lack what is in them.
    failed = next((e for e in found if isinstance(e, ssl.SSLError) and hasattr(e, "reason")), None)
    if failed is None:
        return None
    if isinstance(failed, ssl.SSLCertVerificationError):
        why = failed.verify_message.rstrip(".")
        fix = "give the file of the authority that signed it as 'root_certificate', or have the "
        fix += "system trust it; `allow_invalid_certificates: true` is for tests alone"
        if failed.verify_code in _OTHER_HOST:
            fix = "write in 'endpoint_url' the name that it is for"
        elif failed.verify_code == _EXPIRED:
            fix = "its owner must renew it, or the clock of this machine is wrong"
        return UntrustedServerError(f"the certificate of {where} is not trusted ({why}); {fix}")
    reason = failed.reason or ""
    if reason in _NO_TLS:
        return WrongServerError(
            f"this server speaks http, not https: {where}; correct 'endpoint_url'"
        )
    why = reason.replace("_", " ").lower()
    if not any(sign in reason for sign in _DISAGREED) or any(sign in reason for sign in _DAMAGED):
        why = why or type(failed).__name__
        return ConnectionError(errno.ECONNRESET, f"the connection to {where} broke ({why})")
    return UntrustedServerError(f"no secure connection to {where} ({why}); check 'endpoint_url'")


#: X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH, X509_V_ERR_CERT_HAS_EXPIRED.
_OTHER_HOST, _EXPIRED = (62, 64), 10


def _nameless(found: Iterable[BaseException], where: str) -> Exception | None:
    if not any(
        isinstance(each, socket.gaierror) or type(each).__name__ in _NO_HOST for each in found
    ):
        return None
    return ConnectionError(
        errno.EHOSTUNREACH, f"no host of this name is known: {where}; check 'endpoint_url'"
    )
