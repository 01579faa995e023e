"""What a mount of Google Cloud Storage can be told."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator

from ...paths import normalise, physical
from ..addresses import checked_address
from ..object_stores.cloud_options import CloudOptions
from ..object_stores.plain import check_name
from ..object_stores.provided import check_provider
from ..object_stores.write_defaults import EncryptedDefaults
from ..public import PublicOptions
from .keeping import encode_metadata

__all__ = ["KEYWORDS", "GcsOptions", "checked_endpoint"]

#: What ``token`` may be beside a key and a token.
KEYWORDS = ("anon", "cloud", "google_default")
_INTERACTIVE = ("browser", "cache")
_HOST = "storage.googleapis.com"


class GcsOptions(EncryptedDefaults, PublicOptions, CloudOptions):
    """A bucket of Google Cloud Storage."""

    prefixes: ClassVar[tuple[str, ...]] = ("google_",)
    place_scheme: ClassVar[str] = "gs"
    synonyms: ClassVar[Mapping[str, str]] = {
        **CloudOptions.client_synonyms,
        "prefix": "base_path",
        "bucket_name": "bucket",
        "base_url": "endpoint_url",
        "skip_signature": "anon",
        "service_account_path": "service_account",
    }

    bucket: str | None = Field(
        default=None,
        min_length=1,
        description="The name of the bucket, which must exist; by default that of `url`, or what "
        "GOOGLE_BUCKET says.",
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        description="Bucket and `base_path` in one: `gs://bucket/prefix`, `gcs://bucket/prefix` or "
        "`https://storage.googleapis.com/bucket/prefix`.",
    )
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
    service_account: str | os.PathLike[str] | None = Field(
        default=None, min_length=1, description="The path of a service account's key file."
    )
    service_account_key: SecretStr | None = Field(
        default=None, min_length=1, description="The contents of such a file, as JSON text."
    )
    application_credentials: str | os.PathLike[str] | None = Field(
        default=None,
        min_length=1,
        description="The path of a key file of any kind that `gcloud` and the console write, "
        "service account or user.",
    )
    bearer_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="An access token, which is sent as it is until it ends.",
    )
    credential_provider: Any = Field(
        default=None,
        repr=False,
        description="A function, in code itself or as `module:name`, that returns `token` and "
        "`expires_at` (a datetime with a time zone, or none), or a coroutine that does. It is asked "
        "again before they end.",
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

    @classmethod
    def encoded_metadata(cls, metadata: Mapping[str, str]) -> dict[str, str]:
        return encode_metadata(metadata)

    @classmethod
    def location(cls, url: str) -> Mapping[str, Any]:
        return _location(url)

    @field_validator("credential_provider")
    @classmethod
    def _check_provider(cls, value: Any) -> Any:
        return check_provider(value)

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str | None) -> str | None:
        if value is None:
            return None
        name = value.removeprefix("gs://").removeprefix("gcs://").rstrip("/")
        return check_name(name, "bucket", "base_path")

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
            f"object, or one of {', '.join(KEYWORDS)}"
        )

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        return None if value is None else checked_endpoint(value)


def _location(url: str) -> dict[str, Any]:
    """The keys that a URL stands for; ``ValueError`` for one of another kind."""
    parts = urlsplit(url)
    host, path = parts.netloc, parts.path.strip("/")
    if parts.query or parts.fragment or "@" in host:
        raise ValueError("it must be the place only, without credentials, '?' or '#'")
    if parts.scheme in ("gs", "gcs"):
        # As Google's own tools read it: names are written as they are.
        return {"bucket": host, "base_path": path}
    if parts.scheme == "https" and host.lower() == _HOST:
        bucket, _, rest = path.partition("/")
        return {"bucket": unquote(bucket), "base_path": unquote(rest)}
    if parts.scheme == "https" and host.lower().endswith(f".{_HOST}"):
        return {"bucket": host[: -len(_HOST) - 1], "base_path": unquote(path)}
    raise ValueError(
        f"it must be gs://bucket/prefix or https://{_HOST}/bucket/prefix; another server is named "
        "by 'endpoint_url' and 'bucket'"
    )


def checked_endpoint(value: str) -> str:
    """A URL of a service, without a slash at its end; ``ValueError`` that shows nothing of it."""
    return checked_address(value, example="https://host:4443", assume="http")
