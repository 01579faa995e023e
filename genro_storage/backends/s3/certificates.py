"""Whom a mount believes: the usual authorities, its own, or (for tests) everybody."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import ssl
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..object_stores.client_options import ClientOptions

__all__ = ["as_file", "pem", "require_certificates", "tls_context", "trust"]

_files: dict[str, str] = {}


def pem(value: str, option: str) -> str:
    """Certificates as PEM, from the text itself or from the file that it names.

    Raises ``FileNotFoundError`` and its like, with the option's name, where there is no such file.
    """
    if "-----BEGIN" in value:
        return value
    try:
        with open(os.path.expanduser(value), encoding="ascii") as file:
            found = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise PermissionError(
            errno.EACCES, f"the file of {option!r} cannot be read: {reason}"
        ) from error
    if "-----BEGIN" not in found:
        raise PermissionError(errno.EACCES, f"the file of {option!r} holds no certificate as PEM")
    return found


def as_file(value: str, option: str) -> str:
    """The path of a file with the certificates, for a client that takes nothing else."""
    found = pem(value, option)
    if found is not value:
        return os.path.expanduser(value)
    if found not in _files:
        descriptor, path = tempfile.mkstemp(suffix=".pem", prefix="genro-storage-")
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(found)
        atexit.register(_forget, path, os.getpid())
        _files[found] = path
    return _files[found]


def _forget(path: str, process: int) -> None:
    if process == os.getpid():  # a forked child leaves it to its parent
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def trust(context: ssl.SSLContext, options: ClientOptions) -> None:
    """Have a context believe what the options say, beside what it believes."""
    if options.root_certificate is not None:
        try:
            context.load_verify_locations(cadata=pem(options.root_certificate, "root_certificate"))
        except (ssl.SSLError, ValueError) as error:
            raise PermissionError(
                errno.EACCES, "'root_certificate' is no certificate as PEM"
            ) from error


def require_certificates(options: ClientOptions) -> None:
    """``PermissionError`` that says so, before anybody connects, where one cannot be used."""
    if options.root_certificate is not None:
        trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), options)
    if options.proxy_ca_certificate is not None:
        pem(options.proxy_ca_certificate, "proxy_ca_certificate")


def tls_context(options: ClientOptions) -> ssl.SSLContext:
    """A context for a client that is neither the SDK's nor obstore's."""
    context = ssl.create_default_context()
    if options.disable_system_certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.allow_invalid_certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    trust(context, options)
    return context
