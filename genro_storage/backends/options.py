"""What every backend's options model is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["BackendOptions"]


class BackendOptions(BaseModel):
    """Base of the options of one kind of mount: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
