"""Who an ``s3`` mount is: the settings that say where its credentials come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ..addresses import checked_address
from ..object_stores.plain import check_line
from ..options import BackendOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["IdentitySettings"]

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_LOOPBACK = ("localhost", "::1")


def _check_provider(value: object) -> object:
    if value is None or callable(value):
        return value
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return value
    raise ValueError("give a callable, or its place as 'module:name'")


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.startswith("127.")


class IdentitySettings(BackendOptions):
    """Where the credentials of a mount come from."""

    identity_synonyms: ClassVar[Mapping[str, str]] = {
        "access_key": "key",
        "access_key_id": "key",
        "secret_key": "secret",
        "secret_access_key": "secret",
        "session_token": "token",
        "skip_signature": "anon",
        "endpoint_url_sts": "sts_endpoint",
    }

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
    profile: str | None = Field(
        default=None,
        min_length=1,
        description="The name of a profile in `~/.aws/config` that says who we are.",
    )
    credentials_url: str | None = Field(
        default=None,
        min_length=1,
        description="A broker that hands out temporary credentials, and says which bucket and "
        "prefix they are for.",
    )
    credentials_url_secret: SecretStr | None = Field(
        default=None, min_length=1, description="What the broker knows us by."
    )
    credential_provider: Annotated[
        str | Callable[..., Any] | None,
        PlainValidator(_check_provider),
        WithJsonSchema(
            {"anyOf": [{"type": "string", "pattern": r"^[^:\s]+:[^:\s]+$"}, {"type": "null"}]}
        ),
    ] = Field(
        default=None,
        description="What returns credentials when they are needed, as `module:name`; in code also "
        "the callable itself, which may be asynchronous.",
    )
    role_arn: str | None = Field(
        default=None, min_length=1, description="The role to take, with `web_identity_token_file`."
    )
    role_session_name: str | None = Field(
        default=None, min_length=1, description="What the session of that role is called."
    )
    web_identity_token_file: str | None = Field(
        default=None, min_length=1, description="A file with a token that proves who we are."
    )
    sts_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="Where that token is changed for credentials, if not at Amazon's usual place.",
    )
    container_credentials_relative_uri: str | None = Field(
        default=None, min_length=1, description="Where a container on ECS asks for credentials."
    )
    container_credentials_full_uri: str | None = Field(
        default=None, min_length=1, description="The same as a whole URL, on EKS."
    )
    container_authorization_token_file: str | None = Field(
        default=None, min_length=1, description="The file with what it authorises itself with."
    )
    metadata_endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="Where a machine on EC2 asks for its credentials, if not at the usual place.",
    )
    imdsv1_fallback: bool | None = Field(
        default=None,
        description="Whether it may also ask in the first version of that protocol; botocore's "
        "own choice without it.",
    )

    @field_validator("credentials_url")
    @classmethod
    def _check_broker(cls, value: str | None) -> str | None:
        if value is None:
            return None
        return checked_address(
            value,
            example="https://broker.example.org/s3",
            secrets="they belong into 'credentials_url_secret'",
            query=True,
        )

    @field_validator("key")
    @classmethod
    def _check_access_key(cls, value: str | None) -> str | None:
        return None if value is None else check_line(value)

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_line(value.get_secret_value(), ascii_only=False)
        return value

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_line(value.get_secret_value())
        return value

    @field_validator("sts_endpoint", "metadata_endpoint")
    @classmethod
    def _check_service(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value, example="https://host")

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        if (self.key is None) != (self.secret is None):
            raise ValueError("'key' and 'secret' belong together; give both or neither")
        if self.token is not None and self.key is None:
            raise ValueError("'token' belongs to 'key' and 'secret'; give these too")
        if (self.credentials_url is None) != (self.credentials_url_secret is None):
            raise ValueError(
                "'credentials_url' and 'credentials_url_secret' belong together; give both"
            )
        for name in ("role_arn", "role_session_name", "sts_endpoint"):
            if getattr(self, name) is not None and self.web_identity_token_file is None:
                raise ValueError(f"{name!r} belongs to 'web_identity_token_file'; give that too")
        if self.web_identity_token_file is not None and self.role_arn is None:
            raise ValueError("'web_identity_token_file' needs 'role_arn'; give that too")
        full = self.container_credentials_full_uri
        if self.container_authorization_token_file is not None and full is None:
            raise ValueError(
                "'container_authorization_token_file' belongs to 'container_credentials_full_uri'"
            )
        named = self.identities
        for name in ("metadata_endpoint", "imdsv1_fallback"):
            if getattr(self, name) is not None and named and named != ("profile",):
                raise ValueError(
                    f"{name!r} is about the machine's own credentials, which {named[0]!r} precedes; "
                    "keep one of them"
                )
        # A broker precedes keys, so that these can stay where they are.
        if "credentials_url" in named:
            named = tuple(name for name in named if name != "key")
        if len(named) > 1:
            raise ValueError(
                f"{' and '.join(repr(name) for name in named)} exclude each other: "
                "each says who we are; keep one"
            )
        return self

    @property
    def identities(self) -> tuple[str, ...]:
        """The settings that were given which say who we are; none means to look around."""
        found = [
            name
            for name in (
                "credentials_url",
                "credential_provider",
                "key",
                "profile",
                "web_identity_token_file",
                "container_credentials_relative_uri",
                "container_credentials_full_uri",
            )
            if getattr(self, name) is not None
        ]
        return (*found, "anon") if self.anon else tuple(found)

    def require_safe_broker(self, allow_http: bool) -> None:
        """``ValueError`` where the secret would go over a network in the clear."""
        parts = urlsplit(self.credentials_url or "https://")
        if parts.scheme == "http" and not (allow_http or _is_loopback(parts.hostname or "")):
            raise ValueError(
                "'credentials_url' sends a secret and credentials: write https://, or "
                "'allow_http: true' if nobody can listen in"
            )


#: What says who asks, and what with: a copy asks for both of its ends at once.
_CUSTOMER = (
    *("anon", "key", "secret", "token", "profile", "credential_provider", "role_arn"),
    *("request_payer", "sse_customer_key_base64"),
)


def is_same_customer(ours: IdentitySettings, theirs: IdentitySettings) -> bool:
    """Whether a request of the one may name what belongs to the other."""
    if ours.credentials_url is not None or theirs.credentials_url is not None:
        return False  # what a broker gives may be good for one folder only
    return all(getattr(ours, name) == getattr(theirs, name) for name in _CUSTOMER)
