"""Which certificates a client of web servers believes, and which one it shows."""

from __future__ import annotations

import functools
import os
import ssl
from typing import TYPE_CHECKING

from ..exceptions import StorageConfigError

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["tls_context"]


def tls_context(
    mount: str,
    kind: str,
    *,
    verify: bool = True,
    authorities: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    password: SecretStr | None = None,
) -> ssl.SSLContext:
    """A context for the mount ``mount`` of the type ``kind``; files are absolute paths.

    ``authorities`` is a PEM file, or a directory as OpenSSL has them; by default those that the
    system trusts. ``key`` is None where ``certificate`` holds it too. Raises
    ``StorageConfigError``, which names the option, where a file cannot be used.
    """
    if verify and authorities is None and certificate is None:
        return _usual_trust()
    option, hint = "verify_ssl", "it must hold certificates as PEM"
    try:
        if authorities is None:
            context = _make_usual_trust()
        elif os.path.isdir(authorities):
            context = ssl.create_default_context(capath=authorities)
        else:
            context = ssl.create_default_context(cafile=authorities)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            option = "cert"
            hint = "it must be a certificate with its key as PEM, "
            hint += (
                "and an encrypted key needs the right 'cert_password'"
                if kind == "webdav"
                else "without a password"
            )
            # Some servers ask for it when they see what is wanted.
            context.post_handshake_auth = True
            # Without a password OpenSSL would ask for one on the terminal.
            secret = password.get_secret_value() if password is not None else ""
            context.load_cert_chain(certificate, key, password=secret)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "unknown"
        raise StorageConfigError(
            f"mount {mount!r} ({kind}): the file of {option!r} cannot be used ({reason}); {hint}",
            node=mount,
        ) from error
    return context


@functools.cache
def _usual_trust() -> ssl.SSLContext:
    """One for all; reading the authorities takes longer than many a request."""
    return _make_usual_trust()


def _make_usual_trust() -> ssl.SSLContext:
    """What the system trusts; where it has nothing (a bare container), what certifi has."""
    context = ssl.create_default_context()
    places = ssl.get_default_verify_paths()
    listed = os.listdir(places.capath) if places.capath else []
    if not context.get_ca_certs() and not listed:
        try:
            import certifi
        except ImportError:
            return context  # nobody is trusted then, which the first connection says
        context.load_verify_locations(cafile=certifi.where())
    return context
