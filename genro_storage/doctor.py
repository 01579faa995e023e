"""What is in force in a mount, and whether it works: the facts of its backend, and a few attempts."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from typing import TYPE_CHECKING

from .exceptions import StorageError, StorageNotFoundError, StorageUnsupportedError
from .health import check_one, without_name
from .info import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from .mount import Mount

__all__ = ["examine"]

#: Entries to look through for a file that can be read.
_LOOKED_THROUGH = 1000
_CONTENT = b"genro-storage doctor\n"


def examine(mount: Mount, *, write: bool) -> list[Finding]:
    """All findings; ``write`` also stores and deletes a small file in the mount's root."""
    found = [Finding("permissions", mount.permissions, "config")]
    if mount.depends_on_path:
        why = "its root depends on the path; ask for a mount of a path in it"
        return [*found, Finding("storage", "depends on the path", ok=None, detail=why)]
    bound = mount.bind()
    health = check_one(bound)
    took = "" if health.seconds is None else f"asked; {health.seconds * 1000:.1f} ms"
    found.append(Finding("storage", health.state, took, health.ok, health.reason))
    # What is denied to one request may be allowed to another.
    answers = health.ok or health.state == "denied"
    found += _facts(bound, answers)
    if answers:
        found += _attempts(bound, write)
    return found


def _facts(mount: Mount, ask: bool) -> list[Finding]:
    try:
        local = mount.local_path("")
        found = [] if local is None else [Finding("path", local, "on this machine")]
        found += mount.diagnose(ask=ask)
    except StorageError as error:
        return [Finding("settings", "unknown", ok=None, detail=_said(error, mount))]
    why = "this type of mount has no server or credentials to speak of"
    return found or [Finding("settings", "none", ok=None, detail=why)]


def _said(error: StorageError, mount: Mount) -> str:
    return without_name(error.message, mount)


def _attempt(name: str, mount: Mount, step: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "works", "tried", detail=step())
    except StorageError as error:
        return Finding(name, "fails", "tried", ok=False, detail=_said(error, mount))


def _attempts(mount: Mount, write: bool) -> list[Finding]:
    can = mount.capabilities
    seen: list[str] = []

    def listing() -> str:
        try:
            for info in itertools.islice(mount.find(""), _LOOKED_THROUGH):
                if info.is_file and info.size != 0:
                    seen.append(info.path)
                    return ""
        except StorageNotFoundError:
            # That the storage is there is known by now.
            return "its directory is not there yet"
        return ""

    if can.list_dir:
        found = [_attempt("list", mount, listing)]
    else:
        found = [_untried("list", mount, "list_dir")]
    if write and can.write:
        return [*found, *_by_writing(mount)]
    if seen:

        def reading() -> str:
            mount.read_bytes(seen[0], 0, 1)
            return f"a byte of {seen[0]}"

        found.append(_attempt("get", mount, reading))
    else:
        found.append(Finding("get", "not tried", ok=None, detail="there is no file to try it on"))
    for name, flag in (("put", "write"), ("delete", "delete")):
        if getattr(can, flag):
            found.append(Finding(name, "not tried", ok=None, detail="--write tries it"))
        else:
            found.append(_untried(name, mount, flag))
    return found


def _untried(name: str, mount: Mount, flag: str) -> Finding:
    if getattr(mount.declared, flag):
        return Finding(name, "not allowed", f"config: permissions: {mount.permissions}", ok=None)
    why = mount.why_not(flag) or "this kind of mount does not do that"
    return Finding(name, "not supported", ok=None, detail=why)


def _by_writing(mount: Mount) -> list[Finding]:
    """A file of a name that nobody else has, stored, read and deleted."""
    if not mount.capabilities.delete:
        why = "what it would store could not be deleted again"
        return [
            Finding("put", "not tried", ok=None, detail=why),
            _untried("delete", mount, "delete"),
        ]
    name = f"genro-storage-doctor-{secrets.token_hex(8)}.txt"

    def putting() -> str:
        mount.write_bytes(name, _CONTENT, if_absent=True)
        return ""

    def getting() -> str:
        if mount.read_bytes(name) != _CONTENT:
            root = mount.label("")
            raise StorageError(f"{root}: another content comes back than was stored", node=root)
        return ""

    def deleting() -> str:
        try:
            mount.remove(name)
        except StorageError as error:
            raise StorageError(f"{_said(error, mount)}; {name} is left behind") from error
        return _without_versions(mount, name)

    found = [_attempt("put", mount, putting)]
    if found[0].ok:
        found.append(_attempt("get", mount, getting))
        found += _conditions(mount, name)
        found.append(_attempt("delete", mount, deleting))
    return found


_IGNORED = (
    "the server replaces a file though it is told not to: if_match and if_absent protect nothing; "
    "set `conditional_put: disabled`, which refuses if_match and looks before if_absent"
)
_REFUSED = "the server knows no conditions: if_match fails there, and if_absent is a look before"


def _conditions(mount: Mount, name: str) -> list[Finding]:
    """Whether the storage heeds the conditions of a write, where that depends on the server."""
    try:
        found = mount.try_conditions(name, _CONTENT)
    except StorageError as error:
        return [Finding("conditions", "unknown", "tried", ok=None, detail=_said(error, mount))]
    if found is None:
        return []
    told = {"ignored": _IGNORED, "refused": _REFUSED}.get(found, "")
    return [Finding("conditions", found, "tried", None if told else True, told)]


def _without_versions(mount: Mount, name: str) -> str:
    """Forget what a storage with versions keeps of a deleted file; what is left of it, and why."""
    if not mount.capabilities.version_listing:
        return ""
    try:
        for version in mount.versions(name):
            # Google's delete marker is a time, and nothing that could be deleted.
            with contextlib.suppress(StorageNotFoundError):
                mount.delete_version(name, version.version_id)
        mount.versions(name)
        why = "they were deleted, and are there"
    except (StorageNotFoundError, StorageUnsupportedError):
        return ""  # none is kept
    except StorageError as error:
        why = _said(error, mount)
    return f"old versions of {name} are left behind: {why}"
