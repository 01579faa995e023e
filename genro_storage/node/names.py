"""What a node knows from its name alone: no storage is asked for any of it."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .. import content, paths
from ..exceptions import StorageValueError
from .core import NodeCore, no_node

if TYPE_CHECKING:
    from typing import Self

__all__ = ["NodeNames"]


class NodeNames(NodeCore):
    """The naming half of :class:`~genro_storage.StorageNode`, in pathlib's words."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """The path inside the mount; a virtual node, which has no place, answers None."""
        return self._path

    @property
    def name(self) -> str:
        """The last component, empty for the root of a mount."""
        return self._path.rpartition("/")[2]

    @property
    def basename(self) -> str:
        """The same as :attr:`name`."""
        return self.name

    @property
    def stem(self) -> str:
        """The name without its last suffix: ``a.tar`` for ``a.tar.gz``."""
        return posixpath.splitext(self.name)[0]

    @property
    def suffix(self) -> str:
        """The last suffix with its dot; empty where there is none, and for a dotfile."""
        return posixpath.splitext(self.name)[1]

    @property
    def suffixes(self) -> list[str]:
        """All suffixes: ``['.tar', '.gz']`` for ``a.tar.gz``."""
        return PurePosixPath(self.name).suffixes if self.name else []

    @property
    def ext(self) -> str:
        """The last suffix without its dot."""
        return self.suffix[1:]

    def splitext(self) -> tuple[str, str]:
        """The path without its last suffix, and the suffix with its dot."""
        suffix = self.suffix
        return (self._path[: -len(suffix)] if suffix else self._path), suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """The components of the path; none for the root of a mount."""
        return paths.split(self._path)

    @property
    def mimetype(self) -> str:
        """The content type by the suffix, ``application/octet-stream`` where it says nothing."""
        return content.mimetype(self.name)

    @property
    def parent(self) -> Self:
        """The directory that holds this node; the root's parent is the root."""
        return self._derive(paths.parent_of(self._path))

    @property
    def parents(self) -> tuple[Self, ...]:
        """All directories above, nearest first, ending with the root of the mount."""
        found: list[Self] = []
        path = self._path
        while path:
            path = paths.parent_of(path)
            found.append(self._derive(path))
        return tuple(found)

    @property
    def dirname(self) -> str:
        """The full path of the parent."""
        return self.parent.fullpath

    def child(self, *parts: str) -> Self:
        """The node below this one; ``..`` is refused.

        Raises ``StoragePathError`` (a ValueError) where the parts leave this directory, and
        ``TypeError`` for what is no text.
        """
        for part in parts:
            if not isinstance(part, str):
                raise TypeError(
                    f"{self._label}: what is below a node is text, not {type(part).__name__}"
                )
        below = self._mount.normalise("/".join(parts), below=self._path)
        return self._derive(paths.join(self._path, below))

    def joinpath(self, *parts: str) -> Self:
        """The same as :meth:`child`."""
        return self.child(*parts)

    def __truediv__(self, part: str) -> Self:
        return self.child(part)

    def with_name(self, name: str) -> Self:
        """The sibling of that name; ``StorageValueError`` for a mount's root, or for no name."""
        if not self._path:
            raise StorageValueError(
                f"{self._label}: the root of a mount has no name to replace", node=self._label
            )
        if not isinstance(name, str):
            raise TypeError(f"{self._label}: a name is text, not {type(name).__name__}")
        if not name or "/" in name:
            raise StorageValueError(
                f"{self._label}: {name!r} is not a name; give one component without '/'",
                node=self._label,
            )
        return self._derive(paths.join(paths.parent_of(self._path), self._mount.normalise(name)))

    def with_stem(self, stem: str) -> Self:
        """The sibling with another stem and the same suffix."""
        return self.with_name(stem + self.suffix)

    def with_suffix(self, suffix: str) -> Self:
        """The sibling with another suffix (``".png"``; ``""`` takes it away)."""
        if suffix and (not suffix.startswith(".") or suffix == "."):
            raise StorageValueError(
                f"{self._label}: {suffix!r} is not a suffix; write it with its dot: '.png'",
                node=self._label,
            )
        return self.with_name(self.stem + suffix)

    def relative_to(self, other: NodeNames) -> str:
        """This node's path as seen from ``other``, which must be the same or above it.

        Raises ``StoragePathError`` (a ValueError) otherwise.
        """
        if not isinstance(other, NodeNames):
            raise no_node(f"{self._label}: what it is relative to is a node", other)
        if not self._same_mount(other):
            raise StorageValueError(
                f"{self._label}: {other._label} is on another mount", node=self._label
            )
        return paths.relative_to(self._path, other._path)

    def is_relative_to(self, other: NodeNames) -> bool:
        """Whether ``other`` is this node or a directory above it, on the same mount."""
        if not isinstance(other, NodeNames):
            raise no_node(f"{self._label}: what it is relative to is a node", other)
        return self._same_mount(other) and (
            not other._path or self._path == other._path or self._path.startswith(other._path + "/")
        )

    def _same_mount(self, other: NodeNames) -> bool:
        return self._mount is other._mount or (
            self._mount.name == other._mount.name and self._mount.backend is other._mount.backend
        )

    def match(self, pattern: str) -> bool:
        """Whether the path ends in ``pattern``, as ``pathlib.PurePath.match``."""
        return bool(self._path) and PurePosixPath(self._path).match(pattern)

    def __str__(self) -> str:
        return self.fullpath

    def __repr__(self) -> str:
        version = "" if self._snapshot is None else f", version={self._snapshot!r}"
        return f"{type(self).__name__}({self.fullpath!r}{version})"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, NodeNames):
            return NotImplemented
        return self.fullpath < other.fullpath
