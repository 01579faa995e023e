"""Which types of mount there are: one row each, loaded when first used.

Three ways to add a type: ``register`` in code, an entry point of the group
``genro_storage.backends`` in a package, or a row of ``_BUILT_IN`` here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from dataclasses import replace as changed
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .backends.context import BuildContext
from .exceptions import StorageConfigError, StorageError, StorageMissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from .backends.base import Backend
    from .backends.dynamic import DynamicRoot
    from .backends.options import BackendOptions

__all__ = ["GROUP", "BackendType", "BuildContext", "get", "names", "register", "unregister"]

#: The entry-point group in which packages publish their ``BackendType``.
GROUP = "genro_storage.backends"

_RESERVED = {"relative": "relative mounts are part of the library"}


@dataclass(frozen=True)
class BackendType:
    """One type of mount: its name, the model of its options and the function that builds it.

    ``options`` is a ``BackendOptions`` subclass and ``build`` a function
    ``build(options, context) -> Backend | DynamicRoot``; each may be a string
    ``"module:attribute"`` that is imported on first use. ``extra`` names the optional dependency
    group to install, ``aliases`` are further values of ``type:`` that mean the same.
    """

    name: str
    options: type[BackendOptions] | str
    build: Callable[[Any, BuildContext], Backend | DynamicRoot] | str
    summary: str = ""
    extra: str | None = None
    aliases: tuple[str, ...] = ()

    def load_options(self, mount: str | None = None) -> type[BackendOptions]:
        """The options model; ``StorageMissingExtraError`` where its module needs an extra."""
        if not isinstance(self.options, str):
            return self.options
        return self._load(self.options, mount)  # type: ignore[no-any-return]

    def build_backend(
        self, options: BackendOptions, context: BuildContext
    ) -> Backend | DynamicRoot:
        """Build what a mount called ``context.mount`` stands on.

        Raises ``StorageMissingExtraError`` where a module is not installed, and whatever the
        row's own ``build`` raises.
        """
        build = self.build
        if isinstance(build, str):
            build = self._load(build, context.mount)
        try:
            return build(options, context)
        except StorageError:
            raise
        except ImportError as error:
            raise self._missing(error, context.mount) from error

    def _load(self, reference: str, mount: str | None) -> Any:
        module_name, _, attribute = reference.partition(":")
        try:
            module = import_module(module_name)
        except StorageError:
            raise
        except ImportError as error:
            raise self._missing(error, mount) from error
        try:
            return getattr(module, attribute)
        except AttributeError as error:
            raise StorageConfigError(
                f"{self._label(mount)}: the registry's row is wrong: {reference!r} does not exist"
            ) from error

    def _missing(self, error: ImportError, mount: str | None) -> StorageMissingExtraError:
        what = f"the module {error.name!r} is not installed" if error.name else str(error)
        fix = f'; install it with: pip install "genro-storage[{self.extra}]"' if self.extra else ""
        return StorageMissingExtraError(f"{self._label(mount)}: {what}{fix}", node=mount)

    def _label(self, mount: str | None) -> str:
        return f"storage type {self.name!r}" if mount is None else f"mount {mount!r} ({self.name})"


def _built_in(
    name: str,
    module: str,
    options: str,
    build: str,
    summary: str,
    extra: str | None = None,
    *aliases: str,
) -> BackendType:
    """A row of the library's own, whose options and constructor are in one module."""
    home = f"genro_storage.backends.{module}"
    return BackendType(name, f"{home}:{options}", f"{home}:{build}", summary, extra, aliases)


_BUILT_IN = (
    _built_in("local", "embedded", "LocalOptions", "build_local", "A directory of this machine"),
    _built_in(
        "memory",
        "embedded",
        "MemoryOptions",
        "build_memory",
        "Files in memory, gone with the manager",
    ),
    _built_in(
        "base64",
        "embedded",
        "Base64Options",
        "build_base64",
        "The path is the content, encoded in base64",
    ),
    _built_in(
        "s3",
        "s3",
        "S3Options",
        "build",
        "A bucket of Amazon S3, or of a server that speaks its protocol",
        "s3",
    ),
    _built_in("gcs", "gcs", "GcsOptions", "build", "A bucket of Google Cloud Storage", "gcs"),
    _built_in(
        "azure", "azure", "AzureOptions", "build", "A container of Azure Blob Storage", "azure"
    ),
    _built_in(
        "http", "http", "HttpOptions", "build", "The files of a web server, read-only", "http"
    ),
    _built_in(
        "sftp",
        "sftp",
        "SftpOptions",
        "build",
        "A directory of a server that is reached by SSH",
        "sftp",
        "ssh",
    ),
    _built_in("smb", "smb", "SmbOptions", "build", "A Windows or Samba share (SMB 2 and 3)", "smb"),
    _built_in(
        "webdav",
        "webdav",
        "WebdavOptions",
        "build",
        "A collection of a WebDAV server (Nextcloud, Apache, nginx, a NAS)",
        "webdav",
    ),
    _built_in(
        "zip",
        "archives",
        "ZipOptions",
        "build_zip",
        "The files in a zip archive, which may lie on another mount",
    ),
    _built_in(
        "tar",
        "archives",
        "TarOptions",
        "build_tar",
        "The files in a tar archive, compressed or not (zst: `genro-storage[zstd]`)",
    ),
    _built_in(
        "libarchive",
        "archives",
        "LibarchiveOptions",
        "build_libarchive",
        "The files in an archive of nearly any format (7z, RAR, ISO), read-only",
        "libarchive",
    ),
    _built_in(
        "git",
        "git",
        "GitOptions",
        "build_git",
        "A commit of a git repository on this machine, read-only",
        "git",
    ),
    _built_in(
        "github",
        "git",
        "GithubOptions",
        "build_github",
        "A commit of a repository on GitHub, read-only",
        "github",
    ),
    _built_in("fsspec", "fsspec", "FsspecOptions", "build", "Any filesystem that fsspec knows"),
)

