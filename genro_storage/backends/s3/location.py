"""Where a mount of type ``s3`` is: its bucket, its server, and the URLs that name both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from ...paths import is_addressable
from ..addresses import checked_address
from ..object_stores.plain import check_name, check_region
from ..options import BackendOptions
from .presets import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Location",
    "Spot",
    "check_bucket",
    "check_prefix",
    "checked_endpoint",
    "is_address",
    "read_url",
    "require_no_bucket",
    "split_uri",
]

# The ARN of an access point, as botocore lets it through beside a name.
_ARN = re.compile(r"arn:aws[A-Za-z-]*:s3[A-Za-z0-9/:._-]+", re.ASCII)
_AMAZON = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com(?:\.cn)?"
)
_R2 = re.compile(r"[a-z0-9]+(?:\.(?:eu|fedramp))?\.r2\.cloudflarestorage\.com")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


class Spot(NamedTuple):
    """What a URL says about the place of a mount; None is what it does not say."""

    bucket: str
    prefix: str
    region: str | None = None
    endpoint_url: str | None = None


def check_bucket(value: str) -> str:
    """A bucket's name; ``ValueError`` where it is none."""
    if _ARN.fullmatch(value):
        return value
    if len(value) > 255:
        raise ValueError("a bucket's name has at most 255 characters")
    return check_name(value, "bucket", "prefix")


def check_prefix(value: str) -> str:
    """A prefix without slashes around it; ``ValueError`` where no path leads there."""
    # Not normalised: in a bucket "a//b" and "a/b" are two places.
    prefix = value.strip("/")
    if prefix and not is_addressable(prefix):
        raise ValueError("no part of a prefix may be empty, '.' or '..'")
    return prefix


def checked_endpoint(value: str) -> str:
    """The address of a server in one spelling; ``ValueError`` that shows nothing of it."""
    return checked_address(
        value, example="https://host:9000", secrets="credentials are 'key' and 'secret'"
    )


def require_no_bucket(endpoint: str, bucket: str) -> None:
    """``ValueError`` where the bucket's URL stands in the place of the server's.

    A path that is not the bucket's is that of a gateway with a server behind it.
    """
    parts = urlsplit(endpoint)
    if unquote(parts.path).rstrip("/").rpartition("/")[2] == bucket:
        server = parts._replace(path=parts.path.rstrip("/").rpartition("/")[0]).geturl()
        raise ValueError(
            f"'endpoint_url' ends with the bucket's name, and is the server alone; write {server}"
        )


def is_address(host: str) -> bool:
    """Whether a host is a number rather than a name."""
    return _ADDRESS.fullmatch(host) is not None


def split_uri(uri: str) -> Spot:
    """The bucket and the prefix of ``s3://bucket/prefix``; ``ValueError`` where it is no such text.

    >>> split_uri("s3://photos/2026/")
    Spot(bucket='photos', prefix='2026', region=None, endpoint_url=None)
    """
    scheme, colon, rest = uri.partition("://")
    if not colon or scheme.lower() not in ("s3", "s3a"):
        raise ValueError("it must be written s3://bucket/prefix")
    if "?" in rest or "#" in rest:
        raise ValueError("it must not have a query or a fragment; write 'bucket' and 'prefix'")
    bucket, _, prefix = rest.partition("/")
    return Spot(check_bucket(bucket), check_prefix(prefix))


