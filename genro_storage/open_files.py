"""Paths that lead to open files."""

from __future__ import annotations

import os
import sys

__all__ = ["path_of_open"]

_HAS_PATHS = sys.platform == "linux" and os.path.isdir("/proc/self/fd")


def path_of_open(descriptor: int) -> str | None:
    """A path to this very open file, whatever has its name by now; None where there is no such."""
    return f"/proc/self/fd/{descriptor}" if _HAS_PATHS else None
