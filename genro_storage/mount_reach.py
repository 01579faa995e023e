"""How a mount gets from a path of its own to a backend and that backend's path."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import paths
from .backends.dynamic import DynamicRoot
from .exceptions import translating
from .rights import MountRights

if TYPE_CHECKING:
    from collections.abc import Callable

    from .backends.base import Backend

__all__ = ["MountReach"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MountReach(MountRights):
    """One call of one verb, with its errors in the user's words."""

    def _is_switched(self) -> bool:
        return isinstance(self.backend, DynamicRoot) and self.backend.switched

    def _at(self, path: str) -> tuple[Backend, str]:
        backend = self.backend
        if isinstance(backend, DynamicRoot):
            real = paths.join(self.prefix, paths.physical(path))
            if backend.switched and not real:
                raise self._unsupported(
                    path, "the root of a switched mount has no place of its own; name a path in it"
                )
            found: tuple[Backend, str] = self._evaluate(functools.partial(backend.resolve, real))
            return found
        if backend.opaque_paths:
            return backend, path
        real = path if "." not in path else paths.physical(path)
        return backend, paths.join(self.prefix, real) if self.prefix else real

    def _evaluate(self, step: Callable[[], Any]) -> Any:
        """Run a step that may call the user's function: its errors pass, with a note."""
        try:
            return step()
        except Exception as error:  # whatever it is, it is the user's own and passes unchanged
            error.add_note(f"raised while finding the root of the mount {self.name!r}")
            raise

    def _run(self, path: str, action: str, verb: str, *args: Any, **kwargs: Any) -> Any:
        """Call one verb of the backend on one path, with its errors in the user's words."""
        backend, real = self._at(path)
        with translating(self.label(path), action):
            return getattr(backend, verb)(real, *args, **kwargs)
