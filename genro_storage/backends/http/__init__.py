"""``type: http``: the files of a web server, to read. This module imports no client."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from ...exceptions import StorageConfigError
from ...paths import normalise
from ..remote import NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from ..base import Backend
    from ..context import BuildContext

__all__ = ["HttpOptions", "Listing", "build"]

#: What is taken from the page that a server shows for a directory.
Listing = bool | Literal["links"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_OURS = {
    *("accept-encoding", "connection", "content-length", "content-type", "cookie", "expect"),
    *("host", "if-match", "if-modified-since", "if-none-match", "if-range"),
    *("if-unmodified-since", "range", "te", "trailer", "transfer-encoding", "upgrade"),
}


class HttpOptions(NetworkOptions):
    """The files of a web server, to read."""

    synonyms: ClassVar[Mapping[str, str]] = {"base_path": "base_url"}

    base_url: str = Field(
        description="The URL of the directory to start at (http or https), without credentials. "
        "It is written as URLs are (%20 for a space); the names of nodes are not.",
    )
    listing: Listing = Field(
        default=False,
        description="Whether the server shows what is in its directories. 'true' reads the pages "
        "of nginx, Apache, Caddy, Python and others of their kind and refuses every other page; "
        "'links' takes the links of any page for entries.",
    )
    details: bool = Field(
        default=True,
        description="Where a page says no exact size and time, as those in HTML, ask the server "
        "about each file of a listing. With 'false' they are left out.",
    )
    probe: str | None = Field(
        default=None,
        min_length=1,
        description="A file below 'base_url' that a check of the mount asks for, for a server "
        "that answers nothing useful at 'base_url' itself.",
    )
    username: str | None = Field(
        default=None, min_length=1, description="The user, for the login 'basic'."
    )
    password: SecretStr | None = Field(default=None, description="The user's password.")
    token: SecretStr | None = Field(
        default=None, description="A bearer token, instead of user and password."
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr],
        description="Further headers to send, such as an API key. Like all credentials they go "
        "to the server of 'base_url' only, wherever it redirects to.",
    )
    cookies: dict[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr],
        description="Cookies to send. Those that the server sets are not kept.",
    )
    verify_ssl: bool | str = Field(
        default=True,
        description="Whether the server's certificate must be trusted: 'false' for not at all, or "
        "a file of the authorities to trust (PEM) instead of those of the system.",
    )
    cert: str | list[str] | None = Field(
        default=None,
        description="The client's own certificate (PEM): a file that holds it with its key, or "
        "the two files, certificate first. The key has no password.",
    )
    redirects: Literal["any", "same-server", "none"] = Field(
        default="any",
        description="Where the server may redirect to (ten times at most; never from https to "
        "http): anywhere, to places of its own, or not at all.",
    )
    proxy: SecretStr | None = Field(
        default=None,
        description="The URL of a proxy, with its credentials if it wants some.",
    )
    trust_env: bool = Field(
        default=True,
        description="Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment are followed "
        "(or what the system says), where 'proxy' is not given.",
    )

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        from .urls import Site

        Site.parse(value)
        return value

    @field_validator("probe")
    @classmethod
    def _check_probe(cls, value: str | None) -> str | None:
        return None if value is None else normalise(value)

    @field_validator("username")
    @classmethod
    def _check_username(cls, value: str | None) -> str | None:
        if value is not None and ":" in value:
            raise ValueError("the login 'basic' allows no colon in a user's name")
        return value

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("a token has no spaces, line breaks or other special characters")
        return value

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError("a name in it is no header's name")
            if name.lower() in _OURS:
                raise ValueError(f"the header {name!r} is set by the library; leave it out")
            if _UNSENDABLE.search(secret.get_secret_value()):
                raise ValueError(f"the value of {name!r} has characters that no header can hold")
        if len({name.lower() for name in value}) != len(value):
            raise ValueError("two headers have one name (capitals do not matter)")
        return value

    @field_validator("cookies")
    @classmethod
    def _check_cookies(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError("a name in it is no cookie's name")
            if not re.fullmatch(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*", _text(secret)):
                raise ValueError(f"the value of {name!r} has characters that no cookie can hold")
        return value

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"https?://[^/\s]", value.get_secret_value()):
            raise ValueError("expected a URL that begins with http:// or https://")
        return value

    @field_validator("verify_ssl", mode="before")
    @classmethod
    def _read_switch(cls, value: object) -> object:
        # From the environment everything comes as text, and a file is seldom called "false".
        words = {"true": True, "false": False}
        return words.get(value.lower(), value) if isinstance(value, str) else value

    @field_validator("cert")
    @classmethod
    def _check_cert(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) != 2:
            raise ValueError("expected one file, or two: the certificate and its key")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("'username' and 'password' go together; give both or none")
        given = [
            name
            for name, value in (
                ("'username' and 'password'", self.username),
                ("'token'", self.token),
                ("'headers' with 'Authorization'", self._authorization()),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one")
        return self

    def _authorization(self) -> SecretStr | None:
        return next((v for k, v in self.headers.items() if k.lower() == "authorization"), None)

    def sent_headers(self) -> dict[str, str]:
        """Everything that is sent along, in clear."""
        sent = {name: _text(value) for name, value in self.headers.items()}
        if self.username is not None and self.password is not None:
            pair = f"{self.username}:{_text(self.password)}".encode()
            sent["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
        if self.token is not None:
            sent["Authorization"] = f"Bearer {_text(self.token)}"
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{k}={_text(v)}" for k, v in self.cookies.items())
        return sent

    def credentials(self) -> str | None:
        """What is sent to be let in, by the names of the keys."""
        if self.username is not None:
            return "'username' and 'password'"
        named = (("token", self.token), ("headers", self.headers), ("cookies", self.cookies))
        found = [f"'{name}'" for name, value in (*named, ("cert", self.cert)) if value]
        return " and ".join(found) or None


def _text(secret: SecretStr) -> str:
    return secret.get_secret_value()


def build(options: HttpOptions, context: BuildContext) -> Backend:
    """The backend; nothing is asked of the server.

    Raises ``StorageConfigError`` where a file that ``cert`` or ``verify_ssl`` names is missing.
    """
    from .backend import HttpBackend
    from .settings import Settings
    from .urls import Site

    site = Site.parse(options.base_url)
    verify = options.verify_ssl
    authorities = None
    if isinstance(verify, str):
        authorities, verify = _file("verify_ssl", verify, context), True
    certificate: tuple[str, str | None] | None = None
    if isinstance(options.cert, str):
        certificate = (_file("cert", options.cert, context), None)
    elif options.cert is not None:
        certificate = (
            _file("cert", options.cert[0], context),
            _file("cert", options.cert[1], context),
        )
    settings = Settings(
        site=site,
        bounds=options.bounds,
        mount=context.mount,
        headers=options.sent_headers(),
        credentials=options.credentials(),
        verify=verify,
        authorities=authorities,
        certificate=certificate,
        proxy=None if options.proxy is None else _text(options.proxy),
        trust_env=options.trust_env,
        redirects=options.redirects,
    )
    return HttpBackend(
        settings, listing=options.listing, details=options.details, probe=options.probe
    )


def _file(key: str, name: str, context: BuildContext) -> str:
    if context.base is not None:
        name = context.local_path(name)
    if not os.path.isfile(name):
        raise StorageConfigError(
            f"mount {context.mount!r} (http): the file {name!r} of {key!r} does not exist",
            node=context.mount,
        )
    return name
