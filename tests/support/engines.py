"""The engines that a mount of object storage may choose: what is shown is shown on each."""

from __future__ import annotations

from typing import Any

__all__ = ["ENGINES", "on_engine"]


def _found() -> tuple[str, ...]:
    from genro_storage.backends.s3 import S3Options

    return ("obstore", "fsspec") if "engine" in S3Options.model_fields else ("fsspec",)


#: Names for ``engine:``; before there is a choice, the only one.
ENGINES = _found()


def on_engine(config: dict[str, Any], engine: str) -> dict[str, Any]:
    """The mount on that engine."""
    return {**config, "engine": engine} if len(ENGINES) > 1 else config
