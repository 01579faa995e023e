"""What goes along with the requests of an ``s3`` mount: encryption, who pays, checksums, conditions."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from ..object_stores.plain import check_line
from ..options import BackendOptions
from .conditional_copy import CopyCondition

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["RequestSettings", "along_with", "no_conditions"]


class RequestSettings(BackendOptions):
    """What each request of a kind carries."""

    request_synonyms: ClassVar[Mapping[str, str]] = {"requester_pays": "request_payer"}

    request_payer: bool = Field(
        default=False, description="Pay for requests to a bucket whose owner makes requesters pay."
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse", "sse-c"] | None = Field(
        default=None,
        description="How the server encrypts what is written: with its own keys, with one of KMS, "
        "or with `sse_customer_key_base64`.",
    )
    sse_kms_key_id: str | None = Field(
        default=None,
        min_length=1,
        description="The key of KMS, with `aws:kms` or `aws:kms:dsse`.",
    )
    sse_bucket_key_enabled: bool | None = Field(
        default=None,
        description="Whether one data key serves the whole bucket (cheaper), or each object has "
        "one; what the bucket says without it.",
    )
    sse_customer_key_base64: SecretStr | None = Field(
        default=None,
        description="Your own key of 256 bits in base64, with `sse-c`: whoever reads needs it.",
    )
    checksum_algorithm: Literal["sha256", "crc64nvme"] | None = Field(
        default=None,
        description="The checksum that goes along with uploads, which Amazon verifies.",
    )
    unsigned_payload: bool = Field(
        default=False,
        description="Leave the content out of signatures: faster, over `https://` only.",
    )
    conditional_put: Literal["etag", "disabled"] = Field(
        default="etag",
        description="Whether the server refuses to replace when it is asked to. `disabled` is for "
        "servers that ignore the condition: a look before the write is all there is then, and "
        "`if_match` is refused.",
    )
    copy_if_not_exists: str | None = Field(
        default=None,
        min_length=1,
        description="How the server copies only where nothing has the target's name: `multipart` "
        "(Amazon), `header:NAME:VALUE` (R2: `header:cf-copy-destination-if-none-match:*`) or "
        "`header-with-status:NAME:VALUE:STATUS`. Without it such a copy goes through this machine.",
    )
    store_checksums: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Keep the MD5 of the content in the user metadata `md5chksum`, as rclone does. "
        "`auto`: of what is uploaded by one request; `always`: also of large files, which are read "
        "once more for it; `never`: none is kept, and none that others have kept is believed.",
    )
    disable_bulk_delete: bool = Field(
        default=False,
        description="Delete one object in a request: slow, and every server knows it.",
    )
    disable_tagging: bool = Field(
        default=False, description="Neither read nor write tags, which some servers do not know."
    )

    @field_validator("checksum_algorithm", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("request_payer", mode="before")
    @classmethod
    def _read_payer(cls, value: object) -> object:
        return True if isinstance(value, str) and value.lower() == "requester" else value

    @field_validator("sse_customer_key_base64")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                found = len(base64.b64decode(value.get_secret_value(), validate=True))
            except (binascii.Error, ValueError):
                found = 0
            if found != 32:
                raise ValueError("the key must be 32 bytes, written in base64")
        return value

    @field_validator("sse_kms_key_id")
    @classmethod
    def _check_kms_key(cls, value: str | None) -> str | None:
        return None if value is None else check_line(value)

    @field_validator("copy_if_not_exists")
    @classmethod
    def _check_copy(cls, value: str | None) -> str | None:
        if value is not None:
            CopyCondition.of(value)
        return value

    @model_validator(mode="after")
    def _check_tags(self) -> Self:
        if self.disable_tagging and getattr(self, "tags", None):
            raise ValueError("'disable_tagging' means that no 'tags' are sent; remove one of them")
        return self

    @model_validator(mode="after")
    def _check_encryption(self) -> Self:
        kind = self.server_side_encryption
        if self.sse_kms_key_id is not None and kind not in ("aws:kms", "aws:kms:dsse"):
            raise ValueError("'sse_kms_key_id' needs 'server_side_encryption: aws:kms'")
        if (self.sse_customer_key_base64 is not None) != (kind == "sse-c"):
            raise ValueError(
                "'sse_customer_key_base64' and 'server_side_encryption: sse-c' belong together"
            )
        return self

    def origin_of(self, name: str) -> str:
        """Where a setting comes from: ``mount`` or ``default``, and what subclasses know."""
        return "mount" if name in self.model_fields_set else "default"

    @property
    def believes_checksums(self) -> bool:
        """Whether an MD5 among the metadata of an object counts as that of its content."""
        return self.store_checksums != "never"

    @property
    def copy_condition(self) -> CopyCondition | None:
        """How copies are told not to replace; None where nothing was said."""
        return (
            None if self.copy_if_not_exists is None else CopyCondition.of(self.copy_if_not_exists)
        )

    @property
    def customer_key(self) -> bytes | None:
        """The key of ``sse-c``."""
        found = self.sse_customer_key_base64
        return None if found is None else base64.b64decode(found.get_secret_value())


def no_conditions(options: RequestSettings) -> str:
    """Why a write cannot be bound to a condition."""
    named = "'conditional_put: disabled'"
    if options.origin_of("conditional_put") == "preset":
        named = f"'provider: {getattr(options, 'provider', None)}'"
    return (
        f"the server ignores the conditions of a write ({named}), and would replace whatever is "
        "there"
    )


_WRITES = ("put_object", "create_multipart_upload", "copy_object")
_WITH_KEY = (
    *_WRITES,
    "get_object",
    "head_object",
    "get_object_attributes",
    "upload_part",
    "upload_part_copy",
    "complete_multipart_upload",
)
_COPIES = ("copy_object", "upload_part_copy")
_WITH_CHECKSUM = ("put_object", "create_multipart_upload", "upload_part", "copy_object")


def along_with(settings: RequestSettings, operation: str) -> dict[str, Any]:
    """The parameters that the SDK needs with an operation; what a caller gives precedes them."""
    found: dict[str, Any] = {}
    if settings.request_payer and "_bucket" not in operation:  # what a bucket is costs nothing
        found["RequestPayer"] = "requester"
    key = settings.customer_key
    if key is not None and operation in _WITH_KEY:
        found |= {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
        if operation in _COPIES:
            found |= {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}
    elif settings.server_side_encryption is not None and operation in _WRITES:
        found["ServerSideEncryption"] = settings.server_side_encryption
        if settings.sse_kms_key_id is not None:
            found["SSEKMSKeyId"] = settings.sse_kms_key_id
    if settings.sse_bucket_key_enabled is not None and operation in _WRITES:
        found["BucketKeyEnabled"] = settings.sse_bucket_key_enabled
    if settings.checksum_algorithm is not None and operation in _WITH_CHECKSUM:
        found["ChecksumAlgorithm"] = settings.checksum_algorithm.upper()
    return found
