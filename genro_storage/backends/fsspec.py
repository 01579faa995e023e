"""``type: fsspec``: any installed fsspec filesystem as a mount, and ``FsspecBackend`` itself."""

from __future__ import annotations

import difflib
import inspect
import os
import re
from typing import TYPE_CHECKING, Any, NoReturn, cast

from fsspec.registry import (
    get_filesystem_class,
    known_implementations,
    registry,
)
from pydantic import Field, field_validator

from ..exceptions import (
    StorageConfigError,
    StorageMissingExtraError,
    StorageNotFoundError,
    translate,
)
from .fsspec_backend import FsspecBackend
from .fsspec_info import Commit, Filesystem, Profile, profile_of, protocols_of
from .fsspec_kinds import backend_for
from .options import BackendOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .context import BuildContext

__all__ = [
    "FsspecBackend",
    "FsspecOptions",
    "Profile",
    "backend_for",
    "build",
    "open_filesystem",
]

_EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gcs", "gs"), "gcs"),
    **dict.fromkeys(("az", "abfs", "adl"), "azure"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    **dict.fromkeys(("git", "github"), "git"),
    **{name: name for name in ("smb", "libarchive")},
}
_OURS = ("asynchronous", "loop", "skip_instance_cache", "use_listings_cache")
_LOCAL = ("file", "local")


class FsspecOptions(BackendOptions):
    """Any filesystem that fsspec knows."""

    filesystem: str = Field(
        min_length=1, description="The protocol under which fsspec knows it (sftp, memory, dropbox)"
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="What its constructor takes; never shown, since it may hold secrets.",
    )
    path: str = Field(
        default="",
        description="The root of the mount inside the filesystem. The memory filesystem, which "
        "the whole process shares, starts at a directory named like the mount.",
    )
    commit: Commit | None = Field(
        default=None,
        description="How a write becomes visible: 'rename' beside the target (atomic), 'put' where "
        "the filesystem's own put is atomic, 'stream' into the target (not atomic). "
        "By default what is known of the filesystem, 'stream' for an unknown one.",
    )
    readonly: bool | None = Field(
        default=None, description="Whether it can only be read; by default what is known of it."
    )
    create: bool = Field(default=False, description="Make the root where it is missing.")

    @field_validator("options")
    @classmethod
    def _refuse_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key in _OURS:
            if key in value:
                raise ValueError(f"{key!r} is decided by the library; leave it out")
        return value


def build(options: FsspecOptions, context: BuildContext) -> FsspecBackend:
    """Open the filesystem and stand a backend on it.

    Raises ``StorageConfigError`` for an unknown filesystem or refused options,
    ``StorageMissingExtraError`` where a package is missing, and our other errors where the
    filesystem connects at once and cannot. No message shows a value of ``options``.
    """
    label = f"mount {context.mount!r} (fsspec: {options.filesystem})"
    filesystem = open_filesystem(options.filesystem, options.options, label, context.mount)
    known = profile_of(filesystem)
    if known.readonly and options.readonly is False:
        raise StorageConfigError(
            f"{label}: this filesystem can only be read; leave 'readonly' out", node=context.mount
        )
    readonly = known.readonly if options.readonly is None else options.readonly
    if readonly and options.create:
        raise StorageConfigError(
            f"{label}: 'create' needs a mount that can be written", node=context.mount
        )
    root = _root(options, filesystem, context, label)
    try:
        backend = backend_for(filesystem, root, commit=options.commit, readonly=options.readonly)
    except ValueError as error:
        raise StorageConfigError(f"{label}: {error}", node=context.mount) from error
    try:
        if options.create:
            filesystem.makedirs(backend.root, exist_ok=True)
        elif set(protocols_of(filesystem)) & set(_LOCAL):
            os.stat(backend.root)
    except FileNotFoundError as error:
        raise StorageNotFoundError(
            f"{label}: the directory {root!r} does not exist; make it, or add `create: true`",
            node=context.mount,
        ) from error
    except Exception as error:  # noqa: BLE001 - a filesystem's client raises what it likes
        _refuse(error, options.options, label, context.mount)
    return backend


