"""The type ``s3``: what it can be told. Neither s3fs nor botocore is imported here."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ...paths import is_addressable
from ..public import PublicOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from ..base import Backend
    from ..context import BuildContext

__all__ = ["S3Options", "build"]

# What botocore lets through: a name, or the ARN of an access point.
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:aws[A-Za-z-]*:s3[A-Za-z0-9/:._-]+", re.ASCII)


class S3Options(PublicOptions):
    """A bucket of Amazon S3, or of a server that speaks its protocol."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "base_path": "prefix",
        "access_key": "key",
        "access_key_id": "key",
        "secret_key": "secret",
        "secret_access_key": "secret",
        "session_token": "token",
        "endpoint": "endpoint_url",
    }

    bucket: str = Field(description="The bucket's name, or the ARN of an access point.")
    prefix: str = Field(
        default="",
        description="The directory inside the bucket to start at; the whole bucket without it.",
    )
    region: str | None = Field(
        default=None,
        min_length=1,
        description="The region of the bucket, such as `eu-west-1`. Without it the environment or "
        "the profile is asked, and Amazon itself last.",
    )
    anon: bool = Field(
        default=False,
        description="Send no credentials at all: for buckets that are open to everybody.",
    )
    key: str | None = Field(
        default=None,
        min_length=1,
        description="The access key id. Without it and `profile`, credentials are found as every "
        "AWS tool finds them: in the environment, in `~/.aws`, from the machine's role.",
    )
    secret: SecretStr | None = Field(
        default=None, min_length=1, description="The secret access key that belongs to `key`."
    )
    token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="The session token, where `key` and `secret` are temporary credentials.",
    )
    endpoint_url: str | None = Field(
        default=None,
        min_length=1,
        description="Where the server is, if it is not Amazon's: `https://minio.example.org:9000`. "
        "Without it the environment (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) or the profile is asked.",
    )
    engine: Literal["auto", "obstore", "fsspec"] = Field(
        default="auto",
        description="What single files are read and written by: `obstore`, a native client that is "
        "several times as fast with small files, or `fsspec`, the Python SDK below s3fs, which does "
        "the rest in any case. `auto` takes obstore where it is installed and can reach the bucket.",
    )
    profile: str | None = Field(
        default=None,
        min_length=1,
        description="The name of a profile in `~/.aws/config` that says who we are.",
    )

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str) -> str:
        if "://" in value or ("/" in value and not value.startswith("arn:")):
            raise ValueError(
                "write the bucket's name alone; what comes after it belongs into 'prefix'"
            )
        if not _BUCKET.fullmatch(value):
            raise ValueError("a bucket's name has letters, digits, dots, dashes and underscores")
        return value

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        # Not normalised: in a bucket "a//b" and "a/b" are two places.
        prefix = value.strip("/")
        if prefix and not is_addressable(prefix):
            raise ValueError("no part of a prefix may be empty, '.' or '..'")
        return prefix

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("this is no URL; write for instance https://host:9000") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("the URL must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not hold credentials; use 'key' and 'secret'")
        if parts.query or parts.fragment:
            raise ValueError("the URL must not have a query or a fragment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.key is None) != (self.secret is None):
            raise ValueError("'key' and 'secret' belong together; give both or neither")
        if self.token is not None and self.key is None:
            raise ValueError("'token' belongs to 'key' and 'secret'; give these too")
        named = [name for name in ("key", "profile") if getattr(self, name) is not None]
        if self.anon:
            named.append("anon")
        if len(named) > 1:
            raise ValueError(
                f"{' and '.join(repr(name) for name in named)} exclude each other: "
                "each says who we are; keep one"
            )
        if self.engine == "obstore" and _is_special(self.bucket):
            raise ValueError(
                "engine 'obstore' reaches no access points and no directory buckets; leave "
                "'engine' out"
            )
        return self


def build(options: S3Options, context: BuildContext) -> Backend:
    """The backend over a bucket; nothing is asked of the server before its first use."""
    from .client import S3Client
    from .filesystem import S3Filesystem
    from .versions import VersionedS3Backend

    client = S3Client(options, context.mount)
    if options.engine == "fsspec" or (options.engine == "auto" and not _suits_obstore(options)):
        return VersionedS3Backend(S3Filesystem(client), options.prefix)
    from .fast import ObstoreFilesystem

    return VersionedS3Backend(ObstoreFilesystem(client), options.prefix)


def _suits_obstore(options: S3Options) -> bool:
    return not _is_special(options.bucket) and find_spec("obstore") is not None


def _is_special(bucket: str) -> bool:
    """An access point, or a directory bucket, whose sessions and listings are of another kind."""
    return bucket.startswith("arn:") or bucket.endswith("--x-s3")
