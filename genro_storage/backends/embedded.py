"""The types that need nothing installed: ``local``, ``memory`` and ``base64``."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema, field_validator

from ..exceptions import MountRootNotFoundError, StorageConfigError, translate
from ..paths import normalise, physical
from .options import BackendOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .base import Backend
    from .context import BuildContext
    from .dynamic import DynamicRoot

__all__ = [
    "Base64Options",
    "LocalOptions",
    "MemoryOptions",
    "build_base64",
    "build_local",
    "build_memory",
]


def _check_path(value: Any) -> Any:
    if callable(value):
        _takes_argument(value)
        return value
    text = _as_text(value)
    if text is None:
        raise ValueError("expected a path as text, a pathlib.Path or a callable")
    if not text:
        raise ValueError("the path is empty; name a directory")
    if "\x00" in text:
        raise ValueError("a path cannot contain a NUL character")
    return text


def _as_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        text = os.fspath(value)
        return text if isinstance(text, str) else None
    return None


def _takes_argument(function: Callable[..., object]) -> bool:
    """Whether the callable wants the first component of the node's path (a switched mount)."""
    if inspect.iscoroutinefunction(function):
        raise ValueError("the callable is asynchronous; give one that returns the path at once")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        # Some callables written in C tell nothing about themselves.
        return False
    required = [p for p in parameters if p.default is p.empty]
    positional = [p for p in required if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) > 1 or any(p.kind is p.KEYWORD_ONLY for p in required):
        raise ValueError(
            "the callable must take no argument, or one: the first component of the node's path"
        )
    return bool(positional)


class LocalOptions(BackendOptions):
    """A directory of this machine."""

    synonyms: ClassVar[Mapping[str, str]] = {"base_path": "path"}

    path: Annotated[
        str | Callable[..., object],
        PlainValidator(_check_path),
        WithJsonSchema({"type": "string", "minLength": 1}),
    ] = Field(
        description="The directory. In a file, a relative path starts at the file's directory and "
        "'~' is the home directory; in code it must be absolute, or a callable that returns it."
    )
    create: bool = Field(default=False, description="Make the directory where it is missing.")
    fsync: bool = Field(
        default=False,
        description="Force every write to the disk before it becomes visible: slower, and safe "
        "against a power failure.",
    )
    base_url: str | None = Field(
        default=None,
        min_length=1,
        description="Where a web server publishes the directory; gives the nodes their URL.",
    )


def build_local(options: LocalOptions, context: BuildContext) -> Backend | DynamicRoot:
    """A backend rooted in an existing directory, or the recipe for one root per operation.

    Raises ``StorageConfigError`` where the path is not absolute or not a directory,
    ``MountRootNotFoundError`` (also a ``FileNotFoundError``) where it does not exist.
    """
    path = options.path
    if callable(path):
        from .dynamic import DynamicRoot
        from .local import LocalBackend

        def build(returned: object) -> Backend:
            return _open_root(_returned_root(returned, context), options, context)

        # Two operations have two backends, so nothing can be copied inside one.
        capabilities = replace(
            LocalBackend.capabilities,
            public_urls=options.base_url is not None,
            copy_optimization=False,
        )
        return DynamicRoot(path, build, switched=_takes_argument(path), capabilities=capabilities)
    if context.base is not None:
        path = context.local_path(path)
    elif not os.path.isabs(path):
        raise StorageConfigError(
            f"{_label(context)}: the path {path!r} is not absolute; in code, write for instance "
            "Path(...).resolve() (relative paths and '~' are for configuration files)",
            node=context.mount,
        )
    return _open_root(path, options, context)


def _label(context: BuildContext) -> str:
    return f"mount {context.mount!r} (local)"


def _returned_root(returned: object, context: BuildContext) -> str:
    """Check at each use what nobody could check at configure time."""
    text = _as_text(returned)
    if text is None:
        if inspect.iscoroutine(returned):
            returned.close()
        problem = f"returned {type(returned).__name__}, not a str or Path"
    elif not text:
        problem = "returned an empty path"
    elif "\x00" in text:
        problem = "returned a path with a NUL character"
    elif not os.path.isabs(text):
        problem = f"returned {text!r}, which is not absolute"
    else:
        return text
    raise StorageConfigError(
        f"{_label(context)}: the path callable {problem}; it must return the absolute path of a "
        "directory",
        node=context.mount,
    )


def _make(root: str, context: BuildContext) -> None:
    """Make a root and what is missing above it, to be taken back if the configuration fails."""
    missing: list[str] = []
    above = root
    while not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    os.makedirs(root, exist_ok=True)

    def remove() -> None:
        for directory in missing:
            # Somebody else may use it by now; then it is theirs.
            with contextlib.suppress(OSError):
                os.rmdir(directory)

    if missing:
        context.undo(remove)


def _open_root(root: str, options: LocalOptions, context: BuildContext) -> Backend:
    root = os.path.normpath(root) if ".." not in root.split(os.sep) else root
    try:
        if options.create:
            _make(root, context)
        is_directory = os.path.isdir(root)
        if not is_directory:
            # Tells a missing directory from one that may not be looked at.
            os.stat(root)
    except FileNotFoundError as error:
        raise MountRootNotFoundError(
            f"{_label(context)}: the directory {root!r} does not exist; "
            "make it, or add `create: true`",
            node=context.mount,
        ) from error
    except (FileExistsError, NotADirectoryError):
        is_directory = False
    except OSError as error:
        raise translate(error, node=_label(context), action=f"opening the root {root!r}") from error
    if not is_directory:
        raise StorageConfigError(
            f"{_label(context)}: {root!r} is not a directory", node=context.mount
        )
    if options.base_url is not None:
        from .published import PublishedLocalBackend

        return PublishedLocalBackend(root, base_url=options.base_url, fsync=options.fsync)
    from .local import LocalBackend

    return LocalBackend(root, fsync=options.fsync)


class MemoryOptions(BackendOptions):
    """Files in memory. They belong to the manager: configuring the name again keeps them."""

    base_path: str = Field(default="", description="The directory inside the memory to start at.")

    @field_validator("base_path")
    @classmethod
    def _normalise(cls, value: str) -> str:
        return physical(normalise(value))


def build_memory(options: MemoryOptions, context: BuildContext) -> Backend:
    """The backend over the store that this manager keeps for this mount's name."""
    from .memory import MemoryBackend, MemoryStore

    store = context.keep(("memory", context.mount), MemoryStore)
    here = MemoryBackend(store)
    top = options.base_path.partition("/")[0]
    try:
        here.stat(top)
    except FileNotFoundError:
        context.undo(lambda: here.remove_tree(top))
    return MemoryBackend(store, root=options.base_path)


class Base64Options(BackendOptions):
    """The path of a node is its content, encoded in base64; nothing is stored."""


def build_base64(options: Base64Options, context: BuildContext) -> Backend:
    """The backend whose paths are their own content."""
    from .base64 import Base64Backend

    return Base64Backend()