def _root(options: FsspecOptions, filesystem: Filesystem, context: BuildContext, label: str) -> str:
    names = protocols_of(filesystem)
    if "memory" in names and not options.path.strip("/"):
        return f"/{context.mount}"
    if not set(names) & set(_LOCAL):
        return options.path
    path = options.path
    if path.startswith(("file://", "local://")):
        path = path.partition("://")[2]
    if context.base is not None and path:
        return context.local_path(path)
    if not os.path.isabs(path):
        raise StorageConfigError(
            f"{label}: the path {options.path!r} is not absolute; name the directory in full",
            node=context.mount,
        )
    return path


def open_filesystem(
    protocol: str, options: Mapping[str, Any], label: str, mount: str | None = None
) -> Filesystem:
    """A filesystem of its own, not one of fsspec's cached instances.

    ``label`` starts the messages. A row for one technology calls this with what it made of its
    own options; raises as ``build`` does.
    """
    if protocol not in known_implementations and protocol not in registry:
        names = sorted({*known_implementations, *registry})
        near = difflib.get_close_matches(protocol, names, n=3)
        fix = f"did you mean {' or '.join(map(repr, near))}?" if near else _listing(names)
        raise StorageConfigError(f"{label}: fsspec knows no such filesystem; {fix}", node=mount)
    try:
        kind = get_filesystem_class(protocol)
    except ImportError as error:
        raise _missing(protocol, error, label, mount) from error
    try:
        return cast("Filesystem", kind(**options, skip_instance_cache=True))
    except ImportError as error:
        raise _missing(protocol, error, label, mount) from error
    except TypeError as error:
        # Not chained: a constructor may quote a value, which may be a secret.
        raise StorageConfigError(f"{label}: {_explain(error, kind, options)}", node=mount) from None
    except Exception as error:  # noqa: BLE001 - a filesystem's client raises what it likes
        _refuse(error, options, label, mount)


def _listing(names: list[str]) -> str:
    return "it knows " + ", ".join(names)


def _missing(
    protocol: str, error: ImportError, label: str, mount: str | None
) -> StorageMissingExtraError:
    extra = _EXTRAS.get(protocol)
    if extra is not None:
        fix = f'install it with: pip install "genro-storage[{extra}]"'
    else:
        fix = "install the package that provides it"
    hint = known_implementations.get(protocol, {}).get("err") or str(error)
    return StorageMissingExtraError(f"{label}: a package is missing ({hint}); {fix}", node=mount)


def _explain(error: TypeError, kind: Any, options: Mapping[str, Any]) -> str:
    """What a constructor refused, in names only."""
    text = str(error)
    unknown = re.search(r"unexpected keyword argument '(\w+)'", text)
    if unknown is not None and unknown[1] in options:
        taken = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
        near = difflib.get_close_matches(unknown[1], taken, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown option {unknown[1]!r} in 'options'{hint}"
    missing = re.search(r"missing \d+ required [\w-]+(?: [\w-]+)* arguments?: ('\w+'.*)\Z", text)
    if missing is not None:
        return f"'options' lacks {missing[1]}"
    given = ", ".join(sorted(options)) or "none"
    return f"the filesystem refused its options (given: {given})"


def _refuse(
    error: Exception, options: Mapping[str, Any], label: str, mount: str | None
) -> NoReturn:
    """Raise ours for what the filesystem raised, without any value of ``options``."""
    text = str(error)
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        # The likeliest to quote a value, perhaps cut or decoded so that no comparison finds it.
        given = ", ".join(sorted(options)) or "none"
        raise StorageConfigError(
            f"{label}: a value in 'options' was refused (given: {given})", node=mount
        ) from None
    translated = translate(error, node=label, action="opening the filesystem")
    if not any(value in text for value in _texts(options)):
        translated.node = mount
        raise translated from error
    raise type(translated)(
        f"{label}: {type(error).__name__} while opening the filesystem "
        "(its message is left out: it quotes a value of 'options')",
        node=mount,
    ) from None


def _texts(value: object) -> Iterator[str]:
    """Every text in nested options that is long enough to be one."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and value:
        yield value
    elif isinstance(value, bytes) and value:
        yield value.decode(errors="replace")