def read_url(url: str) -> Spot:
    """What the ``url`` of a mount says; ``ValueError`` for a URL that is not S3's.

    >>> read_url("https://photos.s3.eu-south-1.amazonaws.com/2026")
    Spot(bucket='photos', prefix='2026', region='eu-south-1', endpoint_url=None)
    """
    if url.lower().startswith(("s3://", "s3a://")):
        return split_uri(url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError("this is no URL; write for instance s3://bucket/prefix") from None
    if parts.scheme != "https":
        raise ValueError(
            "it must begin with s3:// or https://; or give 'endpoint_url' and 'bucket'"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL must not hold credentials; use 'key' and 'secret'")
    if parts.query or parts.fragment:
        raise ValueError("the URL must not have a query or a fragment")
    path = unquote(parts.path).strip("/")
    amazon = _AMAZON.fullmatch(host)
    if port is None and amazon is not None:
        # That of China is found by its region.
        region = amazon["region"]
        if amazon["bucket"]:
            return Spot(check_bucket(amazon["bucket"]), check_prefix(path), region)
        return _in_path(path, region, None)
    if port is None and _R2.fullmatch(host):
        return _in_path(path, "auto", f"https://{host}")
    raise ValueError(
        "which bucket this is only Amazon's URLs and those of R2 say; give 'endpoint_url' "
        "(https://host) and 'bucket' instead"
    )


def _in_path(path: str, region: str | None, endpoint: str | None) -> Spot:
    bucket, _, prefix = path.partition("/")
    if not bucket:
        raise ValueError("the URL names no bucket; write it after the host")
    return Spot(check_bucket(bucket), check_prefix(prefix), region, endpoint)


class Location(BackendOptions):
    """Which bucket, and on which server."""

    location_synonyms: ClassVar[Mapping[str, str]] = {
        "base_path": "prefix",
        "bucket_name": "bucket",
        "endpoint": "endpoint_url",
        "endpoint_url_s3": "endpoint_url",
        "aws_endpoint_url_s3": "endpoint_url",
    }

    bucket: str | None = Field(
        default=None,
        description="The bucket's name, or the ARN of an access point. Required, unless `url` or "
        "a credentials broker names it, or the environment (`AWS_BUCKET`).",
    )
    prefix: str = Field(
        default="",
        description="The directory inside the bucket to start at; the whole bucket without it.",
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        description="Bucket, prefix and region as one URL: `s3://bucket/prefix`, or an `https://` "
        "URL of a bucket of Amazon's or of Cloudflare R2.",
    )
    region: str | None = Field(
        default=None,
        min_length=1,
        description="The region of the bucket, such as `eu-west-1`. Without it the environment or "
        "the profile is asked, and Amazon itself last.",
    )
    default_region: str | None = Field(
        default=None,
        min_length=1,
        description="The region to ask first about a bucket whose `region` is not given.",
    )
    endpoint_url: str | None = Field(
        default=None,
        min_length=1,
        description="Where the server is, if it is not Amazon's: `https://minio.example.org:9000`. "
        "Without it the environment (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT`) or "
        "the profile is asked.",
    )
    provider: Provider | None = Field(
        default=None,
        description="Whose server it is: sets what that server needs (see the table of presets).",
    )
    account: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        description="The account id, with `provider: r2`.",
    )
    virtual_hosted_style_request: bool | None = Field(
        default=None,
        description="Whether the bucket's name goes before the host (`https://bucket.host/key`) or "
        "into the path (`https://host/bucket/key`). Without it, before the host on Amazon and into "
        "the path elsewhere. `endpoint_url` may be given with the bucket in front, or without.",
    )
    s3_express: bool | None = Field(
        default=None,
        description="Whether it is a directory bucket of S3 Express; told from its name without it.",
    )
    use_fips_endpoint: bool = Field(
        default=False, description="Use Amazon's endpoints that are validated by FIPS 140."
    )
    use_dualstack_endpoint: bool = Field(
        default=False, description="Use Amazon's endpoints that have IPv6 addresses too."
    )
    use_accelerate_endpoint: bool = Field(
        default=False, description="Use Amazon's Transfer Acceleration."
    )

    @field_validator("bucket")
    @classmethod
    def _check_bucket(cls, value: str | None) -> str | None:
        return None if value is None else check_bucket(value)

    @field_validator("region", "default_region")
    @classmethod
    def _check_region(cls, value: str | None) -> str | None:
        return None if value is None else check_region(value)

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        return check_prefix(value)

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        return checked_endpoint(value)


def with_url(data: dict[str, Any]) -> dict[str, Any]:
    """The keys of a mount with what its ``url`` says; ``ValueError`` for a contradiction."""
    url = data.get("url")
    if not isinstance(url, str) or not url:
        return data
    try:
        spot = read_url(url)
    except ValueError as error:
        raise ValueError(f"option 'url': {error}") from None
    found = dict(data)
    for name, value in spot._asdict().items():
        given = data.get(name)
        if name == "prefix" and isinstance(given, str):
            given = given.strip("/")
        if given is None or (name == "endpoint_url" and value is None):
            if value:
                found[name] = value
        elif value is not None and given != value:
            raise ValueError(f"{name!r} and 'url' say two things; keep one of them")
    return found
