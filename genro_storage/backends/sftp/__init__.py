"""``type: sftp``: the options and how a mount is built; nothing here connects to anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from ..remote import NetworkOptions, missing_extra
from .hosts import Checking, HostTrust, Login, parse_host_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from ..base import Backend
    from ..context import BuildContext
    from .files import SftpFiles

__all__ = ["SftpOptions", "build"]

_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


def _several(value: Any) -> Any:
    """One text, one path, or several of them."""
    if isinstance(value, str | os.PathLike):
        value = [value]
    if isinstance(value, list | tuple):
        return tuple(os.fspath(each) if isinstance(each, os.PathLike) else each for each in value)
    return value


_Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_several)]


class SftpOptions(NetworkOptions):
    """A directory of a server that offers SFTP (SSH File Transfer Protocol)."""

    synonyms: ClassVar[Mapping[str, str]] = {"base_path": "path"}

    host: str = Field(min_length=1, description="The server's name or address.")
    port: int = Field(default=22, ge=1, le=65535, description="Where it listens.")
    username: str | None = Field(
        default=None,
        min_length=1,
        description="Who logs in; by default the user of this machine, as with ssh.",
    )
    path: str = Field(
        default="/",
        description="The root of the mount. An empty or relative one starts at the directory "
        "where the server puts this user after logging in.",
    )
    password: SecretStr | None = Field(
        default=None, description="The user's password; also tried to unlock an encrypted key."
    )
    key_filename: _Texts = Field(
        default=(),
        description="One file with a private key, or several. In a file of mounts, a relative "
        "path starts at the file's directory. Without it and without 'password', the keys of the "
        "agent and of ~/.ssh are tried.",
    )
    passphrase: SecretStr | None = Field(
        default=None, description="What unlocks an encrypted private key."
    )
    host_key: _Texts = Field(
        default=(),
        description="The key that the server must show ('ssh-ed25519 AAAA…', a line that "
        "ssh-keyscan prints) or its fingerprint ('ssh-ed25519 SHA256:…', as messages show it), or "
        "several; known hosts are not looked at then.",
    )
    known_hosts: _Texts = Field(
        default=(),
        description="Files of known host keys to use instead of those of ssh; a server that is "
        "not in them is refused.",
    )
    host_key_checking: Checking | None = Field(
        default=None,
        description="'strict' refuses a server whose key is not known. 'accept-new' trusts it, "
        "and holds it to that key as long as the mount lives; a key that differs from the known "
        "one is refused all the same. 'ignore' trusts whoever answers. By default 'strict' where "
        "'known_hosts' or 'host_key' is given, else 'accept-new' with a warning.",
    )
    max_sessions: int = Field(
        default=8,
        ge=1,
        le=100,
        description="How many SFTP sessions share the one connection at most. Servers that allow "
        "fewer get fewer.",
    )
    atomic: bool = Field(
        default=True,
        description="Replace files in one step, which nearly all servers can (posix-rename); on "
        "one that cannot, replacing is refused. False: there the old file is removed first.",
    )

    @field_validator("host")
    @classmethod
    def _only_a_name(cls, value: str) -> str:
        if "/" in value or "@" in value or value != value.strip():
            raise ValueError(
                "expected a name or an address alone; the user goes into 'username', the directory "
                "into 'path'"
            )
        return value[1:-1] if value.startswith("[") and value.endswith("]") else value

    @field_validator("path")
    @classmethod
    def _no_nul(cls, value: str) -> str:
        if "\x00" in value:
            raise ValueError("a path cannot contain a NUL character")
        if ".." in value.split("/"):
            raise ValueError("the path contains '..'; write where it leads")
        if value == "~" or value.startswith("~/"):
            return value[2:]
        return value

    @field_validator("host_key")
    @classmethod
    def _is_a_key(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parse_host_key(each)
        return value

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.host_key and self.known_hosts:
            raise ValueError("'host_key' and 'known_hosts' both say whom to trust; keep one")
        if self.host_key_checking in ("ignore", "accept-new") and self.host_key:
            raise ValueError(
                f"'host_key' says whom to trust, and 'host_key_checking: {self.host_key_checking}' "
                "trusts others; keep one"
            )
        if self.host_key_checking == "ignore" and self.known_hosts:
            raise ValueError(
                "'known_hosts' says whom to trust, and 'host_key_checking: ignore' trusts whoever "
                "answers; keep one"
            )
        return self


def build(options: SftpOptions, context: BuildContext) -> Backend:
    """A backend that connects at its first use."""
    from .backend import SftpBackend

    label = f"{options.host}:{options.port}"
    store = ("sftp", options.host.lower(), options.port, options.username)

    def explain(error: Exception) -> Exception:
        from .ssh import explained

        return explained(error, label)

    root = "/".join(part for part in options.path.split("/") if part not in ("", "."))
    absolute = options.path.startswith("/")
    return SftpBackend(
        _connector(options, context),
        bounds=options.bounds,
        explain=explain,
        store=(*store, absolute),
        root=root,
        atomic=options.atomic,
    )


def _connector(
    options: SftpOptions, context: BuildContext
) -> Callable[[Callable[[dict[bytes, bytes]], None]], SftpFiles]:
    """What makes the client; relative files are found now, by where the configuration is."""
    keys = tuple(_local(each, context) for each in options.key_filename)
    files = options.known_hosts or _KNOWN_HOSTS
    trust = HostTrust(
        options.host_key_checking
        or ("strict" if options.known_hosts or options.host_key else "accept-new"),
        expected=tuple(parse_host_key(each) for each in options.host_key),
        files=() if options.host_key else tuple(_local(each, context) for each in files),
        optional=not options.known_hosts,
        accepted=options.host_key_checking is not None,
    )

    login = Login(
        mount=context.mount,
        host=options.host,
        port=options.port,
        username=options.username,
        password=_revealed(options.password),
        key_files=keys,
        passphrase=_revealed(options.passphrase),
        trust=trust,
        bounds=options.bounds,
    )

    def make(opened: Callable[[dict[bytes, bytes]], None]) -> SftpFiles:
        try:
            from .ssh import connect
        except ImportError as error:
            raise missing_extra(error, context.mount, "sftp", "sftp") from error
        from .files import SftpFiles
        from .pool import Pool

        pool = Pool(lambda: connect(login), options.max_sessions)
        return SftpFiles(pool, options.path, atomic=options.atomic, opened=opened)

    return make


def _local(path: str, context: BuildContext) -> str:
    """A file of this machine; relative to the configuration file, or to the working directory."""
    path = os.path.expanduser(path)
    return os.path.abspath(path if context.base is None else os.path.join(context.base, path))


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
