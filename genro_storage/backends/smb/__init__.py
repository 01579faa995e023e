"""``type: smb``: what people write about a share, and the backend made of it.

Imports neither fsspec nor the client library: configuring a mount must cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from ..remote import NetworkOptions
from .names import refusal

if TYPE_CHECKING:
    from ..base import Backend
    from ..context import BuildContext

__all__ = ["SmbOptions", "build"]


class SmbOptions(NetworkOptions):
    """A share of a Windows or Samba server."""

    synonyms: ClassVar[Mapping[str, str]] = {"base_path": "path"}

    host: str = Field(min_length=1, description="The name or address of the server.")
    share: str = Field(min_length=1, description="The name of the share, without slashes.")
    path: str = Field(
        default="",
        description="The directory of the share that the mount begins at; by default its root.",
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="Who logs in. Without it the Kerberos ticket of the process is used, where "
        "the system has Kerberos.",
    )
    password: SecretStr | None = Field(default=None, description="The password of that user.")
    domain: str | None = Field(
        default=None,
        min_length=1,
        description="The domain or workgroup of the user, where the server asks for one.",
    )
    port: int = Field(default=445, ge=1, le=65535, description="The port of the server.")
    encrypt: bool = Field(
        default=False,
        description="Refuse a connection that is not encrypted (SMB 3). What is sent is signed "
        "in any case, and encrypted where the server asks for it.",
    )

    @field_validator("host", "share")
    @classmethod
    def _is_one_name(cls, value: str) -> str:
        name = value.strip("/\\")
        if not name or "/" in name or "\\" in name:
            raise ValueError("must be one name, without slashes; a directory goes into 'path'")
        return name

    @field_validator("host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        try:
            value.encode("idna")
        except UnicodeError:
            raise ValueError("is no name of a server") from None
        return value

    @field_validator("path")
    @classmethod
    def _is_relative(cls, value: str) -> str:
        names = [name for name in value.replace("\\", "/").split("/") if name not in ("", ".")]
        if ".." in names:
            raise ValueError("must not contain '..'")
        path = "/".join(names)
        problem = refusal(path)
        if problem:
            raise ValueError(problem)
        return path

    @model_validator(mode="after")
    def _credentials_belong_together(self) -> Self:
        if self.username is None:
            for key in ("password", "domain"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key!r} needs a 'username'")
        elif self.domain is not None and ("\\" in self.username or "@" in self.username):
            raise ValueError(
                "'username' names a domain already; leave 'domain' out, or write the bare user"
            )
        return self

    @property
    def account(self) -> str | None:
        """The user as the protocol spells it."""
        return f"{self.domain}\\{self.username}" if self.domain else self.username


def build(options: SmbOptions, context: BuildContext) -> Backend:
    """A backend that connects at its first use."""
    from .backend import SmbBackend

    return SmbBackend(options, context.mount)
