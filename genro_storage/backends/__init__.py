"""Storage technologies, each behind the contract of :mod:`genro_storage.backends.base`.

The names under which 0.4 published its classes are here, for annotations, ``isinstance`` and
subclassing; what is behind them follows today's contract (``stat``, ``scan``, ``open_read`` …).
The verbs of 0.4 (``exists``, ``read_bytes``, ``list_dir`` …) are on ``storage._mounts[name]``.
There is no ``RelativeMountBackend``: a relative mount is the same backend, seen through a
narrower ``Mount``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Backend as StorageBackend
    from .base64 import Base64Backend as Base64Backend
    from .local import LocalBackend as LocalStorage

__all__ = ["Base64Backend", "LocalStorage", "StorageBackend"]

_HOMES = {
    "Base64Backend": ("base64", "Base64Backend"),
    "LocalStorage": ("local", "LocalBackend"),
    "StorageBackend": ("base", "Backend"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value
