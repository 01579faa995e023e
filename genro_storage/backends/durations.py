"""Durations in the settings of a backend."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from ..durations import seconds

__all__ = ["Duration", "as_duration", "seconds"]


def as_duration(value: float) -> timedelta:
    """The same as obstore takes it."""
    return timedelta(seconds=value)


_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": 86400},
        {"type": "string", "minLength": 1},
    ]
}

#: A field of a model that holds seconds: more than none, a day at most.
Duration = Annotated[
    float,
    Field(gt=0, le=86400, allow_inf_nan=False),
    BeforeValidator(seconds),
    WithJsonSchema(_SCHEMA),
]
