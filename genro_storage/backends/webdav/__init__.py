"""``type: webdav``: what a mount of a WebDAV server (RFC 4918) can be told, and building it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from ...exceptions import StorageConfigError
from ...paths import normalise, physical
from ..addresses import split_address
from ..remote import NetworkOptions

if TYPE_CHECKING:
    from typing import Self

    from ..base import Backend
    from ..context import BuildContext

__all__ = ["WebdavOptions", "build"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
#: What is set for each request; another value would break it, or lead it elsewhere.
_OURS = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "depth", "destination",
     "host", "if-none-match", "overwrite", "range", "transfer-encoding"}
)  # fmt: skip


class WebdavOptions(NetworkOptions):
    """A collection of a WebDAV server (Nextcloud, Apache, nginx, a NAS …)."""

    synonyms: ClassVar[Mapping[str, str]] = {"base_path": "path"}

    url: str = Field(
        description="The address of the WebDAV collection, http or https, without credentials: "
        "https://cloud.example.org/remote.php/dav/files/anna"
    )
    username: str | None = Field(default=None, min_length=1, description="The user to log in as.")
    password: SecretStr | None = Field(
        default=None, description="The user's password, or better one for this application only."
    )
    token: SecretStr | None = Field(
        default=None, description="A bearer token, instead of a user and a password."
    )
    cert: str | tuple[str, str] | None = Field(
        default=None,
        description="A client certificate: a PEM file that holds it and its key, or a list of "
        "the two files. In a configuration file, relative paths start at the file's directory.",
    )
    cert_password: SecretStr | None = Field(
        default=None, description="What the key of the client certificate is encrypted with."
    )
    verify_ssl: bool | str = Field(
        default=True,
        description="Whether the server's certificate is checked; or the PEM file, or directory, "
        "of the authorities that may have signed it.",
    )
    path: str = Field(
        default="", description="The directory below the URL to start at, as a plain path."
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        repr=False,
        description="Further headers to send with each request; never shown.",
    )
    commit: Literal["move", "put"] = Field(
        default="move",
        description="How a finished write replaces a file: 'move' uploads beside it and renames, "
        "which no server can do by half; 'put' uploads into it, for servers that keep the old "
        "content until the upload is complete (Apache, nginx, Nextcloud, ownCloud).",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        # As it was written: the server shall see its own spelling.
        split_address(
            value, example="https://host/path", secrets="give them as 'username' and 'password'"
        )
        return value

    @field_validator("path")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return physical(normalise(value))

    @field_validator("cert", "verify_ssl")
    @classmethod
    def _check_files(cls, value: object) -> object:
        for file in value if isinstance(value, tuple) else (value,):
            if isinstance(file, str) and (not file or "\x00" in file):
                raise ValueError("this is not the path of a file")
        return value

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if not _HEADER_NAME.match(name):
                raise ValueError("the name of a header is not one")
            if name.lower() in _OURS:
                raise ValueError(f"the header {name!r} is set by the library; leave it out")
            if not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", content.get_secret_value()):
                raise ValueError(f"the header {name!r} has a character that no header can hold")
        return value

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("a bearer token is one word of visible ASCII characters")
        return value

    @field_validator("username")
    @classmethod
    def _check_username(cls, value: str | None) -> str | None:
        if value is not None and ":" in value:
            raise ValueError("a user name that HTTP can send has no colon")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("'username' and 'password' belong together; give both or neither")
        if self.token is not None and self.username is not None:
            raise ValueError("give either 'token', or 'username' and 'password'")
        if self.cert_password is not None and self.cert is None:
            raise ValueError("'cert_password' belongs to 'cert', which is missing")
        secured = self.url.lower().startswith("https:")
        if not secured and (self.cert is not None or isinstance(self.verify_ssl, str)):
            raise ValueError("'cert' and the authorities of 'verify_ssl' need a URL with https")
        return self


def build(options: WebdavOptions, context: BuildContext) -> Backend:
    """The backend of the collection; it connects at its first use.

    Raises ``StorageConfigError`` where a certificate's file does not exist.
    """
    from .backend import WebdavBackend
    from .settings import Settings

    def found(key: str, file: str) -> str:
        place = os.path.expanduser(file)
        if context.base is not None:
            place = os.path.join(os.path.abspath(context.base), place)
        place = os.path.abspath(place)
        if not os.path.exists(place):
            raise StorageConfigError(
                f"mount {context.mount!r} (webdav): the file {place!r} of {key!r} does not exist",
                node=context.mount,
            )
        return place

    verify = options.verify_ssl
    cert = (options.cert,) if isinstance(options.cert, str) else options.cert or ()
    return WebdavBackend(
        Settings(
            mount=context.mount,
            url=options.url,
            bounds=options.bounds,
            username=options.username,
            password=options.password,
            token=options.token,
            cert=tuple(found("cert", file) for file in cert),
            cert_password=options.cert_password,
            verify=found("verify_ssl", verify) if isinstance(verify, str) else verify,
            headers=options.headers,
        ),
        options.path,
        direct=options.commit == "put",
    )
