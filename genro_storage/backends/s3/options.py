"""All that an ``s3`` mount can be told. Neither s3fs nor obstore is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from ..object_stores.client_options import ClientOptions, flattened
from ..object_stores.write_defaults import TaggedDefaults
from ..options import renamed
from ..public import PublicOptions
from .engines import check_engine
from .identity import IdentitySettings
from .location import Location, is_address, require_no_bucket, with_url
from .metadata import as_headers
from .presets import PRESETS, Preset
from .requests import RequestSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["S3Options"]


class S3Options(
    ClientOptions, TaggedDefaults, PublicOptions, RequestSettings, IdentitySettings, Location
):
    """A bucket of Amazon S3, or of a server that speaks its protocol.

    Keys of obstore's ``S3Config`` may have ``aws_`` before them, in small or capital letters, as
    in the environment.

    >>> S3Options.model_validate({"url": "s3://photos/2026", "AWS_REGION": "eu-south-1"}).prefix
    '2026'
    """

    synonyms: ClassVar[Mapping[str, str]] = {
        **Location.location_synonyms,
        **IdentitySettings.identity_synonyms,
        **RequestSettings.request_synonyms,
        **ClientOptions.client_synonyms,
    }

    prefixes: ClassVar[tuple[str, ...]] = ("aws_",)
    one_of: ClassVar[tuple[str, ...]] = ("bucket", "url", "credentials_url")
    place_scheme: ClassVar[str] = "s3"

    engine: Literal["auto", "obstore", "fsspec"] = Field(
        default="auto",
        description="Which client moves the contents: `obstore` (fast), `fsspec` (s3fs), or the "
        "fast one wherever the settings allow it.",
    )
    config: dict[str, Any] | None = Field(
        default=None, description="Any of these settings, nested as in obstore."
    )
    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def encoded_metadata(cls, metadata: Mapping[str, str]) -> dict[str, str]:
        return as_headers(metadata)

    @model_validator(mode="before")
    @classmethod
    def _rename_synonyms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return with_url(renamed(_without_aws(flattened(data)), cls.synonyms))

    @model_validator(mode="after")
    def _check_all(self) -> Self:
        if self.credentials_url is not None:
            if self.bucket is not None or self.prefix:
                given = "bucket" if self.bucket is not None else "prefix"
                raise ValueError(
                    f"{given!r} and 'credentials_url' exclude each other: the broker says which "
                    "bucket and prefix its credentials are for"
                )
            self.require_safe_broker(self.allow_http is True)
        self._check_preset()
        self._check_server()
        check_engine(self)
        return self

    def _check_preset(self) -> None:
        preset = self.preset
        if preset is None:
            if self.account is not None:
                raise ValueError("'account' belongs to 'provider: r2'; give that too")
            return
        template = preset.endpoint or ""
        for name in ("account", "region"):
            needed = f"{{{name}}}" in template and self.endpoint_url is None
            if needed and getattr(self, name) is None:
                raise ValueError(f"provider {self.provider!r} needs {name!r}, or 'endpoint_url'")
        if self.account is not None and "{account}" not in template:
            raise ValueError("'account' belongs to 'provider: r2'; give that too")

    def _check_server(self) -> None:
        if self.allow_http is False and (self.endpoint_url or "").startswith("http://"):
            raise ValueError(
                "'endpoint_url' begins with http:// and 'allow_http' is false; write https://"
            )
        if self.bucket is not None and self.endpoint_url is not None:
            require_no_bucket(self.endpoint_url, self.bucket)
        host = urlsplit(self.endpoint_url or "").hostname or ""
        if self.virtual_hosted_style_request and is_address(host):
            raise ValueError(
                "'virtual_hosted_style_request' puts the bucket before the host of 'endpoint_url', "
                "which is a number; give its name"
            )
        if self.s3_express and self.bucket is not None and not self.bucket.endswith("--x-s3"):
            raise ValueError("with 's3_express' the bucket's name ends in --x-s3")

    @property
    def preset(self) -> Preset | None:
        """What the provider needs, where one is named."""
        return None if self.provider is None else PRESETS[self.provider]

    @property
    def is_express(self) -> bool:
        """Whether it is a directory bucket."""
        named = (self.bucket or "").endswith("--x-s3")
        return named if self.s3_express is None else self.s3_express

    def origin_of(self, name: str) -> str:
        """Where a setting comes from: ``mount``, ``preset``, ``default``, or a variable's name."""
        return self._origins.get(name) or super().origin_of(name)


def _without_aws(data: dict[str, Any]) -> dict[str, Any]:
    """The same with obstore's other spellings (``aws_region``, ``AWS_REGION``) as the plain ones."""
    found: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    known = S3Options.known_keys()
    for key, value in data.items():
        name = key
        if key.lower().startswith("aws_"):
            plain = key.lower().removeprefix("aws_")
            name = plain if plain in known else key
        if name in found and found[name] != value:
            raise ValueError(
                f"{spelled[name]!r} and {key!r} are two names of one option, but their values "
                "differ; keep one of them"
            )
        found[name] = value
        spelled[name] = key
    return found
