"""Which names fsspec knows: asked only to word an error."""

from __future__ import annotations

__all__ = ["is_fsspec_protocol"]


def is_fsspec_protocol(name: str) -> bool:
    """Whether fsspec has, or knows where to get, a filesystem called ``name``."""
    from fsspec.registry import known_implementations, registry

    return name in known_implementations or name in registry
