"""Whether mounts can be reached: each is asked once, all at the same time."""

from __future__ import annotations

import errno
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .exceptions import (
    StorageConfigError,
    StorageError,
    StorageMissingExtraError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from .places import not_there_yet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .mount import Mount

__all__ = ["HealthState", "MountHealth", "check_mounts", "check_one", "without_name"]

HealthState = Literal["reachable", "denied", "missing", "unreachable", "unusable"]

_LATER: Final = "its directory is not there yet; the first file makes it"
_DEPENDS: Final = "its root depends on the path; name a node in it to see"


@dataclass(frozen=True, slots=True)
class MountHealth:
    """What one mount answered.

    ``state`` is ``reachable``; ``denied`` (the credentials or the rights); ``missing`` (the
    server answers, the bucket, share or directory is not there); ``unreachable`` (no answer, or
    none in time); ``unusable`` (a package is missing, another kind of server answers, or the
    configuration cannot work).
    ``reason`` says more, ``""`` where there is nothing to say. ``seconds`` is the time from one
    question to its answer, over a connection that is open: loading a client library, connecting
    and logging in are not in it. Of a mount that cannot be used, it is how long that took to learn.
    """

    mount: str
    state: HealthState
    reason: str = ""
    seconds: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the mount can be used."""
        return self.state == "reachable"


def check_mounts(mounts: Sequence[Mount], timeout: float) -> list[MountHealth]:
    """Ask all of them, and wait at most ``timeout`` seconds for all answers together."""
    found: dict[int, MountHealth] = {}

    def ask(position: int, mount: Mount) -> None:
        found[position] = check_one(mount)

    threads: list[threading.Thread] = []
    for position, mount in enumerate(mounts):
        # A daemon, so that a storage which never answers cannot keep the program.
        thread = threading.Thread(target=ask, args=(position, mount), daemon=True)
        thread.start()
        threads.append(thread)
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.join(min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX))
    return [
        found.get(position) or MountHealth(mount.name, "unreachable", f"no answer in {timeout:g} s")
        for position, mount in enumerate(mounts)
    ]


def check_one(mount: Mount) -> MountHealth:
    """Ask one mount, within its own bounds."""
    started = time.monotonic()
    reason = ""
    state: HealthState = "reachable"
    try:
        _ask(mount)  # connects, and may load a library that takes longer than the server does
        started = time.monotonic()
        reason = _ask(mount)
    except StorageError as error:
        state, reason = _state_of(error), without_name(error.message, mount)
    except Exception as error:  # noqa: BLE001 - the user's own function finds the root
        state, reason = "unusable", f"{type(error).__name__} while finding its root: {error}"
    return MountHealth(mount.name, state, reason, time.monotonic() - started)


def without_name(message: str, mount: Mount) -> str:
    """Whoever reads a reason knows whose it is."""
    root = re.escape(mount.label("").removesuffix(":"))
    start = rf"(?:mount {re.escape(repr(mount.name))}(?: \(\w+\))?|{root}): "
    return re.sub(start, "", message, count=1) if re.match(start, message) else message


def _ask(mount: Mount) -> str:
    if mount.depends_on_path:
        return _DEPENDS
    mount.check()
    later = not_there_yet(mount)
    if later:
        return later
    # Also below a view that may only read: the storage itself can make it.
    if mount.prefix and mount.declared.mkdir:
        try:
            mount.stat("")
        except StorageNotFoundError:
            return _LATER
    elif mount.prefix and mount.declared.readonly:
        mount.stat("")
    return ""


def _state_of(error: StorageError) -> HealthState:
    if isinstance(error, StorageNotFoundError):
        return "missing"
    if isinstance(error, StorageConfigError | StorageMissingExtraError | StorageUnsupportedError):
        return "unusable"
    if isinstance(error, StoragePermissionError):
        return "denied"
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:
        return "unusable"
    return "unreachable"
