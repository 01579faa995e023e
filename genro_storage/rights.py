"""What a mount is and what it allows, before any backend is asked."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from . import paths
from .exceptions import (
    StorageError,
    StoragePermissionError,
    StorageUnsupportedError,
    place_of,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Self

    from .backends.base import Backend
    from .backends.context import Place
    from .backends.dynamic import DynamicRoot
    from .capabilities import BackendCapabilities
    from .sharing import Origin

__all__ = ["MountRights", "Permissions"]

Permissions = Literal["readonly", "readwrite", "delete"]
#: How much of a content that is a path messages show, in characters.
_SHOWN = 60
#: The longest path that they show whole; of a longer one this much from its begin and its end.
_LONGEST = 300
_ENDS = 140
_ORDER: tuple[str, ...] = get_args(Permissions)


@functools.lru_cache(maxsize=256)
def _masked(capabilities: BackendCapabilities, permissions: str) -> BackendCapabilities:
    if permissions == "readonly":
        return capabilities.without_writing()
    return capabilities.without_deleting()


@dataclass(frozen=True, slots=True, eq=False)
class MountRights:
    """A backend seen under a name, from ``prefix`` downwards, with these permissions.

    ``shown`` replaces ``name:`` in messages where a user wrote something else (a plain local
    path on the command line). ``origin`` tells where it was configured.
    """

    name: str
    backend: Backend | DynamicRoot
    prefix: str = ""
    permissions: Permissions = "delete"
    shown: str | None = None
    origin: Origin | None = None

    def __repr__(self) -> str:
        kind = type(self.backend).__name__
        return f"Mount({self.name!r}, {kind}, {self.prefix!r}, {self.permissions!r})"

    # -- values -------------------------------------------------------------------------------

    @property
    def capabilities(self) -> BackendCapabilities:
        """What the backend can do, as far as the permissions allow it."""
        declared = self.backend.capabilities
        return declared if self.permissions == "delete" else _masked(declared, self.permissions)

    @property
    def declared(self) -> BackendCapabilities:
        """What the backend can do, whatever the permissions of this mount."""
        return self.backend.capabilities

    @property
    def holder(self) -> Place | None:
        """The one file somewhere else that all of the storage is in (an archive), if any."""
        found: Place | None = getattr(self.backend, "place", None)
        return found

    def why_not(self, flag: str) -> str:
        """A clause that names the key that would declare a capability; ``""`` where none would."""
        return self.backend.why_not.get(flag, "")

    def label(self, path: str) -> str:
        """The place as the user wrote it, for messages: a very long one without its middle.

        Where it is a whole content, only its begin.
        """
        if len(path) > _SHOWN and self.backend.capabilities.path_is_content:
            path = f"{path[:_SHOWN]}… ({len(path)} characters)"
        elif len(path) > _LONGEST:
            path = f"{path[:_ENDS]}…{path[-_ENDS:]} ({len(path)} characters)"
        return self.fullpath(path)

    def _way(self, path: str, target: MountRights, target_path: str) -> str:
        """From here to there, for messages, where a colon follows: the name of a root has none."""
        there = target.label(target_path)
        at_root = not target_path and target.shown is None
        return f"{self.label(path)} -> {there.removesuffix(':') if at_root else there}"

    def fullpath(self, path: str) -> str:
        """The place as the user wrote it, complete."""
        return f"{self.name}:{path}" if self.shown is None else f"{self.shown}{path}"

    @contextlib.contextmanager
    def _naming_below(self, path: str, places: Mapping[str, str], action: str) -> Generator[None]:
        """As ``translating``, for calls on many places: the very one is named, else ``path``.

        ``places`` are the paths of the mount by what the backend calls them.
        """
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            found = place_of(error)
            for real, place in places.items() if found else ():
                below = found.removeprefix(real) if found and found.startswith(real) else None
                if below is not None and (not real or below[:1] in ("", "/")):
                    path = paths.join(place, below.lstrip("/"))
                    break
            raise translate(error, node=self.label(path), action=action) from error

    def normalise(self, path: str, *, below: str = "") -> str:
        """The one spelling of a path; untouched where the path is the content.

        ``below`` is the directory that it is meant in, for the words of an error.
        """
        if getattr(self.backend, "opaque_paths", False):
            return path
        if paths.is_plain(path):
            return path
        return paths.normalise(path, node=self.label(paths.join(below, path)))

    def narrow(self, name: str, path: str, permissions: Permissions | None = None) -> Self:
        """A mount of a directory of this one, with the same or fewer rights."""
        rights = self.permissions
        if permissions is not None and _ORDER.index(permissions) < _ORDER.index(rights):
            rights = permissions
        prefix = paths.join(self.prefix, paths.physical(self.normalise(path)))
        return replace(self, name=name, prefix=prefix, permissions=rights, shown=None)

    def is_like(self, other: MountRights) -> bool:
        """Whether both see the same of the same store, under the same name."""
        return self.backend is other.backend and (
            (self.name, self.prefix, self.permissions)
            == (other.name, other.prefix, other.permissions)
        )

    # -- permission ---------------------------------------------------------------------------

    def require_write(self, path: str, action: str = "writing") -> None:
        """Raise early where writing is not allowed or not possible."""
        if self.permissions == "readonly":
            raise StoragePermissionError(
                f"{self.label(path)}: the mount is configured as readonly ({action}); "
                "configure it with permissions: readwrite or delete",
                node=self.label(path),
            )
        capabilities = self.backend.capabilities
        if not (capabilities.write or capabilities.path_is_content):
            raise self._read_only("write", path, action)

    def require_delete(self, path: str, action: str = "deleting") -> None:
        """Raise early where deleting is not allowed or not possible."""
        self._permit_delete(path, action)
        if not self.backend.capabilities.delete:
            raise self._read_only("delete", path, action)

    def require_below_root(self, path: str) -> None:
        """Refuse to delete the root itself, which in a narrowed mount is a place of its parent."""
        if not paths.physical(path):
            label = self.label(path)
            raise StoragePermissionError(
                f"{label}: the root of a mount is not deleted; empty it with delete(root=True)",
                node=label,
            )

    def _permit_delete(self, path: str, action: str) -> None:
        if self.permissions != "delete":
            raise StoragePermissionError(
                f"{self.label(path)}: the mount is configured as {self.permissions} ({action}); "
                "configure it with permissions: delete",
                node=self.label(path),
            )

    def _require(self, flag: str, path: str, what: str) -> None:
        if not getattr(self.backend.capabilities, flag):
            why = self.why_not(flag)
            raise self._unsupported(path, why or f"this kind of mount does not support {what}")

    def _read_only(self, flag: str, path: str, action: str) -> StorageUnsupportedError:
        why = self.why_not(flag) or "the backend is read-only"
        return self._unsupported(path, f"{action} is not supported: {why}")

    def _unsupported(self, path: str, text: str) -> StorageUnsupportedError:
        label = self.label(path)
        return StorageUnsupportedError(f"{label}: {text}", node=label)
