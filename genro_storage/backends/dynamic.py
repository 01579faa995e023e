"""Roots that a function decides, once per operation.

A function without parameters gives the root. A function with a required parameter ("switched
mount") gets the first component of the path and gives the directory that stands for it.
"""

from __future__ import annotations

import contextvars
import errno
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..capabilities import BackendCapabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .base import Backend

__all__ = ["DynamicRoot"]


class DynamicRoot:
    """Stands where a mount's backend would; ``resolve`` gives the backend of one operation.

    ``build`` turns what the function returned into a backend and refuses what is no usable root.
    """

    #: As of a backend: no configuration would let it do more.
    why_not: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        function: Callable[..., object],
        build: Callable[[object], Backend],
        *,
        switched: bool = False,
        capabilities: BackendCapabilities | None = None,
    ) -> None:
        self.function = function
        self.build = build
        self.switched = switched
        self.capabilities: BackendCapabilities = (
            BackendCapabilities() if capabilities is None else capabilities
        )

    def resolve(self, path: str) -> tuple[Backend, str]:
        """The backend for this operation, and the path inside it."""
        if not self.switched:
            return self.build(self.function()), path
        first, _, rest = path.partition("/")
        if not first:
            raise PermissionError(
                errno.EACCES,
                "the root of a switched mount cannot be used by itself; its function needs the "
                "first component of a path",
            )
        return self.build(self.function(first)), rest

    def pinned(self) -> DynamicRoot:
        """The same, evaluated at most once from now on, in the caller's context.

        Composite operations hold on to this, so that a tree is copied from one root even where
        the function looks at context variables and threads do the work.
        """
        return _Pinned(self)

    def is_of(self, root: object) -> bool:
        """Whether this is ``root``, evaluated."""
        return False


class _Pinned(DynamicRoot):
    def __init__(self, root: DynamicRoot) -> None:
        super().__init__(
            root.function, root.build, switched=root.switched, capabilities=root.capabilities
        )
        self._root = root
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._known: dict[str, Backend] = {}
        if not self.switched:
            self._known[""] = root.resolve("")[0]

    def resolve(self, path: str) -> tuple[Backend, str]:
        first, rest = path.partition("/")[::2] if self.switched else ("", path)
        with self._lock:
            backend = self._known.get(first)
            if backend is None:
                backend = self._context.run(super().resolve, path)[0]
                self._known[first] = backend
        return backend, rest

    def pinned(self) -> DynamicRoot:
        return self

    def is_of(self, root: object) -> bool:
        return root is self._root
