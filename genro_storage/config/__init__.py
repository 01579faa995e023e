"""Configurations: read, checked as a whole, and turned into values. Nothing is mounted here.

pydantic and the parsers are imported by the first call, not by ``import genro_storage``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import StorageConfigError

if TYPE_CHECKING:
    from .lines import Lines
    from .model import Configuration, MountSpec, RelativeSpec, Settings

__all__ = [
    "Configuration",
    "MountSpec",
    "RelativeSpec",
    "Settings",
    "json_schema",
    "load",
    "load_file",
]


def load(
    source: str | os.PathLike[str] | Sequence[Mapping[str, Any]] | Mapping[str, Any],
) -> Configuration:
    """Read and check a whole configuration.

    ``source`` is a path to a YAML, JSON or TOML file, a list of mounts, or a mapping with
    ``mounts`` and library-wide settings. ``${VAR}`` is replaced in files only. Raises
    ``StorageConfigError`` with everything that is wrong, ``StorageNotFoundError`` where the file
    is missing, ``TypeError`` for a source of another type.

    >>> load([{"name": "scratch", "type": "memory"}]).mounts[0].name
    'scratch'
    """
    from . import model

    given: Any = source
    if isinstance(given, (str, os.PathLike)):
        return load_file(_as_path(os.fspath(given)))[0]
    if isinstance(given, (Sequence, Mapping)) and not isinstance(given, (bytes, bytearray)):
        return model.parse(given, source=None)
    raise TypeError(
        "a configuration is a file (str or Path), a list of mounts or a mapping with 'mounts', "
        f"not {type(given).__name__}"
    )


def load_file(path: Path) -> tuple[Configuration, Lines]:
    """As ``load``; and in which lines things stand, for what is found to be wrong with them later."""
    from . import loading, model

    document, lines, unfilled = loading.read_lines(path)
    configuration = model.parse(
        document, source=path.absolute(), label=str(path), lines=lines, unfilled=unfilled
    )
    return configuration, lines


def _as_path(name: str | bytes) -> Path:
    if not isinstance(name, str):
        raise TypeError("the configuration file must be given as str or Path, not bytes")
    from .loading import SUFFIXES

    path = Path(name)
    begins_like_text = name.lstrip().startswith(("{", "[", "- "))
    if "\n" in name or (begins_like_text and path.suffix.lower() not in SUFFIXES):
        # Not shown: whoever mistakes the text for its file's name may have secrets in it.
        raise StorageConfigError(
            "a configuration given as str is the path of a file, and this is the text of one; "
            "parse it first, or give the list of mounts"
        )
    return path


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file, with all types known now."""
    from .schema import json_schema as build

    return build()


def __getattr__(name: str) -> Any:
    if name in {"Configuration", "MountSpec", "RelativeSpec", "Settings"}:
        from . import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
