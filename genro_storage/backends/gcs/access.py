"""Where a bucket is and what is shown there: the mount's keys, and else the environment's."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ...exceptions import StorageConfigError
from ..object_stores.network import Network
from ..object_stores.plain import check_line, check_name
from .options import KEYWORDS, checked_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from .options import GcsOptions

__all__ = [
    "ANONYMOUS",
    "CREDENTIALS",
    "ENDPOINTS",
    "GOOGLE",
    "GcsAccess",
    "key_info",
    "key_path",
]

#: Where Google's own service is.
GOOGLE = "https://storage.googleapis.com"
_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
ENDPOINTS = ("STORAGE_EMULATOR_HOST", "GOOGLE_BASE_URL")
_BUCKETS = ("GOOGLE_BUCKET", "GOOGLE_BUCKET_NAME")
#: The credentials of the environment, the first that is there. The variable of Google's own
#: clients comes last, and they look further.
CREDENTIALS = (
    ("GOOGLE_BEARER_TOKEN", "bearer_token"),
    ("GOOGLE_SERVICE_ACCOUNT", "service_account"),
    ("GOOGLE_SERVICE_ACCOUNT_PATH", "service_account"),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", "service_account_key"),
)
#: What says that none are to be sent.
ANONYMOUS = "GOOGLE_SKIP_SIGNATURE"
_KINDS = (
    "token",
    "service_account",
    "service_account_key",
    "application_credentials",
    "bearer_token",
    "credential_provider",
)
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class GcsAccess:
    """One bucket, for every client of it. ``repr`` shows no secret.

    ``kind`` is which key the credentials stood under, ``None`` where they are looked for as
    Google's own clients do; ``text`` is what stood there, or ``given`` an object.
    """

    bucket: str
    endpoint: str
    kind: str | None = None
    text: str | None = field(default=None, repr=False)
    given: Any = field(default=None, repr=False)
    base: str | None = None
    project: str | None = None
    network: Network = field(default_factory=Network, repr=False)

    def __repr__(self) -> str:
        return f"<GcsAccess {self.endpoint}/{self.bucket}>"

    @property
    def anonymous(self) -> bool:
        """Whether no credentials are sent, and none looked for."""
        return self.kind == "anon"

    def signing_key(self) -> dict[str, Any] | None:
        """The key of a service account that URLs can be signed with."""
        if self.kind in ("credential_provider", "bearer_token", "anon") or self.given is not None:
            return None
        found = key_info(self.text, self.base)
        if found is None and self.text in (None, "google_default"):
            found = key_info(os.environ.get(_KEY_FILE), None)
        return found

    @classmethod
    def of(cls, options: GcsOptions, label: str, mount: str, base: Path | None) -> Self:
        """What the configuration, or else the environment, says; ``StorageConfigError``."""

        def wrong(text: str) -> StorageConfigError:
            return StorageConfigError(f"{label}: {text}", node=mount)

        bucket = options.bucket or _first(_BUCKETS)
        if not bucket:
            raise wrong("missing required field: 'bucket' (or 'url')")
        kind, text, given = _credentials(options, wrong)
        _check_plain(options, {"bucket": bucket, "project": options.project, kind: text}, wrong)
        try:
            network = options.network(base)
        except ValueError as error:
            raise wrong(str(error)) from None
        endpoint = options.endpoint_url or _endpoint_of_environment(wrong) or GOOGLE
        if options.allow_http is False and endpoint.startswith("http:"):
            raise wrong("'allow_http' is false, and the endpoint is plain http; use https")
        folder = None if base is None else str(base)
        return cls(bucket, endpoint, kind, text, given, folder, options.project, network)


def _credentials(options: GcsOptions, wrong: Any) -> tuple[str | None, str | None, Any]:
    """Under which key credentials stand, and what stands there."""
    named = [name for name in _KINDS if getattr(options, name) is not None]
    is_anon = options.anon
    if options.token == SecretStr("anon") and named == ["token"]:
        is_anon = True
        named = []
    if is_anon:
        named.append("anon")
    if len(named) > 1:
        names = " and ".join(map(repr, named))
        raise wrong(f"{names} contradict each other; keep one of them")
    if named == ["anon"]:
        return "anon", "anon", None
    if named:
        value = getattr(options, named[0])
        if isinstance(value, SecretStr):
            return named[0], value.get_secret_value(), None
        if isinstance(value, str | os.PathLike) and named[0] != "credential_provider":
            return named[0], os.fspath(value), None
        return named[0], None, value
    if os.environ.get(ANONYMOUS, "").lower() in _TRUE:
        return "anon", "anon", None
    for variable, name in CREDENTIALS:
        if found := os.environ.get(variable):
            return name, os.path.abspath(found) if name == "service_account" else found, None
    return None, None, None


def _check_plain(options: GcsOptions, said: Mapping[str | None, str | None], wrong: Any) -> None:
    """What no server takes, whether the mount says it or the environment."""
    for name, value in said.items():
        try:
            if name == "bucket":
                check_name(value or "", "bucket", "base_path")
            elif name in ("project", "bearer_token") or (
                name == "token" and not (value or "").lstrip().startswith("{")
            ):
                check_line(value or "")
        except ValueError as error:
            raise wrong(f"{options.written(name or '')!r}: {error}") from None


def _first(variables: tuple[str, ...]) -> str | None:
    return next((found for name in variables if (found := os.environ.get(name))), None)


def _endpoint_of_environment(wrong: Any) -> str | None:
    for name in ENDPOINTS:
        value = os.environ.get(name, "")
        if value in ("", "default"):
            continue
        try:
            return checked_endpoint(value)
        except ValueError as error:
            raise wrong(f"the environment variable {name}: {error}") from error
    return None


def key_info(text: str | None, base: str | None) -> dict[str, Any] | None:
    """The service account's key that ``text`` holds or names; None where it does neither.

    Only such a key can sign URLs. A file that cannot be read now is none: its first use says so.
    """
    if text is None or text in KEYWORDS:
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
