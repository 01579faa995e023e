"""``type: gcs``: a bucket of Google Cloud Storage. What can be configured, and what is built."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from ...exceptions import StorageConfigError
from ...paths import normalise, physical
from ..public import PublicOptions
from ..remote import missing_extra

if TYPE_CHECKING:
    from ..base import Backend
    from ..context import BuildContext
    from ..object_stores.client import ObjectClient

__all__ = ["GOOGLE", "GcsOptions", "build"]

#: Where Google's own service is.
GOOGLE = "https://storage.googleapis.com"
_EMULATOR = "STORAGE_EMULATOR_HOST"
_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_KEYWORDS = ("anon", "cloud", "google_default")
_INTERACTIVE = ("browser", "cache")


class GcsOptions(PublicOptions):
    """A bucket of Google Cloud Storage."""

    synonyms: ClassVar[Mapping[str, str]] = {"prefix": "base_path"}

    bucket: str = Field(min_length=1, description="The name of the bucket, which must exist.")
    base_path: str = Field(
        default="", description="What all names of the mount begin with inside the bucket."
    )
    token: Any = Field(
        default=None,
        repr=False,
        description="The credentials: the path of a key file (service account, or what `gcloud` "
        "wrote), the contents of one as a mapping or JSON text, an access token, a credentials "
        "object of google-auth, or `google_default`, `cloud` (the machine's own account) or "
        "`anon`. By default what the environment offers, or else no credentials at all.",
    )
    project: str | None = Field(
        default=None,
        description="The project that is charged for requests, where it is not the bucket's own.",
    )
    endpoint_url: str | None = Field(
        default=None,
        description="Where the service is, for an emulator or a private endpoint; by default "
        "what STORAGE_EMULATOR_HOST says, or else Google's own.",
    )
    anon: bool = Field(default=False, description="Send no credentials: for public buckets.")

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        name = value.removeprefix("gs://").removeprefix("gcs://").rstrip("/")
        if "/" in name:
            raise ValueError("name the bucket only; what follows it belongs into 'base_path'")
        return name

    @field_validator("base_path")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return physical(normalise(value))

    @field_validator("token")
    @classmethod
    def _hide(cls, value: Any) -> Any:
        if value is None or isinstance(value, SecretStr) or hasattr(value, "before_request"):
            return value
        if isinstance(value, Mapping):
            return SecretStr(json.dumps(dict(value)))
        if isinstance(value, str | os.PathLike):
            text = os.fspath(value)
            if text in _INTERACTIVE:
                raise ValueError(
                    f"{text!r} needs a person at a browser; run `gcloud auth "
                    "application-default login` once and write 'google_default'"
                )
            if text:
                return SecretStr(text)
        raise ValueError(
            "it must be the path of a key file, its contents, an access token, a credentials "
            f"object, or one of {', '.join(_KEYWORDS)}"
        )

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        return None if value is None else checked_endpoint(value)

    @property
    def credentials_text(self) -> str | None:
        """``token`` where it is a text, with ``anon`` for either spelling of it."""
        if self.anon:
            return "anon"
        return self.token.get_secret_value() if isinstance(self.token, SecretStr) else None


def checked_endpoint(value: str) -> str:
    """A URL of a service, without a slash at its end; ``ValueError`` that shows nothing of it."""
    strange = ValueError("it must be a URL like https://host:port")
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError:  # a port that is none, half an IPv6 address
        raise strange from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise strange
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("it must be the address only, without credentials, '?' or '#'")
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def build(options: GcsOptions, context: BuildContext) -> Backend:
    """The backend of a bucket; it connects when it is first used.

    Raises ``StorageConfigError`` for credentials that contradict each other.
    """
    from ..object_stores.versions import PublicVersionedStoreBackend, VersionedStoreBackend
    from .names import check_key
    from .urls import GcsDirect

    label = f"mount {context.mount!r} (gcs)"
    if options.anon and options.token not in (None, SecretStr("anon")):
        raise StorageConfigError(
            f"{label}: 'anon' and 'token' contradict each other; remove one", node=context.mount
        )
    endpoint = options.endpoint_url or _from_environment(label, context.mount) or GOOGLE
    base = None if context.base is None else str(context.base)
    key = key_info(options.credentials_text, base) if options.token is not None else None
    if key is None and options.credentials_text in (None, "google_default"):
        key = key_info(os.environ.get(_KEY_FILE), None) if _is_default(options) else None

    def connect() -> ObjectClient:
        try:
            from .versions import GcsVersionClient

            return GcsVersionClient(options, endpoint, base)
        except ImportError as error:
            raise missing_extra(error, context.mount, "gcs", "gcs") from error

    kind = PublicVersionedStoreBackend if endpoint == GOOGLE else VersionedStoreBackend
    return kind(
        connect,
        kind="gcs",
        root=options.base_path,
        store=("gcs", endpoint, options.bucket),
        bounds=options.bounds,
        check_key=check_key,
        ordered=True,
        direct=GcsDirect(options, endpoint, key, context.mount),
    )


def _is_default(options: GcsOptions) -> bool:
    return not options.anon and (
        options.token is None or options.credentials_text == "google_default"
    )


def _from_environment(label: str, mount: str) -> str | None:
    value = os.environ.get(_EMULATOR, "")
    if value in ("", "default"):
        return None
    try:
        return checked_endpoint(value)
    except ValueError as error:
        raise StorageConfigError(
            f"{label}: the environment variable {_EMULATOR}: {error}", node=mount
        ) from error


def key_info(text: str | None, base: str | None) -> dict[str, Any] | None:
    """The service account's key that ``text`` holds or names; None where it does neither.

    Only such a key can sign URLs. A file that cannot be read now is none: its first use says so.
    """
    if text is None or text in _KEYWORDS:
        return None
    try:
        if not text.lstrip().startswith("{"):
            with open(key_path(text, base), encoding="utf-8") as file:
                text = file.read()
        found = json.loads(text)
    except (OSError, ValueError):
        return None
    is_key = isinstance(found, dict) and found.get("type", "service_account") == "service_account"
    return found if is_key and "private_key" in found and "client_email" in found else None


def key_path(text: str, base: str | None) -> str:
    """Where a key file is; relative to the configuration file where there is one."""
    return os.path.join(base or "", os.path.expanduser(text))
