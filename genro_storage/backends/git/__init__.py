"""The types ``git`` and ``github``: what they can be told, and how they are built."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ...exceptions import StorageConfigError
from ...paths import normalise, physical
from ..addresses import checked_address
from ..options import BackendOptions
from ..remote import NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from ..base import Backend
    from ..context import BuildContext

__all__ = ["GitOptions", "GithubOptions", "build_git", "build_github"]

_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]+\Z")
_TOKEN = re.compile(r"[\x21-\x7e]+")
# What git-check-ref-format(1) forbids, so that a ref is one piece of a URL and nothing else.
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|\A[/-]|/\Z|//|\.\Z|\.lock\Z|(?:\A|/)\.")


def _inside(value: str) -> str:
    return physical(normalise(value.strip("/")))


class GitOptions(BackendOptions):
    """One branch, tag or commit of a git repository on this machine, read-only."""

    synonyms: ClassVar[Mapping[str, str]] = {"base_path": "path", "fo": "path"}

    path: str = Field(
        min_length=1,
        description="The repository: a directory with a working tree, or a bare repository. In a "
        "configuration file a relative path starts at the file; in code it must be absolute.",
    )
    ref: str = Field(
        default="HEAD",
        min_length=1,
        description="A branch, a tag, a commit's id (or the beginning of it), or another "
        "expression that git understands, such as `main~3`.",
    )
    prefix: str = Field(
        default="", description="The directory inside the repository that the mount starts at."
    )
    times: bool = Field(
        default=True,
        description="Give every entry the time of the last commit that changed it. That walks "
        "through the history once for each directory that is looked at; in a repository with "
        "hundreds of thousands of commits switch it off.",
    )

    @field_validator("path", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("path", "ref")
    @classmethod
    def _no_nul(cls, value: str) -> str:
        if "\x00" in value:
            raise ValueError("a NUL character cannot be in it")
        return value

    @field_validator("ref", mode="before")
    @classmethod
    def _default_ref(cls, value: Any) -> Any:
        return "HEAD" if value is None else value

    @field_validator("prefix")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return _inside(value)


def build_git(options: GitOptions, context: BuildContext) -> Backend:
    """The backend of a local repository, which is opened at the first use.

    Raises ``StorageConfigError`` where the path is relative and nothing says to what.
    """
    from .local import GitBackend

    path = options.path
    if context.base is not None:
        path = context.local_path(path)
    elif not os.path.isabs(path):
        raise StorageConfigError(
            f"mount {context.mount!r} (git): the path {path!r} is not absolute; in code, write for "
            "instance Path(...).resolve() (relative paths and '~' are for configuration files)",
            node=context.mount,
        )
    return GitBackend(
        path, options.ref, prefix=options.prefix, times=options.times, mount=context.mount
    )


class GithubOptions(NetworkOptions):
    """One branch, tag or commit of a repository on GitHub, read-only, through the REST API."""

    synonyms: ClassVar[Mapping[str, str]] = {"sha": "ref", "path": "prefix", "base_path": "prefix"}

    org: str = Field(description="The organisation or user that owns the repository.")
    repo: str = Field(description="The repository's name.")
    ref: str | None = Field(
        default=None,
        description="A branch, a tag or a commit's id. Without it, the default branch.",
    )
    prefix: str = Field(
        default="", description="The directory inside the repository that the mount starts at."
    )
    token: SecretStr | None = Field(
        default=None,
        description="An access token; an empty one is none. Private repositories need one, and GitHub allows 5,000 "
        "requests an hour with a token, 60 without.",
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="With it, the token is sent as this user's password (basic authentication) "
        "instead of as a bearer token.",
    )
    base_url: str = Field(
        default="https://api.github.com",
        description="Where the API is. For GitHub Enterprise Server `https://HOST/api/v3`.",
    )
    refresh: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="For how many seconds the commit that a branch leads to is remembered. With 0 "
        "every operation asks, so that a push is seen at once.",
    )

    @field_validator("org", "repo")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not _NAME.match(value):
            raise ValueError("expected a name of letters, digits, '-', '_' and '.', without '/'")
        return value

    @field_validator("ref")
    @classmethod
    def _check_ref(cls, value: str | None) -> str | None:
        if value is not None and (not value or _NO_REF.search(value)):
            raise ValueError("expected a branch, a tag or a commit's id")
        return value

    @field_validator("prefix")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return _inside(value)

    @field_validator("token")
    @classmethod
    def _no_token(cls, value: SecretStr | None) -> SecretStr | None:
        # ``${GITHUB_TOKEN:-}`` is empty where there is none.
        return value if value is not None and value.get_secret_value() else None

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        return checked_address(
            value, example="https://github.example.org/api/v3", secrets="use 'token'"
        )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.username is not None and self.token is None:
            raise ValueError("'username' needs a 'token' beside it")
        if self.token is not None:
            if not _TOKEN.fullmatch(self.token.get_secret_value()):
                raise ValueError("'token' has a character that no token has (a line end?)")
            if urlsplit(self.base_url).scheme == "http" and not _is_here(self.base_url):
                raise ValueError("'token' would be sent unencrypted; 'base_url' must be https://")
        return self


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def build_github(options: GithubOptions, context: BuildContext) -> Backend:
    """The backend of a repository on GitHub; nothing is asked before the first use."""
    from .github import GithubBackend, Source

    token = options.token.get_secret_value() if options.token is not None else None
    source = Source(
        options.org,
        options.repo,
        base_url=options.base_url,
        token=token,
        username=options.username,
        mount=context.mount,
    )
    return GithubBackend(
        source,
        options.ref,
        prefix=options.prefix,
        bounds=options.bounds,
        refresh=options.refresh,
    )
