"""Symbolic and hard links of this machine: what both backends of local files do about them."""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["follow_inside", "publish_exclusively", "rename"]

_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def follow_inside(full: str, root: str) -> str:
    """Follow every link of a physical path; PermissionError where that leads out of ``root``."""
    real = os.path.realpath(full or "/")
    prefix = root if root.endswith(os.sep) else root + os.sep
    if real != root and not real.startswith(prefix):
        raise PermissionError(
            errno.EACCES, "a symbolic link leads out of the mount's root; it is not followed"
        )
    return real


def publish_exclusively(temporary: str, target: str) -> None:
    """Rename a finished file to a name that must be free; ``FileExistsError`` where it is not."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # No hard links here (FAT, some network shares): reserve the name, then replace it.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.replace(temporary, target)
    else:
        os.unlink(temporary)


def rename(source: str, target: str) -> None:
    """``os.replace``, which does nothing where both are hard links of one file (rename(2))."""
    if _are_links_of_one_file(source, target):
        os.unlink(source)
    else:
        os.replace(source, target)


def _are_links_of_one_file(source: str, target: str) -> bool:
    """Whether both are entries of one file, rather than one entry spelled in two ways."""
    here = os.lstat(source)
    if here.st_nlink < 2 or stat.S_ISDIR(here.st_mode):
        return False
    try:
        there = os.lstat(target)
    except FileNotFoundError:
        return False
    if not os.path.samestat(here, there):
        return False
    parent, name = os.path.split(source)
    above, other = os.path.split(target)
    if not os.path.samefile(parent, above):
        return True
    # Where names differ by case or normal form alone, the file system may hold one entry for both.
    return name != other and {name, other} <= set(os.listdir(parent))
