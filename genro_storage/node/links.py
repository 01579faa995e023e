"""Which directories of a tree are symbolic links: a listing shows what they lead to.

Copying follows them; whatever removes must not, or it would remove files elsewhere.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..mount import Mount

__all__ = ["is_link", "linked_directories"]


def is_link(mount: Mount, path: str) -> bool:
    """Whether a symbolic link stands there, whatever it leads to."""
    if not mount.capabilities.symbolic_links:
        return False
    real = mount.local_path(path)
    return real is not None and os.path.islink(real)


def linked_directories(mount: Mount, path: str) -> list[str]:
    """The outermost links to directories in a tree; the tree itself where it is one."""
    if not mount.capabilities.symbolic_links:
        return []
    if is_link(mount, path):
        return [path]
    found: list[str] = []
    for info in mount.find(path):
        if info.type != "directory" or (found and info.path.startswith(found[-1] + "/")):
            continue  # what is inside a link follows it at once, in key order
        if is_link(mount, info.path):
            found.append(info.path)
    return found
