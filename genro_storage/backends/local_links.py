"""Symbolic and hard links of this machine: what both backends of local files do about them."""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["RealParents", "follow_inside", "publish_exclusively", "rename"]

_KNOWN = 256
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


class RealParents:
    """Finds the physical path of an entry, and refuses one that lies behind a link leading out.

    It remembers which directories were reached without a link, by inode: as long as the name still
    leads to that inode, nothing above it needs to be looked at again. (Whoever moves a directory
    out of the root and links back to it is still led to that directory, and to no other.)
    """

    def __init__(self, root: str, prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        self._known: dict[str, tuple[int, int]] = {}

    def full_path(self, path: str) -> str:
        """The physical path whose last component has not been looked at yet."""
        full = self._prefix + path
        if "/" not in path:
            return full
        parent = full.rpartition("/")[0]
        known = self._known.get(parent)
        if known is not None:
            # The very directory that was reached without a link before: one look instead of one
            # for every directory above it.
            try:
                found = os.lstat(parent)
            except FileNotFoundError:
                return self._checked(full, parent)
            if known == (found.st_ino, found.st_dev):
                return full
        return self._checked(full, parent)

    def _checked(self, full: str, parent: str) -> str:
        """As ``full_path``, looking at every directory on the way that is not known."""
        position = full.find("/", self._sure_until(parent))
        found: os.stat_result
        while True:
            try:
                found = os.lstat(full[:position])
            except FileNotFoundError:
                return full  # whoever opens it reports what is missing
            if not stat.S_ISDIR(found.st_mode):
                if not stat.S_ISLNK(found.st_mode):
                    raise NotADirectoryError(
                        errno.ENOTDIR, f"{full[len(self._prefix) : position]!r} is a file"
                    )
                return f"{follow_inside(parent, self._root)}/{full.rpartition('/')[2]}"
            position = full.find("/", position + 1)
            if position < 0:
                break
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[parent] = found.st_ino, found.st_dev
        return full

    def _sure_until(self, parent: str) -> int:
        """Where to begin looking: behind the nearest known directory above, if it is the same."""
        top = len(self._prefix)
        above = parent.rpartition("/")[0]
        while len(above) > top:
            known = self._known.get(above)
            if known is None:
                above = above.rpartition("/")[0]
                continue
            try:
                found = os.lstat(above)
            except OSError:
                break
            if known == (found.st_ino, found.st_dev):
                return len(above) + 1
            break
        return top
