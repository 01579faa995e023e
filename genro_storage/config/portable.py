"""What of a mount's configuration can be pickled: a function travels by its name, or not at all."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["require_portable"]


def require_portable(mount: str, configuration: Mapping[str, Any]) -> None:
    """``TypeError``, which names the mount and the option, where a callable has no name of its own.

    A lambda has none. An object has one only where a module says so, and what it holds may be a
    secret: ``"module:name"`` names it as well.
    """
    for option, value in configuration.items():
        if isinstance(value, Mapping):
            require_portable(mount, value)
        elif callable(value) and not _has_name(value):
            raise TypeError(
                f"mount {mount!r} cannot be pickled: the {type(value).__name__} given as "
                f"{option!r} cannot be imported by its name; give a function or a class of a "
                "module (some options take it as 'module:name')"
            )


def _has_name(value: Any) -> bool:
    found: Any = sys.modules.get(getattr(value, "__module__", None) or "")
    for part in str(getattr(value, "__qualname__", "")).split("."):
        found = getattr(found, part, None)
    return found is not None and found is value
