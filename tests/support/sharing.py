"""Trees and a configuration file for copies that other processes carry out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_home"]


def make_home(where: Path, mounts: str, *, files: int, directories: int) -> Path:
    """``src`` with so many files and an empty directory, ``dst``, and ``mounts.yaml``."""
    (where / "dst").mkdir()
    for number in range(files):
        directory = where / "src" / f"d{number % directories}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number}.txt").write_text(f"{number}," * (number % 50))
    (where / "src" / "empty").mkdir()
    (where / "mounts.yaml").write_text(mounts)
    return where
