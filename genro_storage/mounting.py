"""Building one mount from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .exceptions import StorageConfigError
from .mount import Mount

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from .backends.context import Keep
    from .config import MountSpec
    from .places import PlaceFinder

    Kept = dict[tuple[str, Hashable], Any]

__all__ = ["Entry", "built", "refuse_if_read_only"]


class Entry(NamedTuple):
    """One mount to build, and the file that defines it (None: code)."""

    spec: MountSpec
    origin: Path | None


def built(entry: Entry, kept: Kept, undo: contextlib.ExitStack, finder: PlaceFinder) -> Mount:
    """Build one mount; ``undo`` learns what a failure further on has to take back."""
    from .registry import BuildContext

    spec, origin = entry
    context = BuildContext(
        mount=spec.name,
        base=None if origin is None else origin.parent,
        keep=_keeper(kept, spec.name),
        undo=undo.callback,
        place=finder,
    )
    mount = Mount(spec.name, spec.build(context), permissions=spec.permissions or "delete")
    undo.callback(mount.close)
    if spec.permissions in ("readwrite", "delete"):
        refuse_if_read_only(spec, mount)
    return mount


def _keeper(kept: Kept, name: str) -> Keep:
    def keep(key: Hashable, factory: Callable[[], Any], /) -> Any:
        if (name, key) not in kept:
            kept[name, key] = factory()
        return kept[name, key]

    return keep


def refuse_if_read_only(spec: MountSpec, mount: Mount) -> None:
    """``StorageConfigError`` where it is given rights that nothing can have."""
    if mount.declared.readonly:
        why = mount.why_not("write")
        raise StorageConfigError(
            f"mount {spec.name!r}: permissions {spec.permissions!r} cannot be given, because its "
            f"backend is read-only{f' ({why})' if why else ''}; leave them out or write "
            "permissions: readonly"
        )
