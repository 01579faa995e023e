"""What every write of a mount keeps, unless the call says otherwise: options of object stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from ...attributes import check_attributes
from ...info import Attributes
from ..options import BackendOptions
from .kept import refuse_internal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EncryptedDefaults", "TaggedDefaults", "WriteDefaults"]


class WriteDefaults(BackendOptions):
    """The attributes that a mount gives to what is written through it."""

    cache_control: str | None = Field(
        default=None,
        min_length=1,
        description="The Cache-Control header of what is written, such as `max-age=3600`.",
    )
    storage_class: str | None = Field(
        default=None,
        min_length=1,
        description="The storage class (on Azure: the access tier) of what is written, by the "
        "service's own name; without it the service chooses.",
    )
    metadata: dict[str, str] | None = Field(
        default=None,
        description="User metadata of everything that is written; a write that brings its own "
        "adds to it.",
    )
    keep_mtime: bool = Field(
        default=True,
        description="Keep the modification time of files that are copied here in the user "
        "metadata `mtime`, as rclone does.",
    )
    verify_downloads: bool = Field(
        default=True,
        description="Compare files that are read from start to end with the digest that the "
        "store knows, where it knows one.",
    )

    @field_validator("cache_control", "storage_class")
    @classmethod
    def _check_header(cls, value: str | None) -> str | None:
        check_attributes(Attributes(cache_control=value))
        return value

    @field_validator("metadata")
    @classmethod
    def _check_metadata(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        refuse_internal(value or {})
        cls.encoded_metadata(value or {})  # else every write would fail
        return value

    @classmethod
    def encoded_metadata(cls, metadata: Mapping[str, str]) -> dict[str, str]:
        """As the service holds them; ``ValueError`` where it cannot."""
        return dict(metadata)

    def write_defaults(self) -> Attributes:
        """As what a write would be given."""
        tags: Mapping[str, str] | None = getattr(self, "tags", None)
        return Attributes(
            metadata=self.metadata,
            cache_control=self.cache_control,
            storage_class=self.storage_class,
            tags=tags,
            encryption=getattr(self, "encryption", None),
        )


class TaggedDefaults(WriteDefaults):
    """The same where objects have tags."""

    tags: dict[str, str] | None = Field(
        default=None,
        max_length=10,
        description="Tags of everything that is written, at most ten; a write that brings its own "
        "has only those.",
    )


class EncryptedDefaults(WriteDefaults):
    """The same where one name says how to encrypt."""

    encryption: str | None = Field(
        default=None,
        min_length=1,
        description="What everything that is written is encrypted with: the name of a key of "
        "Cloud KMS, on Azure of an encryption scope; without it the service's own choice.",
    )

    @field_validator("encryption")
    @classmethod
    def _check_encryption(cls, value: str | None) -> str | None:
        check_attributes(Attributes(encryption=value))
        return value