_lock = threading.Lock()
_rows: dict[str, BackendType] = {}  # every name and alias -> its row
_published: dict[str, BackendType] = {}  # what entry points gave, by the name asked for


def register(backend_type: BackendType, *, replace: bool = False) -> None:
    """Add a type of mount to this process.

    Raises ``StorageConfigError`` where the name or an alias is taken, unless ``replace``.
    """
    with _lock:
        for name in (backend_type.name, *backend_type.aliases):
            if name in _RESERVED:
                raise StorageConfigError(
                    f"storage type {name!r} cannot be registered: {_RESERVED[name]}"
                )
            taken = _rows.get(name)
            if taken is not None and taken != backend_type and not replace:
                raise StorageConfigError(
                    f"storage type {name!r} is taken by {taken.name!r}; "
                    "choose another name, or pass replace=True"
                )
        for name in (backend_type.name, *backend_type.aliases):
            _rows[name] = backend_type


def unregister(name: str) -> None:
    """Forget a registered type with its aliases; ``StorageConfigError`` where there is none."""
    with _lock:
        row = _rows.get(name)
        if row is None:
            raise _unknown(name)
        for key in [key for key, value in _rows.items() if value is row]:
            del _rows[key]


def get(name: str) -> BackendType:
    """The row of a type, by name or alias.

    Looks among the registered types first, then among the packages' entry points. Raises
    ``StorageConfigError`` (``Unknown storage type``) with the nearest name, and the same class
    where the entry point of that name is broken.
    """
    row = _rows.get(name) or _published.get(name)
    if row is not None:
        return row
    points = _entry_points().get(name)
    if points is None:
        raise _unknown(name)
    row = _load_entry_point(points)
    _published[name] = row
    return row


def names() -> list[str]:
    """Every type that can be asked for, sorted, without aliases; nothing is loaded for it."""
    return sorted({row.name for row in _rows.values()} | _entry_points().keys())


def _entry_points() -> dict[str, list[EntryPoint]]:
    # Imported here: it costs more time than all the rest of this module.
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in _rows and point.name not in _RESERVED:
            found.setdefault(point.name, []).append(point)
    return found


def _load_entry_point(points: list[EntryPoint]) -> BackendType:
    point = points[0]
    where = f"storage type {point.name!r}: the entry point {point.value!r}"
    # The same package can be found twice, through its metadata in two directories of sys.path.
    if len({each.value for each in points}) > 1:
        packages = sorted({each.dist.name if each.dist else each.value for each in points})
        raise StorageConfigError(
            f"storage type {point.name!r} is published by several packages: {', '.join(packages)}; "
            "uninstall all but one, or register() the one you mean"
        )
    try:
        loaded = point.load()
    # A package may fail in any way while it is imported, and the fix is the same: repair it.
    except Exception as error:
        raise StorageConfigError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(loaded, BackendType):
        raise StorageConfigError(f"{where} is a {type(loaded).__name__}, not a BackendType")
    return loaded if loaded.name == point.name else changed(loaded, name=point.name)


def _unknown(name: str) -> StorageConfigError:
    import difflib

    from .backends.protocols import is_fsspec_protocol

    shown = name if len(name) <= 80 else name[:80] + "…"
    text = f"Unknown storage type {shown!r}"
    if is_fsspec_protocol(name):
        return StorageConfigError(
            f"{text}; fsspec knows it: mount it with `type: fsspec, filesystem: {name}`"
        )
    known = sorted({*_rows, *_entry_points(), *_RESERVED})
    near = difflib.get_close_matches(name[:80], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known types: {', '.join(known)}"
    return StorageConfigError(f"{text}; {hint}")


for _row in _BUILT_IN:
    register(_row)
